//! Access tokens as signed JSON (RFC 7515, 7519, 9068): read strictly, verified with one key, and reduced to their claims. Pure.
//!
//! The algorithm is one of a closed set of asymmetric ones, the key comes from the configured authorization server and never from the token, and a token that two
//! readers could take differently is refused. Nothing of a token but what [`Claims`] says leaves this file.

use std::collections::BTreeSet;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384,
    RSA_PSS_2048_8192_SHA512, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use surfaces::limits::ReadLimits;
use surfaces::mcp::codec::strict_scan;

use crate::limits::{AUDIENCES_MAX, CLAIM_NAME_BYTES_MAX, SCOPES_MAX};

/// How a token may be signed. HMAC and `none` are not among them: an agent could make such tokens itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
pub enum Algorithm {
    /// EdDSA with Ed25519.
    #[serde(alias = "Ed25519")]
    EdDSA,
    /// ECDSA with P-256.
    ES256,
    /// ECDSA with P-384.
    ES384,
    /// ECDSA with P-521.
    ES512,
    /// RSA-PSS with SHA-256.
    PS256,
    /// RSA-PSS with SHA-384.
    PS384,
    /// RSA-PSS with SHA-512.
    PS512,
    /// RSA PKCS #1 v1.5 with SHA-256.
    RS256,
    /// RSA PKCS #1 v1.5 with SHA-384.
    RS384,
    /// RSA PKCS #1 v1.5 with SHA-512.
    RS512,
}

impl Algorithm {
    /// All of them: what is taken where nothing else is configured.
    pub const ALL: &'static [Self] = &[
        Self::EdDSA,
        Self::ES256,
        Self::ES384,
        Self::ES512,
        Self::PS256,
        Self::PS384,
        Self::PS512,
        Self::RS256,
        Self::RS384,
        Self::RS512,
    ];

    /// The algorithm with this name, if it is one that is ever taken.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "EdDSA" | "Ed25519" => Self::EdDSA,
            "ES256" => Self::ES256,
            "ES384" => Self::ES384,
            "ES512" => Self::ES512,
            "PS256" => Self::PS256,
            "PS384" => Self::PS384,
            "PS512" => Self::PS512,
            "RS256" => Self::RS256,
            "RS384" => Self::RS384,
            "RS512" => Self::RS512,
            _ => return None,
        })
    }

    fn rsa(self) -> Option<&'static RsaParameters> {
        Some(match self {
            Self::PS256 => &RSA_PSS_2048_8192_SHA256,
            Self::PS384 => &RSA_PSS_2048_8192_SHA384,
            Self::PS512 => &RSA_PSS_2048_8192_SHA512,
            Self::RS256 => &RSA_PKCS1_2048_8192_SHA256,
            Self::RS384 => &RSA_PKCS1_2048_8192_SHA384,
            Self::RS512 => &RSA_PKCS1_2048_8192_SHA512,
            Self::EdDSA | Self::ES256 | Self::ES384 | Self::ES512 => return None,
        })
    }

    fn curve(self) -> Option<(Curve, &'static dyn VerificationAlgorithm)> {
        Some(match self {
            Self::EdDSA => (Curve::Ed25519, &ED25519),
            Self::ES256 => (Curve::P256, &ECDSA_P256_SHA256_FIXED),
            Self::ES384 => (Curve::P384, &ECDSA_P384_SHA384_FIXED),
            Self::ES512 => (Curve::P521, &ECDSA_P521_SHA512_FIXED),
            Self::PS256 | Self::PS384 | Self::PS512 | Self::RS256 | Self::RS384 | Self::RS512 => return None,
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Curve {
    Ed25519,
    P256,
    P384,
    P521,
}

/// A public key of the authorization server (RFC 7517).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The one algorithm that it is for, where the key set says so.
    algorithm: Option<Algorithm>,
    id: Option<String>,
    material: Material,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Material {
    Curve(Curve, Vec<u8>),
    Rsa { exponent: Vec<u8>, modulus: Vec<u8> },
}

#[derive(Deserialize)]
struct WrittenKey {
    alg: Option<String>,
    crv: Option<String>,
    e: Option<String>,
    kid: Option<String>,
    kty: String,
    n: Option<String>,
    #[serde(rename = "use")]
    use_for: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl Key {
    /// Reads one key of a set; `None` where it is not for verifying with an algorithm that is taken.
    #[must_use]
    pub fn read(value: Value) -> Option<Self> {
        let written: WrittenKey = serde_json::from_value(value).ok()?;
        if written.use_for.as_deref().is_some_and(|use_for| use_for != "sig") {
            return None;
        }
        let algorithm = match &written.alg {
            Some(name) => Some(Algorithm::named(name)?),
            None => None,
        };
        let bytes = |text: &Option<String>| URL_SAFE_NO_PAD.decode(text.as_ref()?).ok();
        let material = match (&*written.kty, written.crv.as_deref()) {
            ("RSA", _) => Material::Rsa { exponent: bytes(&written.e)?, modulus: bytes(&written.n)? },
            ("OKP", Some("Ed25519")) => Material::Curve(Curve::Ed25519, bytes(&written.x)?),
            ("EC", Some(curve)) => {
                let (curve, coordinate_bytes) = match curve {
                    "P-256" => (Curve::P256, 32),
                    "P-384" => (Curve::P384, 48),
                    "P-521" => (Curve::P521, 66),
                    _ => return None,
                };
                let (x, y) = (bytes(&written.x)?, bytes(&written.y)?);
                // An uncompressed point (SEC 1, 2.3.3).
                let point = [vec![4], x, y].concat();
                (point.len() == 1 + 2 * coordinate_bytes).then_some(Material::Curve(curve, point))?
            }
            _ => return None,
        };
        Some(Self { algorithm, id: written.kid, material })
    }

    /// Whether a token that names the key `id`, or none, may be verified with this one.
    #[must_use]
    pub fn suits(&self, algorithm: Algorithm, id: Option<&str>) -> bool {
        let fits = match &self.material {
            Material::Curve(curve, _) => algorithm.curve().is_some_and(|(wanted, _)| wanted == *curve),
            Material::Rsa { .. } => algorithm.rsa().is_some(),
        };
        fits && self.algorithm.is_none_or(|own| own == algorithm) && id.is_none_or(|id| self.id.as_deref() == Some(id))
    }

    fn verifies(&self, algorithm: Algorithm, signed: &[u8], signature: &[u8]) -> bool {
        match (&self.material, algorithm.rsa(), algorithm.curve()) {
            (Material::Rsa { exponent, modulus }, Some(parameters), _) => {
                RsaPublicKeyComponents { n: modulus, e: exponent }.verify(parameters, signed, signature).is_ok()
            }
            (Material::Curve(curve, point), _, Some((wanted, verification))) if wanted == *curve => {
                UnparsedPublicKey::new(verification, point).verify(signed, signature).is_ok()
            }
            (Material::Curve(..) | Material::Rsa { .. }, _, _) => false,
        }
    }
}

/// Why a token is not one (always 401). Nothing of the token is repeated but the names of algorithms and claims.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Its algorithm is not taken.
    #[error("the token's algorithm is not one that is taken here")]
    Algorithm,
    /// A claim is absent or of another form.
    #[error("the token's claim `{0}` is absent or not of its form")]
    Claim(&'static str),
    /// It is not a signed token in the compact form.
    #[error("the token is not signed JSON in the compact form")]
    Form,
    /// The header asks for what is not understood here.
    #[error("the token's header asks for what is not understood here")]
    Header,
    /// The signature is not that of the key.
    #[error("the token's signature is not the issuer's")]
    Signature,
}

/// A token whose signature has not been checked.
#[derive(Debug)]
pub struct Unverified<'a> {
    /// How it says it is signed.
    pub algorithm: Algorithm,
    /// The key that it names.
    pub key: Option<String>,
    digest: [u8; 32],
    payload: &'a str,
    signature: Vec<u8>,
    signed: &'a str,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    crit: Option<Value>,
    kid: Option<String>,
    typ: Option<String>,
    zip: Option<Value>,
}

impl<'a> Unverified<'a> {
    /// Takes a token apart.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn read(token: &'a str) -> Result<Self, TokenError> {
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Form)?;
        let (header, payload) = signed.split_once('.').ok_or(TokenError::Form)?;
        if payload.contains('.') {
            return Err(TokenError::Form);
        }
        let header: Header = serde_json::from_slice(&json(header)?).map_err(|_| TokenError::Form)?;
        let algorithm = Algorithm::named(&header.alg).ok_or(TokenError::Algorithm)?;
        let kind = header.typ.as_deref().unwrap_or("JWT");
        let kind = kind.strip_prefix("application/").unwrap_or(kind);
        let is_known = kind.eq_ignore_ascii_case("JWT") || kind.eq_ignore_ascii_case("at+jwt");
        if header.crit.is_some() || header.zip.is_some() || !is_known {
            return Err(TokenError::Header);
        }
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| TokenError::Form)?;
        let digest = Sha256::digest(token.as_bytes()).into();
        Ok(Self { algorithm, key: header.kid, digest, payload, signature, signed })
    }

    /// Checks the signature and reads the claims.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn verify(&self, key: &Key) -> Result<Claims, TokenError> {
        if !key.verifies(self.algorithm, self.signed.as_bytes(), &self.signature) {
            return Err(TokenError::Signature);
        }
        let claims: Map<String, Value> = serde_json::from_slice(&json(self.payload)?).map_err(|_| TokenError::Form)?;
        Claims::read(claims, self.digest)
    }
}

/// A part of a token as JSON, which no two readers take differently.
fn json(part: &str) -> Result<Vec<u8>, TokenError> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenError::Form)?;
    strict_scan(&bytes, &ReadLimits::REQUEST).map_err(|_| TokenError::Form)?;
    Ok(bytes)
}

/// What a verified token says. Times are seconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// For whom it is.
    pub audience: Vec<String>,
    /// The client that it was issued to.
    pub client: Option<String>,
    /// SHA-256 of the token.
    pub digest: [u8; 32],
    /// From when on it is no longer good.
    pub expires_at: i64,
    /// When it was made, where it says.
    pub issued_at: Option<i64>,
    /// Who made it.
    pub issuer: String,
    /// Before when it is not yet good.
    pub not_before: Option<i64>,
    /// What it is good for.
    pub scopes: BTreeSet<String>,
    /// Whom it is about.
    pub subject: String,
    /// All claims, as they are.
    all: Map<String, Value>,
}

impl Claims {
    fn read(all: Map<String, Value>, digest: [u8; 32]) -> Result<Self, TokenError> {
        let text = |name: &'static str| match all.get(name) {
            None => Ok(None),
            Some(Value::String(text)) if !text.is_empty() && text.len() <= CLAIM_NAME_BYTES_MAX => {
                Ok(Some(text.clone()))
            }
            Some(_) => Err(TokenError::Claim(name)),
        };
        let audience = match all.get("aud") {
            Some(Value::String(one)) => vec![one.clone()],
            Some(Value::Array(several)) if several.len() <= AUDIENCES_MAX => {
                let texts = several.iter().map(|one| one.as_str().map(str::to_owned));
                texts.collect::<Option<Vec<_>>>().ok_or(TokenError::Claim("aud"))?
            }
            _ => return Err(TokenError::Claim("aud")),
        };
        // RFC 9068 says `client_id`, OpenID Connect says `azp`; where both are there they agree.
        let client = match (text("client_id")?, text("azp")?) {
            (Some(client), Some(party)) if client != party => return Err(TokenError::Claim("azp")),
            (client, party) => client.or(party),
        };
        Ok(Self {
            audience,
            client,
            digest,
            expires_at: time(&all, "exp")?.ok_or(TokenError::Claim("exp"))?,
            issued_at: time(&all, "iat")?,
            issuer: text("iss")?.ok_or(TokenError::Claim("iss"))?,
            not_before: time(&all, "nbf")?,
            scopes: scopes(&all)?,
            subject: text("sub")?.ok_or(TokenError::Claim("sub"))?,
            all,
        })
    }

    /// The claim `name`, if it is text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.all.get(name)?.as_str()
    }

    /// Whether the claim `name` is `wanted`, or is a list with it.
    #[must_use]
    pub fn says(&self, name: &str, wanted: &str) -> bool {
        match self.all.get(name) {
            Some(Value::String(text)) => text == wanted,
            Some(Value::Array(several)) => several.iter().any(|one| one.as_str() == Some(wanted)),
            Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) | None => false,
        }
    }

    /// Whether the issuer says that it did not check the holder's address.
    #[must_use]
    pub fn has_unverified_email(&self) -> bool {
        self.all.get("email_verified").is_some_and(|verified| verified.as_bool() != Some(true))
    }
}

/// A time in whole seconds, before any rounding that would make a token live longer.
fn time(all: &Map<String, Value>, name: &'static str) -> Result<Option<i64>, TokenError> {
    const LATEST: f64 = 253_402_300_799.0;
    let Some(value) = all.get(name) else { return Ok(None) };
    let seconds = value.as_f64().filter(|seconds| (0.0..=LATEST).contains(seconds)).ok_or(TokenError::Claim(name))?;
    #[expect(clippy::cast_possible_truncation, reason = "within twelve digits, as just checked")]
    Ok(Some(seconds.floor() as i64))
}

/// Scopes: `scope` separated by spaces (RFC 8693, 4.2), or `scp` as some servers write it, as text or list.
fn scopes(all: &Map<String, Value>) -> Result<BTreeSet<String>, TokenError> {
    let mut found = BTreeSet::new();
    for name in ["scope", "scp"] {
        match all.get(name) {
            None => {}
            Some(Value::String(text)) => found.extend(text.split(' ').filter(|one| !one.is_empty()).map(str::to_owned)),
            Some(Value::Array(several)) => {
                let texts = several.iter().map(|one| one.as_str().map(str::to_owned));
                found.extend(texts.collect::<Option<Vec<_>>>().ok_or(TokenError::Claim("scope"))?);
            }
            Some(_) => return Err(TokenError::Claim("scope")),
        }
    }
    (found.len() <= SCOPES_MAX).then_some(found).ok_or(TokenError::Claim("scope"))
}
