//! The engine as a whole: what it finds, where, and that it does not matter in which pieces a text comes.

use proptest::prelude::*;

use super::*;

fn detector() -> Detector {
    Detector::default()
}

/// `«` and `»` stand around what is to be found, with the kind behind a bar.
fn check(marked: &str) {
    let mut text = String::new();
    let mut expected = Vec::new();
    let mut rest = marked;
    while let Some((before, behind)) = rest.split_once('«') {
        text.push_str(before);
        let (inside, behind) = behind.split_once('»').unwrap();
        let (value, kind) = inside.rsplit_once('¦').unwrap();
        expected.push((kind.to_owned(), text.len(), text.len() + value.len()));
        text.push_str(value);
        rest = behind;
    }
    text.push_str(rest);
    let scan = detector().scan(text.as_bytes());
    let found: Vec<_> =
        scan.findings().iter().map(|found| (found.kind.name.to_owned(), found.start, found.end)).collect();
    assert_eq!(found, expected, "{text}");
    assert!(scan.is_complete());
}

const IBAN: &str = "DE89370400440532013000";

#[test]
fn a_value_is_found_in_any_context() {
    for text in [
        "«DE89370400440532013000¦iban»",
        r#"{"iban":"«DE89370400440532013000¦iban»","other":1}"#,
        r#"{"content":[{"type":"text","text":"{\"iban\":\"«DE89370400440532013000¦iban»\",\"x\":[1]}"}]}"#,
        r#"{"text":"{\\\"iban\\\":\\\"«DE89370400440532013000¦iban»\\\"}"}"#,
        "id,iban\n1,«DE89370400440532013000¦iban»\n2,«DE02120300000000202051¦iban»\n",
        "| id | iban |\n|---|---|\n| 1 | «DE89370400440532013000¦iban» |\n",
        "IBAN: «DE89 3704 0044 0532 0130 00¦iban», please",
        "iban: >\n  «DE89370400440532013000¦iban»\n",
        "<iban>«DE89370400440532013000¦iban»</iban>",
        "pay --iban «DE89370400440532013000¦iban» now",
        "IBAN=«DE89370400440532013000¦iban»\n",
        r#"{"accounts":["«DE89370400440532013000¦iban»","«DE02120300000000202051¦iban»"]}"#,
        r#"{"ibans":["«DE89370400440532013000¦iban»"]}"#,
        r#"{"text":"id,iban,status\n1,«DE89370400440532013000¦iban»,open\n"}"#,
        "my iban is «de89370400440532013000¦iban»",
        r#"{"text":"INSERT INTO people (id, sin) VALUES (1, '«046454286¦ca_sin»');\nINSERT INTO people (id, sin) VALUES (2, '«046454286¦ca_sin»');"}"#,
        r#"{"social_insurance":{"number":"«046 454 286¦ca_sin»"}}"#,
        "SOCIALINSURANCENUMBER=«046454286¦ca_sin»\n",
        "the customer (SIN «046 454 286¦ca_sin») called",
        r#"{"個人番号":"«123456789018¦jp_my_number»"}"#,
        "เลขบัตรประชาชน «2345678901234¦th_tnin»",
        "{\"ИНН\":\"«500100732259¦ru_inn»\"}",
        r#"{"organisasjonsnummer":"«923609016¦no_orgnr»"}"#,
        "UID «CHE-116.281.710¦ch_uid»",
        "hkid: «A123456(3)¦hk_id»\n",
        "from «2001:db8:85a3::8a2e:370:7334¦ip_address» today",
        "SWIFT code «INGBNL2AXXX¦bic», please",
        r#"{"mnemonics":"«abandon ability able about above absent absorb abstract absurd abuse access accident¦seed_phrase»"}"#,
        "use «kQ9vT2mZ7Rw4bLs8xY3n¦secret» as the client secret",
    ] {
        check(text);
    }
}

#[test]
fn the_address_of_a_machine_may_have_groups_of_letters() {
    check("The adapter has MAC address «01:02:03:04:05:ab¦mac_address».");
    check("MAC «fe-02-03-04-05-06-07-ab¦mac_address», found");
    check("at 12:34:56:be");
}

#[test]
fn an_encoded_copy_is_found_as_a_whole() {
    for text in [
        r#"{"x":"«REU4OTM3MDQwMDQ0MDUzMjAxMzAwMA==¦iban»"}"#,
        "«44453839333730343030343430353332303133303030¦iban»",
        "«%44%45%38%39%33%37%30%34%30%30%34%34%30%35%33%32%30%31%33%30%30%30¦iban»",
        r"«\u0044\u004589370400440532013000¦iban»",
        "«ＤＥ89370400440532013000¦iban»",
        "«DE89\u{200b}3704\u{200b}0044\u{200b}0532\u{200b}0130\u{200b}00¦iban»",
        "«&#68;&#69;89370400440532013000¦iban»",
        // Copies of copies.
        r#"{"iban":"«UkVVNE9UTTNNRFF3TURRME1EVXpNakF4TXpBd01BPT0=¦iban»"}"#,
        r#"{"sin":"«MDQ2NDU0Mjg2¦ca_sin»"}"#,
        r#"{"sin":"«MDQ2NDU0Mjg2Cg%3D%3D¦ca_sin»"}"#,
    ] {
        check(text);
    }
}

#[test]
fn clean_text_is_clean() {
    for text in [
        "",
        r#"{"id":1296269,"created_at":"2024-01-02T03:04:05Z","sha":"e83c5163316f89bfbde7d9ab23ca2e25604af290","v":0.5827880059033551}"#,
        r#"{"request_id":"24ede6a4-6b4c-b242-4a23-d5962217bead","url":"https://git.example.com/u/9782064?v=4"}"#,
        r#"{"nanos":"5865925184496411443","SENTRY_RELEASE":"baf466cc45350c1757c80aabb151cc9825669cbb"}"#,
        r#"{"ClientToken":"2e9d1cc7-ab40-f311-310e-03a3ef8283fa","account_id":"183115893009"}"#,
        "t.exports={a:o,secret:n.secret,k:0x4cb4b637}",
        "https://user:password@host.test/ and ssh root@host.test",
        "x/y v1 h1:Wh0UjsZq/3qPw=\ngithub.com/worker/update v0.0.0-20241829579955-655e4402a6b6\n",
        "fn main() { println!(\"{}\", a_function_with_a_long_name(1234)); }",
    ] {
        check(text);
        assert!(detector().scan(text.as_bytes()).is_clean());
    }
}

#[test]
fn evidence_says_what_counted() {
    for text in [format!(r#"{{"iban":"{IBAN}"}}"#), format!("IBAN: {IBAN}"), format!("x\nIBAN: {IBAN}, please\n")] {
        let scan = detector().scan(text.as_bytes());
        let reasons: Vec<_> = scan.findings()[0].evidence.reasons().collect();
        assert_eq!(reasons, ["the name it is the value of"], "{text}");
    }
    assert_eq!(Evidence::SHAPE.and(Evidence::ENCODED).reasons().collect::<Vec<_>>(), ["its shape", "an encoded copy"]);
}

#[test]
fn too_much_work_is_not_clean() {
    let text = "a@b.cc ".repeat(40_000);
    let mut work = Work::new();
    work.exhausted = true;
    let raws = pass::look(
        text.as_bytes(),
        0..text.len(),
        &detector().lexicon,
        &mut Recent::new(text.len()),
        &mut work,
        &mut None,
        0,
    );
    assert!(raws.is_empty());
    let scan = Scan { findings: Vec::new(), complete: false };
    assert!(!scan.is_clean());
}

#[test]
fn a_text_that_takes_more_work_than_it_may_is_not_clean() {
    // Runs that decompress to many times their length.
    let plain = "a ".repeat(32_000);
    let packed = miniz_oxide::deflate::compress_to_vec_zlib(plain.as_bytes(), 9);
    let run = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, packed);
    assert!(run.len() * 100 < plain.len());
    let text = format!("{run}\n").repeat(16 * 1024 / run.len());
    let scan = detector().scan(text.as_bytes());
    assert!(scan.findings().is_empty() && !scan.is_complete() && !scan.is_clean());
    assert_eq!(streamed(&detector(), text.as_bytes(), std::iter::repeat_n(500, 100)), scan);
    assert!(detector().scan(run.as_bytes()).is_clean());
}

/// What a stream finds in pieces of these lengths; checks at each that nothing settled is found later.
fn streamed(detector: &Detector, text: &[u8], pieces: impl Iterator<Item = usize>) -> Scan {
    let mut stream = Stream::new(detector);
    let mut findings = Vec::new();
    let mut rest = text;
    for length in pieces {
        let (piece, behind) = rest.split_at(length.min(rest.len()));
        let (settled, known) = (stream.settled(), findings.len());
        stream.push(piece, &mut findings);
        assert!(findings[known..].iter().all(|found: &Finding| found.start >= settled));
        rest = behind;
    }
    let (settled, known) = (stream.settled(), findings.len());
    stream.push(rest, &mut findings);
    let complete = stream.finish(&mut findings);
    assert!(findings[known..].iter().all(|found| found.start >= settled));
    Scan { findings, complete }
}

/// Words that texts are made of: what is found, what nearly is, and what stands around it.
fn words() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        IBAN,
        "\"iban\":\"DE89370400440532013000\",",
        "password=hunter2hunter2 ",
        "\\\"password\\\":\\\"S3cr3t!Value\\\",",
        "jane.doe@example.org ",
        "REU4OTM3MDQwMDQ0MDUzMjAxMzAwMA==",
        "a,iban,b\n",
        "1,DE89370400440532013000,2\n",
        "postgres://user:S3cr3tPw9@db.example.net/x ",
        "{\"a\":[1,2,{\"b\":\"c\"}]}",
        "plain words and so on ",
        "\n",
        "\\",
        "%44",
        "\u{200b}",
        "é",
        "-----BEGIN PRIVATE KEY-----\nMIIB",
        "0123456789",
        "\"",
        " ",
    ])
    .prop_map(str::to_owned)
}

#[test]
fn a_short_text_is_found_the_same_at_every_cut() {
    let detector = detector();
    let text = format!(
        "{{\"iban\":\"{IBAN}\",\"t\":\"{{\\\"password\\\":\\\"S3cr3t!Value\\\"}}\"}}\nx,iban\n1,{IBAN}\nREU4OTM3MDQwMDQ0MDUzMjAxMzAwMA==\n"
    );
    let whole = detector.scan(text.as_bytes());
    assert!(whole.findings().len() >= 3);
    for cut in 0..=text.len() {
        assert_eq!(streamed(&detector, text.as_bytes(), std::iter::once(cut)), whole, "cut at {cut}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_long_text_is_found_the_same_in_any_pieces(words in prop::collection::vec(words(), 1..200), times in 1_usize..30, pieces in prop::collection::vec(1_usize..20_000, 0..40)) {
        let detector = detector();
        let text = words.concat().repeat(times);
        let whole = detector.scan(text.as_bytes());
        prop_assert_eq!(&streamed(&detector, text.as_bytes(), pieces.into_iter()), &whole);
        let mut end = 0;
        for found in whole.findings() {
            prop_assert!(found.start >= end && found.start < found.end && found.end <= text.len());
            end = found.end;
        }
    }

    #[test]
    fn any_bytes_are_looked_at(bytes in prop::collection::vec(any::<u8>(), 0..3_000)) {
        let _ = detector().scan(&bytes);
    }
}

#[test]
fn an_endless_candidate_is_not_passed_as_clean() {
    let text = format!(
        "-----BEGIN PRIVATE KEY-----\n{}",
        "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7\n".repeat(2_000)
    );
    let scan = detector().scan(text.as_bytes());
    assert!(!scan.is_clean());
}

#[test]
fn what_is_found_by_its_start_alone_is_not_all() {
    let key = |lines: usize| {
        let line = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7\n";
        format!("-----BEGIN PRIVATE KEY-----\n{}-----END PRIVATE KEY-----\n", line.repeat(lines))
    };
    let password = |length: usize| format!(r#"{{"password":"{}"}}"#, "S3cr3t!Value-".repeat(length / 13));
    let far = " ".repeat(16_000);
    for (text, is_complete) in [
        (key(100), true),
        (key(2_000), false),
        (format!("{far}{}{far}", key(100)), true),
        (format!("{far}{}{far}", key(2_000)), false),
        (key(2_000).replace('\n', "\\n"), false),
        (password(100), true),
        (format!(r#"{{"token":"eyJ{}.{}"}}"#, "hbGciOiJIUzI1NiJ9", "aB3xY9QzkQ9vT2mZ".repeat(20)), true),
    ] {
        let scan = detector().scan(text.as_bytes());
        assert!(!scan.is_clean());
        assert_eq!(scan.is_complete(), is_complete, "{} bytes, {:?}", text.len(), scan.findings());
        assert_eq!(streamed(&detector(), text.as_bytes(), std::iter::repeat_n(1_000, 200)), scan);
    }
}

#[test]
fn a_stream_holds_no_more_than_a_stretch_and_what_is_around_it() {
    let detector = detector();
    let mut stream = Stream::new(&detector);
    let mut findings = Vec::new();
    let piece = "{\"id\":12345,\"name\":\"a plain name\"}\n".repeat(2_000);
    for _ in 0..40 {
        stream.push(piece.as_bytes(), &mut findings);
        assert!(stream.held.len() <= DETECT_STRETCH_BYTES * 2 + DETECT_AHEAD_BYTES + DETECT_BEHIND_BYTES);
    }
    assert!(stream.finish(&mut findings));
    assert!(findings.is_empty());
}
