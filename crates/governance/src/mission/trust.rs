//! Which parts of what a tool returns only its service writes, and which of its arguments name something that it acts on.
//!
//! What a mission says, ready to be asked: it is read and compiled elsewhere, and what a run has seen is not known here. Nothing said means untrusted, and a target.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use evidence::decimal::Number;

use super::email::addresses;
use super::identifier::identifier;
use super::path::normal_path;
use super::source::name_of;
use super::url::WebUrl;

/// Which parts of what one tool returns only its service writes.
///
/// A field is named by the names of members on the way to it, of which the last ones are enough; lists are passed through. It covers everything below it. Of two
/// that cover a value the longer one holds, of two as long the one that distrusts.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Trust {
    pub(crate) whole: bool,
    pub(crate) fields: BTreeMap<Vec<Arc<str>>, bool>,
}

/// What is known of the trust in a value from the fields that it stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reach {
    /// Names of the field that says so; 0 is the result as a whole.
    names: usize,
    /// Whether only the service writes it.
    pub(crate) is_trusted: bool,
}

impl Reach {
    /// What holds where both cover a value.
    pub(crate) fn and(self, other: Self) -> Self {
        if self.yields_to(other) { other } else { self }
    }

    const fn yields_to(self, other: Self) -> bool {
        other.names > self.names || (other.names == self.names && self.is_trusted)
    }
}

impl Trust {
    /// Nothing of what it returns: the default.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Everything that it returns, but for fields that are distrusted.
    #[must_use]
    pub fn all() -> Self {
        Self { whole: true, fields: BTreeMap::new() }
    }

    /// Trusts a field as well, by the names on the way to it. Without names nothing changes.
    #[must_use]
    pub fn trusting(self, field: impl IntoIterator<Item = impl Into<Arc<str>>>) -> Self {
        self.saying(field, true)
    }

    /// Distrusts a field, by the names on the way to it. Without names nothing changes.
    #[must_use]
    pub fn distrusting(self, field: impl IntoIterator<Item = impl Into<Arc<str>>>) -> Self {
        self.saying(field, false)
    }

    fn saying(mut self, field: impl IntoIterator<Item = impl Into<Arc<str>>>, is_trusted: bool) -> Self {
        let names: Vec<Arc<str>> = field.into_iter().map(Into::into).collect();
        if !names.is_empty() {
            self.fields.insert(names, is_trusted);
        }
        self
    }

    /// Whether nothing of a result can be trusted.
    #[must_use]
    pub fn is_none(&self) -> bool {
        !self.whole && self.fields.values().all(|is_trusted| !is_trusted)
    }

    /// Whether only the service writes the value at `path`: the names of members on the way from the top of the result, lists passed through.
    #[must_use]
    pub fn of(&self, path: &[impl AsRef<str>]) -> bool {
        self.reach(path).is_trusted
    }

    /// What holds at `path`, from the top.
    pub(crate) fn reach(&self, path: &[impl AsRef<str>]) -> Reach {
        (1..=path.len()).fold(self.top(), |above, end| self.below(above, path.get(..end).unwrap_or_default()))
    }

    /// Where a walk over a result begins.
    pub(crate) const fn top(&self) -> Reach {
        Reach { names: 0, is_trusted: self.whole }
    }

    /// What holds at `path`, where `above` holds for the member that it is in.
    pub(crate) fn below(&self, above: Reach, path: &[impl AsRef<str>]) -> Reach {
        let mut best = above;
        for (field, is_trusted) in &self.fields {
            let here = Reach { names: field.len(), is_trusted: *is_trusted };
            if best.yields_to(here) && ends_with(path, field) {
                best = here;
            }
        }
        best
    }
}

fn ends_with(path: &[impl AsRef<str>], field: &[Arc<str>]) -> bool {
    path.len() >= field.len() && path.iter().rev().zip(field.iter().rev()).all(|(one, other)| one.as_ref() == &**other)
}

/// What an argument is for the tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// What is written or asked: it may come from anywhere.
    Content,
    /// What is acted on, or where it goes.
    Target,
}

/// What an argument is that the mission says nothing of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Others {
    /// What its name and kind say: see [`Role::of_text`] and [`Role::of_number`].
    ByName,
    /// A target.
    Targets,
}

/// Which arguments of one tool name something that it acts on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Targets {
    arguments: BTreeMap<Arc<str>, Role>,
    others: Others,
    /// The exact values that the mission lists, by argument.
    listed: BTreeMap<Arc<str>, BTreeSet<Arc<str>>>,
    payload: bool,
}

impl Targets {
    /// Those of a tool whose arguments have rules: all that [`Self::set`] does not make content.
    #[must_use]
    pub const fn ruled() -> Self {
        Self { arguments: BTreeMap::new(), others: Others::Targets, listed: BTreeMap::new(), payload: false }
    }

    /// Those of a tool without rules for its arguments: by their names.
    #[must_use]
    pub const fn unruled() -> Self {
        Self { arguments: BTreeMap::new(), others: Others::ByName, listed: BTreeMap::new(), payload: false }
    }

    /// Says what the argument at the rule path `argument` is, and everything below it of which nothing else is said.
    pub fn set(&mut self, argument: Arc<str>, role: Role) {
        self.arguments.insert(argument, role);
    }

    /// Takes `value` for one that the mission names, in the spelling of its rule: text as it is, numbers as exact decimals, addresses, URLs and paths in their one
    /// spelling.
    pub fn list(&mut self, argument: Arc<str>, value: Arc<str>) {
        self.listed.entry(argument).or_default().insert(value);
    }

    /// Traces links in content too.
    pub const fn watch_payload(&mut self) {
        self.payload = true;
    }

    /// Whether links in content are traced.
    #[must_use]
    pub const fn watches_payload(&self) -> bool {
        self.payload
    }

    /// Whether nothing of a call is to be traced.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let has_targets = self.others == Others::ByName || self.arguments.values().any(|role| *role == Role::Target);
        !has_targets && !self.payload && !self.arguments.is_empty()
    }
}

impl Targets {
    /// What the value at the rule path `argument` is: as is said of it, else of the nearest that it is a field of, else by the default.
    pub(crate) fn role(&self, argument: &str, is_number: bool) -> Role {
        let mut at = argument;
        loop {
            if let Some(role) = self.arguments.get(at) {
                return *role;
            }
            match at.rsplit_once('/').filter(|_| at.starts_with('/')) {
                Some((parent, _)) if parent.rfind('/') == Some(0) => {
                    let name = name_of(parent);
                    let top = if name.starts_with('/') { parent } else { name.as_str() };
                    return self.arguments.get(top).copied().unwrap_or_else(|| self.other(argument, is_number));
                }
                Some((parent, _)) if !parent.is_empty() => at = parent,
                _ => return self.other(argument, is_number),
            }
        }
    }

    /// Whether something is said of the argument itself.
    pub(crate) fn speaks_of(&self, argument: &str) -> bool {
        self.arguments.contains_key(argument)
    }

    fn other(&self, argument: &str, is_number: bool) -> Role {
        match self.others {
            Others::Targets => Role::Target,
            Others::ByName if is_number => Role::of_number(&name_of(argument)),
            Others::ByName => Role::of_text(&name_of(argument)),
        }
    }

    /// Whether the mission lists exactly the text `value` for the argument, in the spelling of one of its rules.
    pub(crate) fn lists_text(&self, argument: &str, value: &str) -> bool {
        let Some(listed) = self.listed.get(argument) else { return false };
        let has = |text: &str| listed.contains(text);
        has(value)
            || identifier(value).is_ok_and(|name| has(&name))
            || normal_path(value).is_ok_and(|path| has(&path))
            || WebUrl::parse(value).is_ok_and(|url| has(&url.to_string()))
            || addresses(value).is_ok_and(|found| !found.is_empty() && found.iter().all(|address| has(address)))
    }

    /// Whether the mission lists exactly the number that `value` spells in JSON.
    pub(crate) fn lists_number(&self, argument: &str, value: &str) -> bool {
        let Some(listed) = self.listed.get(argument) else { return false };
        listed.contains(value) || Number::parse(value).is_ok_and(|number| listed.contains(number.to_string().as_str()))
    }
}

/// Words at the end of a name that say: this is what is written, asked or when it is.
const CONTENT: [&str; 60] = [
    "abstract",
    "agenda",
    "answer",
    "bio",
    "body",
    "caption",
    "comment",
    "comments",
    "content",
    "contents",
    "date",
    "day",
    "deadline",
    "description",
    "details",
    "due",
    "end",
    "excerpt",
    "explanation",
    "feedback",
    "headline",
    "heading",
    "html",
    "instructions",
    "introduction",
    "keyword",
    "keywords",
    "markdown",
    "memo",
    "message",
    "messages",
    "minute",
    "month",
    "note",
    "notes",
    "preface",
    "prompt",
    "q",
    "query",
    "question",
    "reason",
    "remark",
    "remarks",
    "review",
    "search",
    "sentence",
    "start",
    "statement",
    "subject",
    "subtitle",
    "summary",
    "text",
    "texts",
    "time",
    "timestamp",
    "timezone",
    "title",
    "topic",
    "week",
    "year",
];

/// Words at the end of a name that say: this number names something.
const NAMING: [&str; 14] = [
    "account",
    "card",
    "guid",
    "iban",
    "id",
    "identifier",
    "ids",
    "key",
    "no",
    "number",
    "phone",
    "recipient",
    "ref",
    "uuid",
];

impl Role {
    /// What a text is by the name of its argument: a target, unless its last word is one for content, as in `body`, `noteText` or `start_time`.
    #[must_use]
    pub fn of_text(name: &str) -> Self {
        if CONTENT.contains(&last_word(name).as_str()) { Self::Content } else { Self::Target }
    }

    /// What a number is by the name of its argument: content, unless its last word is one for names, as in `id`, `order_id` or `issueNumber`.
    #[must_use]
    pub fn of_number(name: &str) -> Self {
        if NAMING.contains(&last_word(name).as_str()) { Self::Target } else { Self::Content }
    }
}

/// The last word of a name in any of the usual spellings, in lower case: `id` of `order_id`, `order-id`, `orderId` and `orderID`. A number at the end belongs to none.
fn last_word(name: &str) -> String {
    let name = name.trim_end_matches(|character: char| !character.is_alphabetic());
    let mut word: Vec<char> = Vec::new();
    for character in name.chars().rev() {
        let is_start = match word.last() {
            // From behind: what was seen last stands after `character`.
            Some(after) => {
                after.is_uppercase() && (character.is_lowercase() || word.iter().any(|one| one.is_lowercase()))
            }
            None => false,
        };
        if is_start || !character.is_alphabetic() {
            break;
        }
        word.push(character);
    }
    word.iter().rev().flat_map(|character| character.to_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_field_that_covers_a_value_says_whether_it_is_trusted() {
        let fields = |whole: Trust| {
            whole
                .trusting(["sender"])
                .trusting(["bank", "iban"])
                .distrusting(["iban"])
                .distrusting(["customer"])
                .trusting(["customer", "contact", "email"])
        };
        let mail = fields(Trust::none());
        let erp = fields(Trust::all());
        for (path, of_mail, of_erp) in [
            (vec![], false, true),
            (vec!["body"], false, true),
            (vec!["sender"], true, true),
            (vec!["result", "sender"], true, true),
            (vec!["sender", "address"], true, true),
            (vec!["sender", "address", "iban"], false, false),
            (vec!["iban"], false, false),
            (vec!["bank", "iban"], true, true),
            (vec!["bank", "x", "iban"], false, false),
            (vec!["x", "bank", "iban", "country"], true, true),
            (vec!["customer", "sender"], false, false),
            (vec!["sender", "customer"], false, false),
            (vec!["customer", "contact", "phone"], false, false),
            (vec!["customer", "contact", "email"], true, true),
            (vec!["contact", "email"], false, true),
            (vec!["Sender"], false, true),
        ] {
            assert_eq!((mail.of(&path), erp.of(&path)), (of_mail, of_erp), "{path:?}");
        }
        assert!(Trust::none().is_none() && !mail.is_none() && !erp.is_none());
        assert!(Trust::none().distrusting(["a"]).is_none() && Trust::none().trusting([""; 0]).is_none());
    }

    #[test]
    fn names_say_what_is_content() {
        for (name, text, number) in [
            ("body", Role::Content, Role::Content),
            ("messageText", Role::Content, Role::Content),
            ("comment_body", Role::Content, Role::Content),
            ("HTMLBody", Role::Content, Role::Content),
            ("search-query", Role::Content, Role::Content),
            ("start_time", Role::Content, Role::Content),
            ("Description", Role::Content, Role::Content),
            ("line_2_text", Role::Content, Role::Content),
            ("message_id", Role::Target, Role::Target),
            ("orderId", Role::Target, Role::Target),
            ("orderID", Role::Target, Role::Target),
            ("id_", Role::Target, Role::Target),
            ("issue_number", Role::Target, Role::Target),
            ("content_type", Role::Target, Role::Content),
            ("recipients", Role::Target, Role::Content),
            ("amount", Role::Target, Role::Content),
            ("grid", Role::Target, Role::Content),
            ("", Role::Target, Role::Content),
            ("收件人", Role::Target, Role::Content),
        ] {
            assert_eq!((Role::of_text(name), Role::of_number(name)), (text, number), "{name}");
        }
    }

    #[test]
    fn what_is_said_of_an_argument_holds_for_its_fields() {
        let mut ruled = Targets::ruled();
        for (argument, role) in
            [("free", Role::Content), ("/free/to", Role::Target), ("/~1a/b", Role::Content), ("/~1x", Role::Content)]
        {
            ruled.set(argument.into(), role);
        }
        for (argument, role) in [
            ("other", Role::Target),
            ("free", Role::Content),
            ("/free/x", Role::Content),
            ("/free/x/y/z", Role::Content),
            ("/free/to", Role::Target),
            ("/free/to/x", Role::Target),
            ("/freer/x", Role::Target),
            ("/~1a/b/c", Role::Content),
            ("/~1a/c", Role::Target),
            ("/~1x/y", Role::Content),
            ("/~1x/y/z", Role::Content),
            ("/", Role::Target),
            ("", Role::Target),
        ] {
            assert_eq!(ruled.role(argument, false), role, "{argument}");
        }
        let unruled = Targets::unruled();
        assert_eq!(unruled.role("/message/body", false), Role::Content);
        assert_eq!(unruled.role("/body/to", false), Role::Target);
        assert_eq!(unruled.role("/body/to", true), Role::Content);
        assert!(!unruled.is_empty() && !ruled.is_empty() && !Targets::ruled().is_empty());
        let mut content = Targets::ruled();
        content.set("text".into(), Role::Content);
        assert!(content.is_empty());
        content.watch_payload();
        assert!(!content.is_empty());
    }

    #[test]
    fn the_mission_names_what_it_lists_exactly() {
        let mut targets = Targets::ruled();
        for value in ["Prod", "ann@corp.example", "https://corp.example/a", "/srv/a", "3", "true"] {
            targets.list("to".into(), value.into());
        }
        for (value, is_listed) in [
            ("Prod", true),
            ("prod", false),
            ("Prods", false),
            ("ann@corp.example", true),
            ("Ann <ann@CORP.example>", true),
            ("ann@corp.example, eve@evil.example", false),
            ("https://CORP.example:443/a", true),
            ("https://corp.example/a?x=1", false),
            ("/srv//a", true),
            ("/srv/a/b", false),
            ("", false),
        ] {
            assert_eq!(targets.lists_text("to", value), is_listed, "{value}");
            assert!(!targets.lists_text("cc", value));
        }
        assert!(
            targets.lists_number("to", "3.0") && targets.lists_number("to", "3") && !targets.lists_number("to", "33")
        );
    }
}
