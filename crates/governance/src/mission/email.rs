//! The addresses in a text that mail programs read as recipients, each in one spelling.
//!
//! One address, `Name <address>`, or several of these with commas between. What two mail programs could read differently (a name that looks like an address, comments,
//! groups, escapes, encoded words, routes) has none. Domains are as [`super::domain`] reads them.

use std::fmt::{self, Display};
use std::sync::Arc;

use super::domain::domain_of;
use super::rule::DomainPattern;
use super::spelling::ambiguity;
use crate::limits::LIST_ELEMENTS_MAX;

/// One address, every address of a domain, or every address below one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct EmailPattern {
    /// The part before the `@`, in lower case; any where there is none.
    pub(crate) local: Option<Arc<str>>,
    pub(crate) domain: DomainPattern,
}

impl EmailPattern {
    /// Reads `ann@corp.example`, `*@corp.example` or `*@*.corp.example`.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let Some((local, domain)) = text.rsplit_once('@') else { return Err("it has no `@`") };
        let (name, is_below) = domain.strip_prefix("*.").map_or((domain, false), |name| (name, true));
        let read = address(&format!("{}@{name}", if local == "*" { "any" } else { local }))?;
        let (read_local, name) = read.rsplit_once('@').unwrap_or_default();
        let domain = if is_below { DomainPattern::Subdomains(name.into()) } else { DomainPattern::Exact(name.into()) };
        Ok(Self { local: (local != "*").then(|| read_local.into()), domain })
    }

    /// Whether every address of `narrow` is one of this.
    pub(crate) fn holds(&self, narrow: &Self) -> bool {
        let is_local = self.local.is_none() || self.local == narrow.local;
        is_local && super::contain::holds_domain(&self.domain, &narrow.domain)
    }
}

impl Display for EmailPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let local = self.local.as_deref().unwrap_or("*");
        match &self.domain {
            DomainPattern::Exact(domain) => write!(f, "{local}@{domain}"),
            DomainPattern::Subdomains(domain) => write!(f, "{local}@*.{domain}"),
        }
    }
}

/// Every address in `text`, in lower case with its domain in ASCII; at least one.
pub(crate) fn addresses(text: &str) -> Result<Vec<String>, &'static str> {
    if ambiguity(text).is_some() {
        return Err("a control, invisible or look-alike character in an address");
    }
    let mut found = Vec::new();
    for mailbox in mailboxes(text)? {
        if found.len() == LIST_ELEMENTS_MAX {
            return Err("more addresses than the rules look at");
        }
        found.push(mailbox_address(mailbox.trim_matches(' '))?);
    }
    Ok(found)
}

/// The parts between the commas outside of quotes.
fn mailboxes(text: &str) -> Result<Vec<&str>, &'static str> {
    let (mut parts, mut start, mut is_quoted) = (Vec::new(), 0, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'"' => is_quoted = !is_quoted,
            b',' if !is_quoted => {
                parts.push(text.get(start..at).unwrap_or_default());
                start = at + 1;
            }
            _ => {}
        }
    }
    if is_quoted {
        return Err("a quote that does not end");
    }
    parts.push(text.get(start..).unwrap_or_default());
    Ok(parts)
}

/// The address of `address` or `Name <address>`.
fn mailbox_address(mailbox: &str) -> Result<String, &'static str> {
    let Some((name, rest)) = mailbox.split_once('<') else { return address(mailbox) };
    let Some(inner) = rest.strip_suffix('>') else { return Err("text after an address in angle brackets") };
    let name = name.trim_matches(' ');
    let bare = match name.strip_prefix('"') {
        Some(quoted) => quoted.strip_suffix('"').ok_or("a name that is only partly in quotes")?,
        None if name.contains([',', '.']) => return Err("a name with punctuation outside of quotes"),
        None => name,
    };
    if bare.contains('@') {
        return Err("a name that looks like an address");
    }
    if bare.contains(['"', '\\', '<', '>', '(', ')', '[', ']', ':', ';']) || bare.contains("=?") {
        return Err("a name that mail programs read differently");
    }
    address(inner)
}

/// One plain address in lower case.
fn address(text: &str) -> Result<String, &'static str> {
    let Some((local, _)) = text.rsplit_once('@') else { return Err("not an e-mail address") };
    if text.contains("://") {
        return Err("not one plain e-mail address");
    }
    let domain = domain_of(text)?;
    Ok(format!("{}@{domain}", local.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recipients_have_one_spelling() {
        for (text, expected) in [
            ("ann@corp.example", vec!["ann@corp.example"]),
            ("Ann+Tag@CORP.example.", vec!["ann+tag@corp.example"]),
            ("Ann Lee <ann@corp.example>", vec!["ann@corp.example"]),
            ("\"Lee, Ann (IT)\" <ann@corp.example>", vec![]),
            ("\"Lee, Ann\" <ann@corp.example>, bo@lab.example", vec!["ann@corp.example", "bo@lab.example"]),
            ("<ann@corp.example>", vec!["ann@corp.example"]),
            ("a@bücher.example", vec!["a@xn--bcher-kva.example"]),
            ("ann@corp.example,bo@lab.example", vec!["ann@corp.example", "bo@lab.example"]),
        ] {
            match addresses(text) {
                Ok(found) => assert_eq!(found, expected, "{text}"),
                Err(why) => assert!(expected.is_empty(), "{text}: {why}"),
            }
        }
    }

    #[test]
    fn what_mail_programs_read_differently_has_no_address() {
        for text in [
            "",
            " ",
            ",",
            "ann@corp.example,",
            "ann",
            "ann@corp.example bo@evil.example",
            "ann@corp.example;bo@evil.example",
            "ann@corp.example <bo@evil.example>",
            "\"ann@corp.example\" <bo@evil.example>",
            "ann@corp.example> <bo@evil.example",
            "Ann <ann@corp.example> bo@evil.example",
            "Ann <ann@corp.example><bo@evil.example>",
            "ann@corp.example (bo@evil.example)",
            "group: ann@corp.example, bo@evil.example;",
            "<@evil.example:ann@corp.example>",
            "\"ann\"@corp.example",
            "\"a\\\"\" <ann@corp.example>",
            "\"Ann <ann@corp.example>",
            "=?utf-8?q?a?= <ann@corp.example>",
            "ann@corp.example\r\nBcc: bo@evil.example",
            "ann@cor\u{200b}p.example",
            "ann@ｃorp.example",
            "mailto:ann@corp.example",
            "https://corp.example/@corp.example",
            "ann@evil.example@corp.example",
            "ann%evil.example@corp.example",
            "Lee, Ann <ann@corp.example>",
        ] {
            assert!(addresses(text).is_err(), "{text:?} gives {:?}", addresses(text));
        }
    }

    #[test]
    fn patterns_hold_what_they_say() {
        let parse = |text| EmailPattern::parse(text).unwrap();
        for (wide, narrow, holds) in [
            ("*@corp.example", "ann@corp.example", true),
            ("*@corp.example", "*@corp.example", true),
            ("*@*.corp.example", "ann@it.corp.example", true),
            ("*@*.corp.example", "ann@corp.example", false),
            ("ann@corp.example", "*@corp.example", false),
            ("ann@corp.example", "Ann@CORP.example", true),
            ("ann@corp.example", "ann+x@corp.example", false),
        ] {
            assert_eq!(parse(wide).holds(&parse(narrow)), holds, "{wide} {narrow}");
        }
        for text in
            ["corp.example", "@corp.example", "**@corp.example", "a*@corp.example", "*@*", "*@", "*@*.*.example"]
        {
            assert!(EmailPattern::parse(text).is_err(), "{text}");
        }
        assert_eq!(parse("*@*.Bücher.example").to_string(), "*@*.xn--bcher-kva.example");
    }
}
