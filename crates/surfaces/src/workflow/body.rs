//! What an automation sends: the step that it would do, and what became of one.
//!
//! A body is read as a message of MCP is: refused where two readers could understand it differently. The arguments keep their exact bytes, which is what an approval is
//! bound to.

use bytes::Bytes;
use governance::evidence::record::{Endpoint, Reported, Status, Surface, Tool};
use governance::execute::Outcome;
use governance::mission::hides;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::limits::{
    ACTION_BYTES_MAX, ENGINE_BYTES_MAX, NOTE_CHARS_MAX, REFERENCE_CHARS_MAX, ReadLimits, STEP_WAIT_S_MAX,
};
use crate::strict::{StrictError, strict_scan};

/// A step that an automation would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Its arguments in their exact bytes: a JSON object, or empty where none were sent.
    pub arguments: Bytes,
    /// What is asked for: an action of an engine.
    pub tool: Tool,
    /// For how many seconds the automation waits for people.
    pub wait_s: u64,
}

/// What an automation says became of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The report in its exact bytes.
    pub bytes: Bytes,
    /// What it added in words.
    pub note: Option<String>,
    /// A reference for what was done, of the automation's choice.
    pub reference: Option<String>,
    /// What became of it.
    pub status: Status,
}

/// What is wrong with a body.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyFault {
    /// It is no JSON text that everybody reads alike.
    #[error("the body is not read: {0}")]
    Json(#[from] StrictError),
    /// It is not of the form that belongs here.
    #[error("{0}")]
    Form(String),
    /// It says something that cannot be.
    #[error("`{field}` {why}")]
    Field {
        /// Of which field.
        field: &'static str,
        /// What is wrong with it, and how to mend it.
        why: String,
    },
}

impl Ask {
    /// Reads the body of a question.
    ///
    /// # Errors
    /// [`BodyFault`] says what is wrong and how to mend it.
    pub fn read(body: &[u8]) -> Result<Self, BodyFault> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Written<'a> {
            action: String,
            #[serde(borrow, default, deserialize_with = "there")]
            arguments: Option<&'a RawValue>,
            engine: String,
            #[serde(default)]
            wait_s: u64,
        }
        let Written { action, arguments, engine, wait_s } = read(body, ASK_FORM)?;
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let is_engine = (1..=ENGINE_BYTES_MAX).contains(&engine.len())
            && engine.starts_with(|first: char| first.is_ascii_alphanumeric())
            && engine.bytes().all(is_plain);
        if !is_engine {
            let why = format!(
                "is not the name of an engine; use at most {ENGINE_BYTES_MAX} letters, digits, `.`, `_` and `-`, as the mission has it"
            );
            return Err(BodyFault::Field { field: "engine", why });
        }
        if action.is_empty() || action.len() > ACTION_BYTES_MAX {
            let why = format!("has 1 to {ACTION_BYTES_MAX} bytes; name it as the mission does");
            return Err(BodyFault::Field { field: "action", why });
        }
        if wait_s > STEP_WAIT_S_MAX {
            let why = format!("is at most {STEP_WAIT_S_MAX}; ask about the approval again for longer");
            return Err(BodyFault::Field { field: "wait_s", why });
        }
        let arguments = arguments.map(|raw| raw.get().as_bytes()).unwrap_or_default();
        if !arguments.is_empty() && !arguments.starts_with(b"{") {
            return Err(BodyFault::Field { field: "arguments", why: "is an object of named arguments".to_owned() });
        }
        let tool =
            Tool { endpoint: Endpoint::Tool, name: action.into(), surface: Surface::Workflow, upstream: engine.into() };
        Ok(Self { arguments: Bytes::copy_from_slice(arguments), tool, wait_s })
    }
}

impl Report {
    /// Reads the body of a report.
    ///
    /// # Errors
    /// [`BodyFault`] says what is wrong and how to mend it.
    pub fn read(body: &[u8]) -> Result<Self, BodyFault> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Written {
            #[serde(default)]
            note: Option<String>,
            #[serde(default)]
            reference: Option<String>,
            status: String,
        }
        let Written { note, reference, status } = read(body, REPORT_FORM)?;
        let status = match status.as_str() {
            "done" => Status::Done,
            "failed" => Status::ToolError,
            "not_executed" => Status::NotExecuted,
            _ => {
                let why = "is `done`, `failed` or `not_executed`".to_owned();
                return Err(BodyFault::Field { field: "status", why });
            }
        };
        let note = worded("note", note, NOTE_CHARS_MAX)?;
        let reference = worded("reference", reference, REFERENCE_CHARS_MAX)?;
        Ok(Self { bytes: Bytes::copy_from_slice(body), note, reference, status })
    }

    /// The outcome that `agent` says it is. Its result is the report itself.
    #[must_use]
    pub fn outcome(self, agent: &str) -> Outcome {
        let Self { bytes, note, reference, status } = self;
        Outcome {
            examined: None,
            external_reference: reference,
            payload: Some(Bytes::from_static(b"{}")),
            reason: None,
            reported: Some(Reported { by: agent.into(), note: note.map(Into::into) }),
            result: Some(bytes),
            status,
        }
    }
}

const ASK_FORM: &str =
    r#"send `{"engine":"ENGINE","action":"ACTION","arguments":{...},"wait_s":SECONDS}`; the last two may be left out"#;

const REPORT_FORM: &str = r#"send `{"status":"done","reference":"...","note":"..."}`; the last two may be left out"#;

fn read<'a, T: Deserialize<'a>>(body: &'a [u8], form: &str) -> Result<T, BodyFault> {
    strict_scan(body, &ReadLimits::STEP)?;
    serde_json::from_slice(body)
        .map_err(|error| BodyFault::Form(format!("the body says something else: {error}; {form}")))
}

/// A value that is there, `null` being one.
fn there<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// Words for people: within bounds, and nothing in them that people do not see.
fn worded(field: &'static str, text: Option<String>, chars_max: usize) -> Result<Option<String>, BodyFault> {
    let Some(text) = text else { return Ok(None) };
    let why = match text.chars().count() {
        0 => "is empty; leave it out".to_owned(),
        count if count > chars_max => format!("has more than {chars_max} characters; say it shorter"),
        _ if hides(&text) => "has characters that people do not see; leave them out".to_owned(),
        _ => return Ok(Some(text)),
    };
    Err(BodyFault::Field { field, why })
}
