//! What every mission is held to, against the real gateway: a file that appears, changes, goes bad and goes away, over a crash, while an agent calls.

use std::fs;

use evidence::record::{Body, Direction, ExceptionKind, VersionLog};
use testkit::wait;

use super::bridges::{PATIENCE, binary};
use super::clients::Http;

/// Calls until the answer has `expected`; each call is a new one.
fn until_told(http: &Http, session: &str, number: &mut u32, expected: &str) {
    let told = wait::until(expected, PATIENCE, || {
        *number += 1;
        let mut raw = http.connect();
        raw.send(&http.request(Some(session), &http.call(*number, "hello")));
        let answer = raw.answer();
        if answer.contains(expected) { Ok(()) } else { Err(answer) }
    });
    told.unwrap();
}

fn versions(http: &Http) -> Vec<VersionLog> {
    let mut versions = Vec::new();
    http.home
        .audit("type:version_log", |line| {
            if let Body::Version(version) = evidence::record::read(line.as_bytes())?.body
                && &*version.object.name == "organisation"
            {
                versions.push(version);
            }
            Ok(())
        })
        .unwrap();
    versions
}

/// Waits until an exception of this kind says so.
fn until_noted(http: &Http, kind: ExceptionKind, text: &str) {
    let noted = wait::until(text, PATIENCE, || {
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
        if reasons.iter().any(|reason| reason.contains(text)) { Ok(()) } else { Err(format!("{reasons:?}")) }
    });
    noted.unwrap();
}

#[test]
fn what_an_organisation_demands_holds_at_once_and_a_bad_file_never_replaces_it() {
    let child = binary("countersign-upstream").display().to_string();
    let mut http = Http::before("organisation", &format!("command = {:?}", [child.as_str(), "--stdio"]), "");
    let file = http.home.path().join("organisation.toml");
    let policies = http.home.path().join("rules.cedar");
    let write = |why: &str, rules: &str| {
        fs::write(&file, format!("organisation = \"corp\"\nwhy = \"{why}\"\n{rules}")).unwrap()
    };
    let (session, mut number) = (http.open(), 0);
    until_told(&http, &session, &mut number, r#""text":"hello""#);

    write("No echo.", "[invariant.quiet]\nnever = [\"mcp:upstream/echo\"]\n");
    until_told(&http, &session, &mut number, "denied (invariant_broken)");
    until_noted(&http, ExceptionKind::BadMission, "invariant `quiet` of the organisation: no mission may allow");

    write("Echo again.", "");
    until_told(&http, &session, &mut number, r#""text":"hello""#);

    fs::write(&policies, "forbid (principal, action, resource == Countersign::Tool::\"mcp:upstream/echo\");\n")
        .unwrap();
    write("No echo, by policy.", "forbid = [\"rules.cedar\"]\n");
    until_told(&http, &session, &mut number, "denied (organisation_forbids)");

    // Bad files, and none: what was in force stays, over a crash too.
    write("No echo, by policy.", "");
    until_noted(&http, ExceptionKind::BadOrganisation, "its `why` did not");
    write("Broken.", "[invariant.x]\nnevr = []\n");
    until_noted(&http, ExceptionKind::BadOrganisation, "did you mean `never`?");
    http.restart();
    let session = http.open();
    until_told(&http, &session, &mut number, "denied (organisation_forbids)");
    fs::remove_file(&file).unwrap();
    until_noted(&http, ExceptionKind::BadOrganisation, "No such file");
    http.restart();
    let session = http.open();
    until_told(&http, &session, &mut number, "denied (organisation_forbids)");

    write("Nothing is demanded any more.", "");
    until_told(&http, &session, &mut number, r#""text":"hello""#);
    let versions = versions(&http);
    let told: Vec<_> = versions.iter().map(|version| (&*version.why, version.direction)).collect();
    assert_eq!(
        told,
        [
            ("No echo.", Some(Direction::Narrower)),
            ("Echo again.", Some(Direction::Wider)),
            ("No echo, by policy.", Some(Direction::Narrower)),
            ("Nothing is demanded any more.", Some(Direction::Wider)),
        ]
    );
    let mut digests = versions.iter().map(|version| version.to.clone());
    let decided: std::collections::BTreeSet<_> =
        http.end()
            .into_iter()
            .filter_map(|record| {
                if let Body::Decision(decision) = record.body { decision.policy.organisation_sha256 } else { None }
            })
            .collect();
    assert!(digests.all(|digest| decided.contains(&digest)), "each version decided something: {decided:?}");
}

#[test]
fn no_mission_is_taken_up_beside_a_file_that_never_was_good() {
    let child = binary("countersign-upstream").display().to_string();
    let http = Http::before("organisation-bad", &format!("command = {:?}", [child.as_str(), "--stdio"]), "");
    let other = http.home.beside("other").unwrap();
    other.write_mission(&["echo"]).unwrap();
    other.write_config_with(&format!("command = {:?}", [child.as_str(), "--stdio"]), "").unwrap();
    fs::create_dir_all(other.path()).unwrap();
    fs::set_permissions(other.path(), std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    fs::write(other.path().join("organisation.toml"), "organisation = 7\n").unwrap();
    let mut served = other.start().unwrap();
    wait::http_ready(served.addr, testkit::governed::READY_PATH, PATIENCE).unwrap();
    let refused = other.token().unwrap_err().to_string();
    assert!(refused.contains("no mission is taken up without what the organisation demands"), "{refused}");
    served.process.stop(PATIENCE).unwrap();
    drop(http.end());
}
