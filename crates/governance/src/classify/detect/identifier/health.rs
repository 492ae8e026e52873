//! Identifiers of health.

use super::check::{digits, luhn, mod_11, weighted};
use super::sort::{Sort, sorts, unproved};

pub(super) const SORTS: &[Sort] = sorts! { Health:
    "us_npi" "9" 10..10 96 0 npi, &["npi", "national provider", "provider number", "prescriber", "npi number", "provider npi", "national provider identifier", "provider identifier", "provider id"];
    "us_dea" "AA9999999" 9..9 96 66 dea, &["dea", "dea number", "prescriber"];
    "us_mbi" "9A*9A*9AA99" 11..11 95 68 mbi, &["mbi", "medicare", "beneficiary", "medicare beneficiary", "medicare id", "medicare number", "beneficiary id"];
    "us_medical_license" "AA9999999" 9..9 88 0 dea, &["medical license", "license"];
    "mrn" "*" 5..15 84 0 has_digits, &["mrn", "medical record", "medical record number", "patient id", "patient number", "chart number", "patientid", "patient identifier", "patient no", "patient mrn", "medical record no", "hospital number", "chart no", "chart id", "health record number", "med rec", "medical rec", "historia clinica", "historia clínica", "nhc", "patientennummer", "patienten nr", "numero dossier", "dossier patient", "numero dossier patient", "record number mrn", "cartella clinica", "prontuario", "prontuário"];
    "health_plan_id" "*" 6..17 83 0 has_digits, &["numero mutuelle", "numéro mutuelle", "mutuelle", "numero adherent", "numéro adhérent", "numero afiliado", "versicherten id", "numero de afiliado", "member id", "plan id", "policy number", "subscriber id", "health plan", "insurance id", "memberid", "subscriber number", "group number", "plan number", "policy no", "insurance member", "health plan beneficiary", "insurance number", "insurance policy", "insurance member id", "member number", "member no", "beneficiary number", "plan member", "plan member number", "insurance policy number", "health insurance number", "versicherungsscheinnummer", "beneficiary id"];
    "br_cns" "9" 15..15 95 0 brazilian_card, &["cns", "cartao sus", "cartão sus", "cartao nacional de saude", "cartão nacional de saúde", "sus", "cns number", "numero cns", "cartao nacional saude"];
    "uk_nhs" "9" 10..10 96 0 nhs, &["nhs", "nhs number", "nhs no", "national health", "nhsnumber", "patient nhs"];
    "de_kvnr" "A999999999" 10..10 96 62 kvnr, &["versicherten id", "versichertenid", "versichertenkennung", "kvnr", "krankenversichertennummer", "versichertennummer", "krankenkasse", "krankenversicherung", "krankenversicherungsnummer", "kv nummer", "versicherten nr", "versichertennr", "krankenversichertennr"];
    "de_lanr" "9" 9..9 90 0 lanr, &["lanr", "arztnummer", "lebenslange arztnummer"];
    "de_bsnr" "9" 9..9 84 0 unproved, &["bsnr", "betriebsstattennummer", "betriebsstattennr", "betriebsstaettennummer", "betriebsstättennummer"];
    "au_medicare" "9" 10..11 96 0 medicare, &["medicare", "medicare number", "medicare card"];
};

fn has_digits(text: &str) -> bool {
    text.bytes().filter(u8::is_ascii_digit).count() >= 4
}

/// The card of Brazil: the sum of its digits by fifteen to one is a multiple of eleven.
fn brazilian_card(text: &str) -> bool {
    let weights: Vec<u32> = (1..=15).rev().collect();
    text.starts_with(['1', '2', '7', '8', '9'])
        && digits(text).is_some_and(|digits| weighted(&digits, &weights).is_multiple_of(11))
}

fn npi(text: &str) -> bool {
    text.starts_with(['1', '2']) && luhn(&format!("80840{text}"))
}

fn dea(text: &str) -> bool {
    // Articles of a knowledge base are numbered so.
    if text.starts_with("KB") {
        return false;
    }
    let Some(digits) = text.get(2..).and_then(digits) else { return false };
    let at = |place: usize| digits.get(place).copied().unwrap_or_default();
    "ABCDEFGHJKLMPRSTUX".contains(text.get(..1).unwrap_or("?"))
        && (at(0) + at(2) + at(4) + 2 * (at(1) + at(3) + at(5))) % 10 == at(6)
}

fn mbi(text: &str) -> bool {
    !text.starts_with('0') && !text.contains(['S', 'L', 'O', 'I', 'B', 'Z'])
}

fn nhs(text: &str) -> bool {
    mod_11(text, &[10, 9, 8, 7, 6, 5, 4, 3, 2], None) && !super::americas::is_one_digit(text)
}

fn kvnr(text: &str) -> bool {
    let Some(letter) = text.chars().next().and_then(|letter| letter.to_digit(36)) else { return false };
    let spelt = format!("{:02}{}", letter.saturating_sub(9), text.get(1..).unwrap_or_default());
    let Some(digits) = digits(&spelt) else { return false };
    let Some((last, body)) = digits.split_last() else { return false };
    let sum: u32 = body
        .iter()
        .enumerate()
        .map(|(at, digit)| {
            let product = digit * if at % 2 == 0 { 1 } else { 2 };
            product / 10 + product % 10
        })
        .sum();
    sum % 10 == *last
}

fn lanr(text: &str) -> bool {
    let Some(digits) = digits(text) else { return false };
    digits.get(6) == Some(&((10 - weighted(&digits, &[4, 9, 4, 9, 4, 9]) % 10) % 10))
}

fn medicare(text: &str) -> bool {
    let Some(digits) = digits(text) else { return false };
    matches!(digits.first(), Some(2..=6)) && digits.get(8) == Some(&(weighted(&digits, &[1, 3, 7, 9, 1, 3, 7, 9]) % 10))
}
