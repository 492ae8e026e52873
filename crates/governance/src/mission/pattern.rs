//! Patterns that a text must match as a whole, by an engine whose time is linear in the text.
//!
//! Only what means the same to everybody who reads it is taken: no classes that hold the digits and letters of other scripts, and no flags.

use std::sync::Arc;

use regex::{Regex, RegexBuilder};
use regex_syntax::hir::{Class, Hir, HirKind};

use super::spelling::ambiguity;
use crate::limits::{PATTERN_BYTES_MAX, PATTERN_PROGRAM_BYTES_MAX};

/// A pattern, compiled. Equal where the texts are.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    regex: Regex,
    text: Arc<str>,
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}

impl Pattern {
    /// Compiles the text of a pattern. On an error, says what is wrong and how to mend it.
    pub(crate) fn parse(text: &str) -> Result<Self, (String, String)> {
        if text.is_empty() || text.len() > PATTERN_BYTES_MAX {
            let reason = format!("a pattern of {} bytes", text.len());
            return Err((reason, format!("write 1 to {PATTERN_BYTES_MAX}")));
        }
        if let Some((found, instead)) = doubtful(text) {
            return Err((format!("`{found}` in a pattern"), instead.to_owned()));
        }
        if let Some(what) = ambiguity(text) {
            return Err((format!("the pattern holds {what}"), "write what can be seen".to_owned()));
        }
        // `.` is every character but a line break; `^` and `$` are the ends, which stand there anyway.
        let regex = RegexBuilder::new(&format!("^(?:{text})$")).size_limit(PATTERN_PROGRAM_BYTES_MAX).build();
        let regex = regex.map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => {
                ("the pattern needs too much memory".to_owned(), "repeat less, or use `length`".to_owned())
            }
            error => (format!("not a pattern: {}", last_line(&error)), "write it as `INV-[0-9]{6}`".to_owned()),
        })?;
        Ok(Self { regex, text: text.into() })
    }

    /// The text of the pattern.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Some short texts that match.
    pub(crate) fn examples(&self) -> Vec<String> {
        let Ok(pattern) = regex_syntax::parse(&self.text) else { return Vec::new() };
        let mut texts = spelled(&pattern);
        texts.retain(|text| self.matches(text));
        texts
    }

    /// Whether all of `value` matches.
    pub(crate) fn matches(&self, value: &str) -> bool {
        self.regex.is_match(value)
    }
}

/// The most texts that are made of one pattern.
const EXAMPLES_MAX: usize = 8;

/// Some shortest texts that the piece of a pattern matches.
fn spelled(piece: &Hir) -> Vec<String> {
    let mut texts = match piece.kind() {
        HirKind::Empty | HirKind::Look(_) => vec![String::new()],
        HirKind::Literal(literal) => vec![String::from_utf8_lossy(&literal.0).into_owned()],
        HirKind::Class(Class::Unicode(class)) => class.iter().map(|range| range.start().to_string()).collect(),
        HirKind::Class(Class::Bytes(class)) => {
            class.iter().map(|range| char::from(range.start()).to_string()).collect()
        }
        HirKind::Repetition(repetition) => {
            let count = usize::try_from(repetition.min).unwrap_or_default().min(PATTERN_BYTES_MAX);
            spelled(&repetition.sub).iter().map(|text| text.repeat(count)).collect()
        }
        HirKind::Capture(capture) => spelled(&capture.sub),
        HirKind::Alternation(pieces) => pieces.iter().flat_map(spelled).collect(),
        HirKind::Concat(pieces) => pieces.iter().fold(vec![String::new()], |starts, piece| {
            let ends = spelled(piece);
            let joined = starts.iter().flat_map(|start| ends.iter().map(move |end| format!("{start}{end}")));
            joined.take(EXAMPLES_MAX).collect()
        }),
    };
    texts.truncate(EXAMPLES_MAX);
    texts
}

/// What is not taken, and what to write instead.
fn doubtful(text: &str) -> Option<(String, &'static str)> {
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let next = characters.peek().copied();
        match (character, next) {
            ('\\', Some(class @ ('b' | 'B' | 'd' | 'D' | 'p' | 'P' | 's' | 'S' | 'w' | 'W'))) => {
                let instead = "it means characters of other scripts too; write `[0-9]`, `[A-Za-z]` or `[ ]`";
                return Some((format!("\\{class}"), instead));
            }
            ('\\', Some(_)) => {
                characters.next();
            }
            ('(', Some('?')) => {
                let rest: String = characters.clone().take(2).collect();
                if rest != "?:" {
                    return Some((
                        format!("({rest}"),
                        "flags and names change what a pattern means; use `(...)` or `(?:...)`",
                    ));
                }
            }
            ('[', Some('[')) | ('[', Some(':')) => {
                return Some(("[[".to_owned(), "write one class, such as `[A-Za-z0-9-]`"));
            }
            _ => {}
        }
    }
    None
}

/// The engine's errors draw the pattern over several lines and say at the end what is wrong.
fn last_line(error: &regex::Error) -> String {
    let text = error.to_string();
    let line = text.lines().last().unwrap_or_default();
    line.trim_start_matches("error: ").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_matches_as_a_whole() {
        for (pattern, value, matches) in [
            ("INV-[0-9]{6}", "INV-000123", true),
            ("INV-[0-9]{6}", "INV-0001234", false),
            ("INV-[0-9]{6}", "xINV-000123", false),
            ("INV-[0-9]{6}", "INV-000123\n", false),
            ("INV-[0-9]{6}", "INV-00012\u{663}", false),
            ("a|b", "ab", false),
            ("a|b", "b", true),
            ("^a$", "a", true),
            (r"a\.b", "a.b", true),
            (r"a\.b", "axb", false),
            ("a.b", "a\nb", false),
            ("k", "\u{212a}", false),
        ] {
            assert_eq!(Pattern::parse(pattern).unwrap().matches(value), matches, "{pattern} on {value:?}");
        }
    }

    #[test]
    fn a_pattern_has_examples_that_match() {
        for (pattern, first) in
            [("INV-[0-9]{6}", "INV-000000"), ("[A-Z]{3}|[0-9]", "AAA"), ("(?:EU|CH)[1-9]*", "EU"), (r"a\.b?", "a.")]
        {
            let pattern = Pattern::parse(pattern).unwrap();
            let examples = pattern.examples();
            assert_eq!(examples.first().map(String::as_str), Some(first));
            assert!(examples.iter().all(|text| pattern.matches(text)), "{examples:?}");
        }
    }

    #[test]
    fn what_means_more_than_it_shows_is_refused() {
        for (pattern, says) in [
            ("", "a pattern of 0 bytes"),
            (r"\d+", r"`\d`"),
            (r"[\w-]+", r"`\w`"),
            (r"\p{L}", r"`\p`"),
            ("(?i)inv", "`(?i`"),
            ("(?P<x>a)", "`(?P`"),
            ("[[:alpha:]]", "`[[`"),
            ("a\u{200b}b", "an invisible character"),
            ("(", "unclosed group"),
            ("a**b{2,1}", "repetition"),
            ("((a{1000}){1000}){1000}", "too much memory"),
        ] {
            let (reason, suggestion) = Pattern::parse(pattern).unwrap_err();
            assert!(reason.contains(says) && !suggestion.is_empty(), "{pattern}: {reason}");
        }
        assert!(Pattern::parse(&"a".repeat(PATTERN_BYTES_MAX + 1)).is_err());
        assert!(Pattern::parse(r"(?:a\\b)\(?c").is_ok());
    }
}
