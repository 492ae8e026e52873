//! Cedar's spelling of texts, patterns and comparisons.

use std::fmt::Write as _;

use evidence::decimal::Number;

/// A Cedar string literal. Everything but plain ASCII is escaped, so that the policy shows what it compares.
pub(super) fn literal(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for character in text.chars() {
        push(&mut out, character);
    }
    out.push('"');
    out
}

/// A Cedar pattern for `like`. In `text`, `*` is a wildcard.
pub(super) fn pattern(text: &str) -> String {
    literal(text)
}

/// A Cedar pattern that matches `text` itself and whatever follows it.
pub(super) fn starts_with(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 3);
    out.push('"');
    for character in text.chars() {
        match character {
            '*' => out.push_str("\\*"),
            _ => push(&mut out, character),
        }
    }
    out.push_str("*\"");
    out
}

/// A Cedar set of string literals.
pub(super) fn set(texts: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let literals: Vec<String> = texts.into_iter().map(|text| literal(text.as_ref())).collect();
    format!("[{}]", literals.join(", "))
}

/// That one of `alternatives` holds. Written as a balanced tree: Cedar's evaluator nests with the depth of an expression and refuses deep ones.
pub(super) fn any_of(alternatives: &[String]) -> String {
    match alternatives {
        [] => "false".to_owned(),
        [one] => one.clone(),
        many => {
            let (left, right) = many.split_at(many.len() / 2);
            format!("({} || {})", any_of(left), any_of(right))
        }
    }
}

/// That all of `conditions` hold, as balanced as [`any_of`].
pub(super) fn all_of(conditions: &[String]) -> String {
    match conditions {
        [] => "true".to_owned(),
        [one] => format!("({one})"),
        many => {
            let (left, right) = many.split_at(many.len() / 2);
            format!("({} && {})", all_of(left), all_of(right))
        }
    }
}

/// That the number of these attributes, its whole and the rest in 10^-18, is from `min` to `max`, both included.
pub(super) fn within(whole: &str, atto: &str, min: Number, max: Number) -> String {
    let (low, low_atto) = (min.whole(), min.atto());
    let (high, high_atto) = (max.whole(), max.atto());
    let above = if low_atto == 0 {
        format!("{whole} >= {low}")
    } else {
        format!("({whole} > {low} || ({whole} == {low} && {atto} >= {low_atto}))")
    };
    let below = format!("({whole} < {high} || ({whole} == {high} && {atto} <= {high_atto}))");
    format!("{above} && {below}")
}

fn push(out: &mut String, character: char) {
    match character {
        '"' | '\\' => {
            out.push('\\');
            out.push(character);
        }
        ' '..='~' => out.push(character),
        _ => {
            let _ = write!(out, "\\u{{{:x}}}", u32::from(character));
        }
    }
}
