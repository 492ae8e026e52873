//! Files that belong to records, with the real program: attached while the gateway runs, found, read back, damaged, lost.

use std::fs;
use std::process::Stdio;

use evidence::record::{Body, VersionedKind};

use super::bridges::binary;
use super::clients::Http;

/// What a command prints, and its exit code.
fn say(http: &Http, args: &[&str]) -> (String, Option<i32>) {
    let out = http.home.command(args).unwrap().stderr(Stdio::piped()).output().unwrap();
    (format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr)), out.status.code())
}

#[test]
fn a_file_is_sealed_linked_to_its_record_and_found_again() {
    let child = binary("countersign-upstream").display().to_string();
    let http = Http::before("attachments", &format!("command = {:?}", [child.as_str(), "--stdio"]), "");
    let session = http.open();
    let mut raw = http.connect();
    raw.send(&http.request(Some(&session), &http.call(1, "hello")));
    assert!(raw.answer().contains("hello"));
    let mut decision = None;
    http.home
        .audit("type:decision_record", |line| {
            decision = Some(evidence::record::read(line.as_bytes())?);
            Ok(())
        })
        .unwrap();
    let decision = decision.unwrap();
    let folder = http.home.path().parent().unwrap().to_owned();
    let file = folder.join("ticket.txt");
    fs::write(&file, "The secret of ticket 7: pay it.").unwrap();
    let path = file.display().to_string();

    let id = decision.id.to_string();
    let by_id = ["attach", &id, &path, "--rel", "ticket", "--media-type", "text/plain", "--why", "Who asked."];
    let (said, code) = say(&http, &by_id);
    assert_eq!(code, Some(0), "{said}");
    let sha256 = said.trim().to_owned();
    let seq = decision.seq.to_string();
    let (again, code) = say(&http, &["attach", &seq, &path, "--why", "By its number."]);
    assert_eq!((again.trim(), code), (&*sha256, Some(0)), "the same content is kept once");

    for (record, file, said) in [
        ("999999999", path.as_str(), "the ledger has no record 999999999"),
        ("0193b5a2-6f1e-7cc3-98c4-dc0c0c07398f", path.as_str(), "the ledger has no record"),
        (id.as_str(), "/nowhere/at/all", "No such file"),
        (id.as_str(), "/dev/zero", "it is no file"),
    ] {
        let (told, code) = say(&http, &["attach", record, file, "--why", "x"]);
        assert!(told.contains(said) && matches!(code, Some(1 | 2)), "{record} {file}: {told} {code:?}");
    }
    assert_eq!(say(&http, &["attach", "x", &path, "--why", "x"]).1, Some(2));

    let (listed, _) = say(&http, &["attachments", "list", &id, "--format", "json"]);
    assert_eq!(listed.lines().count(), 2, "{listed}");
    assert!(
        listed.contains("Who asked.") && listed.contains(&sha256) && listed.contains("\"rel\":\"ticket\""),
        "{listed}"
    );
    let out = folder.join("back.txt").display().to_string();
    assert_eq!(say(&http, &["attachments", "get", &sha256, "--out", &out]).1, Some(0));
    assert_eq!(fs::read(&out).unwrap(), fs::read(&file).unwrap());
    let (said, code) = say(&http, &["attachments", "get", &sha256, "--out", &out]);
    assert!(said.contains("File exists") && code == Some(3), "nothing is overwritten: {said}");

    let sealed = http.home.path().join("attachments").join(format!("{sha256}.sealed"));
    let bytes = fs::read(&sealed).unwrap();
    assert!(!String::from_utf8_lossy(&bytes).contains("ticket 7"), "nobody else reads it");
    let mut linked = Vec::new();
    http.home
        .audit("type:version_log", |line| {
            let record = evidence::record::read(line.as_bytes())?;
            if let Body::Version(version) = &record.body
                && version.object.kind == VersionedKind::Attachment
            {
                linked.push(record);
            }
            Ok(())
        })
        .unwrap();
    let [first, _] = linked.as_slice() else { panic!("{linked:?}") };
    assert_eq!(first.correlation.call, decision.correlation.call, "it is found with the call");
    assert_eq!(first.correlation.mission, decision.correlation.mission);
    assert_eq!((&*first.links[0].sha256, first.links[0].bytes), (&*sha256, 31));

    let (said, code) = say(&http, &["verify", "--ledger"]);
    assert!(said.contains("attachments: 1, of which 0 are not") && code == Some(0), "{said}");
    let mut altered = bytes.clone();
    *altered.last_mut().unwrap() ^= 1;
    fs::write(&sealed, altered).unwrap();
    let (said, code) = say(&http, &["verify", "--ledger"]);
    assert!(said.contains("cannot be opened with this home's key") && code == Some(1), "{said}");
    fs::remove_file(&sealed).unwrap();
    let (said, code) = say(&http, &["verify", "--ledger"]);
    assert!(said.contains(&format!("attachment {sha256} is not here")) && code == Some(1), "{said}");
    assert_eq!(say(&http, &["attachments", "get", &sha256, "--out", "/tmp/never"]).1, Some(1));
    fs::write(&sealed, bytes).unwrap();
    drop(http.end());
}
