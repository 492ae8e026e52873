//! The pattern of an own class: of bounded length, searched for in time that is linear in the text, and found as whole words only.

use regex::bytes::{Regex, RegexBuilder};
use regex_syntax::ParserBuilder;
use regex_syntax::hir::Look;

use crate::limits::{OWN_MATCH_BYTES_MAX, OWN_PATTERN_CACHE_BYTES_MAX, PATTERN_BYTES_MAX, PATTERN_PROGRAM_BYTES_MAX};

/// A pattern, compiled.
#[derive(Clone, Debug)]
pub(super) struct Pattern(Regex);

impl Pattern {
    /// Compiles the text of a pattern. On an error, says what is wrong and how to mend it, to stand behind `that`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() || text.len() > PATTERN_BYTES_MAX {
            return Err(format!("has {} bytes; write 1 to {PATTERN_BYTES_MAX}", text.len()));
        }
        // Forms of other scripts and of ornament are taken away before anything is searched for: digits are `0` to `9`.
        let parsed = ParserBuilder::new().unicode(false).utf8(false).build().parse(text);
        let parsed = parsed.map_err(|error| format!("is none: {}", last_line(&error)))?;
        let looks = parsed.properties().look_set();
        let ends = [Look::Start, Look::End, Look::StartLF, Look::EndLF, Look::StartCRLF, Look::EndCRLF];
        if ends.iter().any(|look| looks.contains(*look)) {
            return Err("has `^` or `$`; leave them out, it is found as a whole word anyway".to_owned());
        }
        match parsed.properties().minimum_len() {
            None => return Err("matches nothing".to_owned()),
            Some(0) => return Err("matches the empty text; write what must be there".to_owned()),
            Some(_) => {}
        }
        if parsed.properties().maximum_len().is_none_or(|length| length > OWN_MATCH_BYTES_MAX) {
            return Err(format!(
                "may match more than {OWN_MATCH_BYTES_MAX} bytes; write `{{1,64}}` in the place of `+` and `*`"
            ));
        }
        let regex = RegexBuilder::new(&format!(r"\b{{start-half}}(?:{text})\b{{end-half}}"))
            .unicode(false)
            .size_limit(PATTERN_PROGRAM_BYTES_MAX)
            .dfa_size_limit(OWN_PATTERN_CACHE_BYTES_MAX)
            .build();
        regex.map(Self).map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => "needs too much memory; repeat less".to_owned(),
            error => format!("is none: {}", last_line(&error)),
        })
    }

    /// The first match in `text` that begins at or behind `from`.
    pub(super) fn find(&self, text: &[u8], from: usize) -> Option<(usize, usize)> {
        if from > text.len() {
            return None;
        }
        let found = self.0.find_at(text, from)?;
        Some((found.start(), found.end()))
    }
}

fn last_line(error: &impl ToString) -> String {
    let text = error.to_string();
    text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
}
