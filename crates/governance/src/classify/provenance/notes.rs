//! How values enter what is kept of a run. What nobody trusts enters in every spelling that it could come back in; what is trusted enters exactly, and only where
//! nothing of the kind was seen or sent before.

use super::leaves::{self, Reader};
use super::spelling::{ENCODED_CHARS_MIN, Groups, TELLING_CHARS, chars, compact, decoded, normal, squeezed, words};
use super::store::{Form, Mark, SourceNumber, Store};
use crate::limits::{SEEN_LEAF_BYTES_MAX, SEEN_PIECED_BYTES_MAX};
use crate::mission::{addresses, hides};

/// The longest text that is kept as a whole too, beside its words.
const WHOLE_BYTES_MAX: usize = 128;

/// The shortest piece: single letters would make up anything.
const PIECE_BYTES_MIN: usize = 2;

impl Store {
    /// Keeps a text that nobody trusts: its words, identifiers that stand in groups in it, what of it is encoded, and a short one as a whole.
    pub(super) fn note(&mut self, text: &str, mark: Mark, source: SourceNumber) {
        self.note_plain(text, mark, source, true);
        if text.contains('\\') && leaves::is_document(text) {
            let mut inner = Inner { mark, source, store: self };
            // What cannot be read has been noted as a text.
            let _ = leaves::read(text, (), &mut inner);
        }
    }

    fn note_plain(&mut self, text: &str, mark: Mark, source: SourceNumber, decodes: bool) {
        let mut groups = Groups::default();
        let (mut all, mut count, mut telling) = (Vec::new(), 0, 0);
        words(text, |raw, squeezed| {
            self.put_squeezed(squeezed, mark, source);
            groups.take(squeezed, |joined| self.put_squeezed(joined, mark, source));
            count += 1;
            telling += squeezed.len();
            if all.len() <= WHOLE_BYTES_MAX {
                all.extend_from_slice(squeezed);
            }
            let may_be_copy = decodes && (raw.len() >= ENCODED_CHARS_MIN || raw.len() > squeezed.len());
            if may_be_copy && let Some(copy) = decoded(raw) {
                self.note_plain(&copy, mark, source, false);
            }
        });
        groups.end(|joined| self.put_squeezed(joined, mark, source));
        if count > 1 && telling <= WHOLE_BYTES_MAX {
            self.put_squeezed(&all, mark, source);
        }
        if telling < TELLING_CHARS * 4 && chars(&all) < TELLING_CHARS {
            self.put(Form::Leaf, &normal(text), mark, source);
        }
    }

    fn put_squeezed(&mut self, squeezed: &[u8], mark: Mark, source: SourceNumber) {
        self.put_bytes(Form::Squeezed, squeezed, mark, source);
    }

    /// Keeps the pieces of a value that the agent sent: a service may join them. A piece is nobody's as soon as nobody named once what it stood in, but for parts of
    /// the initiator's words that do not stand alone.
    pub(super) fn note_pieces(&mut self, value: &str, is_named: bool) {
        let named = |is_named| if is_named { Mark::NamedPiece } else { Mark::Piece };
        let (all, count) = squeezed(value);
        if count == 1 {
            self.put_piece(&all, named(is_named));
        }
        words(value, |raw, squeezed| {
            let normal = normal(raw);
            let parts = parts(&normal).map(str::as_bytes).filter(|part| part.len() < squeezed.len());
            for piece in std::iter::once(squeezed).filter(|_| count > 1).chain(parts) {
                let is_part = self.find_bytes(Form::Part, piece).is_some();
                self.put_piece(piece, named(is_named || is_part));
            }
        });
    }

    fn put_piece(&mut self, piece: &[u8], mark: Mark) {
        if let Some(start) = piece.get(..PIECE_BYTES_MIN).filter(|_| piece.len() <= SEEN_PIECED_BYTES_MAX) {
            self.put_bytes(Form::Piece, piece, mark, SourceNumber::try_from(piece.len()).unwrap_or_default());
            self.put_bytes(Form::Start, start, mark, 0);
        }
    }

    /// Keeps a value that only its service writes, or says of it what is known already. Of `Ann <ann@corp.example>` the address is a value too.
    pub(super) fn trust(&mut self, text: &str, source: SourceNumber, is_selected: bool) {
        if self.has_gap() || text.len() > SEEN_LEAF_BYTES_MAX || hides(text) {
            return;
        }
        let normal = normal(text);
        self.trust_normal(&normal, source, is_selected);
        if normal.contains('@') {
            let addresses = addresses(text).unwrap_or_default();
            addresses
                .iter()
                .filter(|address| ***address != *normal)
                .for_each(|one| self.trust_normal(one, source, is_selected));
        }
    }

    fn trust_normal(&mut self, normal: &str, source: SourceNumber, is_selected: bool) {
        let known = self.find(Form::Leaf, normal).map(|(mark, _)| mark);
        if normal.is_empty() || known.is_some_and(|known| known != Mark::Trusted || !is_selected) {
            return;
        }
        // INVARIANT (no-laundering): what was seen elsewhere or sent before does not become trusted by coming back.
        let doubt = || self.doubt(normal).or_else(|| self.joined(normal).then_some((Mark::Sent, 0)));
        match if known.is_none() { doubt() } else { None } {
            Some((mark, source)) => self.put(Form::Leaf, normal, mark, source),
            None => {
                let mark = if is_selected { Mark::Selected } else { Mark::Trusted };
                self.put(Form::Leaf, normal, mark, source);
                if let Some(compact) = compact(normal) {
                    self.put(Form::Compact, &compact, mark, source);
                }
            }
        }
    }

    /// Where a value was seen that nobody trusts, in any spelling: the value itself, or all its words.
    pub(super) fn doubt(&self, normal: &str) -> Option<(Mark, SourceNumber)> {
        let (all, count) = squeezed(normal);
        if chars(&all) < TELLING_CHARS {
            return self.find(Form::Leaf, normal).filter(|(mark, _)| !mark.is_trusted());
        }
        let whole = self.find_bytes(Form::Squeezed, &all);
        whole.or_else(|| self.all_words(normal, count)).or_else(|| {
            let copy = decoded(normal)?;
            let (all, count) = squeezed(&copy);
            if chars(&all) < TELLING_CHARS {
                return None;
            }
            self.find_bytes(Form::Squeezed, &all).or_else(|| self.all_words(&copy, count))
        })
    }

    /// The worst of the words of a text, where every one is known; of as bad ones the longest, which tells most about where the text stands.
    fn all_words(&self, text: &str, count: usize) -> Option<(Mark, SourceNumber)> {
        if count < 2 {
            return None;
        }
        let (mut worst, mut longest, mut is_known) = (None, 0, true);
        words(text, |_, squeezed| {
            // One that is not known is enough.
            let found = if is_known { self.find_bytes(Form::Squeezed, squeezed) } else { None };
            is_known &= found.is_some();
            let is_worse = match (worst, found) {
                (None, _) | (Some((Mark::Untrusted, _)), Some((Mark::Sent, _))) => true,
                (Some((known, _)), Some((mark, _))) => known == mark && squeezed.len() > longest,
                (Some(_), None) => false,
            };
            if is_worse {
                (worst, longest) = (found, squeezed.len());
            }
        });
        worst.filter(|_| is_known)
    }

    /// Whether pieces that the agent sent make up all of a value, and nobody named one of them.
    fn joined(&self, normal: &str) -> bool {
        let (all, _) = squeezed(normal);
        if all.len() > SEEN_PIECED_BYTES_MAX || all.len() < TELLING_CHARS {
            return false;
        }
        // How far pieces reach from the start: with named ones only, and with one that nobody named.
        let mut reached = vec![(false, false); all.len() + 1];
        if let Some(first) = reached.first_mut() {
            first.0 = true;
        }
        for from in 0..all.len() {
            let Some((by_named, by_other)) = reached.get(from).copied().filter(|(named, other)| *named || *other)
            else {
                continue;
            };
            let start = all.get(from..from + PIECE_BYTES_MIN).unwrap_or_default();
            if start.is_empty() || self.find_bytes(Form::Start, start).is_none() {
                continue;
            }
            for to in (from + PIECE_BYTES_MIN..=all.len()).filter(|to| self.has_piece_of(to - from)) {
                let piece = all.get(from..to).unwrap_or_default();
                let Some((mark, _)) = self.find_bytes(Form::Piece, piece) else { continue };
                if let Some(end) = reached.get_mut(to) {
                    let is_named = mark == Mark::NamedPiece;
                    end.0 |= by_named && is_named;
                    end.1 |= by_other || (by_named && !is_named);
                }
            }
        }
        reached.last().is_some_and(|(_, other)| *other)
    }
}

/// Runs of letters and digits.
pub(super) fn parts(normal: &str) -> impl Iterator<Item = &str> {
    normal.split(|character: char| !character.is_alphanumeric()).filter(|part| part.len() >= PIECE_BYTES_MIN)
}

/// Reads JSON inside of a text.
struct Inner<'s> {
    mark: Mark,
    source: SourceNumber,
    store: &'s mut Store,
}

impl Reader for Inner<'_> {
    type Place = ();

    fn enter(&mut self, (): (), name: &str) {
        self.store.note_plain(name, self.mark, self.source, true);
    }

    fn leave(&mut self) {}

    fn text(&mut self, (): (), text: &str) {
        self.store.note_plain(text, self.mark, self.source, true);
    }

    fn number(&mut self, (): (), spelt: &str) {
        self.store.note_plain(spelt, self.mark, self.source, false);
    }

    fn vast_number(&mut self, (): ()) {}

    fn position(&self) -> usize {
        0
    }

    fn twice(&mut self, _: usize) {}

    fn is_full(&self) -> bool {
        false
    }
}
