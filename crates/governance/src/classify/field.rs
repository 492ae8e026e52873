//! Where in the arguments of a call one argument stands, so that what was found can be said to be in it or not.

use std::ops::Range;

use serde_json::value::RawValue;

use super::facet::{kind_of, read_object};
use crate::limits::FIELDS_DEPTH_MAX;
use crate::mission::{name_of, parent_of};

/// Where the value of the argument `path` stands in `arguments`, in bytes: once, or once for each element of the lists on the way. Nowhere, where the arguments cannot be
/// read without doubt.
pub(crate) fn standing_in(arguments: &[u8], path: &str) -> Vec<Range<usize>> {
    let mut names = vec![name_of(path)];
    let mut parent = parent_of(path);
    while let Some(at) = parent {
        names.push(name_of(&at));
        parent = parent_of(&at);
    }
    let mut found = Vec::new();
    let Ok(members) = read_object(arguments) else { return Vec::new() };
    if let Some(value) = names.pop().and_then(|name| members.get(name.as_str()).copied()) {
        follow(value, &names, FIELDS_DEPTH_MAX, &mut found);
    }
    found.iter().filter_map(|part| locate(arguments, part.get().as_bytes())).collect()
}

/// The values at the path of `names`, which are in turn from the last to the first.
fn follow<'a>(value: &'a RawValue, names: &[String], lists: usize, found: &mut Vec<&'a RawValue>) {
    let Some((name, rest)) = names.split_last() else { return found.push(value) };
    match kind_of(value.get()) {
        "object" => {
            let Ok(members) = read_object(value.get().as_bytes()) else { return };
            if let Some(value) = members.get(name.as_str()) {
                follow(value, rest, lists, found);
            }
        }
        "list" if lists > 0 => {
            let elements = serde_json::from_str::<Vec<&RawValue>>(value.get()).unwrap_or_default();
            elements.into_iter().for_each(|element| follow(element, names, lists - 1, found));
        }
        _ => {}
    }
}

/// Where `part`, a view into `whole`, lies in it.
fn locate(whole: &[u8], part: &[u8]) -> Option<Range<usize>> {
    let start = part.as_ptr().addr().checked_sub(whole.as_ptr().addr())?;
    let end = start.checked_add(part.len())?;
    (end <= whole.len()).then_some(start..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_argument_is_where_its_value_stands() {
        for (arguments, path, values) in [
            (r#"{"to":"a@b.example","cc":"c"}"#, "to", vec![r#""a@b.example""#]),
            (r#"{"to": ["a", "b"] }"#, "to", vec![r#"["a", "b"]"#]),
            (r#"{"t\u006f":"a"}"#, "to", vec![r#""a""#]),
            (r#"{"/to":1}"#, "/~1to", vec!["1"]),
            (r#"{"customer":{"email":"a","name":"b"}}"#, "/customer/email", vec![r#""a""#]),
            (r#"{"customer":[{"email":"a"},{"name":"b"},{"email":"c"}]}"#, "/customer/email", vec![r#""a""#, r#""c""#]),
            (r#"{"customer":{"email":"a"}}"#, "email", vec![]),
            (r#"{"customer":"email"}"#, "/customer/email", vec![]),
            (r#"{"customer.email":"a"}"#, "/customer/email", vec![]),
            (r#"{"customer":{"email":"a","e\u006dail":"b"}}"#, "/customer/email", vec![]),
            (r#"{"to":"a","to":"b"}"#, "to", vec![]),
            (r#"{"to":"a""#, "to", vec![]),
            ("", "to", vec![]),
        ] {
            let standing = standing_in(arguments.as_bytes(), path);
            let standing: Vec<&str> = standing.into_iter().filter_map(|range| arguments.get(range)).collect();
            assert_eq!(standing, values, "{path} in {arguments}");
        }
        let deep = format!(r#"{{"a":{}{{"b":1}}{}}}"#, "[".repeat(20), "]".repeat(20));
        assert!(standing_in(deep.as_bytes(), "/a/b").is_empty());
    }
}
