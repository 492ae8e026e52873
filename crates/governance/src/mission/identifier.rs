//! Identifiers as registers compare them: letters and digits alone, in capitals. `DE89 3704 0044` and `de89-3704-0044` are one.

/// The one spelling of an identifier.
pub(crate) fn identifier(text: &str) -> Result<String, &'static str> {
    let mut spelt = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            ' ' | '-' | '.' | '/' | ':' | '_' => {}
            _ if character.is_ascii_alphanumeric() => spelt.push(character.to_ascii_uppercase()),
            _ => return Err("an identifier with more than letters, digits and ` -./:_`"),
        }
    }
    if spelt.is_empty() { Err("an empty identifier") } else { Ok(spelt) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_have_one_spelling() {
        for text in ["DE89 3704 0044", "de89-3704-0044", "DE89.3704.0044", " DE8937040044"] {
            assert_eq!(identifier(text).as_deref(), Ok("DE8937040044"), "{text}");
        }
        for text in ["", "- -", "DE89\u{200b}3704", "ＤＥ89", "DE89,DE90", "DE89;", "DE89\n", "a@b"] {
            assert!(identifier(text).is_err(), "{text}");
        }
    }
}
