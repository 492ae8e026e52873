//! Reads the arguments of one call into facets, by the plan of its rules.
//!
//! A value that cannot be read as its rule needs becomes `unparsed` with the reason, never the value. Facts about the arguments as a whole (not an object, the
//! same name twice, too many) stand under the empty name, which no rule can allow.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use evidence::decimal::{Number, NumberError};
use evidence::record::{Facet, FacetValue};
use evidence::time::Timestamp;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::returned::Returned;
use crate::limits::{ARGUMENTS_MAX, FACET_BYTES_MAX, FACETS_BYTES_MAX, LIST_ELEMENTS_MAX, NAME_BYTES_MAX};
use crate::mission::{
    Need, Plan, Source, WebUrl, addresses, ambiguity, argument_path, child_path, domain_of, identifier, kinds, moments,
    normal_path, words,
};

/// The name under which facts about the arguments as a whole stand.
pub(crate) const WHOLE: &str = "";

/// The `kind` of a value that could not be read.
pub(crate) const UNPARSED: &str = "unparsed";

/// The facts that `plan` needs of `arguments`, sorted by argument: one JSON object, or nothing at all. What values must have been returned is looked up in `returned`.
#[must_use]
pub fn facets(arguments: &[u8], plan: &Plan, returned: &Returned) -> Vec<Facet> {
    let members = match read_object(arguments) {
        Ok(members) => members,
        Err(why) => return whole(why),
    };
    let mut facts = Facts { bytes: 0, facets: Vec::new(), is_nested: false, plan, returned };
    for (name, value) in members {
        if facts.argument(argument_path(&name), &[value]).is_err() {
            return whole("more than the rules look at in one call");
        }
    }
    let mut facets = facts.facets;
    if facts.is_nested {
        facets.sort_unstable_by(|one, other| one.argument.cmp(&other.argument));
    }
    facets
}

/// More than the rules look at.
struct TooMuch;

/// Facts while they are gathered.
struct Facts<'p> {
    bytes: usize,
    facets: Vec<Facet>,
    is_nested: bool,
    plan: &'p Plan,
    returned: &'p Returned,
}

impl Facts<'_> {
    /// The fact about the argument at `path`, which stands in one value, or in one of each object of a list.
    fn argument(&mut self, path: Arc<str>, values: &[&RawValue]) -> Result<(), TooMuch> {
        let Some(need) = self.plan.need(&path) else { return Ok(()) };
        if need == Need::Fields {
            return self.fields(path, values);
        }
        let source = self.plan.source(&path);
        let look = Look { need, returned: self.returned, source };
        self.put(path, values.iter().flat_map(|value| look.facet_values(value)).collect())
    }

    fn put(&mut self, path: Arc<str>, values: Vec<FacetValue>) -> Result<(), TooMuch> {
        self.bytes += path.len() + values.iter().map(|value| value.text.len() + value.kind.len()).sum::<usize>();
        if self.bytes > FACETS_BYTES_MAX || self.facets.len() >= ARGUMENTS_MAX || values.len() > LIST_ELEMENTS_MAX {
            return Err(TooMuch);
        }
        self.facets.push(Facet { argument: path, values });
        Ok(())
    }

    /// An object, or a list of objects, and what its fields are.
    fn fields(&mut self, path: Arc<str>, values: &[&RawValue]) -> Result<(), TooMuch> {
        self.is_nested = true;
        let (mut kinds, mut objects) = (Vec::new(), Vec::new());
        for element in values.iter().flat_map(|value| elements(value.get())) {
            match element.and_then(|text| {
                if kind_of(text) == "object" { read_object(text.as_bytes()) } else { Err("not an object") }
            }) {
                Ok(members) => {
                    kinds.push(fact("object", ""));
                    objects.push(members);
                }
                Err(why) => kinds.push(unparsed(why)),
            }
        }
        self.put(path.clone(), kinds)?;
        let mut children: BTreeMap<Arc<str>, Vec<&RawValue>> = BTreeMap::new();
        for (name, value) in objects.iter().flatten() {
            children.entry(child_path(&path, name)).or_default().push(value);
        }
        let plan = self.plan;
        let incomplete: Vec<Arc<str>> = plan
            .demanded_of(&path)
            .filter(|child| children.get(*child).is_some_and(|values| values.len() < objects.len()))
            .cloned()
            .collect();
        for (child, values) in children {
            if incomplete.contains(&child) {
                self.put(child, vec![unparsed("missing in an element of a list")])?;
            } else {
                self.argument(child, &values)?;
            }
        }
        Ok(())
    }
}

/// The elements of a list, or the value itself.
fn elements(text: &str) -> Vec<Result<&str, &'static str>> {
    if !text.starts_with('[') {
        return vec![Ok(text)];
    }
    match serde_json::from_str::<Vec<&RawValue>>(text) {
        Ok(elements) if elements.is_empty() => vec![Err("an empty list")],
        Ok(elements) if elements.len() > LIST_ELEMENTS_MAX => vec![Err("a list longer than the rules look at")],
        Ok(elements) => elements.into_iter().map(|element| Ok(element.get())).collect(),
        Err(_) => vec![Err("not JSON")],
    }
}

fn whole(why: &'static str) -> Vec<Facet> {
    vec![Facet { argument: Arc::from(WHOLE), values: vec![unparsed(why)] }]
}

pub(super) fn read_object(arguments: &[u8]) -> Result<Members<'_>, &'static str> {
    if arguments.is_empty() {
        return Ok(Members::default());
    }
    let Object(members) = serde_json::from_slice(arguments).map_err(|_| "not one JSON object with distinct names")?;
    if members.len() > ARGUMENTS_MAX {
        return Err("more arguments than any tool takes");
    }
    if members.keys().any(|name| name.len() > NAME_BYTES_MAX) {
        return Err("the name of an argument is too long");
    }
    Ok(members)
}

pub(super) type Members<'a> = BTreeMap<Cow<'a, str>, &'a RawValue>;

/// A JSON object whose names are distinct once their escapes are resolved.
struct Object<'a>(Members<'a>);

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Distinct;
        impl<'de> Visitor<'de> for Distinct {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
                let mut members = Members::new();
                while let Some((Name(name), value)) = map.next_entry()? {
                    if members.insert(name, value).is_some() {
                        return Err(A::Error::custom("the same name twice"));
                    }
                }
                Ok(Object(members))
            }
        }
        deserializer.deserialize_map(Distinct)
    }
}

/// A name that borrows where it holds no escapes: `Cow` itself always copies.
#[derive(serde::Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// How one argument is looked at.
struct Look<'a> {
    need: Need,
    returned: &'a Returned,
    source: Option<&'a Source>,
}

impl Look<'_> {
    fn facet_values(&self, value: &RawValue) -> Vec<FacetValue> {
        let text = value.get();
        match self.need {
            Need::Presence => return vec![fact(kind_of(text), "")],
            // A list of words is one command line.
            Need::Command if text.starts_with('[') => return vec![of_words(text)],
            _ => {}
        }
        let elements = elements(text).into_iter();
        elements
            .flat_map(|element| match element {
                Ok(text) => self.facet_value(text),
                Err(why) => vec![unparsed(why)],
            })
            .collect()
    }

    fn facet_value(&self, text: &str) -> Vec<FacetValue> {
        // Six bytes of escape can stand for one of the value. A length is a fact of a few bytes, however long the text.
        if text.len() > FACET_BYTES_MAX * 6 + 2 && self.need != Need::Length {
            return vec![unparsed("longer than the rules look at")];
        }
        let is_scalar = matches!(self.need, Need::Returned | Need::Scalar);
        let value = match kind_of(text) {
            "null" => fact("null", ""),
            "list" => unparsed("a list inside a list"),
            "object" => unparsed("an object"),
            "bool" if is_scalar => fact("bool", text),
            "bool" => unparsed("true or false"),
            "number" if is_scalar || self.need == Need::Number => match Number::parse(text) {
                Ok(number) => fact("number", &number.to_string()),
                Err(NumberError::NotANumber) => unparsed("not a number"),
                Err(NumberError::TooFine) => unparsed("a number with more than 18 decimal places"),
                Err(NumberError::TooLarge) => unparsed("a number beyond 64 bits"),
            },
            "number" if self.need == Need::Identifier && text.bytes().all(|byte| byte.is_ascii_digit()) => {
                fact("identifier", text)
            }
            "number" => unparsed("a number"),
            _ => return self.text_values(text),
        };
        vec![self.returned(value)]
    }

    /// Whether the value was returned, instead of the value.
    fn returned(&self, value: FacetValue) -> FacetValue {
        match (self.need, self.source) {
            (Need::Returned, Some(_)) if *value.kind == *UNPARSED => value,
            (Need::Returned, source) => {
                let found = source.filter(|source| self.returned.has(source, &value));
                fact("returned", &found.map(ToString::to_string).unwrap_or_default())
            }
            _ => value,
        }
    }

    fn text_values(&self, text: &str) -> Vec<FacetValue> {
        let Ok(Name(value)) = serde_json::from_str(text) else {
            return vec![unparsed("not a text of valid characters")];
        };
        if value.len() > FACET_BYTES_MAX && self.need != Need::Length {
            return vec![unparsed("longer than the rules look at")];
        }
        let one = |read: Result<FacetValue, &'static str>| read.map(|fact| vec![fact]);
        let read = match self.need {
            Need::Command => words(&value).map(|words| vec![command(&words)]),
            Need::Domain => one(domain_of(&value).map(|domain| fact("domain", &domain))),
            Need::Email => addresses(&value).map(|found| found.iter().map(|address| fact("email", address)).collect()),
            Need::Fields => Err("a text"),
            Need::Identifier => one(identifier(&value).map(|name| fact("identifier", &name))),
            Need::Length => Ok(vec![fact("length", &value.chars().count().to_string())]),
            Need::Number => Err("a text"),
            Need::Path => one(normal_path(&value).map(|path| fact("path", &path))),
            Need::Presence => Ok(vec![fact("text", "")]),
            Need::Returned => Ok(vec![self.returned(fact("text", &value))]),
            Need::Scalar => Ok(vec![fact("text", &value)]),
            Need::Sql => kinds(&value).map(|kinds| kinds.into_iter().map(|kind| fact("sql", kind)).collect()),
            Need::Text => one(ambiguity(&value).map_or_else(|| Ok(fact("text", &value)), Err)),
            Need::Time => moments(&value).map(|(first, last)| [first, last].map(time).into()),
            Need::Url => one(WebUrl::parse(&value).map(|url| fact("url", &url.to_string()))),
        };
        read.unwrap_or_else(|why| vec![unparsed(why)])
    }
}

/// A command line that is sent as a list of its words.
fn of_words(text: &str) -> FacetValue {
    match serde_json::from_str::<Vec<Name<'_>>>(text) {
        Ok(words) if words.is_empty() => unparsed("an empty list"),
        Ok(words) if words.len() > LIST_ELEMENTS_MAX => unparsed("a list longer than the rules look at"),
        Ok(words) if words.iter().any(|Name(word)| ambiguity(word).is_some()) => {
            unparsed("a line break, or a control, invisible or look-alike character")
        }
        Ok(words) => command(&words.into_iter().map(|Name(word)| word.into_owned()).collect::<Vec<_>>()),
        Err(_) => unparsed("a list of more than texts"),
    }
}

fn command(words: &[String]) -> FacetValue {
    let text = serde_json::Value::from(words).to_string();
    if text.len() > FACET_BYTES_MAX { unparsed("longer than the rules look at") } else { fact("command", &text) }
}

fn time(at: Timestamp) -> FacetValue {
    fact("time", &at.to_string())
}

/// What kind of JSON value `text` is, by its first byte.
pub(super) fn kind_of(text: &str) -> &'static str {
    match text.as_bytes().first() {
        Some(b'"') => "text",
        Some(b'[') => "list",
        Some(b'{') => "object",
        Some(b'n') => "null",
        Some(b't' | b'f') => "bool",
        _ => "number",
    }
}

fn fact(kind: &str, text: &str) -> FacetValue {
    FacetValue { kind: kind.into(), text: text.into() }
}

fn unparsed(why: &'static str) -> FacetValue {
    fact(UNPARSED, why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::compile;
    use crate::mission;
    use evidence::record::{Endpoint, Surface, Tool};
    use proptest::prelude::*;

    /// The facets of a tool that has an argument for each rule, as `name=kind:text,kind:text`.
    fn read(arguments: &[u8]) -> Vec<String> {
        let source = "mission = 'm'\ngoal = 'g'\nowner = 'o'\nagents = ['bot']\nuntil = 2026-12-31\nwhy = 'w'
            [allow.mcp.s.tool]
            domain = { domain = ['corp.example'] }
            free   = { free = true }
            number = { min = 1, max = 2 }
            path   = { path = ['/srv'] }
            scalar = { in = ['a'] }";
        let policy = compile(Arc::new(mission::parse(source).unwrap())).unwrap();
        let tool = Tool { endpoint: Endpoint::Tool, name: "tool".into(), surface: Surface::Mcp, upstream: "s".into() };
        let shown = |value: &FacetValue| format!("{}:{}", value.kind, value.text);
        facets(arguments, policy.plan(&tool).unwrap(), &Returned::default())
            .iter()
            .map(|facet| format!("{}={}", facet.argument, facet.values.iter().map(shown).collect::<Vec<_>>().join(",")))
            .collect()
    }

    #[test]
    fn facets_are_typed_normal_and_sorted() {
        for (arguments, expected) in [
            ("", vec![]),
            ("{}", vec![]),
            (
                r#"{"scalar":"a","path":"/srv//a/","number":1.50e0,"free":"secret","domain":"A@Corp.Example"}"#,
                vec![
                    "domain=domain:corp.example",
                    "free=text:",
                    "number=number:1.5",
                    "path=path:/srv/a",
                    "scalar=text:a",
                ],
            ),
            (r#"{"scalar":[true,null,-0,"x"]}"#, vec!["scalar=bool:true,null:,number:0,text:x"]),
            (r#"{"free":{"password":"secret"}}"#, vec!["free=object:"]),
            (r#"{"free":["secret"]}"#, vec!["free=list:"]),
            (r#"{"other":"secret","another":7}"#, vec!["another=number:", "other=text:"]),
            (
                r#"{"path":"secret","number":"secret","domain":"secret secret","scalar":{"secret":1}}"#,
                vec![
                    "domain=unparsed:a space, control character or backslash",
                    "number=unparsed:a text",
                    "path=unparsed:not an absolute path",
                    "scalar=unparsed:an object",
                ],
            ),
            (r#"{"scalar":1e400}"#, vec!["scalar=unparsed:a number beyond 64 bits"]),
            (r#"{"scalar":1,"scalar":2}"#, vec!["=unparsed:not one JSON object with distinct names"]),
            ("null", vec!["=unparsed:not one JSON object with distinct names"]),
        ] {
            assert_eq!(read(arguments.as_bytes()), expected, "{arguments}");
        }
        assert_eq!(read(b"{\"scalar\":\"\xff\"}"), ["=unparsed:not one JSON object with distinct names"]);
    }

    #[test]
    fn facets_of_one_call_have_a_largest_size() {
        let long = format!("\"{}\"", "x".repeat(8000));
        let list = |count: usize| format!("{{\"scalar\":[{}]}}", vec![long.as_str(); count].join(","));
        assert!(read(list(32).as_bytes()).concat().len() > 250_000);
        assert_eq!(read(list(33).as_bytes()), ["=unparsed:more than the rules look at in one call"]);
    }

    proptest! {
        #[test]
        fn any_bytes_give_bounded_and_sorted_facets(text in r#"\{?("(scalar|path|number|domain|free|x)":(1|"a"|\[1,"/"\]|null|-|\{\}),?){0,6}\}?|\PC{0,40}"#) {
            let names: Vec<String> = read(text.as_bytes()).iter().filter_map(|facet| Some(facet.split_once('=')?.0.to_owned())).collect();
            let mut sorted = names.clone();
            sorted.sort();
            sorted.dedup();
            prop_assert_eq!(names, sorted);
        }
    }
}
