//! What goes over the wire of the content of calls that is kept.

use evidence::record::{Capture, Content};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Number;
use utoipa::ToSchema;

/// A whole number as JSON has it: `2.0` is one too.
fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    let Some(number) = Option::<Number>::deserialize(deserializer)? else { return Ok(None) };
    let decimal = number.as_f64().filter(|decimal| decimal.fract() == 0.0);
    // Below 2^53 nothing is lost on the way.
    let read = number.as_u64().or_else(|| decimal.and_then(|decimal| format!("{decimal:.0}").parse().ok()));
    let whole = read.and_then(|read| u32::try_from(read).ok());
    whole.map(Some).ok_or_else(|| D::Error::custom(format!("`{number}` is no whole number from 0 to {}", u32::MAX)))
}

/// The wish to open what is kept of the content of a call.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Opening {
    /// One attempt alone, of a call that took several.
    #[serde(default, deserialize_with = "whole")]
    #[schema(minimum = 1, maximum = 4_294_967_295_u32)]
    pub attempt: Option<u32>,
    /// One content alone.
    #[serde(default)]
    pub content: Option<Part>,
    /// Why: it is recorded.
    #[schema(
        min_length = 1,
        max_length = 1024,
        pattern = "[^\\u0000-\\u0020\\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]"
    )]
    pub why: String,
}

/// What of a call may be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// What the tool got.
    Arguments,
    /// What the agent got instead of what the tool returned.
    Delivered,
    /// What the tool returned.
    Result,
}

impl From<Part> for Content {
    fn from(part: Part) -> Self {
        match part {
            Part::Arguments => Self::Arguments,
            Part::Delivered => Self::Delivered,
            Part::Result => Self::Result,
        }
    }
}

impl From<Content> for Part {
    fn from(content: Content) -> Self {
        match content {
            Content::Arguments => Self::Arguments,
            Content::Delivered => Self::Delivered,
            Content::Result => Self::Result,
        }
    }
}

/// What was opened.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Contents {
    /// Each content, in the order of the log.
    pub contents: Vec<Kept>,
}

/// One content, as it is kept.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// Which attempt at the call.
    #[schema(minimum = 1)]
    pub attempt: u32,
    /// The kinds of data that were found in it.
    pub classes: Vec<String>,
    /// Which content.
    pub content: Part,
    /// Whether values of some classes were taken out of it.
    pub is_redacted: bool,
    /// The content: JSON.
    pub text: String,
}

impl From<gateway::content::Opened> for Kept {
    fn from(opened: gateway::content::Opened) -> Self {
        Self {
            attempt: opened.attempt,
            classes: opened.classes.iter().map(ToString::to_string).collect(),
            content: opened.content.into(),
            is_redacted: opened.mode != Capture::Sealed,
            text: opened.text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_is_a_whole_number_however_json_spells_it() {
        let attempt = |text: &str| {
            serde_json::from_str::<Opening>(&format!(r#"{{"attempt":{text},"why":"w"}}"#))
                .map(|opening| opening.attempt)
        };
        for text in ["2", "2.0", "20e-1"] {
            assert_eq!(attempt(text).unwrap(), Some(2), "{text}");
        }
        assert_eq!(attempt("null").unwrap(), None);
        for text in ["2.5", "-1", "4294967296", "1e300", "\"2\""] {
            assert!(attempt(text).is_err(), "{text}");
        }
    }
}
