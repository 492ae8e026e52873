//! Reads the arguments of one call into facets, by the plan of its rules.
//!
//! A value that cannot be read as its rule needs becomes `unparsed` with the reason, never the value. Facts about the arguments as a whole (not an object, the
//! same name twice, too many) stand under the empty name, which no rule can allow.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use evidence::record::{Facet, FacetValue};
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::limits::{ARGUMENTS_MAX, FACET_BYTES_MAX, FACETS_BYTES_MAX, LIST_ELEMENTS_MAX, NAME_BYTES_MAX};
use crate::mission::{Need, Plan, domain_of, normal_path};
pub use crate::mission::{Number, NumberError};

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
    // Six bytes of escape can stand for one of the value.
    if text.len() > FACET_BYTES_MAX * 6 + 2 {
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
    if value.len() > FACET_BYTES_MAX {
        return unparsed("longer than the rules look at");
    }
    let read = match need {
        Need::Domain => domain_of(&value).map(|domain| fact("domain", &domain)),
        Need::Path => normal_path(&value).map(|path| fact("path", &path)),
        Need::Scalar => Ok(fact("text", &value)),
        Need::Number => Err("a text"),
        Need::Presence => Ok(fact("text", "")),
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
