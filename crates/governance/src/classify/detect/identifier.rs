//! Judges everything that is no secret: numbers of persons, cards and companies, contacts and devices, and what marks a document.
//!
//! Check digits prove little in texts that are full of numbers, so most sorts need a name or a word that speaks for them. Start at [`judge`] and [`marking`].

mod americas;
mod check;
mod contact;
mod crypto;
mod elsewhere;
mod europe;
mod health;
mod markings;
mod money;
mod sort;
#[cfg(test)]
mod tests;

use super::judge::{Context, Judged};
pub(crate) use markings::{TRIGGERS, marking};
use sort::{Sort, Speaks, speaks};

/// Every table.
const TABLES: [&[Sort]; 8] = [
    money::SORTS,
    money::BUSINESS,
    health::SORTS,
    americas::SORTS,
    europe::SORTS,
    elsewhere::SORTS,
    contact::SORTS,
    &[],
];

/// Words that make a value worth a look, or speak for one.
pub(crate) const WORDS: &[&str] = &[
    "aadhaar",
    "aadhar",
    "btc",
    "crypto",
    "ethereum",
    "identification",
    "resident",
    "wallet",
    "aba",
    "abn",
    "account",
    "acct",
    "acn",
    "addr",
    "address",
    "address1",
    "addressline",
    "adresse",
    "ahv",
    "amka",
    "ausweis",
    "avs",
    "bank",
    "beneficiary",
    "bic",
    "birth",
    "birthdate",
    "birthday",
    "born",
    "bsn",
    "bsnr",
    "btw",
    "burgerservicenummer",
    "card",
    "cardholder",
    "cardnumber",
    "cc",
    "ccnum",
    "cedula",
    "cell",
    "cellphone",
    "celular",
    "cf",
    "chassis",
    "cin",
    "cnic",
    "cnp",
    "cnpj",
    "codicefiscale",
    "compte",
    "contact",
    "cpf",
    "cpr",
    "creditcard",
    "csc",
    "cuenta",
    "cuil",
    "cuit",
    "curp",
    "cusip",
    "cvc",
    "cvc2",
    "cvv",
    "cvv2",
    "dateofbirth",
    "dea",
    "direccion",
    "dln",
    "dni",
    "dob",
    "driver",
    "driverlicense",
    "drivers",
    "driving",
    "egn",
    "ein",
    "elector",
    "emso",
    "epic",
    "fax",
    "fein",
    "firstname",
    "fiscale",
    "fnr",
    "fodselsnummer",
    "forename",
    "fullname",
    "geboren",
    "geburtsdatum",
    "gst",
    "gstin",
    "handelsregister",
    "handset",
    "handy",
    "hetu",
    "hkid",
    "holder",
    "hra",
    "hrb",
    "hwaddr",
    "iban",
    "iccid",
    "identity",
    "idnr",
    "imei",
    "imsi",
    "inn",
    "insee",
    "insurance",
    "insz",
    "ip",
    "ipaddress",
    "ipv4",
    "ipv6",
    "isikukood",
    "itin",
    "iva",
    "jmbg",
    "jumin",
    "karte",
    "kennzeichen",
    "kimlik",
    "konto",
    "kontonummer",
    "kreditkarte",
    "ktp",
    "kvnr",
    "lanr",
    "lastname",
    "lei",
    "licence",
    "license",
    "line1",
    "mac",
    "macaddress",
    "matricula",
    "mbi",
    "medicare",
    "melli",
    "member",
    "memberid",
    "mobil",
    "mobile",
    "mrn",
    "msisdn",
    "medical",
    "citizen",
    "thai",
    "sa",
    "my",
    "mykad",
    "mynumber",
    "family",
    "first",
    "full",
    "given",
    "last",
    "legal",
    "maiden",
    "nachname",
    "nacimiento",
    "naissance",
    "national",
    "nationalid",
    "nhs",
    "nic",
    "nie",
    "nif",
    "nik",
    "nin",
    "nino",
    "nir",
    "niss",
    "nit",
    "npi",
    "nric",
    "nrn",
    "oib",
    "orgnr",
    "pan",
    "partita",
    "passeport",
    "passnummer",
    "passport",
    "patient",
    "patientid",
    "permanent",
    "personal",
    "personalausweis",
    "personalausweisnummer",
    "personnummer",
    "pesel",
    "phone",
    "phonenumber",
    "piva",
    "plate",
    "plz",
    "postal",
    "postalcode",
    "postcode",
    "pps",
    "ppsn",
    "prescriber",
    "provider",
    "registration",
    "reisepass",
    "rfc",
    "rijksregisternummer",
    "routing",
    "routingnumber",
    "rrn",
    "rtn",
    "rufnummer",
    "run",
    "rut",
    "rvnr",
    "secu",
    "securite",
    "sedol",
    "sin",
    "siren",
    "siret",
    "sms",
    "snils",
    "social",
    "sort",
    "sortcode",
    "sozialversicherungsnummer",
    "ssn",
    "steuer",
    "steuerid",
    "steueridentifikationsnummer",
    "steuernummer",
    "stnr",
    "strasse",
    "street",
    "subscriber",
    "surname",
    "svnr",
    "swift",
    "tarjeta",
    "tax",
    "taxid",
    "taxpayer",
    "tckn",
    "teudat",
    "tel",
    "telefon",
    "telefono",
    "telephone",
    "tfn",
    "tin",
    "tnin",
    "tva",
    "uen",
    "uidai",
    "umsatzsteuer",
    "ustid",
    "utr",
    "vat",
    "vatin",
    "vehicle",
    "versichertennummer",
    "versicherungsnummer",
    "vin",
    "vorname",
    "voter",
    "whatsapp",
    "zip",
    "zipcode",
];

/// Words that speak against a number being somebody's.
const AGAINST: &[&str] = &[
    "order",
    "invoice",
    "tracking",
    "sku",
    "hash",
    "timestamp",
    "version",
    "isbn",
    "ean",
    "isin",
    "build",
    "commit",
    "uuid",
    "guid",
    "checksum",
    "sha",
    "md5",
    "epoch",
    "offset",
    "port",
    "size",
    "count",
    "total",
    "amount",
    "price",
    "duration",
    "line",
    "page",
    "issue",
    "ticket",
    "serial",
    "request",
    "trace",
    "span",
    "session",
    "revision",
    "currency",
    "color",
];

/// The longest number, with what stands between its groups.
const NUMBER_BYTES_MAX: usize = 48;

/// The longest value that is looked at.
const VALUE_BYTES_MAX: usize = 256;

/// What `value` is, as far as it and what stands around it tell.
pub(crate) fn judge(value: &str, context: &Context<'_>) -> Option<Judged> {
    let start = value.len() - value.trim_start_matches([' ', '\t', '"', '\'', '#']).len();
    let text = value.get(start..)?.trim_end_matches([' ', '\t', '"', '\'', '.', ',', ';']);
    if text.len() < 3 || text.len() > VALUE_BYTES_MAX {
        return None;
    }
    let placed = |judged: Judged| Judged { end: judged.end + start, start: judged.start + start, ..judged };
    let touching = contact::judge(text, context).into_iter().chain(crypto::judge(text, context));
    let best = numbers(text, context).into_iter().chain(touching).max_by_key(|judged| judged.score);
    let best = match best {
        Some(judged) if judged.score >= FINDING => Some(judged),
        unsure => after_word(text, context).or(unsure),
    };
    best.filter(|judged| judged.score > 0).map(placed)
}

/// The score of a finding at the usual threshold.
const FINDING: u8 = 50;

/// What follows a word, with that word before it: `BSN 111222333` is written like one number of two groups.
fn after_word(text: &str, context: &Context<'_>) -> Option<Judged> {
    let (word, rest) = text.split_once(' ')?;
    let is_word = (2..=24).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_alphabetic());
    if !is_word || rest.bytes().filter(u8::is_ascii_digit).count() < 4 {
        return None;
    }
    let lower = word.to_ascii_lowercase();
    let before: Vec<&str> = std::iter::once(lower.as_str()).chain(context.before.iter().take(8).copied()).collect();
    let context = Context { before: &before, ..*context };
    let start = text.len() - rest.len();
    let judged = numbers(rest, &context).or_else(|| contact::judge(rest, &context))?;
    Some(Judged { end: judged.end + start, start: judged.start + start, ..judged })
}

/// What a number is, by the tables.
fn numbers(text: &str, context: &Context<'_>) -> Option<Judged> {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, ' ' | '-' | '.' | '/' | '_' | '+');
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    // Without digits there are only the names of banks.
    let is_shaped = if digits == 0 { matches!(text.len(), 8 | 11) } else { digits >= 3 || text.len() <= 11 };
    if text.len() > NUMBER_BYTES_MAX || !is_shaped || !text.chars().all(is_part) {
        return None;
    }
    let (mut letters, mut length) = ([0; NUMBER_BYTES_MAX], 0);
    for (letter, byte) in letters.iter_mut().zip(text.bytes().filter(u8::is_ascii_alphanumeric)) {
        *letter = byte.to_ascii_uppercase();
        length += 1;
    }
    let bare = letters.get(..length).and_then(|letters| std::str::from_utf8(letters).ok())?;
    let mut best: Option<(u8, &'static Sort)> = None;
    for sort in TABLES.iter().copied().flatten() {
        let Some((score, speaks)) = sort.score(bare, context) else { continue };
        let score = weighed(score, speaks, sort, text, bare, context);
        if score > best.map_or(0, |(score, _)| score) {
            best = Some((score, sort));
        }
    }
    let (score, sort) = best?;
    Some(Judged { end: text.len(), kind: &sort.kind, score, start: 0 })
}

/// The score after what speaks against it, and after how it is written.
fn weighed(score: u8, speaks_for: Speaks, sort: &Sort, text: &str, bare: &str, context: &Context<'_>) -> u8 {
    // What has no chance is not asked about.
    if score == 0 && !LAYOUTS.iter().any(|(known, _)| *known == sort.kind.name) && sort.kind.name != "credit_card" {
        return 0;
    }
    if matches!(speaks_for, Speaks::Name | Speaks::Around) {
        return score;
    }
    let is_against = speaks(&Context { after: &[], ..*context }, AGAINST) != Speaks::Nothing;
    let is_grouped = text.len() > bare.len();
    match (sort.kind.name, speaks_for) {
        // Groups of four after an issuer's digits are a card to whoever reads them.
        ("credit_card", Speaks::Nothing) if is_card_grouped(text) => 85,
        ("credit_card", Speaks::Nothing) if !is_against && bare.len() >= 15 && text.len() == bare.len() => 55,
        (name, Speaks::Nothing) if !is_against && LAYOUTS.iter().any(|(known, _)| *known == name) => {
            let form = form(text);
            LAYOUTS.iter().find(|(known, layout)| *known == name && *layout == form).map_or(score, |_| 64)
        }
        (_, Speaks::Nothing) if is_against => 0,
        (_, Speaks::Words) if is_against && !is_grouped => score.saturating_sub(40),
        _ => score,
    }
}

fn form(text: &str) -> String {
    text.chars().map(|letter| if letter.is_ascii_digit() { '9' } else { letter }).collect()
}

fn is_card_grouped(text: &str) -> bool {
    matches!(&*form(text).replace('-', " "), "9999 9999 9999 9999" | "9999 999999 99999" | "9999 999999 9999")
}

/// How some are written, and little else is.
const LAYOUTS: &[(&str, &str)] = &[
    ("us_ssn", "999-99-9999"),
    ("us_ssn", "999 99 9999"),
    ("us_itin", "999-99-9999"),
    ("br_cpf", "999.999.999-99"),
    ("br_cnpj", "99.999.999/9999-99"),
    ("cl_rut", "99.999.999-9"),
    ("cl_rut", "99.999.999-K"),
    ("cl_rut", "9.999.999-9"),
    ("ar_cuit", "99-99999999-9"),
    ("kr_rrn", "999999-9999999"),
    ("kr_frn", "999999-9999999"),
    ("se_personnummer", "999999-9999"),
    ("se_personnummer", "99999999-9999"),
    ("in_aadhaar", "9999 9999 9999"),
    ("au_abn", "99 999 999 999"),
    ("ch_ahv", "999.9999.9999.99"),
    ("pk_cnic", "99999-9999999-9"),
    ("de_steuernummer", "99/999/99999"),
    ("de_steuernummer", "999/999/99999"),
];
