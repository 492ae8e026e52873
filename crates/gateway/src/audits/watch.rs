//! Audit tests that a running gateway asks again and again. Where one fails, an exception is opened, once: as long as it is open no other is, and what failed before it was
//! closed is settled.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use evidence::filter::{Filter, Term};
use evidence::ids::ExceptionId;
use evidence::record::{Body, Context, ExceptionEvent, ExceptionKind, ExceptionRecord};
use evidence::time::Timestamp;
use governance::limits::SENTENCE_BYTES_MAX;
use store::{Order, ReadError, Reader};

use super::file::{AuditFile, Expectation};
use super::judge::{Judged, Scope, judge};
use crate::Gateway;
use crate::clock::now;
use crate::limits::AUDIT_WATCHED_US;

/// Which audit tests are asked, and how often.
#[derive(Clone, Debug)]
pub struct Watched {
    /// The time between two rounds.
    pub every: Duration,
    /// Files, or names of those that come with the program.
    pub tests: Vec<String>,
}

/// What a round found that must be seen to.
#[derive(Debug)]
struct Failure {
    owner: String,
    reason: String,
    scope: String,
}

/// Asks the tests until the gateway stops.
pub async fn run(gateway: Arc<Gateway>, watched: Watched) {
    loop {
        if let Err(error) = gateway.ask_audits(&watched.tests).await {
            tracing::warn!(%error, "audit tests could not be asked");
        }
        tokio::select! {
            () = gateway.stopped() => return,
            () = tokio::time::sleep(watched.every) => {}
        }
    }
}

/// Why a round did not come to its end.
#[derive(Debug, thiserror::Error)]
enum RoundError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Unrecorded(#[from] store::AppendError),
}

impl Gateway {
    /// One round: asks every test, and opens exceptions for those that fail.
    async fn ask_audits(&self, tests: &[String]) -> Result<(), RoundError> {
        let (reader, tests, at) = (self.ledger.reader()?, tests.to_vec(), now());
        let asked = tokio::task::spawn_blocking(move || round(&reader, &tests, at)).await;
        let failures = asked.unwrap_or_else(|panicked| std::panic::resume_unwind(panicked.into_panic()))?;
        for Failure { owner, reason, scope } in failures {
            tracing::warn!(%scope, %reason, "an audit test fails");
            let exception = self.opening(ExceptionKind::Audit, scope, bounded(reason), now());
            self.note(Context::system().into(), ExceptionRecord { owner, ..exception }).await?;
        }
        Ok(())
    }
}

/// A sentence that a record takes.
fn bounded(mut text: String) -> String {
    let end = (0..=SENTENCE_BYTES_MAX.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text.truncate(end);
    text
}

/// What fails that no open exception says already.
fn round(reader: &Reader, tests: &[String], at: Timestamp) -> Result<Vec<Failure>, ReadError> {
    let known = Known::read(reader)?;
    let end = reader.query(&Filter::everything(), Order::NewestFirst, Some(1))?.first().map_or(0, |last| last.seq);
    let narrowed = Filter::Term(Term::After(at.plus_micros(-AUDIT_WATCHED_US)));
    let mut failures = Vec::new();
    let mut fails = |scope: String, owner: &str, reason: String| {
        if !known.is_open(&scope) {
            failures.push(Failure { owner: owner.to_owned(), reason, scope });
        }
    };
    for name in tests {
        let file = match AuditFile::find(name, at) {
            Ok(file) => file,
            Err(error) => {
                fails(format!("audit:{name}"), "operator", error.to_string());
                continue;
            }
        };
        for test in &file.tests {
            let name = format!("audit:{}/{}", file.audit, test.name);
            let scope = Scope { end, narrowed: narrowed.clone(), now: at, settled: known.settled(&name), shown: 1 };
            match judge(reader, &test.expectation, &scope) {
                Ok(judged) if judged.failures == 0 => {}
                Ok(judged) => fails(name, &file.owner, told(&test.title, &test.expectation, &judged)),
                Err(error) => fails(name, &file.owner, format!("\"{}\" could not be asked: {error}", test.title)),
            }
        }
    }
    Ok(failures)
}

/// What is wrong, in a sentence.
fn told(title: &str, expectation: &Expectation, judged: &Judged) -> String {
    match judged.first.first() {
        Some(first) => format!(
            "\"{title}\": {} of {} records fail; the first is record {}, since {}",
            judged.failures, judged.population, first.seq, first.why
        ),
        None => format!("\"{title}\": {} records match, and {}", judged.population, expectation.told()),
    }
}

/// How the exceptions of audit tests stand, by what they are about.
#[derive(Default)]
struct Known {
    by_scope: HashMap<String, Standing>,
    scopes: HashMap<ExceptionId, String>,
}

/// The exceptions of one test.
#[derive(Default)]
struct Standing {
    closed_at: Option<Timestamp>,
    open: usize,
}

impl Known {
    fn read(reader: &Reader) -> Result<Self, ReadError> {
        let mut known = Self::default();
        reader.visit(&Filter::Term(Term::Kind(vec![ExceptionKind::Audit])), Order::OldestFirst, |record| {
            if let Body::Exception(exception) = &record.body {
                known.take(exception, record.recorded_at);
            }
            ControlFlow::Continue(())
        })?;
        Ok(known)
    }

    fn take(&mut self, exception: &ExceptionRecord, at: Timestamp) {
        match exception.event {
            // What a person opens by hand says nothing of a test.
            ExceptionEvent::Opened if exception.who.is_none() => {
                self.scopes.insert(exception.exception, exception.scope.clone());
                self.by_scope.entry(exception.scope.clone()).or_default().open += 1;
            }
            ExceptionEvent::Closed => {
                if let Some(scope) = self.scopes.remove(&exception.exception) {
                    let standing = self.by_scope.entry(scope).or_default();
                    standing.open = standing.open.saturating_sub(1);
                    standing.closed_at = Some(at);
                }
            }
            ExceptionEvent::Mitigated | ExceptionEvent::Opened | ExceptionEvent::Reviewed => {}
        }
    }

    fn is_open(&self, scope: &str) -> bool {
        self.by_scope.get(scope).is_some_and(|standing| standing.open > 0)
    }

    /// When what failed was settled last.
    fn settled(&self, scope: &str) -> Option<Timestamp> {
        self.by_scope.get(scope).and_then(|standing| standing.closed_at)
    }
}
