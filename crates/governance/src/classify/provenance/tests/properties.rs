use evidence::record::Origin;
use proptest::prelude::*;

use super::Step::{Returns, Send, Text, Words};
use super::{key, origin, take, tool, trust};
use crate::classify::provenance::Seen;
use crate::mission::Targets;

use Origin::Trusted;

/// Values that are parts, spellings and joints of each other.
const VALUES: [&str; 16] = [
    "eve@evil.example",
    "EVE@evil.example",
    "eve",
    "evil.example",
    "ann@corp.example",
    "Ann <ann@corp.example>",
    "corp.example",
    "/srv/out/a.txt",
    "/srv/out",
    "a.txt",
    "DE02 1203 0000 0000 2020 51",
    "de02120300000000202051",
    "47",
    "4711",
    "ann eve",
    "eve%40evil.example",
];

/// A step of a random run, as a kind and three values.
type Random = (u8, usize, usize, usize);

/// Kinds from 5 on trust something or name something.
fn random(kinds: std::ops::Range<u8>) -> impl Strategy<Value = Random> {
    (kinds, 0..VALUES.len(), 0..VALUES.len(), 0..VALUES.len())
}

fn take_random(seen: &mut Seen, (kind, one, two, three): Random) {
    let [one, two, three] = [one, two, three].map(|at| VALUES[at]);
    let spelt = serde_json::json!({"sender": one, "body": two, "notes": three}).to_string();
    match kind {
        0 => take(seen, Returns("web/get", &spelt)),
        1 => take(seen, Text("web/get", &format!("{one} {two}, {three}"))),
        2 => take(seen, Send(&serde_json::json!({"a": one, "b": [two, format!("see {three}")]}).to_string())),
        3 => take(seen, Send(&serde_json::json!({"a": one, "c": {two: three}}).to_string())),
        4 => take(seen, Returns("mail/read", &serde_json::json!({"body": one, "x": [two, three]}).to_string())),
        5 => take(seen, Returns("mail/read", &spelt)),
        6 => take(seen, Returns("erp/read", &spelt)),
        7 => take(seen, Text("bank/read", &format!("Payee: {one}\n{two} has {three}"))),
        _ => take(seen, Words(&format!("Ask {one} and \"{two}\" of {three}'s."))),
    }
}

fn origins(seen: &Seen) -> Vec<Origin> {
    VALUES.iter().map(|value| origin(seen, value)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn what_nobody_trusts_and_what_is_sent_never_make_an_origin_better(
        steps in proptest::collection::vec(random(0..9), 0..8), other in random(0..5), at in 0..8_usize,
    ) {
        let (mut without, mut with) = (Seen::new(&key()), Seen::new(&key()));
        for (before, step) in steps.iter().enumerate() {
            if before == at {
                take_random(&mut with, other);
            }
            take_random(&mut without, *step);
            take_random(&mut with, *step);
        }
        if at >= steps.len() {
            take_random(&mut with, other);
        }
        for ((value, without), with) in VALUES.iter().zip(origins(&without)).zip(origins(&with)) {
            prop_assert!(with > Trusted || with >= without, "{} was {} and is {}", value, without, with);
        }
    }

    #[test]
    fn nothing_becomes_trusted_by_itself(steps in proptest::collection::vec(random(0..5), 0..12)) {
        let mut seen = Seen::new(&key());
        steps.iter().for_each(|step| take_random(&mut seen, *step));
        prop_assert!(origins(&seen).iter().all(|origin| *origin > Trusted));
    }

    #[test]
    fn nothing_becomes_trusted_after_a_gap(steps in proptest::collection::vec(random(0..8), 0..12)) {
        let mut seen = Seen::new(&key());
        seen.mark_gap();
        steps.iter().for_each(|step| take_random(&mut seen, *step));
        prop_assert!(origins(&seen).iter().all(|origin| *origin > Trusted));
    }

    #[test]
    fn a_restart_changes_nothing(steps in proptest::collection::vec((random(0..9), any::<bool>()), 0..10)) {
        let (mut seen, mut restarted, mut file) = (Seen::new(&key()), Seen::new(&key()), Vec::new());
        for (step, restarts) in steps {
            take_random(&mut seen, step);
            take_random(&mut restarted, step);
            file.extend_from_slice(&restarted.news());
            if restarts {
                restarted = Seen::load(&key(), &file);
            }
        }
        let targets = Targets::unruled();
        for value in VALUES {
            let arguments = serde_json::json!({"to": value}).to_string();
            prop_assert_eq!(
                restarted.trace(arguments.as_bytes(), &targets), seen.trace(arguments.as_bytes(), &targets), "{}", value
            );
        }
        prop_assert_eq!(restarted.len(), seen.len());
    }

    #[test]
    fn any_bytes_are_taken(one in any::<Vec<u8>>(), two in ".*", three in r#"[\{\}\[\]",:a-c0-2\\u ]{0,60}"#) {
        let mut seen = Seen::new(&key());
        for bytes in [&one[..], two.as_bytes(), three.as_bytes()] {
            for name in ["bank/a", "erp/b", "web/c"] {
                seen.returned(&tool(name), &trust(name), &[], bytes);
                take(&mut seen, Text(name, &String::from_utf8_lossy(bytes)));
            }
            seen.sent(bytes);
            seen.initiator(&String::from_utf8_lossy(bytes));
            let _ = seen.trace(bytes, &Targets::ruled());
            let _ = Seen::load(&key(), bytes);
        }
        let file = seen.news();
        prop_assert_eq!(Seen::load(&key(), &file).len(), seen.len());
    }
}
