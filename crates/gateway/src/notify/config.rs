//! `[notify.NAME]` in the configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use surfaces::mcp::web::WebUrl;

use super::message::Event;
use crate::config::Secret;
use crate::limits::NOTIFIERS_MAX;

/// Whom to notify of what.
#[derive(Clone, Debug)]
pub struct NotifyConfig {
    /// What is told of.
    pub events: BTreeSet<Event>,
    /// In which form.
    pub format: Format,
    /// Only of approvals that ask one of these groups; of all without any.
    pub groups: Option<BTreeSet<Arc<str>>>,
    /// Where people look at an approval; `{approval}` stands for its id.
    pub link: Option<String>,
    /// The key of signatures.
    pub secret: Option<Vec<u8>>,
    /// The receiver.
    pub url: WebUrl,
}

/// In which form a receiver takes messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Our own, as Standard Webhooks has it.
    #[default]
    Json,
    /// An incoming webhook of Slack.
    Slack,
    /// An incoming webhook of Teams: an adaptive card.
    Teams,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Written {
    events: Option<BTreeSet<String>>,
    #[serde(default)]
    format: Format,
    groups: Option<BTreeSet<Arc<str>>>,
    link: Option<String>,
    secret: Option<Secret>,
    url: Url,
}

/// An address, or where it stands: those of chat services are secrets.
#[derive(Deserialize)]
#[serde(untagged)]
enum Url {
    Plain(String),
    Secret(Secret),
}

impl Written {
    pub(crate) fn fit(self, base: &Path) -> Result<NotifyConfig, String> {
        let url = match self.url {
            Url::Plain(url) => url,
            Url::Secret(secret) => secret.read(base).map_err(|text| format!("url: {text}"))?,
        };
        let url = WebUrl::parse(&url).map_err(|error| format!("url: {error}"))?;
        let secret = self.secret.map(|secret| secret.read(base).and_then(|secret| secret_of(&secret)));
        let secret = secret.transpose().map_err(|text| format!("secret: {text}"))?;
        if secret.is_none() && self.format == Format::Json {
            return Err("a receiver of `json` needs a `secret`, so that it can tell who sends; \
                 write secret = { env = \"..\" } or { file = \"..\" }"
                .to_owned());
        }
        let events = match self.events {
            Some(events) => events.iter().map(|event| event.parse()).collect::<Result<_, _>>()?,
            None => Event::all().filter(|event| event.is_for_people()).collect(),
        };
        if let Some(link) = &self.link {
            if !link.contains("{approval}") {
                return Err(format!("link = \"{link}\": say with {{approval}} where the approval's id stands"));
            }
            WebUrl::parse(&link.replace("{approval}", "id")).map_err(|error| format!("link: {error}"))?;
        }
        Ok(NotifyConfig { events, format: self.format, groups: self.groups, link: self.link, secret, url })
    }
}

/// The notifiers that a configuration names.
pub(crate) fn fit(written: BTreeMap<String, Written>, base: &Path) -> Result<BTreeMap<String, NotifyConfig>, String> {
    if written.len() > NOTIFIERS_MAX {
        return Err(format!("[notify]: there are more than {NOTIFIERS_MAX}"));
    }
    let is_name = |name: &str| {
        !name.is_empty()
            && name.len() <= 63
            && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    let fitted = written.into_iter().map(|(name, written)| match is_name(&name) {
        true => Ok((name.clone(), written.fit(base).map_err(|text| format!("[notify.{name}] {text}"))?)),
        false => Err(format!("[notify.{name}]: use at most 63 of `a-z`, `0-9` and `-` for its name")),
    });
    fitted.collect()
}

/// The key that a secret stands for: the base64 after `whsec_`, or the text itself.
pub(super) fn secret_of(text: &str) -> Result<Vec<u8>, String> {
    let key = match text.strip_prefix("whsec_") {
        Some(encoded) => STANDARD.decode(encoded).map_err(|_| "what follows `whsec_` is no base64".to_owned())?,
        None => text.as_bytes().to_vec(),
    };
    if key.len() < SECRET_BYTES_MIN {
        return Err(format!("it has fewer than {SECRET_BYTES_MIN} bytes; make one with `openssl rand -base64 32`"));
    }
    Ok(key)
}

/// The least that Standard Webhooks wants: 24 bytes.
const SECRET_BYTES_MIN: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<NotifyConfig, String> {
        let written: Written = toml::from_str(text).map_err(|error| error.to_string())?;
        written.fit(Path::new("."))
    }

    #[test]
    fn what_cannot_work_is_refused_with_the_mend() {
        let good = "url = \"https://hooks.slack.example/a\"\nformat = \"slack\"";
        assert!(read(good).unwrap().events.contains(&"approval.requested".parse().unwrap()));
        for (text, said) in [
            ("url = \"https://a.example/\"", "needs a `secret`"),
            ("url = \"http://a.example/\"\nformat = \"slack\"", "use https"),
            ("url = \"https://a.example/\"\nformat = \"mail\"", "unknown variant"),
            ("url = \"https://a.example/\"\nformat = \"slack\"\nevents = [\"approval.seen\"]", "approval.requested"),
            ("url = \"https://a.example/\"\nformat = \"slack\"\nlink = \"https://b.example/\"", "{approval}"),
            ("url = { env = \"COUNTERSIGN_NO_SUCH\" }\nformat = \"slack\"", "has no `COUNTERSIGN_NO_SUCH`"),
            ("url = \"https://a.example/\"\nformat = \"slack\"\nwhen = 1", "unknown field"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
        }
        assert!(secret_of("short").unwrap_err().contains("openssl"));
        assert!(secret_of("whsec_*").unwrap_err().contains("base64"));
    }
}
