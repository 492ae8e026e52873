//! Secrets that a sentence, a command or a statement carries: no name stands before them, but the words of a form do.

use super::super::judge::{Class, Context, Judged, Kind};
use super::value::{self, Look, Makeup};
use super::{armour, check, command, hashed, located, named};

macro_rules! kind {
    ($name:literal) => {
        &Kind { class: Class::Secret, name: $name }
    };
}

/// Where, after its trigger, a form has its secret.
#[derive(Clone, Copy)]
enum Place {
    /// In the second argument, in quotes.
    Argument,
    /// After one of these flags.
    Flags(&'static [&'static str]),
    /// After the word `password`, as in `.netrc`.
    Login,
    /// Under the names of a manifest's data.
    Manifest,
    /// At once, in quotes or not.
    Next,
    /// At once, in quotes.
    Quoted,
    /// After a colon or a verb, in the same sentence.
    Said,
    /// After a colon or a verb: digits alone, which unlock once.
    Digits,
    /// After the name of a scheme.
    Scheme,
    /// In the fifth field.
    Fields,
    /// At once: a run drawn by lot.
    Token,
}

const USERS: &[&str] = &["-u", "--user", "--proxy-user", "-U"];
/// Of programs that take the name of a database behind `-p` and a space.
const GLUED: &[&str] = &["--password", "-p"];
const PASSWORDS: &[&str] = &["-p", "--password", "-password", "-Password", "-pw", "--pass"];

/// Forms by the text, in lower case, that starts them.
const FORMS: &[(&str, Place)] = &[
    (":5432:", Place::Fields),
    ("_authtoken", Place::Token),
    ("auth=(", Place::Argument),
    ("authorization:", Place::Scheme),
    ("bearer ", Place::Scheme),
    ("connect-viserver", Place::Flags(PASSWORDS)),
    ("contrasena", Place::Said),
    ("contraseña", Place::Said),
    ("convertto-securestring", Place::Quoted),
    ("curl ", Place::Flags(USERS)),
    ("docker login", Place::Flags(PASSWORDS)),
    ("identified by", Place::Next),
    ("kennwort", Place::Said),
    ("kind: \"secret\"", Place::Manifest),
    ("kind: secret", Place::Manifest),
    ("ldapsearch", Place::Flags(&["-w"])),
    ("login for", Place::Said),
    ("machine ", Place::Login),
    ("mot de passe", Place::Said),
    ("mysql ", Place::Flags(GLUED)),
    ("mysqldump", Place::Flags(GLUED)),
    ("networkcredential(", Place::Argument),
    ("operator unseal", Place::Token),
    ("passcode", Place::Said),
    ("passcode", Place::Digits),
    ("passphrase", Place::Said),
    ("passwd", Place::Said),
    ("password", Place::Said),
    ("password 0 ", Place::Next),
    ("password 7 ", Place::Next),
    ("passwort", Place::Said),
    ("psexec", Place::Flags(PASSWORDS)),
    ("pw for", Place::Said),
    ("redis-cli", Place::Flags(&["-a", "--pass"])),
    ("requirepass ", Place::Next),
    ("senha", Place::Said),
    ("sshpass", Place::Flags(PASSWORDS)),
    ("unseal key", Place::Token),
    ("verification code", Place::Digits),
    ("wachtwoord", Place::Said),
    ("wget ", Place::Flags(&["--password", "--http-password", "--ftp-password"])),
    ("with password", Place::Next),
    ("пароль", Place::Said),
    ("パスワード", Place::Said),
    ("密码", Place::Said),
    ("비밀번호", Place::Said),
];

/// Literal text, in any case of its letters, at which a passage is worth a look.
pub(super) const TRIGGERS: &[&str] = &[
    "\"kty\"",
    "$1$",
    "$2a$",
    "$2b$",
    "$2y$",
    "$5$",
    "$6$",
    "$apr1$",
    "$argon2",
    "$y$",
    "-----begin",
    ".com/hooks/catch/",
    "/bot/v2/hook/",
    "://",
    ":5432:",
    "_authtoken",
    "accountkey=",
    "auth=(",
    "authorization:",
    "bearer ",
    "connect-viserver",
    "contrasena",
    "contraseña",
    "convertto-securestring",
    "curl ",
    "docker login",
    "identified by",
    "kennwort",
    "kind: \"secret\"",
    "kind: secret",
    "ldapsearch",
    "login for",
    "machine ",
    "mot de passe",
    "mysql ",
    "mysqldump",
    "networkcredential(",
    "operator unseal",
    "passcode",
    "passphrase",
    "passwd",
    "password",
    "passwort",
    "pbkdf2_",
    "psexec",
    "pw for",
    "pwd=",
    "redis-cli",
    "requirepass ",
    "senha",
    "sharedaccesskey=",
    "sshpass",
    "unseal key",
    "verification code",
    "wachtwoord",
    "wget ",
    "{ssha",
    "пароль",
    "パスワード",
    "密码",
    "비밀번호",
];

/// The first secret of the passage that is sure enough to speak of, else the surest.
pub(super) fn judge(text: &str) -> Option<Judged> {
    let mut best = armour::judge(text);
    let mut keep = |found: Option<Judged>| {
        if let Some(found) = found {
            best = match best {
                Some(known) if known.score >= 50 && (known.start <= found.start || found.score < 50) => Some(known),
                Some(known) if found.score < 50 && known.score >= found.score => Some(known),
                _ => Some(found),
            };
        }
    };
    keep(hashed::judge(text));
    keep(located::judge(text));
    keep(command::judge(text));
    let mut before = b' ';
    let mut passed = 0;
    for (start, byte) in text.bytes().enumerate() {
        let fresh = !before.is_ascii_alphabetic() || !byte.is_ascii_alphabetic();
        let last = before;
        before = byte;
        if !fresh || start < passed {
            continue;
        }
        let first = byte.to_ascii_lowercase();
        let from = FORMS.partition_point(|(trigger, _)| trigger.as_bytes().first() < Some(&first));
        let forms = FORMS
            .get(from..)
            .unwrap_or(&[])
            .iter()
            .take_while(|(trigger, _)| trigger.as_bytes().first() == Some(&first));
        for (trigger, place) in forms {
            let end = start + trigger.len();
            let there =
                text.as_bytes().get(start..end).is_some_and(|near| near.eq_ignore_ascii_case(trigger.as_bytes()));
            let part = matches!(place, Place::Said) && matches!(last, b'_' | b'-' | b'.');
            let found = text.get(end..).filter(|_| there && !part).and_then(|rest| form(rest, *place));
            if let Some(found) = found {
                passed = passed.max(end + found.end);
                keep(Some(Judged { end: found.end + end, start: found.start + end, ..found }));
            }
        }
    }
    best
}

fn form(rest: &str, place: Place) -> Option<Judged> {
    match place {
        Place::Argument => {
            let second = rest.find("\",").or_else(|| rest.find("',")).or_else(|| rest.find(", "))?;
            let (start, value) = quoted(rest, second + 1)?;
            chosen(value, start, 80)
        }
        Place::Flags(flags) => flagged(rest, flags),
        Place::Login => {
            let at = rest.get(..rest.len().min(300)).and_then(|near| near.find("password"))?;
            let (start, value) = word(rest, at + "password".len())?;
            (at > 0 && rest.contains("login")).then(|| chosen(value, start, 85)).flatten()
        }
        Place::Manifest => manifest(rest),
        Place::Next => {
            let (start, value) = word(rest, 0)?;
            let skipped = if check::find(value, "by").is_some_and(|_| value.eq_ignore_ascii_case("by")) {
                start + 2
            } else {
                start
            };
            let (start, value) = word(rest, skipped)?;
            let number = ["0b", "0x"].iter().any(|base| value.starts_with(base));
            chosen(value, start, 82).filter(|_| !number)
        }
        Place::Quoted => {
            let (start, value) = quoted(rest, 0).or_else(|| {
                rest.get(..rest.len().min(120))?.rsplit_once(' ').and_then(|(before, _)| word(rest, before.len()))
            })?;
            chosen(value, start, 82)
        }
        Place::Digits => {
            let near = rest.split(['\n', '\r']).next()?;
            let near = near.get(..near.len().min(60)).unwrap_or("");
            let at =
                [" is ", ": ", " is: ", " = "].iter().filter_map(|verb| Some(near.find(verb)? + verb.len())).min()?;
            let (start, value) = word(near, at)?;
            let value = value.trim_end_matches(['.', ',', '!']);
            let is_code = (4..=8).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_digit());
            let is_plain = !near.get(..at)?.contains(['.', ',', '(', '"', '?']);
            (is_code && is_plain).then_some(Judged {
                end: start + value.len(),
                kind: kind!("one_time_code"),
                score: 60,
                start,
            })
        }
        Place::Said => said(rest).or_else(|| below(rest)),
        Place::Scheme => {
            let rest_trimmed = rest.trim_start_matches([' ', '"', '\'', '\t']);
            let skipped = rest.len() - rest_trimmed.len();
            let line = rest_trimmed.split(['\n', '\r', '"', '\'', '`', '<', '\\']).next()?;
            let judged = named::header(line)?;
            Some(Judged { end: judged.end + skipped, start: judged.start + skipped, ..judged })
        }
        Place::Fields => {
            let line = rest.split(['\n', '\r', ' ']).next()?;
            let mut fields = line.splitn(3, ':');
            let (base, user, secret) = (fields.next()?, fields.next()?, fields.next()?);
            chosen(secret, base.len() + user.len() + 2, 85)
        }
        Place::Token => {
            let (start, value) = rest
                .get(..rest.len().min(80))
                .and_then(|near| near.find(['=', ':', ' ']))
                .and_then(|at| word(rest, at + 1))?;
            let fits = value.len() >= 16
                && matches!(value::look(value), Look::Random | Look::Hex | Look::Uuid)
                && !value::stands_in(value);
            fits.then_some(Judged { end: start + value.len(), kind: kind!("token"), score: 82, start })
        }
    }
}

/// The next word, without quotes, and where it starts.
fn word(text: &str, from: usize) -> Option<(usize, &str)> {
    let rest = text.get(from..)?;
    let inner = rest.trim_start_matches([' ', '=', ':', '\t', '(', '\\']);
    let at = text.len() - inner.len();
    if let Some(quote) = inner.chars().next().filter(|one| matches!(one, '"' | '\'' | '`')) {
        let body = inner.get(1..)?;
        return Some((at + 1, body.get(..body.find(quote)?)?.trim_end_matches('\\')));
    }
    let length = inner.bytes().position(|byte| b" \t\r\n\"'`;|<>)".contains(&byte)).unwrap_or(inner.len());
    Some((at, inner.get(..length)?))
}

fn quoted(text: &str, from: usize) -> Option<(usize, &str)> {
    let rest = text.get(from..)?;
    let at = rest.bytes().take(200).position(|byte| matches!(byte, b'"' | b'\''))?;
    word(text, from + at)
}

fn flagged(rest: &str, flags: &[&str]) -> Option<Judged> {
    let command = rest.split(['\n', ';', '|']).next().filter(|line| !line.trim_end().ends_with('\\')).unwrap_or(rest);
    for flag in flags {
        let mut from = 0;
        while let Some(at) = command.get(from..).and_then(|near| near.find(flag)) {
            let start = from + at;
            from = start + flag.len();
            let spaced = start == 0 || command.as_bytes().get(start - 1).is_some_and(|byte| b" \t\n".contains(byte));
            let next = command.as_bytes().get(from).copied().unwrap_or(b' ');
            let is_glued = flags == GLUED;
            let glued = *flag == "-p" && !b" =-".contains(&next) && (is_glued || !next.is_ascii_uppercase())
                || b" ='\"".contains(&next);
            if !spaced || !glued {
                continue;
            }
            let Some((at, value)) = word(command, from) else { continue };
            if is_glued && *flag == "-p" && next == b' ' {
                continue;
            }
            let user = USERS.contains(flag);
            let (skipped, secret) = if user {
                value.split_once(':').map_or((0, ""), |(user, secret)| (user.len() + 1, secret))
            } else {
                (0, value)
            };
            let port = secret.len() <= 5 && secret.bytes().all(|byte| byte.is_ascii_digit() || byte == b':');
            if secret.len() < 3 || port || secret.starts_with('-') {
                continue;
            }
            let documented = user
                && value.split_once(':').is_some_and(|(user, secret)| {
                    user.eq_ignore_ascii_case(secret)
                        || ["user", "username", "login"].contains(&user) && secret.starts_with("pass")
                });
            if let Some(found) = chosen(secret, at + skipped, 80).filter(|_| !documented) {
                return Some(found);
            }
        }
    }
    None
}

pub(super) fn chosen(value: &str, start: usize, score: u8) -> Option<Judged> {
    let context = Context { name: &["password"], ..Context::default() };
    let judged = named::judge(value, &context).filter(|judged| judged.score >= 50)?;
    Some(Judged {
        end: start + judged.end,
        kind: judged.kind,
        score: score.min(judged.score),
        start: start + judged.start,
    })
}

/// `… is X`, `…: X`, `… X` after a word for a password: X has a digit or a mark, for everything else in a sentence is a word.
fn said(rest: &str) -> Option<Judged> {
    const VERBS: &[&str] = &[
        ": ", ":", " = ", "=", " is ", " is: ", " was ", " to ", " ist ", " est ", " es ", " lautet ", " é ", " è ",
        " => ", " – ", " — ", ":= ", " -> ", " ",
    ];
    let near = rest.split(['\n', '\r']).next()?;
    let near = near.get(..near.len().min(100)).or_else(|| near.get(..near.len().min(99))).unwrap_or(near);
    let mut best: Option<Judged> = None;
    for verb in VERBS {
        let Some(at) = near.find(verb).filter(|at| *verb != " " || *at == 0) else { continue };
        let between = near.get(..at).unwrap_or("");
        let aside = near.get(at + verb.len()..).is_some_and(|rest| rest.starts_with('('));
        let continued =
            aside || between.starts_with(|one: char| one.is_alphanumeric() && one != 's' || matches!(one, '_' | '-'));
        if continued
            || between.contains('=')
            || between.split(' ').count() > 7
            || between.contains(['.', ',', '(', '<', '{', '"', '?']) && at > 2
        {
            continue;
        }
        let Some((start, value)) = word(near, at + verb.len()) else { continue };
        let whole = value.trim_end_matches(['.', ',', ')', ']', '}']);
        let tail = whole.trim_end_matches(['.', ',', '!', '?', ')', ']', '}']);
        let value = if Makeup::of(tail).digits > 0 { whole } else { tail };
        let made = Makeup::of(value);
        let quoted = start
            .checked_sub(1)
            .and_then(|before| near.as_bytes().get(before))
            .is_some_and(|byte| b"'\"`".contains(byte));
        let strict = value.len() >= 5
            && (made.digits + made.marks >= 1 || quoted && verb.trim() == "is")
            && made.letters >= 1
            && !value.contains(['(', '{', '<', '[']);
        if !strict || value.contains('=') && !value.ends_with('=') {
            continue;
        }
        let Some(found) =
            chosen(value, start, 76).filter(|found| *verb != " " || found.score >= 76 && is_made_up(value, &made))
        else {
            continue;
        };
        if best.is_none_or(|known| found.start < known.start) {
            best = Some(found);
        }
    }
    best
}

/// What stands alone in the line below a label.
fn below(rest: &str) -> Option<Judged> {
    let label = rest.trim_start_matches([':', ' ', '*', '\r']);
    let line = label.strip_prefix('\n')?;
    let start = rest.len() - line.len();
    let value = line.split('\n').next().unwrap_or(line).trim_end();
    let made = Makeup::of(value);
    let is_alone = made.spaces == 0
        && !value.contains(['{', '}', '[', ']', '"'])
        && (6..=64).contains(&value.len())
        && is_made_up(value, &made);
    if is_alone { chosen(value, start, 70).filter(|found| found.score >= 70) } else { None }
}

/// Whether nobody writes a word so: with a digit and a mark or capitals, or with three digits and more behind letters.
fn is_made_up(value: &str, made: &Makeup) -> bool {
    let word = value.trim_end_matches(|one: char| one.is_ascii_digit());
    let is_word = word.len() >= 4 && word.bytes().all(|byte| byte.is_ascii_alphabetic());
    made.digits > 0 && (made.marks > 0 || made.upper > 0) || is_word && made.digits >= 2
}

/// The values under `data` or `stringData` of a manifest, as one.
fn manifest(rest: &str) -> Option<Judged> {
    let data = rest
        .find("\ndata:")
        .map(|at| at + "\ndata:".len())
        .or_else(|| rest.find("\nstringData:").map(|at| at + "\nstringData:".len()))?;
    let block = rest.get(data..)?;
    let mut at = data;
    let mut range: Option<(usize, usize)> = None;
    for line in block.split_inclusive('\n') {
        let indented = line.starts_with([' ', '\t']);
        if !indented && !line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && value.trim().trim_matches('"').len() >= 4
            && !value::stands_in(value.trim())
        {
            let start = at + name.len() + 1 + (value.len() - value.trim_start().len());
            let end = at + line.trim_end().len();
            range = Some((range.map_or(start, |(first, _)| first), end));
        }
        at += line.len();
    }
    let (start, end) = range?;
    Some(Judged { end, kind: kind!("kubernetes_secret"), score: 85, start })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_has_its_trigger() {
        assert!(FORMS.is_sorted_by_key(|(form, _)| form.as_bytes().first()));
        for (form, _) in FORMS {
            assert!(TRIGGERS.iter().any(|trigger| form.contains(trigger)), "{form}");
        }
    }

    #[test]
    fn sentences_commands_and_statements_give_their_secrets() {
        for (text, expected) in [
            ("The password for the staging box is Blue-Kite-42, please rotate.", Some("Blue-Kite-42")),
            ("Password: tr33house!", Some("tr33house!")),
            ("curl -u deploy:g7Hk-22x https://host.test/", Some("g7Hk-22x")),
            ("sshpass -p 'k1te-Flies' ssh root@host", Some("k1te-Flies")),
            ("pw for the printer: Kite_42gull", Some("Kite_42gull")),
            ("pw for the printer: ask Ann", None),
            ("mysql -uroot -ps3cr3tPw db", Some("s3cr3tPw")),
            ("CREATE USER a IDENTIFIED BY 'Gr33n-Door';", Some("Gr33n-Door")),
            ("machine api.host.test login me password kQ9vT2mZ", Some("kQ9vT2mZ")),
            ("Authorization: Basic ZGVwbG95Omc3SGstMjJ4", Some("ZGVwbG95Omc3SGstMjJ4")),
            ("db.host.test:5432:app:svc:Gr33n-Door", Some("Gr33n-Door")),
            ("docker login -u me -p 9fQz71xKq2Vm", Some("9fQz71xKq2Vm")),
            ("mysql -u root -pS3cr3t-Pw9 db", Some("S3cr3t-Pw9")),
            ("mysql -u root -P 3306 -p orders", None),
            ("Das Passwort lautet Sonne123!", Some("Sonne123!")),
            ("Your password must have 8 characters and is case sensitive.", None),
            ("curl -u user:password https://host.test/", None),
            ("The password is required.", None),
            ("docker run -p 8080:80 image", None),
            ("See the password policy: NIST 800-63B", None),
            ("Authorization: Bearer <token>", None),
        ] {
            let found =
                judge(text).filter(|judged| judged.score >= 50).and_then(|judged| text.get(judged.start..judged.end));
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn a_manifest_gives_its_data() {
        let text = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\ndata:\n  user: YWRtaW4=\n  password: R3IzM24tRG9vcg==\ntype: Opaque\n";
        let judged = judge(text).unwrap();
        assert_eq!(text.get(judged.start..judged.end), Some("YWRtaW4=\n  password: R3IzM24tRG9vcg=="));
    }
}
