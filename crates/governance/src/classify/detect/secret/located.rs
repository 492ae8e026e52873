//! Secrets within addresses and connection strings: the password of a URL, the path of a webhook, a parameter of a query, a part between semicolons.

use super::super::judge::{Class, Judged, Kind};
use super::value::{self, Look};
use super::{check, password, randomness};

macro_rules! kind {
    ($name:literal) => {
        &Kind { class: Class::Secret, name: $name }
    };
}

/// An address whose path lets whoever knows it act.
struct Webhook {
    /// Fewest characters after the mark.
    least: usize,
    kind: &'static Kind,
    mark: &'static str,
}

const WEBHOOKS: &[Webhook] = &[
    Webhook { mark: "api.telegram.org/bot", kind: kind!("telegram_bot_token"), least: 40 },
    Webhook { mark: "chat.googleapis.com/v1/spaces/", kind: kind!("google_chat_webhook"), least: 60 },
    Webhook { mark: "discord.com/api/webhooks/", kind: kind!("discord_webhook"), least: 30 },
    Webhook { mark: "discordapp.com/api/webhooks/", kind: kind!("discord_webhook"), least: 30 },
    Webhook { mark: "hooks.slack.com/services/", kind: kind!("slack_webhook"), least: 40 },
    Webhook { mark: "hooks.slack.com/triggers/", kind: kind!("slack_webhook"), least: 40 },
    Webhook { mark: "hooks.slack.com/workflows/", kind: kind!("slack_webhook"), least: 40 },
    Webhook { mark: "hooks.zapier.com/hooks/catch/", kind: kind!("zapier_webhook"), least: 10 },
    Webhook { mark: "hook.eu1.make.com/", kind: kind!("make_webhook"), least: 24 },
    Webhook { mark: "hook.us1.make.com/", kind: kind!("make_webhook"), least: 24 },
    Webhook { mark: "maker.ifttt.com/use/", kind: kind!("ifttt_webhook"), least: 20 },
    Webhook { mark: "oapi.dingtalk.com/robot/send?access_token=", kind: kind!("dingtalk_webhook"), least: 40 },
    Webhook { mark: "open.feishu.cn/open-apis/bot/v2/hook/", kind: kind!("feishu_webhook"), least: 30 },
    Webhook { mark: "open.larksuite.com/open-apis/bot/v2/hook/", kind: kind!("feishu_webhook"), least: 30 },
    Webhook { mark: "outlook.office.com/webhook/", kind: kind!("teams_webhook"), least: 80 },
    Webhook { mark: "outlook.office365.com/webhook/", kind: kind!("teams_webhook"), least: 80 },
    Webhook { mark: "qyapi.weixin.qq.com/cgi-bin/webhook/send?key=", kind: kind!("wecom_webhook"), least: 30 },
    Webhook { mark: "tines.com/webhook/", kind: kind!("tines_webhook"), least: 60 },
    Webhook { mark: "webhook.office.com/webhookb2/", kind: kind!("teams_webhook"), least: 80 },
];

/// Parameters of queries that carry secrets, in lower case, with what they are.
const PARAMETERS: &[(&str, &Kind)] = &[
    ("access_key", kind!("api_key")),
    ("access_token", kind!("access_token")),
    ("api-key", kind!("api_key")),
    ("api_key", kind!("api_key")),
    ("apikey", kind!("api_key")),
    ("appid", kind!("api_key")),
    ("auth", kind!("access_token")),
    ("auth_token", kind!("access_token")),
    ("client_secret", kind!("client_secret")),
    ("code", kind!("authorization_code")),
    ("credential", kind!("access_token")),
    ("id_token", kind!("access_token")),
    ("key", kind!("api_key")),
    ("passwd", kind!("password")),
    ("password", kind!("password")),
    ("private_token", kind!("access_token")),
    ("pwd", kind!("password")),
    ("refresh_token", kind!("access_token")),
    ("secret", kind!("secret")),
    ("sig", kind!("signed_url")),
    ("signature", kind!("signed_url")),
    ("sslpassword", kind!("password")),
    ("subscription-key", kind!("api_key")),
    ("token", kind!("access_token")),
    ("x-amz-security-token", kind!("aws_session_token")),
    ("x-amz-signature", kind!("signed_url")),
    ("x-goog-signature", kind!("signed_url")),
];

/// Parts of connection strings that carry secrets, in lower case without spaces.
const PARTS: &[(&str, &Kind)] = &[
    ("accesskey", kind!("azure_key")),
    ("accountkey", kind!("azure_storage_key")),
    ("password", kind!("password")),
    ("primarykey", kind!("azure_key")),
    ("proxypassword", kind!("password")),
    ("pwd", kind!("password")),
    ("secret", kind!("azure_key")),
    ("sharedaccesskey", kind!("azure_key")),
    ("sharedaccesssignature", kind!("signed_url")),
    ("sharedsecretvalue", kind!("azure_key")),
];

/// The surest secret within an address or connection string.
pub(super) fn judge(text: &str) -> Option<Judged> {
    let in_addresses = if text.contains("://") { userinfo(text) } else { None };
    let mut best = in_addresses;
    let mut keep = |found: Option<Judged>| {
        if let Some(found) = found
            && best.is_none_or(|known| found.score > known.score)
        {
            best = Some(found);
        }
    };
    if text.contains(":thin:") {
        keep(thin(text));
    }
    if text.contains(".com/") || text.contains(".cn/") {
        keep(webhook(text));
    }
    if text.contains(['?', '&']) && text.contains('=') {
        keep(parameter(text));
    }
    if text.contains('=') && text.contains([';', ' ']) {
        keep(part(text));
    }
    best
}

/// The password of the first URL that has one, or a token in the place of its user.
fn userinfo(text: &str) -> Option<Judged> {
    let mut from = 0;
    while let Some(found) = text.get(from..)?.find("://") {
        let start = from + found + "://".len();
        from = start;
        let scheme = text.get(..start - "://".len())?.bytes().next_back();
        let rest = text.get(start..)?;
        let length = rest
            .bytes()
            .take(512)
            .position(|byte| b" \t\r\n\"'<>`?#\\,)".contains(&byte))
            .unwrap_or(rest.len().min(512));
        let length = if memchr::memchr(b'@', rest.as_bytes().get(..length).unwrap_or_default()).is_none() {
            beyond_signs(rest).unwrap_or(length)
        } else {
            length
        };
        let Some(address) = rest.get(..length) else { continue };
        if !scheme.is_some_and(|last| last.is_ascii_alphanumeric()) {
            continue;
        }
        let Some(userinfo) = authority(address) else { continue };
        let (at, secret, user) = match userinfo.split_once(':') {
            Some((user, "x-oauth-basic" | "")) if user.len() >= 16 => (0, user, ""),
            Some((user, password)) => (user.len() + 1, password, user),
            None if userinfo.len() >= 20 && value::look(userinfo) != Look::Letters => (0, userinfo, ""),
            None => continue,
        };
        if value::filled_in(secret) || secret.contains(['{', '$', '(']) && secret.contains(['}', ')']) {
            continue;
        }
        let plain = ["password", "pass", "passwd", "pwd", "secret", "token", "credentials"]
            .iter()
            .any(|word| secret.eq_ignore_ascii_case(word));
        let documented =
            ["user", "username", "usr", "login", "name", "u"].iter().any(|word| user.eq_ignore_ascii_case(word));
        let score = match (plain, documented) {
            (true, true) => continue,
            (true, false) => 55,
            (false, _) => 88,
        };
        let start = start + at;
        return Some(Judged { end: start + secret.len(), kind: kind!("url_credentials"), score, start });
    }
    None
}

/// The password of Oracle's thin driver: `jdbc:oracle:thin:user/…@host`.
fn thin(text: &str) -> Option<Judged> {
    let from = text.find(":thin:")? + ":thin:".len();
    let (userinfo, _) = text.get(from..)?.split_once('@')?;
    let (user, secret) = userinfo.split_once('/')?;
    let start = from + user.len() + 1;
    let is_sound =
        !user.is_empty() && secret.len() >= 3 && !secret.contains([' ', '/', '"', '\n']) && !value::filled_in(secret);
    (is_sound && !secret.eq_ignore_ascii_case("password")).then_some(Judged {
        end: start + secret.len(),
        kind: kind!("url_credentials"),
        score: 86,
        start,
    })
}

/// How long an address is whose password has the signs that end one elsewhere: its percent signs are taken away before it comes here.
fn beyond_signs(rest: &str) -> Option<usize> {
    let length =
        rest.bytes().take(256).position(|byte| b" \t\r\n\"<>`\\".contains(&byte)).unwrap_or(rest.len().min(256));
    let address = rest.get(..length)?;
    let (user, secret) = address.split_once('@')?.0.split_once(':')?;
    let is_user = !user.contains(['/', '?', '#', ',', ')', '\'']);
    // A port, and what follows it.
    let is_port =
        secret.split(['/', '?', '#']).next().is_some_and(|port| port.bytes().all(|byte| byte.is_ascii_digit()));
    (is_user && !is_port).then_some(length)
}

/// What stands before the host: up to the last `@` that a host follows.
fn authority(address: &str) -> Option<&str> {
    let (userinfo, rest) = address.rsplit_once('@')?;
    let host = rest.starts_with(|one: char| one.is_ascii_alphanumeric() || "[{$%".contains(one));
    match userinfo.split_once('/') {
        Some((before, _))
            if !before.contains(':')
                || before.rsplit(':').next().is_some_and(|port| port.bytes().all(|byte| byte.is_ascii_digit())) =>
        {
            None
        }
        _ => host.then_some(userinfo),
    }
}

fn webhook(text: &str) -> Option<Judged> {
    // Every mark has one of these.
    if !["hook", "bot", "spaces/", "ifttt"].iter().any(|part| text.contains(part)) {
        return None;
    }
    WEBHOOKS.iter().find_map(|webhook| {
        let start = text.find(webhook.mark)? + webhook.mark.len();
        let rest = text.get(start..)?;
        let length =
            rest.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || b"/_-.:@?=&%".contains(byte)).count();
        let path = rest.get(..length)?;
        let real = length >= webhook.least && path.bytes().any(|byte| byte.is_ascii_digit()) && !masked(path);
        real.then_some(Judged { end: start + length, kind: webhook.kind, score: 94, start })
    })
}

fn masked(path: &str) -> bool {
    path.split('/').any(|part| part.len() >= 6 && part.bytes().all(|byte| matches!(byte, b'x' | b'X' | b'0')))
}

fn parameter(text: &str) -> Option<Judged> {
    if text.contains("badge") {
        return None;
    }
    let mut best: Option<Judged> = None;
    for (at, _) in text.match_indices(['?', '&']) {
        let Some(rest) = text.get(at + 1..) else { continue };
        let Some((name, _)) = rest.as_bytes().get(..rest.len().min(32)).and_then(|_| rest.split_once('=')) else {
            break;
        };
        let Some((_, kind)) = PARAMETERS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)) else { continue };
        let start = at + 1 + name.len() + 1;
        let Some(value) = text.get(start..) else { continue };
        let length = value.bytes().position(|byte| b"& \t\r\n\"'<>`#\\|)};,".contains(&byte)).unwrap_or(value.len());
        let Some(value) = value.get(..length) else { continue };
        let signature = kind.name == "signed_url" || kind.name == "authorization_code";
        let password = kind.name == "password";
        let least = if signature {
            24
        } else if password {
            4
        } else {
            8
        };
        if value.len() < least || value::stands_in(value) {
            continue;
        }
        let score = match (value::look(value), name.len() <= 5 && !password) {
            (Look::Random | Look::Hex, _) => 86,
            (Look::Uuid, false) => 75,
            (Look::Uuid, true) => 55,
            (Look::Chosen | Look::Mixed, _) if password => 84,
            (Look::Mixed | Look::Chosen, false) if value.len() >= 12 => 65,
            (Look::Letters, _) if password => 60,
            _ => continue,
        };
        if best.is_none_or(|known| score > known.score) {
            best = Some(Judged { end: start + length, kind, score, start });
        }
    }
    best
}

/// A part of a connection string: `Password=…;`, `AccountKey=…`, or ` password=…` where spaces part them.
fn part(text: &str) -> Option<Judged> {
    let mut best: Option<Judged> = None;
    for (at, _) in text.match_indices('=') {
        let Some(before) = text.get(..at) else { continue };
        let name_at = before.rfind([';', '"', '\'', '\n', '?', '&', ',', '`', '=']).map_or(0, |last| last + 1);
        let Some(name) = before.get(name_at..) else { continue };
        let mut letters = [0u8; 24];
        let Some((_, kind)) = PARTS.iter().find(|(known, _)| ends(name, known, &mut letters)) else { continue };
        let Some(rest) = text.get(at + 1..) else { continue };
        let spaced = !text.contains(';');
        let skipped =
            rest.len() - rest.trim_start_matches(|one| matches!(one, '\'' | '"') || one == ' ' && !spaced).len();
        let start = at + 1 + skipped;
        let Some(rest) = rest.get(skipped..) else { continue };
        let length = rest
            .bytes()
            .position(|byte| {
                matches!(byte, b';' | b'"' | b'\'' | b'\n' | b'\r' | b'<' | b'`' | b'|')
                    || spaced && matches!(byte, b' ' | b',' | b')')
            })
            .unwrap_or(rest.len());
        let Some(value) = rest.get(..length).map(str::trim_end) else { continue };
        let keyed = kind.name != "password";
        let many = text.matches('=').count() >= 2;
        let program = spaced && (value::stands_in(value) || password::said(value));
        if program || value::filled_in(value) || !many || keyed && !(value.len() >= 16 && randomness::bits(value) >= 40)
        {
            continue;
        }
        let plain = ["password", "pwd", "pass", "secret", "string", "text", "none", "null", "true", "false"]
            .iter()
            .any(|word| value.eq_ignore_ascii_case(word));
        let score = if plain || value.contains(' ') { 45 } else { 88 };
        if best.is_none_or(|known| score > known.score) {
            best = Some(Judged { end: start + value.len(), kind, score, start });
        }
    }
    best
}

/// Whether the name, without its spaces and in lower case, is the known one or ends with it after a space.
fn ends(name: &str, known: &str, letters: &mut [u8; 24]) -> bool {
    let mut length = 0;
    for byte in name.bytes().rev().filter(|byte| !matches!(byte, b' ' | b'_')).take(known.len()) {
        if let Some(slot) = letters.get_mut(length) {
            *slot = byte.to_ascii_lowercase();
            length += 1;
        }
    }
    let backwards = letters.get(..length).unwrap_or(&[]);
    backwards.iter().rev().eq(known.as_bytes())
        && name
            .len()
            .checked_sub(known.len() + 1)
            .and_then(|at| name.as_bytes().get(at))
            .is_none_or(|byte| !byte.is_ascii_alphanumeric())
}

/// The password of a pair of user and password in base64, as the header of HTTP carries it.
pub(super) fn basic(text: &str) -> bool {
    check::base64_start(text).is_some_and(|(decoded, filled)| {
        let decoded = decoded.get(..filled).unwrap_or(&[]);
        let printed = decoded.iter().all(|byte| (0x20..0x7F).contains(byte) || *byte >= 0x80);
        let colon = decoded.iter().position(|byte| *byte == b':');
        printed && colon.is_some_and(|at| at + 1 < filled)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_of_an_address_is_found_and_nothing_beside_it() {
        for (text, expected) in [
            ("postgres://app:k3-Vuq9@db.host.test:5432/app", Some("k3-Vuq9")),
            ("redis://:9fQz-71x@cache:6379/0", Some("9fQz-71x")),
            ("https://user:password@host.test/", None),
            ("https://host.test:8080/@scope/name", None),
            ("https://host.test/a?b=c@d", None),
            ("amqp://svc:${PASS}@mq", None),
            ("https://4f9c1b7e2d8a6035c4e1f7a9b2d80c63@sentry.host.test/1", Some("4f9c1b7e2d8a6035c4e1f7a9b2d80c63")),
            ("mongodb+srv://root:p@ss/w0rd@cluster0.host.test/db", Some("p@ss/w0rd")),
            ("git+https://host.test/a.git", None),
            ("https://api.host.test/v1?access_token=9fQz71xKq2Vm84Lp&x=1", Some("9fQz71xKq2Vm84Lp")),
            ("https://api.host.test/v1?access_token=ACCESS_TOKEN", None),
            ("Server=db;Database=x;User Id=sa;Password=Gr33n-Door;Encrypt=yes", Some("Gr33n-Door")),
            ("host=db user=app password=Gr33n-Door dbname=x", Some("Gr33n-Door")),
            ("Server=db;Pwd={password};", None),
            (
                "https://hooks.slack.com/services/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",
                Some("T0AB12CD3/B0EF45GH6/kQ9vT2mZ7Rw4bLs8xY3nP6dF"),
            ),
            ("https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX", None),
        ] {
            let found =
                judge(text).filter(|judged| judged.score >= 50).and_then(|judged| text.get(judged.start..judged.end));
            assert_eq!(found, expected, "{text}");
        }
    }
}
