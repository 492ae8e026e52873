//! Looks into what calls bring and tools return: which classes of data are there, and what the mission makes of them.
//!
//! What is found and what becomes of it is said in `governance`; here are the detector, which is built once, and the home's key of hashes.

use std::sync::Arc;

use evidence::record::{ExceptionKind, Surface, Tool};
use governance::classify::deidentify::HashKey;
use governance::classify::detect::Detector;
use governance::classify::{Found, Place};
use governance::decide::PolicySnapshot;
use governance::execute::{Examined, Outcome, Release, examine};

use crate::Gateway;
use crate::home::Home;
use crate::refusals::Sort;
use crate::seal::{SealError, key_or_new};

/// What looks into messages.
#[derive(Debug)]
pub(crate) struct Examiner {
    detector: Detector,
    key: HashKey,
}

impl Examiner {
    /// With the home's key of hashes, which is made where there is none.
    pub(crate) fn open(home: &Home) -> Result<Self, SealError> {
        let path = home.path().join("keys/data.hmac");
        let key = key_or_new(&path)?.try_into().map_err(|_| SealError::Unsealed(path))?;
        Ok(Self { detector: Detector::default(), key: HashKey::new(key) })
    }

    fn found(&self, message: &[u8]) -> Found {
        let scan = self.detector.scan(message);
        let places = scan.findings().iter().map(|finding| Place {
            class: finding.kind.class.name(),
            kind: finding.kind.name,
            range: finding.start..finding.end,
        });
        Found::new(places.collect(), scan.is_complete())
    }
}

impl Gateway {
    /// The classes of data in `arguments`, sorted.
    pub(crate) fn classes(self: &Arc<Self>, policy: &PolicySnapshot, tool: &Tool, arguments: &[u8]) -> Vec<Arc<str>> {
        if !policy.classifies() {
            return Vec::new();
        }
        let found = self.examiner.found(arguments);
        self.note_unexpected(policy, tool, found.classes(), "its arguments hold");
        found.classes().to_vec()
    }

    /// `outcome`, looked into.
    pub(crate) fn looked_into(self: &Arc<Self>, policy: &PolicySnapshot, tool: &Tool, outcome: Outcome) -> Outcome {
        let Some(result) = outcome.result.as_ref().filter(|_| policy.classifies()) else { return outcome };
        let found = self.examiner.found(result);
        let outcome = match tool.surface {
            Surface::Change | Surface::Mcp => examine(outcome, policy, &found, &self.examiner.key),
            // What its automation reports of a step does not go on to anybody.
            Surface::Workflow => {
                let examined = Examined { classes: found.classes().to_vec(), release: Release::Pass };
                Outcome { examined: Some(examined), ..outcome }
            }
        };
        if let Some(examined) = &outcome.examined {
            self.note_unexpected(policy, tool, &examined.classes, "its result holds");
        }
        outcome
    }

    /// Opens an exception for each class that the mission does not expect: one for a class at a tool in a window, however often it is met.
    fn note_unexpected(self: &Arc<Self>, policy: &PolicySnapshot, tool: &Tool, found: &[Arc<str>], holds: &str) {
        for class in policy.unexpected(found) {
            let scope = format!("mission:{}", policy.mission().name());
            let sort = Sort { kind: ExceptionKind::Data, name: format!("{class} {tool}"), scope };
            let reason = format!("`{tool}`: {holds} data of class `{class}`, which the mission does not expect");
            self.note_refusal(sort, &reason);
        }
    }
}
