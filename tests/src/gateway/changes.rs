//! Versions of missions that a person takes up and withdraws, against the real gateway, over restarts.

use std::fs;

use evidence::record::{Body, VersionLog};
use testkit::governed::mission;

use super::bridges::binary;
use super::clients::Http;

/// What a command prints, and its exit code.
fn say(http: &Http, args: &[&str]) -> (String, Option<i32>) {
    let mut command = http.home.command(args).unwrap();
    let out = command.stderr(std::process::Stdio::piped()).output().unwrap();
    (format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr)), out.status.code())
}

/// One call; what the agent reads.
fn call(http: &Http, session: &str, number: u32) -> String {
    let mut raw = http.connect();
    raw.send(&http.request(Some(session), &http.call(number, "hello")));
    raw.answer()
}

fn versions(http: &Http) -> Vec<VersionLog> {
    let mut versions = Vec::new();
    http.home
        .audit("type:version_log", |line| {
            if let Body::Version(version) = evidence::record::read(line.as_bytes())?.body
                && version.object.kind == evidence::record::VersionedKind::Mission
            {
                versions.push(version);
            }
            Ok(())
        })
        .unwrap();
    versions
}

fn world(name: &str) -> Http {
    let child = binary("countersign-upstream").display().to_string();
    Http::before(name, &format!("command = {:?}", [child.as_str(), "--stdio"]), "")
}

#[test]
fn a_revoked_mission_allows_nothing_until_another_version_is_taken_up() {
    let mut http = world("revoked");
    let session = http.open();
    assert!(call(&http, &session, 1).contains(r#""text":"hello""#));
    let source = fs::read_to_string(http.home.mission()).unwrap();
    let name = source.lines().next().unwrap().split('"').nth(1).unwrap().to_owned();
    let (said, code) = say(&http, &["mission", "revoke", &name, "--why", "The supplier list is wrong."]);
    assert_eq!((said.trim(), code), (&*format!("mission {name} is revoked"), Some(0)));
    assert!(call(&http, &session, 2).contains("denied (mission_revoked)"));
    assert!(http.home.token().unwrap_err().to_string().contains("is revoked"), "no new run begins");
    let (said, code) = say(&http, &["mission", "revoke", &name, "--why", "Again."]);
    assert!(said.contains("is revoked already") && code == Some(1), "{said}");
    let (said, code) = say(&http, &["mission", "revoke", "nothing", "--why", "x"]);
    assert!(said.contains("no mission `nothing` was ever taken up") && code == Some(1), "{said}");

    http.restart();
    let session = http.open();
    assert!(call(&http, &session, 3).contains("denied (mission_revoked)"), "over a restart");
    let file = http.home.mission().display().to_string();
    let (said, code) = say(&http, &["mission", "apply", &file]);
    assert!(said.contains("its `why` did not") && code == Some(1), "the same version stays revoked: {said}");

    fs::write(http.home.mission(), source.replace("First version.", "The list is right again.")).unwrap();
    let (said, code) = say(&http, &["mission", "apply", &file]);
    assert!(code == Some(0), "{said}");
    assert!(call(&http, &session, 4).contains(r#""text":"hello""#));
    let versions = versions(&http);
    let told: Vec<_> = versions.iter().map(|version| (version.from.as_deref(), &*version.why)).collect();
    let [(None, _), (Some(first), "The supplier list is wrong."), (Some("revoked"), "The list is right again.")] =
        told.as_slice()
    else {
        panic!("{told:?}")
    };
    assert_eq!(*first, &*versions[0].to);
    drop(http.end());
}

#[test]
fn a_mission_is_applied_in_the_name_of_a_person_and_stays() {
    let mut http = world("applied");
    let scratch = http.home.path().parent().unwrap().to_owned();
    let file = scratch.join("mine.toml");
    let path = file.display().to_string();
    fs::write(&file, mission("mine", &["echo"], &[])).unwrap();
    let (said, code) = say(&http, &["mission", "apply", &path, "--dry-run"]);
    assert!(said.contains("mission mine would be taken up (wider, sha256 ") && code == Some(1), "{said}");
    assert!(versions(&http).iter().all(|version| &*version.object.name != "mine"), "nothing changed");
    let (said, code) = say(&http, &["mission", "apply", &path]);
    assert!(
        said.contains("new mission `mine`") && said.contains("mission mine is taken up") && code == Some(0),
        "{said}"
    );
    let (said, code) = say(&http, &["mission", "apply", &path]);
    assert!(said.contains("is in force as it stands in the file") && code == Some(0), "{said}");

    let agent = mission("x", &[], &[])
        .lines()
        .find(|line| line.starts_with("agents"))
        .unwrap()
        .split('"')
        .nth(1)
        .unwrap()
        .to_owned();
    let begun = say(
        &http,
        &["run", "start", "--mission", "mine", "--agent", &agent, "--initiator", "ana", "--format", "token"],
    );
    assert_eq!(begun.1, Some(0), "{}", begun.0);
    http.token = begun.0.trim().to_owned();
    let session = http.open();
    assert!(call(&http, &session, 1).contains(r#""text":"hello""#));

    // Its file changes and goes: it is read as it was applied, over a restart too.
    fs::write(&file, "not a mission").unwrap();
    let (said, code) = say(&http, &["mission", "apply", &path]);
    assert!(said.contains("mine.toml:1:") && code == Some(1), "{said}");
    http.restart();
    let session = http.open();
    assert!(call(&http, &session, 2).contains(r#""text":"hello""#));

    // A mission of the folder is applied from there alone: the next start would take that file up again.
    let copy = scratch.join("copy.toml");
    fs::write(&copy, fs::read_to_string(http.home.mission()).unwrap().replace("First version.", "Another.")).unwrap();
    let (said, code) = say(&http, &["mission", "apply", &copy.display().to_string()]);
    assert!(said.contains("which the next start would take up again") && code == Some(1), "{said}");
    let versions = versions(&http);
    let mine: Vec<_> = versions.iter().filter(|version| &*version.object.name == "mine").collect();
    let [version] = mine.as_slice() else { panic!("{mine:?}") };
    assert_ne!(version.who, "file", "the person is named");
    drop(http.end());
}
