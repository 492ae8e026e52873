//! Holds the words to the program: what README and `docs/` show is run, what they name exists, and what they list is complete.
//!
//! A page that promises what the code does not do fails here. [`console`] plays the commands; [`markdown`] takes the pages apart.

mod console;
mod markdown;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::thread;

use evidence::filter::Field;
use gateway::config::Config;
use governance::decide::{compile, parse_cases};
use governance::mission;
use governance::reason::Reason;
use serde_json::Value;
use store::View;
use testkit::scratch::Scratch;

use self::console::{countersign, play};
use self::markdown::{Fence, Page, files, pages, root};

/// Keys that only a gateway's configuration has.
const CONFIG_HEADS: [&str; 7] = ["[witness.", "[auth]", "[listen]", "[store]", "[missions]", "[upstream.", "[limits]"];

/// What a fragment of a mission lacks.
const MISSION_HEAD: &str =
    "mission = \"m\"\ngoal = \"g\"\nowner = \"o\"\nagents = [\"a\"]\nuntil = 2099-12-31\nwhy = \"w\"\n";

/// Fails with every breach that was found.
fn none(breaches: Vec<String>) {
    assert!(breaches.is_empty(), "\n{}", breaches.join("\n"));
}

#[test]
fn every_command_that_a_page_shows_does_what_it_says() {
    let pages = pages();
    let played: Vec<Result<usize, String>> = thread::scope(|scope| {
        let running: Vec<_> = pages.iter().map(|page| scope.spawn(|| play(page))).collect();
        running.into_iter().map(|page| page.join().unwrap()).collect()
    });
    assert!(played.iter().flatten().sum::<usize>() > 20, "the pages show hardly any command");
    none(played.into_iter().filter_map(Result::err).collect());
}

#[test]
fn every_mission_and_configuration_on_a_page_is_one() {
    let (mut breaches, mut missions, mut configs) = (Vec::new(), 0, 0);
    for page in pages() {
        for fence in page.fences().into_iter().filter(|fence| fence.info.first().is_some_and(|word| word == "toml")) {
            let here = page.at(fence.line);
            let starts = |head: &str| fence.text.lines().any(|line| line.starts_with(head));
            let wrong = if fence.info.last().is_some_and(|word| word == "wrong") {
                missions += 1;
                mission_fault(&fence.text).is_none().then(|| "this mission is said to be wrong and is not".to_owned())
            } else if CONFIG_HEADS.iter().any(|head| starts(head)) {
                // Before missions: a grant of the configuration has keys of the same names.
                configs += 1;
                config_fault(&fence.text)
            } else if starts("organisation ") {
                mission::parse_organisation(&fence.text).err().map(|error| error.to_string())
            } else if starts("gates ") {
                mission::parse_standing(&fence.text).err().map(|error| error.to_string())
            } else if starts("[[case]]") {
                parse_cases(&fence.text).err().map(|error| error.to_string())
            } else if starts("mission ") {
                missions += 1;
                mission_fault(&fence.text)
            } else if starts("[allow.") || starts("[danger.") {
                missions += 1;
                fragment_fault(&page, &fence)
            } else {
                fence.text.parse::<toml::Table>().err().map(|error| error.to_string())
            };
            breaches.extend(wrong.map(|wrong| format!("{here}: {wrong}")));
        }
    }
    for path in files(&|path| path.extension().is_some_and(|extension| extension == "toml")) {
        let text = fs::read_to_string(root().join(&path)).unwrap();
        let folder = path.components().next();
        if [Some(Component::Normal("missions".as_ref())), Some(Component::Normal("examples".as_ref()))]
            .contains(&folder)
            && text.lines().any(|line| line.starts_with("mission "))
        {
            missions += 1;
            let is_cases = path.to_string_lossy().ends_with(".cases.toml");
            let fault =
                if is_cases { parse_cases(&text).err().map(|error| error.to_string()) } else { mission_fault(&text) };
            breaches.extend(fault.map(|wrong| format!("{}: {wrong}", path.display())));
        }
    }
    assert!(missions > 5 && configs > 1, "{missions} missions and {configs} configurations were found");
    none(breaches);
}

fn mission_fault(text: &str) -> Option<String> {
    match mission::parse(text) {
        Ok(mission) => compile(Arc::new(mission)).err().map(|error| error.to_string()),
        Err(error) => Some(error.to_string()),
    }
}

/// A fragment is read with a head before it, and danger zones with what the page allowed before them.
fn fragment_fault(page: &Page, fence: &Fence) -> Option<String> {
    let is_fragment = |other: &Fence| other.text.lines().any(|line| line.starts_with("[allow."));
    let earlier = page.fences().into_iter().rev().find(|other| other.line < fence.line && is_fragment(other));
    let alone = format!("{MISSION_HEAD}{}", fence.text);
    let fault = mission_fault(&alone)?;
    let before = earlier.map(|earlier| mission_fault(&format!("{MISSION_HEAD}{}{}", earlier.text, fence.text)));
    before.unwrap_or(Some(fault))
}

fn config_fault(text: &str) -> Option<String> {
    let scratch = Scratch::new("config").unwrap();
    for line in text.lines() {
        // A credential's file must be there to be read.
        if let Some((_, rest)) = line.split_once("file = \"") {
            let name = rest.split('"').next().unwrap_or_default();
            assert!(
                !name.starts_with('/'),
                "name credentials beside the configuration, so that this test can put one there"
            );
            fs::write(scratch.join(name), "secret\n").unwrap();
        }
    }
    let path = scratch.join("countersign.toml");
    fs::write(&path, text).unwrap();
    Config::read(&path).err().map(|error| error.to_string())
}

#[test]
fn every_json_snippet_is_json() {
    let (mut breaches, mut found) = (Vec::new(), 0);
    for page in pages() {
        for fence in page.fences().into_iter().filter(|fence| fence.info.first().is_some_and(|word| word == "json")) {
            found += 1;
            if let Err(error) = serde_json::from_str::<Value>(&fence.text) {
                breaches.push(format!("{}: {error}", page.at(fence.line)));
            }
        }
    }
    for path in
        files(&|path| path.starts_with(root().join("examples")) && path.extension().is_some_and(|end| end == "json"))
    {
        found += 1;
        if let Err(error) = serde_json::from_str::<Value>(&fs::read_to_string(root().join(&path)).unwrap()) {
            breaches.push(format!("{}: {error}", path.display()));
        }
    }
    assert!(found > 5, "{found} snippets were found");
    none(breaches);
}

#[test]
fn the_client_snippets_are_those_of_the_page() {
    let page = Page::read("docs/clients.md");
    let on_page: BTreeSet<String> = page
        .fences()
        .into_iter()
        .filter(|fence| fence.info.first().is_some_and(|word| word != "sh"))
        .map(|fence| fence.text)
        .collect();
    let snippets = files(&|path| path.starts_with(root().join("examples/clients")));
    let in_files: BTreeSet<String> =
        snippets.iter().map(|path| fs::read_to_string(root().join(path)).unwrap()).collect();
    assert!(snippets.len() > 5);
    assert_eq!(in_files, on_page, "examples/clients and docs/clients.md differ");
}

#[test]
fn every_link_leads_somewhere() {
    let (mut breaches, mut followed) = (Vec::new(), 0);
    for page in pages() {
        for link in page.links() {
            if link.what.contains("://") || link.what.starts_with("mailto:") {
                continue;
            }
            followed += 1;
            let (path, anchor) = link.what.split_once('#').unwrap_or((&link.what, ""));
            let target = match path {
                "" => page.path.clone(),
                path => plain(&page.path.parent().unwrap().join(path)),
            };
            if !root().join(&target).exists() {
                breaches.push(format!("{}: `{}` leads nowhere", page.at(link.line), link.what));
            } else if !anchor.is_empty() && !Page::read(&target).anchors().iter().any(|known| known == anchor) {
                breaches.push(format!("{}: `{}` has no such heading", page.at(link.line), link.what));
            }
        }
    }
    assert!(followed > 30, "{followed} links were found");
    none(breaches);
}

/// The path without `.` and `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(plain.pop()),
            Component::CurDir => {}
            part => plain.push(part),
        }
    }
    plain
}

#[test]
fn every_path_that_a_page_names_exists() {
    let (mut breaches, mut named) = (Vec::new(), 0);
    for page in pages() {
        let spans = page.code().into_iter().map(|span| (span.line, span.what.to_owned()));
        let pictures = page
            .fences()
            .into_iter()
            .filter(|fence| fence.info.first().is_none_or(|word| word == "text" || word == "mermaid"));
        for (line, text) in spans.chain(pictures.map(|fence| (fence.line, fence.text))) {
            for path in repository_paths(&text) {
                named += 1;
                if !root().join(path).exists() {
                    breaches.push(format!("{}: there is no `{path}`", page.at(line)));
                }
            }
        }
    }
    // The rules of `cargo xtask tidy` are tested on pages that do not exist.
    for path in files(&|path| path.extension().is_some_and(|extension| extension == "rs"))
        .iter()
        .filter(|path| !path.starts_with("crates/xtask"))
    {
        let source = fs::read_to_string(root().join(path)).unwrap();
        for page in source.split(|letter: char| !(letter.is_ascii_alphanumeric() || "/._-".contains(letter))) {
            if page.starts_with("docs/")
                && page.ends_with(".md")
                && !page.contains("/n.md")
                && !page.contains("decisions/000")
            {
                named += 1;
                if !root().join(page).exists() {
                    breaches.push(format!("{}: there is no `{page}`", path.display()));
                }
            }
        }
    }
    assert!(named > 60, "{named} paths were found");
    none(breaches);
}

/// The words of a text that are paths of this repository. Patterns are not looked at.
fn repository_paths(text: &str) -> impl Iterator<Item = &str> {
    const FOLDERS: [&str; 9] =
        ["corpus/", "crates/", "docs/", "examples/", "fuzz/", "missions/", "schemas/", "tests/", ".ci/"];
    let words = text.split(|letter: char| letter.is_whitespace() || "()[]\"',;:|".contains(letter));
    words.map(|word| word.trim_end_matches('.')).filter(|word| {
        let literal = word.chars().all(|letter| letter.is_ascii_alphanumeric() || "/._-".contains(letter));
        literal && FOLDERS.iter().any(|folder| word.starts_with(folder))
    })
}

#[test]
fn every_command_and_flag_that_a_page_names_is_in_the_help() {
    let help = Help::read();
    let mut breaches = Vec::new();
    let mut named = BTreeSet::new();
    for page in pages() {
        let spans = page.code().into_iter().map(|span| (span.line, span.what.to_owned()));
        let blocks = page
            .fences()
            .into_iter()
            .filter(|fence| fence.info.first().is_some_and(|word| word == "console" || word == "sh"));
        let blocks = blocks.flat_map(|fence| {
            let joined = fence.text.replace("\\\n", " ");
            let lines: Vec<String> = joined.lines().map(str::to_owned).collect();
            lines.into_iter().map(move |text| (fence.line, text))
        });
        for (line, text) in spans.chain(blocks) {
            for words in invocations(&text) {
                match help.fault(&words) {
                    Ok(command) => drop(named.insert(command)),
                    Err(wrong) => breaches.push(format!("{}: {wrong}", page.at(line))),
                }
            }
        }
    }
    let unnamed = help.commands().filter(|command| !named.contains(command.as_str()));
    breaches.extend(unnamed.map(|command| format!("no page names `countersign {command}`")));
    none(breaches);
}

/// The words after each `countersign` that stands where a command stands.
fn invocations(text: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for part in text.split(['|', ';', '&', '(']) {
        let mut words = part
            .split_whitespace()
            .skip_while(|word| ["$", "sudo", "exec"].contains(word) || word.contains('='))
            .peekable();
        if words.next_if(|word| word.rsplit('/').next() == Some("countersign")).is_some() {
            let own = words.take_while(|word| *word != "--" && !word.starts_with('#'));
            found.push(own.map(|word| word.trim_matches(['\'', '"', '`', ')', ',']).to_owned()).collect());
        }
    }
    found.retain(|words: &Vec<String>| !words.is_empty());
    found
}

/// What `--help` says there is.
struct Help(Vec<(String, String)>);

impl Help {
    fn read() -> Self {
        let mut known = Vec::new();
        for command in subcommands(&countersign(&["--help"]).0) {
            let text = countersign(&[&command, "--help"]).0;
            // The longer names first: some commands do something by themselves too.
            known.extend(subcommands(&text).into_iter().map(|name| {
                let text = countersign(&[&command, &name, "--help"]).0;
                (format!("{command} {name}"), text)
            }));
            if text.lines().any(|line| line.starts_with("Usage:") && !line.ends_with("<COMMAND>")) {
                known.push((command, text));
            }
        }
        assert!(known.len() > 8, "the help lists {} commands", known.len());
        Self(known)
    }

    fn commands(&self) -> impl Iterator<Item = &String> {
        self.0.iter().map(|(command, _)| command)
    }

    /// The command that these words call, or what is wrong with them.
    fn fault(&self, words: &[String]) -> Result<String, String> {
        let said = words.join(" ");
        if words.iter().all(|word| word.starts_with('-')) {
            return Ok(String::new());
        }
        let fits =
            |command: &str| said == command || said.strip_prefix(command).is_some_and(|rest| rest.starts_with(' '));
        let Some((command, text)) = self.0.iter().find(|(command, _)| fits(command)) else {
            // The name of a group alone, such as `countersign run`, is a name and no call.
            let group = self.commands().any(|command| command.split(' ').next() == Some(said.as_str()));
            return if group { Ok(String::new()) } else { Err(format!("there is no `countersign {said}`")) };
        };
        let flags = words
            .iter()
            .filter_map(|word| word.strip_prefix("--"))
            .map(|flag| flag.split(['=', '|', ']']).next().unwrap_or_default());
        for flag in flags.filter(|flag| !flag.is_empty()) {
            let listed = text
                .split(|letter: char| letter.is_whitespace() || "<>|,".contains(letter))
                .any(|word| word.strip_prefix("--") == Some(flag));
            if !listed {
                return Err(format!("`countersign {command}` has no `--{flag}`"));
            }
        }
        Ok(command.clone())
    }
}

/// The names under `Commands:`.
fn subcommands(help: &str) -> Vec<String> {
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names = listed
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

#[test]
fn the_table_of_reason_codes_is_that_of_the_code() {
    let source = fs::read_to_string(root().join("crates/governance/src/reason.rs")).unwrap();
    let (mut said, mut meanings) = (Vec::new(), Vec::new());
    for line in source.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("/// ") {
            said.push(text.to_owned());
        } else {
            if let Some((_, code)) = line.trim_end_matches(',').split_once(" = \"") {
                meanings.push(vec![format!("`{}`", code.trim_end_matches('"')), said.join(" ")]);
            }
            said.clear();
        }
    }
    let codes: Vec<String> = Reason::ALL.iter().map(|reason| format!("`{}`", reason.code())).collect();
    assert_eq!(meanings.iter().map(|row| row[0].clone()).collect::<Vec<_>>(), codes, "the source was not read right");
    let rows = Page::read("docs/agent-developer.md").table("Reason codes");
    let wanted: String = meanings.iter().map(|row| format!("| {} | {} |\n", row[0], row[1])).collect();
    assert_eq!(rows, meanings, "\nthe table must be\n\n{wanted}");
}

#[test]
fn the_table_of_the_fields_of_filters_is_that_of_the_code() {
    let in_code = |text: &str| format!("`{text}`");
    let wanted: Vec<Vec<String>> = Field::ALL
        .iter()
        .map(|field| {
            vec![in_code(field.name()), field.value().into(), in_code(field.example()), field.matches().into()]
        })
        .collect();
    let text: String = wanted.iter().map(|row| format!("| {} |\n", row.join(" | "))).collect();
    assert_eq!(Page::read("docs/evidence.md").table("Filters"), wanted, "\nthe table must be\n\n{text}");
}

#[test]
fn the_table_of_views_has_the_columns_that_there_are() {
    let rows = Page::read("docs/evidence.md").table("SQL");
    let said: Vec<[String; 2]> = rows.iter().map(|row| [row[0].clone(), row[2].clone()]).collect();
    let code = |name: &str| format!("`{name}`");
    let columns = |view: &View| view.own_columns().iter().map(|column| code(column)).collect::<Vec<_>>().join(", ");
    let wanted: Vec<[String; 2]> = View::ALL.iter().map(|view| [code(view.name()), columns(view)]).collect();
    assert_eq!(said, wanted);
    let text = fs::read_to_string(root().join("docs/evidence.md")).unwrap();
    let shared: Vec<String> = View::Records.columns().take_while(|column| *column != "type").map(code).collect();
    let begins = text.lines().find(|line| line.starts_with("Each view begins with ")).unwrap();
    assert_eq!(begins.split('`').skip(1).step_by(2).map(code).take(shared.len()).collect::<Vec<_>>(), shared);
}

#[test]
fn the_table_of_limits_has_the_values_of_the_code() {
    let rows = Page::read("docs/operator.md").table("Limits");
    let mut breaches = Vec::new();
    for row in &rows {
        let (name, value) = (row[1].trim_matches('`'), &row[2]);
        match limits().into_iter().find(|(known, _)| *known == name) {
            None => breaches.push(format!("`{name}` is not among the limits that this test knows")),
            Some((_, known)) if known != *value => breaches.push(format!("`{name}` is {known}, not {value}")),
            Some(_) => {}
        }
    }
    for (name, value) in limits() {
        if !rows.iter().any(|row| row[1].trim_matches('`') == name) {
            breaches.push(format!("`{name}` ({value}) is not in the table"));
        }
    }
    none(breaches);
}

/// What people meet, with the values of the code.
fn limits() -> Vec<(&'static str, String)> {
    use ::console::limits as console;
    use gateway::limits as gateway;
    use governance::limits as governance;
    use surfaces::limits as surfaces;
    let bytes = |bytes: usize| match (bytes % (1 << 20), bytes % (1 << 10)) {
        (0, _) => format!("{} MiB", bytes >> 20),
        (_, 0) => format!("{} KiB", bytes >> 10),
        _ => format!("{bytes} B"),
    };
    let seconds = |seconds: u64| match (seconds % 3600, seconds % 60) {
        (0, _) => format!("{} h", seconds / 3600),
        (_, 0) => format!("{} min", seconds / 60),
        _ => format!("{seconds} s"),
    };
    vec![
        ("surfaces::REQUEST_BODY_BYTES_MAX", bytes(surfaces::REQUEST_BODY_BYTES_MAX)),
        ("surfaces::RESPONSE_BODY_BYTES_MAX", bytes(surfaces::RESPONSE_BODY_BYTES_MAX)),
        ("surfaces::JSON_DEPTH_MAX", surfaces::JSON_DEPTH_MAX.to_string()),
        ("surfaces::IN_FLIGHT_MAX", surfaces::IN_FLIGHT_MAX.to_string()),
        ("surfaces::HTTP_SESSIONS_MAX", surfaces::HTTP_SESSIONS_MAX.to_string()),
        ("surfaces::HTTP_SESSIONS_PER_TOKEN_MAX", surfaces::HTTP_SESSIONS_PER_TOKEN_MAX.to_string()),
        ("surfaces::HTTP_SESSION_IDLE_MS", seconds(surfaces::HTTP_SESSION_IDLE_MS / 1_000)),
        ("surfaces::BEARER_BYTES_MAX", bytes(surfaces::BEARER_BYTES_MAX)),
        ("surfaces::DRAIN_MS", seconds(surfaces::DRAIN_MS / 1_000)),
        ("surfaces::STEP_BODY_BYTES_MAX", bytes(surfaces::STEP_BODY_BYTES_MAX)),
        ("surfaces::STEPS_OPEN_MAX", surfaces::STEPS_OPEN_MAX.to_string()),
        ("surfaces::STEPS_OPEN_PER_RUN_MAX", surfaces::STEPS_OPEN_PER_RUN_MAX.to_string()),
        ("governance::REPORT_SECONDS", seconds(governance::REPORT_SECONDS)),
        ("governance::CONTENT_BYTES_MAX", bytes(governance::CONTENT_BYTES_MAX)),
        ("governance::RESULT_BYTES_MAX", bytes(governance::RESULT_BYTES_MAX)),
        ("governance::MISSION_BYTES_MAX", bytes(governance::MISSION_BYTES_MAX)),
        ("governance::MISSION_RULES_MAX", governance::MISSION_RULES_MAX.to_string()),
        ("governance::LIST_ELEMENTS_MAX", governance::LIST_ELEMENTS_MAX.to_string()),
        ("governance::EXCEPT_DAYS_MAX", governance::EXCEPT_DAYS_MAX.to_string()),
        ("governance::ENDORSED_BYTES_MAX", bytes(governance::ENDORSED_BYTES_MAX)),
        ("governance::OWN_CLASSES_MAX", governance::OWN_CLASSES_MAX.to_string()),
        ("governance::INDEX_VALUES_MAX", governance::INDEX_VALUES_MAX.to_string()),
        ("console::BODY_BYTES_MAX", bytes(console::BODY_BYTES_MAX)),
        ("console::SESSION_US", seconds(console::SESSION_US.unsigned_abs() / 1_000_000)),
        ("console::SESSIONS_PER_PERSON_MAX", console::SESSIONS_PER_PERSON_MAX.to_string()),
        ("console::STREAMS_PER_SESSION_MAX", console::STREAMS_PER_SESSION_MAX.to_string()),
        ("gateway::STREAM_READERS_MAX", gateway::STREAM_READERS_MAX.to_string()),
        ("console::FOLLOWERS_MAX", console::FOLLOWERS_MAX.to_string()),
        ("console::STREAM_BATCHES_WAITING", console::STREAM_BATCHES_WAITING.to_string()),
        ("console::STREAM_READ_WAIT", seconds(console::STREAM_READ_WAIT.as_secs())),
        ("console::LOOKUPS_MAX", console::LOOKUPS_MAX.to_string()),
        ("gateway::PAGE_MAX", gateway::PAGE_MAX.to_string()),
        ("gateway::CALL_TIMEOUT", seconds(gateway::CALL_TIMEOUT.as_secs())),
        ("gateway::OPEN_RUNS_MAX", gateway::OPEN_RUNS_MAX.to_string()),
        ("gateway::RUN_US", seconds(gateway::RUN_US.unsigned_abs() / 1_000_000)),
        ("gateway::RUN_US_MAX", seconds(gateway::RUN_US_MAX.unsigned_abs() / 1_000_000)),
        ("gateway::IDLE", seconds(gateway::IDLE.as_secs())),
        ("gateway::SHUTDOWN_WAIT", seconds(gateway::SHUTDOWN_WAIT.as_secs())),
        ("gateway::CONNECTIONS_MAX", gateway::CONNECTIONS_MAX.to_string()),
        ("gateway::LOGIN_WAIT", seconds(gateway::LOGIN_WAIT.as_secs())),
        ("gateway::KEYS_AGAIN", seconds(gateway::KEYS_AGAIN.as_secs())),
        ("gateway::KEYS_FRESH", seconds(gateway::KEYS_FRESH.as_secs())),
        ("gateway::KEYS_STALE_MAX", seconds(gateway::KEYS_STALE_MAX.as_secs())),
        ("gateway::CLOCK_SKEW_S", seconds(gateway::CLOCK_SKEW_S.into())),
        ("gateway::CLOCK_SKEW_S_MAX", seconds(gateway::CLOCK_SKEW_S_MAX.into())),
        ("gateway::CONFIG_BYTES_MAX", bytes(usize::try_from(gateway::CONFIG_BYTES_MAX).unwrap())),
        ("gateway::OUTCOME_BYTES_MAX", bytes(usize::try_from(gateway::OUTCOME_BYTES_MAX).unwrap())),
        ("gateway::OUTCOMES_BYTES_MAX", bytes(usize::try_from(gateway::OUTCOMES_BYTES_MAX).unwrap())),
    ]
}

#[test]
fn the_glossary_has_the_words_of_the_schemas_and_of_the_code() {
    let glossary = Page::read("docs/glossary.md");
    let mut breaches = Vec::new();
    for row in glossary.table("Words that the schemas close") {
        let (file, field) = row[0].trim_matches('`').split_once(' ').unwrap_or_default();
        let path = format!("schemas/evidence/{file}.schema.json");
        let schema: Value = serde_json::from_str(&fs::read_to_string(root().join(&path)).unwrap()).unwrap();
        let mut words = BTreeSet::new();
        closed_words(&schema, field, &mut words);
        let said: BTreeSet<String> = row[1].split(',').map(|word| word.trim().trim_matches('`').to_owned()).collect();
        if words != said {
            breaches.push(format!("`{field}` of `{path}` is {words:?}, the glossary says {said:?}"));
        }
    }
    let mut known = Vec::new();
    for row in glossary.table("Words") {
        let (word, place) = (&row[0], &row[2]);
        known.push(word.trim_matches('*').to_owned());
        for part in place.split(", ").filter(|part| *part != "-") {
            let (path, name) = part.trim_matches('`').split_once(' ').unwrap_or((part.trim_matches('`'), ""));
            match fs::read_to_string(root().join(path)) {
                Err(_) => breaches.push(format!("{word}: there is no `{path}`")),
                Ok(text) if !text.contains(name) => breaches.push(format!("{word}: `{path}` has no `{name}`")),
                Ok(_) => {}
            }
        }
    }
    let mut sorted = known.clone();
    sorted.sort_by_key(|word| word.to_lowercase());
    if known != sorted {
        breaches.push(format!("the words are not in alphabetical order: {sorted:?}"));
    }
    none(breaches);
}

/// The words of every closed set with this name in a schema.
fn closed_words(schema: &Value, field: &str, words: &mut BTreeSet<String>) {
    match schema {
        Value::Object(members) => {
            for (name, value) in members {
                if name == field {
                    let listed = value.get("enum").and_then(Value::as_array).into_iter().flatten();
                    words.extend(listed.filter_map(Value::as_str).map(str::to_owned));
                }
                closed_words(value, field, words);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| closed_words(value, field, words)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn words_that_the_glossary_rules_out_are_not_used() {
    let rows = Page::read("docs/glossary.md").table("Words that we do not use");
    let mut breaches = Vec::new();
    for page in pages().iter().filter(|page| page.path != Path::new("docs/glossary.md")) {
        for line in page.prose() {
            let text = line.what.to_lowercase();
            for row in &rows {
                for word in row[0].split(',').map(|word| word.trim().to_lowercase()) {
                    let joins = |letter: Option<char>| letter.is_some_and(char::is_alphanumeric);
                    let pieces: Vec<&str> = text.split(&word).collect();
                    let found = pieces
                        .windows(2)
                        .any(|pair| !joins(pair[0].chars().next_back()) && !joins(pair[1].chars().next()));
                    if found {
                        breaches.push(format!("{}: `{word}`: {}", page.at(line.line), row[1]));
                    }
                }
            }
        }
    }
    none(breaches);
}

#[test]
fn what_the_readme_says_is_absent_is_absent() {
    for section in ["[allow.http.bank]\n\"*\" = {}\n", "[allow.browser.portal]\n\"*\" = {}\n"] {
        assert!(mission::parse(&format!("{MISSION_HEAD}{section}")).is_err(), "{section}");
    }
    let gate = "[allow.mcp.bank]\n\"*\" = {}\n[gate.default]\nany_of = [{ group = \"g\", need = 1 }]\n";
    assert!(mission::parse(&format!("{MISSION_HEAD}{gate}")).is_err());
    assert!(config_fault("[store]\nurl = \"postgres://localhost/countersign\"\n").is_some());
    for absent in ["approvals", "export", "people", "exec"] {
        assert_eq!(countersign(&[absent]).1, Some(2), "countersign {absent}");
    }
}
