//! The domain that an address, a URL or a host name leads to, in one spelling.
//!
//! A value that could lead elsewhere when another program reads it (two addresses, a display name, user information, an IP address, a look-alike that folds into
//! plain letters) has no domain.

use super::spelling::ambiguity;

/// The ASCII domain, in lower case, of an e-mail address, an `http` or `https` URL, or a bare host. The error says why there is none.
pub(crate) fn domain_of(text: &str) -> Result<String, &'static str> {
    if text.chars().any(|character| character.is_control() || character.is_whitespace() || character == '\\') {
        return Err("a space, control character or backslash");
    }
    if let Some((scheme, rest)) = text.split_once("://") {
        return url_host(scheme, rest);
    }
    match text.rsplit_once('@') {
        Some((local, domain)) => {
            check_local(local)?;
            host(domain)
        }
        None => host(text),
    }
}

/// The host of what stands after the scheme of a URL (RFC 3986, section 3.2); stricter where browsers are lenient, so that both agree.
fn url_host(scheme: &str, rest: &str) -> Result<String, &'static str> {
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return Err("a URL that is neither http nor https");
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    // Some readers end the authority only at a slash and would take `host?@other/` to `other`.
    if rest.split('/').next().unwrap_or_default().contains('@') {
        return Err("user information in a URL");
    }
    if authority.contains(['[', ']']) {
        return Err("an IP address");
    }
    let name = match authority.split_once(':') {
        Some((name, port))
            if port.parse::<u16>().is_ok_and(|port| port > 0) && port.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            name
        }
        Some(_) => return Err("a URL without a usable port"),
        None => authority,
    };
    host(name)
}

/// The local part of one plain address: a dot-atom (RFC 5322, section 3.2.3) without the characters that route mail onwards.
fn check_local(local: &str) -> Result<(), &'static str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"+-_='&~".contains(&byte);
    if local.is_empty() || local.len() > 64 {
        return Err("an address whose part before the `@` is empty or too long");
    }
    if local.split('.').any(|atom| atom.is_empty() || !atom.bytes().all(plain)) {
        return Err("not one plain e-mail address");
    }
    Ok(())
}

/// A host name in ASCII and lower case, without the dot at its end.
pub(super) fn host(text: &str) -> Result<String, &'static str> {
    if ambiguity(text).is_some() {
        return Err("a look-alike or invisible character in a host");
    }
    let relative = text.strip_suffix('.').unwrap_or(text);
    let ascii = idna::domain_to_ascii_strict(relative).map_err(|_| "not a host name")?;
    let labels_match = relative.split('.').count() == ascii.split('.').count();
    let folded = relative
        .split('.')
        .zip(ascii.split('.'))
        .any(|(before, after)| !before.is_ascii() && !after.starts_with("xn--"));
    if !labels_match || folded {
        return Err("a look-alike that folds into plain letters");
    }
    if ascii.is_empty() || ascii.len() > 253 || !ascii.split('.').all(is_label) {
        return Err("not a host name");
    }
    // WHATWG URL, "ends in a number": a last label of digits, or hexadecimal ones, makes the whole an IPv4 address.
    if ascii.rsplit('.').next().is_some_and(is_numeric) {
        return Err("an IP address");
    }
    Ok(ascii)
}

fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

fn is_numeric(label: &str) -> bool {
    label.bytes().all(|byte| byte.is_ascii_digit())
        || label.strip_prefix("0x").is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn addresses_urls_and_hosts_have_one_domain() {
        for (text, domain) in [
            ("corp.example", "corp.example"),
            ("CORP.Example.", "corp.example"),
            ("ann@corp.example", "corp.example"),
            ("ann.o'hara+invoices@Corp.Example", "corp.example"),
            ("https://corp.example", "corp.example"),
            ("HTTPS://corp.example:8443/a@b?c=https://evil.example#d", "corp.example"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
            ("intranet", "intranet"),
        ] {
            assert_eq!(domain_of(text).as_deref(), Ok(domain), "{text}");
        }
    }

    #[test]
    fn what_may_lead_elsewhere_has_no_domain() {
        for text in [
            "",
            "@corp.example",
            "a@",
            "a@b@corp.example",
            "a@evil.example,b@corp.example",
            "a@evil.example;b@corp.example",
            "a@evil.example b@corp.example",
            "Ann <a@corp.example>",
            "\"a@evil.example\"@corp.example",
            "a@corp.example(evil.example)",
            "evil.example!a@corp.example",
            "a%evil.example@corp.example",
            "mailto:a@corp.example",
            "a..b@corp.example",
            ".a@corp.example",
            "ä@corp.example",
            "a@corp.example\r\nBcc: b@evil.example",
            "a@[127.0.0.1]",
            "https://corp.example@evil.example/",
            "https://user:pw@corp.example/",
            "http://corp.example?@evil.example/",
            "http://corp.example#@evil.example",
            "https://evil.example\\@corp.example/",
            "https:///corp.example/",
            "https:corp.example",
            "//corp.example/",
            "ftp://corp.example/",
            "javascript://corp.example/%0aalert(1)",
            "https://corp.example:/",
            "https://corp.example:+80/",
            "https://corp.example:99999/",
            "https://corp.example%2eevil.example/",
            "https://127.0.0.1/",
            "https://0x7f000001/",
            "https://2130706433/",
            "https://[::1]/",
            "https://corp.example\t.evil.example/",
            " corp.example",
            "corp.example..",
            "corp..example",
            "corp_x.example",
            "-corp.example",
            "corp.example:443",
            "corp.example/path",
            "ｃｏｒｐ.example",
            "corp。example",
            "corp．example",
            "co\u{ad}rp.example",
            "co\u{200b}rp.example",
            "xn--a.example",
            "ⓒorp.example",
            "corp.example,evil.example",
        ] {
            assert!(domain_of(text).is_err(), "{text:?} gives {:?}", domain_of(text));
        }
    }

    proptest! {
        #[test]
        fn a_domain_is_its_own_domain(text in "(https?://|[a-z.+]{0,4}@)?[a-zA-Z0-9.ßü。-]{0,16}") {
            if let Ok(domain) = domain_of(&text) {
                prop_assert_eq!(domain_of(&domain), Ok(domain.clone()));
                prop_assert!(domain.is_ascii());
            }
        }
    }
}
