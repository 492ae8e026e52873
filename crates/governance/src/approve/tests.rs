use evidence::record::{Endpoint, Surface, Tool};
use proptest::prelude::*;

use super::*;
use crate::decide::compile;
use crate::mission::parse;

const PEOPLE: &str = r#"
why = "First version."
[person.ana]
also = ["ana@corp.example", "os-ana"]
manager = "bea"
[person.bea]
name = "Bea Berg"
[person.carl]
away = { from = 2026-12-20, until = 2026-12-31, stand_in = "dan" }
[person.dan]
[group]
leads = ["ana", "bea", "carl"]
treasury = ["dan"]
"#;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[test]
fn persons_have_names_groups_and_stand_ins() {
    let people = parse_people(PEOPLE).unwrap();
    assert_eq!(people.person_of("ana@corp.example").map(AsRef::as_ref), Some("ana"));
    assert_eq!(people.person_of("os-ana").map(AsRef::as_ref), Some("ana"));
    assert_eq!(people.person_of("eve"), None);
    assert_eq!(people.groups_of("carl"), ["leads".into()]);
    let (before, during, after) = (at("2026-12-19T23:59:59Z"), at("2026-12-20T00:00:00Z"), at("2027-01-01T00:00:00Z"));
    assert!(people.is_there("carl", before) && !people.is_there("carl", during) && people.is_there("carl", after));
    assert!(!people.stands_in("dan", "carl", before) && people.stands_in("dan", "carl", during));
    assert!(!people.stands_in("bea", "carl", during) && !people.stands_in("dan", "carl", after));
    let excluded = [Excluded { person: "bea".into(), role: "owner".into() }];
    let groups = people.who_may_answer(&excluded, during);
    assert_eq!(groups, [vec![Arc::from("leads")], vec!["leads".into(), "treasury".into()]]);
}

#[test]
fn bad_files_say_what_is_wrong() {
    for (text, said) in [
        ("", "missing field `why`"),
        ("why = ''", "`why` is empty"),
        ("why = 'w'\n[person.Ana]", "`Ana` is not the name of a person"),
        ("why = 'w'\n[person.ana]\nalos = []", "unknown field `alos`"),
        ("why = 'w'\n[person.ana]\n[person.bea]\nalso = ['ana']", "a name is one person's"),
        ("why = 'w'\n[group]\nleads = ['eve']", "add `[person.eve]`"),
        ("why = 'w'\n[person.ana]\n[group]\nleads = ['ana', 'ana']", "twice"),
        ("why = 'w'\n[person.ana]\nmanager = 'eve'", "no person here"),
        ("why = 'w'\n[person.ana]\naway = { from = 2026-01-02, until = 2026-01-01 }", "not before its end"),
        (
            "why = 'w'\n[person.ana]\naway = { from = 2026-01-01, until = 2026-01-02, stand_in = 'ana' }",
            "cannot stand in",
        ),
        (
            "why = 'w'\n[person.ana]\naway = { from = 2026-01-01, until = 2026-01-02, stand_in = 'bea' }\n[person.bea]\naway = { from = 2026-01-01, until = 2026-01-02, stand_in = 'ana' }",
            "nobody stands in for a stand-in",
        ),
    ] {
        let error = parse_people(text).unwrap_err().to_string();
        assert!(error.contains(said), "{text}: {error}");
    }
}

const DELEGATING: &str = r#"
why = "First version."
[person.ana]
[person.bea]
away = { from = 2026-12-20, until = 2026-12-31 }
[person.carl]
[group]
leads = ["ana", "bea"]
board = ["bea"]
[[delegation]]
from = "bea"
to = "carl"
groups = ["leads"]
not_before = 2026-12-10
until = 2026-12-24
"#;

#[test]
fn a_delegate_answers_in_the_groups_and_the_time_that_were_delegated() {
    let people = parse_people(DELEGATING).unwrap();
    let leads: Vec<Arc<str>> = vec!["leads".into()];
    for (when, groups) in [
        ("2026-12-09T23:59:59Z", Vec::new()),
        ("2026-12-10T00:00:00Z", leads.clone()),
        ("2026-12-24T23:59:59Z", leads.clone()),
        ("2026-12-25T00:00:00Z", Vec::new()),
    ] {
        assert_eq!(people.groups_for("carl", "bea", at(when)), groups, "{when}");
        assert!(
            people.groups_for("ana", "bea", at(when)).is_empty()
                && people.groups_for("bea", "carl", at(when)).is_empty()
        );
    }
    // While she is there, the two of them are one.
    let count = |when| people.who_may_answer(&[], at(when)).iter().filter(|groups| groups.contains(&leads[0])).count();
    assert_eq!(
        (count("2026-12-12T00:00:00Z"), count("2026-12-22T00:00:00Z"), count("2026-12-26T00:00:00Z")),
        (2, 2, 1)
    );
    assert_eq!(
        people.difference(Some(&parse_people(&DELEGATING.replace("to = \"carl\"", "to = \"ana\"")).unwrap())),
        [
            "`carl` answers for `bea` in `leads`, from 2026-12-10T00:00:00.000000Z until 2026-12-25T00:00:00.000000Z",
            "no longer: `ana` answers for `bea` in `leads`, from 2026-12-10T00:00:00.000000Z until 2026-12-25T00:00:00.000000Z",
        ]
    );
}

#[test]
fn a_delegated_loop_is_refused() {
    let back = |from: &str, to: &str, when: &str| {
        let more = format!("[[delegation]]\nfrom = \"{from}\"\nto = \"{to}\"\ngroups = [\"leads\"]\n{when}\n");
        let text = DELEGATING.replace("leads = [\"ana\", \"bea\"]", "leads = [\"ana\", \"bea\", \"carl\"]");
        parse_people(&format!("{text}{more}")).map(drop).map_err(|error| error.to_string())
    };
    let meanwhile = "not_before = 2026-12-20\nuntil = 2026-12-30";
    let later = "not_before = 2026-12-25\nuntil = 2026-12-30";
    assert!(back("carl", "bea", meanwhile).unwrap_err().contains("a loop"));
    assert!(back("carl", "ana", meanwhile).unwrap_err().contains("a chain"));
    assert!(back("ana", "bea", meanwhile).unwrap_err().contains("a chain"), "it ends in a chain as well");
    assert!(back("bea", "bea", later).unwrap_err().contains("a loop"));
    assert_eq!(back("carl", "bea", later), Ok(()), "one after the other");
    for (from, to, said) in [
        ("groups = [\"leads\"]", "groups = [\"leads\", \"treasury\"]", "nobody delegates what they have not"),
        ("groups = [\"leads\"]", "groups = []", "names no group"),
        ("to = \"carl\"", "to = \"eve\"", "no person here"),
        ("until = 2026-12-24", "until = 2026-12-01", "must end after it begins"),
        ("until = 2026-12-24", "until = 2028-12-24", "within a year"),
    ] {
        let error = parse_people(&DELEGATING.replacen(from, to, 1)).unwrap_err().to_string();
        assert!(error.contains(said), "{to}: {error}");
    }
}

#[test]
fn what_changed_is_said_in_sentences() {
    let old = parse_people(PEOPLE).unwrap();
    let text = PEOPLE.replace("treasury = [\"dan\"]", "treasury = [\"bea\"]").replace("Bea Berg", "Bea Berger");
    let new = parse_people(&text).unwrap();
    assert_eq!(
        new.difference(Some(&old)),
        [
            "what is said of person `bea` changed",
            "`bea` is now in group `treasury`",
            "`dan` is no longer in group `treasury`",
        ]
    );
    assert!(old.difference(Some(&old)).is_empty());
}

#[test]
fn whoever_has_to_do_with_a_call_is_excluded_once() {
    let people = parse_people(PEOPLE).unwrap();
    let out = excluded(&people, "ana@corp.example", Some("bea"), "os-ana", &[]);
    let said: Vec<_> = out.iter().map(|out| (&*out.person, &*out.role)).collect();
    assert_eq!(said, [("ana", "initiator"), ("bea", "author")]);
    assert!(excluded(&people, "nobody", None, "finance@corp.example", &[]).is_empty());
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "(\\PC|\n){0,200}") {
        let _ = parse_people(&text);
    }

    /// A good file, cut and exchanged: what is taken up names nobody that is not there.
    #[test]
    fn no_damaged_file_has_strangers(cut in 0_usize..400, length in 0_usize..40, insert in "[\\[\\]{}=\"'.,#a-z0-9*\n -]{0,12}") {
        let damaged: String = PEOPLE.chars().take(cut).chain(insert.chars()).chain(PEOPLE.chars().skip(cut + length)).collect();
        if let Ok(people) = parse_people(&damaged) {
            let is_known = |person: &Arc<str>| people.persons().contains_key(person);
            prop_assert!(people.groups().values().flatten().all(is_known));
            let stand_ins = people.persons().values().filter_map(|person| person.away.as_ref()?.stand_in.as_ref());
            prop_assert!(stand_ins.into_iter().all(is_known));
        }
    }
}

const ENDORSING: &str = r#"
mission = "pay"
goal    = "Pay."
owner   = "o@corp.example"
agents  = ["bot"]
until   = 2026-12-31
why     = "First version."
[allow.mcp.bank]
pay = { iban = { free = true, target = true } }
refund = {}
[danger.refunds]
when = "mcp:bank/refund"
gate = "leads"
[data]
untrusted-target = { else = "ask", gate = "leads" }
[gate.leads]
group = "leads"
standing = { for = "30d", uses = 5 }
"#;

#[test]
fn an_endorsement_holds_for_its_tool_as_it_was_accepted_and_ruled() {
    let policy = |source: &str| compile(Arc::new(parse(source).unwrap())).unwrap();
    let text = r#"
endorse = "iban"
mission = "pay"
tool = "mcp:bank/pay"
value = "DE89370400440532013000"
until = 2026-12-31
why = "ACME."
salt = "00112233445566778899aabbccddeeff"
"#;
    let granted = Granted::read(text, "it", "olga").unwrap();
    let (policy_now, people) = (policy(ENDORSING), parse_people(PEOPLE).unwrap());
    let asked = |policy: &PolicySnapshot, granted: &Granted| {
        granted.question(
            policy,
            Some("pin"),
            &people,
            None,
            ApprovalId::from_bytes([1; 16]),
            at("2026-12-01T00:00:00Z"),
        )
    };
    let Requested { record, view } = asked(&policy_now, &granted).unwrap();
    let question = record.question.unwrap();
    assert_eq!(question.standing.unwrap().endorses.as_deref(), Some("iban"));
    assert!(String::from_utf8_lossy(&view).contains("DE89370400440532013000"));
    assert!(!question.sentence.contains("DE89") && question.sentence.contains("one value of `iban`"));
    let tool = |name: &str| Tool {
        endpoint: Endpoint::Tool,
        name: name.into(),
        surface: Surface::Mcp,
        upstream: "bank".into(),
    };
    let holds = |policy: &PolicySnapshot, name: &str, pin: Option<&str>| {
        granted.endorses(&record.call_sha256, policy, &tool(name), pin).map(|endorsed| endorsed.value.to_string())
    };
    assert_eq!(holds(&policy_now, "pay", Some("pin")).as_deref(), Some("DE89370400440532013000"));
    assert_eq!(holds(&policy_now, "pay", Some("another")), None);
    assert_eq!(holds(&policy_now, "pay", None), None);
    assert_eq!(holds(&policy_now, "refund", Some("pin")), None);
    for (from, to) in [
        ("mission = \"pay\"", "mission = \"other\""),
        ("iban = { free = true, target", "iban = { length = 40, target"),
        ("group = \"leads\"", "group = \"treasury\""),
        ("else = \"ask\", gate = \"leads\"", "else = \"deny\""),
    ] {
        assert_eq!(holds(&policy(&ENDORSING.replace(from, to)), "pay", Some("pin")), None, "{to}");
    }
    for (from, to, said) in [
        ("else = \"ask\", gate = \"leads\"", "else = \"deny\"", "asks no gate"),
        ("standing = { for = \"30d\", uses = 5 }", "", "gives no standing grants"),
    ] {
        let source = ENDORSING.replace(from, to);
        let source = if to.is_empty() {
            source
        } else {
            format!("{source}[danger.all]\nwhen = \"mcp:bank/pay\"\ngate = \"leads\"\n")
        };
        let error = asked(&policy(&source), &granted).unwrap_err().to_string();
        assert!(error.contains(said), "{to}: {error}");
    }
    let error = Granted::read(&text.replace("salt", "sal"), "it", "olga").unwrap_err().to_string();
    assert!(error.contains("did you mean `salt`?") && error.contains("`salt` is missing"), "{error}");
}
