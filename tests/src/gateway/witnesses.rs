//! Witnesses as processes: what they cosign and refuse, over kills; and logs with two histories, which they find and name.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use evidence::checkpoint::{Checkpoint, Note, VerifierKey};
use evidence::ids::ExceptionId;
use evidence::record::{Body, Context, Draft, ExceptionEvent, ExceptionKind, ExceptionRecord};
use evidence::time::Timestamp;
use evidence::witness::Submission;
use serde_json::Value;
use store::{Integration, Ledger, Reader};
use testkit::governed::{Home, Upstream};
use testkit::process::{Lines, Process};
use testkit::scratch::Scratch;
use testkit::wait;

use super::bridges::{PATIENCE, binary};
use super::bundles::{go, python, ran};
use super::clients::Http;

/// A witness's home, and its process while it runs.
pub(super) struct Witness {
    address: SocketAddr,
    home: PathBuf,
    pub(super) key: PathBuf,
    logs: Vec<PathBuf>,
    process: Process,
    _lines: Lines,
}

/// Sends a request; gives the status, the headers and the body of the answer, if there is a whole one.
fn sent(address: SocketAddr, method: &str, path: &str, body: &[u8]) -> Option<(u16, String, String)> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let length = body.len();
    write!(stream, "{method} {path} HTTP/1.1\r\nHost: w\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n")
        .ok()?;
    // A witness that has read enough closes.
    let _refused = stream.write_all(body);
    let mut answer = Vec::new();
    let _reset = stream.read_to_end(&mut answer);
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, head.to_ascii_lowercase(), body.to_owned()))
}

fn countersign(home: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(binary("countersign"));
    command.args(args).arg("--home").arg(home).stdin(Stdio::null());
    command
}

impl Witness {
    /// Makes one for these logs, in a folder of its own.
    pub(super) fn start(folder: &Path, name: &str, logs: &[&Path]) -> Self {
        let home = folder.join(format!("witness-{name}"));
        let made = countersign(&home, &["witness", "init", &format!("{name}.example/w1")]).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let key = folder.join(format!("{name}.vkey"));
        std::fs::write(&key, &made.stdout).unwrap();
        let logs: Vec<_> = logs.iter().map(|log| log.to_path_buf()).collect();
        let (process, lines, address) = Self::serve(&home, "127.0.0.1:0", &logs);
        Self { address, home, key, logs, process, _lines: lines }
    }

    fn serve(home: &Path, listen: &str, logs: &[PathBuf]) -> (Process, Lines, SocketAddr) {
        let mut command = countersign(home, &["witness", "serve", "--listen", listen]);
        for log in logs {
            command.arg("--log").arg(log);
        }
        let mut process = Process::spawn(command.stdout(Stdio::piped())).unwrap();
        let lines = process.lines().unwrap();
        let line: Value = serde_json::from_str(&process.next_line(&lines, PATIENCE).unwrap()).unwrap();
        (process, lines, line["listening"].as_str().unwrap().parse().unwrap())
    }

    /// Kills it, and starts it again where it was.
    pub(super) fn restart(&mut self) {
        self.process.kill().unwrap();
        self.revive();
    }

    /// Starts it again where it was, once it is dead.
    fn revive(&mut self) {
        self.process.wait(PATIENCE).unwrap();
        let (process, lines, _) = Self::serve(&self.home, &self.address.to_string(), &self.logs);
        (self.process, self._lines) = (process, lines);
    }

    /// Starts it again where it was, so that it knows this key of a log too.
    pub(super) fn restart_with(&mut self, log: &Path) {
        self.logs.push(log.to_path_buf());
        self.restart();
    }

    /// The lines of a configuration that name it.
    pub(super) fn config(&self) -> String {
        let name = self.key.file_stem().unwrap().to_str().unwrap();
        let key = std::fs::read_to_string(&self.key).unwrap();
        format!("[witness.{name}]\nkey = \"{}\"\nurl = \"http://{}\"\n\n", key.trim(), self.address)
    }

    /// Sends a request as any program would; gives the status, the headers and the body.
    fn send(&self, method: &str, path: &str, body: &[u8]) -> (u16, String, String) {
        sent(self.address, method, path, body).unwrap()
    }

    fn add(&self, submission: &Submission) -> (u16, String, String) {
        self.send("POST", "/add-checkpoint", &submission.body())
    }

    /// What it cosigned last of the one log that it knows.
    fn size(&self) -> u64 {
        let out = countersign(&self.home, &["witness", "list", "--format", "json"]).output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        match String::from_utf8(out.stdout).unwrap().lines().collect::<Vec<_>>().as_slice() {
            [] => 0,
            [line] => serde_json::from_str::<Value>(line).unwrap()["size"].as_u64().unwrap(),
            more => panic!("{more:?}"),
        }
    }
}

/// A home with a ledger, and no gateway yet.
pub(super) struct Log {
    pub(super) home: Home,
    pub(super) scratch: Scratch,
    upstream: Upstream,
}

impl Log {
    pub(super) fn new(name: &str) -> Self {
        let scratch = Scratch::new(name).unwrap();
        let upstream = Upstream::start(&binary("countersign-upstream"), &[]).unwrap();
        let home = Home::new(&binary("countersign"), scratch.path()).unwrap();
        home.write_mission(&["echo"]).unwrap();
        home.token().unwrap();
        Self { home, scratch, upstream }
    }

    pub(super) fn key(&self) -> PathBuf {
        self.home.path().join("keys/log.vkey")
    }

    /// Serves with these witnesses.
    pub(super) fn serve(self, witnesses: &[&Witness], policy: &str) -> Http {
        configure(&self.home, &self.upstream, witnesses, policy);
        Http::serving(self.home, Some(self.upstream), self.scratch)
    }
}

fn configure(home: &Home, upstream: &Upstream, witnesses: &[&Witness], policy: &str) {
    let sections: String = witnesses.iter().map(|witness| witness.config()).collect();
    let more = format!("{sections}[witnesses]\nevery_s = 1\n{policy}");
    home.write_config_with(&format!("url = {:?}", upstream.url()), &more).unwrap();
}

/// What a command says, on both outputs, and whether it says yes.
pub(super) fn said(home: &Home, args: &[&str]) -> (bool, String) {
    ran(countersign(&home.path(), args))
}

/// The newest cosigned checkpoint, once it covers so many records.
pub(super) fn cosigned(home: &Home, records: u64) -> (u64, Vec<u8>) {
    wait::until("a cosigned checkpoint", PATIENCE, || {
        let reader = Reader::open(&home.path()).map_err(|error| error.to_string())?;
        match reader.cosigned().map_err(|error| error.to_string())? {
            Some(signed) if signed.checkpoint.size >= records => Ok((signed.checkpoint.size, signed.note)),
            other => Err(format!("{:?}; {}", other.map(|signed| signed.checkpoint.size), said(home, &["doctor"]).1)),
        }
    })
    .unwrap()
}

fn exceptions(home: &Home) -> Vec<ExceptionRecord> {
    let mut found = Vec::new();
    home.audit("kind:witness", |line| {
        let record = evidence::record::read(line.as_bytes())?;
        found.extend(if let Body::Exception(exception) = record.body { Some(exception) } else { None });
        Ok(())
    })
    .unwrap();
    found
}

pub(super) fn await_exception(home: &Home, words: &str) -> ExceptionRecord {
    wait::until("an exception", PATIENCE, || {
        let found = exceptions(home);
        found.iter().find(|found| found.reason.contains(words)).cloned().ok_or(format!("{found:#?}"))
    })
    .unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn witnesses_cosign_what_grew_and_outsiders_check_it() {
    let log = Log::new("witnesses");
    let (folder, key) = (log.scratch.path().to_owned(), log.key());
    let mut north = Witness::start(&folder, "north", &[&key]);
    let south = Witness::start(&folder, "south", &[&key]);
    let http = log.serve(&[&north, &south], "need = 2");
    let session = http.open();
    http.assert_serves(&session, "the start");
    let (size, note) = cosigned(&http.home, 5);
    let older = folder.join("older.checkpoint");
    std::fs::write(&older, &note).unwrap();
    assert!(note.starts_with(b"countersign.local/"));
    assert!(Note::parse(&note).unwrap().signatures().len() == 3, "{}", String::from_utf8_lossy(&note));

    // Killed and started again, it knows what it cosigned, and the log goes on to it.
    north.restart();
    assert!(north.size() >= size);
    for _ in 0..3 {
        http.assert_serves(&session, "a kill");
    }
    let (later, _) = cosigned(&http.home, size + 6);
    let (is_well, doctor) = said(&http.home, &["doctor"]);
    assert!(
        is_well && doctor.contains("2 of 2 witnesses are needed") && doctor.contains("north: cosigned record"),
        "{doctor}"
    );
    let verify = |more: &[&str]| said(&http.home, &[&["verify", "--ledger"], more].concat());
    let both = ["--witness", text(&north.key), "--witness", text(&south.key)];
    let (is_sound, told) = verify(&both);
    assert!(is_sound && told.contains("by north.example/w1 at ") && told.contains("south.example/w1 at "), "{told}");

    // A witness that the log did not ask.
    let stranger = Witness::start(&folder, "stranger", &[&key]);
    let three = [both.as_slice(), &["--witness", text(&stranger.key)]].concat();
    let (is_sound, told) = verify(&three);
    assert!(
        !is_sound && told.contains("2 of the 3 witnesses cosigned it, and 3 must have; missing: stranger.example/w1"),
        "{told}"
    );
    assert!(verify(&[three.as_slice(), &["--need", "2"]].concat()).0);

    // Bundles carry the cosignatures, and tools that are not ours check them too.
    let bundle = folder.join("bundle");
    let (is_done, told) = said(
        &http.home,
        &["export", "", "--cosigned", "--out", text(&bundle), "--why", "the audit", "--since", text(&older)],
    );
    assert!(is_done, "{told}");
    let keys = std::fs::read_to_string(bundle.join("witnesses.pub")).unwrap();
    assert_eq!(keys.lines().count(), 2);
    let check = |bundle: &Path, more: &[&str]| {
        said(&http.home, &[&["verify", text(bundle), "--key", text(&key)], more].concat())
    };
    let (is_sound, told) = check(&bundle, &both);
    assert!(is_sound && told.contains("cosigned by north.example/w1 at "), "{told}");
    assert!(!check(&bundle, &three).0);
    let witness = |path: &Path| PathBuf::from(format!("--witness={}", path.display()));
    let (one, two, three) = (witness(&north.key), witness(&south.key), witness(&stranger.key));
    let (is_sound, told) = python(&bundle, &key, &[&older, &one, &two]);
    assert!(is_sound && told.contains("cosigned by north.example/w1, south.example/w1"), "{told}");
    let (is_sound, told) = python(&bundle, &key, &[&one, &three]);
    assert!(!is_sound && told.contains("stranger.example/w1 has not cosigned it"), "{told}");
    let go = go(&folder);
    let by_go = |bundle: &Path, more: &[&Path]| {
        ran({
            let mut command = Command::new(&go);
            command.arg(bundle).arg(&key).args(more);
            command
        })
    };
    let (is_sound, told) = by_go(&bundle, &[&older, &one, &two]);
    assert!(is_sound && told.contains("cosigned by 2 witnesses"), "{told}");
    assert!(!by_go(&bundle, &[&three]).0);

    // A cosignature that is changed by one digit is found by all.
    let changed = folder.join("changed");
    assert!(Command::new("cp").arg("-r").arg(&bundle).arg(&changed).status().unwrap().success());
    let signed = std::fs::read_to_string(changed.join("checkpoint")).unwrap();
    let (head, line) = signed.rsplit_once("\u{2014} ").unwrap();
    let (name, line) = line.split_once(' ').unwrap();
    let other = if line.ends_with("A==\n") {
        line.replace("A==", "Q==")
    } else {
        format!("{}A==\n", line.trim_end().split_at(line.len() - 4).0)
    };
    std::fs::write(changed.join("checkpoint"), format!("{head}\u{2014} {name} {other}")).unwrap();
    super::bundles::list(&changed);
    assert!(!check(&changed, &both).0 && !python(&changed, &key, &[&one, &two]).0 && !by_go(&changed, &[&one, &two]).0);

    // Somebody else's requests. The checkpoint of now is signed, so anybody may send it; nothing else gets a cosignature.
    let reader = Reader::open(&http.home.path()).unwrap();
    let signed = reader.checkpoint().unwrap().unwrap();
    let known = south.size();
    assert!(known >= later.min(size));
    let now = signed.checkpoint.size;
    let good = Submission { old: known, proof: reader.consistency(known, now).unwrap(), note: signed.note.clone() };
    let (status, _, body) = south.add(&good);
    assert!(status == 200 || status == 409, "{status} {body}");
    let known = south.size();
    let again = Submission {
        old: known,
        proof: reader.consistency(known, now.max(known)).unwrap_or_default(),
        note: signed.note,
    };
    let replayed = Submission { old: 0, proof: Vec::new(), note: note.clone() };
    let (status, head, body) = south.add(&replayed);
    assert_eq!((status, body.trim().parse::<u64>().ok() >= Some(known)), (409, true), "{body}");
    assert!(head.contains("content-type: text/x.tlog.size"), "{head}");
    let forged = {
        let text = Note::parse(&note).unwrap().text().replacen(&format!("\n{size}\n"), &format!("\n{}\n", size + 1), 1);
        let lines = String::from_utf8(note.clone()).unwrap().rsplit_once("\n\n").unwrap().1.to_owned();
        Submission { old: known, proof: Vec::new(), note: format!("{text}\n{lines}").into_bytes() }
    };
    assert_eq!(south.add(&forged).0, 403);
    let unknown = String::from_utf8(note.clone()).unwrap().replacen("countersign.local/", "elsewhere.example/", 1);
    assert_eq!(south.add(&Submission { note: unknown.into_bytes(), ..forged.clone() }).0, 404);
    assert_eq!(south.add(&Submission { old: u64::MAX, ..again.clone() }).0, 400);
    for body in [b"".as_slice(), b"old 1\n", b"old 01\n\n", b"\xff\n\n"] {
        assert_eq!(south.send("POST", "/add-checkpoint", body).0, 400);
    }
    assert_eq!(south.send("POST", "/add-checkpoint", &vec![b'a'; 1 << 20]).0, 413);
    assert_eq!(south.send("GET", "/add-checkpoint", b"").0, 405);
    assert_eq!(south.send("GET", "/", b"").0, 404);
    // A proof with one other hash.
    http.assert_serves(&session, "strangers");
    let Http { mut served, scratch: _scratch, .. } = http;
    served.process.stop(PATIENCE).unwrap();
    let known = south.size();
    let signed = reader.checkpoint().unwrap().unwrap();
    let now = signed.checkpoint.size;
    assert!(now > known, "the last record comes after the last round");
    let mut proof = reader.consistency(known, now).unwrap();
    proof.first_mut().unwrap()[0] ^= 1;
    assert_eq!(south.add(&Submission { old: known, proof, note: signed.note.clone() }).0, 422);
    assert_eq!(south.size(), known);
    let (status, _, line) = south.add(&Submission {
        old: known,
        proof: reader.consistency(known, now).unwrap(),
        note: signed.note.clone(),
    });
    assert_eq!(status, 200);
    let whole = format!("{}{line}", String::from_utf8(signed.note).unwrap());
    let key: evidence::cosignature::WitnessKey = std::fs::read_to_string(&south.key).unwrap().trim().parse().unwrap();
    key.verify(&Note::parse(whole.as_bytes()).unwrap()).unwrap();
    assert_eq!(south.size(), now);

    // The home of a ledger is no witness's.
    let out = countersign(&folder.join("home"), &["witness", "init", "w.example/1"]).output().unwrap();
    assert!(String::from_utf8_lossy(&out.stderr).contains("is the home of a ledger"), "{out:?}");
    let out = countersign(&south.home, &["witness", "init", "w.example/1"]).output().unwrap();
    assert!(String::from_utf8_lossy(&out.stderr).contains("has a key already"), "{out:?}");
    let out = countersign(&south.home, &["witness", "serve", "--listen", "127.0.0.1:0", "--log", text(&south.logs[0])])
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&out.stderr).contains("another process is this witness"), "{out:?}");
}

#[test]
fn a_witness_that_is_killed_has_kept_all_that_it_cosigned() {
    let scratch = Scratch::new("witness-killed").unwrap();
    let home = scratch.join("log");
    std::fs::create_dir(&home).unwrap();
    let options = store::Options { integration: Integration::AfterEachGroup, ..store::Options::default() };
    let ledger = Ledger::open(&home, options).unwrap();
    let reader = || Reader::open(&home).unwrap();
    let key = home.join("keys/log.vkey");
    let mut north = Witness::start(scratch.path(), "north", &[&key]);
    let (address, largest) = (north.address, AtomicU64::new(0));
    // Grows by a record at a time, each submitted until nobody answers.
    let grow = || {
        let mut known = 0;
        loop {
            ledger.append_blocking(vec![notice()]).unwrap();
            let signed = reader().checkpoint().unwrap().unwrap();
            let size = signed.checkpoint.size;
            let proof = reader().consistency(known, size).unwrap();
            let body = Submission { old: known, proof, note: signed.note }.body();
            match sent(address, "POST", "/add-checkpoint", &body) {
                Some((200, ..)) => {
                    largest.fetch_max(size, Ordering::SeqCst);
                    known = size;
                }
                Some((409, _, body)) => known = body.trim().parse().unwrap(),
                Some(other) => panic!("{other:?}"),
                None => return,
            }
        }
    };
    for round in 1..=8 {
        let enough = largest.load(Ordering::SeqCst) + 5 + round;
        std::thread::scope(|scope| {
            scope.spawn(grow);
            wait::until("cosignatures", PATIENCE, || {
                let cosigned = largest.load(Ordering::SeqCst);
                if cosigned >= enough { Ok(()) } else { Err(format!("{cosigned} of {enough}")) }
            })
            .unwrap();
            north.process.kill().unwrap();
        });
        north.revive();
        let (kept, cosigned) = (north.size(), largest.load(Ordering::SeqCst));
        assert!(kept >= cosigned, "round {round}: it cosigned {cosigned} and kept {kept}");
        // What it kept is a head of this log, and nothing smaller is cosigned any more.
        let first = Submission { old: 0, proof: Vec::new(), note: reader().checkpoint().unwrap().unwrap().note };
        assert_eq!((north.add(&first).0, north.size()), (409, kept), "round {round}");
    }
    ledger.close_blocking().unwrap();
}

/// Any record.
fn notice() -> Draft {
    let body = ExceptionRecord {
        broken_glass: None,
        due: None,
        event: ExceptionEvent::Opened,
        exception: ExceptionId::at(Timestamp::EPOCH, [7; 10]),
        kind: ExceptionKind::Clock,
        mitigation: None,
        note: None,
        owner: "operator".to_owned(),
        reason: "a record".to_owned(),
        scope: "test".to_owned(),
        signed: None,
        who: None,
    };
    Draft::new(Context::system().into(), None, Timestamp::EPOCH, body)
}

#[test]
fn a_witness_that_is_away_is_told_and_calls_go_on() {
    let log = Log::new("witness-away");
    let (folder, key) = (log.scratch.path().to_owned(), log.key());
    let (north, mut south) = (Witness::start(&folder, "north", &[&key]), Witness::start(&folder, "south", &[&key]));
    south.process.kill().unwrap();
    let http = log.serve(&[&north, &south], "need = 1\naway_s = 1");
    let session = http.open();
    http.assert_serves(&session, "a start without a witness");
    cosigned(&http.home, 5);
    let opened = await_exception(&http.home, "cannot be reached");
    assert_eq!(
        (opened.kind, opened.event, opened.scope.as_str()),
        (ExceptionKind::Witness, ExceptionEvent::Opened, "witness:south")
    );
    let (is_well, doctor) = said(&http.home, &["doctor"]);
    assert!(!is_well && doctor.contains("south: never cosigned"), "{doctor}");
    http.assert_serves(&session, "an exception");

    south.restart();
    wait::until("the exception's end", PATIENCE, || {
        let found = exceptions(&http.home);
        let is_over =
            found.iter().any(|found| found.event == ExceptionEvent::Mitigated && found.exception == opened.exception);
        if is_over { Ok(()) } else { Err(format!("{found:#?}")) }
    })
    .unwrap();
    assert_eq!(exceptions(&http.home).len(), 2, "one exception, however often it was away");
    http.end();
}

#[test]
fn a_log_with_two_histories_is_found_and_named() {
    let log = Log::new("split-view");
    let (folder, key) = (log.scratch.path().to_owned(), log.key());
    let (north, south) = (Witness::start(&folder, "north", &[&key]), Witness::start(&folder, "south", &[&key]));
    // Two copies of one log, and one witness sees each: to itself each is whole.
    let other = log.home.beside("other").unwrap();
    other.write_mission(&["echo"]).unwrap();
    assert!(Command::new("cp").arg("-a").arg(log.home.path()).arg(other.path()).status().unwrap().success());
    let upstream = Upstream::start(&binary("countersign-upstream"), &[]).unwrap();
    configure(&other, &upstream, &[&south], "");
    let one = log.serve(&[&north], "");
    let two = Http::serving(other, Some(upstream), Scratch::new("split-view-other").unwrap());
    for http in [&one, &two] {
        let session = http.open();
        http.assert_serves(&session, "the copy");
        cosigned(&http.home, 8);
    }
    let bundle = |http: &Http, name: &str| {
        let out = folder.join(name);
        let (is_done, told) =
            said(&http.home, &["export", "", "--cosigned", "--out", text(&out), "--why", "the audit"]);
        assert!(is_done, "{told}");
        out
    };
    let (first, second) = (bundle(&one, "first"), bundle(&two, "second"));
    let (north_key, south_key) = (text(&north.key).to_owned(), text(&south.key).to_owned());
    for (http, bundle, witness) in [(&one, &first, &north_key), (&two, &second, &south_key)] {
        let verify = |more: &[&str]| said(&http.home, &[&["verify", text(bundle), "--key", text(&key)], more].concat());
        assert!(verify(&["--witness", witness]).0);
        // Whoever asks for both sees neither.
        let (is_sound, told) = verify(&["--witness", &north_key, "--witness", &south_key]);
        assert!(!is_sound && told.contains("1 of the 2 witnesses cosigned it"), "{told}");
    }
    // Two who compare their bundles see it too.
    let checkpoint = first.join("checkpoint");
    let larger = |bundle: &Path| {
        let note = Note::parse(&std::fs::read(bundle.join("checkpoint")).unwrap()).unwrap();
        Checkpoint::parse(note.text()).unwrap().size
    };
    let (older, newer) =
        if larger(&first) <= larger(&second) { (checkpoint, &second) } else { (second.join("checkpoint"), &first) };
    let (is_sound, told) = said(&one.home, &["verify", text(newer), "--key", text(&key), "--since", text(&older)]);
    assert!(!is_sound && told.contains("did not grow from this checkpoint"), "{told}");

    // Whom a log asks is on record.
    let asked = |http: &Http| {
        let mut asked = Vec::new();
        http.home
            .audit("object:key:witness/*", |line| {
                let record = evidence::record::read(line.as_bytes())?;
                asked.extend(if let Body::Version(version) = record.body { version.difference } else { Vec::new() });
                Ok(())
            })
            .unwrap();
        asked
    };
    assert!(
        matches!(asked(&one).as_slice(), [one] if one.contains("`north` is asked for cosignatures, by the key `north.example/w1+"))
    );

    // The other copy is shown to the first witness: it is refused, and both sides say what that means.
    let grown = north.size();
    let two = {
        let Http { home, mut served, _upstream, scratch, .. } = two;
        served.process.stop(PATIENCE).unwrap();
        configure(&home, _upstream.as_ref().unwrap(), &[&north], "");
        Http::serving(home, _upstream, scratch)
    };
    let named = await_exception(&two.home, "split view");
    assert_eq!((named.event, named.scope.as_str()), (ExceptionEvent::Opened, "witness:north"));
    let (is_well, doctor) = said(&two.home, &["doctor"]);
    assert!(!is_well && doctor.contains("split view"), "{doctor}");
    let asked = asked(&two);
    let [_, north_asked, south_left] = asked.as_slice() else { panic!("{asked:?}") };
    assert!(north_asked.contains("`north` is asked") && south_left.contains("`south` is not asked"), "{asked:?}");
    assert!(north.size() >= grown);
    // It goes on to cosign the first one, and never this one.
    let session = one.open();
    one.assert_serves(&session, "the other copy");
    let (size, note) = cosigned(&one.home, grown + 1);
    assert!(size > grown);
    let log_key: VerifierKey = std::fs::read_to_string(&key).unwrap().trim().parse().unwrap();
    Checkpoint::open(&note, &log_key).unwrap();
    // Once its history is the longer one the proof is refused, which is kept for whoever looks into it.
    let session = two.open();
    wait::until("a refused proof", Duration::from_secs(120), || {
        two.assert_serves(&session, "the split");
        let out = countersign(&north.home, &["witness", "list", "--format", "json"]).output().unwrap();
        let line: Value = serde_json::from_slice(&out.stdout).unwrap();
        line["refused"].as_str().map(|path| std::fs::read(path).unwrap()).ok_or(line.to_string())
    })
    .map(|refused| Checkpoint::open(&refused, &log_key).unwrap())
    .unwrap();
    assert_eq!(exceptions(&two.home).iter().filter(|found| found.event == ExceptionEvent::Opened).count(), 1);
    two.end();
    one.end();
}

#[test]
fn a_history_that_was_signed_anew_is_not_cosigned() {
    let log = Log::new("signed-anew");
    let (folder, key) = (log.scratch.path().to_owned(), log.key());
    let north = Witness::start(&folder, "north", &[&key]);
    let http = log.serve(&[&north], "");
    let session = http.open();
    for _ in 0..8 {
        http.assert_serves(&session, "the start");
    }
    cosigned(&http.home, 30);
    let Http { home, mut served, _upstream, scratch, .. } = http;
    served.process.stop(PATIENCE).unwrap();
    // With the log's own keys, and everything that was recorded left out.
    let (ledger, kept) = (home.path().join("ledger"), folder.join("kept"));
    std::fs::rename(&ledger, &kept).unwrap();
    std::fs::create_dir(&ledger).unwrap();
    std::fs::copy(kept.join("origin"), ledger.join("origin")).unwrap();
    let http = Http::serving(home, _upstream, scratch);
    let named = await_exception(&http.home, "split view");
    assert!(named.reason.contains("records of this log, which has"), "{}", named.reason);
    // To itself it is sound: only who knows what was cosigned sees it.
    assert!(said(&http.home, &["verify", "--ledger"]).0);
    let (is_sound, told) = said(&http.home, &["verify", "--ledger", "--witness", text(&north.key)]);
    assert!(!is_sound && told.contains("have cosigned nothing yet"), "{told}");
    http.end();
}
