//! How much of a content is kept, and what is left of it without the values that are not.
//!
//! Says what is kept; where, and under which key, is not known here. Start at [`capture`].

use std::collections::BTreeSet;

use bytes::Bytes;
use evidence::record::{Capture, Captured, Content, Link, Unkept};

use super::deidentify::{Keys, Mark, deidentify};
use super::{Found, Place, is_opaque};
use crate::limits::CONTENT_BYTES_MAX;
use crate::mission::{CaptureRules, Treatment, UNCLASSIFIED};

/// What was done with a content, and where what is kept of it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// What was done.
    pub captured: Captured,
    /// What is kept, as it is kept; `None` where nothing is.
    pub link: Option<Link>,
}

/// What `rules` have kept of `content`, in which `found` was found: a JSON value. With what is to be kept; `None` where that is nothing.
///
/// For each value the strictest answer holds, and where one says that nothing is kept, nothing is. What takes the place of a value is its class and kind; a number becomes 0, and the
/// name of a member a hash, as in results that agents get.
#[must_use]
pub fn capture(
    content: &Bytes,
    which: Content,
    found: &Found,
    rules: &CaptureRules,
    keys: &Keys,
) -> (Captured, Option<Bytes>) {
    let opaque = (which != Content::Arguments && is_opaque(content)).then(|| UNCLASSIFIED.into());
    let classes: BTreeSet<_> = found.kinds().chain(opaque).collect();
    let strictest = classes.iter().map(|kind| rules.of(kind)).min().unwrap_or(rules.of_plain());
    let classes = classes.into_iter().collect();
    let kept = match strictest {
        Capture::Digest => Err(Unkept::Rule),
        Capture::Redacted | Capture::Sealed if content.len() > CONTENT_BYTES_MAX => Err(Unkept::TooLarge),
        Capture::Redacted => without(content, found, rules, keys),
        Capture::Sealed => Ok((Capture::Sealed, content.clone())),
    };
    match kept {
        Ok((mode, text)) => (Captured { classes, content: which, mode, reason: None }, Some(text)),
        Err(reason) => (Captured { classes, content: which, mode: Capture::Digest, reason: Some(reason) }, None),
    }
}

/// `content` without the values that are not kept. Where there are none, it is kept whole.
fn without(content: &Bytes, found: &Found, rules: &CaptureRules, keys: &Keys) -> Result<(Capture, Bytes), Unkept> {
    let mark = |place: &Place| {
        let (class, kind, range) = (place.class, place.kind.clone(), place.range.clone());
        (rules.of(&place.kind()) != Capture::Sealed).then_some((class, kind, range))
    };
    let places: Vec<_> = found.places().iter().filter_map(mark).collect();
    if places.is_empty() {
        return Ok((Capture::Sealed, content.clone()));
    }
    let marks: Vec<Mark<'_>> = places
        .iter()
        .map(|(class, kind, range)| Mark { class, kind, range: range.clone(), treatment: Treatment::Tag })
        .collect();
    // Nothing becomes a token, so that no mission's name is needed.
    let left = deidentify(content, &marks, "", keys).map_err(|_| Unkept::NotRedactable)?;
    if left.text.len() > CONTENT_BYTES_MAX {
        return Err(Unkept::TooLarge);
    }
    Ok((Capture::Redacted, left.text.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::deidentify::HashKey;
    use crate::classify::token::TokenKey;
    use crate::mission::parse_organisation;

    /// What is kept of arguments with a government number and a card, and why it is not more.
    fn kept(lines: &str) -> (Capture, Option<Unkept>, Option<String>) {
        let organisation = format!("organisation = \"corp\"\nwhy = \"First.\"\n[capture]\n{lines}\n");
        let organisation = parse_organisation(&organisation).unwrap();
        let content = Bytes::from_static(br#"{"card":"4111 1111","note":"hello","ssn":"536-22-8726"}"#);
        let place = |class, kind: &'static str, value: &[u8]| {
            let start = memchr::memmem::find(&content, value).unwrap();
            Place { class, kind: kind.into(), range: start..start + value.len() }
        };
        let found = Found::new(
            vec![place("financial", "credit_card", b"4111 1111"), place("pii", "us_ssn", b"536-22-8726")],
            true,
        );
        let keys = Keys { hash: HashKey::new([7; 32]), token: TokenKey::new([8; 64]) };
        let (captured, text) = capture(&content, Content::Arguments, &found, organisation.capture(), &keys);
        assert_eq!(
            captured.classes.iter().map(|kind| &**kind).collect::<Vec<_>>(),
            ["financial.credit_card", "pii.us_ssn"]
        );
        (captured.mode, captured.reason, text.map(|text| String::from_utf8(text.to_vec()).unwrap()))
    }

    #[test]
    fn the_strictest_answer_holds_for_each_value_and_one_that_keeps_nothing_for_all() {
        let all = r#"{"card":"4111 1111","note":"hello","ssn":"536-22-8726"}"#;
        let no_ssn = r#"{"card":"4111 1111","note":"hello","ssn":"[pii.us_ssn]"}"#;
        let neither = r#"{"card":"[financial.credit_card]","note":"hello","ssn":"[pii.us_ssn]"}"#;
        for (lines, mode, text) in [
            ("default = \"sealed\"", Capture::Sealed, Some(all)),
            ("default = \"sealed\"\npii = \"redacted\"", Capture::Redacted, Some(no_ssn)),
            ("default = \"redacted\"", Capture::Redacted, Some(neither)),
            ("default = \"redacted\"\nfinancial = \"sealed\"", Capture::Redacted, Some(no_ssn)),
            ("default = \"sealed\"\nfinancial = \"digest\"", Capture::Digest, None),
            ("pii = \"sealed\"", Capture::Digest, None),
            ("pii = \"redacted\"\nfinancial = \"sealed\"", Capture::Redacted, Some(no_ssn)),
        ] {
            let reason = (mode == Capture::Digest).then_some(Unkept::Rule);
            assert_eq!(kept(lines), (mode, reason, text.map(str::to_owned)), "{lines}");
        }
    }

    #[test]
    fn what_cannot_be_read_or_changed_or_is_too_large_is_not_kept() {
        let rules = |lines: &str| {
            let text = format!("organisation = \"corp\"\nwhy = \"First.\"\n[capture]\n{lines}\n");
            parse_organisation(&text).unwrap().capture().clone()
        };
        let keys = Keys { hash: HashKey::new([7; 32]), token: TokenKey::new([8; 64]) };
        let reason = |content: &Bytes, found: &Found, lines: &str| {
            capture(content, Content::Result, found, &rules(lines), &keys).0.reason
        };
        let plain = Bytes::from_static(br#"{"a":"536-22-8726"}"#);
        let unread = Found::new(Vec::new(), false);
        assert_eq!(reason(&plain, &unread, "default = \"redacted\""), Some(Unkept::Rule));
        assert_eq!(reason(&plain, &unread, "default = \"redacted\"\nunclassified = \"sealed\""), None);
        let picture = Bytes::from_static(br#"{"content":[{"type":"image","data":"iVBO","mimeType":"image/png"}]}"#);
        assert_eq!(reason(&picture, &Found::default(), "default = \"redacted\""), Some(Unkept::Rule));
        let broken = Bytes::from_static(br#"{"a":536228726"#);
        let ssn = Found::new(vec![Place { class: "pii", kind: "us_ssn".into(), range: 5..14 }], true);
        assert_eq!(reason(&broken, &ssn, "default = \"redacted\""), Some(Unkept::NotRedactable));
        let large = Bytes::from(vec![b' '; CONTENT_BYTES_MAX + 1]);
        assert_eq!(reason(&large, &Found::default(), "default = \"sealed\""), Some(Unkept::TooLarge));
    }
}
