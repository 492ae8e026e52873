//! Other arguments that a person proposes instead of those of a call, and which later calls are what was proposed.
//!
//! Whoever proposes arguments does not review the call that has them. An agent writes what it was told in its own way, and may add to it: so a call counts as the proposed one
//! where it has any value that the proposal brought in.

use std::collections::BTreeSet;
use std::sync::Arc;

use evidence::decimal::Number;
use evidence::ids::ApprovalId;
use evidence::leaf::sha256_hex;
use serde_json::Value;

use crate::limits::EDIT_BYTES_MAX;

/// Arguments that a person proposes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// The values that the call did not have; all of them, where something was only left out.
    brought: BTreeSet<Leaf>,
    is_all: bool,
    sha256: String,
    text: Arc<str>,
}

/// Where a value stands, places in lists left out, and the value.
type Leaf = (String, String);

/// That a call has what was proposed for another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Follows {
    /// The approval of the call that was edited.
    pub approval: ApprovalId,
    /// Who proposed it, and for whom.
    pub editors: Vec<Arc<str>>,
    /// Why, in their words.
    pub reason: String,
}

/// Why something is no proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// The call has none that could be compared.
    #[error("the arguments of the call are not here any more; deny it and say what you would approve")]
    Lost,
    /// It is no object.
    #[error("arguments are one JSON object, such as {{\"amount\": 500}}")]
    NoObject,
    /// It is too long.
    #[error("the arguments are longer than {EDIT_BYTES_MAX} bytes; deny the call and say what you would approve")]
    TooLong,
    /// It is what the call has.
    #[error("these are the arguments that the call has; change what you would have otherwise")]
    Unedited,
}

impl Edit {
    /// The proposal `text` for a call with the arguments `original`.
    ///
    /// # Errors
    /// [`EditError`].
    pub fn new(original: &str, text: &str) -> Result<Self, EditError> {
        if text.len() > EDIT_BYTES_MAX {
            return Err(EditError::TooLong);
        }
        let proposed = leaves(text.as_bytes()).ok_or(EditError::NoObject)?;
        let original = if original.is_empty() { "{}" } else { original };
        let original = leaves(original.as_bytes()).ok_or(EditError::Lost)?;
        if proposed == original {
            return Err(EditError::Unedited);
        }
        let brought: BTreeSet<Leaf> = proposed.difference(&original).cloned().collect();
        let is_all = brought.is_empty();
        let brought = if is_all { proposed } else { brought };
        Ok(Self { brought, is_all, sha256: sha256_hex(text.as_bytes()), text: text.into() })
    }

    /// SHA-256 of the exact text.
    #[must_use]
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// The exact text: one JSON object.
    #[must_use]
    pub const fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// Whether a call with these arguments has what is proposed. What cannot be read may have.
    #[must_use]
    pub fn is_in(&self, arguments: &[u8]) -> bool {
        let arguments = if arguments.is_empty() { b"{}" } else { arguments };
        leaves(arguments).is_none_or(|leaves| match self.is_all {
            true => leaves == self.brought,
            false => !leaves.is_disjoint(&self.brought),
        })
    }
}

/// The values of a JSON object; `None` where it is none.
fn leaves(object: &[u8]) -> Option<BTreeSet<Leaf>> {
    let value: Value = serde_json::from_slice(object).ok()?;
    value.is_object().then(|| {
        let mut leaves = BTreeSet::new();
        gather(&value, &mut String::new(), &mut leaves);
        leaves
    })
}

fn gather(value: &Value, place: &mut String, leaves: &mut BTreeSet<Leaf>) {
    let known = place.len();
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (name, value) in members {
                place.push('/');
                place.push_str(&name.replace('~', "~0").replace('/', "~1"));
                gather(value, place, leaves);
                place.truncate(known);
            }
        }
        Value::Array(elements) if !elements.is_empty() => {
            place.push_str("/*");
            elements.iter().for_each(|element| gather(element, place, leaves));
            place.truncate(known);
        }
        // The same number, however it is written.
        Value::Number(number) => {
            let text = number.to_string();
            let number = Number::parse(&text).map_or(text, |number| number.to_string());
            leaves.insert((place.clone(), number));
        }
        leaf => drop(leaves.insert((place.clone(), leaf.to_string()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALL: &str = r#"{"to":"DE89","amount":900,"tags":["a"]}"#;

    #[test]
    fn a_call_that_has_what_a_proposal_brought_in_is_the_proposed_one() {
        let edit = Edit::new(CALL, r#"{"to":"DE89","amount":500,"tags":["a"]}"#).unwrap();
        for same in [
            r#"{"to":"DE89","amount":500,"tags":["a"]}"#,
            r#"{ "tags" : [ "a" ], "amount" : 500.0, "to" : "DE89" }"#,
            r#"{"to":"DE89","amount":5e2}"#,
            r#"{"to":"AT61","amount":500,"memo":"x"}"#,
            "no json",
            "[500]",
        ] {
            assert!(edit.is_in(same.as_bytes()), "{same}");
        }
        for other in [CALL, r#"{"to":"DE89","amount":501}"#, r#"{"to":"DE89","count":500}"#, "{}", ""] {
            assert!(!edit.is_in(other.as_bytes()), "{other}");
        }
        let list = Edit::new(r#"{"to":["a","b"]}"#, r#"{"to":["b","c"]}"#).unwrap();
        assert!(list.is_in(br#"{"to":["c"]}"#) && !list.is_in(br#"{"to":["b","a"]}"#));
    }

    #[test]
    fn where_something_is_only_left_out_the_whole_is_what_is_proposed() {
        let edit = Edit::new(CALL, r#"{"to":"DE89","amount":900}"#).unwrap();
        assert!(edit.is_in(br#"{"amount":900,"to":"DE89"}"#));
        assert!(!edit.is_in(CALL.as_bytes()) && !edit.is_in(br#"{"amount":900}"#));
        let nothing = Edit::new(CALL, "{}").unwrap();
        assert!(nothing.is_in(b"") && nothing.is_in(b"{}") && !nothing.is_in(CALL.as_bytes()));
    }

    #[test]
    fn what_is_no_proposal_is_said() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(200), "]".repeat(200));
        for (text, error) in [
            ("", EditError::NoObject),
            ("[1]", EditError::NoObject),
            ("{\"a\":1} {}", EditError::NoObject),
            (&*deep, EditError::NoObject),
            (r#"{"amount":9e2,"tags":["a"],"to":"DE89"}"#, EditError::Unedited),
            (&*format!("{{\"a\":\"{}\"}}", "x".repeat(EDIT_BYTES_MAX)), EditError::TooLong),
        ] {
            assert_eq!(Edit::new(CALL, text).unwrap_err(), error, "{text:.40}");
        }
        assert_eq!(Edit::new("no json", "{}").unwrap_err(), EditError::Lost);
        assert!(Edit::new("", r#"{"a":1}"#).is_ok(), "a call without arguments has none");
    }
}
