//! Nested arguments against an obvious reading of what `docs/missions.md` says of them, which shares nothing with the decider.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use proptest::prelude::*;

use super::tests::{classified, parse_tool, snapshot};
use super::*;
use crate::decide::Versions;
use crate::mission::compare;

const NAMES: [&str; 4] = ["a", "b/c", "d~e", "/f"];

/// What a value must be.
#[derive(Clone, Debug)]
enum Shape {
    Number { max: i64, min: i64 },
    Object(BTreeMap<&'static str, Field>),
}

#[derive(Clone, Debug)]
struct Field {
    is_optional: bool,
    shape: Shape,
}

/// What is sent.
#[derive(Clone, Debug)]
enum Json {
    List(Vec<Json>),
    Null,
    Number(i64),
    Object(Vec<(&'static str, Json)>),
    Text,
}

impl Shape {
    fn toml(&self) -> String {
        match self {
            Self::Number { max, min } => format!("min = {min}, max = {max}"),
            Self::Object(fields) => format!("fields = {{ {} }}", rules(fields).join(", ")),
        }
    }

    fn takes(&self, value: &Json) -> bool {
        match (self, value) {
            (shape, Json::List(elements)) => {
                let is_list = |element: &Json| matches!(element, Json::List(_));
                !elements.is_empty() && elements.iter().all(|element| !is_list(element) && shape.takes(element))
            }
            (Self::Number { max, min }, Json::Number(number)) => min <= number && number <= max,
            (Self::Object(fields), Json::Object(members)) => {
                let names: BTreeSet<_> = members.iter().map(|(name, _)| name).collect();
                names.len() == members.len()
                    && members
                        .iter()
                        .all(|(name, value)| fields.get(name).is_some_and(|field| field.shape.takes(value)))
                    && fields.iter().all(|(name, field)| field.is_optional || names.contains(name))
            }
            _ => false,
        }
    }

    /// A value that it takes, or nearly: each choice is the next of `bits`.
    fn value(&self, bits: &mut impl Iterator<Item = u8>) -> Json {
        let mut next = || bits.next().unwrap_or(128);
        match (next(), self) {
            (0..4, _) => [Json::Null, Json::Text, Json::List(Vec::new()), Json::Object(Vec::new())]
                [usize::from(next() % 4)]
            .clone(),
            (4..24, shape) => Json::List((0..=next() % 2).map(|_| shape.value(bits)).collect()),
            (at, Self::Number { max, min }) => Json::Number(match at {
                24..32 => max + 1,
                32..40 => min - 1,
                at if at % 2 == 0 => *max,
                _ => *min,
            }),
            (at, Self::Object(fields)) => {
                let mut members: Vec<_> =
                    fields.iter().filter(|_| next() > 8).map(|(name, field)| (*name, field)).collect();
                members
                    .extend((at < 28).then(|| fields.first_key_value().map(|(name, field)| (*name, field))).flatten());
                let mut members: Vec<_> =
                    members.into_iter().map(|(name, field)| (name, field.shape.value(bits))).collect();
                members.extend((at > 250).then_some(("more", Json::Null)));
                Json::Object(members)
            }
        }
    }
}

fn rules(fields: &BTreeMap<&str, Field>) -> Vec<String> {
    let rule = |(name, field): (&&str, &Field)| {
        format!("{name:?} = {{ {}, optional = {} }}", field.shape.toml(), field.is_optional)
    };
    fields.iter().map(rule).collect()
}

fn source(fields: &BTreeMap<&'static str, Field>) -> String {
    let mut text =
        "mission = 'm'\ngoal = 'g'\nowner = 'o'\nagents = ['bot']\nuntil = 2026-12-31\nwhy = 'w'\n[allow.mcp.s.tool]\n"
            .to_owned();
    for rule in rules(fields) {
        let _ = writeln!(text, "{rule}");
    }
    text
}

impl Json {
    fn text(&self) -> String {
        let listed = |items: Vec<String>| items.join(",");
        match self {
            Self::List(elements) => format!("[{}]", listed(elements.iter().map(Self::text).collect())),
            Self::Null => "null".to_owned(),
            Self::Number(number) => number.to_string(),
            Self::Object(members) => {
                format!(
                    "{{{}}}",
                    listed(members.iter().map(|(name, value)| format!("{name:?}:{}", value.text())).collect())
                )
            }
            Self::Text => "\"1\"".to_owned(),
        }
    }
}

fn fields() -> impl Strategy<Value = BTreeMap<&'static str, Field>> {
    let number = (-3_i64..3, 0_i64..4).prop_map(|(min, more)| Shape::Number { max: min + more, min });
    let shapes = number.prop_recursive(3, 12, 3, |inner| {
        let field = (any::<bool>(), inner).prop_map(|(is_optional, shape)| Field { is_optional, shape });
        prop::collection::btree_map(prop::sample::select(&NAMES[..]), field, 1..=3).prop_map(Shape::Object)
    });
    let field = (any::<bool>(), shapes).prop_map(|(is_optional, shape)| Field { is_optional, shape });
    prop::collection::btree_map(prop::sample::select(&NAMES[..]), field, 1..=3)
}

fn allows(policy: &PolicySnapshot, arguments: &Json) -> Decision {
    let call = classified(policy, "bot", parse_tool("mcp:s/tool"), &arguments.text(), Standing::Good);
    decide(&call, policy, "2026-12-01T12:00:00Z".parse().unwrap())
}

fn values(shape: &Shape, bits: &[Vec<u8>]) -> Vec<Json> {
    bits.iter().map(|bits| shape.value(&mut bits.iter().copied())).collect()
}

fn choices() -> impl Strategy<Value = Vec<Vec<u8>>> {
    prop::collection::vec(prop::collection::vec(any::<u8>(), 40), 8)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn nested_arguments_are_decided_as_they_read(fields in fields(), bits in choices()) {
        let policy = snapshot(&source(&fields));
        let shape = Shape::Object(fields.clone());
        for arguments in values(&shape, &bits) {
            // What is sent as arguments is an object, or nothing.
            let expected = matches!(arguments, Json::Object(_)) && shape.takes(&arguments);
            let decision = allows(&policy, &arguments);
            prop_assert_eq!(decision.effect == Effect::Allow, expected, "{}\n{}\n{}", source(&fields), arguments.text(), decision.sentence);
        }
    }

    #[test]
    fn nested_rules_that_are_not_called_wider_allow_nothing_new(old in fields(), new in fields(), bits in choices(), is_changed in any::<bool>()) {
        // Mostly one field is changed, and not everything.
        let new = if is_changed { new } else { old.clone().into_iter().chain(new.into_iter().take(1)).collect() };
        let (before, after) = (snapshot(&source(&old)), snapshot(&source(&new)));
        let changes = compare(before.mission(), after.mission());
        let is_wider = changes.iter().any(|change| change.direction.is_wider());
        for shape in [Shape::Object(old.clone()), Shape::Object(new.clone())] {
            for arguments in values(&shape, &bits) {
                let [was, is] = [&before, &after].map(|policy| allows(policy, &arguments).effect == Effect::Allow);
                prop_assert!(was || !is || is_wider, "newly allowed: {}\n{changes:#?}\n{}\n{}", arguments.text(), source(&old), source(&new));
            }
        }
        for proved in (Versions { old: &before, new: &after }).changes() {
            for (example, expected) in [(proved.newly_allowed, [false, true]), (proved.newly_denied, [true, false])] {
                let Some(example) = example else { continue };
                let decided = [&before, &after].map(|policy| {
                    let call = classified(policy, &example.agent, example.call.clone(), &example.arguments, Standing::Good);
                    decide(&call, policy, example.at).effect == Effect::Allow
                });
                prop_assert_eq!(decided, expected, "{:?}\n{}\n{}", example, source(&old), source(&new));
            }
        }
    }
}
