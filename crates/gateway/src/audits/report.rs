//! The report of audit tests: what held, what failed and which records, by test and by control.

use std::collections::BTreeMap;

use evidence::filter::Filter;
use evidence::time::Timestamp;
use serde::Serialize;
use store::{Order, ReadError, Reader};

use super::file::AuditFile;
use super::judge::{Failing, Judged, Scope, judge};

/// What audit tests found in a ledger. As JSON it is the control report.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The form of this object.
    pub report: u32,
    /// The head of the log as it was signed last; what came later is looked at too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<Head>,
    /// By control, how its tests stand.
    pub controls: BTreeMap<String, Vec<ControlTest>>,
    /// The files, in the order in which they were named.
    pub files: Vec<FileReport>,
    /// When it was made.
    pub made_at: Timestamp,
    /// How many records the log had.
    pub records: u64,
    /// What the records were narrowed to; empty for all.
    #[serde(rename = "where")]
    pub narrowed: String,
}

/// The head of a log.
#[derive(Clone, Debug, Serialize)]
pub struct Head {
    /// The log.
    pub origin: String,
    /// The root of its tree, in base64.
    pub root: String,
    /// How many records it covers.
    pub size: u64,
}

/// One test of a control.
#[derive(Clone, Debug, Serialize)]
pub struct ControlTest {
    /// The file.
    pub audit: String,
    /// The test.
    pub test: String,
    /// How it stands.
    pub verdict: Verdict,
}

/// What the tests of a file found.
#[derive(Clone, Debug, Serialize)]
pub struct FileReport {
    /// What it is about.
    pub about: String,
    /// Its name.
    pub audit: String,
    /// Who sees to what fails.
    pub owner: String,
    /// SHA-256 of its text.
    pub sha256: String,
    /// Its tests, in order.
    pub tests: Vec<TestReport>,
}

/// What one test found.
#[derive(Clone, Debug, Serialize)]
pub struct TestReport {
    /// What it asks of each record.
    pub asks: String,
    /// The controls that it is evidence for.
    pub controls: Vec<String>,
    /// Which records it is about, as a filter with dates.
    pub filter: String,
    /// What was found.
    #[serde(flatten)]
    pub judged: Judged,
    /// Its name.
    pub name: String,
    /// What must be so.
    pub title: String,
    /// How it stands.
    pub verdict: Verdict,
    /// Why there is no answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// How a test stands; the later ones weigh more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// There is no record that it is about, or each of them has time left.
    Nothing,
    /// It holds for each record that it is about.
    Held,
    /// It could not be asked.
    Unknown,
    /// At least one record fails.
    Failed,
}

impl Verdict {
    /// How it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Held => "held",
            Self::Nothing => "nothing",
            Self::Unknown => "unknown",
        }
    }
}

/// What is asked, beside the files.
#[derive(Clone, Debug)]
pub struct Wanted<'a> {
    /// What the records are narrowed to.
    pub narrowed: &'a Filter,
    /// When it is asked.
    pub now: Timestamp,
    /// How many of the records that fail a test are given out.
    pub shown: usize,
}

impl Report {
    /// Asks all tests of the files, and tells `progress` how many are done.
    ///
    /// # Errors
    /// [`ReadError`] where the ledger cannot be read at all. A test that cannot be asked says so itself.
    pub fn make(
        reader: &Reader,
        files: &[AuditFile],
        wanted: &Wanted<'_>,
        mut progress: impl FnMut(u64),
    ) -> Result<Self, ReadError> {
        let end = reader.query(&Filter::everything(), Order::NewestFirst, Some(1))?.first().map_or(0, |last| last.seq);
        let scope =
            Scope { end, narrowed: wanted.narrowed.clone(), now: wanted.now, settled: None, shown: wanted.shown };
        let mut done = 0;
        let mut reports = Vec::new();
        for file in files {
            let mut tests = Vec::new();
            for test in &file.tests {
                let (judged, why) = match judge(reader, &test.expectation, &scope) {
                    Ok(judged) => (judged, None),
                    Err(error) => (Judged::default(), Some(error.to_string())),
                };
                tests.push(TestReport {
                    asks: test.expectation.told(),
                    controls: test.controls.clone(),
                    filter: test.expectation.population().to_string(),
                    verdict: verdict(&test.expectation, &judged, why.is_some()),
                    judged,
                    name: test.name.clone(),
                    title: test.title.clone(),
                    why,
                });
                done += 1;
                progress(done);
            }
            reports.push(FileReport {
                about: file.about.clone(),
                audit: file.audit.clone(),
                owner: file.owner.clone(),
                sha256: file.sha256.clone(),
                tests,
            });
        }
        let checkpoint = reader.checkpoint()?.map(|signed| Head {
            origin: signed.checkpoint.origin.to_string(),
            root: base64(&signed.checkpoint.root),
            size: signed.checkpoint.size,
        });
        Ok(Self {
            report: 1,
            checkpoint,
            controls: by_control(&reports),
            files: reports,
            made_at: wanted.now,
            records: end,
            narrowed: if *wanted.narrowed == Filter::everything() {
                String::new()
            } else {
                wanted.narrowed.to_string()
            },
        })
    }

    /// Every test, with its file.
    pub fn tests(&self) -> impl Iterator<Item = (&FileReport, &TestReport)> {
        self.files.iter().flat_map(|file| file.tests.iter().map(move |test| (file, test)))
    }

    /// How many tests stand so.
    #[must_use]
    pub fn count(&self, verdict: Verdict) -> usize {
        self.tests().filter(|(_, test)| test.verdict == verdict).count()
    }

    /// The records that fail, each once, in the order of the log.
    #[must_use]
    pub fn failing(&self) -> Vec<&Failing> {
        let all = self.tests().flat_map(|(_, test)| &test.judged.first);
        let by_seq: BTreeMap<u64, &Failing> = all.map(|failing| (failing.seq, failing)).collect();
        by_seq.into_values().collect()
    }
}

fn base64(bytes: &[u8]) -> String {
    use ::base64::Engine as _;
    ::base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// How a test stands that found this.
pub(super) fn verdict(expectation: &super::Expectation, judged: &Judged, is_unknown: bool) -> Verdict {
    match judged {
        _ if is_unknown => Verdict::Unknown,
        judged if judged.failures > 0 => Verdict::Failed,
        // That there is none is what it is about.
        _ if matches!(expectation, super::Expectation::None(_)) => Verdict::Held,
        judged if judged.population == judged.waiting => Verdict::Nothing,
        _ => Verdict::Held,
    }
}

fn by_control(files: &[FileReport]) -> BTreeMap<String, Vec<ControlTest>> {
    let mut controls: BTreeMap<String, Vec<ControlTest>> = BTreeMap::new();
    for file in files {
        for test in &file.tests {
            for control in &test.controls {
                controls.entry(control.clone()).or_default().push(ControlTest {
                    audit: file.audit.clone(),
                    test: test.name.clone(),
                    verdict: test.verdict,
                });
            }
        }
    }
    controls
}
