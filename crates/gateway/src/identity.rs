//! Who an upstream is: the program with its arguments, where it is found and what it holds, or the address. One text in one spelling (RFC 8785), which is pinned as
//! definitions of tools are.
//!
//! What is told is what was configured and what the file system says just before the start. A package that a runner fetches by itself is told by its name alone: name the
//! version in the command.

use std::collections::{BTreeMap, HashMap};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use governance::mission::PinPolicy;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use surfaces::mcp::upstream::stdio::StdioConfig;

use crate::Gateway;
use crate::limits::{DIGESTS_MAX, READ_BYTES};

/// Programs that run a file, which then is the program: the first argument that is no option.
const INTERPRETERS: [&str; 10] = ["bash", "bun", "deno", "node", "perl", "php", "python", "python3", "ruby", "sh"];

/// Digests of files by how they look, so that a program of 100 MB is not read for each session.
#[derive(Debug, Default)]
pub(crate) struct Digests(Mutex<HashMap<Look, String>>);

/// How a file looks: device, inode, size, seconds and nanoseconds of its last change, and of its inode's.
type Look = (u64, u64, u64, i64, i64, i64, i64);

impl Digests {
    fn of(&self, path: &Path) -> io::Result<String> {
        let mut file = File::open(path)?;
        let found = file.metadata()?;
        let look = (
            found.dev(),
            found.ino(),
            found.size(),
            found.mtime(),
            found.mtime_nsec(),
            found.ctime(),
            found.ctime_nsec(),
        );
        let known = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sha256) = known().get(&look) {
            return Ok(sha256.clone());
        }
        let (mut digest, mut chunk) = (Sha256::new(), vec![0; READ_BYTES]);
        loop {
            let read = file.read(&mut chunk)?;
            let Some(bytes) = chunk.get(..read).filter(|bytes| !bytes.is_empty()) else { break };
            digest.update(bytes);
        }
        let sha256 = hex::encode(digest.finalize());
        let mut digests = known();
        if digests.len() >= DIGESTS_MAX {
            digests.clear();
        }
        digests.insert(look, sha256.clone());
        Ok(sha256)
    }
}

/// The identity of a child process. Reads its program: not for the reactor.
pub(crate) fn of_command(config: &StdioConfig, digests: &Digests) -> String {
    let text = |value: &OsStr| match value.to_str() {
        Some(text) => Value::from(text),
        // Bytes that are no text are told as such, not as what they might look like.
        None => json!({ "bytes": hex::encode(value.as_bytes()) }),
    };
    let mut identity = BTreeMap::from([
        ("arguments", config.args.iter().map(|argument| text(argument)).collect::<Value>()),
        ("program", text(&config.program)),
    ]);
    let found = executable(config);
    if let Some(path) = &found {
        identity.insert("executable", text(path.as_os_str()));
        identity.insert("executable_sha256", told(digests.of(path)));
    }
    if let Some(path) = script(config, found.as_deref()) {
        identity.insert("script", text(path.as_os_str()));
        identity.insert("script_sha256", told(digests.of(&path)));
    }
    spelt(&identity)
}

/// What tells one command of a client from another: the start of a digest of program and arguments.
pub(crate) fn command_mark(config: &StdioConfig) -> String {
    let mut digest = Sha256::new();
    for word in std::iter::once(&config.program).chain(&config.args) {
        digest.update(word.as_bytes());
        digest.update([0]);
    }
    hex::encode(digest.finalize()).chars().take(MARK_DIGITS).collect()
}

/// Enough to tell the commands of one mission apart.
const MARK_DIGITS: usize = 12;

/// The identity of an endpoint: its address without what comes after the path.
pub(crate) fn of_url(url: &str) -> String {
    let address = url.split(['?', '#']).next().unwrap_or_default();
    spelt(&BTreeMap::from([("url", Value::from(address))]))
}

impl Gateway {
    /// Takes note of who the child `name` is, just before it is started; gives the pin's name and the identity's digest.
    pub(crate) async fn identify(
        self: &Arc<Self>,
        name: &str,
        config: StdioConfig,
        pins: PinPolicy,
    ) -> (Arc<str>, String) {
        let gateway = self.clone();
        let text = tokio::task::spawn_blocking(move || of_command(&config, &gateway.digests)).await;
        let text = text.unwrap_or_else(|panicked| std::panic::resume_unwind(panicked.into_panic()));
        let sha256 = self.identified(name, text, pins);
        (name.into(), sha256)
    }
}

fn told(digest: io::Result<String>) -> Value {
    digest.map_or_else(|error| json!({ "unreadable": error.kind().to_string() }), Value::from)
}

fn spelt(identity: &BTreeMap<&str, Value>) -> String {
    // A map of texts always has a spelling.
    serde_json_canonicalizer::to_string(identity).unwrap_or_default()
}

/// The file that the program is, as the child's own PATH finds it, behind all links.
fn executable(config: &StdioConfig) -> Option<PathBuf> {
    let here = config.cwd.clone().unwrap_or_default();
    let program = Path::new(&config.program);
    let is_path = config.program.as_bytes().contains(&b'/');
    let candidates: Vec<PathBuf> = if is_path {
        vec![here.join(program)]
    } else {
        let path = config.env.iter().find(|(name, _)| name == "PATH").map(|(_, value)| value.clone());
        let path = path.or_else(|| std::env::var_os("PATH")).unwrap_or_else(OsString::new);
        std::env::split_paths(&path).map(|folder| here.join(folder).join(program)).collect()
    };
    let is_program = |path: &PathBuf| {
        fs::metadata(path).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    candidates.into_iter().find(is_program).and_then(|path| fs::canonicalize(path).ok())
}

/// The file that an interpreter runs.
fn script(config: &StdioConfig, executable: Option<&Path>) -> Option<PathBuf> {
    let names = [Path::new(&config.program).file_name(), executable.and_then(Path::file_name)];
    let is_interpreter = names.into_iter().flatten().any(|name| {
        let name = name.to_string_lossy();
        // `python3.12` is `python3`.
        let bare = name.split_once('.').map_or(&*name, |(bare, _)| bare);
        INTERPRETERS.contains(&bare)
    });
    let first =
        config.args.iter().find(|argument| !argument.as_bytes().starts_with(b"-")).filter(|_| is_interpreter)?;
    let path = config.cwd.clone().unwrap_or_default().join(first);
    fs::metadata(&path).is_ok_and(|found| found.is_file()).then(|| fs::canonicalize(path).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(program: &str, args: &[&str], folder: &Path) -> StdioConfig {
        StdioConfig {
            program: program.into(),
            args: args.iter().map(Into::into).collect(),
            cwd: Some(folder.to_owned()),
            env: vec![("PATH".into(), folder.into()), ("SECRET".into(), "do-not-tell".into())],
        }
    }

    #[test]
    fn an_identity_changes_with_what_would_run_and_with_nothing_else() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path();
        let write = |name: &str, text: &str| {
            fs::write(folder.join(name), text).unwrap();
            fs::set_permissions(folder.join(name), fs::Permissions::from_mode(0o755)).unwrap();
        };
        write("server", "one");
        write("node", "interpreter");
        write("main.js", "script");
        write("data.db", "data");
        let digests = Digests::default();
        let of = |program: &str, args: &[&str]| of_command(&config(program, args, folder), &digests);
        let (plain, scripted) = (of("server", &["data.db"]), of("node", &["--quiet", "main.js"]));
        assert_eq!(of("server", &["data.db"]), plain);
        assert!(!plain.contains("do-not-tell"), "{plain}");
        assert!(plain.contains(&hex::encode(Sha256::digest(b"one"))), "{plain}");
        assert!(scripted.contains(&hex::encode(Sha256::digest(b"script"))), "{scripted}");
        assert_ne!(of("server", &["other.db"]), plain);

        write("data.db", "other data");
        assert_eq!(of("server", &["data.db"]), plain, "what it reads is not what it is");
        write("server", "two");
        assert_ne!(of("server", &["data.db"]), plain);
        write("main.js", "other script");
        assert_ne!(of("node", &["--quiet", "main.js"]), scripted);

        std::os::unix::fs::symlink(folder.join("server"), folder.join("link")).unwrap();
        assert!(of("./link", &[]).contains(&folder.canonicalize().unwrap().join("server").display().to_string()));
        assert!(!of("nothing", &[]).contains("executable"), "what is not there is not told");
    }

    #[test]
    fn an_address_is_told_without_what_may_be_secret() {
        assert_eq!(of_url("https://erp.example/mcp?key=secret#x"), r#"{"url":"https://erp.example/mcp"}"#);
    }
}
