//! Decisions made again from the evidence, with the real program: as they were, and as another version of the mission would have made them.

use std::fs;
use std::process::Stdio;

use serde_json::{Value, json};

use super::bridges::binary;
use super::clients::Http;

/// What a command prints, and its exit code.
fn say(http: &Http, args: &[&str]) -> (String, String, Option<i32>) {
    let out = http.home.command(args).unwrap().stderr(Stdio::piped()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&out.stdout), text(&out.stderr), out.status.code())
}

#[test]
fn decisions_are_made_again_from_their_records() {
    let child = binary("countersign-upstream").display().to_string();
    let http = Http::before("rederive", &format!("command = {:?}", [child.as_str(), "--stdio"]), "");
    let session = http.open();
    let mut raw = http.connect();
    for (id, tool, arguments) in [
        (1, "echo", json!({ "text": "hello" })),
        (2, "echo", json!({ "text": "a longer text" })),
        (3, "record_4k", json!({ "customer": "C-20417" })),
        (4, "effect", json!({ "key": "k" })),
    ] {
        let call = json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": { "name": tool, "arguments": arguments } });
        raw.send(&http.request(Some(&session), call.to_string().as_bytes()));
        assert!(raw.answer().starts_with("HTTP/1.1 200"));
    }
    let (said, _, code) = say(&http, &["verify", "--ledger", "--replay"]);
    assert!(said.contains("decisions: 4; decided again, 4 same, 0 different, 0 not derivable"), "{said}");
    assert_eq!(code, Some(0));

    let mission = fs::read_to_string(http.home.mission()).unwrap();
    let new = http.home.mission().with_extension("new");
    let forecast = |old: &str, becomes: &str| {
        assert!(mission.contains(old), "{mission}");
        fs::write(&new, mission.replace(old, becomes)).unwrap();
        let path = new.display().to_string();
        let (said, told, code) = say(&http, &["mission", "replay", &path, "--since", "1h", "--format", "json"]);
        assert_eq!(code, Some(0), "{said}{told}");
        let found: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let short = |it: &Value| {
            let word = |name: &str| it[name].as_str().unwrap().to_owned();
            (word("change"), word("tool"), it["calls"].as_u64().unwrap(), word("why"))
        };
        (found.iter().map(short).collect::<Vec<_>>(), told, found)
    };
    let (echo, record, effect) = ("mcp:upstream/echo", "mcp:upstream/record_4k", "mcp:upstream/effect");
    // Nothing changes.
    let (found, told, _) = forecast("why", "why");
    assert!(found.iter().all(|(change, ..)| change == "same") && found.len() == 3, "{found:?}");
    assert!(told.contains("4 calls since") && told.contains("4 the same"), "{told}");
    // A tool is taken away, another is added.
    let (found, told, all) = forecast("record_4k = {}", "effect = {}");
    let [first, second, third] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((&*first.0, &*first.1, first.2), ("newly allowed", effect, 1));
    assert_eq!((&*second.0, &*second.1, second.2), ("newly denied", record, 1));
    assert_eq!((&*third.0, &*third.1, third.2), ("same", echo, 2));
    assert!(second.3.contains("the mission allows no tool `record_4k`"), "{second:?}");
    assert!(told.contains("1 newly denied") && told.contains("1 newly allowed"), "{told}");
    // The newest call of each is found by what is said of it.
    let newest = all[1]["newest"].as_str().unwrap();
    let (story, _, _) = say(&http, &["audit", newest, "--format", "json"]);
    assert!(story.lines().count() >= 3 && story.contains("record_4k"), "{story}");
    // What nobody looked at is not guessed.
    let (found, told, _) = forecast("echo = {}", "echo = { text = { length = 5 } }");
    assert_eq!((&*found[0].0, &*found[0].1, found[0].2), ("unknown", echo, 2));
    assert!(found[0].3.contains("nobody looked at argument `text`"), "{found:?}");
    assert!(told.contains("2 unknown"), "{told}");

    let (_, told, code) = say(&http, &["mission", "replay", &new.display().to_string(), "--since", "soon"]);
    assert!(told.contains("`soon` is no age; write a number and") && code == Some(2), "{told}");

    // Without the version that decided, nobody can.
    let kept = http.home.path().join("missions");
    for version in fs::read_dir(&kept).unwrap() {
        let path = version.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("{text}\n# changed\n")).unwrap();
    }
    let (said, _, code) = say(&http, &["verify", "--ledger", "--replay"]);
    assert!(
        said.contains("0 same, 0 different, 4 not derivable") && said.contains("the home does not have version"),
        "{said}"
    );
    assert_eq!(code, Some(0));
}
