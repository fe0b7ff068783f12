//! How many messages of a peer are read. Each costs processor time, and most cost the peer next to nothing.

use std::time::Duration;

/// Messages a second that are read in the long run, beside blocks that were asked for and requests that are taken.
const MESSAGES_PER_SECOND: u32 = 1_000;

/// So many may come at once.
const MAX_MESSAGES_AT_ONCE: u32 = 10_000;

/// In all while the number of pieces is not known: with a `have` for each of many, and the blocks of the metainfo.
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
    /// A peer of a torrent with so many pieces: it announces each of them once.
    pub(super) fn new(now: Duration, piece_count: u32) -> MessageLimit {
        let most = MAX_MESSAGES_AT_ONCE.saturating_add(piece_count);
        MessageLimit { left: most, most, per_second: MESSAGES_PER_SECOND, filled_at: now }
    }

    /// A peer of a torrent that is not known.
    pub(super) fn without_info(now: Duration) -> MessageLimit {
        let most = MAX_EARLY_MESSAGES;
        MessageLimit { left: most, most, per_second: 0, filled_at: now }
    }

    /// A message came; false where it is one too many.
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
