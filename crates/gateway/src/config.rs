//! `countersign.toml`: where the gateway listens, where missions are, and which upstreams there are.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use evidence::filter::duration_us;
use serde::Deserialize;
use surfaces::mcp::upstream::stdio::StdioConfig;
use surfaces::mcp::web::WebUrl;

use crate::audits::{AuditFile, LIBRARY, Watched};
use crate::auth;
use crate::auth::config::AuthConfig;
use crate::clock::now;
use crate::cosigning;
use crate::cosigning::config::CosigningConfig;
use crate::limits::{AUDIT_EVERY, AUDIT_EVERY_MIN, CALL_TIMEOUT, CONFIG_BYTES_MAX};
use crate::notify;
use crate::notify::config::NotifyConfig;
use crate::oauth;
use crate::oauth::config::OauthConfig;
use crate::otel;
use crate::otel::config::OtelConfig;
use crate::stream;
use crate::stream::config::StreamConfig;

/// A configuration whose parts fit together.
#[derive(Clone, Debug)]
pub struct Config {
    /// The audit tests that are asked again and again, if any.
    pub audit: Option<Watched>,
    /// The authorization server whose tokens are taken, if any.
    pub auth: Option<AuthConfig>,
    /// How long an upstream may take to answer a call.
    pub call_timeout: Duration,
    /// Where approvers connect.
    pub console: SocketAddr,
    /// Which witnesses are asked for cosignatures, if any.
    pub cosigning: Option<CosigningConfig>,
    /// Hosts that requests may name beside loopback.
    pub hosts: Vec<String>,
    /// Where agents connect.
    pub listen: SocketAddr,
    /// Folder of mission files.
    pub missions: PathBuf,
    /// Whom to notify, by name.
    pub notify: BTreeMap<String, NotifyConfig>,
    /// Origins of web pages that may connect.
    pub origins: Vec<String>,
    /// The collector of OpenTelemetry that is fed, if any.
    pub otel: Option<OtelConfig>,
    /// The address under which agents reach the gateway, where it is not the one that they call: scheme and host.
    pub public: Option<String>,
    /// Who may follow the ledger with a token of their own, by name.
    pub streams: BTreeMap<String, StreamConfig>,
    /// The MCP upstreams by name.
    pub upstreams: BTreeMap<String, UpstreamConfig>,
}

/// One MCP upstream.
#[derive(Clone, Debug)]
pub enum UpstreamConfig {
    /// A Streamable HTTP endpoint.
    Http {
        /// The header that proves us to it, if any.
        credential: Option<(String, String)>,
        /// How tokens for it are got, if it wants them.
        oauth: Option<OauthConfig>,
        /// Its URL.
        url: String,
    },
    /// A child process for each session.
    Stdio(StdioConfig),
}

/// Why a configuration is not one.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("read configuration `{path}`: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The file's form is wrong; the text shows the line.
    #[error("configuration `{path}`: {text}")]
    Form {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        text: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    audit: Option<WrittenAudit>,
    auth: Option<auth::config::Written>,
    #[serde(default)]
    listen: Listen,
    #[serde(default)]
    store: Store,
    #[serde(default)]
    missions: Missions,
    #[serde(default)]
    notify: BTreeMap<String, notify::config::Written>,
    otel: Option<otel::config::Written>,
    #[serde(default)]
    stream: BTreeMap<String, stream::config::Written>,
    #[serde(default)]
    upstream: Upstreams,
    #[serde(default)]
    limits: Limits,
    #[serde(default)]
    witness: BTreeMap<String, cosigning::config::WrittenWitness>,
    witnesses: Option<cosigning::config::WrittenPolicy>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Listen {
    console: SocketAddr,
    gateway: SocketAddr,
    hosts: Vec<String>,
    origins: Vec<String>,
    public: Option<String>,
}

impl Default for Listen {
    fn default() -> Self {
        Self {
            console: SocketAddr::from(([127, 0, 0, 1], 7071)),
            gateway: SocketAddr::from(([127, 0, 0, 1], 7070)),
            hosts: Vec::new(),
            origins: Vec::new(),
            public: None,
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Store {
    url: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Missions {
    dir: PathBuf,
}

impl Default for Missions {
    fn default() -> Self {
        Self { dir: PathBuf::from("missions") }
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Upstreams {
    mcp: BTreeMap<String, Upstream>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Upstream {
    command: Option<Vec<String>>,
    cwd: Option<PathBuf>,
    #[serde(default)]
    env: Vec<String>,
    url: Option<String>,
    credential: Option<Credential>,
    oauth: Option<oauth::config::Written>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Credential {
    header: Option<String>,
    env: Option<String>,
    file: Option<PathBuf>,
}

/// Something that is not written into the configuration itself.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Secret {
    env: Option<String>,
    file: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenAudit {
    every: Option<String>,
    tests: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Limits {
    call_timeout_s: Option<u64>,
}

/// Environment that every child gets, where it is set.
pub const CHILD_ENV: [&str; 9] = ["HOME", "LANG", "LC_ALL", "LOGNAME", "PATH", "SHELL", "TMPDIR", "TZ", "USER"];

impl Config {
    /// Reads the file at `path`; relative paths in it start from its folder.
    ///
    /// # Errors
    /// [`ConfigError`] with the place and the mend.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let form = |text: String| ConfigError::Form { path: path.to_owned(), text };
        let text = bounded(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        let file: Written = toml::from_str(&text).map_err(|error| form(error.to_string()))?;
        if let Some(url) = file.store.url.filter(|url| url != "home") {
            return Err(form(format!(
                "[store] url = \"{url}\": this version keeps its store in the home; write url = \"home\" or leave it out"
            )));
        }
        let base =
            std::path::absolute(path).ok().and_then(|path| path.parent().map(Path::to_owned)).unwrap_or_default();
        let mut upstreams = BTreeMap::new();
        for (name, upstream) in file.upstream.mcp {
            let fitted = upstream.fit(&base).map_err(|text| form(format!("[upstream.mcp.{name}] {text}")))?;
            upstreams.insert(name, fitted);
        }
        let auth = file.auth.map(|auth| auth.fit(&base).map_err(|text| form(format!("[auth] {text}")))).transpose()?;
        let public = file.listen.public.as_deref().map(public_base).transpose().map_err(form)?;
        let mut hosts = file.listen.hosts;
        hosts.extend(public.iter().filter_map(|base| Some(base.split_once("://")?.1.to_owned())));
        let audit =
            file.audit.map(|audit| audit.fit(&base).map_err(|text| form(format!("[audit] {text}")))).transpose()?;
        Ok(Self {
            audit,
            auth,
            call_timeout: file.limits.call_timeout_s.map_or(CALL_TIMEOUT, Duration::from_secs),
            console: file.listen.console,
            cosigning: cosigning::config::fit(file.witness, file.witnesses).map_err(form)?,
            hosts,
            listen: file.listen.gateway,
            missions: base.join(file.missions.dir),
            notify: notify::config::fit(file.notify, &base).map_err(form)?,
            origins: file.listen.origins,
            otel: file.otel.map(|otel| otel.fit(&base).map_err(|text| form(format!("[otel] {text}")))).transpose()?,
            public,
            streams: stream::config::fit(file.stream, &base).map_err(form)?,
            upstreams,
        })
    }
}

impl WrittenAudit {
    /// The tests, each of which can be read now. A file's path starts from the configuration's folder.
    fn fit(self, base: &Path) -> Result<Watched, String> {
        let every = match self.every.as_deref() {
            None => AUDIT_EVERY,
            Some(text) => duration_us(text)
                .and_then(|us| Some(Duration::from_micros(us.try_into().ok()?)))
                .filter(|every| *every >= AUDIT_EVERY_MIN)
                .ok_or_else(|| format!("every = \"{text}\": want a time like 90s, 10m or 24h"))?,
        };
        let mut tests = Vec::new();
        for name in self.tests {
            let is_shipped = LIBRARY.iter().any(|shipped| shipped.name == name);
            let place = if is_shipped { name } else { base.join(name).display().to_string() };
            AuditFile::find(&place, now()).map_err(|error| error.to_string())?;
            tests.push(place);
        }
        Ok(Watched { every, tests })
    }
}

impl Upstream {
    fn fit(self, base: &Path) -> Result<UpstreamConfig, String> {
        match (self.command, self.url) {
            (Some(command), None) => {
                if self.credential.is_some() || self.oauth.is_some() {
                    return Err("a command takes no `credential` and no `oauth`; name environment variables in `env`"
                        .to_owned());
                }
                let mut command = command.into_iter();
                let program = command.next().ok_or("`command` is empty; write the program and its arguments")?;
                let names = CHILD_ENV.iter().copied().chain(self.env.iter().map(String::as_str));
                let env = names.filter_map(|name| Some((name.into(), std::env::var_os(name)?))).collect();
                let cwd = Some(self.cwd.map_or_else(|| base.to_owned(), |cwd| base.join(cwd)));
                Ok(UpstreamConfig::Stdio(StdioConfig {
                    program: program.into(),
                    args: command.map(Into::into).collect(),
                    cwd,
                    env,
                }))
            }
            (None, Some(url)) => {
                if self.cwd.is_some() || !self.env.is_empty() {
                    return Err("a url takes no `cwd` and no `env`".to_owned());
                }
                let credential = self.credential.map(|credential| credential.read(base)).transpose()?;
                let oauth =
                    self.oauth.map(|oauth| oauth.fit(base).map_err(|text| format!("oauth: {text}"))).transpose()?;
                if oauth.is_some() {
                    if credential.as_ref().is_some_and(|(header, _)| header == "authorization") {
                        return Err("has both `oauth` and a `credential` for Authorization; keep one".to_owned());
                    }
                    WebUrl::parse(&url).map_err(|error| format!("url: {error}"))?;
                }
                Ok(UpstreamConfig::Http { credential, oauth, url })
            }
            (None, None) => Err("needs `command = [..]` or `url = \"..\"`".to_owned()),
            (Some(_), Some(_)) => Err("has both `command` and `url`; keep one".to_owned()),
        }
    }
}

impl Credential {
    /// The header and its value, from the environment or a file.
    pub(crate) fn read(self, base: &Path) -> Result<(String, String), String> {
        let secret =
            Secret { env: self.env, file: self.file }.read(base).map_err(|text| format!("credential: {text}"))?;
        let header = self.header.unwrap_or_else(|| "authorization".to_owned()).to_ascii_lowercase();
        let value =
            if header == "authorization" && !secret.contains(' ') { format!("Bearer {secret}") } else { secret };
        Ok((header, value))
    }
}

impl Secret {
    /// The secret, from the environment or a file, without white space around it.
    pub(crate) fn read(self, base: &Path) -> Result<String, String> {
        let secret = match (self.env, self.file) {
            (Some(name), None) => std::env::var(&name).map_err(|_| format!("the environment has no `{name}`"))?,
            (None, Some(file)) => {
                let file = base.join(file);
                bounded(&file).map_err(|error| format!("read `{}`: {error}", file.display()))?
            }
            _ => return Err("needs one of `env` and `file`".to_owned()),
        };
        Ok(secret.trim().to_owned())
    }
}

/// Scopes go into headers, and a blank separates them (RFC 6749, section 3.3).
pub(crate) fn scopes_fit(scopes: &BTreeSet<String>) -> Result<(), String> {
    let is_scope = |scope: &String| {
        !scope.is_empty() && scope.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\'))
    };
    match scopes.iter().find(|scope| !is_scope(scope)) {
        Some(scope) => Err(format!("scopes: `{scope}` is not one scope")),
        None => Ok(()),
    }
}

/// An address without path, as it is the beginning of every endpoint's.
fn public_base(written: &str) -> Result<String, String> {
    let url = WebUrl::parse(written).map_err(|error| format!("[listen] public: {error}"))?;
    if url.path() != "/" || written.contains('?') {
        return Err(format!("[listen] public = \"{written}\": leave out the path; endpoints are at /mcp/SERVER"));
    }
    Ok(url.origin().to_ascii_lowercase())
}

pub(crate) fn bounded(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(CONFIG_BYTES_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > CONFIG_BYTES_MAX {
        return Err(std::io::Error::other(format!("it is larger than {CONFIG_BYTES_MAX} bytes")));
    }
    Ok(text)
}
