//! `[witness.NAME]` and `[witnesses]` in the configuration.

use std::collections::BTreeMap;
use std::time::Duration;

use evidence::cosignature::{WitnessKey, Witnesses};
use evidence::witness::ADD_CHECKPOINT;
use serde::Deserialize;
use surfaces::mcp::web::WebUrl;

use crate::limits::{COSIGN_AWAY, COSIGN_EVERY, COSIGN_EVERY_S_MAX};

/// Whom to ask for cosignatures.
#[derive(Clone, Debug)]
pub struct CosigningConfig {
    /// After what time without a cosignature a witness is an exception.
    pub away: Duration,
    /// The time between two rounds.
    pub every: Duration,
    /// Which witnesses count, and how many of them must have cosigned.
    pub policy: Witnesses,
    /// The witnesses, by name, in the order of the policy's keys.
    pub witnesses: Vec<WitnessConfig>,
}

/// One witness.
#[derive(Clone, Debug)]
pub struct WitnessConfig {
    /// Its public key.
    pub key: WitnessKey,
    /// How the configuration calls it.
    pub name: String,
    /// Where it takes checkpoints.
    pub url: WebUrl,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WrittenWitness {
    key: String,
    url: String,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct WrittenPolicy {
    away_s: Option<u64>,
    every_s: Option<u64>,
    need: Option<usize>,
}

/// The witnesses that a configuration names; `None` where it names none.
pub(crate) fn fit(
    written: BTreeMap<String, WrittenWitness>,
    policy: Option<WrittenPolicy>,
) -> Result<Option<CosigningConfig>, String> {
    if written.is_empty() {
        return match policy {
            Some(_) => Err("[witnesses]: there are none; name one with [witness.NAME]".to_owned()),
            None => Ok(None),
        };
    }
    let policy = policy.unwrap_or_default();
    let mut witnesses = Vec::new();
    for (name, witness) in written {
        let at = |text: String| format!("[witness.{name}] {text}");
        let is_name = (1..=63).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        if !is_name {
            return Err(at("use at most 63 of `a-z`, `0-9` and `-` for its name".to_owned()));
        }
        let key = witness.key.parse().map_err(|error| at(format!("key: {error}")))?;
        let url = format!("{}{ADD_CHECKPOINT}", witness.url.trim_end_matches('/'));
        let url = WebUrl::parse(&url).map_err(|error| at(format!("url: {error}")))?;
        witnesses.push(WitnessConfig { key, name, url });
    }
    let keys = witnesses.iter().map(|witness| witness.key.clone()).collect();
    let trusted = Witnesses::new(keys, policy.need).map_err(|error| format!("[witnesses]: {error}"))?;
    let every = policy.every_s.map_or(COSIGN_EVERY, Duration::from_secs);
    if !(1..=COSIGN_EVERY_S_MAX).contains(&every.as_secs()) {
        return Err(format!("[witnesses] every_s: use 1 to {COSIGN_EVERY_S_MAX}"));
    }
    let away = policy.away_s.map_or(COSIGN_AWAY, Duration::from_secs);
    Ok(Some(CosigningConfig { away, every, policy: trusted, witnesses }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct File {
        #[serde(default)]
        witness: BTreeMap<String, WrittenWitness>,
        witnesses: Option<WrittenPolicy>,
    }

    fn read(text: &str) -> Result<Option<CosigningConfig>, String> {
        let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
        fit(file.witness, file.witnesses)
    }

    #[test]
    fn what_cannot_work_is_refused_with_the_mend() {
        let key =
            |seed| evidence::cosignature::WitnessSigner::new("w.example/1".parse().unwrap(), &[seed; 32]).witness();
        let one = format!("[witness.north]\nkey = \"{}\"\nurl = \"https://w.example/north/\"\n", key(1));
        let two = format!("{one}[witness.south]\nkey = \"{}\"\nurl = \"http://127.0.0.1:7\"\n", key(2));
        let config = read(&two).unwrap().unwrap();
        assert_eq!((config.policy.need(), config.every, config.away), (2, COSIGN_EVERY, COSIGN_AWAY));
        let urls: Vec<_> = config.witnesses.iter().map(|witness| witness.url.to_string()).collect();
        assert_eq!(urls, ["https://w.example/north/add-checkpoint", "http://127.0.0.1:7/add-checkpoint"]);
        assert_eq!(read(&format!("{two}[witnesses]\nneed = 1")).unwrap().unwrap().policy.need(), 1);
        assert!(read("").unwrap().is_none());
        for (text, said) in [
            (format!("{two}[witnesses]\nneed = 3"), "from 1 to 2"),
            (format!("{two}[witnesses]\nneed = 0"), "from 1 to 2"),
            (format!("{two}[witnesses]\nevery_s = 0"), "every_s"),
            (format!("{two}[witnesses]\nquorum = 1"), "unknown field"),
            ("[witnesses]\nneed = 1".to_owned(), "there are none"),
            (one.replace("north]", "North]"), "[witness.North] use at most"),
            (one.replace("https://", "http://"), "use https"),
            (one.replace("url", "address"), "unknown field"),
            (two.replace(&key(2).to_string(), &key(1).to_string()), "is there twice"),
            ("[witness.a]\nkey = \"PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW\"\nurl = \"https://a.example\"".to_owned(), "of type 4"),
        ] {
            let error = read(&text).unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
