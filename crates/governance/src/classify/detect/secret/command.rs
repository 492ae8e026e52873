//! Secrets that commands, statements of devices and calls of programs carry where only their form says that they are: the third word, the second argument, what stands
//! before a pipe. And tokens that a program puts together from pieces.

use super::super::judge::{Context, Judged};
use super::passage::chosen;
use super::value::Makeup;
use super::{named, shapes};

/// How a form goes on behind what it starts with.
#[derive(Clone, Copy)]
enum Form {
    /// The last argument of a call with so many, in quotes.
    Argument(usize),
    /// A name, and its value.
    Named,
    /// The same, at the start of a line, with a name in capitals.
    Setting,
    /// A user, a sign, and the secret.
    Pair(char),
    /// Words, of which this one, without flags.
    Word(usize),
    /// One word, after a number that says how it is written.
    Typed,
    /// The word before this one.
    Before(&'static str),
    /// The word behind this one.
    Behind(&'static str),
}

/// Forms by the text, in lower case, that starts them.
const FORMS: &[(&str, Form)] = &[
    (" key 0 ", Form::Word(0)),
    (" key 7 ", Form::Word(0)),
    ("-keypass ", Form::Word(0)),
    ("-passin pass:", Form::Word(0)),
    ("-passout pass:", Form::Word(0)),
    ("-server key ", Form::Typed),
    ("-storepass ", Form::Word(0)),
    (".login(", Form::Argument(2)),
    (".password(", Form::Argument(1)),
    ("/pass:", Form::Word(0)),
    ("basicauth(", Form::Argument(2)),
    ("change_password ", Form::Word(1)),
    ("config set ", Form::Named),
    ("config:set ", Form::Named),
    ("configure set ", Form::Named),
    ("credentials: ", Form::Pair('/')),
    ("define(", Form::Named),
    ("enable password ", Form::Typed),
    ("enable secret ", Form::Typed),
    ("env ", Form::Setting),
    ("getconnection(", Form::Argument(3)),
    ("htpasswd -b", Form::Word(2)),
    ("http -a ", Form::Pair(':')),
    ("net use ", Form::Before("/user:")),
    ("new pdo(", Form::Argument(3)),
    ("rabbitmqctl add_user ", Form::Word(1)),
    ("radius-server host", Form::Behind(" key ")),
    ("secret 0 ", Form::Word(0)),
    ("secret 5 ", Form::Word(0)),
    ("setenv ", Form::Named),
    ("setpassword(", Form::Argument(1)),
    ("setx ", Form::Named),
    ("smbclient", Form::Pair('%')),
    ("snmp-server community ", Form::Word(0)),
    ("snmpget", Form::Behind(" -c ")),
    ("snmpwalk", Form::Behind(" -c ")),
    ("sqlplus ", Form::Pair('/')),
    ("withpassword(", Form::Argument(1)),
];

/// Text, in lower case, before which a command gives a secret to another.
const PIPES: &[(&str, bool)] = &[("| chpasswd", true), ("| sudo -s", false)];

/// What stands between two pieces of a text that a program puts together.
const JOINTS: &[&str] = &["\" + \"", "' + '", "\" . \"", "' . '", "\"+\"", "'+'", "\" & \""];

/// Literal text, in any case of its letters, at which a line is worth a look.
pub(super) const TRIGGERS: &[&str] = &[
    "\" & \"",
    "\" + \"",
    "\" . \"",
    "\"+\"",
    "' + '",
    "' . '",
    "'+'",
    " key 0 ",
    " key 7 ",
    " pass:",
    "-keypass ",
    "-server key ",
    "-storepass ",
    ".login(",
    "/pass:",
    "/user:",
    "basicauth(",
    "change_password ",
    "chpasswd",
    "config set ",
    "config:set ",
    "configure set ",
    "credentials: ",
    "define(",
    "enable secret ",
    "env ",
    "getconnection(",
    "htpasswd -b",
    "http -a ",
    "new pdo(",
    "rabbitmqctl",
    "radius-server host",
    "secret 0 ",
    "secret 5 ",
    "setenv ",
    "setx ",
    "smbclient",
    "snmp-server",
    "snmpget",
    "snmpwalk",
    "sqlplus ",
    "sudo -s",
];

/// Which bytes any of these starts with, a bit each.
const STARTS: u128 = {
    let mut starts = 1 << b'|' | 1 << b'"' | 1 << b'\'';
    let mut forms = FORMS;
    while let Some(((start, _), rest)) = forms.split_first() {
        if let Some((first, _)) = start.as_bytes().split_first() {
            starts |= 1 << (*first & 0x7f);
        }
        forms = rest;
    }
    starts
};

/// The first secret of a line.
pub(super) fn judge(text: &str) -> Option<Judged> {
    let mut is_joined = false;
    text.bytes().enumerate().find_map(|(at, byte)| {
        let first = byte.to_ascii_lowercase();
        if first >= 0x80 || STARTS >> first & 1 == 0 {
            return None;
        }
        let near = text.as_bytes().get(at..)?;
        let starts =
            |start: &str| near.get(..start.len()).is_some_and(|near| near.eq_ignore_ascii_case(start.as_bytes()));
        if first == b'|' {
            return PIPES.iter().find(|(pipe, _)| starts(pipe)).and_then(|(_, is_pair)| piped(text, at, *is_pair));
        }
        if matches!(first, b'"' | b'\'') {
            let found = if !is_joined && JOINTS.iter().any(|joint| starts(joint)) { joined(text, at) } else { None };
            is_joined |= JOINTS.iter().any(|joint| starts(joint));
            return found;
        }
        FORMS.iter().filter(|(start, _)| start.as_bytes().first() == Some(&first) && starts(start)).find_map(
            |(start, form)| {
                let end = at + start.len();
                let rest = text.get(end..)?;
                let is_line = at == 0 && rest.starts_with(|first: char| first.is_ascii_uppercase());
                if matches!(form, Form::Setting) && !is_line {
                    return None;
                }
                let judged = go_on(rest.split(['\n', '\r']).next()?, *form)?;
                Some(Judged { end: judged.end + end, start: judged.start + end, ..judged })
            },
        )
    })
}

fn go_on(rest: &str, form: Form) -> Option<Judged> {
    match form {
        Form::Argument(count) => argument(rest, count),
        Form::Named | Form::Setting => named_pair(rest),
        Form::Pair(sign) => pair(rest, sign),
        Form::Word(index) => {
            let (start, word) = words(rest).filter(|(_, word)| !is_flag(word)).nth(index)?;
            chosen(word, start, 80)
        }
        Form::Typed => {
            let mut words = words(rest);
            let (start, word) = words.next()?;
            let is_type = word.len() == 1 && word.bytes().all(|byte| byte.is_ascii_digit());
            let (start, word) = if is_type { words.next()? } else { (start, word) };
            chosen(word, start, 80)
        }
        Form::Before(mark) => {
            let at = rest.to_ascii_lowercase().find(mark)?;
            let (start, word) = words(rest.get(..at)?).last()?;
            if word.starts_with('\\') || word.ends_with(':') { None } else { chosen(word, start, 80) }
        }
        Form::Behind(mark) => {
            let at = rest.to_ascii_lowercase().find(mark)? + mark.len();
            let (start, word) = words(rest.get(at..)?).next()?;
            chosen(word, start + at, 80)
        }
    }
}

/// The words of a line, without quotes, and where they start.
fn words(line: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = line.get(at..)?;
        let start = at + rest.len() - rest.trim_start().len();
        let word = line.get(start..)?;
        let quote = word.chars().next().filter(|one| matches!(one, '"' | '\'')).map_or(' ', |quote| quote);
        let open = start + usize::from(quote != ' ');
        let inner = line.get(open..)?;
        let length = inner.find(quote).unwrap_or(inner.len());
        at = open + length + usize::from(quote != ' ');
        (length > 0).then(|| (open, inner.get(..length).unwrap_or_default()))
    })
}

fn is_flag(word: &str) -> bool {
    word.starts_with('-')
}

/// `NAME value`, `NAME=value` and `'NAME', 'value'`.
fn named_pair(rest: &str) -> Option<Judged> {
    let inner = rest.trim_start_matches([' ', '"', '\'']);
    let skipped = rest.len() - inner.len();
    let length = inner.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')).count();
    let name = inner.get(..length)?;
    let behind = inner.get(length..)?;
    let value = behind.trim_start_matches(['"', '\'', ',', ' ', '=']);
    if name.len() < 3 || value.len() == behind.len() {
        return None;
    }
    let start = skipped + length + behind.len() - value.len();
    let end = value.find(['"', '\'', ' ']).unwrap_or(value.len());
    let name = name.to_ascii_lowercase();
    let name: Vec<&str> = name.split(['_', '-']).filter(|word| !word.is_empty()).take(8).collect();
    let context = Context { name: &name, ..Context::default() };
    let judged = named::judge(value.get(..end)?, &context).filter(|judged| judged.score >= 50)?;
    Some(Judged { end: judged.end + start, start: judged.start + start, ..judged })
}

/// What stands behind `sign` in the first word that has it once and is no place.
fn pair(rest: &str, sign: char) -> Option<Judged> {
    let spaced = rest.split_once(" / ").filter(|(user, _)| sign == '/' && !user.contains(' '));
    if let Some((user, secret)) = spaced {
        let secret = secret.split([' ', ',', '\n', '"']).next()?;
        return made_up(secret, user.len() + 3);
    }
    let (start, word) = words(rest).find(|(_, word)| word.contains(sign) && !word.starts_with(['/', '-']))?;
    let (user, secret) = word.split_once(sign)?;
    let (secret, _) = secret.split_once('@').filter(|_| sign == '/').unwrap_or((secret, ""));
    let is_place = user.is_empty() || secret.contains('/') || user.contains("//");
    if is_place { None } else { chosen(secret, start + user.len() + sign.len_utf8(), 80) }
}

/// The last of `count` arguments in quotes.
fn argument(rest: &str, count: usize) -> Option<Judged> {
    let call = rest.get(..rest.find(");").or_else(|| rest.find(')')).unwrap_or(rest.len()))?;
    let mut start = 0;
    for index in 1.. {
        let left = call.get(start..)?;
        let inner = left.trim_start_matches([' ', ',']);
        start += left.len() - inner.len();
        let quote = inner.chars().next()?;
        let length = if matches!(quote, '"' | '\'' | '`') {
            let length = inner.get(1..)?.find(quote)?;
            if index == count {
                return made_up(inner.get(1..=length)?, start + 1);
            }
            length + 2
        } else {
            inner.find(',')?
        };
        if index >= count {
            break;
        }
        start += length;
    }
    None
}

/// What nobody writes for anything but a secret, or a long word.
fn made_up(value: &str, start: usize) -> Option<Judged> {
    let made = Makeup::of(value);
    let is_one = made.spaces == 0 && (made.digits + made.marks > 0 || value.len() >= 8);
    if is_one { chosen(value, start, 78) } else { None }
}

/// What a command before the pipe at `at` gives to the one behind it.
fn piped(text: &str, at: usize, is_pair: bool) -> Option<Judged> {
    let before = text.get(..at)?;
    let from = before.rfind("echo ")? + "echo ".len();
    let (start, word) = words(before.get(from..)?).find(|(_, word)| !is_flag(word))?;
    let skipped = if is_pair { word.find(':')? + 1 } else { 0 };
    chosen(word.get(skipped..)?, from + start + skipped, 80)
}

/// A token with its maker's mark, in pieces, of which the first ends at `first`.
fn joined(text: &str, first: usize) -> Option<Judged> {
    let quote = text.get(first..)?.chars().next()?;
    let start = text.get(..first)?.rfind(quote)? + 1;
    let mut whole = String::new();
    let mut end = start;
    loop {
        let rest = text.get(end..)?;
        let length = rest.find(quote)?;
        whole.push_str(rest.get(..length)?);
        end += length;
        let next = text.get(end..)?;
        let Some(joint) = JOINTS.iter().find(|joint| next.starts_with(**joint)) else { break };
        end += joint.len();
        if whole.len() > PIECED_BYTES_MAX {
            return None;
        }
    }
    let judged = shapes::judge(&whole).filter(|judged| judged.score >= 80)?;
    Some(Judged { end, kind: judged.kind, score: judged.score, start })
}

/// The longest token in pieces.
const PIECED_BYTES_MAX: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_has_its_trigger() {
        let forms = FORMS.iter().map(|(start, form)| if let Form::Before(mark) = form { *mark } else { *start });
        let starts = forms.chain(PIPES.iter().map(|(start, _)| *start)).chain(JOINTS.iter().copied());
        for start in starts {
            let is_there = TRIGGERS.iter().chain(super::super::TRIGGERS).any(|trigger| start.contains(trigger));
            assert!(is_there || start.contains("password"), "{start}");
        }
    }

    #[test]
    fn forms_give_their_secrets() {
        for (text, expected) in [
            ("setenv DB_PASSWORD Blue-Kite42", Some("Blue-Kite42")),
            ("define('DB_PASSWORD', 'kite#flies');", Some("kite#flies")),
            ("ENV API_KEY kQ9vT2mZ7Rw4bLs8", Some("kQ9vT2mZ7Rw4bLs8")),
            ("snmp-server community kiteflies RO", Some("kiteflies")),
            ("snmpwalk -v2c -c kiteflies 10.0.0.1", Some("kiteflies")),
            ("enable secret 0 Kite42!", Some("Kite42!")),
            ("radius-server host 10.0.0.9 key Kite42!", Some("Kite42!")),
            ("echo Kite42! | sudo -S id", Some("Kite42!")),
            ("echo \"ann:Kite42!\" | chpasswd", Some("Kite42!")),
            ("htpasswd -b file ann Kite42!", Some("Kite42!")),
            ("net use Z: \\\\fs\\share Kite42! /user:ann", Some("Kite42!")),
            ("smbclient //fs/share -U 'ann%Kite42!'", Some("Kite42!")),
            ("sqlplus ann/Kite42@db", Some("Kite42")),
            ("http -a ann:Kite42! GET host.test", Some("Kite42!")),
            ("ds.setPassword(\"Kite42!\");", Some("Kite42!")),
            ("DriverManager.getConnection(url, \"ann\", \"Kite42!\");", Some("Kite42!")),
            ("new PDO('mysql:host=db', 'ann', 'Kite42!');", Some("Kite42!")),
            ("t = 'gl' + 'pat-' + 'aB3xY9Qzk8vT2mZ7Rw4b'", Some("gl' + 'pat-' + 'aB3xY9Qzk8vT2mZ7Rw4b")),
            ("setenv PATH /usr/bin:/bin", None),
            ("define('DEBUG', 'true');", None),
            ("ds.setPassword(password);", None),
            ("field.setPassword(\"Password\");", None),
            ("let s = \"a \" + \"b\";", None),
            ("config set theme dark", None),
            ("echo done | sudo tee x", None),
        ] {
            let found = judge(text).and_then(|judged| text.get(judged.start..judged.end));
            assert_eq!(found, expected, "{text}");
        }
    }
}
