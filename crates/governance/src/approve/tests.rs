use proptest::prelude::*;

use super::*;

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
    let out = excluded(&people, "ana@corp.example", Some("bea"), "os-ana");
    let said: Vec<_> = out.iter().map(|out| (&*out.person, &*out.role)).collect();
    assert_eq!(said, [("ana", "initiator"), ("bea", "author")]);
    assert!(excluded(&people, "nobody", None, "finance@corp.example").is_empty());
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
