//! The organisation's own classes against the real gateway: indexed, taken up, held to missions, and never run without.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use evidence::record::{Body, ExceptionKind, VersionLog, VersionedKind};
use testkit::governed::Home;
use testkit::wait;

use super::bridges::{PATIENCE, binary};
use super::clients::Http;

const DATA: &str = "[data]\ntouches = [\"pii\"]\npii = { result = \"mask\" }\n";

const TABLE: &str = "id,name,city\nCU-0000-1234,Jane Doe,Springfield\nCU-0000-5678,\"Roe, Richard\",Springfield\n";

fn classes(why: &str, rest: &str) -> String {
    format!(
        "why = {why:?}\n[class.codename]\nwhy = \"projects\"\nkeywords = [\"Project Falcon\"]\n\
         [class.customer]\nwhy = \"customers\"\nvalues = \"customers.edm\"\ncolumns = [\"id\"]\n{rest}"
    )
}

/// What the program says, and whether the answer is the one that `code` stands for.
fn run(home: &Home, args: &[&str], code: i32) -> String {
    let out = home.command(args).unwrap().stderr(Stdio::piped()).output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert_eq!(out.status.code(), Some(code), "{args:?}: {said}");
    said
}

fn index(home: &Home, table: &str) -> String {
    let file = home.path().parent().unwrap().join("customers.csv");
    fs::write(&file, table).unwrap();
    let file = file.display().to_string();
    run(home, &["classes", "index", &file, "--column", "id", "--column", "name", "--out", "customers.edm"], 0)
}

/// Calls until what the agent reads says `wanted`.
fn until_told(http: &Http, session: &str, text: &str, wanted: &str) {
    let mut last = String::new();
    let told = wait::until("an answer", PATIENCE, || {
        let mut raw = http.connect();
        raw.send(&http.request(Some(session), &http.call(7, text)));
        last = raw.answer();
        if last.contains(wanted) { Ok(()) } else { Err(last.clone()) }
    });
    told.unwrap();
}

fn until_noted(http: &Http, wanted: &str) {
    until_noted_as(http, ExceptionKind::BadClasses, wanted);
}

fn until_noted_as(http: &Http, kind: ExceptionKind, wanted: &str) {
    let noted = wait::until("an exception", PATIENCE, || {
        let mut reasons = Vec::new();
        let read = http.home.audit("type:exception_record", |line| {
            if let Body::Exception(exception) = evidence::record::read(line.as_bytes())?.body
                && exception.kind == kind
            {
                reasons.push(exception.reason);
            }
            Ok(())
        });
        read.map_err(|error| error.to_string())?;
        if reasons.iter().any(|reason| reason.contains(wanted)) { Ok(()) } else { Err(format!("{reasons:?}")) }
    });
    noted.unwrap();
}

fn versions(http: &Http) -> Vec<VersionLog> {
    versions_of(http, VersionedKind::Classes)
}

fn versions_of(http: &Http, kind: VersionedKind) -> Vec<VersionLog> {
    let mut versions = Vec::new();
    let read = http.home.audit("type:version_log", |line| {
        if let Body::Version(version) = evidence::record::read(line.as_bytes())?.body
            && version.object.kind == kind
        {
            versions.push(version);
        }
        Ok(())
    });
    read.unwrap();
    versions
}

#[test]
fn own_classes_hold_as_they_were_accepted_over_bad_files_and_restarts() {
    let child = binary("countersign-upstream").display().to_string();
    let mut http = Http::with("own-classes", &format!("command = {:?}", [child.as_str(), "--stdio"]), "", DATA);
    let session = http.open();
    let (codename, customer) = ("about project-\u{ff26}alcon", r#"{"account":"cu 0000 1234"}"#);
    until_told(&http, &session, codename, "about project");
    until_told(&http, &session, customer, "0000 1234");

    let file = http.home.path().join("classes.toml");
    let said = index(&http.home, TABLE);
    assert!(said.contains("4 values of 2 rows"), "{said}");
    let bytes = fs::read(http.home.path().join("customers.edm")).unwrap();
    for value in ["CU-0000-1234", "cu00001234", "Jane", "janedoe", "Richard"] {
        assert!(!bytes.windows(value.len()).any(|part| part == value.as_bytes()), "{value}");
    }
    fs::write(&file, classes("First version.", "")).unwrap();
    let said = run(&http.home, &["classes", "check"], 0);
    assert!(said.contains("org.customer: values of `customers.edm`, columns `id` (customers)"), "{said}");
    until_told(&http, &session, codename, "denied (data_unexpected)");
    until_told(&http, &session, customer, "denied (data_unexpected)");
    until_told(&http, &session, r#"{"account":"cu 0000 1235"}"#, "0000 1235");

    // Bad files, another index and none: what was in force stays, over a crash too.
    fs::write(&file, classes("Broken.", "match = 9\n")).unwrap();
    until_noted(&http, "`match = 9`");
    run(&http.home, &["classes", "check"], 1);
    fs::write(&file, classes("First version.", "near = [\"customer\"]\n")).unwrap();
    until_noted(&http, "its `why` did not");
    fs::write(http.home.path().join("customers.edm"), bytes.get(..100).unwrap()).unwrap();
    fs::write(&file, classes("An index that is cut.", "")).unwrap();
    until_noted(&http, "not a whole one");
    http.restart();
    let session = http.open();
    until_told(&http, &session, customer, "denied (data_unexpected)");
    fs::remove_file(&file).unwrap();
    until_noted(&http, "No such file");
    http.restart();
    let session = http.open();
    until_told(&http, &session, codename, "denied (data_unexpected)");

    // Another table under the same file is another version.
    index(&http.home, &TABLE.replace("1234", "4321"));
    fs::write(&file, classes("First version.", "")).unwrap();
    until_told(&http, &session, r#"{"account":"cu 0000 4321"}"#, "denied (data_unexpected)");
    until_told(&http, &session, customer, "0000 1234");
    let told: Vec<_> = versions(&http).iter().map(|version| version.difference.clone()).collect();
    assert_eq!(
        told,
        [
            vec![
                "class `org.codename`: 1 keywords".to_owned(),
                "class `org.customer`: values of `customers.edm`, columns `id`".to_owned(),
                "index `customers.edm` is new: 4 values".to_owned(),
            ],
            vec!["index `customers.edm` changed: 4 values".to_owned()],
        ]
    );
    let records = http.end();
    assert!(records.iter().any(|record| record.data_classes.iter().any(|class| &**class == "org.codename")));
    assert!(!format!("{records:?}").contains("0000 1234"), "no value is on record");
}

#[test]
fn a_gateway_does_not_start_without_the_own_classes_that_there_are() {
    let http = Http::before("own-classes-bad", "command = [\"true\"]", "");
    let other = http.home.beside("other").unwrap();
    other.write_mission(&["echo"]).unwrap();
    other.write_config_with("command = [\"true\"]", "").unwrap();
    fs::create_dir_all(other.path()).unwrap();
    fs::set_permissions(other.path(), fs::Permissions::from_mode(0o700)).unwrap();
    fs::write(other.path().join("classes.toml"), classes("First version.", "")).unwrap();
    let mut refused = other.spawn_serve().unwrap();
    let code = refused.wait(PATIENCE).unwrap();
    assert!(!code.success(), "it starts without an index: {}", other.said());
    assert!(other.said().contains("own classes of data") && other.said().contains("customers.edm"), "{}", other.said());
    drop(http.end());
}

#[test]
fn a_mission_speaks_only_of_own_classes_that_there_are() {
    let child = binary("countersign-upstream").display().to_string();
    let mut http = Http::with("own-named", &format!("command = {:?}", [child.as_str(), "--stdio"]), "", "");
    fs::write(
        http.home.path().join("classes.toml"),
        "why = \"First version.\"\n[class.codename]\nwhy = \"projects\"\nkeywords = [\"Project Falcon\"]\n",
    )
    .unwrap();
    let mission = http.home.mission();
    let plain = fs::read_to_string(&mission).unwrap();
    let with = |name: &str, why: &str| {
        let lines: Vec<String> = plain
            .lines()
            .map(|line| if line.starts_with("why") { format!("why = {why:?}") } else { line.to_owned() })
            .collect();
        fs::write(&mission, format!("{}\n[data]\n\"org.{name}\" = {{ else = \"deny\" }}\n", lines.join("\n"))).unwrap();
    };
    let file = mission.display().to_string();
    with("codenam", "Keep names of projects.");
    let said = run(&http.home, &["mission", "apply", &file], 1);
    assert!(said.contains("`org.codenam` is no own class in force"), "{said}");
    let said = run(&http.home, &["mission", "check", &file], 1);
    assert!(said.contains("`org.codenam` is no own class in force"), "{said}");
    with("codename", "Keep names of projects.");
    run(&http.home, &["mission", "apply", &file], 0);
    run(&http.home, &["mission", "check", &file], 0);
    let cases = mission.with_file_name("codename.cases.toml");
    let case = "call = \"mcp:upstream/echo\"\narguments = { text = \"about Project Falcon\" }";
    let name = mission.file_name().unwrap().to_str().unwrap();
    let written = format!(
        "mission = {name:?}\n[[case]]\nname = \"a project\"\n{case}\nexpect = \"deny\"\nreason = \"data_not_cleared\"\n"
    );
    fs::write(&cases, written).unwrap();
    let said = run(&http.home, &["mission", "test", &cases.display().to_string()], 0);
    assert!(said.contains("1 of 1 cases are decided as expected"), "{said}");
    let other = http.home.beside("no-classes").unwrap();
    let said = run(&other, &["mission", "check", &file], 0);
    assert!(said.contains("warning: its own classes are not looked for here"), "{said}");

    let kept = http.home.path().join("classes.toml");
    let described = fs::read_to_string(&kept).unwrap();
    fs::write(&kept, "why = \"Nobody needs it.\"\n[class.other]\nwhy = \"others\"\nkeywords = [\"Project Eagle\"]\n")
        .unwrap();
    until_noted(&http, "speaks of `org.codename`");
    fs::write(&kept, described).unwrap();
    let session = http.open();
    until_told(&http, &session, "about Project Falcon", "denied (data_not_cleared)");
    let mut raw = http.connect();
    raw.send(&http.request(Some(&session), &http.call(8, "about Project Eagle")));
    assert!(!raw.answer().contains("denied"));
    http.restart();
    let session = http.open();
    until_told(&http, &session, "about Project Falcon", "denied (data_not_cleared)");
    let labels: Vec<String> = http
        .end()
        .iter()
        .filter(|record| matches!(record.body, Body::Decision(_)))
        .map(|record| record.data_classes.iter().map(ToString::to_string).collect())
        .collect();
    assert!(labels.contains(&"org.codename".to_owned()), "{labels:?}");
}

const CODENAME: &str = "[class.codename]\nwhy = \"projects\"\nkeywords = [\"Project Falcon\"]\n";

#[test]
fn content_is_kept_by_own_classes_that_there_are() {
    let child = binary("countersign-upstream").display().to_string();
    let http = Http::with("own-captured", &format!("command = {:?}", [child.as_str(), "--stdio"]), "", "");
    let organisation = http.home.path().join("organisation.toml");
    let demands =
        "organisation = \"corp.example\"\nwhy = \"First version.\"\n[capture]\n\"org.codename\" = \"sealed\"\n";
    fs::write(&organisation, demands).unwrap();
    let refused =
        "organisation.toml:4: `org.codename` is no own class in force; add `[class.codename]` to classes.toml";
    until_noted_as(&http, ExceptionKind::BadOrganisation, refused);
    let file = organisation.display().to_string();
    let said = run(&http.home, &["organisation", "check", &file], 0);
    assert!(said.contains("warning: own classes are not looked for here"), "{said}");
    let classes = http.home.path().join("classes.toml");
    let other = "[class.other]\nwhy = \"others\"\nkeywords = [\"Project Eagle\"]\n";
    fs::write(&classes, format!("why = \"Others.\"\n{other}")).unwrap();
    let said = run(&http.home, &["organisation", "check", &file], 1);
    assert!(said.contains(refused), "{said}");

    // Once the class is there the file is looked at again.
    fs::write(&classes, format!("why = \"Projects.\"\n{CODENAME}{other}")).unwrap();
    let taken_up = wait::until("the organisation", PATIENCE, || {
        let versions = versions_of(&http, VersionedKind::Organisation);
        if versions.len() == 1 { Ok(()) } else { Err(format!("{versions:?}")) }
    });
    taken_up.unwrap();
    run(&http.home, &["organisation", "check", &file], 0);
    fs::write(&classes, format!("why = \"Nobody needs it.\"\n{other}")).unwrap();
    until_noted(&http, "`[class.codename]` is gone, and `[capture]` of organisation.toml speaks of `org.codename`");
    drop(http.end());
}

#[test]
fn a_mission_whose_class_was_lost_before_a_start_says_which_file_to_mend() {
    let child = binary("countersign-upstream").display().to_string();
    let mut http = Http::with("own-lost", &format!("command = {:?}", [child.as_str(), "--stdio"]), "", "");
    let classes = http.home.path().join("classes.toml");
    fs::write(&classes, format!("why = \"Projects.\"\n{CODENAME}")).unwrap();
    let mission = http.home.mission();
    let plain = fs::read_to_string(&mission).unwrap();
    let why = plain.lines().find(|line| line.starts_with("why")).unwrap();
    let named = plain.replace(why, "why = \"Keep names of projects.\"");
    fs::write(&mission, format!("{named}\n[data]\n\"org.codename\" = {{ else = \"deny\" }}\n")).unwrap();
    run(&http.home, &["mission", "apply", &mission.display().to_string()], 0);

    // While the mission is loaded the version stays; before it is, nobody knows who needs the class.
    fs::write(&classes, "why = \"Nobody needs it.\"\n").unwrap();
    until_noted(&http, "keep the class, or take the line out of the mission first");
    http.restart();
    until_noted_as(
        &http,
        ExceptionKind::BadMission,
        "classes.toml: `[class.codename]` is gone, and mission `load` speaks of `org.codename`: it is not taken up; put the class back, with a new `why`",
    );
    fs::write(&classes, format!("why = \"Needed after all.\"\n{CODENAME}")).unwrap();
    let back = wait::until("the class", PATIENCE, || {
        let versions = versions(&http);
        if versions.len() == 3 { Ok(()) } else { Err(format!("{versions:?}")) }
    });
    back.unwrap();
    let session = http.open();
    until_told(&http, &session, "about Project Falcon", "denied (data_not_cleared)");
    drop(http.end());
}
