//! Identifiers of Europe.

use super::americas::is_one_digit;
use super::check::{digits, has_date, luhn, mod_11, mod_11_10, number, values, weighted};
use super::sort::{Sort, sorts, unproved};

pub(super) const SORTS: &[Sort] = sorts! { Pii:
    "uk_nino" "AA999999A" 9..9 95 66 nino, &["nino", "national insurance", "ni number", "ni no", "insurance number", "nino number", "ni"];
    "uk_nino" "AA999999" 8..8 86 0 nino, &["nino", "national insurance", "ni"];
    "uk_utr" "9" 10..10 90 0 utr, &["utr", "unique taxpayer", "self assessment"];
    "uk_driving_licence" "*****9" 16..16 90 0 unproved, &["licence", "driving licence", "license"];
    "de_idnr" "9" 11..11 97 0 german_tax, &["steueridentnr", "steuer ident nr", "steueridentnummer", "steuer identnummer", "idnr", "steuer id", "steuerid", "steueridentifikationsnummer", "identifikationsnummer", "steuer identifikationsnummer", "tax id", "tin", "steuernummer", "steuerliche identifikationsnummer", "tax identification number", "tax identification", "german tax id", "steuer idnr", "steuernr", "id nr"];
    "de_steuernummer" "9" 10..13 82 0 unproved, &["steuernummer", "steuer nr", "tax number", "stnr"];
    "de_rvnr" "99999999A999" 12..12 95 60 german_pension, &["rvnr", "rentenversicherungsnummer", "sozialversicherungsnummer", "versicherungsnummer", "sv nummer", "rentenversicherung", "rentenversicherungsnr", "rv nummer", "sv nr"];
    "de_id_card" "*" 9..10 86 0 german_card, &["personalausweis", "ausweis", "ausweisnummer", "personalausweisnummer", "id card", "identity card", "ausweis nr", "personalausweis nr", "personalausweisnr", "id card number"];
    "fr_nir" "9" 15..15 97 72 french, &["nir", "insee", "securite sociale", "numero de securite sociale", "secu", "social security", "sécurité sociale", "numéro de sécurité sociale", "sécu", "numero securite sociale", "insee number"];
    "fr_nir" "99999*9" 15..15 97 72 french, &["nir", "insee", "securite sociale", "sécurité sociale", "numéro de sécurité sociale", "sécu", "numero securite sociale", "insee number"];
    "es_nif" "99999999A" 9..9 96 66 spanish, &["nif", "dni", "documento", "identidad", "tax id"];
    "es_nie" "A9999999A" 9..9 96 66 spanish, &["nie", "extranjero", "nif", "dni"];
    "it_codice_fiscale" "AAAAAA**A**A***A" 16..16 97 80 italian, &["codice fiscale", "cf", "fiscal code", "codicefiscale", "c f", "codice fisc", "tax code"];
    "it_identity_card" "AA99999*" 9..9 86 0 unproved, &["carta d identita", "carta identita", "identity card", "cie", "documento", "carta d identità", "carta identità", "carta di identita", "carta di identità", "numero carta identita", "numero carta"];
    "pt_nif" "9" 9..9 95 0 portuguese, &["nif", "contribuinte", "numero de contribuinte", "tax id", "número de contribuinte", "numero contribuinte", "número contribuinte", "numero fiscal", "número fiscal", "numero identificacao fiscal", "nif number"];
    "nl_bsn" "9" 9..9 96 0 dutch, &["burger service nummer", "burgerservice nummer", "bsn", "burgerservicenummer", "sofinummer", "citizen service", "bsn nummer", "bsnnummer", "sofi nummer"];
    "be_nrn" "9" 11..11 96 0 belgian, &["inss", "bis number", "nrn", "rijksregisternummer", "registre national", "insz", "niss", "national register", "national number", "rijksregister", "numero registre national", "numéro de registre national", "numero national", "numéro national", "rijksregisternr"];
    "pl_pesel" "9" 11..11 96 0 polish, &["pesel", "numer pesel", "nr pesel"];
    "gr_afm" "9" 9..9 94 0 greek_tax, &["afm", "αφμ", "afm number"];
    "hu_taj" "9" 9..9 94 0 hungarian_health, &["taj", "taj szam", "taj szám", "tajszam", "tajszám", "taj number"];
    "se_personnummer" "9" 10..10 95 0 swedish, &["personnummer", "personnr", "pnr", "samordningsnummer", "person nummer", "personal identity number", "personal identity", "personal number", "pers nr", "persnr"];
    "se_personnummer" "9" 12..12 95 0 swedish, &["personnummer", "personnr", "pnr", "samordningsnummer", "person nummer", "personal identity number", "personal identity", "personal number", "pers nr", "persnr"];
    "no_fodselsnummer" "9" 11..11 96 0 norwegian, &["fodselsnummer", "fnr", "personnummer", "birth number", "fødselsnummer", "foedselsnummer", "fødsels nummer", "norwegian national id", "personnr"];
    "dk_cpr" "9" 10..10 88 0 danish, &["cpr", "cpr nummer", "cprnr", "personnummer", "cpr number", "cpr no", "personnr"];
    "fi_hetu" "999999A999*" 11..11 96 62 finnish, &["hetu", "henkilotunnus", "personal identity", "sotu", "henkilötunnus", "finnish personal id", "personal id"];
    "fi_hetu" "999999999*" 10..10 95 0 finnish, &["hetu", "henkilotunnus", "personal identity", "sotu", "henkilötunnus", "finnish personal id", "personal id"];
    "ch_ahv" "7569" 13..13 96 0 swiss, &["ahv", "avs", "ahvn13", "navs", "avs number", "ahv nummer", "social security", "ahv nr", "ahvnummer", "numero avs", "numéro avs", "sozialversicherungsnummer", "ahvnr"];
    "at_svnr" "9" 10..10 95 0 austrian, &["vsnr", "sozialversicherungsnr", "sozialvers nr", "sozialversicherungs nr", "svnr", "sozialversicherungsnummer", "sv nummer", "sv nr", "versicherungsnummer", "sozialversicherung"];
    "ie_pps" "9999999A" 8..8 95 0 irish, &["pps", "ppsn", "pps number", "personal public service", "pps no"];
    "ie_pps" "9999999AA" 9..9 95 0 irish, &["pps", "ppsn", "pps number", "personal public service", "pps no"];
    "cz_rodne_cislo" "9" 10..10 95 0 czech, &["rodne cislo", "rc", "birth number", "rodnecislo", "rodné číslo", "rodné cislo", "rč", "rodne č", "rodne cisla"];
    "hu_tax_id" "8999999999" 10..10 94 0 hungarian, &["adoazonosito", "ado", "tax id", "adóazonosító", "adóazonosító jel", "adoazonosito jel"];
    "ro_cnp" "9" 13..13 97 0 romanian, &["cnp", "cod numeric personal", "cod numeric"];
    "bg_egn" "9" 10..10 95 0 bulgarian, &["egn", "edinen grazhdanski nomer", "uniform civil", "егн"];
    "hr_oib" "9" 11..11 95 0 mod_11_10, &["oib", "osobni identifikacijski broj", "oib broj"];
    "si_emso" "9" 13..13 96 0 yugoslav, &["emso", "jmbg", "umcn", "emšo", "emšo", "ембг", "јмбг"];
    "ee_isikukood" "9" 11..11 96 0 baltic, &["isiku kood", "eesti isikukood", "isikukood", "asmens kodas", "personal code", "ak", "asmenskodas", "asmens kodo"];
    "lv_personas_kods" "9" 11..11 90 0 unproved, &["personal code", "personal code lv", "latvian personal code", "personas kods lv", "personas kods", "pk", "personaskods"];
    "gr_amka" "9" 11..11 95 0 greek, &["α μ κ α", "a m k a", "amka", "αμκα"];
    "tr_national_id" "9" 11..11 95 0 turkish, &["tckn", "tc kimlik", "kimlik", "tc kimlik no", "national id", "tc kimlik numarası", "kimlik no", "kimlik numarası", "tc no", "t c kimlik", "tckimlik", "tckimlikno", "kişi", "vatandaslik"];
    "ru_inn" "9" 12..12 95 0 russian_tax, &["inn", "tax id", "инн"];
    "ru_snils" "9" 11..11 95 0 snils, &["snils", "снилс"];
    "ua_rntrc" "9" 10..10 94 0 ukrainian, &["rntrc", "ipn", "tax id", "rnokpp", "inn", "рнокпп", "іпн", "tax number"];
};

fn nino(text: &str) -> bool {
    const NEVER: [&str; 7] = ["BG", "GB", "NK", "KN", "TN", "NT", "ZZ"];
    let Some(start) = text.get(..2) else { return false };
    let second = start.ends_with(['D', 'F', 'I', 'O', 'Q', 'U', 'V']);
    let first = start.starts_with(['D', 'F', 'I', 'Q', 'U', 'V']);
    let end = text.get(8..).is_none_or(|end| end.is_empty() || matches!(end, "A" | "B" | "C" | "D"));
    !NEVER.contains(&start) && !first && !second && end
}

fn utr(text: &str) -> bool {
    let Some(digits) = digits(text) else { return false };
    let rest = weighted(digits.get(1..).unwrap_or_default(), &[6, 7, 8, 9, 10, 5, 4, 3, 2]) % 11;
    let letters = [2, 1, 9, 8, 7, 6, 5, 4, 3, 2, 1];
    usize::try_from(rest).ok().and_then(|rest| letters.get(rest)) == digits.first()
}

fn german_tax(text: &str) -> bool {
    !text.starts_with('0') && mod_11_10(text) && {
        let body = text.get(..10).unwrap_or_default();
        let most = ('0'..='9').map(|digit| body.matches(digit).count()).max().unwrap_or_default();
        (2..=3).contains(&most)
    }
}

fn german_pension(text: &str) -> bool {
    let Some(letter) = text.chars().nth(8).and_then(|letter| letter.to_digit(36)) else { return false };
    let spelt = format!(
        "{}{:02}{}",
        text.get(..8).unwrap_or_default(),
        letter.saturating_sub(9),
        text.get(9..11).unwrap_or_default()
    );
    let Some(digits) = digits(&spelt) else { return false };
    let sum: u32 =
        digits.iter().zip([2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1]).map(|(digit, weight)| across(digit * weight)).sum();
    text.ends_with(&(sum % 10).to_string()) && matches!(number(text, 4, 2), Some(1..=12))
}

const fn across(number: u32) -> u32 {
    number / 10 + number % 10
}

fn german_card(text: &str) -> bool {
    const LETTERS: &str = "CFGHJKLMNPRTVWXYZ0123456789";
    text.chars().all(|letter| LETTERS.contains(letter))
        && text.starts_with(['C', 'F', 'G', 'H', 'J', 'K', 'L', 'M', 'N', 'P', 'R', 'T', 'V', 'W', 'X', 'Y', 'Z'])
        && text.bytes().any(|byte| byte.is_ascii_digit())
}

fn french(text: &str) -> bool {
    let body = text.get(..13).unwrap_or_default().replacen("2A", "19", 1).replacen("2B", "18", 1);
    let (Ok(number), Some(key)) = (body.parse::<u64>(), number(text, 13, 2)) else { return false };
    text.starts_with(['1', '2', '3', '4', '7', '8'])
        && matches!(text.get(3..5).and_then(|month| month.parse::<u32>().ok()), Some(1..=12 | 20..=42 | 50..=99))
        && 97 - number % 97 == u64::from(key)
}

fn spanish(text: &str) -> bool {
    const LETTERS: &str = "TRWAGMYFPDXBNJZSQVHLCKE";
    let body = match text.get(..1) {
        Some("X") => text.replacen('X', "0", 1),
        Some("Y") => text.replacen('Y', "1", 1),
        Some("Z") => text.replacen('Z', "2", 1),
        _ => text.to_owned(),
    };
    let Some(number) = number(&body, 0, 8) else { return false };
    let letter = usize::try_from(number % 23).ok().and_then(|at| LETTERS.chars().nth(at));
    letter.is_some_and(|letter| body.ends_with(letter)) && number != 0
}

fn italian(text: &str) -> bool {
    const ODD: [u32; 26] =
        [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23];
    let Some(values) = values(text) else { return false };
    let Some((last, body)) = values.split_last() else { return false };
    let sum: u32 = body
        .iter()
        .enumerate()
        .map(|(at, value)| {
            let place = if *value > 9 { value - 10 } else { *value };
            if at % 2 == 1 {
                place
            } else {
                usize::try_from(place).ok().and_then(|place| ODD.get(place)).copied().unwrap_or_default()
            }
        })
        .sum();
    sum % 26 + 10 == *last && text.get(8..9).is_some_and(|month| "ABCDEHLMPRST".contains(month))
}

fn portuguese(text: &str) -> bool {
    text.starts_with(['1', '2', '3']) && !is_one_digit(text) && eleven(text, &[9, 8, 7, 6, 5, 4, 3, 2])
}

/// Like `mod_11`, where ten and eleven are 0.
fn eleven(text: &str, weights: &[u32]) -> bool {
    mod_11(text, weights, Some(0))
}

fn dutch(text: &str) -> bool {
    let Some(digits) = digits(text) else { return false };
    let sum: i64 =
        digits.iter().zip([9, 8, 7, 6, 5, 4, 3, 2, -1]).map(|(digit, weight)| i64::from(*digit) * weight).sum();
    sum % 11 == 0 && !is_one_digit(text)
}

fn belgian(text: &str) -> bool {
    let (Some(body), Some(key)) = (text.get(..9).and_then(|body| body.parse::<u64>().ok()), number(text, 9, 2)) else {
        return false;
    };
    let is = |body: u64| 97 - body % 97 == u64::from(key);
    (is(body) || is(2_000_000_000 + body)) && matches!(number(text, 2, 2), Some(0..=12 | 20..=32 | 40..=52))
}

fn polish(text: &str) -> bool {
    let Some(digits) = digits(text) else { return false };
    let check = (10 - weighted(digits.get(..10).unwrap_or_default(), &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3]) % 10) % 10;
    digits.last() == Some(&check)
        && number(text, 2, 2).is_some_and(|month| (1..=12).contains(&(month % 20)))
        && matches!(number(text, 4, 2), Some(1..=31))
}

fn swedish(text: &str) -> bool {
    let short = text.get(text.len().saturating_sub(10)..).unwrap_or_default();
    luhn(short) && matches!((number(short, 2, 2), number(short, 4, 2)), (Some(1..=12), Some(1..=31 | 61..=91)))
}

fn norwegian(text: &str) -> bool {
    let first = text.get(..10).is_some_and(|body| eleven_strict(body, &[3, 7, 6, 1, 8, 9, 4, 5, 2]));
    first
        && eleven_strict(text, &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2])
        && matches!(number(text, 0, 2), Some(1..=31 | 41..=71))
}

fn eleven_strict(text: &str, weights: &[u32]) -> bool {
    mod_11(text, weights, None)
}

fn danish(text: &str) -> bool {
    has_date(text, 0, "ddmmyy")
}

fn finnish(text: &str) -> bool {
    const LETTERS: &str = "0123456789ABCDEFHJKLMNPRSTUVWXY";
    let individual = if text.len() == 11 { text.get(7..10) } else { text.get(6..9) };
    let (Some(day), Some(individual)) = (text.get(..6), individual) else { return false };
    let Ok(number) = format!("{day}{individual}").parse::<usize>() else { return false };
    has_date(text, 0, "ddmmyy") && LETTERS.chars().nth(number % 31).is_some_and(|letter| text.ends_with(letter))
}

fn swiss(text: &str) -> bool {
    let Some(digits) = digits(text) else { return false };
    digits.iter().enumerate().map(|(at, digit)| if at % 2 == 0 { *digit } else { digit * 3 }).sum::<u32>() % 10 == 0
}

fn austrian(text: &str) -> bool {
    let Some(digits) = digits(text) else { return false };
    let sum = weighted(&digits, &[3, 7, 9, 0, 5, 8, 4, 2, 1, 6]) % 11;
    digits.get(3) == Some(&sum) && matches!((number(text, 4, 2), number(text, 6, 2)), (Some(1..=31), Some(1..=15)))
}

fn irish(text: &str) -> bool {
    let Some(values) = values(text) else { return false };
    // Of the second letters, those before 2013 do not count.
    let second = values.get(8).map_or(0, |letter| if *letter > 28 { 0 } else { letter.saturating_sub(9) });
    let sum = weighted(values.get(..7).unwrap_or_default(), &[8, 7, 6, 5, 4, 3, 2]) + second * 9;
    let wanted = match sum % 23 {
        0 => 32,
        rest => rest + 9,
    };
    values.get(7) == Some(&wanted)
}

fn czech(text: &str) -> bool {
    // Before 1985, where ten was left over, the last digit was 0.
    let is_ten = text.ends_with('0')
        && text.get(..9).and_then(|body| body.parse::<u64>().ok()).is_some_and(|body| body % 11 == 10);
    (is_ten || text.parse::<u64>().is_ok_and(|number| number % 11 == 0))
        && matches!(
            (number(text, 2, 2), number(text, 4, 2)),
            (Some(1..=12 | 21..=32 | 51..=62 | 71..=82), Some(1..=31))
        )
}

fn hungarian(text: &str) -> bool {
    let Some(digits) = digits(text) else { return false };
    let body = digits.get(..9).unwrap_or_default();
    digits.last() == Some(&(weighted(body, &[1, 2, 3, 4, 5, 6, 7, 8, 9]) % 11))
}

fn romanian(text: &str) -> bool {
    let Some(digits) = digits(text) else { return false };
    let rest = weighted(&digits, &[2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9]) % 11;
    digits.last() == Some(&if rest == 10 { 1 } else { rest }) && has_date(text, 1, "yymmdd") && !text.starts_with('0')
}

fn bulgarian(text: &str) -> bool {
    let Some(digits) = digits(text) else { return false };
    let rest = weighted(&digits, &[2, 4, 8, 5, 10, 9, 7, 3, 6]) % 11;
    digits.last() == Some(&(rest % 10))
        && matches!((number(text, 2, 2), number(text, 4, 2)), (Some(1..=12 | 21..=32 | 41..=52), Some(1..=31)))
}

fn yugoslav(text: &str) -> bool {
    let Some(digits) = digits(text) else { return false };
    let rest = weighted(&digits, &[7, 6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11;
    let check = (11 - rest) % 11 % 10;
    digits.last() == Some(&check) && matches!((number(text, 0, 2), number(text, 2, 2)), (Some(1..=31), Some(1..=12)))
}

fn baltic(text: &str) -> bool {
    let Some(digits) = digits(text) else { return false };
    let body = digits.get(..10).unwrap_or_default();
    let first = weighted(body, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 1]) % 11;
    let check = if first < 10 { first } else { weighted(body, &[3, 4, 5, 6, 7, 8, 9, 1, 2, 3]) % 11 % 10 };
    digits.last() == Some(&check) && has_date(text, 1, "yymmdd") && text.starts_with(['1', '2', '3', '4', '5', '6'])
}

fn greek(text: &str) -> bool {
    luhn(text) && has_date(text, 0, "ddmmyy")
}

fn turkish(text: &str) -> bool {
    let Some(digits) = digits(text) else { return false };
    let at = |place: usize| digits.get(place).copied().unwrap_or_default();
    let (odd, even) = (at(0) + at(2) + at(4) + at(6) + at(8), at(1) + at(3) + at(5) + at(7));
    let sum: u32 = digits.iter().take(10).sum();
    at(0) != 0 && (odd * 7 + 10 * 9 - even) % 10 == at(9) && sum % 10 == at(10)
}

fn russian_tax(text: &str) -> bool {
    let Some(digits) = digits(text) else { return false };
    let check = |weights: &[u32]| weighted(&digits, weights) % 11 % 10;
    digits.get(10) == Some(&check(&[7, 2, 4, 10, 3, 5, 9, 4, 6, 8]))
        && digits.get(11) == Some(&check(&[3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8]))
}

fn snils(text: &str) -> bool {
    let Some(digits) = digits(text) else { return false };
    let sum = weighted(&digits, &[9, 8, 7, 6, 5, 4, 3, 2, 1]) % 101 % 100;
    number(text, 9, 2) == Some(sum) && !is_one_digit(text)
}

fn ukrainian(text: &str) -> bool {
    let Some(digits) = digits(text) else { return false };
    let sum: i64 =
        digits.iter().zip([-1, 5, 7, 9, 4, 6, 10, 5, 7]).map(|(digit, weight)| i64::from(*digit) * weight).sum();
    digits.last().is_some_and(|last| i64::from(*last) == sum.rem_euclid(11) % 10)
}

/// The last digit is the rest by 11 of powers of two.
fn greek_tax(text: &str) -> bool {
    let Some(digits) = digits(text) else { return false };
    !is_one_digit(text) && digits.last() == Some(&(weighted(&digits, &[256, 128, 64, 32, 16, 8, 4, 2]) % 11 % 10))
}

fn hungarian_health(text: &str) -> bool {
    let Some(digits) = digits(text) else { return false };
    !is_one_digit(text) && digits.last() == Some(&(weighted(&digits, &[3, 7, 3, 7, 3, 7, 3, 7]) % 10))
}
