//! Tokens that turn back: what stands for a value towards the agent, and becomes the value again towards a tool that may have it.
//!
//! A token is the value under AES-SIV (RFC 5297), deterministic and authenticated, with its class, its kind and the mission's name as associated data. Whoever has the text of
//! one learns the value's class, kind and length, and whether two are equal. A text that is no token of this key and mission is a text: nothing here is an error. Start at
//! [`TokenKey::tokens`]; where tokens turn back is said in [`turn_back`].

use std::fmt;
use std::ops::Range;

use aes_siv::KeyInit;
use aes_siv::siv::Aes256Siv;
use data_encoding::BASE32_NOPAD;
use memchr::memmem;
use zeroize::Zeroizing;

use super::deidentify::texts;
use crate::limits::{TOKEN_BYTES_MAX, TOKEN_VALUE_BYTES_MAX};
use crate::mission::CLASSES;

/// How every token begins.
const PREFIX: &str = "tok_";

/// What follows the token of an address, so that it is one too. It leads nowhere (RFC 2606).
const ADDRESS: &str = "@token.invalid";

/// The kind of values whose tokens are addresses.
const EMAIL: &str = "email";

/// The key of tokens, which is a home's own.
pub struct TokenKey(Zeroizing<[u8; 64]>);

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenKey").finish_non_exhaustive()
    }
}

/// A token that stands in a text.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// The class of its value.
    pub class: &'static str,
    /// Its kind.
    pub kind: String,
    /// Where it stands, in bytes of the text.
    pub range: Range<usize>,
    /// What it stands for.
    pub value: Zeroizing<String>,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { class, kind, range, .. } = self;
        f.debug_struct("Token").field("class", class).field("kind", kind).field("range", range).finish_non_exhaustive()
    }
}

impl TokenKey {
    /// Takes 64 random bytes for AES-SIV-CMAC-512.
    #[must_use]
    pub fn new(key: [u8; 64]) -> Self {
        Self(Zeroizing::new(key))
    }

    /// The token of a value in `mission`: letters, digits and `_`, and for an address what makes it one. `None` where the value is empty, too long, or has what some level of JSON
    /// would escape, or its class and kind cannot be written.
    #[must_use]
    pub fn token(&self, mission: &str, class: &str, kind: &str, value: &str) -> Option<String> {
        let class = CLASSES.into_iter().find(|known| *known == class)?;
        let is_short = (1..=TOKEN_VALUE_BYTES_MAX).contains(&value.len());
        if !is_short || !is_kind(kind) || !is_plain(value) {
            return None;
        }
        let sealed = self.cipher().encrypt(associated(mission, class, kind), value.as_bytes()).ok()?;
        let text = BASE32_NOPAD.encode(&sealed).to_ascii_lowercase();
        let token = format!("{PREFIX}{class}_{kind}_{text}");
        (token.len() <= TOKEN_BYTES_MAX).then(|| if kind == EMAIL { format!("{token}{ADDRESS}") } else { token })
    }

    /// The tokens of `mission` in `text`, in their order. What looks like one and is none is left out.
    #[must_use]
    pub fn tokens(&self, mission: &str, text: &[u8]) -> Vec<Token> {
        let (mut tokens, mut word_end, mut cipher) = (Vec::<Token>::new(), 0, None);
        for at in memmem::find_iter(text, PREFIX) {
            if tokens.last().is_some_and(|last| at < last.range.end) {
                continue;
            }
            // A word is read once, however many beginnings are in it.
            if word_end <= at {
                let rest = text.get(at..).unwrap_or_default();
                let is_part = |byte: &&u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || **byte == b'_';
                word_end = at + rest.iter().take_while(is_part).count();
            }
            let after = text.get(word_end..).unwrap_or_default();
            let word = text.get(at..word_end).filter(|word| word.len() <= TOKEN_BYTES_MAX);
            if let Some(word) = word.filter(|_| !after.first().is_some_and(u8::is_ascii_uppercase)) {
                let cipher = cipher.get_or_insert_with(|| self.cipher());
                tokens.extend(read(cipher, mission, word, after).map(|token| token.moved(at)));
            }
        }
        tokens
    }

    fn cipher(&self) -> Aes256Siv {
        Aes256Siv::new((&*self.0).into())
    }
}

impl Token {
    /// The same token of a text in which `before` bytes more stand before it.
    fn moved(self, before: usize) -> Self {
        let range = before + self.range.start..before + self.range.end;
        Self { range, ..self }
    }
}

/// Reads `word`, which stands before `after`, as a token; its range is that in the two.
fn read(cipher: &mut Aes256Siv, mission: &str, word: &[u8], after: &[u8]) -> Option<Token> {
    let length = word.len();
    let word = std::str::from_utf8(word).ok()?.strip_prefix(PREFIX)?;
    let is_of = |class: &&str| word.strip_prefix(class).is_some_and(|rest| rest.starts_with('_'));
    let class = CLASSES.into_iter().find(|class| is_of(class))?;
    let (kind, sealed) = word.strip_prefix(class)?.strip_prefix('_')?.rsplit_once('_')?;
    if !is_kind(kind) {
        return None;
    }
    let sealed = BASE32_NOPAD.decode(sealed.to_ascii_uppercase().as_bytes()).ok()?;
    let value = cipher.decrypt(associated(mission, class, kind), &sealed).ok()?;
    let value = Zeroizing::new(String::from_utf8(value).ok()?);
    if !is_plain(&value) {
        return None;
    }
    let is_address = kind == EMAIL && after.starts_with(ADDRESS.as_bytes());
    let end = if is_address { length + ADDRESS.len() } else { length };
    Some(Token { class, kind: kind.to_owned(), range: 0..end, value })
}

/// What a token is bound to beside its key, each part in an item of its own, so that none runs into the next.
fn associated<'a>(mission: &'a str, class: &'a str, kind: &'a str) -> [&'a [u8]; 4] {
    [b"countersign token 1", mission.as_bytes(), class.as_bytes(), kind.as_bytes()]
}

/// Whether a kind can stand in a token.
fn is_kind(kind: &str) -> bool {
    const KIND_BYTES_MAX: usize = 48;
    (1..=KIND_BYTES_MAX).contains(&kind.len())
        && kind.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

/// Whether no level of JSON escapes anything of a value.
fn is_plain(value: &str) -> bool {
    !value.contains(['"', '\\']) && !value.contains(char::is_control)
}

/// Arguments whose tokens turned back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TurnedBack {
    /// The arguments with the values.
    pub arguments: Vec<u8>,
    /// The tokens that turned back, in their order.
    pub tokens: Vec<Token>,
}

/// `arguments`, one JSON value, with the values in the place of those tokens of `mission` whose class `may_have` takes; `None` where none turns back.
///
/// Tokens turn back in texts, also inside of longer ones and in JSON inside of JSON; in the name of a member they do not, because two names must not become one, nor behind a
/// `\`, where the first letter is the rest of an escape (of a tab) at some level of JSON. Every other byte stays as it is.
#[must_use]
pub fn turn_back(
    arguments: &[u8],
    mission: &str,
    key: &TokenKey,
    may_have: impl Fn(&Token) -> bool,
) -> Option<TurnedBack> {
    memmem::find(arguments, PREFIX.as_bytes())?;
    let (mut turned, mut tokens, mut at) = (Vec::with_capacity(arguments.len()), Vec::new(), 0);
    for text in texts(arguments)? {
        let text_bytes = arguments.get(text.clone())?;
        for token in key.tokens(mission, text_bytes) {
            let is_escape = text_bytes.get(..token.range.start).is_some_and(|before| before.ends_with(b"\\"));
            if is_escape || !may_have(&token) {
                continue;
            }
            let token = token.moved(text.start);
            turned.extend_from_slice(arguments.get(at..token.range.start)?);
            turned.extend_from_slice(token.value.as_bytes());
            at = token.range.end;
            tokens.push(token);
        }
    }
    turned.extend_from_slice(arguments.get(at..)?);
    (!tokens.is_empty()).then_some(TurnedBack { arguments: turned, tokens })
}

#[cfg(test)]
mod tests;
