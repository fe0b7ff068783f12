//! A web seed's connection: requests out, heads and bodies in (BEP 19).

use std::io::{self, Read as _};
use std::ops::Range;
use std::time::Duration;

use super::http::{head_of, io_reason, origin};
use super::lent::{self, Lent};
use super::{Client, HttpFailure, USER_AGENT};
use crate::protocol::http::{Head, encode_get, parse_head};

/// Read at a time from ureq's own reader, where its transport cannot be borrowed.
const READER_BYTES: usize = 64 << 10;

/// The head of the reply to a connection's first request, and the connection, where its body can be read.
#[derive(Debug)]
pub struct Opened {
    pub head: Head,
    pub connection: Option<Connection>,
}

/// A connection, with the replies to come in order of the requests.
#[derive(Debug)]
pub struct Connection {
    body: BodySource,
    /// Scheme and authority of what it was opened for, as written there.
    origin: String,
    /// Requests that were not sent yet.
    requests: Vec<u8>,
    /// Body bytes of the current reply that are still to come.
    left: u64,
    silence: Duration,
    /// Replies may follow on it.
    pub keep_alive: bool,
}

enum BodySource {
    /// The transport itself: length-delimited bodies, pipelined requests.
    Lent(Lent),
    /// ureq's reader: chunked bodies, and those that the connection's end delimits.
    Reader { reader: ureq::BodyReader<'static>, buffer: Vec<u8>, range: Range<usize> },
}

impl std::fmt::Debug for BodySource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if matches!(self, BodySource::Lent(_)) { "Lent" } else { "Reader" })
    }
}

impl Client {
    /// Makes a connection for a first ranged request.
    ///
    /// # Errors
    /// No reply.
    pub fn open(&self, url: &str, range: &Range<u64>) -> Result<Opened, HttpFailure> {
        let value = format!("bytes={}-{}", range.start, range.end.saturating_sub(1));
        let reply = self.request(url, Ok(&value))?;
        let head = head_of(&reply)?;
        let delimited = head.content_length.filter(|_| !head.chunked);
        let (body, left, keep_alive) = if let Some(length) = delimited {
            match lent::borrow(reply) {
                Some(lent) => (BodySource::Lent(lent), length, head.keep_alive),
                None => return Ok(Opened { head, connection: None }),
            }
        } else {
            let reader = reply.into_body().into_reader();
            let body = BodySource::Reader { reader, buffer: vec![0; READER_BYTES], range: 0..0 };
            (body, u64::MAX, false)
        };
        let connection = Connection {
            body,
            origin: origin(url).unwrap_or_default().to_owned(),
            requests: Vec::new(),
            left,
            silence: self.timing().silence,
            keep_alive,
        };
        Ok(Opened { head, connection: Some(connection) })
    }
}

impl Connection {
    /// Whether the URL can be asked for over this connection: its scheme and authority are the same, to the letter.
    pub fn reaches(&self, url: &str) -> bool {
        url.strip_prefix(&self.origin).is_some_and(|rest| {
            matches!(self.body, BodySource::Lent(_))
                && !self.origin.is_empty()
                && (rest.is_empty() || rest.starts_with(['/', '?', '#']))
        })
    }

    /// Adds a request for a URL that it reaches, before or after the current body has come. It goes out with
    /// [`Connection::send`], or with the next wait for a head.
    pub fn ask(&mut self, url: &str, range: &Range<u64>) {
        let target = url.get(self.origin.len()..).unwrap_or_default();
        let target = target.split('#').next().unwrap_or_default();
        let host = self.origin.split("://").nth(1).unwrap_or_default();
        let host = host.rsplit('@').next().unwrap_or_default();
        encode_get(host, target, Some(range.clone()), USER_AGENT, &mut self.requests);
    }

    /// Sends the requests that were added.
    ///
    /// # Errors
    /// A connection that takes no more requests, or an I/O error.
    pub fn send(&mut self) -> Result<(), HttpFailure> {
        if self.requests.is_empty() {
            return Ok(());
        }
        let BodySource::Lent(lent) = &mut self.body else {
            return Err(HttpFailure("the connection takes no more requests".to_owned()));
        };
        let sent = lent.send(&self.requests, self.silence);
        self.requests.clear();
        sent.map_err(|why| HttpFailure(io_reason(&why)))
    }

    /// Waits for the head of the next reply. The current body has been read.
    ///
    /// # Errors
    /// A damaged head, or one whose body cannot be told from the next reply; an I/O error.
    pub fn next_head(&mut self) -> Result<Head, HttpFailure> {
        self.send()?;
        let BodySource::Lent(lent) = &mut self.body else {
            return Err(HttpFailure("the connection takes no more requests".to_owned()));
        };
        loop {
            if let Some((head, used)) =
                parse_head(lent.input()).map_err(|why| HttpFailure(why.to_string()))?
            {
                lent.consume(used);
                if (100..200).contains(&head.status) {
                    continue;
                }
                self.keep_alive = head.keep_alive;
                let has_body = !matches!(head.status, 204 | 304);
                self.left = match head.content_length.filter(|_| !head.chunked) {
                    Some(length) => length,
                    None if !has_body => 0,
                    None => return Err(HttpFailure("the reply has no length".to_owned())),
                };
                return Ok(head);
            }
            if !lent.fill(self.silence).map_err(|why| HttpFailure(io_reason(&why)))? {
                return Err(HttpFailure("the connection was closed".to_owned()));
            }
        }
    }

    /// Bytes of the current body that are still to come; `u64::MAX` where its end is not known.
    pub fn left(&self) -> u64 {
        self.left
    }

    /// The next bytes of the body, at most `max`; empty at its end.
    ///
    /// # Errors
    /// The connection ended before the body did, or was silent for too long.
    pub fn read(&mut self, max: u64) -> Result<&[u8], HttpFailure> {
        let max = max.min(self.left);
        if max == 0 {
            return Ok(&[]);
        }
        match &mut self.body {
            BodySource::Lent(lent) => {
                if lent.input().is_empty()
                    && !lent.fill(self.silence).map_err(|why| HttpFailure(io_reason(&why)))?
                {
                    return Err(HttpFailure(format!(
                        "the connection was closed {} bytes before the end",
                        self.left
                    )));
                }
                let input = lent.input();
                Ok(&input[..input.len().min(usize::try_from(max).unwrap_or(usize::MAX))])
            }
            BodySource::Reader { reader, buffer, range } => {
                if range.start == range.end {
                    *range =
                        0..read_some(reader, buffer).map_err(|why| HttpFailure(io_reason(&why)))?;
                }
                let end = range
                    .end
                    .min(range.start.saturating_add(usize::try_from(max).unwrap_or(usize::MAX)));
                Ok(&buffer[range.start..end])
            }
        }
    }

    /// Lets go of the first bytes that [`Connection::read`] gave.
    pub fn consume(&mut self, bytes: usize) {
        self.left = self.left.saturating_sub(bytes as u64);
        match &mut self.body {
            BodySource::Lent(lent) => lent.consume(bytes),
            BodySource::Reader { range, .. } => range.start = range.end.min(range.start + bytes),
        }
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
