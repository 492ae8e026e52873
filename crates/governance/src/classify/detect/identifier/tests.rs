use super::*;

/// What is found in `value` under a name, and how surely.
fn named(value: &str, name: &str) -> Option<(&'static str, u8)> {
    let name: Vec<&str> = name.split(' ').filter(|word| !word.is_empty()).collect();
    let context = Context { name: &name, ..Context::default() };
    judge(value, &context).map(|judged| (judged.kind.name, judged.score))
}

#[test]
fn numbers_are_known_by_their_names_and_digits() {
    for (value, name, kind) in [
        ("536-22-8726", "ssn", "us_ssn"),
        ("536228726", "social security number", "us_ssn"),
        ("912-72-1234", "itin", "us_itin"),
        ("046 454 286", "sin", "ca_sin"),
        ("529.982.247-25", "cpf", "br_cpf"),
        ("30.686.957-X", "rut", ""),
        ("12.345.678-5", "rut", "cl_rut"),
        ("AB123456C", "nino", "uk_nino"),
        ("44 491 6073 46", "", ""),
        ("44916073464", "pesel", ""),
        ("44051401359", "pesel", "pl_pesel"),
        ("12345678Z", "dni", "es_nif"),
        ("X1234567L", "nie", "es_nie"),
        ("RSSMRA85T10A562S", "", "it_codice_fiscale"),
        ("111222333", "bsn", "nl_bsn"),
        ("85073003328", "national register", "be_nrn"),
        ("811218-9876", "personnummer", "se_personnummer"),
        ("131052-308T", "hetu", "fi_hetu"),
        ("756.9217.0769.85", "ahv", "ch_ahv"),
        ("2950678901234", "", ""),
        ("10000000146", "tckn", "tr_national_id"),
        ("2345 6789 0124", "aadhaar", "in_aadhaar"),
        ("ABCPE1234F", "pan", "in_pan"),
        ("11010519491231002X", "", "cn_ric"),
        ("A123456789", "national id", "tw_id"),
        ("S1234567D", "nric", "sg_nric"),
        ("8001015009087", "za id", "za_id"),
        ("123 456 782", "tfn", "au_tfn"),
        ("DE89 3704 0044 0532 0130 00", "", "iban"),
        ("GB82WEST12345698765432", "iban", "iban"),
        ("GB82WEST12345698765433", "", ""),
        ("4111 1111 1111 1111", "", "credit_card"),
        ("378282246310005", "card number", "credit_card"),
        ("4111 1111 1111 1112", "card", ""),
        ("021000021", "routing number", "us_aba_routing"),
        ("DEUTDEFF500", "bic", "bic"),
        ("51 824 753 556", "abn", "au_abn"),
        ("11.222.333/0001-81", "cnpj", "br_cnpj"),
        ("27AAPFU0939F1ZV", "", "in_gstin"),
        ("DE136695976", "vat", "eu_vat"),
        ("1234567893", "npi", "us_npi"),
        ("943 476 5919", "nhs number", "uk_nhs"),
        ("1EG4-TE5-MK73", "medicare", "us_mbi"),
        ("490154203237518", "imei", "imei"),
        ("1HGCM82633A004352", "vin", "vin"),
        ("ada@corp.example", "", "email"),
        ("+49 30 1234567", "", "phone"),
        ("(415) 555-0132", "", "phone"),
        ("020 7946 0958", "phone", "phone"),
        ("203.0.113.195", "client ip", "ip_address"),
        ("00:1B:44:11:3A:B7", "", "mac_address"),
        ("1984-05-23", "date of birth", "date_of_birth"),
        ("Ada Lovelace", "full name", "person"),
        ("12 Main Street", "address", "street_address"),
        // What is full of numbers and nobody's.
        ("1700000000000", "", ""),
        ("2026-11-25", "", ""),
        ("1.2.3.4", "version", ""),
        ("978-3-16-148410-0", "isbn", ""),
        ("4711", "order", ""),
        ("536228726", "", ""),
        ("550e8400-e29b-41d4-a716-446655440000", "", ""),
        ("da39a3ee5e6b4b0d3255bfef95601890afd80709", "", ""),
        ("user@2x.png", "", ""),
        ("10:20:30", "", ""),
        ("MIT", "license", ""),
    ] {
        let found = named(value, name).filter(|(_, score)| *score >= 50).map_or("", |(kind, _)| kind);
        assert_eq!(found, kind, "`{value}` under `{name}`");
    }
}

#[test]
fn documents_are_known_by_what_they_say_of_themselves() {
    for (text, kind) in [
        ("PRIVILEGED AND CONFIDENTIAL - prepared at the request of counsel", "privilege"),
        ("TLP:AMBER+STRICT", "tlp"),
        ("SECRET//NOFORN", "noforn"),
        ("MSH|^~\\&|LAB|HOSP|EHR|CLINIC|202611250830||ORU^R01|1|P|2.5", "hl7v2"),
        (r#"{"resourceType": "Patient", "id": "p1"}"#, "fhir"),
        ("This technical data is controlled under the ITAR, 22 CFR 120-130.", "itar_legend"),
        ("DISTRIBUTION STATEMENT D. Authorized to the Department of Defense", "distribution_statement"),
        ("Item classified as ECCN 5E002", "ear_legend"),
        (r#"{"resourceType": "Deployment"}"#, ""),
        ("a privileged container must not run as root", ""),
        ("the secret//path is fine", ""),
        ("guitars", ""),
    ] {
        assert_eq!(marking(text).map_or("", |judged| judged.kind.name), kind, "{text}");
    }
}

#[test]
fn whatever_comes_is_judged_within_its_bytes() {
    let mut state = 7_u64;
    let alphabet: Vec<char> = "0123456789ABCXYZabz @.-/+:é\u{200b}\u{ff11}\"".chars().collect();
    for _ in 0..20_000 {
        let mut text = String::new();
        for _ in 0..state % 40 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            text.push(alphabet[usize::try_from(state >> 33).unwrap() % alphabet.len()]);
        }
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        for judged in judge(&text, &Context::default()).into_iter().chain(marking(&text)) {
            assert!(text.get(judged.start..judged.end).is_some_and(|part| !part.is_empty()), "{text}");
        }
    }
}

#[test]
fn wallets_are_known_by_their_check_sums() {
    for (value, name, kind) in [
        ("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "", "crypto_wallet"),
        ("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb", "", ""),
        ("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "", "crypto_wallet"),
        ("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5", "", ""),
        ("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "", "crypto_wallet"),
        ("0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed", "", ""),
        ("0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed", "wallet", "crypto_wallet"),
    ] {
        let found = named(value, name).filter(|(_, score)| *score >= 50).map_or("", |(kind, _)| kind);
        assert_eq!(found, kind, "`{value}` under `{name}`");
    }
}
