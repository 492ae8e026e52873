//! `http` and `https` URLs in one spelling, and the patterns that they are held to.
//!
//! What a browser, a library and a server may read differently is refused (WHATWG URL against RFC 3986): user information, IP addresses, backslashes, dot
//! segments, encoded punctuation, characters beyond ASCII after the host, fragments. So is a URL that carries another one in its query, for the server to go on to.

use std::fmt;
use std::sync::Arc;

use super::contain::holds_domain;
use super::domain::host;
use super::rule::DomainPattern;
use super::uri::is_plain;

/// A URL, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WebUrl {
    host: String,
    is_tls: bool,
    port: u16,
    /// Path and query; starts with a slash.
    rest: String,
}

/// URLs of one scheme, host and port, and one path, or all that begin alike.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct UrlPattern {
    host: DomainPattern,
    is_open: bool,
    is_tls: bool,
    port: u16,
    rest: Arc<str>,
}

impl WebUrl {
    /// Reads a URL. The error says why it does not mean one thing to everybody.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        if text.chars().any(char::is_whitespace) || !is_plain(text) {
            return Err(
                "a space, dot segment, backslash, invisible or encoded character that readers take differently",
            );
        }
        let (is_tls, authority, rest) = split(text)?;
        let (name, port) = named_port(authority, is_tls)?;
        check_rest(rest)?;
        let rest = if rest.starts_with('/') { rest.to_owned() } else { format!("/{rest}") };
        Ok(Self { host: host(name)?, is_tls, port, rest })
    }
}

/// Scheme, authority, and path with query.
fn split(text: &str) -> Result<(bool, &str, &str), &'static str> {
    let (scheme, after) = text.split_once("://").ok_or("not an absolute URL")?;
    let is_tls = match scheme {
        _ if scheme.eq_ignore_ascii_case("https") => true,
        _ if scheme.eq_ignore_ascii_case("http") => false,
        _ => return Err("a URL that is neither http nor https"),
    };
    if after.contains('#') {
        return Err("a fragment (`#`), which no server sees");
    }
    let (authority, rest) = after.find(['/', '?']).map_or((after, ""), |at| after.split_at(at));
    // Some readers end the authority only at a slash and would take `host?@other/` to `other`.
    if after.split('/').next().unwrap_or_default().contains('@') {
        return Err("user information in a URL");
    }
    if authority.contains(['[', ']']) {
        return Err("an IP address");
    }
    Ok((is_tls, authority, rest))
}

fn named_port(authority: &str, is_tls: bool) -> Result<(&str, u16), &'static str> {
    let Some((name, port)) = authority.split_once(':') else {
        return Ok((authority, if is_tls { 443 } else { 80 }));
    };
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    let port = port.parse::<u16>().ok().filter(|port| digits && *port > 0);
    port.map(|port| (name, port)).ok_or("a URL without a usable port")
}

fn check_rest(rest: &str) -> Result<(), &'static str> {
    if !rest
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'<' | b'>' | b'`' | b'{' | b'}' | b'|' | b'^'))
    {
        return Err("a character that must be percent-encoded in a URL");
    }
    let whole = |after: &str| {
        let mut digits = after.bytes().take(2);
        digits.len() == 2 && digits.all(|digit| digit.is_ascii_hexdigit())
    };
    if !rest.split('%').skip(1).all(whole) {
        return Err("a `%` that encodes nothing");
    }
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    if path.contains("//") {
        return Err("two slashes in the path of a URL");
    }
    let leads_on = |value: &str| {
        let value = value.to_ascii_lowercase();
        value.contains("://") || ["//", "http:", "https:"].iter().any(|start| value.starts_with(start))
    };
    if query.split(['&', ';', '=', '?']).any(leads_on) {
        return Err("a URL inside of the query of a URL");
    }
    Ok(())
}

impl fmt::Display for WebUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_url(f, self.is_tls, &self.host, self.port, &self.rest)
    }
}

fn write_url(f: &mut fmt::Formatter<'_>, is_tls: bool, host: &str, port: u16, rest: &str) -> fmt::Result {
    let (scheme, usual) = if is_tls { ("https", 443) } else { ("http", 80) };
    write!(f, "{scheme}://{host}")?;
    if port != usual {
        write!(f, ":{port}")?;
    }
    f.write_str(rest)
}

impl UrlPattern {
    /// Reads `https://corp.example/status`, `https://api.corp.example/v1/*` or `https://*.lab.example/*`. The error says what is wrong.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let (text, is_open) = text.strip_suffix('*').map_or((text, false), |start| (start, true));
        let (scheme, after) = text.split_once("://").ok_or("not an absolute URL")?;
        let (after, below) = after.strip_prefix("*.").map_or((after, false), |after| (after, true));
        if after.contains('*') {
            return Err("a `*` that is neither for a subdomain nor at the end");
        }
        let url = WebUrl::parse(&format!("{scheme}://{after}"))?;
        if is_open && !after.ends_with(['/', '?']) {
            return Err("a `*` that does not stand after a `/` or `?`");
        }
        let WebUrl { host, is_tls, port, rest } = url;
        let host = if below { DomainPattern::Subdomains(host.into()) } else { DomainPattern::Exact(host.into()) };
        Ok(Self { host, is_open, is_tls, port, rest: rest.into() })
    }

    /// Whether it covers every URL that `other` covers.
    pub(super) fn holds(&self, other: &Self) -> bool {
        let is_rest = match (self.is_open, other.is_open) {
            (true, _) => other.rest.starts_with(&*self.rest),
            (false, true) => false,
            (false, false) => self.rest == other.rest,
        };
        holds_domain(&self.host, &other.host) && is_rest && self.is_tls == other.is_tls && self.port == other.port
    }

    /// Whether `url` is one of these.
    pub(crate) fn covers(&self, url: &WebUrl) -> bool {
        let is_host = match &self.host {
            DomainPattern::Exact(host) => **host == *url.host,
            DomainPattern::Subdomains(domain) => {
                url.host.strip_suffix(&**domain).is_some_and(|below| below.ends_with('.'))
            }
        };
        let is_rest = if self.is_open { url.rest.starts_with(&*self.rest) } else { url.rest == *self.rest };
        is_host && is_rest && self.is_tls == url.is_tls && self.port == url.port
    }
}

impl fmt::Display for UrlPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = match &self.host {
            DomainPattern::Exact(host) => host.to_string(),
            DomainPattern::Subdomains(domain) => format!("*.{domain}"),
        };
        write_url(f, self.is_tls, &host, self.port, &self.rest)?;
        f.write_str(if self.is_open { "*" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_url_has_one_spelling() {
        for (text, normal) in [
            ("https://corp.example", "https://corp.example/"),
            ("HTTPS://Corp.Example.:443/a/b?c=d&e=12:30", "https://corp.example/a/b?c=d&e=12:30"),
            ("http://corp.example:8080?x", "http://corp.example:8080/?x"),
            ("https://bücher.example/%C3%A4", "https://xn--bcher-kva.example/%C3%A4"),
        ] {
            let url = WebUrl::parse(text).unwrap();
            assert_eq!(url.to_string(), normal, "{text}");
            assert_eq!(WebUrl::parse(normal), Ok(url), "{normal}");
        }
    }

    #[test]
    fn what_readers_take_differently_is_refused() {
        for text in [
            "corp.example/a",
            "//corp.example/a",
            "https:/corp.example",
            "https:corp.example",
            "ftp://corp.example/",
            "javascript://corp.example/%0Aalert(1)",
            "https://ann@corp.example/",
            "https://corp.example@evil.example/",
            "https://corp.example?@evil.example/",
            "https://corp.example\\@evil.example/",
            "https://corp.example\\.evil.example/",
            "https://192.0.2.1/",
            "https://0xc0000201/",
            "https://3221225985/",
            "https://[2001:db8::1]/",
            "https://corp.example:0/",
            "https://corp.example:+443/",
            "https://corp.example:65536/",
            "https://corp.example:/",
            "https:///a",
            "https://corp.example/../a",
            "https://corp.example/a/..;/b",
            "https://corp.example/%2e%2e/a",
            "https://corp.example/a%2fb",
            "https://corp.example/a%00",
            "https://corp.example/a%",
            "https://corp.example/a%zz",
            "https://corp.example//evil.example",
            "https://corp.example/a b",
            "https://corp.example/a\tb",
            "https://corp.example/\u{200b}a",
            "https://corp.example/ä",
            "https://ｃｏｒｐ.example/",
            "https://corp.example/a#b",
            "https://corp.example/go?to=https://evil.example",
            "https://corp.example/go?to=//evil.example",
            "https://corp.example/go?HTTPS:evil.example",
            "https://corp.example/go?to=https%3A%2F%2Fevil.example",
        ] {
            assert!(WebUrl::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_pattern_covers_what_it_shows() {
        let covers =
            |pattern: &str, url: &str| UrlPattern::parse(pattern).unwrap().covers(&WebUrl::parse(url).unwrap());
        for (pattern, url, expected) in [
            ("https://corp.example/*", "https://corp.example/a?b", true),
            ("https://corp.example/*", "https://corp.example", true),
            ("https://corp.example/*", "http://corp.example/", false),
            ("https://corp.example/*", "https://corp.example:8443/", false),
            ("https://corp.example/*", "https://corp.example.evil.example/", false),
            ("https://corp.example:443/", "https://corp.example/", true),
            ("https://corp.example/v1/*", "https://corp.example/v1/a/b", true),
            ("https://corp.example/v1/*", "https://corp.example/v10/a", false),
            ("https://corp.example/v1/*", "https://corp.example/v1", false),
            ("https://corp.example/status", "https://corp.example/status", true),
            ("https://corp.example/status", "https://corp.example/status?all", false),
            ("https://corp.example/find?*", "https://corp.example/find?q=a", true),
            ("https://*.lab.example/*", "https://one.lab.example/a", true),
            ("https://*.lab.example/*", "https://two.one.lab.example/a", true),
            ("https://*.lab.example/*", "https://lab.example/a", false),
            ("https://*.lab.example/*", "https://evillab.example/a", false),
            ("https://*.lab.example/*", "https://evil.example/x.lab.example/", false),
        ] {
            assert_eq!(covers(pattern, url), expected, "{pattern} on {url}");
        }
        for pattern in [
            "https://*/",
            "https://*.*.example/",
            "https://corp.example/a*",
            "https://corp.example/*/b",
            "*",
            "https://corp.example*",
        ] {
            assert!(UrlPattern::parse(pattern).is_err(), "{pattern}");
        }
    }

    proptest! {
        #[test]
        fn the_one_spelling_is_read_as_itself(text in r"(https?|HTTPS)://[a-z.*@:0-9%/\\?#&= ä-]{0,40}") {
            if let Ok(url) = WebUrl::parse(&text) {
                prop_assert_eq!(WebUrl::parse(&url.to_string()), Ok(url.clone()));
                let exact = UrlPattern::parse(&url.to_string());
                prop_assert!(exact.is_ok_and(|exact| exact.covers(&url)) || url.to_string().contains('*'));
            }
        }
    }
}
