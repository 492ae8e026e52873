//! Exit codes are an interface: 0 done, 1 the answer is no, 2 usage, 3 could not.

use std::fmt::Display;
use std::process::ExitCode;

use gateway::control::{Blame, Refused};

/// How a command that ran ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Done,
    No,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Done => Self::SUCCESS,
            Exit::No => Self::from(1),
        }
    }
}

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    text: String,
}

impl Failure {
    /// The answer is no.
    pub(crate) fn no(text: impl Display) -> Self {
        Self { code: 1, text: text.to_string() }
    }

    /// The question was wrong.
    pub(crate) fn usage(text: impl Display) -> Self {
        Self { code: 2, text: text.to_string() }
    }

    /// Something failed.
    pub(crate) fn could_not(text: impl Display) -> Self {
        Self { code: 3, text: text.to_string() }
    }

    pub(crate) fn tell(self) -> ExitCode {
        eprintln!("countersign: {}", self.text);
        ExitCode::from(self.code)
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        match refused.blame {
            Blame::Asker => Self::usage(refused.text),
            Blame::Nobody => Self::no(refused.text),
            Blame::Operator => Self::could_not(refused.text),
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::could_not(error)
    }
}
