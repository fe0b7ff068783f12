//! What a web seed's reply means for the requested range.

use std::ops::Range;
use std::time::Duration;

use super::Head;

/// How to use a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The body contains requested bytes.
    Body {
        /// How many bytes precede the first requested byte. A server that ignores ranges sends the
        /// file from its beginning; the caller decides how many bytes it is willing to skip.
        skip: u64,
        /// How many requested bytes follow; fewer than requested if the server sends less. Anything
        /// after them is useless, and the connection must be closed.
        len: u64,
    },
    /// A redirect to this target, as it was sent: absolute, or relative to the requested URL.
    Redirect(String),
    /// The seed does not have the file (403, 404, 410, 451).
    Gone(u16),
    /// The seed's file is not the torrent's, for this reason.
    Stale(String),
    /// The server asks us to wait (429, 503), for the time that it states.
    Pause(Option<Duration>),
    /// A temporary failure (408, 5xx).
    Retry(u16),
    /// A bot check, which only lets browsers through.
    BotCheck(u16),
    /// Any other status.
    Refused(u16),
}

/// Interprets the reply to a GET of the range `asked`; the torrent says that the file has
/// `file_len` bytes.
///
/// `asked` must not be empty, and must be within the file.
pub fn judge(head: &Head, asked: &Range<u64>, file_len: u64) -> Verdict {
    let status = head.status;
    match status {
        _ if head.is_bot_check => Verdict::BotCheck(status),
        200 => whole(head, asked, file_len),
        206 => part(head, asked, file_len),
        300..=303 | 307 | 308 => {
            head.location.clone().map_or(Verdict::Refused(status), Verdict::Redirect)
        }
        403 | 404 | 410 | 451 => Verdict::Gone(status),
        408 => Verdict::Retry(status),
        416 => match head.actual_length {
            Some(length) if length != file_len => wrong_length(length, file_len),
            _ => Verdict::Stale(format!(
                "it refuses bytes {}-{} of the file",
                asked.start,
                asked.end.saturating_sub(1)
            )),
        },
        429 | 503 => Verdict::Pause(head.retry_after),
        500..=599 => Verdict::Retry(status),
        _ => Verdict::Refused(status),
    }
}

/// A file that is itself compressed may be served with a `Content-Encoding` (`AddEncoding x-gzip`):
/// if the length matches the torrent's, the bytes are accepted as they are, and their hash decides.
fn whole(head: &Head, asked: &Range<u64>, file_len: u64) -> Verdict {
    match head.content_length {
        Some(length) if length == file_len => {}
        _ if !head.content_encoding_identity => return compressed(),
        Some(length) => return wrong_length(length, file_len),
        None => {}
    }
    Verdict::Body { skip: asked.start, len: asked.end.saturating_sub(asked.start) }
}

fn part(head: &Head, asked: &Range<u64>, file_len: u64) -> Verdict {
    let asked_bytes = asked.end.saturating_sub(asked.start);
    let Some(range) = head.content_range else {
        // Some servers and proxies leave the header out. A `multipart/byteranges` body, which has it
        // inside, is longer.
        if head.content_length == Some(asked_bytes) && head.content_encoding_identity {
            return Verdict::Body { skip: 0, len: asked_bytes };
        }
        return Verdict::Stale(
            "it sends a partial response without a valid Content-Range".to_owned(),
        );
    };
    if !head.content_encoding_identity && range.total != Some(file_len) {
        return compressed();
    }
    if let Some(total) = range.total.filter(|total| *total != file_len) {
        return wrong_length(total, file_len);
    }
    let length = range.end_exclusive.saturating_sub(range.start);
    if let Some(stated) = head.content_length.filter(|stated| *stated != length) {
        return Verdict::Stale(format!("it announced {length} bytes but sends {stated}"));
    }
    // A server may send less than requested, or start at an earlier block boundary (RFC 9110,
    // 15.3.7).
    let end = asked.end.min(range.end_exclusive);
    if range.start > asked.start || end <= asked.start || range.end_exclusive > file_len {
        return Verdict::Stale(format!(
            "it was asked for bytes {}-{} but sends {}-{}",
            asked.start,
            asked.end.saturating_sub(1),
            range.start,
            range.end_exclusive.saturating_sub(1)
        ));
    }
    Verdict::Body { skip: asked.start - range.start, len: end - asked.start }
}

fn wrong_length(length: u64, file_len: u64) -> Verdict {
    Verdict::Stale(format!("its file has {length} bytes, the torrent's has {file_len}"))
}

fn compressed() -> Verdict {
    Verdict::Stale("it compresses data that was requested uncompressed".to_owned())
}
