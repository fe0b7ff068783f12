//! The outstanding requests to one peer, and how many there may be.
//!
//! The queue depth follows the rate: three seconds' worth of blocks, within what the peer queues
//! for us, so that the connection stays busy over any round trip. Until the rate is known, the
//! queue grows by one for each block that arrives, which doubles it every round trip.

use std::collections::VecDeque;
use std::time::Duration;

use crate::torrent::geometry::BLOCK_BYTES;

use super::extension::DEFAULT_REQQ;
use super::wire::BlockRequest;

const QUEUE_SECONDS: u64 = 3;
const MIN_DEPTH: u64 = 64;
const MAX_DEPTH: u64 = 500;

/// The outstanding requests to one peer, in the order in which they were sent.
#[derive(Debug, Default)]
pub(super) struct Requests {
    sent: VecDeque<(BlockRequest, Duration)>,
    dropped: Vec<BlockRequest>,
    /// How many requests were canceled or dropped: their blocks may still arrive.
    withdrawn: u64,
    unasked: u64,
    /// How many blocks arrived.
    arrived: u64,
    rate: PeerRate,
}

impl Requests {
    pub(super) fn add(&mut self, now: Duration, request: BlockRequest) {
        self.sent.push_back((request, now));
    }

    /// Returns false if the request is not outstanding.
    pub(super) fn cancel(&mut self, request: BlockRequest) -> bool {
        let position = self.position(request);
        self.withdrawn += u64::from(position.is_some());
        position.and_then(|at| self.sent.remove(at)).is_some()
    }

    /// Handles a reject by the peer. Returns false if the request is not outstanding.
    pub(super) fn reject(&mut self, request: BlockRequest) -> bool {
        self.position(request).and_then(|at| self.sent.remove(at)).is_some()
    }

    /// Drops all requests after a choke: the peer will not serve them.
    pub(super) fn drop_all(&mut self) {
        self.withdrawn += self.sent.len() as u64;
        self.dropped.extend(self.sent.drain(..).map(|(request, _)| request));
    }

    pub(super) fn take_dropped(&mut self) -> Vec<BlockRequest> {
        std::mem::take(&mut self.dropped)
    }

    /// Handles a block that arrived. Returns whether it was requested.
    pub(super) fn arrived(&mut self, now: Duration, block: BlockRequest) -> bool {
        // Unrequested blocks also count: they used the connection's bandwidth.
        self.rate.received(now, block.length.into());
        self.arrived += 1;
        let asked = self.position(block).and_then(|at| self.sent.remove(at)).is_some();
        self.unasked += u64::from(!asked);
        asked
    }

    /// Returns how many blocks were never requested, not counting those whose cancel or choke
    /// crossed them.
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

    /// Restarts the measurement: time without requests is not time in which the peer was slow.
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

    /// Peers serve in order, so a block nearly always matches the first request.
    fn position(&self, request: BlockRequest) -> Option<usize> {
        self.sent.iter().position(|(sent, _)| *sent == request)
    }
}

/// Bytes per second, over windows of at least half a second; the average of the newest window and
/// the previous value.
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
            // It is unknown when this block was sent, so it only starts the window.
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
