//! The log's key changes in a running gateway: who has either key verifies, bundles and witnesses go on, and the old key is worth nothing.

use std::path::{Path, PathBuf};
use std::process::Command;

use evidence::checkpoint::{Checkpoint, VerifierKey};
use evidence::record::VersionedKind;
use serde_json::Value;
use store::Reader;

use super::bridges::PATIENCE;
use super::bundles::{edit, list, python};
use super::clients::Http;
use super::witnesses::{Log, Witness, await_exception, cosigned, said};

/// A key of somebody else.
const STRANGER: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The keys that signed the log, as the command lists them.
fn keys(http: &Http) -> Vec<Value> {
    let (is_done, told) = said(&http.home, &["keys", "list", "--format", "json"]);
    assert!(is_done, "{told}");
    told.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Changes the key; gives a file with the new one.
fn rotate(http: &Http, folder: &Path, name: &str) -> PathBuf {
    let (is_done, next) = said(&http.home, &["keys", "next"]);
    assert!(is_done, "{next}");
    let (is_done, told) = said(&http.home, &["keys", "rotate-log", "--why", "once a year"]);
    assert!(is_done && told == next, "what was told before is what signs: {told}");
    let path = folder.join(name);
    std::fs::write(&path, told).unwrap();
    path
}

#[test]
fn whoever_has_either_key_verifies_and_the_old_one_signs_no_more() {
    let log = Log::new("rotation");
    let (folder, vkey) = (log.scratch.path().to_owned(), log.key());
    let first = folder.join("first.vkey");
    std::fs::copy(&vkey, &first).unwrap();
    let secret = std::fs::read(log.home.path().join("keys/log.ed25519")).unwrap();
    let mut north = Witness::start(&folder, "north", &[&first]);
    let mut http = log.serve(&[&north], "");
    let session = http.open();
    http.assert_serves(&session, "the first key");
    let (size, note) = cosigned(&http.home, 5);
    let older = folder.join("older.checkpoint");
    std::fs::write(&older, &note).unwrap();
    let unsaid = http.home.command(&["keys", "rotate-log", "--why", " "]).unwrap().status().unwrap();
    assert_eq!((unsaid.code(), keys(&http).len()), (Some(2), 1), "a reason is recorded");

    let second = rotate(&http, &folder, "second.vkey");
    http.assert_serves(&session, "the second key");
    assert_eq!(std::fs::read_to_string(&vkey).unwrap(), std::fs::read_to_string(&second).unwrap());
    assert_ne!(std::fs::read(http.home.path().join("keys/log.ed25519")).unwrap(), secret);
    assert_eq!(keys(&http).len(), 2);
    // The witness knows the first key alone: it says so, and cosigns again once it was told.
    let told = await_exception(&http.home, "does not know the key");
    assert_eq!(told.scope, "witness:north");
    north.restart_with(&second);
    let (later, _) = cosigned(&http.home, size + 4);
    let verify = |http: &Http, more: &[&str]| said(&http.home, &[&["verify", "--ledger", "--rebuild"], more].concat());
    for key in [&first, &second] {
        let (is_sound, told) =
            verify(&http, &["--key", text(key), "--since", text(&older), "--witness", text(&north.key)]);
        assert!(is_sound && told.contains("cosigned up to record"), "{told}");
    }
    let (is_sound, told) = verify(&http, &["--key", STRANGER]);
    assert!(!is_sound && told.contains("is not signed by the key that you trust"), "{told}");

    // Twice, and killed at once.
    let third = rotate(&http, &folder, "third.vkey");
    http.restart();
    north.restart_with(&third);
    let session = http.open();
    http.assert_serves(&session, "the third key");
    cosigned(&http.home, later + 4);
    assert_eq!(keys(&http).len(), 3);
    let rotations: Vec<_> = Reader::open(&http.home.path())
        .unwrap()
        .versions(VersionedKind::Key)
        .unwrap()
        .into_iter()
        .map(|record| record.seq)
        .collect();
    assert_eq!(rotations.last().copied(), keys(&http)[1]["next_named_by"].as_u64());

    // Bundles, the whole log and a part of it.
    for (name, filter, more) in [("whole", "", &["--whole"][..]), ("part", "type:action_record", &[])] {
        let bundle = folder.join(name);
        let args = ["export", filter, "--cosigned", "--out", text(&bundle), "--why", "the audit"];
        let (is_done, told) = said(&http.home, &[args.as_slice(), more].concat());
        assert!(is_done, "{told}");
        for key in [&first, &second, &third] {
            let args =
                ["verify", text(&bundle), "--key", text(key), "--since", text(&older), "--witness", text(&north.key)];
            let (is_sound, told) = said(&http.home, &args);
            assert!(is_sound && told.contains("grown from 1 older"), "{name} {}: {told}", key.display());
            let witness = PathBuf::from(format!("--witness={}", north.key.display()));
            let (is_sound, told) = python(&bundle, key, &[&older, &witness]);
            assert!(is_sound && told.contains("cosigned by north.example/w1"), "{name} {}: {told}", key.display());
        }
        // What leads from key to key is taken away, or changed.
        let handover =
            std::fs::read_dir(bundle.join("handovers")).unwrap().map(|entry| entry.unwrap().path()).min().unwrap();
        let file = handover.file_name().unwrap();
        for what in ["gone", "one gone", "moved"] {
            let changed = folder.join(format!("{name} {what}"));
            assert!(Command::new("cp").arg("-r").arg(&bundle).arg(&changed).status().unwrap().success());
            let path = changed.join("handovers").join(file);
            match what {
                "gone" => std::fs::remove_dir_all(changed.join("handovers")).unwrap(),
                "one gone" => std::fs::remove_file(path).unwrap(),
                _ => {
                    let text = std::fs::read_to_string(&path).unwrap();
                    std::fs::remove_file(path).unwrap();
                    let text = text.replacen(&format!("record {}\n", file.to_str().unwrap()), "record 3\n", 1);
                    std::fs::write(changed.join("handovers/3"), text).unwrap();
                    let name = format!("handovers/{}\"", file.to_str().unwrap());
                    edit(&changed.join("manifest.json"), &name, "handovers/3\"");
                }
            }
            list(&changed);
            let (is_sound, told) = said(&http.home, &["verify", text(&changed), "--key", text(&first)]);
            assert!(!is_sound, "{name} {what}: {told}");
            let (is_sound, told) = python(&changed, &first, &[]);
            assert!(!is_sound && told.contains("does not hold: "), "{name} {what}: {told}");
        }
    }

    // Whoever finds the first key signs what they like with it; nobody takes it for the log's, whichever key they trust.
    let reader = Reader::open(&http.home.path()).unwrap();
    let now = reader.checkpoint().unwrap().unwrap().checkpoint;
    let seed = String::from_utf8(secret).unwrap();
    let forged = folder.join("forged.checkpoint");
    std::fs::write(&forged, sign_with(&seed, &Checkpoint { root: [7; 32], ..now })).unwrap();
    for key in [&first, &second, &third] {
        let (is_sound, told) = verify(&http, &["--key", text(key), "--since", text(&forged)]);
        assert!(!is_sound && told.contains("has no signature by"), "{told}");
    }
    let old: VerifierKey = std::fs::read_to_string(&first).unwrap().trim().parse().unwrap();
    Checkpoint::open(&std::fs::read(&forged).unwrap(), &old).unwrap();
    http.served.process.stop(PATIENCE).unwrap();
    let (is_sound, told) = verify(&http, &["--key", text(&third)]);
    assert!(is_sound, "{told}");
}

/// A checkpoint that a private key of a signed note signs, by Python and OpenSSL: no program of ours signs with an old key.
fn sign_with(secret: &str, checkpoint: &Checkpoint) -> Vec<u8> {
    let program = r#"
import base64, subprocess, sys, tempfile, pathlib
secret, text = sys.argv[1].strip(), sys.argv[2]
_, _, name, key_id, key = secret.split("+", 4)
seed = base64.b64decode(key)[1:]
with tempfile.TemporaryDirectory() as folder:
    pathlib.Path(folder, "key").write_bytes(bytes.fromhex("302e020100300506032b657004220420") + seed)
    pathlib.Path(folder, "text").write_bytes(text.encode())
    signature = subprocess.run(["openssl", "pkeyutl", "-sign", "-inkey", "key", "-keyform", "DER", "-rawin", "-in", "text"], cwd=folder, capture_output=True, check=True).stdout
line = base64.b64encode(bytes.fromhex(key_id) + signature).decode()
sys.stdout.buffer.write(f"{text}\n\u2014 {name} {line}\n".encode())
"#;
    let made = Command::new("python3").args(["-c", program, secret, &checkpoint.text()]).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    made.stdout
}
