//! What one peer was asked for and has not sent yet, and how much may be asked at once.
//!
//! The depth of the queue follows the rate: three seconds' worth of blocks, so that the line stays
//! full over any round trip, within what the peer keeps for us. Until the rate is known the queue grows
//! by one for each block that comes, which doubles it in each round trip.

use std::collections::VecDeque;
use std::time::Duration;

use crate::torrent::geometry::BLOCK_BYTES;

use super::extension::DEFAULT_REQQ;
use super::wire::BlockRequest;

const QUEUE_SECONDS: u64 = 3;
const MIN_DEPTH: u64 = 64;
const MAX_DEPTH: u64 = 500;

/// Requests under way to one peer, in the order in which they were sent.
#[derive(Debug, Default)]
pub(super) struct Requests {
    sent: VecDeque<(BlockRequest, Duration)>,
    dropped: Vec<BlockRequest>,
    /// Requests that were cancelled or dropped: their blocks may still come.
    withdrawn: u64,
    unasked: u64,
    /// Blocks that came.
    arrived: u64,
    rate: PeerRate,
}

impl Requests {
    pub(super) fn add(&mut self, now: Duration, request: BlockRequest) {
        self.sent.push_back((request, now));
    }

    /// False where it was not asked for.
    pub(super) fn cancel(&mut self, request: BlockRequest) -> bool {
        let position = self.position(request);
        self.withdrawn += u64::from(position.is_some());
        position.and_then(|at| self.sent.remove(at)).is_some()
    }

    /// The peer will not serve it. False where it was not asked for.
    pub(super) fn reject(&mut self, request: BlockRequest) -> bool {
        self.position(request).and_then(|at| self.sent.remove(at)).is_some()
    }

    /// The peer choked us: what it has not sent, it will not send.
    pub(super) fn drop_all(&mut self) {
        self.withdrawn += self.sent.len() as u64;
        self.dropped.extend(self.sent.drain(..).map(|(request, _)| request));
    }

    pub(super) fn take_dropped(&mut self) -> Vec<BlockRequest> {
        std::mem::take(&mut self.dropped)
    }

    /// A block came: whether it was asked for.
    pub(super) fn arrived(&mut self, now: Duration, block: BlockRequest) -> bool {
        // Unasked ones count for the rate too: they took their share of the line.
        self.rate.received(now, block.length.into());
        self.arrived += 1;
        let asked = self.position(block).and_then(|at| self.sent.remove(at)).is_some();
        self.unasked += u64::from(!asked);
        asked
    }

    /// Blocks that were never asked for, not even before a cancel or choke that crossed them.
    pub(super) fn uncalled_for(&self) -> u64 {
        self.unasked.saturating_sub(self.withdrawn)
    }

    #[cfg(test)]
    pub(super) fn unasked(&self) -> u64 {
        self.unasked
    }

    pub(super) fn len(&self) -> usize {
        self.sent.len()
    }

    pub(super) fn oldest(&self) -> Option<Duration> {
        self.sent.front().map(|&(_, at)| at)
    }

    pub(super) fn outstanding(&self) -> impl Iterator<Item = BlockRequest> {
        self.sent.iter().map(|&(request, _)| request)
    }

    #[cfg(test)]
    pub(super) fn bytes_per_second(&self) -> u64 {
        self.rate.bytes_per_second
    }

    /// Time without requests is not time in which the peer was slow.
    pub(super) fn restart_rate(&mut self) {
        self.rate.since = None;
    }

    pub(super) fn depth(&self, reqq: Option<u32>) -> usize {
        let blocks = match self.rate.bytes_per_second {
            0 => MIN_DEPTH.saturating_add(self.arrived),
            rate => (rate.saturating_mul(QUEUE_SECONDS) / u64::from(BLOCK_BYTES)).max(MIN_DEPTH),
        };
        blocks.min(reqq.unwrap_or(DEFAULT_REQQ).into()).min(MAX_DEPTH) as usize
    }

    /// Peers serve in order, so that what arrives is nearly always at the front.
    fn position(&self, request: BlockRequest) -> Option<usize> {
        self.sent.iter().position(|(sent, _)| *sent == request)
    }
}

/// Bytes a second, over windows of at least half a second; each new window counts for a half.
#[derive(Debug, Default)]
struct PeerRate {
    since: Option<Duration>,
    window_bytes: u64,
    bytes_per_second: u64,
}

const WINDOW: Duration = Duration::from_millis(500);

impl PeerRate {
    fn received(&mut self, now: Duration, bytes: u64) {
        let Some(since) = self.since else {
            // When this block was on its way is not known: it opens the window, uncounted.
            (self.since, self.window_bytes) = (Some(now), 0);
            return;
        };
        self.window_bytes = self.window_bytes.saturating_add(bytes);
        let elapsed = now.saturating_sub(since);
        if elapsed >= WINDOW {
            let elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
            let seen = self.window_bytes.saturating_mul(1000) / elapsed_ms;
            self.bytes_per_second = match self.bytes_per_second {
                0 => seen,
                before => before.midpoint(seen),
            };
            (self.since, self.window_bytes) = (Some(now), 0);
        }
    }
}
