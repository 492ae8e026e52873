//! Identifiers of Asia, Africa and Oceania.

use super::americas::is_one_digit;
use super::check::{digits, has_date, luhn, number, values, verhoeff, weighted};
use super::sort::{Sort, sorts, unproved};

pub(super) const SORTS: &[Sort] = sorts! { Pii:
    "in_aadhaar" "9" 12..12 97 0 aadhaar, &["aadhaar", "aadhar", "uidai", "uid", "aadhaar number", "uid aadhaar", "adhaar", "adhar"];
    "in_pan" "AAAAA9999A" 10..10 95 66 pan, &["pan", "permanent account", "pan number", "pan card"];
    "in_voter" "AAA9999999" 10..10 88 0 unproved, &["voter", "epic", "elector", "voter id", "voter card"];
    "in_passport" "A9999999" 8..8 85 0 unproved, &["passport"];
    "cn_ric" "99999999999999999*" 18..18 97 78 chinese, &["ric", "shenfenzheng", "resident identity", "identity card", "citizen id", "national id", "身份证", "身份证号", "身份证号码", "居民身份证", "公民身份号码", "id card", "id number", "identity number", "resident id"];
    "hk_id" "A999999*" 8..8 95 0 hong_kong, &["hkid", "hong kong id", "identity card", "hkid number", "id number", "national id", "personal id", "hong kong", "id card", "identification", "hk id"];
    "hk_id" "AA999999*" 9..9 95 0 hong_kong, &["hkid", "hong kong id", "identity card", "hkid number", "id number", "national id", "personal id", "hong kong", "id card", "identification", "hk id"];
    "tw_id" "A999999999" 10..10 96 66 taiwanese, &["tw id", "national id", "identity card", "shenfenzheng", "身分證字號", "身分證", "taiwan id", "tw national id", "id number", "personal id"];
    "sg_nric" "A9999999A" 9..9 96 66 singaporean, &["nric", "fin", "nric number", "identity card", "fin number", "nric fin", "id number", "national id", "identification number"];
    "kr_rrn" "9" 13..13 96 0 korean, &["rrn", "resident registration", "jumin", "jumin number", "주민등록번호", "resident registration number", "national id"];
    "kr_frn" "9" 13..13 95 0 korean_foreigner, &["frn", "foreign registration", "alien registration", "외국인등록번호"];
    "jp_my_number" "9" 12..12 96 0 japanese, &["my number", "mynumber", "kojin bango", "individual number", "マイナンバー", "個人番号", "kojinbango"];
    "th_tnin" "9" 13..13 96 0 thai, &["tnin", "thai id", "citizen id", "national id", "identity card", "เลขบัตรประชาชน", "เลขประจำตัวประชาชน", "id number", "id card", "national identification"];
    "id_nik" "9" 16..16 92 0 indonesian, &["nik", "ktp", "nomor induk kependudukan", "nomor ktp", "no ktp"];
    "my_nric" "9" 12..12 90 0 malaysian, &["nokp", "no kp", "no k p", "nombor kp", "nokp baru", "nric", "mykad", "kad pengenalan", "ic number", "ic no", "no kad pengenalan", "my kad", "identity card"];
    "ph_tin" "9" 9..12 84 0 unproved, &["tin", "tax identification", "tin number", "tax id"];
    "pk_cnic" "9" 13..13 90 0 pakistani, &["cnic", "nic", "shanakhti", "nadra", "national id", "national identity card", "cnic number", "cnic no"];
    "lk_nic" "999999999*" 10..10 90 0 lankan, &["nic", "national identity"];
    "il_id" "9" 9..9 94 0 luhn, &["teudat zehut", "israeli id", "tz", "il id", "zehut", "תעודת זהות", "תעודת", "מספר זהות", "israeli national id"];
    "ir_national_id" "9" 10..10 95 0 iranian, &["melli", "kode melli", "national id", "ir id", "code melli", "kod melli", "national code", "iran national code", "کد ملی", "iranian national id", "کدملی"];
    "za_id" "9" 13..13 96 0 south_african, &["za id", "said", "rsaid", "id number za", "south african id", "id number", "identity number", "sa id", "rsa id", "sa id number", "south african", "sa identity", "national id"];
    "ng_nin" "9" 11..11 86 0 unproved, &["nin", "national identification", "nin number", "national identification number", "bvn"];
    "bd_nid" "9" 10..10 86 0 unproved, &["nid", "nid no", "nid number", "voter id", "smart nid"];
    "bd_nid" "9" 13..13 86 0 unproved, &["nid", "nid no", "nid number", "voter id", "smart nid"];
    "bd_nid" "9" 17..17 88 0 bangladeshi, &["nid", "nid no", "nid number", "voter id", "national id"];
    "eg_national_id" "9" 14..14 90 0 egyptian, &["national id", "الرقم القومي", "raqam qawmi", "egyptian national id", "egyptian id", "id number"];
    "vn_cccd" "099999999999" 12..12 88 0 unproved, &["cccd", "so cccd", "số cccd", "can cuoc", "căn cước", "can cuoc cong dan", "citizen id", "citizen identity"];
    "tn_id" "9" 8..8 80 0 unproved, &["cin", "carte d identite"];
    "ly_id" "9" 12..12 80 0 libyan, &["libyan", "ly id"];
    "au_tfn" "9" 8..9 96 0 tfn, &["tfn", "tax file", "tax file number"];
    "nz_ird" "9" 8..9 86 0 unproved, &["ird", "ird number", "ird no", "inland revenue"];
};

fn aadhaar(text: &str) -> bool {
    text.starts_with(['2', '3', '4', '5', '6', '7', '8', '9']) && verhoeff(text) && !is_one_digit(text)
}

fn pan(text: &str) -> bool {
    text.get(3..4).is_some_and(|holder| "ABCFGHJLPT".contains(holder))
}

/// ISO 7064, MOD 11-2.
fn chinese(text: &str) -> bool {
    let Some(body) = text.get(..17).and_then(digits) else { return false };
    let rest = body.iter().fold(0, |rest, digit| (rest + digit) * 2 % 11);
    let check = (12 - rest) % 11;
    let wanted = if check == 10 { "X".to_owned() } else { check.to_string() };
    has_date(text, 6, "yyyymmdd") && text.ends_with(&wanted)
}

fn hong_kong(text: &str) -> bool {
    let padded = if text.len() == 8 { format!(" {text}") } else { text.to_owned() };
    let value = |letter: char| if letter == ' ' { Some(36) } else { letter.to_digit(36) };
    let Some((last, body)) = padded.split_at_checked(8) else { return false };
    let (body, last) = (last, body);
    let Some(values) = body.chars().map(value).collect::<Option<Vec<_>>>() else { return false };
    let check = (11 - weighted(&values, &[9, 8, 7, 6, 5, 4, 3, 2]) % 11) % 11;
    last == if check == 10 { "A".to_owned() } else { check.to_string() }
}

fn taiwanese(text: &str) -> bool {
    const CODES: [u32; 26] =
        [10, 11, 12, 13, 14, 15, 16, 17, 34, 18, 19, 20, 21, 22, 35, 23, 24, 25, 26, 27, 28, 29, 32, 30, 31, 33];
    let Some(values) = values(text) else { return false };
    let Some((first, rest)) = values.split_first() else { return false };
    let Some(code) = first.checked_sub(10).and_then(|at| usize::try_from(at).ok()).and_then(|at| CODES.get(at)) else {
        return false;
    };
    let sum = code / 10 + code % 10 * 9 + weighted(rest, &[8, 7, 6, 5, 4, 3, 2, 1, 1]);
    matches!(rest.first(), Some(1 | 2 | 8 | 9)) && sum.is_multiple_of(10)
}

fn singaporean(text: &str) -> bool {
    let Some(digits) = text.get(1..8).and_then(digits) else { return false };
    let sum = weighted(&digits, &[2, 7, 6, 5, 4, 3, 2]);
    let (extra, letters) = match text.get(..1) {
        Some("S") => (0, "JZIHGFEDCBA"),
        Some("T") => (4, "JZIHGFEDCBA"),
        Some("F") => (0, "XWUTRQPNMLK"),
        Some("G") => (4, "XWUTRQPNMLK"),
        Some("M") => (3, "XWUTRQPNJLK"),
        _ => return false,
    };
    let place = usize::try_from((sum + extra) % 11).unwrap_or_default();
    letters.chars().nth(place).is_some_and(|letter| text.ends_with(letter))
}

fn korean(text: &str) -> bool {
    has_date(text, 0, "yymmdd") && matches!(text.get(6..7), Some("1" | "2" | "3" | "4" | "9" | "0"))
}

fn korean_foreigner(text: &str) -> bool {
    has_date(text, 0, "yymmdd") && matches!(text.get(6..7), Some("5" | "6" | "7" | "8"))
}

fn japanese(text: &str) -> bool {
    let Some(digits) = digits(text) else { return false };
    let rest = weighted(&digits, &[6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11;
    digits.last() == Some(&if rest < 2 { 0 } else { 11 - rest })
}

fn thai(text: &str) -> bool {
    let Some(digits) = digits(text) else { return false };
    let sum = weighted(&digits, &[13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2]);
    digits.last() == Some(&((11 - sum % 11) % 10)) && !text.starts_with('0')
}

fn indonesian(text: &str) -> bool {
    matches!(
        (number(text, 0, 2), number(text, 6, 2), number(text, 8, 2)),
        (Some(11..=94), Some(1..=31 | 41..=71), Some(1..=12))
    )
}

fn malaysian(text: &str) -> bool {
    has_date(text, 0, "yymmdd")
}

fn pakistani(text: &str) -> bool {
    text.starts_with(['1', '2', '3', '4', '5', '6', '7'])
}

fn lankan(text: &str) -> bool {
    text.ends_with(['V', 'X']) && matches!(number(text, 2, 3), Some(1..=366 | 501..=866))
}

fn iranian(text: &str) -> bool {
    let Some(digits) = digits(text) else { return false };
    let rest = weighted(&digits, &[10, 9, 8, 7, 6, 5, 4, 3, 2]) % 11;
    !is_one_digit(text) && digits.last() == Some(&if rest < 2 { rest } else { 11 - rest })
}

fn south_african(text: &str) -> bool {
    has_date(text, 0, "yymmdd") && matches!(text.get(10..11), Some("0" | "1" | "2")) && luhn(text)
}

fn libyan(text: &str) -> bool {
    text.starts_with(['1', '2']) && matches!(number(text, 1, 4), Some(1900..=2030))
}

fn tfn(text: &str) -> bool {
    let Some(digits) = digits(text) else { return false };
    let weights: &[u32] = if digits.len() == 9 { &[1, 4, 3, 7, 5, 8, 6, 9, 10] } else { &[10, 7, 8, 4, 6, 3, 5, 1] };
    weighted(&digits, weights).is_multiple_of(11) && !is_one_digit(text)
}

/// With the year of birth before the number.
fn bangladeshi(text: &str) -> bool {
    matches!(number(text, 0, 4), Some(1900..=2030))
}

/// A century, a date of birth and a governorate.
fn egyptian(text: &str) -> bool {
    text.starts_with(['2', '3']) && has_date(text, 1, "yymmdd") && matches!(number(text, 7, 2), Some(1..=35 | 88))
}
