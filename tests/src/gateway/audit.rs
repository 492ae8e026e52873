//! `countersign audit` over a call that people approved and one that they denied: filters over people, gates and sentences, joins along calls, stories, counts.

use evidence::record::{Body, Look};
use serde_json::{Value, json};
use testkit::wait;

use super::approvals::{Gated, denied, pending, said};
use super::bridges::{PATIENCE, World};

/// A home in which one call was approved by two persons and ran, and another was denied by one of them.
fn audited(name: &str) -> Gated {
    let world = Gated::new(name);
    world.enrol(&["ana", "carl"]);
    let mut client = world.open();
    assert_eq!(said(&client.call(1, "effect", json!({ "key": "one" }))), pending());
    let id = world.asked();
    for person in ["ana", "carl"] {
        assert_eq!(world.say("approve", &id, person).0, Some(0));
    }
    let answer = client.call(2, "effect", json!({ "key": "one" }));
    assert_eq!(said(&answer), ("none".to_owned(), "none".to_owned()), "{answer}");
    assert_eq!(said(&client.call(3, "effect", json!({ "key": "two" }))), pending());
    let id = world.asked();
    assert_eq!(world.say("deny", &id, "carl").0, Some(0));
    assert_eq!(said(&client.call(4, "effect", json!({ "key": "two" }))), denied("approval_denied"));
    assert!(client.close().success());
    // A read answers before its outcome is written, and an effect's is written before; both are there once the gateway has ended.
    let ended = wait::until("the end of the gateway", PATIENCE, || {
        let (_, out, _) = world.run(&["audit", "event:stopped", "--format", "json"]);
        if out.is_empty() { Err("it runs".to_owned()) } else { Ok(()) }
    });
    ended.unwrap();
    world
}

fn lines(world: &Gated, args: &[&str]) -> Vec<Value> {
    let (code, out, err) = world.run(&[&["audit"], args, &["--format", "json"]].concat());
    assert_eq!(code, Some(0), "{err}");
    out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn an_audit_finds_people_gates_and_sentences_and_joins_calls() {
    let world = audited("audit-finds");
    let count = |filter: &str| lines(&world, &[filter]).len();
    for (filter, want) in [
        ("approver:ana", 1),
        ("approver:carl", 2),
        ("answer:deny", 1),
        ("\"LOOKED at\" type:approval_record event:review", 3),
        ("gate:two event:requested", 2),
        ("event:intent", 1),
        ("event:intent call(event:consumed)", 1),
        ("event:intent not call(event:consumed)", 0),
        ("event:requested call(answer:deny)", 1),
        ("event:requested call(status:done)", 0),
        ("event:requested approval(call(status:done))", 1),
        ("event:requested not approval(event:consumed)", 1),
        ("event:intent run(answer:deny)", 1),
        ("on:today event:review", 3),
        ("after:1h event:review", 3),
        ("before:1h", 0),
        ("object:mission:effects direction:wider", 1),
    ] {
        assert_eq!(count(filter), want, "{filter}");
    }
    assert!(count("person:ana") > count("approver:ana"));
    let version = lines(&world, &["object:mission:effects"]);
    let [version] = version.as_slice() else { panic!("{version:?}") };
    let digest: String = version["body"]["to"].as_str().unwrap().chars().take(8).collect();
    assert_eq!(count(&format!("type:decision_record version:{digest}")), count("type:decision_record"));

    let (code, _, err) = world.run(&["audit", "type:action_record approvr:ana"]);
    assert_eq!(code, Some(2));
    assert!(err.contains("did you mean `approver`?"), "{err}");
    assert!(err.ends_with("  type:action_record approvr:ana\n                     ^\n"), "{err}");
    let (code, out, _) = world.run(&["audit", "--fields"]);
    assert!(code == Some(0) && out.contains("approver:eva@corp.example"), "{out}");
    let (_, _, err) = world.run(&["audit", "deny", "--format", "table"]);
    assert!(err.contains("no record matches") && err.contains("did you mean `decision:deny`?"), "{err}");
    world.0.assert_verified();
}

#[test]
fn a_call_is_told_as_its_story() {
    let world = audited("audit-story");
    let done = lines(&world, &["status:done tool:mcp:up/effect"]);
    let call = done[0]["correlation"]["call"].as_str().unwrap();
    let (code, out, err) = world.run(&["audit", &format!("call:{call}"), "--format", "timeline"]);
    assert_eq!(code, Some(0), "{err}");
    // The call that asked, and the identical one that used the answer.
    let (calls, rest) = out.split_once('\n').unwrap();
    assert!(calls.starts_with("call       ") && calls.ends_with(call), "{out}");
    assert!(rest.starts_with("tool       mcp:up/effect\nmission    effects\n"), "{out}");
    let mut rest = out.as_str();
    for part in [
        " ask           ",
        " asked         ",
        "gate two: 1 of leads and 1 of treasury",
        " approve       ana: looked at it",
        "device_key, signed, ",
        " approve       carl: looked at it",
        " approved      ",
        "good once until ",
        " allow at use  ",
        " used          ",
        " intent        about to run",
        " done          ran ",
    ] {
        let Some((_, after)) = rest.split_once(part) else { panic!("no `{part}` in its place:\n{out}") };
        rest = after;
    }
    assert!(out.lines().all(|line| line.chars().count() <= 100) && !out.contains('\u{1b}'), "{out}");
    let run = done[0]["correlation"]["run"].as_str().unwrap();
    let (_, out, _) = world.run(&["audit", &format!("run:{run}"), "--format", "timeline"]);
    assert!(out.contains("session       bot for ") && out.contains("deny          carl: looked at it"), "{out}");
}

#[test]
fn an_audit_counts_by_any_fields() {
    let world = audited("audit-counts");
    assert_eq!(lines(&world, &["event:review", "--count"]), [json!({ "count": 3 })]);
    let by = lines(&world, &["event:review", "--count", "approver,answer"]);
    let row = |approver: &str, answer: &str| json!({ "approver": approver, "answer": answer, "count": 1 });
    assert_eq!(by, [row("ana", "approve"), row("carl", "approve"), row("carl", "deny")]);
    let by = lines(&world, &["type:action_record", "--count", "status"]);
    assert_eq!(by, [json!({ "status": null, "count": 1 }), json!({ "status": "done", "count": 1 })]);
    let (_, out, _) = world.run(&["audit", "event:review", "--count", "day", "--format", "csv"]);
    let rows: Vec<&str> = out.lines().collect();
    let [head, rows @ ..] = rows.as_slice() else { panic!("{out}") };
    assert_eq!(*head, "day,count");
    assert_eq!(rows.iter().map(|row| row.split(',').nth(1).unwrap().parse::<u32>().unwrap()).sum::<u32>(), 3, "{out}");
    let (code, _, err) = world.run(&["audit", "--count", "text"]);
    assert!(code == Some(2) && err.contains("`text` is nothing to count by; known are day, type,"), "{err}");
}

#[test]
fn an_audit_asks_in_sql_over_what_a_filter_picks() {
    let world = audited("audit-sql");
    let statement = "SELECT reviewer, answer, count(*) AS n FROM reviews GROUP BY 1, 2 ORDER BY 1, 2";
    let row = |reviewer: &str, answer: &str| json!({ "reviewer": reviewer, "answer": answer, "n": 1 });
    let wanted = [row("ana", "approve"), row("carl", "approve"), row("carl", "deny")];
    assert_eq!(lines(&world, &["", "--sql", statement]), wanted);
    assert_eq!(lines(&world, &["answer:deny", "--sql", statement]), wanted[2..]);
    let waited = "SELECT count(*) AS n FROM approvals AS asked JOIN reviews USING (approval)
                  WHERE asked.event = 'requested' AND reviews.at > asked.at AND reviews.is_signed";
    assert_eq!(lines(&world, &["after:1h", "--sql", waited]), [json!({ "n": 3 })]);
    let (_, out, _) = world.run(&["audit", "--sql", "SELECT '=1' AS a, 2.5 AS b, NULL AS c", "--format", "csv"]);
    assert_eq!(out, "a,b,c\n'=1,2.5,\n");
    let (code, _, err) = world.run(&["audit", "--sql", "DROP TABLE records"]);
    assert!(code == Some(2) && err.contains("only SELECT over these views is answered"), "{err}");
    let (code, _, err) = world.run(&["audit", "--sql", "SELECT 1", "--count"]);
    assert!(code == Some(2) && err.contains("--count"), "{err}");
}

#[test]
fn records_are_written_as_a_file_of_parquet_once() {
    let world = audited("audit-parquet");
    let all = world.0.records("").len();
    let out = world.0.scratch.join("records.parquet");
    let path = out.to_str().unwrap();
    let write = |more: &[&str]| world.run(&[&["audit", "", "--format", "parquet"], more].concat());
    let (code, _, err) = write(&[]);
    assert!(code == Some(2) && err.contains("--out <FILE>"), "{err}");
    let (code, _, err) = world.run(&["audit", "", "--format", "csv", "--out", path]);
    assert!(code == Some(2) && err.contains("--format parquet"), "{err}");
    let (code, _, err) = write(&["--out", path, "--count", "type"]);
    assert!(code == Some(2) && err.contains("--format parquet"), "{err}");
    assert!(!out.exists());
    let (code, told, err) = write(&["--out", path, "--limit", "0"]);
    assert_eq!((code, told, err.as_str()), (Some(0), format!("{path}: {all} records\n"), ""));
    let bytes = std::fs::read(&out).unwrap();
    assert!(bytes.starts_with(b"PAR1") && bytes.ends_with(b"PAR1"));
    let (code, _, err) = write(&["--out", path]);
    assert!(code == Some(2) && err.contains("is there already"), "{err}");
    let newest = world.0.scratch.join("newest.parquet");
    let (code, told, err) = write(&["--out", newest.to_str().unwrap(), "--limit", "3"]);
    assert!(code == Some(0) && told.ends_with(": 3 records\n") && err.contains("--limit 0 writes all"), "{told}{err}");
    let none = world.0.scratch.join("none.parquet");
    let (code, told, _) = world.run(&["audit", "agent:nobody", "--format", "parquet", "--out", none.to_str().unwrap()]);
    assert!(code == Some(0) && told.ends_with(": 0 records\n") && none.exists(), "{told}");
    let parts = std::fs::read_dir(world.0.scratch.path()).unwrap();
    assert!(parts.flatten().all(|entry| !entry.file_name().to_string_lossy().ends_with(".part")));
}

#[test]
fn where_the_organisation_wants_it_nothing_is_shown_before_it_is_on_record_who_looks() {
    let world = World::new("looks");
    let home = world.scratch.join("home");
    std::fs::create_dir_all(&home).unwrap();
    std::fs::set_permissions(&home, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let file = home.join("organisation.toml");
    std::fs::write(&file, "organisation = \"corp.example\"\nwhy = \"First.\"\nreads = \"recorded\"\n").unwrap();
    let mut client = world.bridge(&[]);
    client.open();
    assert_eq!(client.call(1, "echo", json!({ "text": "hi" }))["result"]["content"][0]["text"], "hi");
    let filter = "event:intent call(decision:allow)";
    let shows = |args: &[&str]| {
        let (code, out) = world.run(args);
        assert_eq!(code, Some(0), "{args:?}");
        assert!(!out.is_empty(), "{args:?}");
        out
    };
    let refuses = |args: &[&str]| {
        let (code, out) = world.run(args);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{args:?}");
    };
    // While a gateway runs.
    refuses(&["audit", filter]);
    refuses(&["audit", filter, "--count", "type"]);
    refuses(&["audit", "test", "soc2"]);
    let intent = shows(&["audit", filter, "--why", "complaint FIN-2304"]);
    let run = evidence::record::read(intent.trim().as_bytes()).unwrap().correlation.run.unwrap().to_string();
    refuses(&["run", "show", &run]);
    shows(&["run", "show", &run, "--why", "who was it?"]);
    assert!(client.close().success());
    // And once none does.
    shows(&["audit", "after:7d", "--count", "type", "--why", "how many"]);
    shows(&["audit", "", "--sql", "SELECT count(*) FROM records", "--why", "how many in SQL"]);
    assert_eq!(world.run(&["audit", "test", "approvals", "--where", "agent:bot", "--why", "the quarter"]).0, Some(0));
    // Neither a broken file nor none takes the place of the version in force.
    std::fs::write(&file, "reads = 5").unwrap();
    refuses(&["audit", filter]);
    std::fs::remove_file(&file).unwrap();
    refuses(&["audit", filter]);
    let shown = shows(&["audit", "type:evidence_access", "--format", "json", "--limit", "0", "--why", "who looked"]);
    let looks: Vec<_> = shown
        .lines()
        .map(|line| match evidence::record::read(line.as_bytes()).unwrap().body {
            Body::Access(access) => (access.look.unwrap(), access.filter.unwrap(), access.why),
            other => panic!("{other:?}"),
        })
        .collect();
    let [first, picture, counts, sql, tests, last] = looks.as_slice() else { panic!("{looks:?}") };
    assert_eq!(*first, (Look::Records, filter.to_owned(), "complaint FIN-2304".to_owned()));
    assert_eq!(*picture, (Look::Records, format!("run:{run}"), "who was it?".to_owned()));
    assert!(counts.0 == Look::Counts && counts.1.starts_with("after:20"), "{counts:?}");
    assert_eq!(*sql, (Look::Sql, "seq:1..".to_owned(), "how many in SQL".to_owned()));
    assert_eq!(*tests, (Look::Tests, "agent:bot".to_owned(), "the quarter".to_owned()));
    assert_eq!(last.2, "who looked");
    world.assert_verified();
}

#[test]
fn a_shell_completes_filters_and_their_values() {
    let completed = |words: &[&str]| {
        let last = (words.len() - 1).to_string();
        let mut command = std::process::Command::new(super::bridges::binary("countersign"));
        command.env("COMPLETE", "bash").env("_CLAP_COMPLETE_INDEX", last).arg("--").args(words);
        let output = command.output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(completed(&["countersign", "audit", "deci"]), "decision:");
    assert!(completed(&["countersign", "audit", "decision:allow,de"]).contains("decision:allow,deny"));
    assert!(completed(&["countersign", "export", "status:"]).contains("status:unknown"));
    assert!(completed(&["countersign", "aud"]).contains("audit"));
}
