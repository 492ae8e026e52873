//! Backups of a home whose gateway is at work, and homes that are made from them, also where that is killed.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use evidence::record::{Body, ExceptionKind, Record};
use serde_json::Value;
use testkit::governed::Home;

use super::approvals::Gated;
use super::clients::Http;

/// Runs a command on a home; gives its exit code, output and errors.
fn run(home: &Home, args: &[&str]) -> (Option<i32>, String, String) {
    let output = home.command(args).unwrap().stderr(Stdio::piped()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
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

/// The list at the end of a backup.
fn list(backup: &Path) -> Value {
    let output = std::process::Command::new("tar").arg("-xOf").arg(backup).arg("backup.json").output().unwrap();
    assert!(output.status.success(), "any tar reads it");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_backup_of_a_gateway_at_work_becomes_a_home_that_verifies_and_goes_on() {
    let mut http = Http::new("backup");
    let session = http.open();
    let backup = http.home.path().parent().unwrap().join("backup.tar");
    let is_done = AtomicBool::new(false);
    let acknowledged = std::thread::scope(|scope| {
        let calls = scope.spawn(|| {
            let (mut id, mut raw) = (0, http.connect());
            while !is_done.load(Ordering::Relaxed) {
                id += 1;
                raw.send(&http.request(Some(&session), &http.call(id, "hi")));
                assert!(raw.answer().contains("\"hi\""));
            }
            id
        });
        // Some calls before, and some while it is made.
        testkit::wait::until("calls", super::bridges::PATIENCE, || {
            let intents = http.intents();
            if intents > 20 { Ok(()) } else { Err(intents.to_string()) }
        })
        .unwrap();
        let before = http.intents();
        let (code, _, err) = run(&http.home, &["backup", backup.to_str().unwrap(), "--why", "nightly"]);
        assert_eq!(code, Some(0), "{err}");
        is_done.store(true, Ordering::Relaxed);
        let calls = calls.join().unwrap();
        assert!(calls >= before);
        before
    });
    let listed = list(&backup);
    let names: BTreeSet<&str> =
        listed["files"].as_array().unwrap().iter().map(|file| file["name"].as_str().unwrap()).collect();
    assert!(names.contains("keys/log.ed25519") && names.contains("ledger/checkpoint"), "{names:?}");
    assert!(!names.iter().any(|name| name.contains("index.sqlite") || name.contains("tile") || name.contains("sock")));
    let known = records(&http.home, "");
    http.served.process.kill().unwrap();

    let other = http.home.beside("restored").unwrap();
    let (code, out, err) = run(&other, &["restore", backup.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(out.contains("the restored ledger verifies"), "{out}");
    let restored = records(&other, "");
    let count = listed["records"].as_u64().unwrap() as usize;
    assert_eq!(restored[..count], known[..count], "it begins as the log did");
    let intents = restored[..count]
        .iter()
        .filter(|record| matches!(&record.body, Body::Action(action) if action.status.is_none()));
    assert!(intents.count() >= acknowledged as usize, "what was answered before the backup is in it");
    let told = records(&other, "kind:ledger event:opened");
    let [told] = told.as_slice() else { panic!("{told:?}") };
    let Body::Exception(told) = &told.body else { panic!("{told:?}") };
    assert!(
        told.kind == ExceptionKind::Ledger && told.reason.contains(&format!("with {count} records")),
        "{}",
        told.reason
    );
    other.verify().unwrap();
    // It is a home like any other, and there now.
    let (code, _, err) = run(&other, &["restore", backup.to_str().unwrap()]);
    assert!(code == Some(3) && err.contains("is there already"), "{err}");
    // The look at all records is on record in the old home.
    let looks = records(&http.home, "type:evidence_access \"nightly\"");
    assert_eq!(looks.len(), 1);
}

#[test]
fn a_restore_that_is_killed_leaves_no_home_that_is_not_whole() {
    let world = Gated::new("restore-killed");
    world.enrol(&["ana"]);
    let mut client = world.open();
    client.call(1, "echo", serde_json::json!({ "text": "hi" }));
    assert!(client.close().success());
    let backup = world.0.scratch.join("backup.tar");
    let (code, _, err) = world.run(&["backup", backup.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{err}");
    assert_eq!(world.run(&["backup", backup.to_str().unwrap()]).0, Some(2), "it is there");
    let binary = super::bridges::binary("countersign");
    let restore = |home: &Path| {
        let mut command = std::process::Command::new(&binary);
        command.arg("restore").arg(&backup).arg("--home").arg(home).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    };
    for millis in [1, 3, 5, 10, 20, 40, 80, 160] {
        let home = world.0.scratch.join(&format!("killed-{millis}"));
        let mut killed = restore(&home).spawn().unwrap();
        let ended = testkit::wait::until("the end", Duration::from_millis(millis), || match killed.try_wait() {
            Ok(Some(_)) => Ok(()),
            _ => Err("it runs".to_owned()),
        });
        if ended.is_err() {
            killed.kill().unwrap();
        }
        killed.wait().unwrap();
        let output = restore(&home).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() || said.contains("is there already"), "{millis}: {said}");
        let verify =
            std::process::Command::new(&binary).args(["verify", "--ledger", "--home"]).arg(&home).output().unwrap();
        // Where only the last step was missing, the next gateway makes the tree and says that the home was restored.
        let opens =
            std::process::Command::new(&binary).args(["exceptions", "list", "--home"]).arg(&home).output().unwrap();
        assert!(opens.status.success());
        assert!(verify.status.success() || said.contains("is there already"), "{millis}");
    }
    // A backup that is cut off, or changed, makes no home.
    let bytes = std::fs::read(&backup).unwrap();
    for (name, bytes) in [("cut", &bytes[..bytes.len() / 2]), ("empty", &[][..])] {
        let (damaged, home) = (world.0.scratch.join(name), world.0.scratch.join(&format!("home-{name}")));
        std::fs::write(&damaged, bytes).unwrap();
        let output =
            std::process::Command::new(&binary).arg("restore").arg(&damaged).arg("--home").arg(&home).output().unwrap();
        assert_eq!(output.status.code(), Some(3), "{name}");
        assert!(!home.exists(), "{name}");
    }
}
