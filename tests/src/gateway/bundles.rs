//! Bundles of a real gateway's evidence: exported while it runs, and verified by the program, by a small Python program, and by the packages of Go's checksum database.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use evidence::bundle::Manifest;
use evidence::record::Body;
use rustix::process::{Signal, kill_process};
use serde_json::{Value, json};

use super::approvals::Gated;
use super::bridges::{PATIENCE, World};

/// What somebody does to a bundle, and who must find it: our program and the Python program always; Go's packages where they look.
struct Tampering {
    name: &'static str,
    tamper: fn(&Path),
    is_seen_by_go: bool,
}

pub(super) fn edit(path: &Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "{} has no {from}", path.display());
    std::fs::write(path, text.replacen(from, to, 1)).unwrap();
}

fn lines(path: &Path, change: impl FnOnce(&mut Vec<String>)) {
    let text = std::fs::read_to_string(path).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    change(&mut lines);
    std::fs::write(path, lines.join("\n") + "\n").unwrap();
}

/// Changes the records line by line, with their salts.
fn records(bundle: &Path, change: fn(&mut Vec<String>)) {
    lines(&bundle.join("records.jsonl"), change);
    lines(&bundle.join("records.salts"), change);
}

/// The first file below a folder.
fn first(folder: &Path) -> PathBuf {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).min().unwrap()
}

const TAMPERINGS: &[Tampering] = &[
    Tampering {
        name: "a letter of a record",
        tamper: |bundle| edit(&bundle.join("records.jsonl"), "looked at it", "looked at 1t"),
        is_seen_by_go: true,
    },
    Tampering {
        name: "a record is dropped",
        tamper: |bundle| records(bundle, |lines| drop(lines.remove(4))),
        is_seen_by_go: false,
    },
    Tampering {
        name: "records change places",
        tamper: |bundle| records(bundle, |lines| lines.swap(4, 5)),
        is_seen_by_go: false,
    },
    Tampering {
        name: "a record is doubled",
        tamper: |bundle| records(bundle, |lines| lines.insert(5, lines[4].clone())),
        is_seen_by_go: false,
    },
    Tampering {
        name: "the end is cut off",
        tamper: |bundle| records(bundle, |lines| lines.truncate(3)),
        is_seen_by_go: false,
    },
    Tampering {
        name: "a signature of a person",
        tamper: |bundle| edit(&bundle.join("records.jsonl"), "\"signature\":\"", "\"signature\":\"A"),
        is_seen_by_go: true,
    },
    Tampering {
        name: "an attached file",
        tamper: |bundle| std::fs::write(first(&bundle.join("attachments")), "Pay twice.").unwrap(),
        is_seen_by_go: false,
    },
    Tampering {
        name: "the checkpoint",
        tamper: |bundle| lines(&bundle.join("checkpoint"), |lines| lines[1] = "9".to_owned()),
        is_seen_by_go: true,
    },
    Tampering {
        name: "a hash",
        tamper: |bundle| {
            let tile = first(&bundle.join("tile/0/000.p"));
            let mut bytes = std::fs::read(&tile).unwrap();
            bytes[40] ^= 1;
            std::fs::write(tile, bytes).unwrap();
        },
        is_seen_by_go: true,
    },
    Tampering {
        name: "a proof",
        tamper: |bundle| {
            let proof = first(&bundle.join("proofs"));
            lines(&proof, |lines| {
                let hash = lines[2].clone();
                lines[2] =
                    if hash.starts_with('A') { hash.replacen('A', "B", 1) } else { format!("A{}", hash.split_at(1).1) };
            });
        },
        is_seen_by_go: true,
    },
    Tampering {
        name: "the population",
        tamper: |bundle| edit(&bundle.join("manifest.json"), "\"approval_record\": ", "\"approval_record\": 1"),
        is_seen_by_go: true,
    },
];

/// Makes the manifest speak of the files as they are, as whoever tampers would.
pub(super) fn list(bundle: &Path) {
    let path = bundle.join("manifest.json");
    let mut manifest: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let files = manifest["files"].as_array_mut().unwrap();
    files.retain(|file| bundle.join(file["name"].as_str().unwrap()).exists());
    for file in files {
        let bytes = std::fs::read(bundle.join(file["name"].as_str().unwrap())).unwrap();
        file["bytes"] = bytes.len().into();
        file["sha256"] = evidence::leaf::sha256_hex(&bytes).into();
    }
    std::fs::write(path, serde_json::to_vec_pretty(&manifest).unwrap()).unwrap();
}

/// Runs a program; whether it said yes, and what it said.
pub(super) fn ran(mut command: Command) -> (bool, String) {
    let out = command.stdin(Stdio::null()).output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(matches!(out.status.code(), Some(0 | 1)), "{command:?}: {said}");
    (out.status.success(), said)
}

pub(super) fn python(bundle: &Path, key: &Path, older: &[&Path]) -> (bool, String) {
    let mut command = Command::new("python3");
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/auditor/verify_bundle.py");
    command.arg(program).arg(bundle).arg(key).args(older);
    ran(command)
}

/// The Go program, built from the packages of the checksum database as Debian ships them.
pub(super) fn go(folder: &Path) -> PathBuf {
    let packages = Path::new("/usr/share/gocode");
    assert!(
        packages.join("src/golang.org/x/mod/sumdb").is_dir(),
        "no `golang.org/x/mod` in {}: install golang-go and golang-golang-x-mod-dev",
        packages.display()
    );
    let program = folder.join("verify_bundle");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/auditor/verify_bundle.go");
    let mut command = Command::new("go");
    command.args(["build", "-o"]).arg(&program).arg(source);
    command.env("GO111MODULE", "off").env("GOPATH", packages).env("GOCACHE", folder.join("go")).env("GOFLAGS", "");
    let (is_built, said) = ran(command);
    assert!(is_built, "{said}");
    program
}

#[test]
fn a_bundle_is_verified_by_us_and_by_tools_that_are_not_ours_and_every_tampering_is_found() {
    let world = Gated::new("bundles");
    world.enrol(&["ana", "carl"]);
    let folder = world.0.scratch.path().to_owned();
    let (home, key, older) = (folder.join("home"), folder.join("ours.vkey"), folder.join("older.checkpoint"));
    std::fs::copy(home.join("keys/log.vkey"), &key).unwrap();
    std::fs::copy(home.join("ledger/checkpoint"), &older).unwrap();
    let mut client = world.open();
    let answer = client.call(1, "effect", json!({ "key": "one" }));
    let id = world.asked();
    assert_eq!(world.say("approve", &id, "ana").0, Some(0), "{answer}");
    client.send(&json!({ "jsonrpc": "2.0", "id": 3, "method": "tools/call",
        "params": { "name": "effect", "arguments": { "key": "one" } } }));
    assert_eq!(world.say("approve", &id, "carl").0, Some(0));
    assert_eq!(client.message()["id"], 3);
    let asked = world.0.records("type:approval_record")[0].seq.to_string();
    let ticket = folder.join("ticket.txt");
    std::fs::write(&ticket, "Who asked, and who agreed.").unwrap();
    let attached = world.run(&["attach", &asked, ticket.to_str().unwrap(), "--rel", "ticket", "--why", "who asked"]);
    assert_eq!(attached.0, Some(0), "{}", attached.2);

    // While the gateway runs: the reviews of people, with their keys and the ticket.
    let (out, tar) = (folder.join("reviews"), folder.join("whole.tar"));
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let export = |more: &[&str]| world.run(&[&["export"], more, &["--why", "the annual audit"]].concat());
    // What a bundle could not show is not exported, and nothing is recorded of it.
    let joined = export(&["type:action_record call(type:approval_record)", "--out", &text(&folder.join("joined"))]);
    assert!(joined.0 == Some(1) || joined.0 == Some(2), "{joined:?}");
    assert!(joined.2.contains("`call(...)` asks about other records of the same call"), "{}", joined.2);
    assert!(!folder.join("joined").exists() && world.0.records("type:evidence_access").is_empty());
    let (code, said, err) = export(&["type:approval_record", "--out", &text(&out)]);
    assert_eq!(code, Some(0), "{err}");
    assert!(said.contains("6 records match"), "{said}");
    let (code, _, err) = export(&["", "--whole", "--out", &text(&tar), "--since", &text(&older)]);
    assert_eq!(code, Some(0), "{err}");
    for (args, want) in [
        (vec!["type:approval_record", "--out", &text(&out)], "is there already"),
        (vec!["type:nothing", "--out", "/tmp/never"], "is not a type"),
        (vec!["", "--out", &text(&folder.join("x")), "--since", &text(&ticket)], "ticket.txt"),
    ] {
        let (code, _, err) = export(&args);
        assert!(matches!(code, Some(1 | 2)) && err.contains(want), "{args:?}: {code:?} {err}");
    }
    let accesses = world.0.records("type:evidence_access");
    let filters: Vec<_> = accesses
        .iter()
        .map(|record| match &record.body {
            Body::Access(access) => (access.filter.as_deref(), access.why.as_str()),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(filters, [(Some("type:approval_record"), "the annual audit"), (Some("seq:1.."), "the annual audit")]);
    assert!(client.close().success());

    let go = go(&folder);
    let verify = |bundle: &Path, key: &Path, older: &[&Path]| {
        let mut args = vec!["verify".to_owned(), text(bundle), "--key".to_owned(), text(key)];
        args.extend(older.iter().flat_map(|older| ["--since".to_owned(), text(older)]));
        let (code, out, err) = world.run(&args.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(matches!(code, Some(0 | 1)), "{code:?} {out} {err}");
        (code == Some(0), out)
    };
    let by_go = |bundle: &Path, key: &Path, older: &[&Path]| {
        let mut command = Command::new(&go);
        command.arg(bundle).arg(key).args(older);
        ran(command)
    };

    let (is_sound, said) = verify(&out, &key, &[&older]);
    assert!(
        is_sound
            && said.contains("signatures of people: 2; attached files: 1; proofs of single records: 6; grown from 1"),
        "{said}"
    );
    assert!(said.contains("the public entries show that none that matches is left out"), "{said}");
    let (is_sound, said) = verify(&tar, &key, &[&older]);
    assert!(is_sound && said.contains("the whole log is here"), "{said}");
    for bundle in [&out, &tar] {
        let (is_sound, said) = python(bundle, &key, &[&older]);
        assert!(is_sound && said.contains("2 signatures of people"), "{said}");
    }
    let (is_sound, said) = by_go(&out, &key, &[&older]);
    assert!(is_sound && said.contains("6 proofs"), "{said}");
    // The program in the bundle is the one that was tried here, and it reads a signature without `cryptography` too.
    assert_eq!(
        std::fs::read(out.join("verify.py")).unwrap(),
        include_bytes!("../../../examples/auditor/verify_bundle.py")
    );

    // Somebody else's key, and somebody else's checkpoint.
    let stranger = Gated::new("bundles-stranger");
    stranger.enrol(&["ana"]);
    let other = stranger.0.scratch.path().join("home");
    for (key, older) in [
        (other.join("keys/log.vkey"), older.clone()),
        (key.clone(), other.join("ledger/checkpoint")),
        (key.clone(), ticket.clone()),
    ] {
        assert!(!verify(&out, &key, &[&older]).0 && !python(&out, &key, &[&older]).0, "{}", key.display());
        assert!(!by_go(&out, &key, &[&older]).0);
    }

    for Tampering { name, tamper, is_seen_by_go } in TAMPERINGS {
        let changed = folder.join(name.replace(' ', "-"));
        let copied = Command::new("cp").arg("-r").arg(&out).arg(&changed).status().unwrap();
        assert!(copied.success());
        tamper(&changed);
        if *name != "the population" {
            list(&changed);
        }
        let (is_sound, said) = verify(&changed, &key, &[]);
        assert!(!is_sound && said.contains("wrong: `"), "{name}: {said}");
        let (is_sound, said) = python(&changed, &key, &[]);
        assert!(!is_sound && said.contains("does not hold: "), "{name}: {said}");
        let (is_sound, said) = by_go(&changed, &key, &[]);
        assert_eq!(is_sound, !is_seen_by_go, "{name}: {said}");
    }
    // The ledger too has grown from the checkpoint that was kept, and from no other.
    let since = |older: &Path| world.run(&["verify", "--ledger", "--since", &text(older)]);
    let (code, said, err) = since(&older);
    assert_eq!(code, Some(0), "{said}{err}");
    let (code, said, _) = since(&other.join("ledger/checkpoint"));
    assert!(code == Some(1) && said.contains("checkpoint"), "{said}");
}

#[test]
fn after_a_crash_the_population_has_no_gap_and_says_where_the_ledger_was_not_open() {
    let world = World::new("bundles-crash");
    let mut client = world.bridge(&[]);
    client.open();
    client.send(&json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": { "name": "slow_effect", "arguments": { "key": "k", "wait_ms": 60_000 } } }));
    testkit::wait::until("the effect", PATIENCE, || {
        if world.effects() == 1 { Ok(()) } else { Err("no effect yet".to_owned()) }
    })
    .unwrap();
    let export = |name: &str| {
        let out = world.scratch.join(name);
        let (code, said) = world.run(&["export", "", "--whole", "--out", out.to_str().unwrap(), "--why", "the audit"]);
        assert_eq!(code, Some(0), "{said}");
        let key = world.scratch.join("home/keys/log.vkey");
        let (code, said) = world.run(&["verify", out.to_str().unwrap(), "--key", key.to_str().unwrap()]);
        assert_eq!(code, Some(0), "{said}");
        let (is_sound, said) = python(&out, &key, &[]);
        assert!(is_sound, "{said}");
        serde_json::from_slice::<Manifest>(&std::fs::read(out.join("manifest.json")).unwrap()).unwrap().population
    };
    // While the call runs, its intent is open; nothing was closed yet.
    let before = export("before");
    assert_eq!((before.open_calls.count, before.pauses.count, before.first_seq), (1, 0, 1));
    assert_eq!(before.open_calls.listed[0].tool.to_string(), "mcp:up/slow_effect");
    kill_process(world.gateway_pid(), Signal::KILL).unwrap();
    assert_eq!(client.process.wait(PATIENCE).unwrap().code(), Some(3));

    let after = export("after");
    assert_eq!((after.open_calls.count, after.pauses.count), (0, 1), "recovery closed the call");
    let [pause] = after.pauses.listed.as_slice() else { panic!("{after:?}") };
    assert!(!pause.in_order && pause.until >= pause.from);
    let closed = world.records("status:unknown");
    assert!(closed.len() == 1 && closed[0].seq > pause.seq, "what explains the pause comes after it: {closed:?}");
    assert_eq!(after.types.values().sum::<u64>(), after.records);
    assert!(after.records > before.records);
}
