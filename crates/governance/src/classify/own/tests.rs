//! Own classes by the detector: what is found, in which spellings, and that streams find the same.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::words::plain;
use super::*;
use crate::classify::detect::{Detector, Finding, Stream};
use crate::limits::{OWN_NEAR_BYTES, OWN_VALUE_BYTES_MAX};

const FILE: &str = r#"
why = "First version."
[class.employee_no]
why     = "numbers of staff"
pattern = 'E-\d{6}'
near    = ["employee", "staff no"]
[class.asset]
why     = "numbers of machines"
pattern = 'AS\d{6,10}'
check   = "luhn"
[class.codename]
why      = "projects that nobody may know of"
keywords = ["Project Falcon", "Nightjar", "Größe 7", "機密計画"]
[class.customer]
why    = "customers by their account"
values = "customers.edm"
columns = ["iban"]
[class.person]
why    = "customers by name and birth"
values = "customers.edm"
columns = ["name", "born", "city"]
match  = 2
"#;

const ROWS: &[[&str; 4]] = &[
    ["DE89 3704 0044 0532 0130 00", "Jane Doe", "1980-02-29", "Springfield"],
    ["gb82-west-1234-5698-7654-32", "José Müller-Straße", "1975-11-03", "Springfield"],
    ["", "Li Na", "1991-07-15", ""],
];

fn key(byte: u8) -> IndexKey {
    IndexKey::new([byte; 32])
}

fn index() -> (Vec<u8>, Built) {
    let columns = ["iban", "name", "born", "city"].map(Arc::from).to_vec();
    let mut builder = IndexBuilder::new(key(7), columns).unwrap();
    ROWS.iter().for_each(|row| builder.row(row.iter().copied()).unwrap());
    builder.finish()
}

fn detector() -> Detector {
    let indexes = [(Arc::from("customers.edm"), Arc::new(Index::read(index().0, key(7)).unwrap()))];
    let own = OwnClasses::compile(&parse_classes(FILE).unwrap(), &BTreeMap::from(indexes)).unwrap();
    Detector::default().with_own(Arc::new(own))
}

fn found(text: &str) -> Vec<(&'static str, String)> {
    let scan = detector().scan(text.as_bytes());
    assert!(scan.is_complete());
    let own = scan.findings().iter().filter(|found| found.kind.class.name() == "org");
    own.map(|found| (found.kind.name, text.get(found.start..found.end).unwrap().to_owned())).collect()
}

fn check(text: &str, expected: &[(&str, &str)]) {
    let found = found(text);
    let found: Vec<_> = found.iter().map(|(kind, value)| (*kind, value.as_str())).collect();
    assert_eq!(found, expected, "{text}");
}

#[test]
fn patterns_are_found_as_whole_words_with_their_check_and_what_stands_near() {
    check("the employee E-123456 left", &[("employee_no", "E-123456")]);
    check(r#"{"staffNo":"E-123456"}"#, &[("employee_no", "E-123456")]);
    check("E-123456, of the staff\nno. seven: staff no", &[("employee_no", "E-123456")]);
    check("the employees E-123456", &[]);
    check("employee E-1234567, employee XE-123456, E-12345", &[]);
    check(&format!("employee {} E-123456", ".".repeat(OWN_NEAR_BYTES)), &[]);
    check("asset AS799273 98713, AS79927398713 and AS79927398714", &[]);
    check("asset AS7992739871", &[]);
    check("asset AS18929472", &[]);
    check("asset AS00000018", &[("asset", "AS00000018")]);
}

#[test]
fn keywords_are_found_in_every_spelling_and_as_whole_words() {
    for text in [
        "Project Falcon",
        "PROJECT FALCON",
        "project_falcon",
        "ProjectFalcon",
        "project\nfalcon",
        "project, falcon",
        "project: falcon",
        "𝐏roject Ｆalcon",
        "Pro\u{200b}ject Falcon",
        "Prójèct Falcon",
        "project%20falcon",
        r"project\u0020falcon",
        "project&nbsp;falcon",
        "projectfalcon",
    ] {
        check(&format!("about {text}!"), &[("codename", text)]);
    }
    check("theProjectFalconBudget", &[("codename", "ProjectFalcon")]);
    check(r#"["project","falcon"], {"project":"falcon"}, project,falcon, project\tfalcon"#, &[]);
    check("projects falcon, project falcons, projectfalcony, project and falcon", &[]);
    check("die GRÖSSE 7 und Gro\u{308}ße 7", &[("codename", "GRÖSSE 7"), ("codename", "Gro\u{308}ße 7")]);
    check("これは機密計画です", &[("codename", "機密計画")]);
    check("of nightjars and night jar", &[("codename", "night jar")]);
}

#[test]
fn values_of_tables_are_found_in_every_spelling() {
    for text in [
        "DE89370400440532013000",
        "de89 3704 0044 0532 0130 00",
        "DE89-3704-0044-0532-0130-00",
        "DE 89.3704.0044.0532.0130.00",
        "ＤＥ89370400440532013000",
        "D E 8 9 3 7 0 4 0 0 4 4 0 5 3 2 0 1 3 0 0 0",
        "%44E89370400440532013000",
        r"DE89\u0020370400440532013000",
        "DE89\u{200b}3704\u{200b}00440532013000",
        "REU4OTM3MDQwMDQ0MDUzMjAxMzAwMA==",
        "44453839333730343030343430353332303133303030",
        "GB82WEST12345698765432",
    ] {
        check(&format!("to {text} now"), &[("customer", text)]);
    }
    check("DE89370400440532013001, DE8937040044053201300, XDE89370400440532013000", &[]);
    check("DE89,370400440532013000", &[]);
    check("Project DE89370400440532013, 000", &[]);
}

#[test]
fn values_of_one_row_count_near_each_other() {
    check(r#"{"name":"Jane Doe","born":"1980-02-29"}"#, &[("person", "Jane Doe"), ("person", "1980-02-29")]);
    check("doe jane 1980-02-29 springfield", &[("person", "1980-02-29"), ("person", "springfield")]);
    check("JOSE MULLER STRASSE of Springfield", &[("person", "JOSE MULLER STRASSE"), ("person", "Springfield")]);
    check("Li Na, 1991/07/15", &[("person", "Li Na"), ("person", "1991/07/15")]);
    check("Jane Doe, 1975-11-03", &[]);
    check("Jane Doe and Jane Doe of Shelbyville", &[]);
    check(&format!("Jane Doe {} 1980-02-29", "-".repeat(OWN_NEAR_BYTES)), &[]);
}

#[test]
fn what_is_of_an_own_class_is_of_others_too() {
    let text = r#"{"iban":"DE89370400440532013000"}"#;
    let scan = detector().scan(text.as_bytes());
    let mut kinds: Vec<_> = scan.findings().iter().map(|found| (found.kind.class.name(), found.kind.name)).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, [("financial", "iban"), ("org", "customer")]);
    let copy = r#"{"x":"REU4OTM3MDQwMDQ0MDUzMjAxMzAwMA=="}"#;
    let scan = detector().scan(copy.as_bytes());
    let places: Vec<_> = scan.findings().iter().map(|found| found.start..found.end).collect();
    assert_eq!(places, [6..38, 6..38]);
}

#[test]
fn evidence_says_why() {
    for (text, reasons) in [
        ("nightjar", vec!["a keyword of the organisation's"]),
        ("DE89370400440532013000 ", vec!["a value of the organisation's tables"]),
        ("AS00000018", vec!["its shape"]),
        ("employee E-123456", vec!["the words before it"]),
    ] {
        let scan = detector().scan(text.as_bytes());
        let own = scan.findings().iter().find(|found| found.kind.class.name() == "org").unwrap();
        assert_eq!(own.evidence.reasons().collect::<Vec<_>>(), reasons, "{text}");
    }
}

#[test]
fn an_index_has_hashes_and_nothing_of_the_values() {
    let (bytes, built) = index();
    assert_eq!(built, Built { common: 0, kept: 10, skipped: 0 });
    for value in ROWS.iter().flatten().flat_map(|value| [value.as_bytes().to_vec(), plain(value)]) {
        assert!(value.is_empty() || memchr::memmem::find(&bytes, &value).is_none());
    }
    assert!(memchr::memmem::find(&bytes, &[7; 32]).is_none(), "nor has it the key");
    assert_eq!(index().0, bytes, "the same table gives the same bytes");
    assert_eq!(Index::read(bytes.clone(), key(8)).unwrap_err(), IndexError::Key);
    for length in 0..bytes.len() {
        assert!(Index::read(bytes[..length].to_vec(), key(7)).is_err(), "cut at {length}");
    }
    assert!(Index::read([bytes.as_slice(), &[0]].concat(), key(7)).is_err());
    let mut strange = bytes.clone();
    *strange.last_mut().unwrap() = 40;
    assert_eq!(Index::read(strange, key(7)).unwrap_err(), IndexError::Malformed, "a column that there is not");
    let mut other = IndexBuilder::new(key(8), ["iban", "name", "born", "city"].map(Arc::from).to_vec()).unwrap();
    ROWS.iter().for_each(|row| other.row(row.iter().copied()).unwrap());
    let other = other.finish().0;
    let same = bytes.iter().zip(&other).skip(100).filter(|(one, other)| one == other).count();
    assert!(same * 2 < bytes.len(), "another key gives other hashes");
}

#[test]
fn values_that_tell_nothing_are_left_out() {
    let mut builder = IndexBuilder::new(key(1), vec!["id".into(), "city".into()]).unwrap();
    for number in 0..1_000 {
        builder.row([format!("id-{number:06}").as_str(), "Springfield"]).unwrap();
    }
    builder.row(["x1", &"long".repeat(OWN_VALUE_BYTES_MAX)]).unwrap();
    let (bytes, built) = builder.finish();
    assert_eq!(built, Built { common: 1_000, kept: 1_000, skipped: 2 });
    let index = Index::read(bytes, key(1)).unwrap();
    assert_eq!(index.len(), 1_000);
    for number in 0..1_000_u32 {
        let plain = plain(&format!("ID {number:06}"));
        assert!(index.has_length(plain.len()) && index.may_have(&plain));
        let rows: Vec<_> = index.cells(&plain).map(|cell| (cell.row, cell.column)).collect();
        assert_eq!(rows, [(number, 0)]);
    }
    let misses = (0..20_000).filter(|number| index.may_have(&plain(&format!("zz {number:06}")))).count();
    assert!(misses < 600, "{misses} of 20,000 passed the filter");
    let mut short = IndexBuilder::new(key(1), vec!["id".into()]).unwrap();
    short.row(["12345"]).unwrap();
    assert_eq!(short.finish().1, Built { common: 0, kept: 0, skipped: 1 });
}

#[test]
fn a_bad_file_is_refused_with_every_problem() {
    let class = |rest: &str| format!("why = 'x'\n[class.a]\nwhy = 'y'\n{rest}");
    for (text, expected) in [
        (String::new(), "missing field `why`"),
        ("why = ' '\n".to_owned(), "`why` is empty"),
        ("why = 'x'\nclasses = 1\n".to_owned(), "unknown field `classes`"),
        ("why = 'x'\n[class.Staff]\nwhy = 'y'\nkeywords = ['abc']\n".to_owned(), "`[class.Staff]` is no name"),
        (class(""), "needs one of"),
        (class("pattern = 'a{2}'\nkeywords = ['abc']\n"), "needs one of"),
        (class("pattern = 'a*'\n"), "empty text"),
        (class("pattern = 'a+'\n"), "may match more than"),
        (class("pattern = '^a$'\n"), "leave them out"),
        (class("pattern = 'a('\n"), "is none"),
        (class("pattern = '((\\w{1,9}|[a-z]{1,9}x){1,9}-\\d{1,4}){1,9}'\n"), "needs too much memory"),
        (class("pattern = 'a{2}'\ncheck = 'lun'\n"), "there are `iban`, `luhn`"),
        (class("keywords = ['abc']\ncheck = 'luhn'\n"), "without a `pattern`"),
        (class("keywords = ['-']\n"), "2 letters or digits"),
        (class("keywords = ['abc']\nmatch = 2\n"), "without `values`"),
        (class("values = '../customers.edm'\n"), "name a file in the home"),
        (class("values = 'a.edm'\ncolumns = ['x']\nmatch = 2\n"), "how many of its columns"),
        (class("keywords = ['abc']\npatern = 'a'\n"), "unknown field `patern`"),
        (format!("why = 'x'\n{}", "#".repeat(1024 * 1024)), "larger than"),
    ] {
        let error = parse_classes(&text).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}\nwanted: {expected}");
    }
    let file = parse_classes(&class("values = 'a.edm'\ncolumns = ['iban', 'nme']\n")).unwrap();
    let error = OwnClasses::compile(&file, &BTreeMap::new()).unwrap_err().to_string();
    assert!(error.contains("which are not there"), "{error}");
    let index = Arc::new(Index::read(index().0, key(7)).unwrap());
    let error = OwnClasses::compile(&file, &BTreeMap::from([("a.edm".into(), index)])).unwrap_err().to_string();
    assert!(error.contains("`nme`") && error.contains("`born`"), "{error}");
}

#[test]
fn what_changed_is_said() {
    let file = parse_classes(FILE).unwrap();
    assert_eq!(file.difference(Some(&file)), Vec::<String>::new());
    assert_eq!(file.difference(None).len(), 5);
    let other = FILE.replace("E-", "F-").replace("class.asset", "class.machine");
    assert_eq!(
        parse_classes(&other).unwrap().difference(Some(&file)),
        [
            r"class `org.employee_no` changed: what matches `F-\d{6}`, near `employee`, `staff no`",
            r"class `org.machine`: what matches `AS\d{6,10}`, with the check `luhn`",
            "no class `org.asset` any more",
        ]
    );
}

#[test]
fn too_much_work_is_not_clean() {
    let columns = vec![Arc::from("value")];
    let mut builder = IndexBuilder::new(key(7), columns).unwrap();
    for length in 6..=OWN_VALUE_BYTES_MAX {
        builder.row(["x".repeat(length).as_str()]).unwrap();
    }
    let index = Index::read(builder.finish().0, key(7)).unwrap();
    let file = parse_classes("why = 'x'\n[class.a]\nwhy = 'y'\nvalues = 'a.edm'\n").unwrap();
    let own = OwnClasses::compile(&file, &BTreeMap::from([("a.edm".into(), Arc::new(index))])).unwrap();
    let scan = Detector::default().with_own(Arc::new(own)).scan("x ".repeat(10_000).as_bytes());
    assert!(!scan.is_clean() && !scan.is_complete());
}

fn streamed(detector: &Detector, text: &[u8], pieces: impl Iterator<Item = usize>) -> (Vec<Finding>, bool) {
    let mut stream = Stream::new(detector);
    let mut findings = Vec::new();
    let mut rest = text;
    for length in pieces {
        let (piece, behind) = rest.split_at(length.min(rest.len()));
        stream.push(piece, &mut findings);
        rest = behind;
    }
    stream.push(rest, &mut findings);
    let complete = stream.finish(&mut findings);
    (findings, complete)
}

fn words() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "DE89 3704 0044 0532 0130 00 ",
        "Jane Doe ",
        "1980-02-29",
        "{\"name\":\"Jane Doe\",",
        "project ",
        "Falcon",
        "nightjar ",
        "employee ",
        "E-123456",
        "AS00000018 ",
        "\\u0045-123456 ",
        "REU4OTM3MDQwMDQ0MDUzMjAxMzAwMA== ",
        "plain words and so on ",
        "機密計画",
        "\u{200b}",
        "é",
        "\n",
        "\"",
        "\\",
        " ",
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    ])
    .prop_map(str::to_owned)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn a_stream_finds_what_is_in_the_whole(words in prop::collection::vec(words(), 1..200), times in 1_usize..30, pieces in prop::collection::vec(1_usize..20_000, 0..40)) {
        let detector = detector();
        let text = words.concat().repeat(times);
        let whole = detector.scan(text.as_bytes());
        prop_assert!(whole.findings().is_sorted_by_key(|found| found.start));
        prop_assert!(whole.findings().iter().all(|found| found.start < found.end && text.get(found.start..found.end).is_some()));
        prop_assert_eq!(streamed(&detector, text.as_bytes(), pieces.into_iter()), (whole.findings().to_vec(), whole.is_complete()));
    }

    #[test]
    fn any_bytes_are_looked_at(bytes in prop::collection::vec(any::<u8>(), 0..3_000)) {
        let _ = detector().scan(&bytes);
    }

    #[test]
    fn a_value_is_found_wherever_it_stands(before in 0_usize..40_000, spelling in 0_usize..4) {
        let value = ["DE89370400440532013000", "de89 3704 0044 0532 0130 00", "Nightjar", "AS00000018"][spelling];
        let text = format!("{} {value} {}", "lorem ipsum ".repeat(before / 12), "dolor sit ".repeat(2_000));
        let start = 12 * (before / 12) + 1;
        let scan = detector().scan(text.as_bytes());
        prop_assert!(scan.findings().iter().any(|found| found.kind.class.name() == "org" && found.start == start && found.end == start + value.len()));
    }

    #[test]
    fn any_index_is_read_or_refused(mut bytes in Just(index().0), place in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let place = place.index(bytes.len());
        bytes[place] = byte;
        if let Ok(index) = Index::read(bytes, key(7)) {
            let _cells: Vec<_> = index.cells(b"de89370400440532013000").collect();
            let _may_have = index.may_have(b"janedoe");
            let file = parse_classes("why = 'x'\n[class.a]\nwhy = 'y'\nvalues = 'a.edm'\nmatch = 2\n").unwrap();
            if let Ok(own) = OwnClasses::compile(&file, &BTreeMap::from([("a.edm".into(), Arc::new(index))])) {
                let _found = Detector::default().with_own(Arc::new(own)).scan(b"Jane Doe, 1980-02-29, Springfield");
            }
        }
    }
}
