//! Replies of web seeds: the head of an HTTP/1.1 response, and what it means for the requested
//! bytes.
//!
//! [`parse_head`] reads a head from raw bytes, [`Head::from_parts`] from what an HTTP library
//! parsed; both return the same [`Head`]. [`verdict::judge`] then decides how to use the reply.
//! This module does not see bodies.
//!
//! Invariants: a head has at most [`MAX_HEAD_BYTES`]. Contradictory lengths are an error, never
//! resolved by guessing. A body is not used if it may be anything but the file's unmodified bytes:
//! another range, another length, or compressed. Whether the bytes are correct is decided by their
//! hash.

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use percent_encoding::{AsciiSet, CONTROLS, percent_encode, utf8_percent_encode};

use super::printable;

pub mod page;
pub mod proxy;
pub mod verdict;

#[cfg(test)]
mod tests;

/// The longest head that is accepted.
pub const MAX_HEAD_BYTES: usize = 64 << 10;

const MAX_HEADERS: usize = 128;
/// The pause for a date in `Retry-After` if the server does not state its own time: this module has
/// no clock to compare the date with.
const RETRY_AT_DATE: Duration = Duration::from_secs(60);
const MAX_RETRY_AFTER_SECONDS: u64 = 24 * 60 * 60;

/// The encodings in which a server may send other bytes than the file's. Misconfigured servers also
/// state character sets (`utf-8`), `none`, or how the file was uploaded (`aws-chunked`).
const ENCODINGS: [&[u8]; 9] =
    [b"gzip", b"x-gzip", b"deflate", b"br", b"zstd", b"compress", b"x-compress", b"bzip2", b"xz"];

/// The relevant parts of a response's head.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// The status code; 200 for a 203, which a proxy sends if it changed a successful reply.
    pub status: u16,
    /// Whether the response is HTTP/1.1; otherwise it is HTTP/1.0.
    pub version_1_1: bool,
    /// Whether the server accepts another request on this connection after the body.
    pub keep_alive: bool,
    /// The body's length, if it is stated and the body is not chunked.
    pub content_length: Option<u64>,
    /// Whether the body is sent in chunks.
    pub chunked: bool,
    /// The part of the file that a 206 contains.
    pub content_range: Option<ContentRange>,
    /// The file's length as stated by a 416.
    pub actual_length: Option<u64>,
    /// How long the server asks us to wait; at most a day.
    pub retry_after: Option<Duration>,
    /// The target of a redirect as it was sent, absolute or relative.
    pub location: Option<String>,
    /// Whether the body consists of the file's unmodified bytes.
    pub content_encoding_identity: bool,
    /// Whether the proxy accepts basic authentication (RFC 7617), or does not state what it
    /// accepts.
    pub takes_basic_login: bool,
    /// `is_html`: the body is declared as a web page. `is_bot_check`: Cloudflare's header says that
    /// a bot check replaced the reply.
    pub is_html: bool,
    pub is_bot_check: bool,
}

/// The part of a file that a 206 contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentRange {
    /// The offset of the first byte.
    pub start: u64,
    /// The offset after the last byte.
    pub end_exclusive: u64,
    /// The length of the whole file, if the server states it.
    pub total: Option<u64>,
}

/// Why bytes are not the head of a usable response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HttpError {
    /// Not HTTP.
    Malformed(String),
    /// Longer than [`MAX_HEAD_BYTES`], or more than 128 headers.
    TooLong,
    /// An invalid or contradictory header: its name and value.
    Header(&'static str, String),
}

impl HttpError {
    /// Returns the same error without secrets: `redact` removes what was sent to the server from
    /// the server's words.
    pub fn redacted(self, redact: impl FnOnce(&str) -> String) -> HttpError {
        match self {
            HttpError::Header(name, value) => HttpError::Header(name, redact(&value)),
            other => other,
        }
    }
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HttpError::Malformed(why) => write!(f, "the reply is not HTTP: {why}"),
            HttpError::TooLong => {
                write!(
                    f,
                    "the reply's head is over {} KiB or {MAX_HEADERS} headers",
                    MAX_HEAD_BYTES >> 10
                )
            }
            HttpError::Header(name, value) => {
                write!(f, "the reply has an invalid {name}: `{value}`")
            }
        }
    }
}

impl std::error::Error for HttpError {}

/// Parses the head at the beginning of the bytes, and returns it with its length; `None` if more
/// bytes are needed.
///
/// Interim responses (100 Continue, 103 Early Hints) are skipped.
///
/// # Errors
/// The head is invalid; the connection cannot be used any more.
pub fn parse_head(bytes: &[u8]) -> Result<Option<(Head, usize)>, HttpError> {
    let mut before = 0;
    loop {
        let rest = bytes.get(before..).unwrap_or_default();
        let rest = rest.get(..MAX_HEAD_BYTES - before).unwrap_or(rest);
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut response = httparse::Response::new(&mut headers);
        let used = match response.parse(rest) {
            Ok(httparse::Status::Complete(used)) => used,
            Ok(httparse::Status::Partial) if before + rest.len() >= MAX_HEAD_BYTES => {
                return Err(HttpError::TooLong);
            }
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(httparse::Error::TooManyHeaders) => return Err(HttpError::TooLong),
            Err(error) => return Err(HttpError::Malformed(error.to_string())),
        };
        before += used;
        let status = response.code.unwrap_or_default();
        // A 101 is final: after it, the connection no longer speaks HTTP. The caller rejects its
        // status.
        if (100..200).contains(&status) && status != 101 {
            continue;
        }
        let headers = response.headers.iter().map(|header| (header.name, header.value));
        let head = Head::from_parts(status, response.version == Some(1), headers)?;
        return Ok(Some((head, before)));
    }
}

impl Head {
    /// Creates a head from what an HTTP library parsed.
    ///
    /// # Errors
    /// A header is invalid, or contradicts another.
    pub fn from_parts<'h>(
        status: u16,
        version_1_1: bool,
        headers: impl Iterator<Item = (&'h str, &'h [u8])>,
    ) -> Result<Head, HttpError> {
        let mut head = Head {
            status: if status == 203 { 200 } else { status },
            version_1_1,
            keep_alive: version_1_1,
            content_encoding_identity: true,
            takes_basic_login: true,
            ..Head::default()
        };
        let mut close = false;
        let mut logins: Option<bool> = None;
        let (mut date, mut until) = (None, None);
        for (name, value) in headers {
            let is = |known: &str| name.eq_ignore_ascii_case(known);
            if is("content-length") {
                head.length(value)?;
            } else if is("transfer-encoding") {
                head.transfer_encoding(value)?;
            } else if is("content-range") {
                head.range(value);
            } else if is("connection") {
                close |= tokens(value).any(|token| token.eq_ignore_ascii_case(b"close"));
                head.keep_alive |=
                    tokens(value).any(|token| token.eq_ignore_ascii_case(b"keep-alive"));
            } else if is("content-encoding") {
                let is_one =
                    |token: &[u8]| ENCODINGS.iter().any(|it| token.eq_ignore_ascii_case(it));
                head.content_encoding_identity &= !tokens(value).any(is_one);
            } else if is("content-type") {
                let kind = value.split(|byte| *byte == b';').next().unwrap_or_default();
                let kind = kind.trim_ascii();
                head.is_html = kind.eq_ignore_ascii_case(b"text/html")
                    || kind.eq_ignore_ascii_case(b"application/xhtml+xml");
            } else if is("cf-mitigated") {
                head.is_bot_check = !value.trim_ascii().is_empty();
            } else if is("proxy-authenticate") {
                let basic = |token: &[u8]| {
                    let scheme = token.split(|byte| *byte == b' ').next().unwrap_or_default();
                    scheme.eq_ignore_ascii_case(b"basic")
                };
                if tokens(value).next().is_some() {
                    logins = Some(logins.unwrap_or(false) || tokens(value).any(basic));
                }
            } else if is("retry-after") {
                head.retry_after = retry_after(value);
                until = seconds_of(value);
            } else if is("date") {
                date = seconds_of(value);
            } else if is("location") {
                // Some servers send raw UTF-8 here, or bytes in a legacy encoding, which must be
                // sent back unchanged.
                let location = match std::str::from_utf8(value) {
                    Ok(location) => location.trim().to_owned(),
                    Err(_) => percent_encode(value.trim_ascii(), &AsciiSet::EMPTY).to_string(),
                };
                head.location = Some(location).filter(|location| !location.is_empty());
            }
        }
        if head.chunked && head.content_length.take().is_some() {
            // A message with both headers may be read differently by a proxy, so the connection is
            // not reused (RFC 9112, 6.3).
            close = true;
        }
        if let (Some(date), Some(until)) = (date, until) {
            let seconds = until.saturating_sub(date).min(MAX_RETRY_AFTER_SECONDS);
            head.retry_after = Some(Duration::from_secs(seconds));
        }
        head.keep_alive &= !close;
        head.takes_basic_login = logins.unwrap_or(true);
        Ok(head)
    }

    /// Some servers repeat the header; all values must then agree (RFC 9112, 6.3).
    fn length(&mut self, value: &[u8]) -> Result<(), HttpError> {
        let wrong = || HttpError::Header("Content-Length", printable(value, 80));
        let mut any = false;
        for token in tokens(value) {
            let length = number(token).ok_or_else(wrong)?;
            if self.content_length.is_some_and(|before| before != length) {
                return Err(wrong());
            }
            self.content_length = Some(length);
            any = true;
        }
        any.then_some(()).ok_or_else(wrong)
    }

    fn transfer_encoding(&mut self, value: &[u8]) -> Result<(), HttpError> {
        for token in tokens(value) {
            if token.eq_ignore_ascii_case(b"chunked") && !self.chunked {
                self.chunked = true;
            } else if !token.eq_ignore_ascii_case(b"identity") {
                return Err(HttpError::Header("Transfer-Encoding", printable(value, 80)));
            }
        }
        Ok(())
    }

    /// Reads `bytes 0-99/200`, `bytes 0-99/*`, and in a 416 `bytes */200`. Some servers write `=`
    /// or `:` after the unit, or leave out the unit or the total, or write a total of -1. An invalid
    /// value counts as absent: [`verdict::judge`] then needs the length of a 206, and other statuses
    /// do not need it.
    fn range(&mut self, value: &[u8]) {
        let parsed = || {
            let text = std::str::from_utf8(value).ok()?.trim();
            let begin = text.find(|c: char| c.is_ascii_digit() || matches!(c, '*' | '-'))?;
            let (unit, rest) = text.split_at(begin);
            let unit = unit.trim_end_matches([' ', '=', ':']);
            let (range, total) = rest.split_once('/').unwrap_or((rest, "*"));
            let (range, total) = (range.trim(), total.trim());
            let known = match total {
                "*" | "-1" => None,
                total => Some(number(total.as_bytes())?),
            };
            (unit.is_empty() || unit.eq_ignore_ascii_case("bytes")).then_some((range, known))
        };
        let Some((range, total)) = parsed() else {
            return;
        };
        if range == "*" {
            self.actual_length = total;
            return;
        }
        self.content_range = range.split_once('-').and_then(|(start, last)| {
            let start = number(start.trim().as_bytes())?;
            let end_exclusive = number(last.trim().as_bytes())?.checked_add(1)?;
            let fits = start < end_exclusive && total.is_none_or(|total| end_exclusive <= total);
            fits.then_some(ContentRange { start, end_exclusive, total })
        });
    }
}

/// Characters that would end a request line, or a word in it.
const NO_WORD: &AsciiSet = &CONTROLS.add(b' ');

/// Appends a GET request. `host` is written as in the URL, with the port if it is not the scheme's
/// default; a `range` of `None` requests the whole file.
///
/// Spaces and control characters are percent-encoded, because they could inject headers.
pub fn encode_get(
    host: &str,
    path_and_query: &str,
    range: Option<Range<u64>>,
    user_agent: &str,
    auth: Option<(&str, &str)>,
    out: &mut Vec<u8>,
) {
    out.extend_from_slice(if path_and_query.starts_with('/') { b"GET " } else { b"GET /" });
    encode(path_and_query, NO_WORD, out);
    out.extend_from_slice(b" HTTP/1.1\r\nHost: ");
    encode(host, NO_WORD, out);
    out.extend_from_slice(b"\r\nUser-Agent: ");
    encode(user_agent, CONTROLS, out);
    out.extend_from_slice(b"\r\nAccept: */*\r\nAccept-Encoding: identity\r\n");
    if let Some((name, value)) = auth {
        encode(name, NO_WORD, out);
        out.extend_from_slice(b": ");
        encode(value, CONTROLS, out);
        out.extend_from_slice(b"\r\n");
    }
    // An empty range cannot be expressed in HTTP, so the header is omitted.
    if let Some(range) = range.filter(|range| range.start < range.end) {
        let line = format!("Range: bytes={}-{}\r\n", range.start, range.end - 1);
        out.extend_from_slice(line.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

fn encode(text: &str, set: &'static AsciiSet, out: &mut Vec<u8>) {
    utf8_percent_encode(text, set).for_each(|part| out.extend_from_slice(part.as_bytes()));
}

/// Returns the elements of a comma-separated list.
fn tokens(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii).filter(|token| !token.is_empty())
}

/// Parses digits only: `parse` alone would accept a sign.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn retry_after(value: &[u8]) -> Option<Duration> {
    let value = value.trim_ascii();
    if !value.is_empty() && value.iter().all(u8::is_ascii_digit) {
        let seconds = number(value).unwrap_or(u64::MAX);
        return Some(Duration::from_secs(seconds.min(MAX_RETRY_AFTER_SECONDS)));
    }
    let days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let day = value.get(..3)?.to_ascii_lowercase();
    days.iter().any(|known| known.as_bytes() == day).then_some(RETRY_AT_DATE)
}

/// Parses a date in the format that servers must send (RFC 9110, 5.6.7), such as `Sun, 06 Nov 1994
/// 08:49:37 GMT`. Returns the seconds since March of the year 0: only differences matter.
fn seconds_of(date: &[u8]) -> Option<u64> {
    const MONTHS: [&str; 12] =
        ["mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec", "jan", "feb"];
    let date = std::str::from_utf8(date).ok()?.to_ascii_lowercase();
    let (_, date) = date.split_once(',')?;
    let words: Vec<&str> = date.split_ascii_whitespace().collect();
    let [day, month, year, time, _] = words[..] else { return None };
    let small = |digits: &str| number(digits.as_bytes()).filter(|it| *it < 10_000);
    let time: Vec<u64> = time.split(':').map(small).collect::<Option<_>>()?;
    let [hours, minutes, seconds] = time[..] else { return None };
    let month = MONTHS.iter().position(|it| *it == month)? as u64;
    // January and February end the year before.
    let year = small(year)?.checked_sub(month / 10)?;
    let days =
        365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + small(day)?;
    Some(((days * 24 + hours) * 60 + minutes) * 60 + seconds)
}
