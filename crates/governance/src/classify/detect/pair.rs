//! Values whose name is a value itself, anywhere in their object: `{"type":"ssn","verified":true,"value":"…"}`; and answers, whose name is the question before them.

use std::ops::Range;

use super::bytes::{at, before, part};
use super::masks::{BLOCK, brackets};

/// How far from a value its name may be.
pub(super) const OBJECT_BYTES: usize = 320;

/// The longest text that is a value.
const TEXT_BYTES: usize = 128;

/// The most members of an object that are looked at.
const MEMBERS: usize = 12;

/// How far before an answer its question may start.
const QUESTION_BYTES: usize = 200;

/// The longest part of a question that is a name.
const ASKED_BYTES: usize = 64;

/// How much may stand between a question and the name of who answers.
const SPEAKER_BYTES: usize = 40;

/// What a value may be the value of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Label {
    pub(super) range: Range<usize>,
    /// Whether it may be the name of a secret.
    pub(super) of_secrets: bool,
}

/// How sure a name of a value says that there is a name of it in another member.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Second {
    /// `value`: that is all that it can mean.
    Value,
    /// `text`: that may be many things.
    Text,
}

/// Names of what has its own name in another member.
const VALUES: &[&str] = &[
    "actual",
    "answer",
    "answervalue",
    "attributevalue",
    "cellvalue",
    "configvalue",
    "current",
    "currentvalue",
    "data",
    "defaultvalue",
    "displayvalue",
    "envvalue",
    "eq",
    "equals",
    "expected",
    "fieldcontent",
    "fieldvalue",
    "input",
    "literal",
    "metavalue",
    "new",
    "newvalue",
    "old",
    "oldvalue",
    "operand",
    "optionvalue",
    "parametervalue",
    "plaintext",
    "plainvalue",
    "propertyvalue",
    "response",
    "settingvalue",
    "stringvalue",
    "tagvalue",
    "to",
    "tostring",
    "v",
    "val",
    "value",
    "valuestring",
    "variablevalue",
];

/// The same, which mostly are no values of anything.
const TEXTS: &[&str] = &["content", "text"];

/// Names whose values are names of the other member.
const NAMES: &[&str] = &[
    "arg",
    "argument",
    "attribute",
    "attributename",
    "attrname",
    "caption",
    "claim",
    "claimtype",
    "column",
    "columnid",
    "columnname",
    "columntitle",
    "configkey",
    "configname",
    "control",
    "customfield",
    "customfieldname",
    "displayname",
    "element",
    "env",
    "envname",
    "envvar",
    "field",
    "fieldcode",
    "fieldid",
    "fieldkey",
    "fieldlabel",
    "fieldname",
    "fieldref",
    "header",
    "headername",
    "heading",
    "id",
    "inputid",
    "inputlabel",
    "inputname",
    "item",
    "k",
    "key",
    "keyname",
    "label",
    "locator",
    "metakey",
    "n",
    "name",
    "optionname",
    "param",
    "parameter",
    "parameterkey",
    "parametername",
    "paramname",
    "placeholder",
    "prompt",
    "prop",
    "property",
    "propertyname",
    "propname",
    "question",
    "selector",
    "setting",
    "settingname",
    "tagkey",
    "target",
    "term",
    "variable",
    "variablename",
    "varname",
];

/// The same, of which the name is only a sort.
const SORTS: &[&str] = &[
    "code",
    "documenttype",
    "identifiertype",
    "idtype",
    "kind",
    "path",
    "scheme",
    "system",
    "title",
    "type",
    "typename",
];

/// Words that make a name worth a look for another member, or for names in its list.
pub(super) const WORDS: &[&str] = &[
    "answer",
    "args",
    "argv",
    "attributes",
    "bindings",
    "binds",
    "cmd",
    "command",
    "content",
    "cookies",
    "current",
    "entries",
    "entrypoint",
    "eq",
    "equals",
    "expected",
    "fields",
    "form",
    "header",
    "headers",
    "input",
    "metadata",
    "new",
    "old",
    "pairs",
    "params",
    "parameters",
    "properties",
    "rawheaders",
    "response",
    "tags",
    "text",
    "to",
    "val",
];

/// How much of a list is looked at for names and their values.
const LIST_BYTES: usize = 4 * 1024;

/// The most names of a list.
const LISTED: usize = 32;

/// The names and values of the list behind `from`, which is the value of the member `name`: `[["X-Pin","…"]]`, `["--pin","…"]`, and of headers also `["X-Pin","…"]`.
pub(super) fn listed(text: &[u8], from: usize, name: &[u8]) -> Vec<(Range<usize>, Range<usize>)> {
    let mut found = Vec::new();
    let mut place = spaces(text, from, |byte| byte.is_ascii_whitespace());
    if at(text, place) != b'[' {
        return found;
    }
    place += 1;
    let is_of_headers = name.to_ascii_lowercase().ends_with(b"headers");
    let is_between = |byte: u8| byte.is_ascii_whitespace() || byte == b',';
    let mut last: Option<Range<usize>> = None;
    while found.len() < LISTED && place - from < LIST_BYTES {
        place = spaces(text, place, is_between);
        let is_pair = at(text, place) == b'[';
        let open = if is_pair { spaces(text, place + 1, |byte| byte.is_ascii_whitespace()) } else { place };
        if at(text, open) != b'"' {
            break;
        }
        let Some(close) = closing(text, open + 1) else { break };
        let first = open + 1..close;
        place = close + 1;
        if is_pair {
            let open = spaces(text, place, is_between);
            let Some(close) = closing(text, open + 1).filter(|_| at(text, open) == b'"') else { break };
            let end = spaces(text, close + 1, |byte| byte.is_ascii_whitespace());
            if at(text, end) != b']' {
                break;
            }
            found.push((first, open + 1..close));
            place = end + 1;
            continue;
        }
        let is_flag = |name: &Range<usize>| part(text, name.start, name.end).starts_with(b"--");
        last = match last {
            Some(name) if is_of_headers || is_flag(&name) && at(text, first.start) != b'-' => {
                found.push((name, first));
                None
            }
            _ => Some(first),
        };
    }
    found
}

/// Whether the value of a name may be called by another value.
pub(super) fn may_be_called(name: &[u8]) -> bool {
    second(name).is_some() || ANSWERS.contains(&name) || name.eq_ignore_ascii_case(b"content-disposition")
}

fn second(name: &[u8]) -> Option<Second> {
    let plain = Plain::of(name)?;
    match plain.text() {
        text if VALUES.contains(&text) => Some(Second::Value),
        text if TEXTS.contains(&text) => Some(Second::Text),
        _ => None,
    }
}

/// A short name in lower case without what stands between its words.
struct Plain {
    bytes: [u8; 16],
    length: usize,
}

impl Plain {
    fn of(name: &[u8]) -> Option<Self> {
        let mut plain = Self { bytes: [0; 16], length: 0 };
        for byte in name.iter().filter(|byte| !matches!(byte, b'_' | b'-' | b' ')) {
            *plain.bytes.get_mut(plain.length)? = byte.to_ascii_lowercase();
            plain.length += 1;
        }
        Some(plain)
    }

    fn text(&self) -> &str {
        super::bytes::text(part(&self.bytes, 0, self.length))
    }
}

/// What the value of the member with the name at `name` may be called by other members of its object: those before it, else those behind it.
pub(super) fn labels(text: &[u8], name: &Range<usize>) -> Vec<Label> {
    let Some(second) = second(part(text, name.start, name.end)) else { return Vec::new() };
    let Some(quote) = name.start.checked_sub(1).filter(|quote| at(text, *quote) == b'"') else { return Vec::new() };
    // What is called otherwise is short.
    let value = spaces(text, name.end + 2, |byte| byte.is_ascii_whitespace());
    if second == Second::Text
        && (at(text, value) != b'"' || memchr::memchr(b'"', part(text, value + 1, value + 1 + TEXT_BYTES)).is_none())
    {
        return Vec::new();
    }
    let mut found = object(text, quote).map_or_else(Vec::new, |open| {
        let found = members(text, open, quote, second);
        if !found.is_empty() {
            return found;
        }
        // What holds the value may stand beside its name: `{"name":"pin","payload":{"data":"…"}}`.
        let holder = held(text, open - 1).filter(|holder| {
            let is_value = part(text, holder.start, holder.end).to_ascii_lowercase().starts_with(b"value");
            at(text, holder.start - 1) == b'"' && (is_value || second == Second::Value)
        });
        let around = holder.and_then(|holder| Some((object(text, holder.start - 1)?, holder.start - 1)));
        around.map_or(found, |(open, quote)| members(text, open, quote, Second::Value))
    });
    if found.is_empty()
        && second == Second::Value
        && let Some(end) = behind_member(text, name.end + 1)
    {
        found = members(text, end, end + OBJECT_BYTES, second);
    }
    found
}

/// The name of the object whose bracket is at `open`, where it says that it holds something.
fn held(text: &[u8], open: usize) -> Option<Range<usize>> {
    const HOLDERS: &[&str] = &["content", "data", "item", "payload", "secret", "spec", "value", "valuedetection"];
    let from = open.saturating_sub(ASKED_BYTES);
    let before = part(text, from, open).trim_ascii_end().strip_suffix(b":")?.trim_ascii_end().strip_suffix(b"\"")?;
    let start = memchr::memrchr(b'"', before)? + 1;
    let plain = Plain::of(part(before, start, before.len()))?;
    HOLDERS.contains(&plain.text()).then_some(from + start..from + before.len())
}

/// Behind the bracket of the object that the member is in whose name starts at `place`.
fn object(text: &[u8], place: usize) -> Option<usize> {
    let from = place.saturating_sub(OBJECT_BYTES);
    let mut depth = 0_u32;
    let mut upto = place;
    while upto > from {
        let block = upto.saturating_sub(BLOCK).max(from);
        let mut left = brackets(text, block) & u64::MAX >> (BLOCK - (upto - block));
        upto = block;
        while let Some(bit) = left.checked_ilog2() {
            left ^= 1 << bit;
            let open = block + bit as usize;
            match at(text, open) {
                b'}' | b']' => depth += 1,
                b'{' if depth == 0 => return Some(open + 1),
                _ if depth == 0 => return None,
                _ => depth -= 1,
            }
        }
    }
    None
}

/// The names that members from `from` to `to` have for another.
fn members(text: &[u8], from: usize, to: usize, second: Second) -> Vec<Label> {
    let mut found = Vec::new();
    let mut place = from;
    for _ in 0..MEMBERS {
        place = spaces(text, place, |byte| byte.is_ascii_whitespace() || byte == b',');
        if place >= to || at(text, place) != b'"' {
            break;
        }
        let Some(end) = closing(text, place + 1) else { break };
        let colon = spaces(text, end + 1, |byte| byte.is_ascii_whitespace());
        if at(text, colon) != b':' {
            break;
        }
        let mut value = spaces(text, colon + 1, |byte| byte.is_ascii_whitespace());
        // A name may be an object: `{"column":{"title":"pin"},"value":"…"}`.
        if at(text, value) == b'{'
            && let Some((_, range)) = parts(text, value, OF_LABEL).first()
        {
            value = range.start - 1;
        }
        if at(text, value) == b'"'
            && let Some(close) = closing(text, value + 1)
            && let Some(plain) = Plain::of(part(text, place + 1, end))
        {
            let is_name = NAMES.contains(&plain.text());
            let is_sort = second == Second::Value && SORTS.contains(&plain.text()) || plain.text() == "title";
            // Who speaks has a name too.
            let is_speaker = second == Second::Text && plain.text() == "name";
            if close > value + 2 && (is_name || is_sort) && !is_speaker {
                let of_secrets = second == Second::Value || is_name && plain.text() != "id";
                found.push(Label { range: value + 1..close, of_secrets });
            }
        }
        let Some(behind) = behind_member(text, colon) else { break };
        place = behind;
    }
    found
}

/// Behind the value of the member whose `:` is at or behind `from`.
fn behind_member(text: &[u8], from: usize) -> Option<usize> {
    let colon = spaces(text, from, |byte| byte.is_ascii_whitespace());
    let start = spaces(text, colon + 1, |byte| byte.is_ascii_whitespace());
    match at(text, start) {
        b'"' => closing(text, start + 1).map(|close| close + 1),
        b'{' | b'[' => {
            let mut depth = 0_u32;
            for (length, byte) in part(text, start, start + OBJECT_BYTES).iter().enumerate() {
                match byte {
                    b'{' | b'[' => depth += 1,
                    b'}' | b']' if depth == 1 => return Some(start + length + 1),
                    b'}' | b']' => depth -= 1,
                    _ => {}
                }
            }
            None
        }
        _ => {
            let length =
                part(text, start, start + ASKED_BYTES).iter().position(|byte| matches!(byte, b',' | b'}' | b'\n'))?;
            Some(start + length)
        }
    }
}

/// What an object has members for, whose own names say nothing: of a person a name, of an address a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// One line of an address.
    Line,
    /// The name of a person, in one.
    Name,
    /// A part of a name.
    Given,
}

/// Words of names of objects that are persons.
const PERSONS: &[&str] = &[
    "applicant",
    "attendee",
    "beneficiario",
    "beneficiary",
    "borrower",
    "caller",
    "candidate",
    "cardholder",
    "child",
    "citizen",
    "claimant",
    "cliente",
    "contact",
    "cosigner",
    "customer",
    "debtor",
    "declarant",
    "dependant",
    "dependent",
    "doctor",
    "donor",
    "driver",
    "empleado",
    "employee",
    "father",
    "guardian",
    "guest",
    "holder",
    "identity",
    "individual",
    "insured",
    "insuree",
    "kin",
    "kunde",
    "lessee",
    "mitarbeiter",
    "mother",
    "nominee",
    "paciente",
    "parent",
    "passenger",
    "patient",
    "payee",
    "paziente",
    "person",
    "persona",
    "physician",
    "policyholder",
    "practitioner",
    "recipient",
    "requester",
    "resident",
    "sender",
    "signatory",
    "signer",
    "spouse",
    "student",
    "subscriber",
    "taxpayer",
    "tenant_contact",
    "titular",
    "traveler",
    "traveller",
    "victim",
    "witness",
    "worker",
];

/// Names whose object is the address where bills or goods go, with who gets them.
const ADDRESSES: &[&str] = &["address", "addresses", "adresse", "direccion", "endereco", "indirizzo"];

/// What the object with the name at `name`, whose words are `words`, has members for.
pub(super) fn parts_of(words: &[&str]) -> &'static [(&'static str, Part)] {
    const OF_PERSON: &[(&str, Part)] = &[
        ("name", Part::Name),
        ("naam", Part::Name),
        ("nom", Part::Name),
        ("nombre", Part::Name),
        ("nome", Part::Name),
    ];
    const OF_ADDRESS: &[(&str, Part)] = &[
        ("formatted", Part::Line),
        ("full", Part::Line),
        ("line", Part::Line),
        ("lines", Part::Line),
        ("text", Part::Line),
    ];
    match words {
        [.., last] if ADDRESSES.contains(last) => OF_ADDRESS,
        ["billing", "details"]
        | ["personal", "data" | "details" | "info"]
        | ["bill" | "ship", "to"]
        | ["shipping" | "billing"] => OF_PERSON,
        [.., last] if PERSONS.contains(last) || last.strip_suffix('s').is_some_and(|one| PERSONS.contains(&one)) => {
            OF_PERSON
        }
        _ => &[],
    }
}

/// What holds a name in an object of its own.
const OF_LABEL: &[(&str, Part)] = &[
    ("content", Part::Line),
    ("key", Part::Line),
    ("label", Part::Line),
    ("name", Part::Line),
    ("text", Part::Line),
    ("title", Part::Line),
    ("value", Part::Line),
];

/// The given names beside a family name.
pub(super) const BESIDE_FAMILY: &[(&str, Part)] = &[
    ("imie", Part::Given),
    ("imię", Part::Given),
    ("name", Part::Given),
    ("nom", Part::Given),
    ("nombre", Part::Given),
    ("nombres", Part::Given),
    ("nome", Part::Given),
];

/// The members of an object that are these `parts`: the object that starts behind `open`, or the first one of a list.
pub(super) fn parts(text: &[u8], open: usize, parts: &[(&'static str, Part)]) -> Vec<(Part, Range<usize>)> {
    let mut found = Vec::new();
    let mut place = spaces(text, open, |byte| byte.is_ascii_whitespace() || matches!(byte, b'[' | b'{'));
    for _ in 0..MEMBERS {
        place = spaces(text, place, |byte| byte.is_ascii_whitespace() || byte == b',');
        let Some(end) = closing(text, place + 1).filter(|_| at(text, place) == b'"') else { break };
        let value = spaces(text, end + 1, |byte| byte.is_ascii_whitespace() || matches!(byte, b':' | b'['));
        let name = part(text, place + 1, end);
        if let Some((_, part)) = parts.iter().find(|(known, _)| name.eq_ignore_ascii_case(known.as_bytes()))
            && at(text, value) == b'"'
            && let Some(close) = closing(text, value + 1)
        {
            found.push((*part, value + 1..close));
        }
        let Some(behind) = behind_member(text, end + 1) else { break };
        place = behind;
    }
    found
}

/// Behind the bracket of the object that the member with the name at `name` is in.
pub(super) fn object_of(text: &[u8], name: &Range<usize>) -> Option<usize> {
    let quote = name.start.checked_sub(1).filter(|quote| at(text, *quote) == b'"')?;
    object(text, quote)
}

fn closing(text: &[u8], from: usize) -> Option<usize> {
    memchr::memchr(b'"', part(text, from, from + OBJECT_BYTES)).map(|found| from + found)
}

fn spaces(text: &[u8], from: usize, skipped: impl Fn(u8) -> bool) -> usize {
    from + part(text, from, from + ASKED_BYTES).iter().take_while(|byte| skipped(**byte)).count()
}

/// The name and the value of the part of a form whose head is at `from` (RFC 7578).
pub(super) fn form_part(text: &[u8], from: usize) -> Option<(Range<usize>, Range<usize>)> {
    const NAME: &[u8] = b" name=\"";
    let head = part(text, from, from + OBJECT_BYTES);
    let start = memchr::memmem::find(head, NAME)? + NAME.len();
    let length = memchr::memchr(b'"', part(head, start, head.len()))?;
    let body = [&b"\r\n\r\n"[..], b"\n\n"]
        .iter()
        .filter_map(|empty| Some(memchr::memmem::find(head, empty)? + empty.len()))
        .min()
        .filter(|body| *body > start + length)?;
    let end = memchr::memchr2(b'\r', b'\n', part(head, body, head.len())).unwrap_or(head.len() - body);
    Some((from + start..from + start + length, from + body..from + body + end))
}

/// Names of members that may hold an answer.
const ANSWERS: &[&[u8]] = &[b"answer", b"body", b"content", b"message", b"msg", b"text"];

/// The question in the text before the member at `name`: `[{"text":"and the IBAN?"},{"text":"…"}]`.
pub(super) fn asked_before(text: &[u8], name: &Range<usize>) -> Option<Range<usize>> {
    if !ANSWERS.contains(&part(text, name.start, name.end)) {
        return None;
    }
    let from = name.start.saturating_sub(QUESTION_BYTES);
    let before = part(text, from, name.start.saturating_sub(1));
    let mark = memchr::memrchr(b'?', before).filter(|mark| at(before, mark + 1) == b'"')?;
    // In the object before that of the answer, or in its own, and nothing else between.
    let between = part(before, mark + 2, before.len());
    if between.iter().filter(|byte| **byte == b'{').count() > 1
        || between.iter().any(|byte| matches!(byte, b'[' | b'?'))
    {
        return None;
    }
    Some(asked(text, from + mark))
}

/// The question in the line before that of the name at `name`, which is of who answers it.
pub(super) fn asked_above(text: &[u8], name: &Range<usize>) -> Option<Range<usize>> {
    let from = name.start.saturating_sub(SPEAKER_BYTES);
    let newline = from + memchr::memrchr(b'\n', part(text, from, name.start))?;
    let end = if before(text, newline) == b'\r' { newline - 1 } else { newline };
    if before(text, end) != b'?' {
        return None;
    }
    // What stands before the speaker is when it was said, and marks.
    let is_plain = part(text, newline + 1, name.start)
        .iter()
        .all(|byte| !byte.is_ascii_alphabetic() || b"APMTZapm".contains(byte));
    is_plain.then(|| asked(text, end - 1))
}

/// The last words of the question whose mark is at `mark`.
fn asked(text: &[u8], mark: usize) -> Range<usize> {
    let from = mark.saturating_sub(ASKED_BYTES);
    let words = part(text, from, mark);
    let start = words
        .iter()
        .rposition(|byte| matches!(byte, b'.' | b'!' | b'?' | b'"' | b'\n' | b':'))
        .map_or_else(|| words.iter().position(|byte| *byte == b' ').unwrap_or(0), |end| end + 1);
    from + start..mark
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(text: &str, range: &Range<usize>) -> String {
        String::from_utf8_lossy(part(text.as_bytes(), range.start, range.end)).into_owned()
    }

    /// `§` stands before the name of the value.
    fn check(marked: &str, expected: &[&str]) {
        let place = marked.find('§').unwrap();
        let text = marked.replace('§', "");
        let end = place + text.get(place..).unwrap().find('"').unwrap();
        let found: Vec<String> =
            labels(text.as_bytes(), &(place..end)).iter().map(|label| show(&text, &label.range)).collect();
        assert_eq!(found, expected, "{marked}");
    }

    #[test]
    fn a_value_has_its_name_in_another_member() {
        check(r#"{"type":"ssn","verified":true,"§value":"1"}"#, &["ssn"]);
        check(
            r#"{"use":"usual","system":"http://hl7.org/fhir/sid/us-ssn","§value":"1"}"#,
            &["http://hl7.org/fhir/sid/us-ssn"],
        );
        check(r#"{ "field" : "pin", "more": {"a": [1]}, "§newValue": "1" }"#, &["pin"]);
        check(r#"{"§value":"1","id":7,"key":"pin"}"#, &["pin"]);
        check(r#"{"type":"text","§text":"a"}"#, &[]);
        check(r#"{"label":"Passport","§text":"a"}"#, &["Passport"]);
        check(r#"{"key":"a"},{"§value":"b"}"#, &[]);
        check(r#"{"key":"a","list":["§value"]}"#, &[]);
        check(r#"{"name":"pin","payload":{"§data":"1"}}"#, &["pin"]);
        check(r#"{"name":"pin","other":{"§data":"1"}}"#, &[]);
        check(r#"{"column":{"id":7,"title":"pin"},"§value":"1"}"#, &["pin"]);
        check(r#"{"Type":{"Text":"pin"},"ValueDetection":{"§Text":"1"}}"#, &["pin"]);
    }

    #[test]
    fn lists_have_names_and_values() {
        for (text, name, expected) in [
            (r#"[["a","b"], ["X-Pin" , "12"]]"#, "metadata", &[("a", "b"), ("X-Pin", "12")][..]),
            (r#"["run","--pin","12","--quiet","--x"]"#, "args", &[("--pin", "12")]),
            (r#"["Host","a","X-Pin","12"]"#, "rawHeaders", &[("Host", "a"), ("X-Pin", "12")]),
            (r#"["a","b"]"#, "tags", &[]),
            (r#"[["a","b","c"]]"#, "rows", &[]),
            (r#""a""#, "headers", &[]),
        ] {
            let found = listed(text.as_bytes(), 0, name.as_bytes());
            let found: Vec<_> = found.iter().map(|(name, value)| (show(text, name), show(text, value))).collect();
            let found: Vec<_> = found.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn objects_have_parts() {
        let text = r#"{"patient":[{"id":1,"tags":["a"],"name":"Ada B"}]}"#;
        let open = text.find('[').unwrap();
        let found = parts(text.as_bytes(), open, parts_of(&["the", "patient"]));
        let found: Vec<_> = found.iter().map(|(part, range)| (*part, show(text, range))).collect();
        assert_eq!(found, [(Part::Name, "Ada B".to_owned())]);
        let text = r#"{"line":["1 A St"]}"#;
        let found = parts(text.as_bytes(), 0, parts_of(&["address"]));
        assert_eq!(found.first().map(|(_, range)| show(text, range)).as_deref(), Some("1 A St"));
        assert!(parts_of(&["order"]).is_empty());
    }

    #[test]
    fn a_part_of_a_form_has_its_name_in_its_head() {
        let text = "Content-Disposition: form-data; name=\"pin\"\r\nContent-Type: text/plain\r\n\r\n12\r\n--";
        let (name, value) = form_part(text.as_bytes(), 0).unwrap();
        assert_eq!((show(text, &name), show(text, &value)), ("pin".to_owned(), "12".to_owned()));
        assert_eq!(form_part(b"Content-Disposition: attachment", 0), None);
    }

    #[test]
    fn an_answer_has_its_question_for_a_name() {
        let text = r#"[{"by":"a","text":"Hi. And the tax id?"},{"by":"b","text":"1"}]"#;
        let place = text.rfind("text").unwrap();
        let found = asked_before(text.as_bytes(), &(place..place + 4)).map(|range| show(text, &range));
        assert_eq!(found.as_deref(), Some(" And the tax id"));
        let text = "[10:01] ann: what's the tax id?\n[10:02] ben: 1";
        let place = text.find("ben").unwrap();
        let found = asked_above(text.as_bytes(), &(place..place + 3)).map(|range| show(text, &range));
        assert_eq!(found.as_deref(), Some(" what's the tax id"));
        let text = "what?\nsee ben: 1";
        let place = text.find("ben").unwrap();
        assert_eq!(asked_above(text.as_bytes(), &(place..place + 3)), None);
    }
}
