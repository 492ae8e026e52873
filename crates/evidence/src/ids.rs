//! Identifiers of records, runs and calls: UUIDs of version 7, each its own type so that one cannot stand in for another.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::Uuid;

use crate::time::Timestamp;

/// Why a text is not an identifier.
#[derive(Debug, thiserror::Error)]
#[error("`{text}` is not an identifier: want a UUID such as 0193b5a2-6f1e-7cc3-98c4-dc0c0c07398f")]
pub struct IdError {
    text: String,
}

/// The 80 random bits of an identifier.
pub type Entropy = [u8; 10];

macro_rules! id {
    ($name:ident, $what:literal) => {
        #[doc = concat!("Identifies ", $what, ": a UUIDv7, written in lower case with dashes.")]
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// Builds the identifier from a time and 80 random bits (RFC 9562, section 5.7).
            #[must_use]
            pub fn at(at: Timestamp, entropy: Entropy) -> Self {
                Self(uuid::Builder::from_unix_timestamp_millis(at.millis(), &entropy).into_uuid())
            }

            /// The millisecond in which it was made, which is its first 48 bits.
            #[must_use]
            pub fn minted_at(&self) -> Timestamp {
                let [a, b, c, d, e, f, ..] = *self.as_bytes();
                Timestamp::from_micros(i64::from_be_bytes([0, 0, a, b, c, d, e, f]) * 1_000)
            }

            /// The identifier's 16 bytes, big-endian.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }

            /// Reads back what [`Self::as_bytes`] gave.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.0.as_hyphenated().encode_lower(&mut Uuid::encode_buffer()))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;

                impl de::Visitor<'_> for Text {
                    type Value = $name;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("an identifier")
                    }

                    fn visit_str<E: de::Error>(self, text: &str) -> Result<$name, E> {
                        text.parse().map_err(E::custom)
                    }
                }

                deserializer.deserialize_str(Text)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                // Only the one spelling that we write, so that equal identifiers are equal texts.
                match Uuid::try_parse(text) {
                    Ok(uuid) if *uuid.as_hyphenated().encode_lower(&mut Uuid::encode_buffer()) == *text => {
                        Ok(Self(uuid))
                    }
                    _ => Err(IdError { text: text.chars().take(64).collect() }),
                }
            }
        }
    };
}

id!(RecordId, "one evidence record");
id!(RunId, "one run: an execution of a mission by an agent for an initiator");
id!(CallId, "one call: an attempt to use a tool");
id!(ApprovalId, "one approval over all its records");
id!(ExceptionId, "one exception over all its records");
