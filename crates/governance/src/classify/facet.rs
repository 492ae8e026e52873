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
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::limits::{ARGUMENTS_MAX, FACET_BYTES_MAX, FACETS_BYTES_MAX, LIST_ELEMENTS_MAX, NAME_BYTES_MAX};
use crate::mission::{Need, Plan, WebUrl, ambiguity, domain_of, normal_path};

/// The name under which facts about the arguments as a whole stand.
pub(crate) const WHOLE: &str = "";

/// The `kind` of a value that could not be read.
pub(crate) const UNPARSED: &str = "unparsed";

/// The facts that `plan` needs of `arguments`, sorted by argument: one JSON object, or nothing at all.
#[must_use]
pub fn facets(arguments: &[u8], plan: &Plan) -> Vec<Facet> {
    let members = match read_object(arguments) {
        Ok(members) => members,
        Err(why) => return whole(why),
    };
    let mut bytes = 0;
    let mut facets = Vec::new();
    for (name, value) in members {
        let Some(need) = plan.need(&name) else { continue };
        let values = facet_values(value, need);
        bytes += name.len() + values.iter().map(|value| value.text.len() + value.kind.len()).sum::<usize>();
        if bytes > FACETS_BYTES_MAX {
            return whole("more than the rules look at in one call");
        }
        facets.push(Facet { argument: name.as_ref().into(), values });
    }
    facets
}

fn whole(why: &'static str) -> Vec<Facet> {
    vec![Facet { argument: Arc::from(WHOLE), values: vec![unparsed(why)] }]
}

fn read_object(arguments: &[u8]) -> Result<Members<'_>, &'static str> {
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

type Members<'a> = BTreeMap<Cow<'a, str>, &'a RawValue>;

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

fn facet_values(value: &RawValue, need: Need) -> Vec<FacetValue> {
    let text = value.get();
    if need == Need::Presence {
        return vec![fact(kind_of(text), "")];
    }
    if !text.starts_with('[') {
        return vec![facet_value(text, need)];
    }
    match serde_json::from_str::<Vec<&RawValue>>(text) {
        Ok(elements) if elements.is_empty() => vec![unparsed("an empty list")],
        Ok(elements) if elements.len() > LIST_ELEMENTS_MAX => vec![unparsed("a list longer than the rules look at")],
        Ok(elements) => elements.into_iter().map(|element| facet_value(element.get(), need)).collect(),
        Err(_) => vec![unparsed("not JSON")],
    }
}

fn facet_value(text: &str, need: Need) -> FacetValue {
    // Six bytes of escape can stand for one of the value. A length is a fact of a few bytes, however long the text.
    if text.len() > FACET_BYTES_MAX * 6 + 2 && need != Need::Length {
        return unparsed("longer than the rules look at");
    }
    match kind_of(text) {
        "null" => fact("null", ""),
        "list" => unparsed("a list inside a list"),
        "object" => unparsed("an object"),
        "bool" if need == Need::Scalar => fact("bool", text),
        "bool" => unparsed("true or false"),
        "number" if matches!(need, Need::Number | Need::Scalar) => match Number::parse(text) {
            Ok(number) => fact("number", &number.to_string()),
            Err(NumberError::NotANumber) => unparsed("not a number"),
            Err(NumberError::TooFine) => unparsed("a number with more than 18 decimal places"),
            Err(NumberError::TooLarge) => unparsed("a number beyond 64 bits"),
        },
        "number" => unparsed("a number"),
        _ => text_value(text, need),
    }
}

fn text_value(text: &str, need: Need) -> FacetValue {
    let Ok(Name(value)) = serde_json::from_str(text) else { return unparsed("not a text of valid characters") };
    if value.len() > FACET_BYTES_MAX && need != Need::Length {
        return unparsed("longer than the rules look at");
    }
    let read = match need {
        Need::Length => Ok(fact("length", &value.chars().count().to_string())),
        Need::Text => ambiguity(&value).map_or_else(|| Ok(fact("text", &value)), Err),
        Need::Domain => domain_of(&value).map(|domain| fact("domain", &domain)),
        Need::Path => normal_path(&value).map(|path| fact("path", &path)),
        Need::Scalar => Ok(fact("text", &value)),
        Need::Number => Err("a text"),
        Need::Presence => Ok(fact("text", "")),
        Need::Url => WebUrl::parse(&value).map(|url| fact("url", &url.to_string())),
    };
    read.unwrap_or_else(unparsed)
}

/// What kind of JSON value `text` is, by its first byte.
fn kind_of(text: &str) -> &'static str {
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
        facets(arguments, policy.plan(&tool).unwrap())
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
