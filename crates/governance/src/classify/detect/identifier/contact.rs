//! How persons are reached, who they are, and what they carry: by names and words, and by shapes that nothing else has.

use super::super::judge::{Class, Context, Judged, Kind};
use super::Makeup;
use super::check::{is_date, luhn};
use super::sort::{Sort, Speaks, sorts, speaks, unproved};

pub(super) const SORTS: &[Sort] = sorts! { Pii:
    "imei" "9" 15..15 95 0 luhn, &["imei", "handset", "imei number", "imei1", "imei2"];
    "imsi" "9" 14..15 86 0 unproved, &["imsi"];
    "iccid" "89" 18..20 94 0 iccid, &["iccid", "sim", "sim card", "sim card number", "sim number", "simcard"];
    "vin" "*" 17..17 92 0 vin, &["vin", "vehicle identification", "chassis", "vehicle id", "vehicle identification number", "chassis number"];
    "license_plate" "*" 4..9 80 0 mixed, &["plate", "license plate", "licence plate", "number plate", "registration number", "kennzeichen", "matricula", "registration plate", "plate number", "vehicle registration", "nummernschild", "immatriculation", "matrícula", "targa", "reg number", "kfz kennzeichen"];
    "passport" "*" 6..10 84 0 passport, &["passport", "passport number", "passport no", "passnummer", "reisepass", "passeport", "pasaporte", "passaporto", "travel document", "reisepassnummer", "reisepass nr", "passportnummer", "numero passeport", "numéro passeport", "numero pasaporte", "numero de pasaporte", "travel document number", "护照号", "护照号码", "パスポート番号", "旅券番号", "여권번호", "паспорт", "paszport", "passi", "pass nummer", "travel doc"];
    "driver_license" "*" 5..16 81 0 has_digits, &["driver license", "driving licence", "drivers license", "license number", "licence number", "fuhrerschein", "führerschein", "führerscheinnummer", "permis de conduire", "rijbewijs", "licencia de conducir", "patente di guida", "licence", "dl number"];
    "tax_id" "*" 8..14 80 0 has_digits, &["tax id", "taxid", "tin", "tax number", "taxpayer id", "tax identification", "taxpayer"];
    "national_id" "*" 6..18 80 0 has_digits, &["national id", "nationalid", "personal id", "identity number", "citizen id", "personal number", "id card", "identity card", "identification number", "id number", "resident number", "identity document", "id document", "document number", "identifikationsnummer", "personnel number", "carte identite", "carte d identité", "dowód osobisty", "dowod osobisty"];
};

fn has_digits(text: &str) -> bool {
    text.bytes().filter(u8::is_ascii_digit).count() * 2 >= text.len()
}

/// Half of it digits, or as long as machines read it, with at least one.
fn passport(text: &str) -> bool {
    has_digits(text) || matches!(text.len(), 8 | 9) && text.bytes().any(|byte| byte.is_ascii_digit())
}

fn mixed(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_digit()) && text.bytes().any(|byte| byte.is_ascii_uppercase())
}

fn iccid(text: &str) -> bool {
    text.len() >= 19 || luhn(text)
}

/// ISO 3779, with the check digit of North America where the ninth place is one.
fn vin(text: &str) -> bool {
    !text.contains(['I', 'O', 'Q']) && mixed(text) && text.bytes().skip(13).all(|byte| byte.is_ascii_digit())
}

const EMAIL: Kind = Kind { class: Class::Pii, name: "email" };
const PHONE: Kind = Kind { class: Class::Pii, name: "phone" };
const IP: Kind = Kind { class: Class::Pii, name: "ip_address" };
const MAC: Kind = Kind { class: Class::Pii, name: "mac_address" };
const BIRTH: Kind = Kind { class: Class::Pii, name: "date_of_birth" };
const ADVERTISING: Kind = Kind { class: Class::Pii, name: "advertising_id" };
const PERSON: Kind = Kind { class: Class::Pii, name: "person" };
const ADDRESS: Kind = Kind { class: Class::Pii, name: "street_address" };
const POSTCODE: Kind = Kind { class: Class::Pii, name: "postal_code" };

const PHONE_WORDS: &[&str] = &[
    "phone",
    "tel",
    "telephone",
    "mobile",
    "cell",
    "fax",
    "telefon",
    "handy",
    "mobil",
    "telefono",
    "whatsapp",
    "call",
    "phonenumber",
    "msisdn",
    "cellphone",
    "rufnummer",
    "telefone",
    "celular",
    "contact number",
    "sms",
    "telefonnummer",
    "handynummer",
    "handynr",
    "mobilnummer",
    "téléphone",
    "teléfono",
    "telepono",
    "portable",
    "móvil",
    "movil",
    "telefoonnummer",
    "gsm",
    "puhelin",
    "puhelinnumero",
    "telefonszám",
    "手机号",
    "手机号码",
    "电话",
    "電話",
    "電話番号",
    "携帯電話",
    "전화번호",
    "휴대폰",
    "телефон",
    "телефон",
    "phone no",
    "contact phone",
    "answering",
    "dial",
    "reach me",
    "reach us",
];

const IP_WORDS: &[&str] = &[
    "ip",
    "ip address",
    "ipaddress",
    "remote addr",
    "client ip",
    "host",
    "addr",
    "ipv4",
    "ipv6",
    "peer",
    "source ip",
    "src ip",
    "dest ip",
    "destination ip",
    "last login ip",
    "ip addr",
    "from",
];

const MAC_WORDS: &[&str] = &[
    "mac",
    "mac address",
    "macaddress",
    "hwaddr",
    "bssid",
    "ethernet",
    "physical address",
    "hardware address",
    "wifi mac",
    "macs",
    "mac addr",
    "macaddr",
    "ether",
    "lladdr",
    "device mac",
];

const BIRTH_WORDS: &[&str] = &[
    "dob",
    "birth",
    "date of birth",
    "birthdate",
    "birthday",
    "dateofbirth",
    "born",
    "geburtsdatum",
    "geboren",
    "naissance",
    "nacimiento",
    "nascita",
    "nascimento",
    "date naissance",
    "fecha nacimiento",
    "geburtstag",
    "födelsedatum",
    "geboortedatum",
    "data urodzenia",
    "生年月日",
    "出生日期",
    "생년월일",
    "fødselsdato",
    "birth date",
];

const ADVERTISING_WORDS: &[&str] = &["idfa", "gaid", "aaid", "adid", "advertising id", "advertising identifier"];

const PERSON_WORDS: &[&str] = &[
    "first name",
    "firstname",
    "last name",
    "lastname",
    "full name",
    "fullname",
    "given name",
    "family name",
    "surname",
    "forename",
    "patient name",
    "patient",
    "customer name",
    "cardholder",
    "cardholder name",
    "account holder",
    "holder name",
    "employee name",
    "vorname",
    "nachname",
    "maiden name",
    "legal name",
    "beneficiary name",
    "contact name",
    "contact person",
    "display name",
    "name on card",
    "holder",
];

const STREET_WORDS: &[&str] = &[
    "street",
    "street address",
    "address",
    "address line",
    "addressline",
    "line1",
    "address1",
    "shipping address",
    "billing address",
    "home address",
    "adresse",
    "strasse",
    "direccion",
    "indirizzo",
    "mailing address",
    "straße",
    "street name",
    "address2",
    "line2",
    "address line 1",
    "address line 2",
    "addressline1",
    "addressline2",
    "rue",
    "calle",
    "residence",
    "addr",
];

const CODE_WORDS: &[&str] = &[
    "zip",
    "zip code",
    "zipcode",
    "postal code",
    "postalcode",
    "postcode",
    "plz",
    "code postal",
    "postleitzahl",
    "cep",
    "codigo postal",
    "zip4",
    "post code",
    "postal",
];

/// All words that speak for one of these.
pub(super) const PHRASES: [&[&str]; 8] =
    [ADVERTISING_WORDS, PHONE_WORDS, IP_WORDS, MAC_WORDS, BIRTH_WORDS, PERSON_WORDS, STREET_WORDS, CODE_WORDS];

/// The surest of what `value` is, of these. Its makeup says which of them it may be.
pub(super) fn judge(value: &str, makeup: &Makeup, context: &Context<'_>) -> Option<Judged> {
    let is_number = makeup.letters == 0 && makeup.at_signs + makeup.colons == 0;
    let is_spoken_for = !context.is_empty();
    let is_named = !context.name.is_empty();
    let mut best: Option<Judged> = None;
    let mut ask = |may_be: bool, judge: fn(&str, &Context<'_>) -> Option<Judged>| {
        let judged = if may_be { judge(value, context) } else { None };
        if judged.is_some_and(|judged| best.is_none_or(|best| judged.score >= best.score)) {
            best = judged;
        }
    };
    ask(makeup.at_signs > 0, email);
    ask((14..=23).contains(&value.len()) && makeup.digits + makeup.letters >= 12, mac);
    ask(makeup.dots == 3 || makeup.colons >= 2, ip);
    ask(is_number && (6..=15).contains(&makeup.digits), phone);
    ask(is_spoken_for && (8..=10).contains(&value.len()) && makeup.digits >= 4, birth);
    ask(is_spoken_for && value.len() == 36, advertising);
    ask(is_named && makeup.digits == 0 && makeup.at_signs + makeup.colons == 0, person);
    ask(is_named && makeup.digits > 0, address);
    best
}

fn whole(value: &str, kind: &'static Kind, score: u8) -> Judged {
    Judged { end: value.len(), kind, score, start: 0 }
}

fn email(value: &str, _: &Context<'_>) -> Option<Judged> {
    let at = value.find('@')?;
    let (before, after) = (value.get(..at)?, value.get(at + 1..)?);
    // Who comes to a place is no address of mail.
    if before.rsplit_once("://").is_some_and(|(_, user)| !user.contains('/')) {
        return None;
    }
    let is_local = |byte: &u8| byte.is_ascii_alphanumeric() || b"._%+-'!#$&*/=?^{|}~".contains(byte) || *byte >= 0x80;
    let local = before.bytes().rev().take_while(is_local).count();
    let is_domain = |byte: &u8| byte.is_ascii_alphanumeric() || b".-".contains(byte) || *byte >= 0x80;
    let length = after.bytes().take_while(is_domain).count();
    let domain = after.get(..length)?.trim_end_matches(['.', '-']);
    let local =
        before.get(before.len() - local..)?.trim_start_matches(['.', '\'', '/', '=', '-', '*', '|', '{', '&', '?']);
    let (host, top) = domain.rsplit_once('.')?;
    let is_named = !host.is_empty() && !host.starts_with(['-', '.']) && !host.contains("..");
    let is_top = (2..=24).contains(&top.len()) && top.bytes().all(|byte| byte.is_ascii_alphabetic() || byte >= 0x80);
    let is_file = matches!(
        top,
        "png" | "jpg" | "jpeg" | "svg" | "gif" | "js" | "ts" | "css" | "json" | "md" | "rs" | "toml" | "invalid"
    );
    let is_sound = !local.is_empty() && local.len() <= 64 && !local.contains("..") && !local.ends_with('.');
    if !(is_sound && is_named && is_top && !is_file)
        || local.bytes().all(|byte| byte.is_ascii_digit() && local.len() < 2)
    {
        return None;
    }
    let is_role = matches!(local, "git" | "example" | "noreply" | "no-reply" | "root" | "ubuntu" | "ec2-user")
        || matches!(domain, "example.com" | "example.org" | "example.net");
    let start = at - local.len();
    Some(Judged { end: at + 1 + domain.len(), kind: &EMAIL, score: if is_role { 40 } else { 92 }, start })
}

fn phone(value: &str, context: &Context<'_>) -> Option<Judged> {
    let text = value.trim_end_matches([' ', '.', ',']);
    let is_part = |letter: char| letter.is_ascii_digit() || matches!(letter, '+' | ' ' | '-' | '.' | '(' | ')' | '/');
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    if !text.chars().all(is_part) || !(6..=15).contains(&digits) || text.len() > digits * 2 || text.contains("--") {
        return None;
    }
    let speaks = speaks(context, PHONE_WORDS);
    // What is sent to one is none.
    if digits < 9 && context.name.contains(&"code") {
        return None;
    }
    let is_international = text.starts_with('+') && digits >= 8 && !text.starts_with("+0");
    let is_date_like = text.starts_with("20") && text.get(4..5) == Some("-");
    let score = match (speaks, is_international) {
        (Speaks::Name | Speaks::Around, _) => 88,
        (Speaks::Words, _) if !is_date_like => 80,
        _ if digits < 7 => return None,
        (Speaks::Nothing, true) if digits >= 9 => 72,
        _ if is_grouped(text) => 60,
        _ => return None,
    };
    Some(Judged { end: text.len(), kind: &PHONE, score, start: 0 })
}

/// `(415) 555-0132` and `415-555-0132`, which little else is written like.
fn is_grouped(text: &str) -> bool {
    let form: String = text.chars().map(|letter| if letter.is_ascii_digit() { '9' } else { letter }).collect();
    let is_form = matches!(&*form, "(999) 999-9999" | "(999)999-9999" | "999-999-9999" | "1-999-999-9999");
    is_form && !text.trim_start_matches(['(', '1', '-']).starts_with(['0', '1'])
}

fn ip(value: &str, context: &Context<'_>) -> Option<Judged> {
    const AGAINST: &[&str] = &["version", "ver", "release", "v", "build", "section", "oid"];
    let is_dotted = value.bytes().filter(|byte| *byte == b'.').count() == 3;
    let is_colons = value.bytes().filter(|byte| *byte == b':').count() >= 2;
    if !(is_dotted || is_colons) || value.len() > 49 {
        return None;
    }
    let value =
        value.split_once('/').filter(|(_, bits)| bits.parse::<u8>().is_ok()).map_or(value, |(address, _)| address);
    let speaks_for = speaks(context, IP_WORDS);
    let is_named = speaks_for != Speaks::Nothing;
    let heard = if speaks_for == Speaks::Name { named(context) } else { *context };
    if value.len() < 2 || value.len() > 45 || speaks(&heard, AGAINST) != Speaks::Nothing {
        return None;
    }
    if value.parse::<core::net::Ipv4Addr>().is_ok_and(|ip| !ip.is_unspecified() && !ip.is_loopback()) {
        // Four small numbers are mostly a version.
        let is_large =
            value.split('.').any(|part| part.len() == 3) && value.split('.').filter(|part| part.len() > 1).count() > 1;
        return (is_named || is_large).then(|| whole(value, &IP, if is_named { 88 } else { 62 }));
    }
    let is_six = value.matches(':').count() >= 2
        && value.parse::<core::net::Ipv6Addr>().is_ok_and(|ip| !ip.is_unspecified() && !ip.is_loopback());
    let is_group = |part: &str| part.len() >= 3 && part.bytes().any(|byte| byte.is_ascii_digit());
    let is_long = value.matches(':').count() >= 4 || (value.len() > 7 && value.split(':').any(is_group));
    (is_six && (is_named || is_long)).then(|| whole(value, &IP, if is_named { 88 } else { 66 }))
}

fn mac(value: &str, context: &Context<'_>) -> Option<Judged> {
    let separator = value.chars().find(|letter| !letter.is_ascii_hexdigit());
    let parts: Vec<&str> = match separator {
        Some(separator @ (':' | '-' | '.')) => value.split(separator).collect(),
        _ => return None,
    };
    let lengths = matches!(parts.len(), 6 | 8) && parts.iter().all(|part| part.len() == 2);
    let dotted = parts.len() == 3 && parts.iter().all(|part| part.len() == 4) && separator == Some('.');
    let is_hex = parts.iter().all(|part| part.bytes().all(|byte| byte.is_ascii_hexdigit()));
    if !is_hex || !(lengths || dotted) {
        return None;
    }
    let is_named = speaks(context, MAC_WORDS) != Speaks::Nothing;
    let is_plain = parts.iter().all(|part| part.bytes().all(|byte| byte == b'0'))
        || (!is_named && value.eq_ignore_ascii_case("ff:ff:ff:ff:ff:ff"));
    let has_letter = value.bytes().any(|byte| byte.is_ascii_alphabetic());
    ((lengths || is_named) && !is_plain && (has_letter || is_named))
        .then(|| whole(value, &MAC, if is_named { 92 } else { 75 }))
}

fn advertising(value: &str, context: &Context<'_>) -> Option<Judged> {
    let is_id = value.bytes().enumerate().all(|(place, byte)| match place {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    });
    let is_set = value.bytes().any(|byte| !matches!(byte, b'0' | b'-'));
    (is_id && is_set && speaks(context, ADVERTISING_WORDS) != Speaks::Nothing).then(|| whole(value, &ADVERTISING, 84))
}

/// The names alone.
fn named<'c>(context: &Context<'c>) -> Context<'c> {
    Context { before: &[], after: &[], names_around: &[], ..*context }
}

fn birth(value: &str, context: &Context<'_>) -> Option<Judged> {
    let parts: Vec<u32> = value.split(['-', '/', '.']).map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let is = match parts.as_slice() {
        [year, month, day] if *year > 1_000 => is_date(*year, *month, *day),
        [one, two, year] => is_date(*year, *one, *two) || is_date(*year, *two, *one),
        _ => false,
    };
    (is && speaks(context, BIRTH_WORDS) != Speaks::Nothing).then(|| whole(value, &BIRTH, 86))
}

fn person(value: &str, context: &Context<'_>) -> Option<Judged> {
    let is_shaped =
        value.len() <= 60 && !value.bytes().any(|byte| byte.is_ascii_digit()) && value.chars().any(char::is_uppercase);
    if !is_shaped || context.name.is_empty() || !matches!(speaks(&named(context), PERSON_WORDS), Speaks::Name) {
        return None;
    }
    let words: Vec<&str> = value.split(' ').collect();
    let is_name = |word: &&str| {
        let mut letters = word.chars();
        letters.next().is_some_and(char::is_uppercase)
            && letters.all(|letter| letter.is_alphabetic() || matches!(letter, '-' | '\'' | '.'))
    };
    let is_word = |word: &&str| {
        is_name(word) || matches!(*word, "van" | "von" | "de" | "der" | "la" | "del" | "bin" | "al" | "di" | "da")
    };
    ((1..=5).contains(&words.len()) && words.iter().any(is_name) && words.iter().all(is_word))
        .then(|| whole(value, &PERSON, 78))
}

fn address(value: &str, context: &Context<'_>) -> Option<Judged> {
    const ENDS: &[&str] = &[
        "street",
        "st",
        "avenue",
        "ave",
        "road",
        "rd",
        "lane",
        "ln",
        "drive",
        "dr",
        "boulevard",
        "blvd",
        "court",
        "way",
        "place",
        "square",
        "strasse",
        "straße",
        "weg",
        "platz",
        "allee",
        "rue",
        "via",
        "calle",
        "plaza",
        "suite",
        "apt",
    ];
    let has_digit = value.bytes().any(|byte| byte.is_ascii_digit());
    if value.len() > 120 || !has_digit || context.name.is_empty() {
        return None;
    }
    let named = named(context);
    if has_digit
        && (4..=10).contains(&value.len())
        && speaks(&named, CODE_WORDS) == Speaks::Name
        && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b' ' || byte == b'-')
    {
        return Some(whole(value, &POSTCODE, 80));
    }
    if speaks(&named, STREET_WORDS) != Speaks::Name {
        return None;
    }
    let words: Vec<String> =
        value.split([' ', ',', '.']).filter(|word| !word.is_empty()).map(str::to_lowercase).collect();
    let has_letters = value.chars().any(char::is_alphabetic);
    let is_street = words.iter().any(|word| {
        ENDS.contains(&word.as_str())
            || word.ends_with("straße")
            || word.ends_with("strasse")
            || word.ends_with("weg")
            || word.ends_with("platz")
            || word.ends_with("gasse")
            || word.ends_with("straat")
    });
    let is_web = value.contains("://") || value.contains('@') || value.contains('=');
    (has_letters && words.len() >= 2 && !is_web && (is_street || words.len() >= 3)).then(|| whole(value, &ADDRESS, 78))
}
