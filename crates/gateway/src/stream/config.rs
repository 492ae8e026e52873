//! `[stream.NAME]` in the configuration: programs that may follow the records of a filter, and do nothing else.

use std::collections::BTreeMap;
use std::path::Path;

use evidence::filter::Filter;
use evidence::limits::FILTER_BYTES_MAX;
use governance::limits::SENTENCE_BYTES_MAX;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::alone;
use crate::clock::now;
use crate::config::Secret;
use crate::limits::STREAM_READERS_MAX;

/// Who may follow which records.
#[derive(Clone, Debug)]
pub struct StreamConfig {
    /// Which records; more is never shown.
    pub filter: Filter,
    /// Digest of the token.
    pub token: [u8; 32],
    /// Why: it is recorded each time.
    pub why: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Written {
    #[serde(default)]
    filter: String,
    token: Secret,
    why: String,
}

/// What tokens of runs and of sessions begin with.
const OTHERS: [&str; 2] = ["cst_", "csc_"];

/// A token is 32 random bytes, at least as text of base64 without the padding.
const TOKEN_BYTES: std::ops::RangeInclusive<usize> = 43..=512;

impl Written {
    fn fit(self, base: &Path) -> Result<StreamConfig, String> {
        let filter = Filter::parse_at(&self.filter, now()).map_err(|error| error.to_string())?;
        alone(&filter).map_err(|error| error.to_string())?;
        // What is recorded of a stream says also from which record on.
        if filter.to_string().len() + 32 > FILTER_BYTES_MAX {
            return Err("filter: it is too long, written out".to_owned());
        }
        let token = self.token.read(base).map_err(|text| format!("token: {text}"))?;
        let is_plain = token.bytes().all(|byte| byte.is_ascii_graphic());
        if !TOKEN_BYTES.contains(&token.len()) || !is_plain || OTHERS.iter().any(|other| token.starts_with(other)) {
            return Err(
                "token: want 43 to 512 letters, digits and signs without blanks; make one with `openssl rand -hex 32`"
                    .to_owned(),
            );
        }
        if self.why.trim().is_empty() || self.why.len() > SENTENCE_BYTES_MAX {
            return Err(format!("why: say why, in at most {SENTENCE_BYTES_MAX} bytes: it is recorded"));
        }
        Ok(StreamConfig { filter, token: Sha256::digest(token.as_bytes()).into(), why: self.why })
    }
}

/// The readers that a configuration names.
pub(crate) fn fit(written: BTreeMap<String, Written>, base: &Path) -> Result<BTreeMap<String, StreamConfig>, String> {
    if written.len() > STREAM_READERS_MAX {
        return Err(format!("[stream]: there are more than {STREAM_READERS_MAX}"));
    }
    let is_name = |name: &str| {
        let is_fit = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        (1..=63).contains(&name.len()) && name.bytes().all(is_fit)
    };
    let mut fitted: BTreeMap<String, StreamConfig> = BTreeMap::new();
    for (name, written) in written {
        if !is_name(&name) {
            return Err(format!("[stream.{name}]: use at most 63 of `a-z`, `0-9` and `-` for its name"));
        }
        let reader = written.fit(base).map_err(|text| format!("[stream.{name}] {text}"))?;
        if let Some((other, _)) = fitted.iter().find(|(_, other)| other.token == reader.token) {
            return Err(format!("[stream.{name}] token: it is that of [stream.{other}]; give each reader its own"));
        }
        fitted.insert(name, reader);
    }
    Ok(fitted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<BTreeMap<String, StreamConfig>, String> {
        fit(toml::from_str(text).map_err(|error| error.to_string())?, Path::new("."))
    }

    #[test]
    fn readers_are_fit_or_refused_with_the_mend() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, token: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, token).unwrap();
            format!("token = {{ file = \"{}\" }}", path.display())
        };
        let good = file("good", &format!("{}\n", "a".repeat(64)));
        let why = "why = \"SIEM.\"";
        let reader = read(&format!("[siem]\n{good}\n{why}\nfilter = \"type:decision_record\"")).unwrap();
        let reader = reader.get("siem").unwrap();
        assert_eq!(reader.filter.to_string(), "type:decision_record");
        assert_eq!(reader.token, <[u8; 32]>::from(Sha256::digest("a".repeat(64))));
        for (text, said) in [
            (format!("[siem]\n{good}"), "missing field `why`"),
            (format!("[siem]\n{good}\nwhy = \" \""), "why: say why"),
            (format!("[siem]\n{why}"), "missing field `token`"),
            (format!("[siem]\n{good}\n{why}\nfilter = \"typ:x\""), "[stream.siem] filter, byte 0"),
            (format!("[siem]\n{good}\n{why}\nfilter = \"call(status:done)\""), "`call(...)` asks about other records"),
            (format!("[siem]\n{}\n{why}", file("short", "abc")), "openssl rand"),
            (format!("[siem]\n{}\n{why}", file("run", &format!("cst_{}", "a".repeat(64)))), "openssl rand"),
            (format!("[siem]\n{}\n{why}", file("blank", &"a ".repeat(30))), "openssl rand"),
            (format!("[Siem]\n{good}\n{why}"), "for its name"),
            (format!("[a]\n{good}\n{why}\n[b]\n{good}\n{why}"), "give each reader its own"),
            (format!("[siem]\n{good}\n{why}\nrights = \"all\""), "unknown field `rights`"),
        ] {
            let error = read(&text).unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
