//! The client side of SOCKS 5 (RFC 1928), with a user name and password if there are any (RFC
//! 1929).
//!
//! Each answer is read exactly to its last byte: what follows belongs to the proxied connection.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

#[cfg(test)]
mod tests;

const VERSION: u8 = 5;
const CONNECT: u8 = 1;

/// The maximum length of an answer, and of each part to read.
pub const MAX_ANSWER_BYTES: usize = 255 + 2;

/// The destination of a connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Destination {
    Address(SocketAddr),
    /// A host name, which the proxy resolves, and a port.
    Name(String, u16),
}

impl Destination {
    /// Parses `host:port`.
    pub fn parse(text: &str) -> Option<Destination> {
        if let Ok(address) = text.parse() {
            return Some(Destination::Address(address));
        }
        let (host, port) = text.rsplit_once(':')?;
        Some(Destination::Name(host.to_owned(), port.parse().ok()?))
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Destination::Address(address) => address.fmt(f),
            Destination::Name(host, port) => write!(f, "{host}:{port}"),
        }
    }
}

/// Why the proxy does not connect us. Continues a sentence that begins with the proxy's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SocksFailure {
    NotSocks,
    Login(LoginFailure),
    LoginTooLong,
    NameTooLong,
    /// It closed the connection after receiving the destination.
    Closed,
    /// An error code; the connection to the proxy is no longer usable.
    Reply(u8),
}

/// Why a proxy of either kind refuses our login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginFailure {
    Wanted,
    Refused,
    /// It requires an authentication method that we do not support.
    NoMethod,
}

impl fmt::Display for LoginFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LoginFailure::Wanted => "requires a user name and password",
            LoginFailure::Refused => "rejected the user name or password",
            LoginFailure::NoMethod => {
                "requires an authentication method other than user name and password"
            }
        })
    }
}

impl fmt::Display for SocksFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SocksFailure::NotSocks => "does not speak SOCKS 5",
            SocksFailure::Login(why) => return why.fmt(f),
            SocksFailure::LoginTooLong => "does not accept a user name or password over 255 bytes",
            SocksFailure::NameTooLong => "does not accept a host name over 255 bytes",
            SocksFailure::Closed => {
                "closed the connection, as `ssh -D` does if the host cannot be reached"
            }
            SocksFailure::Reply(1) => "reports a failure without a reason",
            SocksFailure::Reply(2) => "reports that its rules do not allow this connection",
            SocksFailure::Reply(3) => "reports that the network is unreachable",
            SocksFailure::Reply(4) => "reports that the host is unreachable or its name is unknown",
            SocksFailure::Reply(5) => "reports that the host refused the connection",
            SocksFailure::Reply(6) => "reports that the TTL expired on the way to the host",
            SocksFailure::Reply(7) => {
                "reports that it does not support connections (command not supported)"
            }
            SocksFailure::Reply(8) => "reports that it does not support this kind of address",
            SocksFailure::Reply(code) => {
                return write!(f, "reports an unknown error code: {code}");
            }
        })
    }
}

/// What the session waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AwaitedReply {
    Method,
    Login,
    Reply,
    /// A reserved byte, the type of the proxy's outgoing address, and the first byte of that
    /// address.
    Bound,
    /// The rest of that address, and its port.
    Rest(usize),
    /// Nothing: the connection is open.
    None,
}

/// The negotiation with the proxy for one connection.
pub struct SocksSession {
    awaited: AwaitedReply,
    /// Sent if the proxy requires it; empty if there is no login.
    login: Vec<u8>,
    request: Vec<u8>,
}

impl SocksSession {
    /// Creates a session, and returns it with the first bytes to send.
    ///
    /// # Errors
    /// A name or password is too long for the protocol's one-byte lengths.
    pub fn new(
        target: &Destination,
        login: Option<(&str, &str)>,
    ) -> Result<(SocksSession, Vec<u8>), SocksFailure> {
        let mut message = Vec::new();
        if let Some((name, password)) = login {
            message.push(1); // the version of RFC 1929
            for part in [name, password] {
                push_counted(&mut message, part).ok_or(SocksFailure::LoginTooLong)?;
            }
        }
        let mut request = vec![VERSION, CONNECT, 0];
        let port = match target {
            Destination::Address(address) => {
                match address.ip().to_canonical() {
                    IpAddr::V4(ip) => {
                        request.push(1);
                        request.extend(ip.octets());
                    }
                    IpAddr::V6(ip) => {
                        request.push(4);
                        request.extend(ip.octets());
                    }
                }
                address.port()
            }
            Destination::Name(host, port) => {
                request.push(3);
                push_counted(&mut request, host).ok_or(SocksFailure::NameTooLong)?;
                *port
            }
        };
        request.extend(port.to_be_bytes());
        // "No authentication" is always offered: a proxy without logins may reject clients that
        // offer only a login.
        let greeting = match login {
            Some(_) => vec![VERSION, 2, 0, 2],
            None => vec![VERSION, 1, 0],
        };
        Ok((SocksSession { awaited: AwaitedReply::Method, login: message, request }, greeting))
    }

    /// Returns how many bytes to read for the next [`SocksSession::handle`]; 0 when the connection
    /// is open.
    pub fn wants(&self) -> usize {
        match self.awaited {
            AwaitedReply::Method | AwaitedReply::Login | AwaitedReply::Reply => 2,
            AwaitedReply::Bound => 3,
            AwaitedReply::Rest(bytes) => bytes,
            AwaitedReply::None => 0,
        }
    }

    /// Whether the destination has been sent to the proxy.
    pub fn has_asked(&self) -> bool {
        self.request.is_empty()
    }

    /// Handles exactly the bytes that [`SocksSession::wants`] asked for; returns the bytes to send.
    ///
    /// # Errors
    /// The proxy refuses, or does not speak SOCKS 5.
    pub fn handle(&mut self, answer: &[u8]) -> Result<Vec<u8>, SocksFailure> {
        let mut send = Vec::new();
        self.awaited = match (self.awaited, answer) {
            (AwaitedReply::Method, [VERSION, 0]) => {
                send = std::mem::take(&mut self.request);
                AwaitedReply::Reply
            }
            (AwaitedReply::Method, [VERSION, 2]) if !self.login.is_empty() => {
                send = std::mem::take(&mut self.login);
                AwaitedReply::Login
            }
            (AwaitedReply::Method, [VERSION, 2 | 0xff]) if self.login.is_empty() => {
                return Err(SocksFailure::Login(LoginFailure::Wanted));
            }
            (AwaitedReply::Method, [VERSION, _]) => {
                return Err(SocksFailure::Login(LoginFailure::NoMethod));
            }
            // Some proxies send version 5 here.
            (AwaitedReply::Login, [_, 0]) => {
                send = std::mem::take(&mut self.request);
                AwaitedReply::Reply
            }
            (AwaitedReply::Login, [_, _]) => {
                return Err(SocksFailure::Login(LoginFailure::Refused));
            }
            (AwaitedReply::Reply, [VERSION, 0]) => AwaitedReply::Bound,
            (AwaitedReply::Reply, [VERSION, code]) => return Err(SocksFailure::Reply(*code)),
            (AwaitedReply::Bound, [_, 1, _]) => AwaitedReply::Rest(4 - 1 + 2),
            (AwaitedReply::Bound, [_, 3, length]) => AwaitedReply::Rest(usize::from(*length) + 2),
            (AwaitedReply::Bound, [_, 4, _]) => AwaitedReply::Rest(16 - 1 + 2),
            (AwaitedReply::Rest(bytes), rest) if rest.len() == bytes => AwaitedReply::None,
            _ => return Err(SocksFailure::NotSocks),
        };
        Ok(send)
    }
}

/// Appends a length byte and the text; `None` if the text is too long.
fn push_counted(message: &mut Vec<u8>, text: &str) -> Option<()> {
    message.push(u8::try_from(text.len()).ok()?);
    message.extend(text.as_bytes());
    Some(())
}
