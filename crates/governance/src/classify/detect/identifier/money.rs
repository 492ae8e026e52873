//! Cards, accounts and the numbers of companies.

use super::americas::{brazilian, is_one_digit};
use super::check::{digits, iban, luhn, luhn_sum, mod_11, mod_97, number, values, weighted};
use super::sort::{Sort, sorts, unproved};

pub(super) const SORTS: &[Sort] = sorts! { Financial:
    "iban" "AA99*" 15..33 98 90 iban, &["iban", "account", "bank account", "konto", "kontonummer", "iban number", "bankverbindung", "rekeningnummer", "compte bancaire", "bank", "conto", "cuenta", "creditor account", "debtor account"];
    "credit_card" "9" 12..19 97 0 card, &["card", "credit card", "debit card", "card number", "cardnumber", "creditcard", "pan", "cc", "ccnum", "cc number", "kreditkarte", "karte", "tarjeta", "carte", "kartennummer", "visa", "mastercard", "amex", "payment method", "payment card", "card no", "card num", "card nr", "cardno", "cardnum", "numero carte", "carte bancaire", "carte bleue", "kreditkartennummer", "credit card no", "numero de tarjeta", "discover", "银行卡号", "信用卡号", "カード番号", "クレジットカード番号", "카드번호", "carta di credito", "numero cartao", "numero do cartao", "cartao de credito", "cartão de crédito", "numero carta", "primary account number", "card pan", "tarjeta de credito"];
    "credit_card" "9" 12..19 90 0 luhn, &["card", "credit card", "debit card", "card number", "cardnumber", "creditcard", "pan", "ccnum", "kreditkarte", "tarjeta", "kartennummer", "payment card", "card no", "card num", "card nr", "cardno", "cardnum", "numero carte", "carte bancaire", "carte bleue", "kreditkartennummer", "credit card no", "numero de tarjeta", "discover", "银行卡号", "信用卡号", "カード番号", "クレジットカード番号", "카드번호", "carta di credito", "numero cartao", "numero do cartao", "cartao de credito", "cartão de crédito", "numero carta", "primary account number", "card pan", "tarjeta de credito"];
    "us_aba_routing" "9" 9..9 96 0 aba, &["aba", "routing", "routing number", "routing no", "rtn", "routing transit", "routingnumber", "transit", "aba number", "aba no", "bank routing", "routing nr", "aba rtn"];
    "uk_sort_code" "9" 6..6 84 0 unproved, &["sort code", "sortcode"];
    "us_bank_account" "9" 6..17 82 0 unproved, &["beneficiary account", "bankn", "numero cuenta", "num cuenta", "beneficiary acct", "recipient account", "creditor account number", "debtor account number", "account number", "account no", "acct", "bank account", "accountnumber", "checking", "savings", "acct number", "kontonummer", "numero de cuenta", "compte", "acct no", "account nr", "account num", "bank account number", "bank acct", "口座番号", "계좌번호", "银行账号", "konto nr", "checking account", "savings account", "deposit account", "account id number", "numero de compte", "numéro de compte", "numero conto", "conta bancaria", "conta bancária", "numero de conta", "beneficiary account number", "rekeningnummer", "bank account no", "conta corrente", "conta poupanca", "cuenta corriente", "cuenta bancaria", "cuenta de ahorro", "compte courant", "conto corrente", "girokonto", "nr konta", "numer konta", "numer rachunku", "account id bank", "iban or account", "dda", "from account", "to account", "source account number", "destination account number", "payee account", "account num bank", "acct num", "bank acc", "bank acc no", "acc no", "acc number", "clabe o cuenta"];
    "card_cvv" "9" 3..4 82 0 unproved, &["cvn", "cvn2", "cid code", "card cvn", "cvv", "cvc", "cvv2", "cvc2", "security code", "card code", "csc", "card verification", "verification value", "prufziffer", "prüfziffer", "kartenprufnummer", "kartenprüfnummer", "cryptogramme", "card cvc", "codigo de seguridad"];
    "bic" "AAAAAA*" 8..8 90 0 bic, &["bic", "swift", "swift code", "bic code", "swift bic", "bic swift", "bank code", "swiftcode"];
    "bic" "AAAAAA*" 11..11 90 0 bic, &["bic", "swift", "swift code", "bic code", "swift bic", "bic swift", "bank code", "swiftcode"];
    "cusip" "*" 9..9 88 0 cusip, &["cusip"];
    "sedol" "*" 7..7 86 0 sedol, &["sedol"];
    "ar_cbu" "9" 22..22 96 0 cbu, &["cbu", "cvu", "clave bancaria", "clave bancaria uniforme", "cbu number", "numero cbu", "cuenta cbu", "cuenta", "account number", "bank account"];
    "au_bsb" "9" 6..6 86 0 unproved, &["bsb", "bsb number", "bsb code", "bank state branch", "branch code"];
    "in_ifsc" "AAAA0*" 11..11 92 0 ifsc, &["ifsc", "ifsc code", "rtgs code", "neft code", "bank code", "branch code"];
    "mx_clabe" "9" 18..18 95 0 clabe, &["clabe", "cuenta clabe", "clabe interbancaria", "interbancaria"];
};

pub(super) const BUSINESS: &[Sort] = sorts! { BusinessId:
    "us_ein" "9" 9..9 86 0 ein, &["ein", "employer identification", "fein", "employer id", "federal tax id", "tax id", "employer identification number", "ein number", "fed tax id", "federal id", "tax identification number"];
    "eu_vat" "AA*" 8..15 92 62 vat, &["vatregistration", "vat registration nr", "vat", "vat id", "vat number", "ust id", "ustid", "ust idnr", "tva", "iva", "btw", "umsatzsteuer", "vatin", "vat no", "partita iva", "nif", "tax id", "vat reg", "vat registration", "vat registration number", "vat reg no", "ustidnr", "ust nr", "btw nummer", "btw nr", "numero tva", "numéro tva", "tva intracommunautaire", "nif iva", "mwst", "moms", "alv", "partita", "piva", "p iva", "umsatzsteuer id", "vat code", "tax number"];
    "vat" "*" 5..16 82 0 has_digits, &["vat", "vat id", "vatin", "vat number", "tva", "btw", "umsatzsteuer", "ust idnr", "ust id", "ustid", "ust nr", "mwst"];
    "ar_cuit_company" "9" 11..11 96 0 argentine, &["cuit", "cuil", "cuit empresa", "clave unica", "tax id", "cuit number"];
    "au_abn" "9" 11..11 96 0 abn, &["abn", "australian business", "abn number", "australian business number"];
    "au_acn" "9" 9..9 95 0 acn, &["a c n", "acn", "australian company", "acn number", "australian company number"];
    "in_gstin" "99AAAAA9999A*A*" 15..15 97 80 gstin, &["gstin", "gst", "gst number", "gstin no", "gst no", "gstin number", "gstins"];
    "in_gstin" "99AAAAA9999A*A*" 15..15 85 0 unproved, &["gstin", "gst", "gst number", "gstin no", "gst no", "gstin number", "gstins"];
    "br_cnpj" "9" 14..14 97 0 cnpj, &["cnpj", "cnpj number", "cadastro nacional"];
    "sg_uen" "*" 9..10 90 0 uen, &["uen", "unique entity", "uen number", "unique entity number", "company registration", "company number", "registration number", "registration no"];
    "kr_brn" "9" 10..10 95 0 brn, &["brn", "business registration", "saeopja", "사업자등록번호", "business registration number", "business registration no", "business number"];
    "kr_brn" "9" 10..10 84 0 brn_form, &["사업자등록번호", "brn", "business registration", "business registration number"];
    "se_orgnr" "9" 10..10 94 0 luhn, &["orgnr", "organisationsnummer", "org nr", "org number", "org nummer", "orgnummer", "organisation number", "organization number", "identity code", "företag", "company registration"];
    "no_orgnr" "9" 9..9 93 0 norwegian, &["organisasjonsnummer", "orgnr", "org nr", "org nummer", "orgnummer", "foretaksregisteret", "organisation number", "mva"];
    "ch_uid" "AAA9" 12..12 96 70 swiss, &["uid", "mwst", "mwst nummer", "mwst nr", "company uid", "unternehmens identifikationsnummer", "tva", "iva"];
    "lei" "*" 20..20 96 0 lei, &["lei", "legal entity", "lei code", "legal entity identifier"];
    "fr_siren" "9" 9..9 93 0 luhn, &["siren", "numero siren", "numéro siren"];
    "fr_siret" "9" 14..14 94 0 luhn, &["siret", "numero siret", "numéro siret"];
    "de_handelsregister" "AAA9" 5..10 88 72 register, &["hrb", "hra", "handelsregister", "registernummer", "amtsgericht", "handelsregisternummer", "hrb nummer", "register number", "registergericht"];
    "it_partita_iva" "9" 11..11 94 0 luhn, &["partita iva", "piva", "p iva"];
    "es_cif" "A9999999*" 9..9 94 0 spanish_company, &["cif", "nif", "nif empresa", "codigo fiscal", "código fiscal", "cif number", "tax id"];
    "pl_nip" "9" 10..10 94 0 polish_tax, &["nip", "numer nip", "nr nip"];
    "pl_regon" "9" 9..9 93 0 polish_register, &["regon", "numer regon"];
    "ru_inn" "9" 10..10 94 0 russian_company, &["inn", "инн"];
    "cn_uscc" "**999999*********" 18..18 95 0 chinese_company, &["uscc", "social credit", "social credit code", "unified social credit code", "统一社会信用代码", "credit code"];
    "mx_rfc_company" "AAA999999*" 12..12 86 0 unproved, &["rfc"];
};

/// Issuers by their first digits, with the lengths of their numbers.
const ISSUERS: [(u32, u32, usize, &[usize]); 16] = [
    (4, 4, 1, &[13, 16, 19]),
    (51, 55, 2, &[16]),
    (2_221, 2_720, 4, &[16]),
    (34, 34, 2, &[15]),
    (37, 37, 2, &[15]),
    (300, 305, 3, &[14, 16]),
    (36, 36, 2, &[14]),
    (38, 39, 2, &[14, 16]),
    (6_011, 6_011, 4, &[16, 19]),
    (644, 659, 3, &[16, 19]),
    (3_528, 3_589, 4, &[16, 19]),
    (62, 62, 2, &[16, 17, 18, 19]),
    (5_018, 5_020, 4, &[12, 13, 14, 15, 16, 17, 18, 19]),
    (5_038, 5_038, 4, &[12, 13, 14, 15, 16, 17, 18, 19]),
    (6_304, 6_304, 4, &[12, 13, 14, 15, 16, 17, 18, 19]),
    (2_200, 2_204, 4, &[16]),
];

/// Luhn's check, and an issuer that gives out numbers of this length.
pub(super) fn card(text: &str) -> bool {
    let is_issued = ISSUERS.iter().any(|(from, to, places, lengths)| {
        lengths.contains(&text.len()) && number(text, 0, *places).is_some_and(|start| (*from..=*to).contains(&start))
    });
    is_issued && luhn(text) && !is_one_digit(text)
}

fn aba(text: &str) -> bool {
    let Some(digits) = digits(text) else { return false };
    matches!(number(text, 0, 2), Some(0..=12 | 21..=32 | 61..=72 | 80))
        && weighted(&digits, &[3, 7, 1, 3, 7, 1, 3, 7, 1]).is_multiple_of(10)
        && !is_one_digit(text)
}

fn bic(text: &str) -> bool {
    text.get(4..6).is_some_and(|country| COUNTRIES.split(' ').any(|known| known == country))
}

const COUNTRIES: &str = "AD AE AF AG AI AL AM AO AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BM BN BO BR BS BT BW BY BZ CA CD CF CG CH CI CL CM CN CO CR CU CV CY CZ DE DJ DK DM DO DZ EC EE EG ER ES ET FI FJ FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GT GU GW GY HK HN HR HT HU ID IE IL IM IN IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SI SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TG TH TJ TL TM TN TO TR TT TV TW TZ UA UG US UY UZ VA VC VE VG VI VN VU WF WS XK YE YT ZA ZM ZW";

fn cusip(text: &str) -> bool {
    let Some(values) = values(text) else { return false };
    let Some((last, body)) = values.split_last() else { return false };
    let sum: u32 = body
        .iter()
        .enumerate()
        .map(|(at, value)| {
            let value = if at % 2 == 1 { value * 2 } else { *value };
            value / 10 + value % 10
        })
        .sum();
    (10 - sum % 10) % 10 == *last && text.bytes().any(|byte| byte.is_ascii_digit())
}

fn sedol(text: &str) -> bool {
    values(text).is_some_and(|values| weighted(&values, &[1, 3, 1, 7, 3, 9, 1]).is_multiple_of(10))
}

fn ein(text: &str) -> bool {
    !matches!(number(text, 0, 2), Some(0 | 7..=9 | 17..=19 | 28 | 29 | 49 | 69 | 70 | 78 | 79 | 89 | 96 | 97) | None)
        && !is_one_digit(text)
}

/// The form of each country's numbers; the largest by their check digits too.
fn vat(text: &str) -> bool {
    let Some((country, rest)) = text.split_at_checked(2) else { return false };
    let all_digits = rest.bytes().all(|byte| byte.is_ascii_digit());
    let Some(number) = digits(rest).or_else(|| (!all_digits).then(Vec::new)) else { return false };
    match (country, rest.len()) {
        ("DE", 9) => all_digits && super::check::mod_11_10(rest) && !rest.starts_with('0'),
        ("AT", 9) => rest.starts_with('U') && rest.get(1..).is_some_and(austrian),
        ("BE", 10) => {
            all_digits
                && rest.get(..8).and_then(|body| body.parse::<u32>().ok()).is_some_and(|body| {
                    97 - body % 97
                        == number.get(8).copied().unwrap_or_default() * 10 + number.get(9).copied().unwrap_or_default()
                })
        }
        ("BG", 9 | 10) | ("CZ", 8..=10) | ("EE" | "EL" | "GR" | "PT" | "HR" | "LV" | "LT" | "SK" | "RO", 9..=12) => {
            all_digits && number.iter().any(|digit| *digit != 0)
        }
        ("RO", 6..=8) => all_digits,
        ("CY", 9) | ("IE", 8 | 9) => rest.ends_with(|letter: char| letter.is_ascii_uppercase()),
        ("DK" | "FI" | "HU" | "LU" | "MT" | "SI", 8) => all_digits && danish_or_other(country, &number),
        ("ES", 9) => {
            rest.starts_with(|letter: char| letter.is_ascii_uppercase())
                || rest.ends_with(|letter: char| letter.is_ascii_uppercase())
        }
        ("FR", 11) => rest.get(2..).is_some_and(luhn),
        ("IT", 11) => all_digits && luhn_sum(&number).is_multiple_of(10),
        ("NL", 12) => rest.get(9..10) == Some("B"),
        ("PL", 10) => all_digits && mod_11(rest, &[6, 5, 7, 2, 3, 4, 5, 6, 7], None),
        ("SE", 12) => all_digits && rest.ends_with("01") && rest.get(..10).is_some_and(luhn),
        ("GB", 9 | 12) => all_digits && british(&number),
        ("NO", 9 | 12) => rest.get(..9).is_some_and(|body| mod_11(body, &[3, 2, 7, 6, 5, 4, 3, 2], None)),
        _ => false,
    }
}

fn danish_or_other(country: &str, number: &[u32]) -> bool {
    country != "DK" || weighted(number, &[2, 7, 6, 5, 4, 3, 2, 1]).is_multiple_of(11)
}

fn austrian(text: &str) -> bool {
    let Some(digits) = digits(text) else { return false };
    let sum: u32 =
        digits.iter().zip([1, 2, 1, 2, 1, 2, 1]).map(|(digit, weight)| digit * weight / 10 + digit * weight % 10).sum();
    digits.last() == Some(&((10 - (sum + 4) % 10) % 10))
}

fn british(number: &[u32]) -> bool {
    let sum = weighted(number, &[8, 7, 6, 5, 4, 3, 2])
        + number.get(7).copied().unwrap_or_default() * 10
        + number.get(8).copied().unwrap_or_default();
    [0, 42, 55].contains(&(sum % 97))
}

fn argentine(text: &str) -> bool {
    text.starts_with(['3']) && super::americas::cuit(text)
}

fn abn(text: &str) -> bool {
    let Some(mut digits) = digits(text) else { return false };
    match digits.first_mut() {
        Some(first) if *first > 0 => *first -= 1,
        _ => return false,
    }
    weighted(&digits, &[10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19]).is_multiple_of(89)
}

fn acn(text: &str) -> bool {
    let Some(digits) = digits(text) else { return false };
    digits.last() == Some(&((10 - weighted(&digits, &[8, 7, 6, 5, 4, 3, 2, 1]) % 10) % 10)) && !is_one_digit(text)
}

fn gstin(text: &str) -> bool {
    let Some(values) = values(text) else { return false };
    let Some((last, body)) = values.split_last() else { return false };
    let sum: u32 = body
        .iter()
        .enumerate()
        .map(|(at, value)| {
            let product = value * if at % 2 == 0 { 1 } else { 2 };
            product / 36 + product % 36
        })
        .sum();
    matches!(number(text, 0, 2), Some(1..=38 | 97 | 99))
        && text.get(13..14) == Some("Z")
        && (36 - sum % 36) % 36 == *last
}

fn cnpj(text: &str) -> bool {
    !is_one_digit(text)
        && brazilian(text, 12, &[5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2])
        && brazilian(text, 13, &[6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2])
}

fn uen(text: &str) -> bool {
    text.ends_with(|letter: char| letter.is_ascii_uppercase()) && text.bytes().filter(u8::is_ascii_digit).count() >= 6
}

fn brn(text: &str) -> bool {
    let Some(digits) = digits(text) else { return false };
    let sum = weighted(&digits, &[1, 3, 7, 1, 3, 7, 1, 3, 5]) + digits.get(8).copied().unwrap_or_default() * 5 / 10;
    digits.last() == Some(&((10 - sum % 10) % 10))
}

/// The number of a tax office, a kind of business, a serial number and a digit.
fn brn_form(text: &str) -> bool {
    number(text, 0, 3).is_some_and(|office| office > 100) && number(text, 3, 2) != Some(0)
}

fn norwegian(text: &str) -> bool {
    mod_11(text, &[3, 2, 7, 6, 5, 4, 3, 2], None)
}

/// `CHE` and nine digits, of which the last checks the others.
fn swiss(text: &str) -> bool {
    text.strip_prefix("CHE").is_some_and(|number| mod_11(number, &[5, 4, 3, 2, 7, 6, 5, 4], None))
}

fn lei(text: &str) -> bool {
    mod_97(text) == Some(1)
}

fn has_digits(text: &str) -> bool {
    text.bytes().filter(u8::is_ascii_digit).count() >= 3
}

fn register(text: &str) -> bool {
    text.starts_with("HRB") || text.starts_with("HRA")
}

/// A letter for the sort of company, and a digit or letter that checks the digits between.
fn spanish_company(text: &str) -> bool {
    const LETTERS: &str = "JABCDEFGHI";
    let Some(body) = text.get(1..8).and_then(digits) else { return false };
    let sum: u32 = body
        .iter()
        .enumerate()
        .map(|(at, digit)| {
            let product = if at % 2 == 0 { digit * 2 } else { *digit };
            product / 10 + product % 10
        })
        .sum();
    let check = (10 - sum % 10) % 10;
    let letter = usize::try_from(check).ok().and_then(|at| LETTERS.as_bytes().get(at));
    let last = text.as_bytes().last();
    let is_checked = last == letter || last.is_some_and(|last| u32::from(last.wrapping_sub(b'0')) == check);
    text.starts_with(|first: char| "ABCDEFGHJNPQRSUVW".contains(first)) && is_checked
}

fn polish_tax(text: &str) -> bool {
    mod_11_rest(text, &[6, 5, 7, 2, 3, 4, 5, 6, 7], false)
}

fn polish_register(text: &str) -> bool {
    mod_11_rest(text, &[8, 9, 2, 3, 4, 5, 6, 7], true)
}

fn russian_company(text: &str) -> bool {
    mod_11_rest(text, &[2, 4, 10, 3, 5, 9, 4, 6, 8], true)
}

/// The last digit is the rest by 11, where ten is nought, or none where that is not given out.
fn mod_11_rest(text: &str, weights: &[u32], is_ten_nought: bool) -> bool {
    let Some(digits) = digits(text) else { return false };
    let rest = weighted(&digits, weights) % 11;
    !is_one_digit(text) && (rest < 10 || is_ten_nought) && digits.last() == Some(&(rest % 10))
}

/// GB 32100: 18 letters and digits, by 31.
fn chinese_company(text: &str) -> bool {
    const ALPHABET: &str = "0123456789ABCDEFGHJKLMNPQRTUWXY";
    const WEIGHTS: [usize; 17] = [1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28];
    let Some(places) = text.chars().map(|letter| ALPHABET.find(letter)).collect::<Option<Vec<_>>>() else {
        return false;
    };
    let sum: usize = places.iter().zip(WEIGHTS).map(|(place, weight)| place * weight).sum();
    places.get(17) == Some(&((31 - sum % 31) % 31))
}

/// Of Argentina: a bank and its branch, and an account, each with its check digit.
fn cbu(text: &str) -> bool {
    let Some(digits) = digits(text) else { return false };
    let checked = |part: &[u32], weights: &[u32]| {
        part.split_last().is_some_and(|(last, body)| (10 - weighted(body, weights) % 10) % 10 == *last)
    };
    let (bank, account) = digits.split_at_checked(8).unwrap_or_default();
    checked(bank, &[7, 1, 3, 9, 7, 1, 3])
        && checked(account, &[3, 9, 7, 1, 3, 9, 7, 1, 3, 9, 7, 1, 3])
        && !is_one_digit(text)
}

/// Of India: a bank, a nought and a branch, which mostly has digits.
fn ifsc(text: &str) -> bool {
    text.bytes().skip(5).filter(u8::is_ascii_digit).count() >= 4
}

/// Three, seven and one, each product by ten.
fn clabe(text: &str) -> bool {
    let Some(digits) = digits(text) else { return false };
    let sum: u32 =
        digits.iter().take(17).zip([3, 7, 1].iter().cycle()).map(|(digit, weight)| digit * weight % 10).sum();
    !is_one_digit(text) && digits.last() == Some(&((10 - sum % 10) % 10))
}
