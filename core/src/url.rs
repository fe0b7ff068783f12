//! URLs, which may contain secrets: logins, passkeys, signatures.
//!
//! Layer 0, below all others. [`Url`] prints masked; only [`Url::exposed`] returns the real text.
//! For other text that may quote a URL (such as a server's reply), [`masked`] hides what [`Url`]
//! would hide.
//!
//! These parts count as secret: everything before `@`; a component of 32 hexadecimal digits; in a
//! tracker's path, what looks like a key; the value of every query parameter that is not known to
//! be harmless; a fragment. The same applies to the URLs in a magnet link.

use std::borrow::Cow;
use std::fmt;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

mod mask;
#[cfg(any(test, feature = "engine"))]
mod passkey;
#[cfg(test)]
mod tests;

pub use mask::{ENCODED_MAGNET, MAGNET, magnet_query, masked, without_secret};
#[cfg(any(test, feature = "engine"))]
pub use passkey::Passkey;

/// Characters that must be percent-encoded in every part of a URL, besides non-ASCII ones.
const NOT_IN_URLS: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'`')
    .add(b'{')
    .add(b'}')
    .add(b'|')
    .add(b'^')
    .add(b'\\');

/// A URL, or text that was given as one: it is not validated.
#[derive(Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Url(String);

impl Url {
    /// The real text, with all secrets: for requests, and for files that must contain them. Never
    /// for messages.
    pub fn exposed(&self) -> &str {
        &self.0
    }

    /// Whether this is an http(s) URL, which can be downloaded from.
    pub fn is_http(&self) -> bool {
        is_http(&self.0)
    }

    pub fn is_https(&self) -> bool {
        is_https(&self.0)
    }

    /// Whether this is the URL of a UDP tracker (BEP 15).
    pub fn is_udp(&self) -> bool {
        is_udp(&self.0)
    }

    /// Appends text.
    pub fn with(&self, more: &str) -> Url {
        Url([&self.0, more].concat())
    }

    /// Makes the URL valid for a request, as the URL standard does: trims white space, removes line
    /// breaks and tabs, and percent-encodes invalid characters after the host.
    pub fn encoded(&self) -> Url {
        let text: String =
            self.0.trim().chars().filter(|c| !matches!(c, '\t' | '\n' | '\r')).collect();
        let host = text.find("://").map_or(0, |at| at + 3);
        let path = text.get(host..).and_then(|rest| rest.find(['/', '?', '#']));
        let (before, rest) = text.split_at(path.map_or(text.len(), |at| host + at));
        Url([before, &utf8_percent_encode(rest, NOT_IN_URLS).to_string()].concat())
    }

    /// `scheme://host:port` of an http(s) URL, in lower case and always with the port. URLs with
    /// the same origin belong to one server, so a secret for one may be sent to the other.
    pub fn origin(&self) -> Option<String> {
        let parts = self.parts()?;
        let scheme = parts.scheme.to_ascii_lowercase();
        let host = parts.host.to_ascii_lowercase();
        let default = if scheme == "https" { ":443" } else { ":80" };
        let has_port = host.rsplit(']').next().is_some_and(|end| end.contains(':'));
        Some(match host.strip_suffix(':') {
            Some(host) => format!("{scheme}://{host}{default}"),
            None if has_port => format!("{scheme}://{host}"),
            None => format!("{scheme}://{host}{default}"),
        })
    }

    /// Splits an http(s) URL. `None` for other schemes or an empty host.
    pub fn parts(&self) -> Option<UrlParts<'_>> {
        if !self.is_http() {
            return None;
        }
        let (scheme, rest) = self.0.split_once("://")?;
        let (authority, target) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let (login, host) = match authority.rsplit_once('@') {
            Some((login, host)) => (Some(login), host),
            None => (None, authority),
        };
        (!host.is_empty()).then_some(UrlParts { scheme, login, host, target })
    }

    /// The URL without login and fragment, for a request line or an HTTP library.
    pub fn without_login(&self) -> Cow<'_, str> {
        let text = self.0.split('#').next().unwrap_or_default();
        match self.parts() {
            Some(UrlParts { scheme, login: Some(_), host, target }) => {
                let target = target.split('#').next().unwrap_or_default();
                Cow::Owned([scheme, "://", host, target].concat())
            }
            _ => Cow::Borrowed(text),
        }
    }

    /// The value of the `Authorization` header for the URL's login (RFC 7617), percent-decoded.
    /// `None` without a login.
    pub fn authorization(&self) -> Option<String> {
        let login = self.parts()?.login?;
        let (name, word) = login.split_once(':').unwrap_or((login, ""));
        let mut decoded: Vec<u8> = percent_decode_str(name).collect();
        decoded.push(b':');
        decoded.extend(percent_decode_str(word));
        (decoded.len() > 1).then(|| ["Basic ", &base64(&decoded)].concat())
    }

    /// The user name in the URL, percent-decoded, if it has one and no password.
    pub fn name_alone(&self) -> Option<Vec<u8>> {
        let login = self.parts()?.login?;
        (!login.is_empty() && !login.contains(':')).then(|| percent_decode_str(login).collect())
    }

    /// Adds this URL's login to a redirect target that has the same origin and no login of its own.
    pub fn hand_login_to(&self, target: Url) -> Url {
        let login = self.parts().and_then(|parts| parts.login);
        match (login, target.parts()) {
            (Some(login), Some(UrlParts { scheme, login: None, host, target: rest }))
                if self.origin() == target.origin() =>
            {
                Url([scheme, "://", login, "@", host, rest].concat())
            }
            _ => target,
        }
    }

    /// Whether the printed form differs from the real text.
    pub fn has_secrets(&self) -> bool {
        self.to_string() != self.0
    }

    /// Masks a server's text, including the secrets that this URL sent to the server.
    pub fn redacted(&self, said: &str) -> String {
        let mut said = masked(said).into_owned();
        for secret in self.secrets() {
            for spelling in [percent_decode_str(&secret).decode_utf8_lossy().into_owned(), secret] {
                said = without_secret(said, &spelling);
            }
        }
        said
    }

    /// The hidden parts of the URL; of a login also the name and the password alone. Longest first.
    fn secrets(&self) -> Vec<String> {
        let (_, mut secrets) = mask::split(&self.0);
        let logins: Vec<String> = secrets
            .iter()
            .filter_map(|it| it.split_once(':'))
            .flat_map(|(name, word)| [name.to_owned(), word.to_owned()])
            .collect();
        secrets.extend(logins);
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        secrets
    }
}

/// Splits a string into URLs. Some torrents have several trackers or web seeds in one string,
/// separated by whitespace or commas.
pub fn several(text: &str) -> Vec<Url> {
    let is_between = |c: char| c.is_whitespace() || c == ',';
    let mut urls: Vec<Url> = Vec::new();
    let mut begin = 0;
    let ends = text.match_indices(is_between).map(|(at, between)| (at, at + between.len()));
    for (end, next) in ends.chain([(text.len(), text.len())]) {
        let rest = &text[next..];
        // Scan only the scheme, or a text of commas would take quadratic time.
        let scheme = rest.bytes().take_while(u8::is_ascii_alphanumeric).take(16).count();
        let begins = scheme > 0 && rest[scheme..].starts_with("://");
        if rest.is_empty() || begins {
            let url = text[begin..end].trim_matches(is_between);
            urls.extend((!url.is_empty()).then(|| Url::from(url)));
            begin = next;
        }
    }
    urls
}

/// The parts of an http(s) URL.
#[derive(Clone, Copy)]
pub struct UrlParts<'a> {
    pub scheme: &'a str,
    /// Everything before `@`, not decoded.
    login: Option<&'a str>,
    /// With the port, if the URL has one.
    pub host: &'a str,
    /// Path, query and fragment.
    pub target: &'a str,
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&mask::split(&self.0).0)
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

impl From<String> for Url {
    fn from(text: String) -> Url {
        Url(text)
    }
}

impl From<&str> for Url {
    fn from(text: &str) -> Url {
        Url(text.to_owned())
    }
}

impl From<&String> for Url {
    fn from(text: &String) -> Url {
        Url(text.clone())
    }
}

impl PartialEq<str> for Url {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}

impl PartialEq<&str> for Url {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}

/// Whether this is an http(s) URL.
pub fn is_http(url: &str) -> bool {
    begins(url, "http://") || is_https(url)
}

/// Whether a connection to this URL's host uses TLS.
pub fn is_https(url: &str) -> bool {
    begins(url, "https://")
}

/// Whether this is the URL of a UDP tracker (BEP 15).
pub fn is_udp(url: &str) -> bool {
    begins(url, "udp://")
}

/// Returns a text without what is often copied along with a link or infohash: whitespace, also
/// of no width, and quotation marks or angle brackets.
pub fn pasted(text: &str) -> &str {
    text.trim_matches(|c: char| {
        c.is_whitespace()
            || matches!(c, '"' | '\'' | '`' | '<' | '>' | '\u{feff}')
            || matches!(c, '\u{2018}'..='\u{201f}' | '\u{200b}'..='\u{200f}')
    })
}

/// Whether a text begins with another, in any case.
pub fn begins(text: &str, with: &str) -> bool {
    text.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with))
}

pub fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word = (0..3).fold(0, |word: u32, at| {
            word << 8 | u32::from(chunk.get(at).copied().unwrap_or_default())
        });
        for at in 0..4 {
            let digit = DIGITS.get((word >> (18 - 6 * at) & 63) as usize);
            let digit = digit.copied().filter(|_| at <= chunk.len());
            text.push(char::from(digit.unwrap_or(b'=')));
        }
    }
    text
}
