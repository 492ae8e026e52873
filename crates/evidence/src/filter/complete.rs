//! What may stand at the end of a filter that somebody is typing: for shells and consoles.

use super::{Along, Field};

/// Times that are asked for most.
const TIMES: [&str; 5] = ["24h", "7d", "30d", "today", "yesterday"];

/// One way to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// The whole text, up to here.
    pub text: String,
    /// What that is, in a few words.
    pub about: &'static str,
}

/// Ways in which `text`, a filter up to where it is being typed, may go on: fields, joins, and the values of fields that have a closed set of them. None where any text fits.
#[must_use]
pub fn completions(text: &str) -> Vec<Completion> {
    let is_quoted = text.chars().filter(|c| *c == '"').count() % 2 == 1;
    if is_quoted {
        return Vec::new();
    }
    let start = text.rfind(|c: char| c.is_whitespace() || matches!(c, '(' | ')')).map_or(0, |at| at + 1);
    let (Some(before), Some(word)) = (text.get(..start), text.get(start..)) else { return Vec::new() };
    let Some((name, values)) = word.split_once(':') else { return words(before, word) };
    let Some(field) = Field::named(name) else { return Vec::new() };
    let last = values.rsplit(',').next().unwrap_or_default();
    let kept = word.strip_suffix(last).unwrap_or(word);
    let known = match field {
        Field::After | Field::Before | Field::On => TIMES.to_vec(),
        _ => field.words().unwrap_or_default(),
    };
    let fits = known.into_iter().filter(|value| value.starts_with(last));
    fits.map(|value| Completion { text: format!("{before}{kept}{value}"), about: field.value() }).collect()
}

/// Fields and joins that begin with `word`.
fn words(before: &str, word: &str) -> Vec<Completion> {
    let fields = Field::ALL.iter().map(|field| (format!("{}:", field.name()), field.matches()));
    let joins = Along::ALL.iter().map(|along| (format!("{}(", along.as_str()), "some record of the same one matches"));
    let all = fields.chain(joins).filter(|(name, _)| name.starts_with(word));
    all.map(|(name, about)| Completion { text: format!("{before}{name}"), about }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::Filter;

    fn texts(text: &str) -> Vec<String> {
        completions(text).into_iter().map(|completion| completion.text).collect()
    }

    #[test]
    fn a_filter_goes_on_where_it_is_typed() {
        assert_eq!(texts("deci"), ["decision:"]);
        assert_eq!(texts("decision:"), ["decision:allow", "decision:ask", "decision:deny"]);
        assert_eq!(texts("decision:allow,d"), ["decision:allow,deny"]);
        assert_eq!(
            texts("type:action_record not ca"),
            ["type:action_record not call:", "type:action_record not call("]
        );
        assert_eq!(texts("call(status:unk"), ["call(status:unknown"]);
        assert_eq!(texts("after:3"), ["after:30d"]);
        assert_eq!(texts("mission:pay"), [""; 0]);
        assert_eq!(texts("nothing:"), [""; 0]);
        assert_eq!(texts("\"deci"), [""; 0], "in quotes");
        assert_eq!(texts("").len(), Field::ALL.len() + Along::ALL.len());
    }

    #[test]
    fn values_that_are_offered_are_taken() {
        let now = "2026-11-27T00:00:00Z".parse().unwrap();
        for field in Field::ALL {
            for text in texts(&format!("{}:", field.name())) {
                assert!(Filter::parse_at(&text, now).is_ok(), "{text}");
            }
        }
    }
}
