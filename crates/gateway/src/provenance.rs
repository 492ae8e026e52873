//! What each run has seen, for missions that ask who named what a call acts on: in memory while the run is used, and in a file of keyed hashes that outlasts the process.
//!
//! A file is begun with its run and written before the agent has what was seen. What cannot be kept, or may be missing (a run that was begun before its mission asked,
//! a machine that stopped), is a gap: nothing more becomes trusted in that run.

use std::collections::{HashMap, HashSet};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use evidence::ids::RunId;
use evidence::record::{TargetOrigin, Tool};
use governance::classify::provenance::{Endorsed, Key, Seen};
use governance::decide::PolicySnapshot;

use crate::Gateway;
use crate::blocking::blocking;
use crate::home::Home;
use crate::limits::{SEEN_FILE_BYTES_MAX, SEEN_IN_PLACE_BYTES_MAX, SEEN_RUNS_MAX};
use crate::seal::{SealError, key_or_new};

/// The first line of a run's file; the second says which boot of the machine it was begun in.
const HEADER: &str = "countersign seen 1";

/// What the runs have seen.
#[derive(Debug)]
pub(crate) struct Provenance {
    /// Which boot of the machine this is, where that can be told.
    boot: Option<String>,
    folder: PathBuf,
    key: Key,
    runs: Mutex<Runs>,
}

#[derive(Debug, Default)]
struct Runs {
    /// Those with a file.
    known: HashSet<RunId>,
    /// Those in memory, with when they were used last.
    loaded: HashMap<RunId, (u64, Arc<Mutex<Trail>>)>,
    uses: u64,
}

/// What one run has seen.
#[derive(Debug)]
struct Trail {
    /// `None` where nothing can be kept any more.
    file: Option<File>,
    seen: Seen,
}

impl Provenance {
    /// With the home's key, which is made where there is none. Files of runs that are not `open` any more go.
    pub(crate) fn open(home: &Home, is_open: impl Fn(RunId) -> bool) -> Result<Self, SealError> {
        let path = home.path().join("keys/provenance.key");
        let key = key_or_new(&path)?;
        let key = key.first_chunk::<16>().copied().ok_or(SealError::Unsealed(path))?;
        let folder = home.path().join("provenance");
        let io = |source| SealError::Io { path: folder.clone(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(io)?;
        let mut runs = Runs::default();
        for entry in fs::read_dir(&folder).map_err(io)? {
            let entry = entry.map_err(io)?;
            match entry.file_name().to_str().and_then(|name| name.parse().ok()).filter(|run| is_open(*run)) {
                Some(run) => {
                    runs.known.insert(run);
                }
                None => remove(&entry.path()),
            }
        }
        Ok(Self { boot: boot(), folder, key: Key::new(key), runs: Mutex::new(runs) })
    }

    /// A run begins, with the initiator's words where they are given. What it sees is kept if its mission asks.
    pub(crate) fn begin(&self, run: RunId, policy: &PolicySnapshot, words: Option<&str>) {
        if !policy.follows() {
            return;
        }
        let file = self.create(run).inspect_err(|error| self.told(run, error)).ok();
        let mut seen = Seen::new(&self.key);
        if let Some(words) = words {
            seen.initiator(words);
        }
        let mut trail = Trail { file, seen };
        self.keep(run, &mut trail);
        let mut runs = self.lock();
        runs.known.insert(run);
        runs.hold(run, Arc::new(Mutex::new(trail)));
    }

    /// Who named what a call of `tool` with `arguments` acts on, as far as `policy` asks; `endorsed` is what people have said is good.
    pub(crate) fn trace(
        &self,
        run: Option<RunId>,
        policy: &PolicySnapshot,
        tool: &Tool,
        arguments: &[u8],
        endorsed: &[Endorsed],
    ) -> Vec<TargetOrigin> {
        let Some(targets) = policy.targets(tool) else { return Vec::new() };
        match run {
            Some(run) => self.with(run, |trail| trail.seen.trace_beside(arguments, targets, endorsed)),
            None => Seen::new(&self.key).trace_beside(arguments, targets, endorsed),
        }
    }

    /// What a call sends, before it is executed.
    pub(crate) fn sent(&self, run: Option<RunId>, policy: &PolicySnapshot, arguments: &[u8]) {
        let Some(run) = run.filter(|run| self.is_followed(*run, policy)) else { return };
        self.with(run, |trail| {
            trail.seen.sent(arguments);
            self.keep(run, trail);
        });
    }

    /// Whether taking in what a tool returned to `run` takes so long that other calls should not wait for it.
    pub(crate) fn is_slow(&self, run: Option<RunId>, policy: &PolicySnapshot, result: &[u8]) -> bool {
        result.len() > SEEN_IN_PLACE_BYTES_MAX && run.is_some_and(|run| self.is_followed(run, policy))
    }

    /// What `tool` returned to a call with `arguments`, before the agent has it; empty where it was no call.
    pub(crate) fn returned(
        &self,
        run: Option<RunId>,
        policy: &PolicySnapshot,
        tool: &Tool,
        arguments: &[u8],
        result: &[u8],
    ) {
        if let Some(run) = run.filter(|run| self.is_followed(*run, policy)) {
            self.with(run, |trail| {
                trail.seen.returned(tool, &policy.trust(tool), arguments, result);
                self.keep(run, trail);
            });
        }
    }

    /// A run is over.
    pub(crate) fn forget(&self, run: RunId) {
        let mut runs = self.lock();
        runs.loaded.remove(&run);
        if runs.known.remove(&run) {
            remove(&self.path(run));
        }
    }

    /// Forgets the runs that are not open any more.
    pub(crate) fn sweep(&self, is_open: impl Fn(RunId) -> bool) {
        let gone: Vec<RunId> = self.lock().known.iter().copied().filter(|run| !is_open(*run)).collect();
        gone.into_iter().for_each(|run| self.forget(run));
    }

    /// Whether what `run` sees is kept: a run that was followed once is followed to its end, whatever its mission says meanwhile.
    fn is_followed(&self, run: RunId, policy: &PolicySnapshot) -> bool {
        policy.follows() || self.lock().known.contains(&run)
    }

    fn with<T>(&self, run: RunId, work: impl FnOnce(&mut Trail) -> T) -> T {
        let trail = self.trail(run);
        let mut trail = trail.lock().unwrap_or_else(PoisonError::into_inner);
        work(&mut trail)
    }

    fn trail(&self, run: RunId) -> Arc<Mutex<Trail>> {
        let mut runs = self.lock();
        runs.uses += 1;
        let now = runs.uses;
        if let Some((used, trail)) = runs.loaded.get_mut(&run) {
            *used = now;
            return trail.clone();
        }
        let trail = match runs.known.contains(&run) {
            true => self.load(run),
            // It saw what nobody kept.
            false => {
                let file = self.create(run).inspect_err(|error| self.told(run, error)).ok();
                let mut trail = Trail { file, seen: Seen::new(&self.key) };
                trail.seen.mark_gap();
                self.keep(run, &mut trail);
                trail
            }
        };
        runs.known.insert(run);
        let trail = Arc::new(Mutex::new(trail));
        runs.hold(run, trail.clone());
        trail
    }

    /// What the file of `run` has.
    fn load(&self, run: RunId) -> Trail {
        let read = || -> io::Result<Trail> {
            let mut file = OpenOptions::new().read(true).append(true).open(self.path(run))?;
            let mut bytes = Vec::new();
            (&mut file).take(SEEN_FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
            let body = bytes.strip_prefix(self.header().as_bytes());
            let is_whole = body.is_some() && self.boot.is_some() && bytes.len() as u64 <= SEEN_FILE_BYTES_MAX;
            // Of another boot of the machine, the end may not have reached the disk.
            let lines = || bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
            let body = body.or_else(|| bytes.get(lines().nth(1)?..)).unwrap_or_default();
            let mut seen = Seen::load(&self.key, body);
            if !is_whole {
                seen.mark_gap();
            }
            Ok(Trail { file: Some(file), seen })
        };
        let mut trail = read().unwrap_or_else(|error| {
            self.told(run, &error);
            let mut seen = Seen::new(&self.key);
            seen.mark_gap();
            Trail { file: None, seen }
        });
        self.keep(run, &mut trail);
        trail
    }

    /// Writes what is new. Where that fails, the file goes: a run without one starts with a gap after a restart.
    fn keep(&self, run: RunId, trail: &mut Trail) {
        let news = trail.seen.news();
        let Some(file) = trail.file.as_mut().filter(|_| !news.is_empty()) else { return };
        if let Err(error) = file.write_all(&news) {
            self.told(run, &error);
            trail.file = None;
            trail.seen.mark_gap();
            remove(&self.path(run));
        }
    }

    fn create(&self, run: RunId) -> io::Result<File> {
        let path = self.path(run);
        let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(path)?;
        file.write_all(self.header().as_bytes())?;
        Ok(file)
    }

    fn header(&self) -> String {
        format!("{HEADER}\n{}\n", self.boot.as_deref().unwrap_or("unknown"))
    }

    fn path(&self, run: RunId) -> PathBuf {
        self.folder.join(run.to_string())
    }

    fn told(&self, run: RunId, error: &io::Error) {
        let path = self.path(run);
        tracing::error!(%error, path = %path.display(), "what a run has seen cannot be kept; nothing more becomes trusted in it");
    }

    fn lock(&self) -> MutexGuard<'_, Runs> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Runs {
    /// Keeps a run in memory, instead of the one that was used least lately where there are too many: that one is read again when it is used.
    fn hold(&mut self, run: RunId, trail: Arc<Mutex<Trail>>) {
        if self.loaded.len() >= SEEN_RUNS_MAX
            // One in use has what its file has not.
            && let Some(oldest) = self
                .loaded
                .iter()
                .filter(|(_, (_, trail))| Arc::strong_count(trail) == 1)
                .min_by_key(|(_, (used, _))| *used)
                .map(|(run, _)| *run)
        {
            self.loaded.remove(&oldest);
        }
        self.uses += 1;
        self.loaded.insert(run, (self.uses, trail));
    }
}

impl Gateway {
    /// Keeps what `tool` returned to `run` for `arguments`, before the agent has it; they are empty where it was no call.
    pub(crate) async fn see(
        self: &Arc<Self>,
        run: Option<RunId>,
        policy: &Arc<PolicySnapshot>,
        tool: &Tool,
        arguments: &Bytes,
        result: Option<&Bytes>,
    ) {
        let Some(result) = result else { return };
        if !self.provenance.is_slow(run, policy, result) {
            return self.provenance.returned(run, policy, tool, arguments, result);
        }
        let (gateway, policy, tool) = (self.clone(), policy.clone(), tool.clone());
        let (arguments, result) = (arguments.clone(), result.clone());
        // Boxed: every call would carry the room for it.
        Box::pin(blocking(move || gateway.provenance.returned(run, &policy, &tool, &arguments, &result))).await;
    }
}

/// Which boot of the machine this is: what a process wrote outlasts the process, and not always the machine.
fn boot() -> Option<String> {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let text = text.trim();
    (!text.is_empty() && text.len() <= 64 && !text.contains('\n')).then(|| text.to_owned())
}

fn remove(path: &Path) {
    if let Err(error) = fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::error!(%error, path = %path.display(), "what a run has seen cannot be removed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use evidence::record::{Endpoint, Origin, Surface};
    use evidence::time::Timestamp;
    use governance::decide::compile;
    use governance::mission::parse;

    const MISSION: &str = r#"
        mission = "pay"
        goal    = "Pay."
        owner   = "o@corp.example"
        agents  = ["bot"]
        until   = 2030-12-31
        why     = "First version."
        [allow.mcp.erp]
        list_vendors = {}
        [allow.mcp.mail]
        read_mail = {}
        [allow.mcp.bank.pay]
        iban   = { length = { min = 1, max = 40 }, target = true }
        [effect.mcp.erp]
        list_vendors = "read"
        [effect.mcp.mail]
        read_mail = "read"
        [gate.default]
        group = "people"
        [data]
        "mcp:erp/list_vendors:iban" = "trusted"
        untrusted-target = "ask"
    "#;

    fn policy(source: &str) -> PolicySnapshot {
        compile(Arc::new(parse(source).unwrap())).unwrap()
    }

    /// The same, where nobody asks who named what.
    fn silent() -> PolicySnapshot {
        policy(
            &MISSION
                .replace("untrusted-target = \"ask\"", "")
                .replace("[gate.default]\n        group = \"people\"", ""),
        )
    }

    fn tool(server: &str, name: &str) -> Tool {
        Tool { endpoint: Endpoint::Tool, name: name.into(), surface: Surface::Mcp, upstream: server.into() }
    }

    fn returned(fields: &str) -> Vec<u8> {
        format!(r#"{{"content":[],"structuredContent":{fields}}}"#).into_bytes()
    }

    struct Desk {
        home: Home,
        run: RunId,
        policy: PolicySnapshot,
        _folder: tempfile::TempDir,
    }

    impl Desk {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let home = Home::find(Some(folder.path().to_owned())).unwrap();
            Self { home, run: RunId::at(Timestamp::EPOCH, [7; 10]), policy: policy(MISSION), _folder: folder }
        }

        fn open(&self) -> Provenance {
            Provenance::open(&self.home, |run| run == self.run).unwrap()
        }

        fn origin(&self, provenance: &Provenance, iban: &str) -> Origin {
            let arguments = format!(r#"{{"iban":"{iban}"}}"#);
            let traced =
                provenance.trace(Some(self.run), &self.policy, &tool("bank", "pay"), arguments.as_bytes(), &[]);
            traced.first().unwrap().origin
        }

        fn lists(&self, provenance: &Provenance, fields: &str) {
            let erp = tool("erp", "list_vendors");
            provenance.returned(Some(self.run), &self.policy, &erp, b"{}", &returned(fields));
        }
    }

    /// What happens to a run's file.
    type Harm = fn(&Path);

    const VENDOR: &str = "DE89370400440532013000";
    const OTHER: &str = "GB82WEST12345698765432";

    #[test]
    fn what_a_run_has_seen_outlasts_the_process() {
        let desk = Desk::new();
        let first = desk.open();
        first.begin(desk.run, &desk.policy, Some("pay FR7630006000011234567890189 please"));
        desk.lists(&first, &format!(r#"{{"iban":"{VENDOR}"}}"#));
        let mail = returned(&format!(r#"{{"body":"pay to {OTHER}"}}"#));
        first.returned(Some(desk.run), &desk.policy, &tool("mail", "read_mail"), b"{}", &mail);
        let origins = |provenance: &Provenance| {
            [VENDOR, OTHER, "FR7630006000011234567890189", "NL91ABNA0417164300"]
                .map(|iban| desk.origin(provenance, iban))
        };
        let expected = [Origin::Trusted, Origin::Untrusted, Origin::Initiator, Origin::Unknown];
        assert_eq!(origins(&first), expected);
        drop(first);
        let second = desk.open();
        assert_eq!(origins(&second), expected);
        // And goes on: what was untrusted stays that, and what is new becomes trusted.
        desk.lists(&second, &format!(r#"{{"iban":["{OTHER}","AT611904300234573201"]}}"#));
        assert_eq!(desk.origin(&second, OTHER), Origin::Untrusted);
        assert_eq!(desk.origin(&second, "AT611904300234573201"), Origin::Trusted);
        let text = fs::read(second.path(desk.run)).unwrap();
        assert!(!String::from_utf8_lossy(&text).contains(VENDOR), "values are not kept");
        second.forget(desk.run);
        assert!(!second.path(desk.run).exists());
    }

    #[test]
    fn nothing_becomes_trusted_where_something_may_be_missing() {
        let cases: [(&str, Harm); 4] = [
            ("another boot", |path| {
                let text = fs::read(path).unwrap();
                let boot = boot().unwrap_or_default();
                let at = text.windows(boot.len().max(1)).position(|window| window == boot.as_bytes()).unwrap_or(20);
                let mut text = text;
                text[at] ^= 1;
                fs::write(path, text).unwrap();
            }),
            ("a torn end", |path| {
                let text = fs::read(path).unwrap();
                fs::write(path, &text[..text.len() - 3]).unwrap();
            }),
            ("another's bytes", |path| fs::write(path, "countersign seen 1\nx\nrubbish").unwrap()),
            ("no file", |path| fs::remove_file(path).unwrap()),
        ];
        for (name, harm) in cases {
            let desk = Desk::new();
            let first = desk.open();
            first.begin(desk.run, &desk.policy, None);
            desk.lists(&first, &format!(r#"{{"iban":"{VENDOR}"}}"#));
            let path = first.path(desk.run);
            drop(first);
            harm(&path);
            let second = desk.open();
            desk.lists(&second, &format!(r#"{{"iban":"{OTHER}"}}"#));
            assert_ne!(desk.origin(&second, OTHER), Origin::Trusted, "{name}");
        }
    }

    #[test]
    fn a_run_that_was_begun_before_its_mission_asked_has_a_gap() {
        let desk = Desk::new();
        let silent = silent();
        let provenance = desk.open();
        provenance.begin(desk.run, &silent, None);
        desk.lists(&provenance, &format!(r#"{{"iban":"{VENDOR}"}}"#));
        assert_ne!(desk.origin(&provenance, VENDOR), Origin::Trusted);
    }

    #[test]
    fn a_run_is_followed_to_its_end() {
        let desk = Desk::new();
        let silent = silent();
        let provenance = desk.open();
        provenance.begin(desk.run, &desk.policy, None);
        let mail = returned(&format!(r#"{{"body":"pay to {OTHER}"}}"#));
        provenance.returned(Some(desk.run), &silent, &tool("mail", "read_mail"), b"{}", &mail);
        desk.lists(&provenance, &format!(r#"{{"iban":"{OTHER}"}}"#));
        assert_eq!(desk.origin(&provenance, OTHER), Origin::Untrusted);
    }

    #[test]
    fn what_is_sent_is_not_trusted_when_it_comes_back() {
        let desk = Desk::new();
        let provenance = desk.open();
        provenance.begin(desk.run, &desk.policy, None);
        provenance.sent(Some(desk.run), &desk.policy, format!(r#"{{"vendor":"{OTHER}"}}"#).as_bytes());
        desk.lists(&provenance, &format!(r#"{{"iban":"{OTHER}"}}"#));
        assert_eq!(desk.origin(&provenance, OTHER), Origin::Sent);
    }

    #[test]
    fn more_runs_than_are_held_in_memory_are_read_again() {
        let desk = Desk::new();
        let provenance = desk.open();
        provenance.begin(desk.run, &desk.policy, None);
        desk.lists(&provenance, &format!(r#"{{"iban":"{VENDOR}"}}"#));
        for other in 0..SEEN_RUNS_MAX {
            let mut bits = [0; 10];
            bits[6..].copy_from_slice(&(other as u32).to_be_bytes());
            provenance.begin(RunId::at(Timestamp::EPOCH, bits), &desk.policy, None);
        }
        assert!(!provenance.lock().loaded.contains_key(&desk.run));
        assert!(provenance.lock().loaded.len() <= SEEN_RUNS_MAX);
        assert_eq!(desk.origin(&provenance, VENDOR), Origin::Trusted);
        provenance.sweep(|run| run == desk.run);
        assert_eq!(fs::read_dir(&provenance.folder).unwrap().count(), 1);
    }
}
