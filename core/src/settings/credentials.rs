//! Credentials for single hosts: the setting `credentials`, and the HTTP header that they are sent
//! as.

use std::fmt;

use percent_encoding::percent_decode_str;

use crate::address::{self, host_and_port};
use crate::url::{base64, without_secret};

pub(super) const FORM: &str = "write `\"data.example.org\" = { token = \"…\" }` or `{ header = \"Name: value\" }`; in the variable `host=token` or `host=Name:value`";

/// Headers that determine how a request is parsed, or that we write ourselves.
const NOT_FOR_CREDENTIALS: [&str; 13] = [
    "accept-encoding",
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "range",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// An HTTP header with credentials.
#[derive(Clone, PartialEq, Eq)]
pub struct AuthHeader {
    name: String,
    value: String,
    /// Parts that messages must not show, in addition to the whole value.
    secrets: Vec<String>,
}

impl AuthHeader {
    /// Basic authentication (RFC 7617).
    pub fn basic(name: &[u8], password: &[u8]) -> AuthHeader {
        let encoded = base64(&[name, b":", password].concat());
        let value = format!("Basic {encoded}");
        let secrets = vec![encoded, String::from_utf8_lossy(password).into_owned()];
        AuthHeader { name: "Authorization".to_owned(), value, secrets }
    }

    /// The header for a URL's own login. The URL itself masks name and password in messages.
    pub fn of_url(value: String) -> AuthHeader {
        AuthHeader::new("Authorization", value)
    }

    fn new(name: &str, value: String) -> AuthHeader {
        let secrets = value.rsplit(' ').next().map(str::to_owned).into_iter().collect();
        AuthHeader { name: name.to_owned(), value, secrets }
    }

    /// Parses `Name: value`, or a bearer token (RFC 6750).
    fn parse(text: &str) -> Option<AuthHeader> {
        let (name, value) = text.split_once(':').unwrap_or(("Authorization", ""));
        let is_token = !text.contains(':');
        let value = match is_token {
            true => format!("Bearer {}", text.trim()),
            false => value.trim().to_owned(),
        };
        let of_name = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        let name = name.trim();
        // `Bearer ` with an empty token ends with a space.
        let fits = !name.is_empty()
            && name.bytes().all(of_name)
            && !NOT_FOR_CREDENTIALS.contains(&&*name.to_ascii_lowercase())
            && !value.is_empty()
            && !value.ends_with(' ')
            && value.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        fits.then(|| AuthHeader::new(name, value))
    }

    pub fn name_and_value(&self) -> (&str, &str) {
        (&self.name, &self.value)
    }

    /// Whether a URL contains a secret of this header. Secrets of less than 8 bytes are not
    /// searched for, because a match would mean nothing.
    pub fn is_in(&self, url: &str) -> bool {
        let decoded = percent_decode_str(url).decode_utf8_lossy();
        let mut long = self.secrets().filter(|secret| secret.len() >= 8);
        long.any(|secret| url.contains(secret) || decoded.contains(secret))
    }

    /// Masks this header's secrets in a server's text.
    pub fn redacted(&self, said: &str) -> String {
        self.secrets().fold(said.to_owned(), without_secret)
    }

    fn secrets(&self) -> impl Iterator<Item = &str> {
        [&self.value].into_iter().chain(&self.secrets).map(String::as_str)
    }
}

impl fmt::Debug for AuthHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthHeader").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The setting `credentials`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostCredentials(Vec<HostCredential>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct HostCredential {
    /// In canonical spelling.
    host: String,
    port: Option<u16>,
    header: AuthHeader,
}

impl HostCredentials {
    /// Parses `host=token`, `host:port=token` and `host=Name: value`. `None` if an entry is
    /// invalid.
    pub(super) fn parse(list: &[String]) -> Option<HostCredentials> {
        list.iter().map(|text| HostCredential::parse(text)).collect::<Option<_>>().map(Self)
    }

    /// The header for a host (spelled as by [`address::host_of_url`]) and port. An entry with the
    /// port takes precedence.
    pub fn of(&self, host: &str, port: u16) -> Option<&AuthHeader> {
        let of_host = |it: &&HostCredential| it.host == host && it.port.is_none_or(|it| it == port);
        let found = self.0.iter().filter(of_host).max_by_key(|it| it.port.is_some());
        found.map(|it| &it.header)
    }

    /// The hosts, with ports, for display.
    #[cfg(feature = "engine")]
    pub fn hosts(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|it| match it.port {
            Some(port) => format!("{}:{port}", it.host),
            None => it.host.clone(),
        })
    }
}

impl HostCredential {
    fn parse(text: &str) -> Option<HostCredential> {
        let (place, header) = text.split_once('=')?;
        let (host, port) = exact_host(place)?;
        Some(HostCredential { host, port, header: AuthHeader::parse(header)? })
    }
}

/// Parses `host` or `host:port`, and returns the host in canonical spelling. `None` for anything
/// else, such as a URL or a pattern.
pub(super) fn exact_host(place: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = match host_and_port(place) {
        Some((host, port)) => (host, Some(port)),
        None => (place, None),
    };
    let is_bad = |c: char| c.is_whitespace() || c.is_control() || "/*@?#\\,\"'".contains(c);
    let host = address::one_spelling(host);
    let is_name = !host.contains(':') || address::literal(&host).is_some();
    (!host.is_empty() && is_name && !host.contains(is_bad)).then_some((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(text: &str) -> Option<(String, String)> {
        let header = AuthHeader::parse(text)?;
        let (name, value) = header.name_and_value();
        Some((name.to_owned(), value.to_owned()))
    }

    #[test]
    fn a_token_or_a_header_is_read_and_nothing_that_would_begin_another() {
        let check = |text: &str, expected: Option<(&str, &str)>| {
            let found = header(text);
            let found = found.as_ref().map(|(name, value)| (&**name, &**value));
            assert_eq!(found, expected, "{text:?}");
        };
        check("abc.DEF-1~+/=", Some(("Authorization", "Bearer abc.DEF-1~+/=")));
        check("X-Api-Key: abc", Some(("X-Api-Key", "abc")));
        check("X-Api-Key:abc", Some(("X-Api-Key", "abc")));
        check("Authorization: Token token=\"a:b\"", Some(("Authorization", "Token token=\"a:b\"")));
        check("Cookie: a=b; c=d", Some(("Cookie", "a=b; c=d")));
        for odd in
            ["", " ", ":", "X:", "X: ", ": a", "X Y: a", "X: a\r\nY: b", "a\nb", "X: \u{7f}", "ä"]
        {
            check(odd, None);
        }
        for name in NOT_FOR_CREDENTIALS {
            check(&format!("{}: a", name.to_uppercase()), None);
        }
    }

    #[test]
    fn an_entry_is_for_its_exact_host_and_the_one_with_a_port_first() {
        let list = [
            "Data.Example.org.=one",
            "data.example.org:8443=two",
            "[::1]:80=three",
            "10.0.0.1=X-Key: four",
        ];
        let all = HostCredentials::parse(&list.map(str::to_owned)).unwrap();
        let check = |url: &str, port: u16, expected: Option<&str>| {
            let found = all.of(&address::host_of_url(url), port).map(|it| it.name_and_value().1);
            assert_eq!(found, expected, "{url}");
        };
        check("https://DATA.example.org/x", 443, Some("Bearer one"));
        check("https://data.example.org./x", 8443, Some("Bearer two"));
        check("http://[0:0::1]/", 80, Some("Bearer three"));
        check("http://[::1]:81/", 81, None);
        check("http://0xa.1/", 80, Some("four"));
        for host in
            ["a.data.example.org", "example.org", "data.example.org.evil", "xdata.example.org"]
        {
            check(&format!("https://{host}/"), 443, None);
        }
        for odd in ["x", "=x", "https://h=x", "*.h=x", "a@h=x", "h/p=x", "h:x=y", "h =x", "h="] {
            assert_eq!(HostCredentials::parse(&[odd.to_owned()]), None, "{odd}");
        }
        let shown = format!("{all:?}");
        assert!(["Bearer", "two", "three", "four"].iter().all(|it| !shown.contains(it)), "{shown}");
    }
}
