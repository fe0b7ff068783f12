//! Announces to HTTP trackers (BEP 3, 7, 12, 23).

use std::time::Duration;

use super::Client;
use crate::protocol::http::verdict::status_text;
use crate::protocol::tracker::{Announce, MAX_REPLY_BYTES, Reply, announce_url, parse_reply};

/// Why a tracker brought no peers, and how long it wants to be left alone, where it says so.
#[derive(Debug)]
pub struct TrackerFailure {
    pub why: String,
    pub retry_after: Option<Duration>,
}

/// Announces to one tracker.
///
/// # Errors
/// No reply, an HTTP error, a failure reason, or a reply that makes no sense.
pub fn announce(
    client: &Client,
    tracker: &str,
    announce: &Announce,
) -> Result<Reply, TrackerFailure> {
    let failure = |why: String| TrackerFailure { why, retry_after: None };
    if !crate::context::is_http(tracker) {
        return Err(failure("only http and https trackers are supported so far".to_owned()));
    }
    let url = announce_url(tracker, announce);
    let reply = client
        .fetch(&url, MAX_REPLY_BYTES as u64, client.timing().reply)
        .map_err(|why| failure(why.to_string()))?;
    // Trackers send failure reasons with any status; a body that is bencode is the better answer.
    match parse_reply(&reply.body) {
        Ok(answer) => Ok(answer),
        Err(_) if reply.status != 200 => {
            Err(TrackerFailure { why: status_text(reply.status), retry_after: reply.retry_after })
        }
        Err(why) => Err(failure(why.to_string())),
    }
}
