//! How persons are reached, who they are, and what they carry: by names and words, and by shapes that nothing else has.

mod words;

pub(crate) use self::words::NAMED_WORDS;
use self::words::{
    ADVERTISING_WORDS, BIRTH_WORDS, CODE_WORDS, EXPIRY_WORDS, IP_WORDS, MAC_WORDS, MONTHS, PERSON_WORDS, PHONE_WORDS,
    ROAD_WORDS, SOMEONE_WORDS, STREET_WORDS,
};
use super::super::judge::{Class, Context, Judged, Kind};
use super::Makeup;
use super::check::{is_date, luhn};
use super::sort::{Sort, Speaks, sorts, speaks, unproved};

pub(super) const SORTS: &[Sort] = sorts! { Pii:
    "imei" "9" 15..15 95 0 luhn, &["imei", "handset", "imei number", "imei1", "imei2"];
    "imsi" "9" 14..15 86 0 unproved, &["imsi"];
    "device_serial" "*" 8..16 55 0 serial, &["device serial", "device serial number", "serial number", "serial no", "serialnumber", "device sn", "hardware serial", "phone serial", "laptop serial", "imei serial", "asset serial", "seriennummer", "numero de serie", "numero serie", "numéro de série", "serial number device", "chassis serial", "machine serial", "disk serial", "handset serial", "system serial", "bios serial", "asset tag serial"];
    "iccid" "89" 18..20 94 0 iccid, &["iccid", "sim", "sim card", "sim card number", "sim number", "simcard", "sim serial"];
    "vin" "*" 17..17 92 0 vin, &["vin", "vehicle identification", "chassis", "vehicle id", "vehicle identification number", "chassis number", "bastidor", "fahrgestellnummer", "fahrzeug identifizierungsnummer", "numero de chassis", "numéro de châssis", "numero chassis", "telaio", "chassisnummer", "fin", "fin nummer"];
    "license_plate" "*" 4..9 80 0 mixed, &["plate", "license plate", "licence plate", "number plate", "registration number", "kennzeichen", "matricula", "registration plate", "plate number", "vehicle registration", "nummernschild", "immatriculation", "matrícula", "targa", "reg number", "kfz kennzeichen", "placa", "plaque immatriculation", "plaque d immatriculation", "numero de matricula", "vehicle plate", "amtliches kennzeichen"];
    "passport" "*" 6..10 84 0 passport, &["passport", "passport number", "passport no", "passnummer", "reisepass", "passeport", "pasaporte", "passaporto", "travel document", "reisepassnummer", "reisepass nr", "passportnummer", "numero passeport", "numéro passeport", "numero pasaporte", "numero de pasaporte", "travel document number", "护照号", "护照号码", "パスポート番号", "旅券番号", "여권번호", "паспорт", "paszport", "passi", "pass nummer", "travel doc", "numero passaporto", "numero do passaporte", "passaporte", "paspoort", "paspoortnummer", "numero de passeport"];
    "driver_license" "*" 5..16 81 0 licence, &["licencia conducir", "licencia de conduccion", "permiso de conducir", "permiso conducir", "permis conduire", "num licencia", "carta conducao", "carta de conducao", "prawo jazdy", "korkort", "körkort", "dl no", "dl num", "kierowcy", "driver license", "driving licence", "drivers license", "license number", "licence number", "fuhrerschein", "führerschein", "führerscheinnummer", "permis de conduire", "rijbewijs", "licencia de conducir", "patente di guida", "licence", "dl number", "patente", "cnh", "carteira de motorista", "fuhrerscheinnummer", "fuehrerschein", "license no", "driver s license"];
    "tax_id" "*" 8..14 80 0 has_digits, &["tax id", "taxid", "tin", "tax number", "taxpayer id", "tax identification", "taxpayer"];
    "national_id" "a99999999*" 9..10 82 0 numbered, &["alien number", "alien no", "alien registration", "alien registration number", "uscis", "uscis number", "uscis no", "a number", "green card number"];
    "national_id" "99999999*" 8..9 82 0 unproved, &["rg", "registro geral", "numero rg", "rg number", "numero do rg", "carteira de identidade"];
    "national_id" "*" 8..18 79 0 proved, &["ssn", "social security", "social security number", "insurance number", "sin", "nin", "nif", "rut", "fiscal code", "citizen number", "government id", "government id number", "govt id", "id value", "personal code", "personal identification", "personal identification number", "national insurance number", "national identifier", "tax reference", "tax ref", "tax code", "document id", "id doc", "identity code", "numero identificacion", "numero de identificacion", "identificacion", "numero identite"];
    "national_id" "*" 6..18 80 0 has_digits, &["national id", "nationalid", "personal id", "identity number", "citizen id", "personal number", "id card", "identity card", "identification number", "id number", "resident number", "identity document", "id document", "document number", "identifikationsnummer", "personnel number", "carte identite", "carte d identité", "dowód osobisty", "dowod osobisty", "documento de identidade", "documento de identidad", "numero documento", "número documento", "dni nummer", "id kort"];
};

/// Whether it is a number of persons of any country, by its check digits.
fn proved(text: &str) -> bool {
    super::TABLES.iter().copied().flatten().any(|sort| {
        let (least, most) = sort.length;
        sort.kind.class == Class::Pii
            && sort.scores.0 >= PROVED
            && (least..=most).contains(&text.len())
            && sort.fits(text)
            && (sort.check)(text)
    })
}

/// The score of sorts that check digits prove.
const PROVED: u8 = 94;

/// A letter, and nothing but digits behind it.
fn numbered(text: &str) -> bool {
    text.bytes().skip(1).all(|byte| byte.is_ascii_digit())
}

fn has_digits(text: &str) -> bool {
    text.bytes().filter(u8::is_ascii_digit).count() * 2 >= text.len()
}

/// Half of it digits, or nearly so where a name begins it.
fn licence(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    has_digits(text) || text.len() >= 8 && digits >= 4
}

/// Half of it digits, or as long as machines read it, with at least one.
fn passport(text: &str) -> bool {
    has_digits(text) || matches!(text.len(), 8 | 9) && text.bytes().any(|byte| byte.is_ascii_digit())
}

/// Letters and digits, as makers of devices number them, and not as programs do.
fn serial(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    digits >= 1 && text.len() - digits >= 2 && !text.bytes().all(|byte| byte.is_ascii_hexdigit())
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
const EXPIRY: Kind = Kind { class: Class::Financial, name: "card_expiry" };
const ADDRESS: Kind = Kind { class: Class::Pii, name: "street_address" };
const POSTCODE: Kind = Kind { class: Class::Pii, name: "postal_code" };

/// All words that speak for one of these.
pub(super) const PHRASES: [&[&str]; 10] = [
    ADVERTISING_WORDS,
    PHONE_WORDS,
    IP_WORDS,
    MAC_WORDS,
    BIRTH_WORDS,
    PERSON_WORDS,
    STREET_WORDS,
    CODE_WORDS,
    EXPIRY_WORDS,
    SOMEONE_WORDS,
];

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
    ask(is_spoken_for && (8..=24).contains(&value.len()) && makeup.digits >= 4, birth);
    ask(is_spoken_for && matches!(value.len(), 16 | 36), advertising);
    ask(is_spoken_for && makeup.letters == 0 && matches!(value.len(), 4..=7), expiry);
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
    // What calendars and mails are told apart by is written like an address.
    let is_drawn = local.len() >= 20
        && local.bytes().filter(u8::is_ascii_digit).count() >= 4
        && local.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    let is_role = is_role || is_drawn;
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
        (Speaks::Words, _) if !is_date_like => {
            if digits < 7 {
                60
            } else {
                80
            }
        }
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
    /// What has addresses of its own network, and is nobody's.
    const MACHINES: &[&str] = &[
        "bind",
        "cluster",
        "container",
        "endpoint",
        "eni",
        "gateway",
        "host",
        "instance",
        "internal",
        "listen",
        "load balancer",
        "master",
        "node",
        "pod",
        "private",
        "replica",
        "server",
        "service",
        "subnet",
        "upstream",
        "vpc",
    ];
    let is_dotted = value.bytes().filter(|byte| *byte == b'.').count() == 3;
    let is_colons = value.bytes().filter(|byte| *byte == b':').count() >= 2;
    if !(is_dotted || is_colons) || value.len() > 49 {
        return None;
    }
    // A network is no machine.
    if let Some((network, bits)) = value.split_once('/')
        && (network.ends_with(".0") || network.ends_with("::"))
        && bits.parse::<u8>().is_ok_and(|bits| bits < 32 || network.ends_with("::") && bits < 128)
    {
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
        // What every network has is nobody's.
        let is_private = value.parse::<core::net::Ipv4Addr>().is_ok_and(|ip| ip.is_private() || ip.is_link_local());
        if is_private && (!is_named || speaks(&heard, MACHINES) != Speaks::Nothing) {
            return None;
        }
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
    // Android's ids are sixteen digits without dashes.
    let is_android = value.len() == 16 && value.bytes().any(|byte| byte.is_ascii_alphabetic());
    let is_id = (value.len() == 36 || is_android)
        && value.bytes().enumerate().all(|(place, byte)| match place {
            8 | 13 | 18 | 23 if !is_android => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        });
    let is_set = value.bytes().any(|byte| !matches!(byte, b'0' | b'-'));
    (is_id && is_set && speaks(context, ADVERTISING_WORDS) != Speaks::Nothing).then(|| whole(value, &ADVERTISING, 84))
}

/// The names alone: of what holds a value in an object of its own, the name of that.
fn named<'c>(context: &Context<'c>) -> Context<'c> {
    let is_holder = !context.names_around.is_empty() && context.name.iter().all(|word| HOLDERS.contains(word));
    let name = if is_holder { context.names_around } else { context.name };
    Context { name, ..Context::default() }
}

/// Words that say of a month that it is a card's.
const CARDS: &[&str] = &["card", "carte", "cartao", "cc", "gueltig", "gultig", "gültig", "karte", "tarjeta", "valid"];

/// A month and a year, as cards have them: `09/28`, or `2028-09`.
fn expiry(value: &str, context: &Context<'_>) -> Option<Judged> {
    let (month, year) = value.split_once(['/', '-']).or_else(|| value.split_at_checked(2))?;
    // A month of any other matter has its year first too.
    let is_of_card = || {
        let words = context.name.iter().chain(context.names_around).chain(context.before.iter().take(4));
        words.into_iter().any(|word| CARDS.contains(word))
    };
    let (month, year) = if month.len() == 4 && is_of_card() { (year, month) } else { (month, year) };
    let number = |text: &str| text.parse::<u32>().ok();
    let is_month = month.len() == 2 && number(month).is_some_and(|month| (1..=12).contains(&month));
    let is_year = match year.len() {
        2 => number(year).is_some_and(|year| (20..=59).contains(&year)),
        4 => number(year).is_some_and(|year| (2020..=2059).contains(&year)),
        _ => false,
    };
    let speaks = speaks(context, EXPIRY_WORDS);
    // Digits alone may be anything in a sentence.
    let is_said = if value.len() == 5 || value.len() == 7 { speaks != Speaks::Nothing } else { speaks == Speaks::Name };
    (is_month && is_year && is_said).then(|| whole(value, &EXPIRY, 80))
}

fn birth(value: &str, context: &Context<'_>) -> Option<Judged> {
    if speaks(context, BIRTH_WORDS) == Speaks::Nothing {
        return None;
    }
    // A time of the day may follow.
    let date = value.split_once(['T', ' ']).filter(|(date, _)| date.len() == 10).map_or(value, |(date, _)| date);
    let numbers: Option<Vec<u32>> = date.split(['-', '/', '.']).map(|part| part.parse().ok()).collect();
    let is = match numbers.as_deref() {
        Some([year, month, day]) if *year > 1_000 => is_date(*year, *month, *day),
        Some([one, two, year]) => is_date(*year, *one, *two) || is_date(*year, *two, *one),
        Some([all]) => date.len() == 8 && is_date(all / 10_000, all / 100 % 100, all % 100),
        _ => is_written_date(date),
    };
    is.then(|| whole(value, &BIRTH, 86))
}

/// `12 March 1984`, `March 12, 1984`, `12. März 1984`.
fn is_written_date(date: &str) -> bool {
    let (mut day, mut month, mut year) = (0, 0, 0);
    for part in date.split([' ', ',', '.', '-', '/']).filter(|part| !part.is_empty() && *part != "de") {
        let number = part.trim_end_matches(|letter: char| letter.is_ascii_alphabetic()).parse::<u32>();
        match (number, part.get(..3).map(str::to_lowercase)) {
            (Ok(number), _) if number > 31 => year = number,
            (Ok(number), _) => day = number,
            (_, Some(start)) => {
                month = MONTHS.iter().find(|(known, _)| *known == start).map_or(month, |(_, month)| *month);
            }
            _ => {}
        }
    }
    year > 1_000 && is_date(year, month, day)
}

fn person(value: &str, context: &Context<'_>) -> Option<Judged> {
    /// Who is no person.
    const NOBODY: &[&str] = &[
        "AB",
        "AG",
        "Account",
        "Active",
        "Admin",
        "Administrator",
        "Agent",
        "Airlines",
        "Anonymous",
        "Approved",
        "Association",
        "BV",
        "Bank",
        "Basic",
        "Billing",
        "Bot",
        "Capital",
        "Care",
        "Cie",
        "Clinic",
        "Club",
        "Co",
        "College",
        "Company",
        "Consulting",
        "Corp",
        "Corporation",
        "Council",
        "Customer",
        "Default",
        "Demo",
        "Department",
        "Desk",
        "Digital",
        "Done",
        "Electric",
        "Email",
        "Energy",
        "Engineering",
        "Enterprise",
        "Example",
        "Finance",
        "Foods",
        "Foundation",
        "Free",
        "Gateway",
        "Global",
        "GmbH",
        "Group",
        "Guest",
        "Health",
        "Holding",
        "Holdings",
        "Hospital",
        "Hotel",
        "Inactive",
        "Inc",
        "Industries",
        "Institute",
        "Insurance",
        "International",
        "LLC",
        "LLP",
        "Labs",
        "Lda",
        "Limited",
        "Logistics",
        "Ltd",
        "Ltda",
        "Main",
        "Marketing",
        "Media",
        "Mesa",
        "Ministry",
        "Motors",
        "NV",
        "Network",
        "Networks",
        "No",
        "Nobody",
        "None",
        "Not",
        "Null",
        "Office",
        "Operations",
        "Optional",
        "Other",
        "Oy",
        "PLC",
        "Password",
        "Partners",
        "Payment",
        "Pedido",
        "Pending",
        "Pharma",
        "Plan",
        "Platform",
        "Plc",
        "Premium",
        "Primary",
        "Producto",
        "Required",
        "Restaurant",
        "Root",
        "SA",
        "SARL",
        "SAS",
        "SL",
        "SRL",
        "Sales",
        "Sample",
        "Sarl",
        "School",
        "Secondary",
        "Service",
        "Services",
        "Servicio",
        "Shipping",
        "Shop",
        "Software",
        "Solutions",
        "SpA",
        "Standard",
        "Store",
        "Studio",
        "Studios",
        "Support",
        "System",
        "Systems",
        "Team",
        "Technologies",
        "Technology",
        "Test",
        "Trading",
        "Unassigned",
        "University",
        "Unknown",
        "User",
        "Username",
        "Various",
        "Verified",
        "Yes",
    ];
    let is_shaped =
        value.len() <= 60 && !value.bytes().any(|byte| byte.is_ascii_digit()) && value.chars().any(char::is_uppercase);
    if !is_shaped || context.name.is_empty() {
        return None;
    }
    let named = named(context);
    let is_someone = matches!(speaks(&named, SOMEONE_WORDS), Speaks::Name);
    let is_part = matches!(context.name, ["family" | "first" | "given" | "last" | "middle"])
        && context.names_around.first().is_some_and(|around| matches!(*around, "name" | "names"));
    if !is_someone && !is_part && !matches!(speaks(&named, PERSON_WORDS), Speaks::Name) {
        return None;
    }
    // The words of a form stand apart with `+`.
    let words: Vec<&str> = value.split([' ', '+']).map(|word| word.trim_end_matches(',')).collect();
    let is_name = |word: &&str| {
        let mut letters = word.chars();
        letters.next().is_some_and(char::is_uppercase)
            && letters.all(|letter| letter.is_alphabetic() || matches!(letter, '-' | '\'' | '’' | '.'))
    };
    let is_word = |word: &&str| {
        is_name(word) || matches!(*word, "van" | "von" | "de" | "der" | "la" | "del" | "bin" | "al" | "di" | "da")
    };
    let count = words.len();
    let is_named = (1..=5).contains(&count) && words.iter().any(is_name) && words.iter().all(is_word);
    let first = value.chars().next();
    let is_masked = value.chars().filter(|one| one.is_alphabetic()).all(|one| Some(one) == first);
    let is_nobody = is_masked || words.iter().any(|word| NOBODY.contains(word));
    (is_named && !is_nobody && (count > 1 || !is_someone)).then(|| whole(value, &PERSON, 78))
}

/// Whether a name is of what is the family's of a person's name: the rest of that stands beside it.
pub(crate) fn is_family(name: &[&str]) -> bool {
    const FAMILY: &[&str] = &[
        "achternaam",
        "apellido",
        "apellidos",
        "cognome",
        "family name",
        "last name",
        "lastname",
        "nachname",
        "nazwisko",
        "prijmeni",
        "příjmení",
        "sobrenome",
        "surname",
        "prenom",
        "prénom",
    ];
    speaks(&Context { name, ..Context::default() }, FAMILY) == Speaks::Name
}

/// Names of what holds a value in an object of its own.
const HOLDERS: &[&str] =
    &["current", "eq", "equals", "formatted", "new", "old", "query", "s", "string", "text", "to", "v", "val", "value"];

fn address(value: &str, context: &Context<'_>) -> Option<Judged> {
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
    let is_street_named = speaks(&named, ROAD_WORDS) == Speaks::Name;
    let words: Vec<String> =
        value.split([' ', ',', '.', '+']).filter(|word| !word.is_empty()).map(str::to_lowercase).collect();
    let has_letters = value.chars().any(char::is_alphabetic);
    let is_street = has_street(&words);
    // A word and a number are a house where the name says that it is in a road.
    let is_number = |word: &String| word.starts_with(|first: char| first.is_ascii_digit()) && word.len() <= 5;
    let is_house = is_street_named
        && words.len() == 2
        && words.iter().filter(|word| is_number(word)).count() == 1
        && value.chars().any(char::is_uppercase);
    let is_web = value.contains("://")
        || value.contains(['@', '=', '$', '^', '{', '}', '[', ']', '<', '>', '|', '\\', ';', '_']);
    let is_placed = words.len() >= 3 && has_house(value);
    (has_letters && words.len() >= 2 && !is_web && (is_street || is_house || is_placed))
        .then(|| whole(value, &ADDRESS, 78))
}

/// Whether a number stands beside a name, as that of a house does: `Rua das Flores 44`, and not `up to 120 characters`.
fn has_house(value: &str) -> bool {
    let words = || value.split([' ', ',', '+']).filter(|word| !word.is_empty());
    let is_name = |word: &str| word.chars().next().is_some_and(|first| first.is_uppercase() || !first.is_ascii());
    let is_number = |word: &str| word.starts_with(|first: char| first.is_ascii_digit());
    words()
        .zip(words().skip(1))
        .any(|(one, other)| is_number(one) && is_name(other) || is_name(one) && is_number(other))
}

/// Words that roads are called by.
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
    "av",
    "avda",
    "avenida",
    "box",
    "camino",
    "chemin",
    "corso",
    "largo",
    "paseo",
    "piazza",
    "plac",
    "praça",
    "quai",
    "rua",
    "travessa",
    "ul",
    "ulica",
    "viale",
    "terrace",
    "close",
    "crescent",
    "parkway",
    "pkwy",
    "highway",
    "hwy",
    "row",
    "mews",
    "grove",
    "circle",
    "terr",
    "quay",
    "esplanade",
    "ruelle",
    "impasse",
    "passage",
    "cours",
    "faubourg",
    "ronda",
    "carrer",
    "plaça",
    "travesía",
    "vicolo",
    "lungomare",
    "strada",
    "alameda",
    "estrada",
    "rodovia",
    "aleja",
    "aleje",
    "os",
    "osiedle",
    "ulice",
    "náměstí",
    "utca",
    "út",
    "tér",
    "cad",
    "sok",
    "jalan",
    "jl",
];

/// Endings of names of roads that are written as one word.
const ENDINGS: &[&str] = &[
    "allee", "damm", "gasse", "gatan", "gracht", "kade", "laan", "plein", "straat", "ufer", "vej", "veien", "weg",
    "platz", "strasse", "straße", "vägen", "gata", "katu", "singel", "dijk", "stieg", "steig",
];

/// Whether one of `words`, in lower case, is of a road.
fn has_street(words: &[String]) -> bool {
    words.iter().any(|word| {
        ENDS.contains(&word.as_str()) || ENDINGS.iter().any(|end| word.len() > end.len() + 2 && word.ends_with(end))
    })
}

/// Whether an address in a sentence is one beyond doubt: with a house in a road.
pub(super) fn is_in_road(value: &str) -> bool {
    let words: Vec<String> =
        value.split([' ', ',', '.']).filter(|word| !word.is_empty()).map(str::to_lowercase).collect();
    has_street(&words) && has_house(value)
}
