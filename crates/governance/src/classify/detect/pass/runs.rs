//! Runs of token characters: tokens themselves, or copies of a text.

use std::ops::Range;

use super::super::bytes::{at, before, class, class_of, part};
use super::super::masks::{capitals, hexadecimal};
use super::super::words::Interest;
use super::super::{Class, Evidence, decode, secret};
use super::{COPY_BYTES, Pass, REACH, RUN_BYTES, Raw, SURE, better, is_uuid, is_word, look, trimmed};
use crate::limits::DETECT_DEPTH_MAX;

impl Pass<'_> {
    /// Sixteen or more token characters from `place` on. Of what follows there, `word` has what words are made of, `digits` the digits.
    #[inline]
    pub(super) fn run(&mut self, place: usize, word: u64, digits: u64) {
        let length = word.trailing_ones();
        let end = place + length as usize;
        let goes_on = class::WORD | class::POINT | class::PLUS;
        let right = at(self.text, end);
        let sides = class_of(before(self.text, place)) | class_of(right);
        let is_length = matches!(length, 32 | 36 | 40);
        let is_written =
            length < 64 && digits << (63 - length) << 1 == 0 && capitals(self.text, place) << (63 - length) << 1 == 0;
        // Small letters are parts of paths where a path is around them, and no copy of a text.
        if is_written && !is_length && sides & (class::WORD | class::POINT) == 0 {
            self.run_end = end;
            return;
        }
        if is_length && sides & (class::WORD | class::POINT) == 0 && right != b'=' && self.is_id(place, end) {
            self.run_end = end;
        } else if length > 63 || sides & goes_on != 0 || right == b'=' {
            self.long_run(place);
        } else {
            self.run_end = end;
            self.candidate_run(place, end);
        }
    }

    /// A run that does not end in sight, or goes on with other characters.
    #[inline(never)]
    fn long_run(&mut self, place: usize) {
        let is_narrow = |byte: u8| class_of(byte) & (class::WORD | class::POINT) != 0;
        let end = self.while_ahead(place, RUN_BYTES, is_narrow);
        let start = self.while_behind(place, 512, is_narrow);
        self.run_end = end;
        self.candidate_run(start, end);
    }

    /// Whether a run is an id or a digest that nothing says more about, and no copy of a text either.
    #[inline(never)]
    fn is_id(&mut self, start: usize, end: usize) -> bool {
        let run = part(self.text, start, end);
        let is_uuid = is_uuid(run);
        if !is_uuid && (run.len() == 36 || (hexadecimal(self.text, start).trailing_ones() as usize) < run.len())
            || !self.is_left_alone(start)
        {
            return false;
        }
        // No digits in it are an identifier's either.
        self.cluster_end = self.cluster_end.max(end);
        is_uuid || decode::decode(run).is_none()
    }

    #[inline(never)]
    fn candidate_run(&mut self, start: usize, end: usize) {
        let run = part(self.text, start, end);
        if run.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.') && run.contains(&b'.') {
            // A fraction, or what machines are numbered with.
            return;
        }
        let wide_end =
            self.while_ahead(end, RUN_BYTES, |byte| class_of(byte) & (class::WORD | class::POINT | class::PLUS) != 0);
        let wide_start =
            self.while_behind(start, 512, |byte| class_of(byte) & (class::WORD | class::PLUS) != 0 || byte == b'.');
        let padded = self.while_ahead(wide_end, 2, |byte| byte == b'=');
        let narrow = trimmed(self.text, start, end);
        let wide = part(self.text, wide_start, padded);
        let whole = (wide_start < start || padded > end)
            && memchr::memchr(b'.', wide).is_none_or(|dot| dot + 2 >= wide.len())
            && memchr::memmem::find(wide, b"//").is_none();
        let candidate = if whole { wide_start..padded } else { narrow };
        let judged = &self.field.judged;
        // Whose name speaks for identifiers alone was not asked whether it is a secret.
        let is_asked = self.field.interest.has(Interest::SECRET.and(Interest::GENERIC));
        if is_asked
            && judged.start <= candidate.start
            && candidate.end <= judged.end
            && candidate.len() + 2 >= judged.len()
        {
            if before(self.text, candidate.start) == b':'
                && before(self.text, candidate.start - 1).is_ascii_digit()
                && let Some(found) = self.prefixed(&candidate)
            {
                self.keep(found);
            }
            self.copy(candidate, wide_start..padded);
            return;
        }
        if !self.is_hopeless(&candidate) {
            let mut found = self.secret(candidate.start, candidate.end);
            if found.is_none_or(|found| found.score < self.lexicon.threshold) {
                found = better(found, self.prefixed(&candidate));
                if wide_start < start || padded > end {
                    found = better(found, self.located(&candidate, wide_start, padded));
                }
            }
            // Addresses of wallets have few digits.
            if matches!(at(self.text, start), b'1' | b'3') && (26..=35).contains(&(end - start)) {
                found = better(found, self.identifier(start, end));
            }
            if let Some(found) = found {
                self.keep_of(found, end, end - start >= RUN_BYTES);
                if found.score >= SURE {
                    return;
                }
            }
        }
        self.copy(candidate, wide_start..padded);
    }

    /// Tokens with a number and a colon before them.
    fn prefixed(&mut self, candidate: &Range<usize>) -> Option<Raw> {
        let sign = before(self.text, candidate.start);
        if !matches!(sign, b':' | b'$' | b'!') {
            return None;
        }
        let start = self.while_behind(candidate.start - 1, 80, |byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'_' | b'$')
        });
        if start + 6 > candidate.start - 1 && sign != b'$' {
            return None;
        }
        let around = self.around(candidate.start, candidate.end);
        self.ask(secret::judge, start, candidate.end, &around, Evidence::SHAPE)
    }

    /// An address with a path that is a secret.
    fn located(&mut self, candidate: &Range<usize>, start: usize, end: usize) -> Option<Raw> {
        let slashes = memchr::memmem::find(part(self.text, start, end), b"//")?;
        let start = self.while_behind(start + slashes, 24, |byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'.' | b'-' | b':')
        });
        let end = self.while_ahead(end, REACH, |byte| {
            !byte.is_ascii_whitespace() && !matches!(byte, b'"' | b'<' | b'>' | b'`' | b'\'')
        });
        self.secret_among(start, end, candidate)
    }

    /// Words of prose and of source code that no token looks like.
    fn is_hopeless(&self, candidate: &Range<usize>) -> bool {
        let run = part(self.text, candidate.start, candidate.end);
        if is_uuid(run) || matches!(run.len(), 32 | 40 | 64 | 128) && run.iter().all(u8::is_ascii_hexdigit) {
            return self.is_left_alone(candidate.start);
        }
        if run.iter().any(u8::is_ascii_digit) {
            return false;
        }
        let is_key_id = run.len() == 20 && run.starts_with(b"A");
        let is_mixed = run.iter().any(u8::is_ascii_uppercase) && run.iter().any(u8::is_ascii_lowercase);
        run.len() < 20 || !is_key_id && !is_mixed
    }

    /// Whether ids and digests at `start` are what they look like: no word says otherwise.
    fn is_left_alone(&self, start: usize) -> bool {
        let mut behind = start;
        while matches!(before(self.text, behind), b'"' | b' ') && start - behind < 3 {
            behind -= 1;
        }
        let sign = before(self.text, behind);
        // Digits and a colon may be the start of a token.
        let is_prefixed = sign == b':' && behind == start && before(self.text, behind - 1).is_ascii_digit();
        self.field.interest.is_none() && matches!(sign, b'=' | b'/' | b':') && !is_prefixed
    }

    /// Looks at the text that a run is a copy of.
    fn copy(&mut self, candidate: Range<usize>, wide: Range<usize>) {
        if self.depth >= DETECT_DEPTH_MAX {
            return;
        }
        let range =
            if wide.len() > candidate.len() && memchr::memchr(b'.', part(self.text, wide.start, wide.end)).is_none() {
                wide
            } else {
                candidate
            };
        let range = self.lines(range);
        let Some((skipped, decoded)) = self.decoded(&range) else { return };
        let start = range.start + skipped;
        self.run_end = self.run_end.max(range.end);
        if !self.work.spend(decoded.bytes.len()) {
            return;
        }
        let inner = decoded.bytes.len();
        let mut found = look(&decoded.bytes, 0..inner, self.lexicon, self.recent, self.work, &mut None, self.depth + 1);
        found.retain(|raw| raw.score >= self.lexicon.threshold);
        let length = range.end - start;
        let place = |inner_place: usize| start + inner_place.saturating_mul(length) / inner.max(1);
        let whole = length <= COPY_BYTES || !decoded.even;
        let (own, found): (Vec<Raw>, Vec<Raw>) = found.into_iter().partition(|raw| raw.kind.class == Class::Org);
        for raw in own {
            let (from, to) = if whole { (start, range.end) } else { (place(raw.start), place(raw.end) + 3) };
            let from = from.saturating_sub(if whole { 0 } else { 2 }).max(start);
            let evidence = raw.evidence.and(Evidence::ENCODED);
            self.keep(Raw { start: from, end: to.min(range.end), evidence, ..raw });
        }
        let found = super::super::best(found);
        for (index, raw) in found.iter().enumerate() {
            let next = found.get(index + 1);
            let from = if whole && index == 0 { start } else { place(raw.start).saturating_sub(2) };
            let to = match next {
                None if whole => range.end,
                Some(next) if whole => place(next.start).saturating_sub(2),
                _ => (place(raw.end) + 3).min(range.end),
            };
            self.keep(Raw {
                start: from,
                end: to.max(from + 1),
                evidence: raw.evidence.and(Evidence::ENCODED),
                ..*raw
            });
        }
    }

    /// Looks at the text whose bytes are written one by one from `start` on. Says whether there is one.
    pub(super) fn spelt(&mut self, start: usize) -> bool {
        if self.depth >= DETECT_DEPTH_MAX {
            return false;
        }
        let Some((end, bytes)) = decode::spelt(self.text, start) else { return false };
        self.cluster_end = end;
        if self.work.spend(4 * bytes.len() + 64) {
            let inner = 0..bytes.len();
            let found = look(&bytes, inner, self.lexicon, self.recent, self.work, &mut None, self.depth + 1);
            for raw in found {
                self.keep(Raw { start, end, evidence: raw.evidence.and(Evidence::ENCODED), ..raw });
            }
        }
        true
    }

    /// What `range` decodes to, and how many of its bytes stand before that. A run that goes on from farther back may start anywhere in a group of four.
    fn decoded(&self, range: &Range<usize>) -> Option<(usize, decode::Decoded)> {
        let run = part(self.text, range.start, range.end);
        let in_the_middle = is_word(before(self.text, range.start));
        let tries = if in_the_middle { 4 } else { 1 };
        (0..tries).find_map(|skipped| {
            let run = run.get(skipped..)?;
            let cut = if range.len() >= RUN_BYTES { run.len() - run.len() % 4 } else { run.len() };
            Some((skipped, decode::decode(part(run, 0, cut))?))
        })
    }

    /// A run with the lines below that go on with it.
    fn lines(&self, range: Range<usize>) -> Range<usize> {
        let width = range.len();
        let mut end = range.end;
        if !(40..=100).contains(&width) {
            return range;
        }
        loop {
            let next = match (at(self.text, end), at(self.text, end + 1)) {
                (b'\n', _) => end + 1,
                (b'\r', b'\n') => end + 2,
                _ => break,
            };
            let line = self.while_ahead(next, width, |byte| {
                byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_')
            });
            let padded = self.while_ahead(line, 2, |byte| byte == b'=');
            if line == next || end - range.start > RUN_BYTES {
                break;
            }
            end = padded;
            if line - next < width {
                break;
            }
        }
        range.start..end
    }
}
