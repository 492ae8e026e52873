//! Changes that wait for people, against the real gateway: missions, persons, the organisation's file, definitions of tools and keys; over a killed process.

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;

use evidence::record::approval::{ApprovalEvent, ApprovalRecord};
use evidence::record::{Body, Direction, VersionLog, VersionedKind};
use serde_json::{Value, json};
use testkit::governed::mission;
use testkit::wait;

use super::bridges::{PATIENCE, World, binary};
use super::clients::Http;
use super::excepts::{SECRET, day};

const PASSPHRASE: &str = "correct horse";

/// Whoever runs the tests owns the files, and is `me`.
const PEOPLE: &str = r#"
why = "First version."
[person.ana]
[person.bea]
[person.carl]
[person.me]
also = ["USER"]
[person.olga]
also = ["owner@corp.example"]
[group]
leads = ["ana", "bea", "carl", "me", "olga"]
"#;

const ORGANISATION: &str = r#"
organisation = "corp"
why = "Changes wait for two."
[changes]
group = "leads"
need = 2
"#;

pub(super) fn user() -> String {
    let out = std::process::Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(out.stdout).unwrap().trim().to_owned()
}

struct Gated(Http);

impl Gated {
    /// A gateway whose changes wait for two leads, of whom four have keys.
    fn new(name: &str, upstream: &[&str]) -> Self {
        let child = binary("countersign-upstream").display().to_string();
        let command: Vec<&str> = [child.as_str(), "--stdio"].into_iter().chain(upstream.iter().copied()).collect();
        let world = Self(Http::before(name, &format!("command = {command:?}"), ""));
        world.write("people.toml", &PEOPLE.replace("USER", &user()));
        world.enrol("ana", None);
        for person in ["bea", "me", "olga"] {
            assert_eq!(world.enrol(person, Some("ana")).0, Some(0));
        }
        world.write("organisation.toml", ORGANISATION);
        // The gate itself could wait for none.
        world.until("the gate of changes", || world.count("kind:change") == 1);
        world
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.home.path().join(name), text).unwrap();
    }

    fn scratch(&self, name: &str) -> PathBuf {
        self.0.home.path().parent().unwrap().join(name)
    }

    fn run(&self, args: &[&str]) -> (Option<i32>, String) {
        let mut command = self.0.home.command(args).unwrap();
        let out = command.env("COUNTERSIGN_PASSPHRASE", PASSPHRASE).stderr(Stdio::piped()).output().unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
        (out.status.code(), said)
    }

    /// Enrols a key of a person, which another's confirms; what that says.
    fn enrol(&self, person: &str, by: Option<&str>) -> (Option<i32>, String) {
        let (code, invited) = self.run(&["people", "invite", person]);
        assert_eq!(code, Some(0), "{invited}");
        let invitation = invited.lines().next().unwrap();
        let key = self.key(person);
        let (code, id) = self.run(&["people", "enrol", person, "--code", invitation, "--key", &key]);
        assert_eq!(code, Some(0), "{id}");
        let id = id.lines().next().unwrap();
        let mut confirm = vec!["people", "confirm", person, id, "--why", "seen in person"];
        let by = by.map(|by| self.key(by));
        confirm.extend(by.iter().flat_map(|key| ["--key", key.as_str()]));
        self.run(&confirm)
    }

    fn key(&self, person: &str) -> String {
        self.scratch(&format!("{person}.key")).display().to_string()
    }

    fn say(&self, answer: &str, approval: &str, person: &str) -> (Option<i32>, String) {
        self.run(&["approvals", answer, approval, "--why", "looked at it", "--key", &self.key(person)])
    }

    fn approve(&self, approval: &str, persons: [&str; 2]) {
        for person in persons {
            let (code, said) = self.say("approve", approval, person);
            assert_eq!(code, Some(0), "{person}: {said}");
        }
    }

    fn open_approvals(&self) -> Vec<String> {
        let (code, out) = self.run(&["approvals", "list", "--format", "json"]);
        assert_eq!(code, Some(0), "{out}");
        let lines = out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.map(|view| view["approval"].as_str().unwrap().to_owned()).collect()
    }

    /// The one question that is open, once there is one.
    fn asked(&self) -> String {
        wait::until("a question", PATIENCE, || match self.open_approvals().as_slice() {
            [one] => Ok(one.clone()),
            other => Err(format!("{other:?}; {}", self.0.home.said())),
        })
        .unwrap()
    }

    fn until(&self, what: &str, is_so: impl Fn() -> bool) {
        let so = wait::until(what, PATIENCE, || if is_so() { Ok(()) } else { Err(self.0.home.said()) });
        so.unwrap();
    }

    fn bodies(&self, filter: &str) -> Vec<Body> {
        let mut bodies = Vec::new();
        let read = self.0.home.audit(filter, |line| {
            bodies.push(evidence::record::read(line.as_bytes())?.body);
            Ok(())
        });
        read.unwrap();
        bodies
    }

    fn count(&self, filter: &str) -> usize {
        self.bodies(filter).len()
    }

    fn versions(&self, kind: VersionedKind) -> Vec<VersionLog> {
        let of = |body| if let Body::Version(version) = body { Some(version) } else { None };
        let versions = self.bodies("type:version_log").into_iter().filter_map(of);
        versions.filter(|version| version.object.kind == kind).collect()
    }

    fn events(&self) -> Vec<ApprovalRecord> {
        let of = |body| if let Body::Approval(approval) = body { Some(*approval) } else { None };
        self.bodies("type:approval_record").into_iter().filter_map(of).collect()
    }

    fn uses(&self) -> usize {
        self.events().iter().filter(|event| event.event == ApprovalEvent::Consumed).count()
    }

    /// Replaces the file of the folder by one that allows these tools.
    fn allow(&self, tools: &[&str], why: &str) {
        self.allow_with(tools, "", why);
    }

    /// The same, with `sections` beside.
    fn allow_with(&self, tools: &[&str], sections: &str, why: &str) {
        let name = self.0.home.mission().file_stem().unwrap().to_str().unwrap().to_owned();
        let text = mission(&name, tools, &[]).replace("First version.", why);
        fs::write(self.0.home.mission(), format!("{text}\n{sections}")).unwrap();
    }

    /// What is asked, as a person sees it.
    fn shown(&self, approval: &str) -> String {
        let (code, shown) = self.run(&["approvals", "show", approval, "--format", "table"]);
        assert_eq!(code, Some(0), "{shown}");
        shown
    }

    /// What the agent reads that has `text` echoed.
    fn echo(&self, session: &str, text: &str) -> String {
        let mut raw = self.0.connect();
        raw.send(&self.0.request(Some(session), &self.0.call(1, text)));
        raw.answer()
    }

    fn end(self) {
        drop(self.0.end());
    }
}

#[test]
fn a_wider_mission_waits_and_takes_effect_by_itself_and_a_narrower_one_waits_for_nobody() {
    let world = Gated::new("gated-missions", &[]);
    assert_eq!(world.versions(VersionedKind::Mission).len(), 1);
    world.allow(&["echo", "record_4k", "slow"], "Slow calls, too.");
    let id = world.asked();
    assert_eq!(world.versions(VersionedKind::Mission).len(), 1, "nothing changed");

    let (_, shown) = world.run(&["approvals", "show", &id, "--format", "table"]);
    let user = user();
    let proposed = format!("{user} would change mission");
    for line in [&*proposed, "slow` may now be called, with any arguments", "gate changes: 2 of `leads`", "slow = {}"] {
        assert!(shown.contains(line), "{line}: {shown}");
    }
    for (person, why) in [("me", "this person proposes the change"), ("olga", "answers for the mission")] {
        let (code, said) = world.say("approve", &id, person);
        assert!(code == Some(1) && said.contains(why), "{person}: {said}");
    }
    // Whoever applies the same joins the question.
    let file = world.0.home.mission().display().to_string();
    let (code, said) = world.run(&["mission", "apply", &file]);
    assert!(code == Some(1) && said.contains(&format!("waits for approval {id} until")), "{said}");
    let (code, said) = world.run(&["mission", "apply", &file, "--dry-run"]);
    assert!(code == Some(1) && said.contains("would wait for 2 of `leads`"), "{said}");

    world.approve(&id, ["ana", "bea"]);
    let versions = world.versions(VersionedKind::Mission);
    let [_, version] = versions.as_slice() else { panic!("{versions:#?}") };
    assert_eq!((version.direction, &*version.who), (Some(Direction::Wider), &*user));
    assert_eq!(version.approval.map(|approval| approval.to_string()), Some(id));
    let (code, said) = world.run(&["mission", "apply", &file]);
    assert!(code == Some(0) && said.contains("is in force as it stands in the file"), "{said}");

    world.allow(&["echo"], "Only echo.");
    world.until("the narrower version", || world.versions(VersionedKind::Mission).len() == 3);
    let versions = world.versions(VersionedKind::Mission);
    assert_eq!((versions[2].direction, versions[2].approval), (Some(Direction::Narrower), None));
    assert!(world.open_approvals().is_empty());
    // A revoked mission comes back as people say, whatever its new version is.
    let name = versions[2].object.name.to_string();
    assert_eq!(world.run(&["mission", "revoke", &name, "--why", "Stop."]).0, Some(0));
    world.allow(&["echo"], "The same again.");
    world.approve(&world.asked(), ["ana", "bea"]);
    let versions = world.versions(VersionedKind::Mission);
    assert_eq!((versions.len(), versions[4].from.as_deref()), (5, Some("revoked")));
    assert_eq!(world.uses(), 2);
    world.end();
}

#[test]
fn an_exception_of_a_line_about_data_is_prolonged_by_people_and_shortened_by_nobody() {
    let world = Gated::new("gated-excepts", &[]);
    let (near, far) = (day(3), day(60));
    let with = |until: &str, why: &str| {
        let except = format!(
            r#"{{ tool = "mcp:upstream/echo", in = "arguments", until = {until}, why = "Pilot of the newsletter." }}"#
        );
        let data = format!("[data]\nsecret = {{ else = \"deny\", except = [{except}] }}\n");
        world.allow_with(&["echo", "record_4k"], &data, why);
    };
    let session = world.0.open();
    // Less than before, but for the exception: that is what people are asked about.
    with(&near, "Passwords stay, but for the pilot.");
    world.until("the rule", || world.versions(VersionedKind::Mission).len() == 2 || !world.open_approvals().is_empty());
    for id in world.open_approvals() {
        world.approve(&id, ["ana", "bea"]);
    }
    world.until("the exception", || world.versions(VersionedKind::Mission).len() == 2);
    assert!(world.echo(&session, SECRET).contains("hunter2"));

    with(&far, "The pilot goes on.");
    let id = world.asked();
    let shown = world.shown(&id);
    let until = |day: &str| format!("by exception, `secret` may go to `mcp:upstream/echo` until `{day}`: Pilot");
    for line in [&*until(&far), &format!("(was: {}", until(&near)), "gate changes: 2 of `leads`"] {
        assert!(shown.contains(line), "{line}: {shown}");
    }
    assert_eq!(world.versions(VersionedKind::Mission).len(), 2, "what was in force stays");
    world.approve(&id, ["ana", "bea"]);
    let versions = world.versions(VersionedKind::Mission);
    let [.., version] = versions.as_slice() else { panic!("{versions:#?}") };
    assert_eq!((version.direction, version.approval.map(|id| id.to_string())), (Some(Direction::Wider), Some(id)));
    assert!(world.echo(&session, SECRET).contains("hunter2"));

    with(&near, "The pilot ends as it was to.");
    world.until("the shorter one", || world.versions(VersionedKind::Mission).len() == 4);
    let versions = world.versions(VersionedKind::Mission);
    let last = versions.last().unwrap();
    assert_eq!((last.direction, last.approval), (Some(Direction::Narrower), None));
    assert!(world.open_approvals().is_empty());
    world.end();
}

#[test]
fn own_classes_change_as_people_say_and_what_was_found_is_found_meanwhile() {
    let mut world = Gated::new("gated-classes", &[]);
    let class = |name: &str, word: &str| format!("[class.{name}]\nwhy = \"projects\"\nkeywords = [{word:?}]\n");
    let falcon = class("falcon", "Project Falcon");
    // The first file could wait for nobody who knew of it.
    world.write("classes.toml", &format!("why = \"First version.\"\n{falcon}"));
    world.until("the first file", || world.versions(VersionedKind::Classes).len() == 1);
    assert_eq!(world.count("kind:change"), 2);
    let data = "[data]\n\"org.falcon\" = { else = \"deny\" }\n";
    world.allow_with(&["echo", "record_4k"], data, "Falcon stays.");
    world.until("the rule", || world.versions(VersionedKind::Mission).len() == 2);
    let session = world.0.open();
    let both = ["about Project Falcon", "about Project Eagle"];
    let is_kept =
        |world: &Gated, session: &str| both.map(|text| world.echo(session, text).contains("data_not_cleared"));
    assert_eq!(is_kept(&world, &session), [true, false]);

    let words = class("falcon", "Project Eagle");
    world.write("classes.toml", &format!("why = \"It has another name.\"\n{words}"));
    let id = world.asked();
    let shown = world.shown(&id);
    for line in ["would change classes", "Project Eagle", "gate changes: 2 of `leads`"] {
        assert!(shown.contains(line), "{line}: {shown}");
    }
    let (code, said) = world.say("approve", &id, "me");
    assert!(code == Some(1) && said.contains("proposes the change"), "{said}");
    assert_eq!(is_kept(&world, &session), [true, false], "what was in force stays");
    // Also over a killed process, which finds the file anew and asks nothing else.
    world.0.restart();
    assert_eq!(world.asked(), id);
    let session = world.0.open();
    assert_eq!(is_kept(&world, &session), [true, false]);
    world.approve(&id, ["ana", "bea"]);
    world.until("the other name", || is_kept(&world, &session) == [false, true]);
    let versions = world.versions(VersionedKind::Classes);
    let [_, version] = versions.as_slice() else { panic!("{versions:#?}") };
    assert_eq!(version.approval.map(|approval| approval.to_string()), Some(id));
    assert_eq!((version.direction, &*version.who), (Some(Direction::Unclear), &*user()));

    // A no stands.
    world.write(
        "classes.toml",
        "why = \"Nobody needs it.\"\n[class.falcon]\nwhy = \"projects\"\nkeywords = [\"Project Kite\"]\n",
    );
    assert_eq!(world.say("deny", &world.asked(), "ana").0, Some(0));
    world.0.restart();
    let session = world.0.open();
    assert_eq!(is_kept(&world, &session), [false, true]);
    assert!(world.open_approvals().is_empty());
    assert_eq!((world.versions(VersionedKind::Classes).len(), world.uses()), (2, 1));
    world.end();
}

#[test]
fn a_no_stands_until_the_proposal_changes_and_a_new_one_replaces_the_old() {
    let mut world = Gated::new("gated-no", &[]);
    let file = world.scratch("mine.toml");
    let path = file.display().to_string();
    let write = |why: &str| fs::write(&file, mission("mine", &["echo"], &[]).replace("First version.", why)).unwrap();
    let start = ["run", "start", "--mission", "mine", "--agent", "bot", "--initiator", "ana"];
    write("First.");
    // Against nothing, all of it is new.
    let (code, said) = world.run(&["mission", "apply", &path]);
    assert!(code == Some(1) && said.contains("new mission `mine`") && said.contains("waits for approval"), "{said}");
    assert_ne!(world.run(&start).0, Some(0));
    let denied = world.asked();
    assert_eq!(world.say("deny", &denied, "ana").0, Some(0));
    for _ in 0..2 {
        let (code, said) = world.run(&["mission", "apply", &path]);
        assert!(code == Some(1) && said.contains("people said no: looked at it (ana)"), "{said}");
    }
    assert!(world.open_approvals().is_empty());

    write("Second.");
    assert_eq!(world.run(&["mission", "apply", &path]).0, Some(1));
    let second = world.asked();
    assert_eq!(world.say("approve", &second, "ana").0, Some(0));
    write("Third.");
    assert_eq!(world.run(&["mission", "apply", &path]).0, Some(1));
    let third = world.asked();
    assert_ne!(third, second);
    let (code, said) = world.say("approve", &second, "bea");
    assert!(code == Some(1) && said.contains("the approval is withdrawn"), "{said}");
    // Questions outlive the gateway, and what is not in force yet is not after it either.
    world.0.restart();
    assert_eq!(world.asked(), third);
    assert_ne!(world.run(&start).0, Some(0));
    world.approve(&third, ["ana", "bea"]);
    let (code, said) = world.run(&["mission", "apply", &path]);
    assert!(code == Some(0) && said.contains("is in force as it stands in the file"), "{said}");
    world.0.restart();
    let (code, said) = world.run(&["mission", "apply", &path]);
    assert!(code == Some(0) && said.contains("is in force"), "{said}");
    let versions = world.versions(VersionedKind::Mission);
    let mine: Vec<_> = versions.iter().filter(|version| &*version.object.name == "mine").collect();
    let [version] = mine.as_slice() else { panic!("{mine:#?}") };
    assert_eq!((&*version.why, version.approval.map(|approval| approval.to_string())), ("Third.", Some(third)));
    world.end();
}

#[test]
fn persons_and_the_gate_itself_change_as_those_in_force_say() {
    let mut world = Gated::new("gated-people", &[]);
    assert_eq!(world.count("kind:people"), 1);
    let carl = world.enrol("carl", Some("ana"));
    assert!(carl.0 == Some(1) && carl.1.contains("waits for approval"), "{}", carl.1);
    let id = world.asked();
    for (person, why) in [("ana", "proposes the change"), ("me", "is open"), ("bea", "is approved")] {
        let (_, said) = world.say("approve", &id, person);
        assert!(said.contains(why), "{person}: {said}");
    }

    // Carl answers about his own leaving: the old file says who may.
    let without = PEOPLE.replace("USER", &user()).replace("[person.carl]\n", "").replace("\"carl\", ", "");
    world.write("people.toml", &without.replace("First version.", "Carl leaves."));
    let id = world.asked();
    let (_, people) = world.run(&["people", "list", "--format", "json"]);
    assert!(people.contains("\"carl\":null"), "the old file is in force: {people}");
    world.0.restart();
    assert_eq!(world.asked(), id);
    world.approve(&id, ["carl", "bea"]);
    let (_, people) = world.run(&["people", "list", "--format", "json"]);
    assert!(!people.contains("\"carl\":null"), "{people}");
    let versions = world.versions(VersionedKind::People);
    assert_eq!(versions[1].approval.map(|approval| approval.to_string()), Some(id));

    // The gate goes away only through itself.
    world.write("organisation.toml", "organisation = 'corp'\nwhy = 'Nothing waits any more.'\n");
    let id = world.asked();
    world.0.restart();
    let file = world.scratch("other.toml");
    fs::write(&file, mission("other", &["echo"], &[])).unwrap();
    let (code, said) = world.run(&["mission", "apply", &file.display().to_string()]);
    assert!(code == Some(1) && said.contains("waits for approval"), "the old gate holds: {said}");
    world.approve(&id, ["ana", "bea"]);
    let (code, said) = world.run(&["mission", "apply", &file.display().to_string()]);
    assert!(code == Some(0) && said.contains("is taken up"), "{said}");
    assert!(world.open_approvals().is_empty(), "what waited is in force without it");
    let versions = world.versions(VersionedKind::Organisation);
    assert_eq!((versions.len(), versions[1].approval.is_some()), (2, true));
    world.end();
}

#[test]
fn definitions_and_milder_classes_wait_and_graver_ones_do_not() {
    let definitions = std::env::temp_dir().join(format!("countersign-gated-pins-{}", std::process::id()));
    let lists = |description: &str| {
        let tool = json!([{ "name": "echo", "description": description, "inputSchema": { "type": "object" } }]);
        fs::write(&definitions, tool.to_string()).unwrap();
    };
    lists("Gives text back.");
    let world = Gated::new("gated-pins", &["--definitions", definitions.to_str().unwrap()]);
    let list = || {
        let session = world.0.open();
        let mut raw = world.0.connect();
        raw.send(&world.0.request(Some(&session), br#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#));
        raw.answer()
    };
    assert!(list().contains("Gives text back."));
    lists("Gives text back, and sends it along.");
    assert!(!list().contains("sends it along"));
    let pin = ["tools", "pin", "mcp:upstream/echo", "--why", "read it"];
    let (code, said) = world.run(&pin);
    assert!(code == Some(1) && said.contains("waits for approval"), "{said}");
    let id = world.asked();
    assert!(world.run(&pin).1.contains(&id), "the same joins");
    let (_, shown) = world.run(&["approvals", "show", &id, "--format", "table"]);
    assert!(shown.contains("sends it along"), "{shown}");
    assert!(!list().contains("sends it along"));
    world.approve(&id, ["ana", "bea"]);
    assert!(list().contains("sends it along"));

    let confirm = |class: &str| world.run(&["tools", "confirm", "mcp:upstream/echo", class, "--why", "tried it"]);
    let (code, said) = confirm("read");
    assert!(code == Some(1) && said.contains("waits for approval"), "{said}");
    world.approve(&world.asked(), ["ana", "bea"]);
    let effect = || world.run(&["tools", "list", "--format", "json"]).1;
    assert!(effect().contains(r#""effect":"read""#), "{}", effect());
    assert_eq!(confirm("admin").0, Some(0), "what is graver waits for nobody");
    assert!(effect().contains(r#""effect":"admin""#), "{}", effect());
    assert_eq!(world.uses(), 2);
    fs::remove_file(&definitions).unwrap();
    world.end();
}

#[test]
fn the_first_keys_cannot_wait_and_say_so() {
    let world = World::new("gated-first");
    let home = world.scratch.join("home");
    fs::create_dir_all(&home).unwrap();
    fs::set_permissions(&home, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    fs::write(home.join("people.toml"), PEOPLE.replace("USER", &user())).unwrap();
    fs::write(home.join("organisation.toml"), ORGANISATION).unwrap();
    let run = |args: &[&str]| {
        let output = world.command(args).env("COUNTERSIGN_PASSPHRASE", PASSPHRASE).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let key = |person: &str| world.scratch.join(&format!("{person}.key")).display().to_string();
    let enrol = |person: &str| {
        let (code, invited) = run(&["people", "invite", person]);
        assert_eq!(code, Some(0), "{invited}");
        let enrolled = run(&["people", "enrol", person, "--code", invited.trim(), "--key", &key(person)]);
        assert_eq!(enrolled.0, Some(0), "{}", enrolled.1);
        let first = key("ana");
        let mut confirm = vec!["people", "confirm", person, enrolled.1.trim(), "--why", "seen"];
        confirm.extend(["--key", &first].into_iter().filter(|_| person != "ana"));
        run(&confirm).0
    };
    // Whoever confirms a key and whose it is do not count: the fourth is the first that two others could approve.
    for person in ["ana", "bea", "olga"] {
        assert_eq!(enrol(person), Some(0), "{person}");
    }
    assert_eq!(enrol("me"), Some(1));
    let scopes: Vec<String> = world
        .records("kind:change")
        .into_iter()
        .filter_map(|record| if let Body::Exception(exception) = record.body { Some(exception.scope) } else { None })
        .collect();
    let begin = |start: &str| scopes.iter().filter(|scope| scope.starts_with(start)).count();
    assert_eq!((begin("file:"), begin("key:bea/"), begin("key:olga/"), scopes.len()), (2, 1, 1, 4), "{scopes:?}");
    world.assert_verified();
}

#[test]
fn a_gateway_that_is_killed_takes_an_approved_change_up_once() {
    let mut world = Gated::new("gated-killed", &[]);
    let tools = ["slow", "effect", "progress", "slow_effect", "fail", "none"];
    for (round, more) in (1..).zip(tools.iter().scan(vec!["echo", "record_4k"], |all, tool| {
        all.push(*tool);
        Some(all.clone())
    })) {
        world.allow(&more, &format!("Round {round}."));
        let id = world.asked();
        assert_eq!(world.say("approve", &id, "ana").0, Some(0));
        let key = world.key("bea");
        let mut command =
            world.0.home.command(&["approvals", "approve", &id, "--why", "looked at it", "--key", &key]).unwrap();
        let mut approving = command.env("COUNTERSIGN_PASSPHRASE", PASSPHRASE).spawn().unwrap();
        // Somewhere between the question and the version: each command takes a while, so each round is killed at another moment.
        let before = world.events().len();
        if round % 2 == 0 {
            world.until("an answer", || world.events().len() > before || approving_ended(&id, &world));
        } else {
            for _ in 0..round {
                let _a_while_later = world.count("kind:people");
            }
        }
        world.0.served.process.kill().unwrap();
        let _ended = approving.wait().unwrap();
        world.0.served = world.0.home.serve().unwrap();
        if world.open_approvals() == [id.clone()] {
            assert_eq!(world.say("approve", &id, "bea").0, Some(0));
        }
        world.until("the version", || world.versions(VersionedKind::Mission).len() == round as usize + 1);
        let version = world.versions(VersionedKind::Mission).pop().unwrap();
        assert_eq!(version.approval.map(|approval| approval.to_string()), Some(id));
        assert_eq!(world.uses(), round as usize);
    }
    world.end();
}

/// Whether the change of an approval is in force.
fn approving_ended(id: &str, world: &Gated) -> bool {
    let versions = world.versions(VersionedKind::Mission);
    versions.iter().any(|version| version.approval.is_some_and(|approval| approval.to_string() == id))
}
