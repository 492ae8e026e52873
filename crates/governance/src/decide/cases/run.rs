//! What came before a case's call in its run, as far as it says who named what the call acts on, and which classes of data the run has met.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::{Arc, LazyLock};

use evidence::record::Tool;
use evidence::time::Timestamp;
use serde::Deserialize;
use toml::{Spanned, Value};

use super::{object, read_tool};
use crate::classify::detect::Detector;
use crate::classify::provenance::{Key, Seen};
use crate::classify::{Found, Place, is_opaque};
use crate::decide::{Arrival, PolicySnapshot};
use crate::mission::{OnResult, UNCLASSIFIED};

/// What came before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Run {
    /// Calls that were answered, in their order, after those of `sent`.
    pub earlier: Vec<Earlier>,
    /// The arguments of calls of which nothing came back that matters.
    pub sent: Vec<String>,
    /// What the initiator asked for.
    pub words: Option<Arc<str>>,
}

/// A call that was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Earlier {
    /// The exact text of its arguments; empty where they do not matter.
    pub arguments: String,
    /// The exact text of its result.
    pub result: String,
    /// What was called.
    pub tool: Tool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenResult {
    arguments: Option<Spanned<Value>>,
    result: Spanned<Value>,
    tool: Spanned<String>,
}

/// What a case says of it; else what is wrong, and where.
pub(super) fn read(
    seen: Vec<Spanned<WrittenResult>>,
    sent: Vec<Spanned<Value>>,
    words: Option<String>,
) -> Result<Run, (Range<usize>, String)> {
    let exact = |what: &str, value: &Spanned<Value>| object(what, value.as_ref()).map_err(|why| (value.span(), why));
    let sent = sent.iter().map(|value| exact("sent", value)).collect::<Result<_, _>>()?;
    let earlier = seen.into_iter().map(|seen| {
        let WrittenResult { arguments, result, tool } = seen.into_inner();
        Ok(Earlier {
            arguments: arguments.map(|arguments| exact("arguments", &arguments)).transpose()?.unwrap_or_default(),
            result: result_of(result.as_ref()).map_err(|why| (result.span(), why))?,
            tool: read_tool(tool.as_ref()).map_err(|why| (tool.span(), why))?,
        })
    });
    Ok(Run { earlier: earlier.collect::<Result<_, _>>()?, sent, words: words.map(Into::into) })
}

/// A result as a server sends it. A table stands for structured content, and a text for one block of text, unless it is a whole result by itself.
fn result_of(value: &Value) -> Result<String, String> {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    match value {
        Value::String(text) => {
            let members = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text).unwrap_or_default();
            let is_whole = ["content", "contents", "structuredContent"].iter().any(|name| members.contains_key(*name));
            Ok(if is_whole {
                text.clone()
            } else {
                format!(r#"{{"content":[{{"type":"text","text":{}}}]}}"#, quoted(text))
            })
        }
        table @ Value::Table(_) => {
            let structured = object("result", table)?;
            Ok(format!(r#"{{"content":[],"structuredContent":{structured}}}"#))
        }
        _ => Err("`result` is a table, a text, or a text with the exact result".to_owned()),
    }
}

/// Knows what everybody's detector knows, and nothing that an organisation has described itself.
pub(super) static DETECTOR: LazyLock<Detector> = LazyLock::new(Detector::default);

/// What `detector` finds in a message.
pub(super) fn found(detector: &Detector, message: &str) -> Found {
    Found::from(&detector.scan(message.as_bytes()))
}

impl Run {
    /// The kinds of data that a run has met after all of it, which was at `at`, of those that `detector` knows.
    pub(super) fn met(&self, policy: &PolicySnapshot, at: Timestamp, detector: &Detector) -> BTreeSet<Arc<str>> {
        let sent = self.sent.iter().chain(self.earlier.iter().map(|earlier| &earlier.arguments));
        let mut met: BTreeSet<Arc<str>> =
            sent.flat_map(|sent| found(detector, sent).kinds().collect::<Vec<_>>()).collect();
        for Earlier { result, tool, .. } in &self.earlier {
            let (found, of) = (found(detector, result), Arrival { at, tool });
            let is_opaque = (found.is_unread() || is_opaque(result.as_bytes())).then(|| Arc::from(UNCLASSIFIED));
            let labels = policy.labels(&found).into_iter().chain(is_opaque.clone());
            let is_withheld =
                labels.filter_map(|label| policy.on_result(&label, of)).any(|(does, _)| does == OnResult::Block);
            if !is_withheld {
                let stays = found.places().iter().filter(|place| policy.stays(place.class, &place.kind, of));
                met.extend(stays.map(Place::kind).chain(is_opaque));
            }
        }
        met
    }

    /// What a run has seen after all of it.
    pub(super) fn seen(&self, policy: &PolicySnapshot) -> Seen {
        // Nothing of it is kept, so nobody can try values.
        let mut seen = Seen::new(&Key::new([0; 16]));
        if let Some(words) = &self.words {
            seen.initiator(words);
        }
        self.sent.iter().for_each(|arguments| seen.sent(arguments.as_bytes()));
        for Earlier { arguments, result, tool } in &self.earlier {
            seen.sent(arguments.as_bytes());
            seen.returned(tool, &policy.trust(tool), arguments.as_bytes(), result.as_bytes());
        }
        seen
    }
}
