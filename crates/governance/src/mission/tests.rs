//! The language: what is accepted, every error message, and differences in sentences.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::*;

const HEADER: &str = r#"
mission = "example"
goal    = "Show a rule."
owner   = "it@corp.example"
agents  = ["bot"]
until   = 2026-12-31
why     = "First version."
"#;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn files(dir: &Path, extension: &str) -> Vec<PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|found| found == extension));
    files.sort();
    assert!(!files.is_empty(), "{} holds nothing", dir.display());
    files
}

/// Compares with a file beside the missions of the corpus; `INSTA_UPDATE=always` writes it anew, to be read in review.
fn snapshot(name: &str, text: &str) {
    let (dir, name) = name.rsplit_once('/').unwrap_or(("", name));
    insta::with_settings!({
        snapshot_path => root().join("corpus/missions").join(dir), prepend_module_to_snapshot => false, omit_expression => true
    }, {
        insta::assert_snapshot!(name, text);
    });
}

fn accepted(source: &str) -> Mission {
    parse(source).unwrap_or_else(|error| panic!("{}", error.render("mission.toml")))
}

#[test]
fn every_error_reads_as_it_did() {
    for file in files(&root().join("corpus/missions/errors"), "toml") {
        let name = file.file_name().unwrap().to_str().unwrap();
        let error = parse(&std::fs::read_to_string(&file).unwrap()).unwrap_err();
        snapshot(&format!("errors/{}", file.file_stem().unwrap().to_str().unwrap()), &error.render(name));
    }
}

#[test]
fn a_mission_ends_when_its_file_says() {
    let until = |text: &str| {
        parse(&format!("{}[allow.mcp.a]\nb = {{}}\n", HEADER.replace("2026-12-31", text)))
            .map(|mission| mission.until().to_string())
    };
    for (text, end) in [
        ("2026-12-31", "2027-01-01T00:00:00.000000Z"),
        ("2024-02-29", "2024-03-01T00:00:00.000000Z"),
        ("2026-12-31T18:00:00Z", "2026-12-31T18:00:00.000000Z"),
        ("2026-12-31 18:00:00.5+02:00", "2026-12-31T16:00:00.500000Z"),
    ] {
        assert_eq!(until(text).as_deref(), Ok(end), "{text}");
    }
    let mut refused = String::new();
    for text in [
        "2026-02-30",
        "2026-12-31T18:00:00",
        "18:00:00",
        "1969-12-31",
        "9999-12-31",
        "20261231",
        "\"2026-12-31\"",
        "true",
        "[]",
    ] {
        writeln!(refused, "until = {text}\n{}", until(text).unwrap_err()).unwrap();
    }
    snapshot("until", &refused);
}

#[test]
fn every_part_of_the_language_is_accepted() {
    let source = std::fs::read_to_string(root().join("corpus/missions/everything.toml")).unwrap();
    let mission = accepted(&source);
    assert_eq!(mission.sha256().len(), 64);
    assert_eq!(&**mission.source(), source);
    assert_eq!(mission.agents().len(), 3);
    snapshot("everything", &difference(None, &mission).join("\n"));
    snapshot("explained", &explain(&mission));
}

#[test]
fn examples_are_missions() {
    for file in files(&root().join("missions"), "toml") {
        if file.to_string_lossy().ends_with(".cases.toml") {
            continue;
        }
        let mission = accepted(&std::fs::read_to_string(&file).unwrap());
        assert_eq!(&**mission.name(), file.file_stem().unwrap().to_str().unwrap());
        crate::decide::compile(Arc::new(mission)).unwrap();
    }
}

#[test]
fn every_error_of_an_organisation_file_reads_as_it_did() {
    let source = std::fs::read_to_string(root().join("corpus/missions/organisation.toml")).unwrap();
    let error = parse_organisation(&source).unwrap_err();
    snapshot("organisation", &error.render("organisation.toml"));
}

#[test]
fn examples_of_the_documentation_are_missions() {
    let text = std::fs::read_to_string(root().join("docs/missions.md")).unwrap();
    let blocks: Vec<&str> = text.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(blocks.len() >= 5, "only {} examples", blocks.len());
    for block in blocks {
        let whole = if block.contains("mission =") || block.contains("mission  ") {
            block.to_owned()
        } else {
            format!("{HEADER}{block}")
        };
        crate::decide::compile(Arc::new(accepted(&whole))).unwrap();
    }
}

#[test]
fn limits_hold() {
    let tools = |count: usize| {
        (0..count).fold(format!("{HEADER}[allow.mcp.a]\n"), |text, index| format!("{text}t{index} = {{}}\n"))
    };
    assert!(parse(&tools(1000)).is_ok());
    let long = format!("{HEADER}[allow.mcp.a]\nt = {{}}\n#{}", "x".repeat(crate::limits::MISSION_BYTES_MAX));
    let entries = format!(
        "{HEADER}[allow.mcp.a.t]\nx = {{ in = [{}] }}\n",
        (0..257).map(|index| format!("{index},")).collect::<String>()
    );
    let arguments = (0..257)
        .fold(format!("{HEADER}[allow.mcp.a.t]\n"), |text, index| format!("{text}a{index} = {{ free = true }}\n"));
    let rules = (0..100).fold(HEADER.to_owned(), |text, server| {
        let tools: String = (0..210).map(|index| format!("t{index}={{}}\n")).collect();
        format!("{text}[allow.mcp.s{server}]\n{tools}")
    });
    let mut refused = String::new();
    for source in [long, entries, arguments, rules] {
        writeln!(refused, "{}", parse(&source).unwrap_err()).unwrap();
    }
    snapshot("limits", &refused);
}

#[test]
fn differences_are_sentences() {
    let old = accepted(&format!(
        "{HEADER}
        [allow.mcp.bank]
        gone = {{}}
        opened = {{ a = {{ free = true }} }}
        closed = {{}}
        prompts = ['p']
        requests = ['x/y']
        resources = ['file:///old/*']
        sampling = true
        [allow.mcp.bank.send_money]
        amount = {{ min = 0.01, max = 1000 }}
        same   = {{ in = [1.0] }}
        dropped = {{ free = true }}
        to = {{ domain = ['corp.example'] }}
        when = {{ in = ['now'] }}
        [allow.mcp.star]
        '*' = {{}}
        [allow.mcp.star.named]
        a = {{ in = ['x'] }}
        [effect.mcp.bank]
        closed = 'read'
        gone = 'destroy'
        opened = 'write'
        [danger.large]
        when = 'mcp:bank/send_money'
        over = {{ amount = 500 }}
        [danger.gone]
        when = 'mcp:bank/gone'
        "
    ));
    let new = accepted(
        &format!(
            "{HEADER}
        [allow.mcp.bank]
        new = {{}}
        opened = {{}}
        closed = {{ a = {{ free = true }} }}
        prompts = ['*']
        requests = ['*']
        resources = ['file:///new/*']
        elicitation = true
        [allow.mcp.bank.send_money]
        amount = {{ min = 0.01, max = 5000 }}
        same   = {{ in = [1] }}
        added = {{ path = ['/srv'], optional = true }}
        to = {{ domain = ['corp.example', '*.lab.example'] }}
        when = {{ in = ['now'], optional = true }}
        [allow.mcp.star]
        '*' = {{}}
        [allow.mcp.other]
        '*' = {{}}
        [effect.mcp.bank]
        new = 'send'
        opened = 'read'
        send_money = 'pay'
        [danger.large]
        when = 'mcp:bank/send_money'
        over = {{ amount = 900 }}
        [danger.all]
        when = ['mcp:other/*', 'mcp:bank/new']
        "
        )
        .replace("\"bot\"", "\"second-bot\"")
        .replace("2026-12-31", "2027-06-30")
        .replace("Show a rule.", "Show another rule."),
    );
    snapshot("difference", &difference(Some(&old), &new).join("\n"));
    assert_eq!(difference(Some(&old), &old), Vec::<String>::new());
    let commented = accepted(&format!("# A comment\n{}", old.source().replace("First version.", "Comment.")));
    assert_eq!(difference(Some(&old), &commented), Vec::<String>::new());
}

#[test]
fn templates_are_shown_where_some_resource_could_match() {
    let mission = accepted(&format!("{HEADER}[allow.mcp.a]\nresources = ['file:///srv/*', 'memo://one']\n"));
    let policy = crate::decide::compile(Arc::new(mission)).unwrap();
    for (template, shown) in [
        ("file:///{path}", true),
        ("file:///srv/{path}", true),
        ("file:///srv/docs/{name}.txt", true),
        ("file:///etc/{path}", false),
        ("memo://one", true),
        ("memo://on{rest}", true),
        ("memo://one{rest}", true),
        ("memo://two", false),
        ("memo://ones{rest}", false),
        ("{+any}", true),
        ("https://corp.example/{path}", false),
    ] {
        assert_eq!(policy.shows_template("a", template), shown, "{template}");
        assert!(!policy.shows_template("b", template));
    }
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "(\\PC|\n){0,200}") {
        let _ = parse(&text);
    }

    /// Bytes of a good mission, cut, doubled and exchanged.
    #[test]
    fn no_damaged_mission_makes_the_reader_panic(cut in 0_usize..1500, length in 0_usize..40, insert in "[\\[\\]{}=\"'.,#a-z0-9*\\n -]{0,12}") {
        let source = std::fs::read_to_string(root().join("corpus/missions/everything.toml")).unwrap();
        let damaged: String = source.chars().take(cut).chain(insert.chars()).chain(source.chars().skip(cut + length)).collect();
        if let Err(error) = parse(&damaged) {
            prop_assert!(!error.problems().is_empty());
            for problem in error.problems() {
                prop_assert!(problem.line >= 1 && problem.line <= damaged.lines().count() + 1);
            }
        }
    }
}

/// The schema that editors use: what the reader takes, it takes, and what the reader calls unknown, it refuses.
#[test]
fn the_schema_for_editors_says_what_the_reader_says() {
    let schema: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(root().join("schemas/mission.schema.json")).unwrap()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let read = |file: &std::path::Path| json(toml::from_str(&std::fs::read_to_string(file).unwrap()).unwrap());
    let mut taken: Vec<_> = files(&root().join("missions"), "toml");
    taken.retain(|file| !file.to_string_lossy().ends_with(".cases.toml"));
    taken.push(root().join("corpus/missions/everything.toml"));
    assert!(taken.len() >= 8);
    for file in taken {
        let errors: Vec<_> = validator.iter_errors(&read(&file)).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{}: {errors:?}", file.display());
    }
    for name in ["arguments", "effects", "keys", "limits", "no-allow", "texts", "typed", "when"] {
        let file = root().join(format!("corpus/missions/errors/{name}.toml"));
        assert!(!validator.is_valid(&read(&file)), "{name}");
    }
    // Each key that it lists is one that the reader takes, and there are no others.
    let keys = |pointer: &str| {
        schema.pointer(pointer).unwrap().as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(", ")
    };
    let known = |source: &str, of: &str| {
        let error = parse(source).unwrap_err().render("x");
        let line = error.lines().find(|line| line.contains(of)).unwrap_or_else(|| panic!("{error}")).to_owned();
        line.split("the keys here are ").nth(1).unwrap().to_owned()
    };
    assert_eq!(known(&format!("{HEADER}zzzzzzzzzzzz = 1\n[allow.mcp.a]\nt = {{}}\n"), "zzzz"), keys("/properties"));
    let argument = format!("{HEADER}[allow.mcp.a.t]\nx = {{ zzzzzzzzzzzz = 1 }}\n");
    assert_eq!(known(&argument, "zzzz"), keys("/$defs/argument/properties"));
    let danger = format!("{HEADER}[allow.mcp.a]\nt = {{}}\n[danger.d]\nzzzzzzzzzzzz = 1\nwhen = 'mcp:a/t'\n");
    assert_eq!(known(&danger, "zzzz"), keys("/$defs/danger/properties"));
    let budget = format!("{HEADER}[allow.mcp.a]\nt = {{}}\n[budget]\nzzzzzzzzzzzz = 1\n");
    assert_eq!(known(&budget, "zzzz"), keys("/properties/budget/properties"));
}

/// TOML as the editors' tools see it.
fn json(value: toml::Value) -> serde_json::Value {
    match value {
        toml::Value::Array(items) => items.into_iter().map(json).collect(),
        toml::Value::Boolean(value) => value.into(),
        toml::Value::Datetime(time) => time.to_string().into(),
        toml::Value::Float(number) => number.into(),
        toml::Value::Integer(number) => number.into(),
        toml::Value::String(text) => text.into(),
        toml::Value::Table(members) => members.into_iter().map(|(name, value)| (name, json(value))).collect(),
    }
}
