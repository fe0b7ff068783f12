//! Requests to an HTTP proxy: CONNECT for https (RFC 9110, 9.3.6), and the whole URL in the request
//! line for http (RFC 9112, 3.2.2). Many proxies, including squid in its default configuration,
//! refuse CONNECT to port 80.

use std::fmt;

use super::{Head, HttpError, NO_WORD, encode};
use crate::protocol::socks::LoginFailure;

/// Why an HTTP proxy refuses a request. Continues a sentence that begins with the proxy's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HttpProxyFailure {
    Login(LoginFailure),
    /// The proxy does not connect to the host, and replies with this status.
    Status(u16),
    Reply(HttpError),
}

impl HttpProxyFailure {
    /// Interprets a reply of the proxy itself that is not a success. `has_login`: we sent a user
    /// name and password.
    pub fn of(head: &Head, has_login: bool) -> HttpProxyFailure {
        match head.status {
            407 if !head.takes_basic_login => HttpProxyFailure::Login(LoginFailure::NoMethod),
            407 if has_login => HttpProxyFailure::Login(LoginFailure::Refused),
            407 => HttpProxyFailure::Login(LoginFailure::Wanted),
            status => HttpProxyFailure::Status(status),
        }
    }
}

/// Encodes the request for a connection to `host:port`.
pub fn encode_connect(place: &str, user_agent: &str, login: Option<&str>) -> Vec<u8> {
    let mut out = b"CONNECT ".to_vec();
    encode(place, NO_WORD, &mut out);
    out.extend_from_slice(b" HTTP/1.1\r\nHost: ");
    encode(place, NO_WORD, &mut out);
    out.extend_from_slice(b"\r\nUser-Agent: ");
    encode(user_agent, super::CONTROLS, &mut out);
    out.extend_from_slice(b"\r\n");
    encode_login(login, &mut out);
    out.extend_from_slice(b"\r\n");
    out
}

fn encode_login(login: Option<&str>, out: &mut Vec<u8>) {
    if let Some(login) = login {
        out.extend_from_slice(b"Proxy-Authorization: ");
        encode(login, super::CONTROLS, out);
        out.extend_from_slice(b"\r\n");
    }
}

/// Rewrites requests without bodies, addressed to a host, for a proxy; the input may be split at
/// any byte.
pub struct Forwarded {
    /// Inserted before the path.
    origin: String,
    /// The proxy's authorization header; empty if it requires no login.
    login: Vec<u8>,
    at: At,
}

/// The position in a request.
#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    Method,
    Target,
    /// `LineStart`: after the end of a line. `Line`: inside a line.
    LineStart,
    Line,
}

impl Forwarded {
    /// `origin` is `http://host`, with the port if it is not 80.
    pub fn new(origin: String, login: Option<&str>) -> Forwarded {
        let mut header = Vec::new();
        encode_login(login, &mut header);
        Forwarded { origin, login: header, at: At::Method }
    }

    /// Rewrites the next bytes of the requests.
    pub fn rewrite(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        for byte in bytes {
            out.push(*byte);
            self.at = match (self.at, byte) {
                (At::Method, b' ') => {
                    out.extend_from_slice(self.origin.as_bytes());
                    At::Target
                }
                (At::Target, b'\n') => {
                    out.extend_from_slice(&self.login);
                    At::LineStart
                }
                (At::Line, b'\n') => At::LineStart,
                // An empty line ends the request.
                (At::LineStart, b'\n') => At::Method,
                (At::LineStart, b'\r') => At::LineStart,
                (At::LineStart, _) => At::Line,
                (at, _) => at,
            };
        }
    }
}

impl fmt::Debug for Forwarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Forwarded").field("origin", &self.origin).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tunnel_is_asked_for_with_the_proxys_login() {
        let text =
            |login| String::from_utf8(encode_connect("a.example:443", "at/1", login)).unwrap();
        let head = "CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\nUser-Agent: at/1\r\n";
        assert_eq!(text(None), format!("{head}\r\n"));
        let login = "Proxy-Authorization: Basic dTpw\r\n";
        assert_eq!(text(Some("Basic dTpw")), format!("{head}{login}\r\n"));
        assert!(!text(Some("x\r\ny")).contains("x\r\n"));
    }

    #[test]
    fn requests_are_rewritten_however_they_are_cut() {
        let one = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: h\r\nX: GET /no HTTP\r\n\r\n");
        let sent = [one("/a?b=c d"), one("/"), one("/last")].concat();
        let expected = ["/a?b=c d", "/", "/last"].map(|path| {
            format!(
                "GET http://h:81{path} HTTP/1.1\r\nProxy-Authorization: Basic dTpw\r\nHost: h\r\nX: GET /no HTTP\r\n\r\n"
            )
        });
        for size in 1..sent.len() {
            let mut forwarded = Forwarded::new("http://h:81".to_owned(), Some("Basic dTpw"));
            let mut out = Vec::new();
            sent.as_bytes().chunks(size).for_each(|part| forwarded.rewrite(part, &mut out));
            assert_eq!(String::from_utf8(out).unwrap(), expected.concat(), "{size}");
        }
        let mut out = Vec::new();
        Forwarded::new("http://h".to_owned(), None).rewrite(one("/").as_bytes(), &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), one("http://h/"));
    }

    #[test]
    fn a_login_that_is_wanted_wrong_or_of_another_kind() {
        let head = |headers: &[(&'static str, &'static [u8])]| {
            Head::from_parts(407, true, headers.iter().copied()).unwrap()
        };
        let check = |headers: &[(&'static str, &'static [u8])], has_login, why| {
            let failure = HttpProxyFailure::of(&head(headers), has_login);
            assert_eq!(failure, HttpProxyFailure::Login(why), "{headers:?}");
        };
        let basic: (&str, &[u8]) = ("Proxy-Authenticate", b"basic realm=\"x, y\"");
        let others: (&str, &[u8]) = ("proxy-authenticate", b"Negotiate, NTLM");
        check(&[basic], false, LoginFailure::Wanted);
        check(&[basic], true, LoginFailure::Refused);
        check(&[others, basic], false, LoginFailure::Wanted);
        check(&[("Proxy-Authenticate", b"NTLM, Basic realm=x")], true, LoginFailure::Refused);
        check(&[others], true, LoginFailure::NoMethod);
        check(&[others], false, LoginFailure::NoMethod);
        // A proxy that does not state what it accepts.
        check(&[], false, LoginFailure::Wanted);
        check(&[("Proxy-Authenticate", b"")], true, LoginFailure::Refused);
    }
}
