//! A limit on a peer's messages. Each costs us processor time, and most cost the peer almost
//! nothing.

use std::time::Duration;

/// The sustained rate of messages that are read, not counting requested blocks and requests that
/// are queued.
const MESSAGES_PER_SECOND: u32 = 1_000;

/// The number of messages that may arrive at once.
const MAX_MESSAGES_AT_ONCE: u32 = 10_000;

/// The total while the number of pieces is unknown: it covers many `have` messages and the blocks
/// of the metainfo.
const MAX_EARLY_MESSAGES: u32 = 100_000;

/// A token bucket of messages.
#[derive(Debug)]
pub(super) struct MessageLimit {
    left: u32,
    most: u32,
    per_second: u32,
    filled_at: Duration,
}

impl MessageLimit {
    /// Creates the limit for a torrent with this many pieces, each of which the peer may announce
    /// once.
    pub(super) fn new(now: Duration, piece_count: u32) -> MessageLimit {
        let most = MAX_MESSAGES_AT_ONCE.saturating_add(piece_count);
        MessageLimit { left: most, most, per_second: MESSAGES_PER_SECOND, filled_at: now }
    }

    /// Creates the limit for a peer while `info` is unknown.
    pub(super) fn without_info(now: Duration) -> MessageLimit {
        let most = MAX_EARLY_MESSAGES;
        MessageLimit { left: most, most, per_second: 0, filled_at: now }
    }

    /// Counts a message; false if it exceeds the limit.
    pub(super) fn take(&mut self, now: Duration) -> bool {
        let seconds = u32::try_from(now.saturating_sub(self.filled_at).as_secs());
        let seconds = seconds.unwrap_or(u32::MAX);
        if seconds > 0 {
            let new = self.per_second.saturating_mul(seconds);
            self.left = self.left.saturating_add(new).min(self.most);
            self.filled_at = now;
        }
        let fits = self.left > 0;
        self.left = self.left.saturating_sub(1);
        fits
    }
}
