//! A connection to a web seed (BEP 19): sends range requests, reads heads and bodies.

use std::io::{self, Read as _};
use std::ops::Range;
use std::time::Duration;

use super::credentials::Credential;
use super::error::{SourceError, Stage};
use super::http::checked;
use super::raw_transport::{self, RawTransport};
use super::{Client, USER_AGENT};
use crate::address::NamedBy;
use crate::protocol::http::{Head, encode_get, parse_head};
use crate::settings::AuthHeader;
use crate::url::{Url, UrlParts};

/// Bytes read at a time from ureq's own reader, used where its transport cannot be borrowed.
const READER_BYTES: usize = 64 << 10;

/// The head of the reply to a connection's first request. `connection` is set if the body can be
/// read.
#[derive(Debug)]
pub struct FirstReply {
    pub head: Head,
    pub connection: Option<Connection>,
}

/// A connection with pipelined requests. Replies arrive in the order of the requests.
#[derive(Debug)]
pub struct Connection {
    body: BodySource,
    server: Server,
    /// Encoded requests that were not sent yet.
    requests: Vec<u8>,
    /// The credentials that requests were sent with, except for the login of the first URL: the
    /// user's credentials, and the logins of other spellings of the server's URL.
    sent: Vec<AuthHeader>,
    /// Bytes of the current body that are not yet consumed.
    left: u64,
    silence: Duration,
    /// Whether more replies may follow.
    pub keep_alive: bool,
}

/// The server of the first URL. Most later URLs have the same beginning and are not parsed again,
/// which costs a build script more than the request itself.
#[derive(Debug)]
struct Server {
    origin: Option<String>,
    /// The first URL without its path and query.
    base: String,
    host: String,
    /// The login in the first URL. Other spellings of the server's URL have the same login, unless
    /// the server itself chose another one in a redirect.
    login: Option<AuthHeader>,
}

impl Server {
    fn of(url: &Url) -> Server {
        let (host, target) =
            url.parts().map_or_else(Default::default, |it| (it.host.to_owned(), it.target));
        let base = url.exposed().strip_suffix(target).unwrap_or_default();
        Server {
            origin: url.origin(),
            base: base.to_owned(),
            host,
            login: url.authorization().map(AuthHeader::of_url),
        }
    }

    /// Returns path and query of a URL that begins like the first one.
    fn target_of<'u>(&self, url: &'u Url) -> Option<&'u str> {
        let target = url.exposed().strip_prefix(&self.base)?;
        target.starts_with('/').then_some(target)
    }
}

enum BodySource {
    /// The transport itself: bodies with a length, pipelined requests.
    Raw(RawTransport),
    /// ureq's reader: chunked bodies, and bodies that end with the connection.
    Reader { reader: ureq::BodyReader<'static>, buffer: Vec<u8>, range: Range<usize> },
}

impl std::fmt::Debug for BodySource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if matches!(self, BodySource::Raw(_)) { "Raw" } else { "Reader" })
    }
}

impl Client {
    /// Opens a connection, or reuses an idle one, with a first range request.
    ///
    /// # Errors
    /// The server sent no reply.
    pub fn open(
        &self,
        by: NamedBy,
        url: &Url,
        credential: Credential<'_>,
        range: &Range<u64>,
    ) -> Result<FirstReply, SourceError> {
        let value = format!("bytes={}-{}", range.start, range.end.saturating_sub(1));
        let (reply, head, _) = self.request(by, url, credential, Ok(&value))?;
        let delimited = head.content_length.filter(|_| !head.chunked);
        let (body, left, keep_alive) = if let Some(length) = delimited {
            match raw_transport::borrow(reply) {
                Some(raw) => (BodySource::Raw(raw), length, head.keep_alive),
                None => return Ok(FirstReply { head, connection: None }),
            }
        } else {
            let reader = reply.into_body().into_reader();
            let body = BodySource::Reader { reader, buffer: vec![0; READER_BYTES], range: 0..0 };
            (body, u64::MAX, false)
        };
        let connection = Connection {
            body,
            server: Server::of(url),
            requests: Vec::new(),
            sent: Vec::new(),
            left,
            silence: self.timing().silence,
            keep_alive,
        };
        Ok(FirstReply { head, connection: Some(connection) })
    }
}

impl Connection {
    /// Whether the URL is on the same server, and this connection accepts more requests.
    pub fn reaches(&self, url: &Url) -> bool {
        matches!(self.body, BodySource::Raw(_))
            && (self.server.target_of(url).is_some()
                || self.server.origin.is_some() && self.server.origin == url.origin())
    }

    /// Queues a request for a URL that this connection [reaches](Connection::reaches). May be
    /// called before the current body is read. The request is sent by [`Connection::send`], or by
    /// the next wait for a head. `kept` is the result of [`Client::kept_header`]; without it, the
    /// URL's own login is sent.
    pub fn ask(&mut self, url: &Url, kept: Option<&AuthHeader>, range: &Range<u64>) {
        if let Some(kept) = kept {
            remember(&mut self.sent, kept);
        }
        let range = Some(range.clone());
        let mut encode = |host: &str, target: &str, login: Option<&AuthHeader>| {
            let target = target.split('#').next().unwrap_or_default();
            let header = kept.or(login).map(AuthHeader::name_and_value);
            encode_get(host, target, range.clone(), USER_AGENT, header, &mut self.requests);
        };
        if let Some(target) = self.server.target_of(url) {
            encode(&self.server.host, target, self.server.login.as_ref());
        } else if let Some(UrlParts { host, target, .. }) = url.parts() {
            let login = url.authorization().map(AuthHeader::of_url);
            encode(host, target, login.as_ref());
            if let Some(login) = &login {
                remember(&mut self.sent, login);
            }
        }
    }

    /// Sends the queued requests.
    ///
    /// # Errors
    /// The connection takes no more requests, or an I/O error.
    pub fn send(&mut self) -> Result<(), SourceError> {
        if self.requests.is_empty() {
            return Ok(());
        }
        let BodySource::Raw(raw) = &mut self.body else {
            return Err(SourceError::TakesNoRequests);
        };
        let sent = raw.send(&self.requests, self.silence);
        self.requests.clear();
        Ok(sent?)
    }

    /// Waits for the head of the next reply. Must be called after the current body was read. The
    /// wait is limited to `patience` or the silence timeout, whichever is shorter, even if the head
    /// arrives byte by byte.
    ///
    /// # Errors
    /// An invalid head, a body without a length, an I/O error.
    pub fn next_head(
        &mut self,
        patience: Duration,
        now: &dyn Fn() -> Duration,
    ) -> Result<Head, SourceError> {
        let begun = now();
        self.send()?;
        let BodySource::Raw(raw) = &mut self.body else {
            return Err(SourceError::TakesNoRequests);
        };
        loop {
            if let Some((head, used)) = parse_head(raw.input()).map_err(SourceError::Reply)? {
                raw.consume(used);
                if (100..200).contains(&head.status) {
                    continue;
                }
                self.keep_alive = head.keep_alive;
                let has_body = !matches!(head.status, 204 | 304);
                self.left = match head.content_length.filter(|_| !head.chunked) {
                    Some(length) => length,
                    None if !has_body => 0,
                    None => return Err(SourceError::NoLength),
                };
                let mut sent = self.sent.iter().chain(&self.server.login);
                return sent.try_fold(head, |head, header| checked(head, Some(header)));
            }
            let patience = patience.min(self.silence);
            let left = patience.saturating_sub(now().saturating_sub(begun));
            if left.is_zero() {
                return Err(SourceError::TimedOut(Stage::Reply));
            }
            if !raw.fill(left)? {
                return Err(SourceError::Closed);
            }
        }
    }

    /// Returns how many bytes of the current body remain; `u64::MAX` if its length is unknown.
    pub fn left(&self) -> u64 {
        self.left
    }

    /// Returns the next bytes of the body, at most `max`; empty at its end.
    ///
    /// # Errors
    /// The connection ended before the body, or was silent for too long.
    pub fn read(&mut self, max: u64) -> Result<&[u8], SourceError> {
        let max = max.min(self.left);
        if max == 0 {
            return Ok(&[]);
        }
        match &mut self.body {
            BodySource::Raw(raw) => {
                if raw.input().is_empty() && !raw.fill(self.silence)? {
                    return Err(SourceError::CutOff(self.left));
                }
                let input = raw.input();
                Ok(&input[..input.len().min(usize::try_from(max).unwrap_or(usize::MAX))])
            }
            BodySource::Reader { reader, buffer, range } => {
                if range.start == range.end {
                    *range = 0..read_some(reader, buffer)?;
                }
                let end = range
                    .end
                    .min(range.start.saturating_add(usize::try_from(max).unwrap_or(usize::MAX)));
                Ok(&buffer[range.start..end])
            }
        }
    }

    /// Removes the first bytes that [`Connection::read`] returned.
    pub fn consume(&mut self, bytes: usize) {
        self.left = self.left.saturating_sub(bytes as u64);
        match &mut self.body {
            BodySource::Raw(raw) => raw.consume(bytes),
            BodySource::Reader { range, .. } => range.start = range.end.min(range.start + bytes),
        }
    }
}

fn remember(sent: &mut Vec<AuthHeader>, header: &AuthHeader) {
    if !sent.contains(header) {
        sent.push(header.clone());
    }
}

fn read_some(reader: &mut ureq::BodyReader<'static>, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match reader.read(buffer) {
            Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::io::Write as _;
    use std::net::{TcpListener, TcpStream};

    use super::*;
    use crate::settings::Context;

    fn read_request(stream: &mut TcpStream) -> String {
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        String::from_utf8(head).unwrap()
    }

    /// Serves one byte, then redirects. The requests must have these headers.
    fn redirecting(headers: [&'static str; 2], location: &'static str) -> (Url, impl FnOnce()) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = Url::from(format!("http://name:password@{}/a", listener.local_addr().unwrap()));
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let redirect =
                format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
            let first =
                "HTTP/1.1 206 OK\r\nContent-Range: bytes 0-0/2\r\nContent-Length: 1\r\n\r\nx";
            for (reply, header) in [first, &redirect].into_iter().zip(headers) {
                assert!(read_request(&mut stream).contains(header), "{header}");
                stream.write_all(reply.as_bytes()).unwrap();
            }
        });
        (url, || server.join().unwrap())
    }

    #[test]
    fn a_later_redirect_that_quotes_what_was_sent_is_refused_as_the_first_would_be() {
        let (of_url, token) = ("Basic bmFtZTpwYXNzd29yZA==", "Bearer 0123456789");
        let cases = [
            (of_url, false, "http://h.org/?q=Basic%20bmFtZTpwYXNzd29yZA==", true),
            (of_url, false, "http://h.org/bmFtZTpwYXNzd29yZA==", true),
            (of_url, false, "http://h.org/bmFtZTpwYXNzd29yZA%3D%3D", true),
            (of_url, false, "http://h.org/a", false),
            (token, true, "http://h.org/?q=0123456789", true),
            (token, true, "http://h.org/a", false),
        ];
        for (header, is_kept, location, is_refused) in cases {
            let mut context = Context::default();
            context.set("ACADEMICTORRENTS_CREDENTIALS", "127.0.0.1=0123456789");
            let settings = context.settings().unwrap();
            let client = Client::new(&settings).unwrap();
            let client = if is_kept { client.with_credentials(&settings) } else { client };
            let (url, join) = redirecting([header; 2], location);
            let url = if is_kept { Url::from(&*url.without_login()) } else { url };
            let opened = client.open(NamedBy::User, &url, Credential::OfHost, &(0..1)).unwrap();
            let mut connection = opened.connection.unwrap();
            assert_eq!(connection.read(1).unwrap(), b"x");
            connection.consume(1);
            let kept = client.kept_header(NamedBy::User, &url);
            connection.ask(&url, kept.as_ref(), &(1..2));
            let head = connection.next_head(Duration::MAX, &|| Duration::ZERO);
            join();
            match is_refused {
                true => assert_eq!(head.unwrap_err(), SourceError::QuotesCredentials, "{location}"),
                false => assert_eq!(head.unwrap().location.as_deref(), Some(location)),
            }
        }
    }

    #[test]
    fn a_redirect_may_not_quote_a_login_that_the_first_url_lacks() {
        let header = "Basic bmFtZTpwYXNzd29yZA==";
        let (url, join) = redirecting(["GET /x/a ", header], "http://h.org/bmFtZTpwYXNzd29yZA==");
        let first = url.without_login().replace("/a", "/x/a");
        let client = Client::new(&Context::default().settings().unwrap()).unwrap();
        let opened = client.open(NamedBy::User, &Url::from(first), Credential::Nothing, &(0..1));
        let mut connection = opened.unwrap().connection.unwrap();
        assert_eq!(connection.read(1).unwrap(), b"x");
        connection.consume(1);
        assert!(connection.reaches(&url));
        connection.ask(&url, None, &(1..2));
        let head = connection.next_head(Duration::MAX, &|| Duration::ZERO);
        join();
        assert_eq!(head.unwrap_err(), SourceError::QuotesCredentials);
    }

    /// ureq looks at interim responses, the head and the body's beginning together.
    #[test]
    fn a_body_may_come_at_once_with_interim_responses() {
        let interim = ["HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 103 Early\r\nLink: x\r\n\r\n"];
        let length = 1 << 19;
        let head = format!(
            "HTTP/1.1 206 OK\r\nContent-Range: bytes 0-{}/{length}\r\nContent-Length: {length}\r\n\r\n",
            length - 1
        );
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = Url::from(format!("http://{}/data.bin", listener.local_addr().unwrap()));
        let cases = [interim[0].to_owned(), interim[1].to_owned(), interim.concat()];
        let heads = cases.map(|interim| [interim.as_bytes(), head.as_bytes()].concat());
        let count = 10 * heads.len();
        let server = std::thread::spawn(move || {
            for head in heads.iter().cycle().take(count) {
                let (mut stream, _) = listener.accept().unwrap();
                // Before the request, so that most of it is there when the client looks.
                stream.write_all(&[&head[..], &vec![b'x'; length]].concat()).unwrap();
                read_request(&mut stream);
            }
        });
        let client = Client::new(&Context::default().settings().unwrap()).unwrap();
        for _ in 0..count {
            let range = 0..length as u64;
            let opened = client.open(NamedBy::User, &url, Credential::Nothing, &range).unwrap();
            let mut connection = opened.connection.unwrap();
            let mut left = length;
            while left > 0 {
                let read = connection.read(left as u64).unwrap();
                assert!(read.iter().all(|byte| *byte == b'x'));
                let bytes = read.len();
                connection.consume(bytes);
                left -= bytes;
            }
        }
        server.join().unwrap();
    }

    #[test]
    fn a_head_that_comes_bit_by_bit_has_one_deadline() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = Url::from(format!("http://{}/data.bin", listener.local_addr().unwrap()));
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            read_request(&mut stream);
            let first =
                "HTTP/1.1 206 OK\r\nContent-Range: bytes 0-0/2\r\nContent-Length: 1\r\n\r\nx";
            stream.write_all(first.as_bytes()).unwrap();
            read_request(&mut stream);
            stream.write_all(b"HTTP/1.1 206 OK\r\nX-Slow: ").unwrap();
            // Until the client closes the connection.
            let _ = stream.read(&mut [0]);
        });
        let client = Client::new(&Context::default().settings().unwrap()).unwrap();
        let opened = client.open(NamedBy::User, &url, Credential::Nothing, &(0..1)).unwrap();
        let mut connection = opened.connection.unwrap();
        assert_eq!(connection.read(1).unwrap(), b"x");
        connection.consume(1);
        connection.ask(&url, None, &(1..2));
        // Each reading of the clock is two thirds of the silence after the one before.
        let time = Cell::new(Duration::ZERO);
        let now = || time.replace(time.get() + client.timing().silence * 2 / 3);
        let failure = connection.next_head(Duration::MAX, &now).unwrap_err();
        assert_eq!(failure, SourceError::TimedOut(Stage::Reply));
        drop(connection);
        server.join().unwrap();
    }
}
