//! What an upstream says with `WWW-Authenticate` (RFC 9110, section 11.6.1; RFC 6750, section 3). Pure, and total over hostile bytes.

use http::header::HeaderValue;

/// The parts of a `Bearer` challenge that are used here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Challenge {
    /// What is wrong with the token that was sent, if one was.
    pub error: Option<String>,
    /// Where the metadata of the protected resource is (RFC 9728, section 5.1).
    pub resource_metadata: Option<String>,
    /// The scopes that are needed.
    pub scope: Option<String>,
}

impl Challenge {
    /// Reads a header; what is no `Bearer` challenge says nothing.
    #[must_use]
    pub fn read(header: Option<&HeaderValue>) -> Self {
        let text = header.and_then(|header| header.to_str().ok()).unwrap_or_default();
        let mut challenge = Self::default();
        let mut is_bearer = false;
        let mut rest = text;
        while let Some((part, after)) = parameter(rest) {
            rest = after;
            match part {
                Part::Scheme(scheme) => is_bearer = scheme.eq_ignore_ascii_case("bearer"),
                Part::Parameter(name, value) if is_bearer => {
                    let field = match &*name.to_ascii_lowercase() {
                        "error" => &mut challenge.error,
                        "resource_metadata" => &mut challenge.resource_metadata,
                        "scope" => &mut challenge.scope,
                        _ => continue,
                    };
                    // The first one counts, as it would for whoever reads the header from its beginning.
                    field.get_or_insert(value);
                }
                Part::Parameter(..) => {}
            }
        }
        challenge
    }

    /// Whether the token was good but not for this.
    #[must_use]
    pub fn wants_scope(&self) -> Option<&str> {
        self.scope.as_deref().filter(|_| self.error.as_deref() == Some("insufficient_scope"))
    }
}

enum Part<'a> {
    Parameter(&'a str, String),
    Scheme(&'a str),
}

/// The first part of a header, and what comes after it.
fn parameter(text: &str) -> Option<(Part<'_>, &str)> {
    let text = text.trim_start_matches([' ', '\t', ',']);
    let end = text.find([' ', '\t', ',', '=', '"']).unwrap_or(text.len());
    let (name, after) = text.split_at_checked(end)?;
    if name.is_empty() {
        return None;
    }
    // A blank before the sign is bad form, and common readers take it.
    let Some(value) = after.trim_start_matches([' ', '\t']).strip_prefix('=') else {
        return Some((Part::Scheme(name), after));
    };
    let value = value.trim_start_matches([' ', '\t']);
    let Some(quoted) = value.strip_prefix('"') else {
        let end = value.find([' ', '\t', ',']).unwrap_or(value.len());
        let (value, after) = value.split_at_checked(end)?;
        return Some((Part::Parameter(name, value.to_owned()), after));
    };
    let mut unquoted = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((Part::Parameter(name, unquoted), quoted.get(at + 1..)?)),
            '\\' => unquoted.push(characters.next()?.1),
            other => unquoted.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_read_whatever_stands_around_them() {
        let metadata = "https://a.example/.well-known/oauth-protected-resource";
        for (header, error, at, scope) in [
            ("", None, None, None),
            ("Bearer", None, None, None),
            (r#"Bearer realm="x""#, None, None, None),
            (r#"Bearer scope="a b""#, None, None, Some("a b")),
            (r#"bearer Scope=a,error="invalid_token""#, Some("invalid_token"), None, Some("a")),
            (r#"Basic realm="a", scope="no", Bearer scope="yes""#, None, None, Some("yes")),
            (r#"Bearer scope="first", scope="second""#, None, None, Some("first")),
            (r#"Bearer scope = "spaced""#, None, None, Some("spaced")),
            (r#"Bearer scope="with \"quotes\"""#, None, None, Some(r#"with "quotes""#)),
            (r#"Bearer scope="open"#, None, None, None),
            (r#"Bearer scope="open\"#, None, None, None),
            ("Negotiate a2V5", None, None, None),
            (r#"Digest scope="no""#, None, None, None),
            ("Bearer =,=\"", None, None, None),
            (
                r#"Bearer error="insufficient_scope", scope="a b", resource_metadata="https://a.example/.well-known/oauth-protected-resource""#,
                Some("insufficient_scope"),
                Some(metadata),
                Some("a b"),
            ),
        ] {
            let read = Challenge::read(Some(&HeaderValue::from_str(header).unwrap()));
            let want = Challenge {
                error: error.map(str::to_owned),
                resource_metadata: at.map(str::to_owned),
                scope: scope.map(str::to_owned),
            };
            assert_eq!(read, want, "{header}");
        }
        assert_eq!(Challenge::read(None), Challenge::default());
    }
}
