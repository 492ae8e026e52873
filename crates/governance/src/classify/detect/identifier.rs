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

/// The words, one or several with spaces between them, that speak for any sort.
pub(crate) fn phrases() -> impl Iterator<Item = &'static str> {
    let sorts = TABLES.iter().copied().flatten().map(|sort| sort.words);
    sorts.chain(contact::PHRASES).chain([crypto::WORDS]).flatten().copied()
}

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
    let makeup = Makeup::of(text);
    let placed = |judged: Judged| Judged { end: judged.end + start, start: judged.start + start, ..judged };
    let touching = contact::judge(text, &makeup, context).into_iter().chain(crypto::judge(text, context));
    let best = numbers(text, &makeup, context).into_iter().chain(touching).max_by_key(|judged| judged.score);
    let best = match best {
        Some(judged) if judged.score >= FINDING => Some(judged),
        unsure => after_word(text, &makeup, context).or(unsure),
    };
    best.filter(|judged| judged.score > 0).map(placed)
}

/// The score of a finding at the usual threshold.
const FINDING: u8 = 50;

/// What follows a word, with that word before it: `BSN 111222333` is written like one number of two groups.
fn after_word(text: &str, makeup: &Makeup, context: &Context<'_>) -> Option<Judged> {
    if makeup.digits < 4 || makeup.spaces == 0 {
        return None;
    }
    let (word, rest) = text.split_once(' ')?;
    let is_word = (2..=24).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_alphabetic());
    if !is_word {
        return None;
    }
    let lower = word.to_ascii_lowercase();
    let before: Vec<&str> = std::iter::once(lower.as_str()).chain(context.before.iter().take(8).copied()).collect();
    let context = Context { before: &before, ..*context };
    let start = text.len() - rest.len();
    let makeup = Makeup::of(rest);
    let judged = numbers(rest, &makeup, &context).or_else(|| contact::judge(rest, &makeup, &context))?;
    Some(Judged { end: judged.end + start, start: judged.start + start, ..judged })
}

/// How many bytes of each sort a value has: what few sorts of it may be is told by that.
#[derive(Clone, Copy, Debug, Default)]
struct Makeup {
    at_signs: usize,
    colons: usize,
    digits: usize,
    dots: usize,
    letters: usize,
    spaces: usize,
    /// Bytes that are in no number: no letters or digits, and none of what stands between groups of them.
    strange: usize,
}

impl Makeup {
    fn of(text: &str) -> Self {
        let mut made = Self::default();
        for byte in text.bytes() {
            match byte {
                b'0'..=b'9' => made.digits += 1,
                b'a'..=b'z' | b'A'..=b'Z' => made.letters += 1,
                b' ' => made.spaces += 1,
                b'.' => made.dots += 1,
                b'-' | b'/' | b'_' | b'+' => {}
                other => {
                    made.strange += 1;
                    made.at_signs += usize::from(other == b'@');
                    made.colons += usize::from(other == b':');
                }
            }
        }
        made
    }
}

/// The longest number of a sort.
const LENGTH_MAX: usize = 33;

/// The most sorts whose numbers have the same length.
const SORTS_OF_LENGTH_MAX: usize = 64;

/// Sorts by how many letters and digits they have, so that few are asked.
type ByLength = [[Option<&'static Sort>; SORTS_OF_LENGTH_MAX]; LENGTH_MAX + 1];

static BY_LENGTH: ByLength = by_length(0);

/// Those that are known without a word that speaks for them.
static ALONE_BY_LENGTH: ByLength = by_length(1);

const fn by_length(alone_min: u8) -> ByLength {
    let mut found = [[None; SORTS_OF_LENGTH_MAX]; LENGTH_MAX + 1];
    let mut rows: &mut [[Option<&'static Sort>; SORTS_OF_LENGTH_MAX]] = &mut found;
    let mut length = 0;
    while let Some((row, others)) = rows.split_first_mut() {
        let mut slots: &mut [Option<&'static Sort>] = row;
        let mut tables: &'static [&'static [Sort]] = &TABLES;
        while let Some((table, more)) = tables.split_first() {
            let mut sorts = *table;
            while let Some((sort, rest)) = sorts.split_first() {
                if sort.length.0 <= length && length <= sort.length.1 && sort.scores.1 >= alone_min {
                    let Some((slot, left)) = slots.split_first_mut() else { return found };
                    *slot = Some(sort);
                    slots = left;
                }
                sorts = rest;
            }
            tables = more;
        }
        rows = others;
        length += 1;
    }
    found
}

/// Whether letters, digits and signs between them may be of a sort without a word that speaks for it. Most numbers may not, which is soon told.
pub(crate) fn may_stand_alone(text: &[u8]) -> bool {
    let (mut bare, mut length, mut letters, mut dots, mut dashes) = ([0; ALONE_BYTES], 0, 0, 0, 0);
    for byte in text {
        match byte {
            b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => {
                let Some(slot) = bare.get_mut(length) else { return true };
                *slot = byte.to_ascii_uppercase();
                length += 1;
                letters += usize::from(byte.is_ascii_alphabetic());
            }
            b'.' => dots += 1,
            b'-' => dashes += 1,
            _ => return true,
        }
    }
    if letters == 0 {
        // Digits alone may be a card, or one of the long numbers; with one dot they are a fraction, and two dashes make a date.
        return if dots + dashes == 0 {
            length >= 15
        } else {
            dots > 1 || dots + dashes > 1 && length > 8 || dashes == 1
        };
    }
    if dots + dashes > 1 {
        return true;
    }
    let bare = bare.get(..length).and_then(|bare| str::from_utf8(bare).ok()).unwrap_or_default();
    ALONE_BY_LENGTH
        .get(length)
        .is_none_or(|sorts| sorts.iter().map_while(|sort| *sort).any(|sort| sort.fits(bare) && (sort.check)(bare)))
}

/// Longer ones may be wallets, or machines' addresses.
const ALONE_BYTES: usize = 24;

/// What a number is, by the tables.
fn numbers(text: &str, makeup: &Makeup, context: &Context<'_>) -> Option<Judged> {
    let digits = makeup.digits;
    // Without digits there are only the names of banks.
    let is_shaped = if digits == 0 { matches!(text.len(), 8 | 11) } else { digits >= 3 || text.len() <= 11 };
    if text.len() > NUMBER_BYTES_MAX || !is_shaped || makeup.strange > 0 {
        return None;
    }
    let sorts = BY_LENGTH.get(digits + makeup.letters)?;
    let (mut letters, mut length) = ([0; NUMBER_BYTES_MAX], 0);
    for byte in text.bytes().filter(u8::is_ascii_alphanumeric) {
        if let Some(letter) = letters.get_mut(length) {
            *letter = byte.to_ascii_uppercase();
        }
        length += 1;
    }
    let bare = letters.get(..length).and_then(|letters| std::str::from_utf8(letters).ok())?;
    let is_alone = context.is_empty();
    let layout = Layout::of(text, bare);
    let mut best: Option<(u8, &'static Sort)> = None;
    for sort in sorts.iter().map_while(|sort| *sort) {
        // Where nothing speaks, few have a chance.
        if is_alone && sort.scores.1 == 0 && !layout.may_be(sort) {
            continue;
        }
        let Some((score, speaks)) = sort.score(bare, context) else { continue };
        let score = weighed(score, speaks, sort, &layout, text.len() > bare.len(), context);
        if score > best.map_or(0, |(score, _)| score) {
            best = Some((score, sort));
        }
    }
    let (score, sort) = best?;
    Some(Judged { end: text.len(), kind: &sort.kind, score, start: 0 })
}

/// The score after what speaks against it, and after how it is written.
fn weighed(score: u8, speaks_for: Speaks, sort: &Sort, layout: &Layout, is_grouped: bool, context: &Context<'_>) -> u8 {
    // What has no chance is not asked about.
    if score == 0 && !layout.may_be(sort) || matches!(speaks_for, Speaks::Name | Speaks::Around) {
        return score;
    }
    let is_against = speaks(&Context { after: &[], ..*context }, AGAINST) != Speaks::Nothing;
    match speaks_for {
        // Groups of four after an issuer's digits are a card to whoever reads them.
        Speaks::Nothing if sort.is_card() && layout.card == Some(Card::Grouped) => 85,
        Speaks::Nothing if sort.is_card() && !is_against && layout.card == Some(Card::Plain) => 55,
        Speaks::Nothing if !is_against && layout.has(sort) => 64,
        Speaks::Nothing if is_against => 0,
        Speaks::Words if is_against && !is_grouped => score.saturating_sub(40),
        _ => score,
    }
}

/// How a number is written.
struct Layout {
    card: Option<Card>,
    /// Its characters, with `9` for each digit; empty where that is no layout of any sort.
    form: &'static str,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Card {
    /// In groups of four, or as American Express writes them.
    Grouped,
    /// Digits alone, enough of them.
    Plain,
}

impl Layout {
    fn of(text: &str, bare: &str) -> Self {
        if text.len() == bare.len() {
            return Self { card: (bare.len() >= 15).then_some(Card::Plain), form: "" };
        }
        let (mut form, mut spaced) = ([0; NUMBER_BYTES_MAX], [0; NUMBER_BYTES_MAX]);
        for ((byte, to), plain) in text.bytes().zip(&mut form).zip(&mut spaced) {
            *to = if byte.is_ascii_digit() { b'9' } else { byte };
            *plain = if *to == b'-' { b' ' } else { *to };
        }
        let form = form.get(..text.len()).unwrap_or_default();
        let is_card = spaced.get(..text.len()).is_some_and(|spaced| {
            matches!(spaced, b"9999 9999 9999 9999" | b"9999 999999 99999" | b"9999 999999 9999")
        });
        let known = LAYOUTS.iter().map(|(_, layout)| *layout).find(|layout| layout.as_bytes() == form);
        Self { card: is_card.then_some(Card::Grouped), form: known.unwrap_or_default() }
    }

    /// Whether the sort is written like that.
    fn has(&self, sort: &Sort) -> bool {
        !self.form.is_empty() && LAYOUTS.contains(&(sort.kind.name, self.form))
    }

    /// Whether it is written so that it may be of the sort, whatever speaks for it.
    fn may_be(&self, sort: &Sort) -> bool {
        self.card.is_some() && sort.is_card() || self.has(sort)
    }
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
