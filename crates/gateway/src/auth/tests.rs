//! Every token that must not come in, and the few that must.

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::config::Written;
use super::keys::KeySource;
use super::token::{Algorithm, Key};
use super::*;

/// Somebody who signs tokens.
pub(super) struct Signer {
    id: &'static str,
    pair: Pair,
}

enum Pair {
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(RsaKeyPair),
}

impl Signer {
    pub(super) fn es256(id: &'static str) -> Self {
        Self { id, pair: Pair::Ecdsa(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap()) }
    }

    fn ed25519(id: &'static str) -> Self {
        Self { id, pair: Pair::Ed25519(Ed25519KeyPair::generate().unwrap()) }
    }

    fn rsa(id: &'static str) -> Self {
        Self { id, pair: Pair::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()) }
    }

    /// The public key as a key set has it.
    pub(super) fn jwk(&self) -> Value {
        match &self.pair {
            Pair::Ecdsa(pair) => {
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                json!({ "kty": "EC", "crv": "P-256", "kid": self.id, "use": "sig", "x": encode(x), "y": encode(y) })
            }
            Pair::Ed25519(pair) => {
                json!({ "kty": "OKP", "crv": "Ed25519", "kid": self.id, "x": encode(pair.public_key().as_ref()) })
            }
            Pair::Rsa(pair) => {
                // RSAPublicKey in DER: nine bytes of headers, 256 of the modulus, two of a header, three of the exponent.
                let der = pair.public_key().as_ref();
                json!({ "kty": "RSA", "kid": self.id, "n": encode(&der[9..265]), "e": encode(&der[267..]) })
            }
        }
    }

    fn sign(&self, algorithm: &str, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Ecdsa(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Pair::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                let padding = if algorithm == "PS256" { &RSA_PSS_SHA256 } else { &RSA_PKCS1_SHA256 };
                pair.sign(padding, &random, message, &mut signature).unwrap();
                signature
            }
        }
    }

    /// A token with this header and these claims, as written.
    fn token(&self, header: &str, claims: &str) -> String {
        let algorithm = serde_json::from_str::<Value>(header).unwrap()["alg"].as_str().unwrap_or_default().to_owned();
        let signed = format!("{}.{}", encode(header.as_bytes()), encode(claims.as_bytes()));
        let signature = self.sign(&algorithm, signed.as_bytes());
        format!("{signed}.{}", encode(&signature))
    }
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

const AT_S: i64 = 1_800_000_000;
const HOST: &str = "127.0.0.1:7070";
const CONFIG: &str = r#"
    issuer = "https://login.example"
    scopes = ["mcp:use"]
    clock_skew_s = 30
    jwks = { url = "https://login.example/jwks" }

    [[grant]]
    client = "ap-bot"
    claims = { groups = ["finance", "bots"] }
    scopes = ["pay"]
    servers = ["bank"]
    mission = "pay-invoices"
    agent = "ap-bot"
    initiator = "email"

    [[grant]]
    client = "ap-bot"
    mission = "read-invoices"
    agent = "ap-reader"
"#;

fn auth(signers: &[&Signer], config: &str) -> Auth {
    let written: Written = toml::from_str(config).unwrap();
    let mut config = written.fit(std::path::Path::new("/")).unwrap();
    config.keys = KeySource::Fixed(signers.iter().map(|signer| Key::read(signer.jwk()).unwrap()).collect());
    Auth::new(config, None)
}

/// Claims that are good for `erp`, changed by `change`; null takes a claim away.
fn claims(change: &Value) -> String {
    let mut claims = json!({
        "iss": "https://login.example",
        "aud": "http://127.0.0.1:7070/mcp/erp",
        "sub": "user-1",
        "client_id": "ap-bot",
        "scope": "openid mcp:use",
        "iat": AT_S - 10,
        "exp": AT_S + 300,
    });
    for (name, value) in change.as_object().unwrap() {
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
            value => drop(claims.as_object_mut().unwrap().insert(name.clone(), value.clone())),
        }
    }
    claims.to_string()
}

/// How a token fares: its grant and initiator, or the status and the words of its refusal.
async fn fare(auth: &Auth, token: &str, server: &str) -> Result<(usize, String), (u16, String)> {
    let refused = |error: AdmitError| {
        let status = match &error {
            AdmitError::Unauthorized(_) => 401,
            AdmitError::Forbidden(_) | AdmitError::InsufficientScope { .. } => 403,
            AdmitError::Unavailable(_) | AdmitError::Unexamined => 503,
            AdmitError::UnknownServer(_) => 404,
        };
        (status, error.to_string())
    };
    let accepted = auth.examine(token).await.map_err(|error| refused(error.into()))?;
    let granted = auth.authorize(&accepted, HOST, server, AT_S).map_err(|denied| refused(denied.into()))?;
    Ok((granted.grant, granted.initiator.to_owned()))
}

#[tokio::test]
async fn a_token_does_what_its_grant_says_and_nothing_else() {
    let signer = Signer::es256("k");
    let auth = auth(&[&signer], CONFIG);
    let payer = json!({ "aud": "http://127.0.0.1:7070/mcp/bank", "groups": ["bots", "finance", "all"], "scope": "mcp:use pay", "email": "ana@corp.example" });
    let with = |base: &Value, name: &str, value: Value| {
        let mut changed = base.clone();
        changed.as_object_mut().unwrap().insert(name.to_owned(), value);
        changed
    };
    let checks = [
        (json!({}), "erp", Ok((1, "user-1"))),
        (json!({ "client_id": null, "azp": "ap-bot" }), "erp", Ok((1, "user-1"))),
        (json!({ "client_id": "ap-bot", "azp": "ap-bot" }), "erp", Ok((1, "user-1"))),
        (json!({ "scope": null, "scp": ["mcp:use"] }), "erp", Ok((1, "user-1"))),
        (json!({ "aud": ["other", "http://127.0.0.1:7070/mcp/erp"] }), "erp", Ok((1, "user-1"))),
        (json!({ "aud": "http://127.0.0.1:7070" }), "erp", Ok((1, "user-1"))),
        (json!({ "aud": "http://127.0.0.1:7070/" }), "erp", Ok((1, "user-1"))),
        (json!({ "exp": AT_S - 29, "iat": null }), "erp", Ok((1, "user-1"))),
        (json!({ "nbf": AT_S + 30 }), "erp", Ok((1, "user-1"))),
        (payer.clone(), "bank", Ok((0, "ana@corp.example"))),
        (with(&payer, "email_verified", json!(true)), "bank", Ok((0, "ana@corp.example"))),
        (with(&payer, "email_verified", json!(false)), "bank", Err((403, "claim `email`"))),
        (with(&payer, "email_verified", json!("true")), "bank", Err((403, "claim `email`"))),
        (with(&payer, "email", json!(["a", "b"])), "bank", Err((403, "claim `email`"))),
        (with(&payer, "email", Value::Null), "bank", Err((403, "claim `email`"))),
        (with(&payer, "scope", json!("mcp:use")), "bank", Err((403, "lacks the scope `pay`; ask for `mcp:use pay`"))),
        // One group short: the next grant fits, which is the narrower mission.
        (with(&payer, "groups", json!(["bots"])), "bank", Ok((1, "user-1"))),
        (with(&payer, "groups", json!("finance")), "bank", Ok((1, "user-1"))),
        (json!({ "client_id": "other" }), "erp", Err((403, "no grant"))),
        (json!({ "client_id": null }), "erp", Err((403, "no grant"))),
        (json!({ "scope": "openid" }), "erp", Err((403, "lacks the scope `mcp:use`"))),
        (json!({ "scope": null }), "erp", Err((403, "lacks the scope `mcp:use`"))),
        (json!({ "scope": "mcp:used" }), "erp", Err((403, "lacks the scope `mcp:use`"))),
        (json!({}), "bank", Err((401, "get one for the resource `http://127.0.0.1:7070/mcp/bank`"))),
        (json!({ "aud": "http://127.0.0.1:7070/mcp/erp/" }), "erp", Err((401, "is not for this endpoint"))),
        (json!({ "aud": "http://127.0.0.1:7070//" }), "erp", Err((401, "is not for this endpoint"))),
        (json!({ "aud": "https://127.0.0.1:7070/mcp/erp" }), "erp", Err((401, "is not for this endpoint"))),
        (json!({ "aud": [] }), "erp", Err((401, "is not for this endpoint"))),
        (json!({ "aud": null }), "erp", Err((401, "claim `aud`"))),
        (json!({ "aud": [1] }), "erp", Err((401, "claim `aud`"))),
        (json!({ "iss": "https://login.example/" }), "erp", Err((401, "another issuer"))),
        (json!({ "iss": "https://evil.example" }), "erp", Err((401, "another issuer"))),
        (json!({ "iss": null }), "erp", Err((401, "claim `iss`"))),
        (json!({ "sub": null }), "erp", Err((401, "claim `sub`"))),
        (json!({ "sub": "" }), "erp", Err((401, "claim `sub`"))),
        (json!({ "sub": 7 }), "erp", Err((401, "claim `sub`"))),
        (json!({ "azp": "other" }), "erp", Err((401, "claim `azp`"))),
        (json!({ "exp": AT_S - 30 }), "erp", Err((401, "has expired"))),
        (json!({ "exp": null }), "erp", Err((401, "claim `exp`"))),
        (json!({ "exp": "never" }), "erp", Err((401, "claim `exp`"))),
        (json!({ "exp": 1e300 }), "erp", Err((401, "claim `exp`"))),
        (json!({ "exp": -1 }), "erp", Err((401, "claim `exp`"))),
        (json!({ "nbf": AT_S + 31 }), "erp", Err((401, "not good yet"))),
        (json!({ "iat": AT_S + 31 }), "erp", Err((401, "not good yet"))),
        (json!({ "nbf": "soon" }), "erp", Err((401, "claim `nbf`"))),
    ];
    for (change, server, want) in checks {
        let token = signer.token(r#"{"alg":"ES256","kid":"k","typ":"at+jwt"}"#, &claims(&change));
        let got = fare(&auth, &token, server).await;
        match (&got, want) {
            (Ok((grant, initiator)), Ok(want)) => assert_eq!((*grant, &**initiator), want, "{change}"),
            (Err((status, text)), Err((want, part))) => {
                assert!(*status == want && text.contains(part), "{change}: {got:?}");
            }
            (_, want) => panic!("{change} at {server}: {got:?}, want {want:?}"),
        }
    }
}

#[tokio::test]
async fn a_token_that_is_not_signed_as_it_must_be_is_nobody() {
    let (signer, other, rsa) = (Signer::es256("k"), Signer::es256("k"), Signer::rsa("r"));
    let auth = auth(&[&signer, &rsa], CONFIG);
    let good = claims(&json!({}));
    let header = r#"{"alg":"ES256","kid":"k"}"#;
    let token = signer.token(header, &good);
    assert_eq!(fare(&auth, &token, "erp").await, Ok((1, "user-1".to_owned())));

    let (signed, signature) = token.rsplit_once('.').unwrap();
    let unsigned = |header: &str| format!("{}.{}.", encode(header.as_bytes()), encode(good.as_bytes()));
    let hmac = |key: &[u8]| {
        let signed = format!("{}.{}", encode(br#"{"alg":"HS256","kid":"r"}"#), encode(good.as_bytes()));
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), signed.as_bytes());
        format!("{signed}.{}", encode(tag.as_ref()))
    };
    let modulus = rsa.jwk()["n"].as_str().unwrap().to_owned();
    let mut altered = URL_SAFE_NO_PAD.decode(signature).unwrap();
    altered[10] ^= 1;
    let not_json = |claims: &str| signer.token(header, claims);
    for (token, part) in [
        (unsigned(r#"{"alg":"none"}"#), "algorithm"),
        (unsigned(r#"{"alg":"None"}"#), "algorithm"),
        (unsigned(header), "signature"),
        (format!("{signed}."), "signature"),
        (format!("{signed}.{}", encode(&altered)), "signature"),
        (format!("{signed}.{signature}="), "compact form"),
        (format!("{token}.x"), "compact form"),
        (signed.to_owned(), "compact form"),
        ("not-a-token".to_owned(), "compact form"),
        ("..".to_owned(), "compact form"),
        (format!("{}.{}", token, signature), "compact form"),
        // The classic: an HMAC with the public key for a secret.
        (hmac(modulus.as_bytes()), "algorithm"),
        (hmac(&URL_SAFE_NO_PAD.decode(&modulus).unwrap()), "algorithm"),
        // The right id, another key.
        (other.token(header, &good), "signature"),
        (signer.token(r#"{"alg":"ES256","kid":"unknown"}"#, &good), "does not have"),
        // The algorithm of another kind of key.
        (signer.token(r#"{"alg":"RS256","kid":"k"}"#, &good), "does not have"),
        (rsa.token(r#"{"alg":"ES256","kid":"r"}"#, &good), "does not have"),
        // Keys that a token brings along mean nothing.
        (other.token(&json!({ "alg": "ES256", "jwk": other.jwk() }).to_string(), &good), "signature"),
        (signer.token(r#"{"alg":"ES256","kid":"k","crit":["exp"]}"#, &good), "not understood"),
        (signer.token(r#"{"alg":"ES256","kid":"k","zip":"DEF"}"#, &good), "not understood"),
        (signer.token(r#"{"alg":"ES256","kid":"k","typ":"dpop+jwt"}"#, &good), "not understood"),
        // Two readers could take these differently.
        (not_json(&good.replacen('{', r#"{"sub":"root","#, 1)), "compact form"),
        (not_json(&good.replacen('{', r#"{"\u0073ub":"root","#, 1)), "compact form"),
        (not_json("[]"), "compact form"),
        (not_json(&format!("{}{}", "[".repeat(200), "]".repeat(200))), "compact form"),
        (not_json(good.trim_end_matches('}')), "compact form"),
    ] {
        let got = fare(&auth, &token, "erp").await;
        assert!(matches!(&got, Err((401, text)) if text.contains(part)), "{token:.80}: {got:?}, want `{part}`");
    }
    let twice = format!("{}.{}", encode(br#"{"alg":"none","alg":"ES256","kid":"k"}"#), encode(good.as_bytes()));
    let twice = format!("{twice}.{}", encode(&signer.sign("ES256", twice.as_bytes())));
    assert!(matches!(fare(&auth, &twice, "erp").await, Err((401, _))));
}

#[tokio::test]
async fn every_configured_algorithm_works_and_no_other() {
    let signers = [Signer::es256("k"), Signer::ed25519("e"), Signer::rsa("r")];
    let auth_of = |config: &str| auth(&signers.iter().collect::<Vec<_>>(), config);
    let all = auth_of(CONFIG);
    let narrow = auth_of(&CONFIG.replacen("clock_skew_s", "algorithms = [\"EdDSA\"]\nclock_skew_s", 1));
    for (signer, algorithm, id) in
        [(0, "ES256", "k"), (1, "EdDSA", "e"), (1, "Ed25519", "e"), (2, "RS256", "r"), (2, "PS256", "r")]
    {
        let header = json!({ "alg": algorithm, "kid": id }).to_string();
        let token = signers[signer].token(&header, &claims(&json!({})));
        assert_eq!(fare(&all, &token, "erp").await, Ok((1, "user-1".to_owned())), "{algorithm}");
        assert_eq!(fare(&narrow, &token, "erp").await.is_ok(), id == "e", "{algorithm}");
    }
    // Without a key id: only where one key alone suits.
    for (signer, algorithm, is_good) in [(0, "ES256", true), (2, "RS256", true)] {
        let token = signers[signer].token(&json!({ "alg": algorithm }).to_string(), &claims(&json!({})));
        assert_eq!(fare(&all, &token, "erp").await.is_ok(), is_good, "{algorithm}");
    }
    let two = auth(&[&signers[0], &Signer::es256("k2")], CONFIG);
    let token = signers[0].token(r#"{"alg":"ES256"}"#, &claims(&json!({})));
    assert!(fare(&two, &token, "erp").await.is_err());
}

#[test]
fn a_key_for_one_algorithm_or_for_encryption_verifies_nothing_else() {
    let jwk = Signer::rsa("r").jwk();
    let with = |name: &str, value: &str| {
        let mut changed = jwk.clone();
        changed[name] = json!(value);
        Key::read(changed)
    };
    let only = with("alg", "PS256").unwrap();
    assert!(only.suits(Algorithm::PS256, Some("r")) && !only.suits(Algorithm::RS256, Some("r")));
    assert_eq!(with("use", "enc"), None);
    assert_eq!(with("alg", "HS256"), None);
    assert_eq!(with("kty", "oct"), None);
    assert_eq!(with("n", "not base64!"), None);
}

#[tokio::test]
async fn sessions_belong_to_person_client_and_run_whatever_the_token() {
    let signer = Signer::es256("k");
    let auth = auth(&[&signer], CONFIG);
    let run = Run::for_tests();
    let other_run = Run::for_tests();
    let mut holders = Vec::new();
    for change in [json!({}), json!({ "exp": AT_S + 900 }), json!({ "sub": "user-2" }), json!({ "client_id": "c" })] {
        let token = signer.token(r#"{"alg":"ES256","kid":"k"}"#, &claims(&change));
        let accepted = auth.examine(&token).await.unwrap();
        holders.push(accepted.holder(&run));
        assert_ne!(accepted.holder(&run), accepted.holder(&other_run));
        assert!(!format!("{:?}", accepted.facts()).contains(&token));
        assert!(Arc::ptr_eq(&auth.seen(&token).unwrap(), &accepted));
    }
    assert_eq!(holders[0], holders[1], "a new token of the same person");
    assert_ne!(holders[0], holders[2]);
    assert_ne!(holders[0], holders[3]);
}

#[test]
fn metadata_says_where_tokens_come_from_under_the_name_that_was_called() {
    let mut auth = auth(&[&Signer::es256("k")], CONFIG);
    let read = |text: String| serde_json::from_str::<Value>(&text).unwrap();
    let metadata = read(auth.metadata("LocalHost:7070", Some("erp")));
    assert_eq!(metadata["resource"], "http://localhost:7070/mcp/erp");
    assert_eq!(metadata["authorization_servers"], json!(["https://login.example"]));
    assert_eq!(metadata["scopes_supported"], json!(["mcp:use", "pay"]));
    assert_eq!(metadata["bearer_methods_supported"], json!(["header"]));
    auth.public = Some("https://agents.corp.example".to_owned());
    assert_eq!(read(auth.metadata("127.0.0.1:7070", None))["resource"], "https://agents.corp.example");
}

#[test]
fn a_section_that_would_let_the_wrong_ones_in_is_refused() {
    for (from, to, part) in [
        ("https://login.example\"\n", "http://login.example\"\n", "use https"),
        ("clock_skew_s = 30", "clock_skew_s = 301", "at most 300"),
        ("clock_skew_s = 30", "algorithms = []", "algorithms"),
        ("clock_skew_s = 30", "algorithms = [\"HS256\"]", "HS256"),
        ("clock_skew_s = 30", "algorithms = [\"none\"]", "none"),
        ("clock_skew_s = 30", "audiences = []", "audiences"),
        ("[\"mcp:use\"]", "[\"mcp use\"]", "not one scope"),
        ("[\"mcp:use\"]", "['a\"b']", "not one scope"),
        ("client = \"ap-bot\"\n    mission = \"read", "mission = \"read", "say which tokens"),
        ("groups = [\"finance\", \"bots\"]", "groups = []", "lists nothing"),
        ("groups = [\"finance\", \"bots\"]", "scope = \"pay\"", "as `scopes = [..]`"),
        ("https://login.example/jwks\"", "https://login.example/jwks\", file = \"a\"", "keep one"),
        ("https://login.example/jwks\"", "http://login.example/jwks\"", "use https"),
    ] {
        let changed = CONFIG.replacen(from, to, 1);
        assert_ne!(changed, CONFIG, "{from}");
        let error = match toml::from_str::<Written>(&changed) {
            Ok(written) => written.fit(std::path::Path::new("/")).unwrap_err(),
            Err(error) => error.to_string(),
        };
        assert!(error.contains(part), "{to}: {error}");
    }
}
