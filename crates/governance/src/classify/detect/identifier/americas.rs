//! Identifiers of the Americas.

use super::check::{digits, has_date, luhn, mod_11, number, weighted};
use super::sort::{Sort, sorts, unproved};

pub(super) const SORTS: &[Sort] = sorts! { Pii:
    "us_ssn" "9" 9..9 88 0 ssn, &["ssn", "social security", "social security number", "socialsecurity", "ss number", "ssnumber", "taxpayer id", "tin", "social security no", "social security nr", "ssn number", "socialsecuritynumber", "soc sec", "social sec"];
    "us_itin" "9" 9..9 90 0 itin, &["itin", "individual taxpayer", "taxpayer", "tin", "tax id", "itin number"];
    "us_passport" "*99999999" 9..9 85 0 unproved, &["passport", "passport number", "passport no", "us passport"];
    "us_driver_license" "*9" 6..14 82 0 has_digits, &["driver license", "drivers license", "driver licence", "drivers licence", "driving licence", "driving license", "dl number", "license number", "licence number", "dln", "driverlicense", "driverslicense", "driver s license", "driving permit", "driver licence no", "license no", "licence no", "licence", "dl id", "cnh", "carteira de motorista", "licencia de conducir", "permis de conduire", "patente", "patente di guida", "fuhrerschein", "führerschein", "führerscheinnummer", "fuhrerscheinnummer", "rijbewijs"];
    "ca_sin" "9" 9..9 96 0 luhn, &["sin", "social insurance", "social insurance number", "nas", "insurance sociale", "insurance number", "canadian sin", "numero assurance sociale", "assurance sociale"];
    "br_cpf" "9" 11..11 97 0 cpf, &["cpf", "cadastro de pessoas", "documento", "cpf cliente"];
    "mx_curp" "AAAA999999AAAAAA*9" 18..18 97 78 curp, &["curp", "clave unica", "clave única"];
    "mx_rfc" "AAAA999999*" 13..13 90 0 rfc, &["r f c", "rfc"];
    "mx_elector" "AAAAAA99999999A999" 18..18 92 0 unproved, &["clave de elector", "clave elector", "elector", "ine", "voter id"];
    "ar_cuit" "9" 11..11 96 0 person_cuit, &["cuit", "cuil", "clave unica"];
    "ar_dni" "9" 7..8 82 0 unproved, &["dni", "documento nacional", "documento", "documento de identidad", "nro documento"];
    "cl_rut" "9" 8..9 96 0 rut, &["r u t", "rut", "run", "rol unico"];
    "cl_rut" "9999999k" 8..8 96 0 rut, &["r u t", "rut", "run"];
    "cl_rut" "99999999k" 9..9 96 0 rut, &["r u t", "rut", "run"];
    "co_nit" "9" 9..10 92 0 nit, &["nit", "cedula", "cédula"];
    "pe_dni" "9" 8..8 80 0 unproved, &["dni", "documento"];
};

fn has_digits(text: &str) -> bool {
    text.bytes().filter(u8::is_ascii_digit).count() >= 4
}

/// Area, group and serial that are given out, and not the numbers of advertisements.
pub(super) fn ssn(text: &str) -> bool {
    let parts = (number(text, 0, 3), number(text, 3, 2), number(text, 5, 4));
    let (Some(area), Some(group), Some(serial)) = parts else { return false };
    let is_given = area != 0 && area != 666 && area < 900 && group != 0 && serial != 0;
    is_given && !matches!(text, "123456789" | "078051120" | "219099999") && !is_one_digit(text)
}

pub(super) fn is_one_digit(text: &str) -> bool {
    let mut letters = text.chars();
    let first = letters.next();
    letters.all(|letter| Some(letter) == first)
}

/// Numbers from 9, with the groups that the tax office gives out.
fn itin(text: &str) -> bool {
    text.starts_with('9') && matches!(number(text, 3, 2), Some(50..=65 | 70..=88 | 90..=92 | 94..=99))
}

fn cpf(text: &str) -> bool {
    !is_one_digit(text)
        && brazilian(text, 9, &[10, 9, 8, 7, 6, 5, 4, 3, 2])
        && brazilian(text, 10, &[11, 10, 9, 8, 7, 6, 5, 4, 3, 2])
}

/// The digit at `at` is the remainder of those before it, by 11.
pub(super) fn brazilian(text: &str, at: usize, weights: &[u32]) -> bool {
    let Some(digits) = digits(text) else { return false };
    let rest = weighted(&digits, weights) % 11;
    digits.get(at) == Some(&if rest < 2 { 0 } else { 11 - rest })
}

/// The last place of a CURP over its alphabet of 37 letters.
fn curp(text: &str) -> bool {
    const ALPHABET: &str = "0123456789ABCDEFGHIJKLMN-OPQRSTUVWXYZ";
    let place = |letter: char| ALPHABET.find(letter).and_then(|at| u32::try_from(at).ok());
    let Some(values) = text.chars().map(place).collect::<Option<Vec<_>>>() else { return false };
    let weights: Vec<u32> = (2..=18).rev().collect();
    let check = (10 - weighted(&values, &weights) % 10) % 10;
    has_date(text, 4, "yymmdd") && matches!(text.get(10..11), Some("H" | "M" | "X")) && values.last() == Some(&check)
}

fn rfc(text: &str) -> bool {
    has_date(text, 4, "yymmdd")
}

fn person_cuit(text: &str) -> bool {
    text.starts_with('2') && cuit(text)
}

/// Of persons and companies.
pub(super) fn cuit(text: &str) -> bool {
    const STARTS: [&str; 9] = ["20", "23", "24", "25", "26", "27", "30", "33", "34"];
    STARTS.iter().any(|start| text.starts_with(start)) && mod_11(text, &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2], Some(9))
}

fn rut(text: &str) -> bool {
    let Some((body, check)) = text.split_at_checked(text.len().saturating_sub(1)) else { return false };
    let Some(digits) = digits(body) else { return false };
    let sum: u32 =
        digits.iter().rev().zip([2, 3, 4, 5, 6, 7].iter().cycle()).map(|(digit, weight)| digit * weight).sum();
    let wanted = match 11 - sum % 11 {
        11 => "0".to_owned(),
        10 => "K".to_owned(),
        check => check.to_string(),
    };
    !is_one_digit(body) && check == wanted
}

fn nit(text: &str) -> bool {
    const WEIGHTS: [u32; 9] = [41, 37, 29, 23, 19, 17, 13, 7, 3];
    let Some(digits) = digits(text) else { return false };
    if digits.len() == 9 {
        return true;
    }
    let rest = weighted(&digits, &WEIGHTS) % 11;
    digits.last() == Some(&if rest < 2 { rest } else { 11 - rest })
}
