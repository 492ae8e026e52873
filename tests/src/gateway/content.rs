//! What an organisation has kept of the content of calls, with the real program and a real server: by class, sealed, opened with a record, and nothing runs that cannot be kept.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use evidence::ids::CallId;
use evidence::record::{ActionEvent, Body, Capture, Content, Direction, ExceptionKind, Record, Status, Unkept};
use serde_json::{Value, json};
use testkit::governed::Home;
use testkit::scratch::Scratch;
use testkit::wait;

use super::bridges::{PATIENCE, binary};
use super::clients::Http;

const CAPTURE: &str = r#"
[capture]
default   = "sealed"
pii       = "redacted"
financial = "digest"
"#;

/// A gateway of an organisation that says this of what is kept, before a server that writes down its effects.
fn world(name: &str, capture: &str, data: &str) -> Http {
    let scratch = Scratch::new(name).unwrap();
    let home = Home::new(&binary("countersign"), scratch.path()).unwrap();
    home.write_mission(&["echo", "record_4k", "effect", "slow_effect"]).unwrap();
    let mission = fs::read_to_string(home.mission()).unwrap();
    fs::write(home.mission(), format!("{mission}\n{data}")).unwrap();
    fs::create_dir_all(home.path()).unwrap();
    fs::set_permissions(home.path(), fs::Permissions::from_mode(0o700)).unwrap();
    fs::write(home.path().join("organisation.toml"), organisation("First version.", capture)).unwrap();
    let (child, effects) = (binary("countersign-upstream").display().to_string(), scratch.join("effects"));
    let command = [child.as_str(), "--stdio", "--effects", effects.to_str().unwrap()];
    home.write_config_with(&format!("command = {command:?}"), "").unwrap();
    Http::serving(home, None, scratch)
}

fn organisation(why: &str, capture: &str) -> String {
    format!("organisation = \"corp\"\nwhy = \"{why}\"\n{capture}")
}

fn message(number: u32, name: &str, arguments: &Value) -> String {
    json!({ "jsonrpc": "2.0", "id": number, "method": "tools/call", "params": { "name": name, "arguments": arguments } })
        .to_string()
}

/// One call; what the agent reads.
fn call(http: &Http, session: &str, name: &str, arguments: &Value) -> String {
    let mut raw = http.connect();
    raw.send(&http.request(Some(session), message(1, name, arguments).as_bytes()));
    raw.answer()
}

/// What a command prints, and its exit code.
fn say(home: &Home, args: &[&str]) -> (String, Option<i32>) {
    let out = home.command(args).unwrap().stderr(Stdio::piped()).output().unwrap();
    (format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr)), out.status.code())
}

fn records(home: &Home, filter: &str) -> Vec<Record> {
    let mut records = Vec::new();
    home.audit(filter, |line| {
        records.push(evidence::record::read(line.as_bytes())?);
        Ok(())
    })
    .unwrap();
    records
}

/// The calls that ran, in order.
fn ran(home: &Home) -> Vec<CallId> {
    let is_intent =
        |record: &Record| matches!(&record.body, Body::Action(action) if action.event == ActionEvent::Intent);
    records(home, "type:action_record")
        .iter()
        .filter(|record| is_intent(record))
        .filter_map(|record| record.correlation.call)
        .collect()
}

/// What the records of a call say was done with its content.
fn captured(home: &Home, call: CallId) -> Vec<(Content, Capture, Option<Unkept>, Vec<String>)> {
    let of = |record: Record| match record.body {
        Body::Action(action) => action.captured,
        _ => Vec::new(),
    };
    let all = records(home, &format!("type:action_record call:{call}")).into_iter().flat_map(of);
    all.map(|one| (one.content, one.mode, one.reason, one.classes.iter().map(ToString::to_string).collect())).collect()
}

/// What `countersign content` opens: each content with its text.
fn opened(home: &Home, call: CallId) -> Vec<(String, String)> {
    let (out, code) = say(home, &["content", &call.to_string(), "--why", "Looked at it.", "--format", "json"]);
    assert_eq!(code, Some(0), "{out}");
    let read = |line: &str| {
        let one: Value = serde_json::from_str(line).unwrap();
        let text = one["text"].as_str().unwrap().to_owned();
        serde_json::from_str::<Value>(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        (one["content"].as_str().unwrap().to_owned(), text)
    };
    out.lines().map(read).collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(found) = fs::read_dir(folder) else { return Vec::new() };
    let mut files = Vec::new();
    for path in found.map(|found| found.unwrap().path()) {
        if path.is_dir() {
            files.extend(self::files(&path));
        } else {
            files.push(path);
        }
    }
    files
}

#[test]
fn how_much_is_kept_follows_what_a_content_holds_and_nothing_of_it_is_there_in_plain() {
    let http = world("content", CAPTURE, "[data]\npii = { result = \"mask\" }\n");
    let (home, session) = (&http.home, http.open());
    let echo = |text: &str| call(&http, &session, "echo", &json!({ "text": text }));
    assert!(echo("ordinary words of a letter").contains("ordinary words"));
    assert!(echo(r#"{"customer":{"ssn":"536-22-8726","order":"A-117"}}"#).contains("***-**-8726"));
    assert!(echo(r#"{"card_number":"4556 7375 8689 9855"}"#).contains("4556"));
    assert!(echo(r#"{"password":"hunter2-Tiger!","host":"db-4"}"#).contains("hunter2"));
    let calls = wait::until("four calls", PATIENCE, || match ran(home).as_slice() {
        [a, b, c, d] => Ok([*a, *b, *c, *d]),
        other => Err(format!("{other:?}")),
    });
    let [plain, ssn, card, password] = calls.unwrap();

    let modes = |call| captured(home, call).into_iter().map(|(content, mode, ..)| (content, mode)).collect::<Vec<_>>();
    use Capture::{Digest, Redacted, Sealed};
    assert_eq!(modes(plain), [(Content::Arguments, Sealed), (Content::Result, Sealed)]);
    assert_eq!(modes(password), [(Content::Arguments, Redacted), (Content::Result, Redacted)]);
    assert_eq!(modes(card), [(Content::Arguments, Digest), (Content::Result, Digest)]);
    let of_ssn = captured(home, ssn);
    assert_eq!(of_ssn[0], (Content::Arguments, Redacted, None, vec!["pii.us_ssn".to_owned()]));
    assert_eq!(
        of_ssn.iter().map(|(content, ..)| *content).collect::<Vec<_>>(),
        [Content::Arguments, Content::Result, Content::Delivered]
    );
    assert_eq!(captured(home, card)[0].2, Some(Unkept::Rule));

    let contents = opened(home, plain);
    assert_eq!(contents[0], ("arguments".to_owned(), r#"{"text":"ordinary words of a letter"}"#.to_owned()));
    assert!(contents[1].0 == "result" && contents[1].1.contains("ordinary words"), "{contents:?}");
    for (call, secret, left, mark) in
        [(ssn, "536-22-8726", "A-117", "[pii.us_ssn]"), (password, "hunter2-Tiger!", "db-4", "[secret.password]")]
    {
        let contents = opened(home, call);
        for (content, text) in &contents {
            assert!(!text.contains(secret) && text.contains(left), "{content}: {text}");
            assert!(text.contains(mark) || content == "delivered", "{content}: {text}");
        }
    }
    for (args, why, exit) in [
        (vec!["content", &card.to_string(), "--why", "x"], "`financial.credit_card`", 1),
        (vec!["content", "0193b5a2-6f1e-7cc3-98c4-dc0c0c07398f", "--why", "x"], "did not run", 1),
        (vec!["content", &plain.to_string(), "--delivered", "--why", "x"], "nothing is kept of this", 1),
        (vec!["content", &plain.to_string(), "--why", " "], "say why", 2),
        (vec!["content", &plain.to_string(), "--attempt", "2", "--why", "x"], "did not run", 1),
    ] {
        let (said, code) = say(home, &args);
        assert!(said.contains(why) && code == Some(exit), "{args:?}: {said} {code:?}");
    }
    let accesses = records(home, "type:evidence_access");
    let told: Vec<_> = accesses
        .iter()
        .map(|record| match &record.body {
            Body::Access(access) => (record.correlation.call, record.links.len(), &*access.channel, &*access.why),
            other => panic!("{other:?}"),
        })
        .collect();
    let looked = |call, links| (Some(call), links, "cli", "Looked at it.");
    assert_eq!(told, [looked(plain, 2), looked(ssn, 3), looked(password, 2)]);
    assert_eq!(accesses[1].data_classes.iter().map(|class| &**class).collect::<Vec<_>>(), ["pii.us_ssn"]);

    // Nowhere in the home in plain, and one key for the one run.
    for path in files(&home.path()) {
        let bytes = fs::read(&path).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        for value in ["536-22-8726", "hunter2-Tiger!", "ordinary words", "4556 7375", "A-117"] {
            assert!(!text.contains(value), "{} has {value}", path.display());
        }
    }
    let keys = files(&home.path().join("keys/content"));
    let [key] = keys.as_slice() else { panic!("{keys:?}") };
    assert_eq!(fs::metadata(key).unwrap().permissions().mode() & 0o777, 0o600);

    // What was denied leaves nothing.
    let before = files(&home.path().join("content")).len();
    assert_eq!(before, 7);
    assert!(call(&http, &session, "never", &json!({ "text": "not this" })).contains("denied"));
    let left = wait::until("nothing is left", PATIENCE, || match files(&home.path().join("content")).len() {
        count if count == before => Ok(()),
        count => Err(count.to_string()),
    });
    left.unwrap();

    // Whatever is done to the files, verification names it.
    let kept = records(home, &format!("call:{plain} type:action_record"));
    let (arguments, result) = (&kept[0].links[0].sha256, &kept[1].links[0].sha256);
    let folder = home.path().join("content").join(kept[0].correlation.run.unwrap().to_string());
    let file = |sha256: &str| folder.join(format!("{sha256}.sealed"));
    let verified = |says: &str, exit| {
        let (said, code) = say(home, &["verify", "--ledger", "--replay"]);
        assert!(said.contains(says) && code == Some(exit), "{says}: {said} {code:?}");
    };
    verified("content of calls: 7 kept, of which 0 are not", 0);
    let bytes = fs::read(file(arguments)).unwrap();
    let mut altered = bytes.clone();
    *altered.last_mut().unwrap() ^= 1;
    fs::write(file(arguments), altered).unwrap();
    verified("is not the file that was written", 1);
    fs::copy(file(result), file(arguments)).unwrap();
    verified(&format!("the arguments of call {plain}"), 1);
    fs::remove_file(file(arguments)).unwrap();
    verified(&format!("{arguments} is not here"), 1);
    fs::write(file(arguments), bytes).unwrap();
    let aside = key.with_extension("aside");
    fs::rename(key, &aside).unwrap();
    verified("the key", 1);
    assert!(echo("more words").contains("ledger_unavailable"), "a key that is gone is not made anew");
    fs::rename(&aside, key).unwrap();
    assert!(echo("more words").contains("more words"));
    drop(http.end());
}

#[test]
fn without_the_section_nothing_is_kept_and_it_holds_as_soon_as_it_is_there() {
    let http = world("content-off", "", "");
    let (home, session) = (&http.home, http.open());
    let echo = |text: &str| call(&http, &session, "echo", &json!({ "text": text }));
    assert!(echo("one").contains("one"));
    let [first] = ran(home).try_into().unwrap_or_else(|other| panic!("{other:?}"));
    assert_eq!(captured(home, first), []);
    assert!(!home.path().join("content").exists() && !home.path().join("keys/content").exists());
    let (said, code) = say(home, &["content", &first.to_string(), "--why", "x"]);
    assert!(said.contains("the organisation had nothing kept") && code == Some(1), "{said}");

    fs::write(home.path().join("organisation.toml"), organisation("Keep.", "[capture]\ndefault = \"sealed\"\n"))
        .unwrap();
    let kept = wait::until("something is kept", PATIENCE, || {
        echo("two");
        let last = ran(home).pop().unwrap();
        if captured(home, last).is_empty() { Err("nothing".to_owned()) } else { Ok(last) }
    });
    assert!(opened(home, kept.unwrap())[0].1.contains("two"));
    let changes = records(home, "type:version_log");
    let difference = changes.iter().find_map(|record| match &record.body {
        Body::Version(version) if version.why == "Keep." => {
            assert_eq!(version.direction, Some(Direction::Unclear), "it waits where changes wait");
            Some(version.difference.join("\n"))
        }
        _ => None,
    });
    assert_eq!(difference.unwrap(), "of the content of calls everything is kept (was: nothing is kept)");
    drop(http.end());
}

#[test]
fn a_call_whose_arguments_cannot_be_kept_does_not_run_and_one_that_ran_says_what_is_missing() {
    let http = world("content-full", "[capture]\npii = \"sealed\"\norg = \"sealed\"\n", "");
    let (home, session) = (&http.home, http.open());
    let effect = |key: &str| call(&http, &session, "effect", &json!({ "key": key }));
    // Where the folder should be is a file: nothing can be kept.
    let folder = home.path().join("content");
    fs::write(&folder, "in the way").unwrap();
    assert!(!effect("plain").contains("ledger_unavailable"), "of this nothing is to be kept");
    assert_eq!(http.effects(), 1);
    let refused = effect("robin.sample@engines.example");
    assert!(refused.contains("ledger_unavailable"), "{refused}");
    assert_eq!(http.effects(), 1, "nothing ran");
    let record = call(&http, &session, "record_4k", &json!({}));
    assert!(record.contains("robin.sample@engines.example"), "what ran is answered: {record}");
    let last = ran(home).pop().unwrap();
    let of_last = captured(home, last);
    assert_eq!((of_last[1].0, of_last[1].1, of_last[1].2), (Content::Result, Capture::Digest, Some(Unkept::NotKept)));
    let (said, code) = say(home, &["content", &last.to_string(), "--why", "x"]);
    assert!(said.contains("it could not be written") && code == Some(1), "{said}");
    fs::remove_file(&folder).unwrap();
    assert!(!effect("robin.sample@engines.example").contains("ledger_unavailable"));
    assert_eq!(http.effects(), 2);
    let noted = http.end();
    let noted: Vec<_> = noted
        .iter()
        .filter_map(|record| match &record.body {
            Body::Exception(exception) if exception.kind == ExceptionKind::Ledger => Some(&*exception.reason),
            _ => None,
        })
        .collect();
    let [noted] = noted.as_slice() else { panic!("{noted:?}") };
    assert!(noted.contains(&last.to_string()) && noted.contains("could not be kept"), "{noted}");
}

#[test]
fn what_was_kept_before_a_crash_is_opened_after_it() {
    let mut http = world("content-crash", "[capture]\ndefault = \"sealed\"\n", "");
    let session = http.open();
    assert!(call(&http, &session, "echo", &json!({ "text": "before" })).contains("before"));
    let mut raw = http.connect();
    let slow = message(2, "slow_effect", &json!({ "key": "in-flight", "wait_ms": 60_000 }));
    raw.send(&http.request(Some(&session), slow.as_bytes()));
    let sent = wait::until("an effect", PATIENCE, || if http.effects() == 1 { Ok(()) } else { Err("none".to_owned()) });
    sent.unwrap();
    http.restart();
    let [before, flying] = ran(&http.home).try_into().unwrap_or_else(|other| panic!("{other:?}"));
    assert_eq!(opened(&http.home, before).len(), 2);
    let contents = opened(&http.home, flying);
    let [(content, text)] = contents.as_slice() else { panic!("{contents:?}") };
    assert!(content == "arguments" && text.contains("in-flight"), "{text}");
    let (said, code) = say(&http.home, &["verify", "--ledger", "--replay"]);
    assert!(said.contains("content of calls: 3 kept, of which 0 are not") && code == Some(0), "{said}");
    let status = |record: &Record| match &record.body {
        Body::Action(action) => action.status,
        _ => None,
    };
    assert!(http.end().iter().filter_map(status).any(|status| status == Status::Unknown));
}
