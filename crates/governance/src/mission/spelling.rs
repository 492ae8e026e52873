//! Characters that make a text mean one thing to the gateway and another to the tool: controls, invisible ones, and look-alikes of path punctuation.

/// The first thing in `text` that another reader may see differently.
pub(crate) fn ambiguity(text: &str) -> Option<&'static str> {
    text.chars().find_map(|character| {
        if character.is_control() {
            Some("a control character")
        } else if is_hidden(character) {
            Some("an invisible character")
        } else if is_look_alike(character) {
            Some("a look-alike of `.`, `/` or `\\`")
        } else {
            None
        }
    })
}

/// Whether a text for people and models holds what one of them does not see: control characters but for line breaks and tabs, marks that reorder or hide text. Joiners
/// and the selectors of pictures are no harm after a letter or picture of their kind.
#[must_use]
pub fn hides(text: &str) -> bool {
    let mut before = ' ';
    text.chars().any(|character| {
        let joins = matches!(character, '\u{200c}' | '\u{200d}' | '\u{fe0e}' | '\u{fe0f}') && !before.is_ascii();
        before = character;
        let is_odd = character.is_control() && !matches!(character, '\n' | '\r' | '\t');
        is_odd || (is_hidden(character) && !joins)
    })
}

/// Format characters of Unicode's general category Cf and the line separators: some programs drop them, after which their neighbours meet.
pub(crate) fn is_hidden(character: char) -> bool {
    matches!(character,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{e0000}'..='\u{e0fff}')
}

/// What Unicode's compatibility forms (NFKC) turn into `.`, `/` or `\`, or what fonts show as these.
fn is_look_alike(character: char) -> bool {
    matches!(
        character,
        '\u{2024}'..='\u{2026}' | '\u{2044}' | '\u{2100}' | '\u{2101}' | '\u{2105}' | '\u{2106}' | '\u{2215}' | '\u{2216}' | '\u{2488}'..='\u{249b}'
        | '\u{29f5}' | '\u{29f8}' | '\u{29f9}' | '\u{3002}' | '\u{fe19}' | '\u{fe30}' | '\u{fe52}' | '\u{fe68}' | '\u{ff0e}' | '\u{ff0f}' | '\u{ff3c}' | '\u{ff61}'
        | '\u{1f100}'
    )
}

/// Whether `text` holds a percent-encoding of a dot, slash, backslash, percent sign or control character, which a decoding reader would see and another not.
pub(super) fn encodes_structure(text: &str) -> bool {
    text.split('%').skip(1).any(|after| {
        let mut digits = after.bytes().map(|byte| char::from(byte).to_digit(16));
        let (Some(Some(high)), Some(Some(low))) = (digits.next(), digits.next()) else { return false };
        matches!(high * 16 + low, 0..=0x1f | 0x25 | 0x2e | 0x2f | 0x5c | 0x7f)
    })
}

/// Whether a segment between slashes is `.` or `..`, or becomes one for a reader that trims spaces and quotes.
pub(super) fn is_dots(segment: &str) -> bool {
    let bare =
        segment.trim_matches(|character: char| character.is_whitespace() || matches!(character, '"' | '\'' | '`'));
    !bare.is_empty() && bare.chars().all(|character| character == '.' || character.is_whitespace())
}

/// A text that somebody else chose, short and visible enough for a message.
pub(crate) fn brief(text: &str) -> String {
    const SHOWN: usize = 60;
    let mut short: String = text.chars().take(SHOWN).map(visible).collect();
    if text.chars().nth(SHOWN).is_some() {
        short.push('…');
    }
    short
}

fn visible(character: char) -> String {
    if character.is_control() || is_hidden(character) {
        character.escape_unicode().to_string()
    } else {
        character.to_string()
    }
}
