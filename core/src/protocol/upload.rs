//! Serving other peers, sans-IO: the upload rate, which peers are unchoked, and the queued requests
//! of a peer.
//!
//! The rules are simple and fair: a fixed number of peers is unchoked at a time ([`SLOTS`] while we
//! download), each for at least one turn, in rounds. A waiting peer without a turn in this round,
//! and among those the one that has waited longest, replaces the peer that has been unchoked
//! longest. When all waiting peers have had their turn, the next round starts. What peers send us
//! plays no role: most peers that send are seeds and request nothing.
//!
//! A peer that leaves after its turn and returns, even with another ID, does not get another turn:
//! turns are remembered by host. Each of a host's connections has its own turn, as several peers
//! may share an address; how many connections a host may have is not decided here.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

use super::wire::BlockRequest;

#[cfg(test)]
mod tests;

/// How many of a torrent's peers are unchoked at a time while we download it.
pub const SLOTS: usize = 4;

/// The minimum time for which a peer stays unchoked while others wait.
pub const TURN: Duration = Duration::from_secs(10);

/// The minimum time that a peer waits before it replaces another: otherwise two peers would replace
/// each other immediately.
const PATIENCE: Duration = Duration::from_millis(2_500);

/// How much unused sending time may be made up for later.
const BURST: Duration = Duration::from_millis(250);

/// How many disconnected peers are remembered with their turn. If more come and go within a round,
/// hardly any peer waits.
const MOST_REMEMBERED: usize = 1_024;

/// How many requests of one peer are queued: what we state as `reqq`.
const MAX_WAITING: usize = super::extension::DEFAULT_REQQ as usize;

/// A token bucket for bytes; in the long run it meets the rate exactly.
#[derive(Debug)]
pub struct Bucket {
    bytes_per_second: u64,
    /// When more bytes may be sent.
    free_at: Duration,
}

impl Bucket {
    pub fn new(bytes_per_second: u64) -> Bucket {
        Bucket { bytes_per_second, free_at: Duration::ZERO }
    }

    /// Charges this many bytes and returns true, if anything may be sent now.
    pub fn take(&mut self, now: Duration, bytes: u64) -> bool {
        let free = self.is_free(now);
        if free {
            self.charge(now, bytes);
        }
        free
    }

    /// Whether anything may be sent now.
    pub fn is_free(&self, now: Duration) -> bool {
        self.bytes_per_second > 0 && self.free_at <= now
    }

    /// Charges for bytes that are sent: the next ones wait for as long as these take at the rate.
    pub fn charge(&mut self, now: Duration, bytes: u64) {
        let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(self.bytes_per_second.max(1));
        let worth = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        self.free_at = self.free_at.max(now.saturating_sub(BURST)).saturating_add(worth);
    }
}

/// A peer that wants blocks from us, or did.
#[derive(Debug)]
struct Seat {
    id: u32,
    /// Set if the peer may return from there with another ID.
    host: Option<IpAddr>,
    wants: bool,
    unchoked: bool,
    /// Whether its turn in this round has begun; it may be over.
    had_turn: bool,
    /// Since when it has been unchoked, or has waited.
    since: Duration,
}

/// The minimum rate, in bytes per second, that a seed plans for each unchoked peer.
#[cfg(feature = "seed")]
const SHARE_BYTES: u64 = 64 << 10;

/// How many of a torrent's peers a seed unchokes at most: it fills the connection, which nothing
/// else competes for.
#[cfg(feature = "seed")]
const MOST_SLOTS: u64 = 64;

/// Returns how many peers a seed with this upload rate unchokes at a time.
#[cfg(feature = "seed")]
pub fn seed_slots(bytes_per_second: u64) -> usize {
    (bytes_per_second / SHARE_BYTES).clamp(SLOTS as u64, MOST_SLOTS) as usize
}

/// Decides which of a torrent's peers are unchoked.
#[derive(Debug)]
pub struct Choker {
    slots: usize,
    seats: Vec<Seat>,
    /// The hosts of peers that had a turn in this round and disconnected, oldest first.
    gone: VecDeque<IpAddr>,
}

impl Default for Choker {
    fn default() -> Choker {
        Choker::new(SLOTS)
    }
}

impl Choker {
    pub fn new(slots: usize) -> Choker {
        Choker { slots, seats: Vec::new(), gone: VecDeque::new() }
    }

    /// Returns whether an interested peer is unchoked now; must be called repeatedly. `host` is set
    /// for a peer that connected to us, since it can reconnect with another ID.
    pub fn is_unchoked(&mut self, id: u32, host: Option<IpAddr>, now: Duration) -> bool {
        match self.seat(id) {
            Some(seat) if seat.wants => {}
            Some(seat) => (seat.wants, seat.since) = (true, now),
            None => {
                let gone = self.gone.iter().position(|gone| Some(*gone) == host);
                let had_turn = gone.and_then(|index| self.gone.remove(index)).is_some();
                let (wants, unchoked, since) = (true, false, now);
                self.seats.push(Seat { id, host, wants, unchoked, had_turn, since });
            }
        }
        self.turn(now);
        self.seat(id).is_some_and(|seat| seat.unchoked)
    }

    /// Records that the peer wants nothing any more. Its turn is remembered, so becoming interested
    /// again gains nothing.
    pub fn rest(&mut self, id: u32) {
        if let Some(seat) = self.seat(id) {
            (seat.wants, seat.unchoked) = (false, false);
        }
    }

    /// Records that the peer disconnected. Its turn is remembered by its host, so reconnecting
    /// gains nothing.
    pub fn leave(&mut self, id: u32) {
        let Some(index) = self.seats.iter().position(|seat| seat.id == id) else { return };
        let seat = self.seats.remove(index);
        if let (Some(host), true) = (seat.host, seat.had_turn) {
            if self.gone.len() >= MOST_REMEMBERED {
                self.gone.pop_front();
            }
            self.gone.push_back(host);
        }
    }

    /// Returns the number of unchoked peers.
    pub fn unchoked(&self) -> usize {
        self.seats.iter().filter(|seat| seat.unchoked).count()
    }

    fn seat(&mut self, id: u32) -> Option<&mut Seat> {
        self.seats.iter_mut().find(|seat| seat.id == id)
    }

    /// Gives each slot that is free, or has been held for a turn, to the next peer.
    fn turn(&mut self, now: Duration) {
        while let Some(next) = self.first(false) {
            if self.unchoked() >= self.slots {
                let waited = self.seats.get(next).map(|seat| now.saturating_sub(seat.since));
                let Some(first) = self.first(true).filter(|_| waited >= Some(PATIENCE)) else {
                    return;
                };
                let Some(seat) = self.seats.get_mut(first) else { return };
                if now.saturating_sub(seat.since) < TURN {
                    return;
                }
                (seat.unchoked, seat.since) = (false, now);
            }
            if self.seats.get(next).is_some_and(|seat| seat.had_turn) {
                self.begin_round();
            }
            let Some(seat) = self.seats.get_mut(next) else { return };
            (seat.unchoked, seat.had_turn, seat.since) = (true, true, now);
        }
    }

    /// Starts a round, once all waiting peers have had a turn. Turns in progress belong to the
    /// previous round.
    fn begin_round(&mut self) {
        self.seats.iter_mut().for_each(|seat| seat.had_turn = false);
        self.gone.clear();
    }

    /// Returns the next of the waiting peers, or the one that has been unchoked longest.
    fn first(&self, unchoked: bool) -> Option<usize> {
        let seats = self.seats.iter().enumerate();
        let seats = seats.filter(|(_, seat)| seat.wants && seat.unchoked == unchoked);
        let is_late = |seat: &Seat| !unchoked && seat.had_turn;
        seats.min_by_key(|(_, seat)| (is_late(seat), seat.since)).map(|(index, _)| index)
    }
}

/// A request from a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UploadRequest {
    /// A block, which may be missing here or beyond the piece's end.
    Block(BlockRequest),
    /// A piece of the `info` dictionary (BEP 9), which may be beyond its end.
    Metadata(u32),
}

/// A peer's queued requests.
#[derive(Debug)]
pub(super) struct RequestQueue {
    pub(super) interested: bool,
    /// Whether we choke the peer, as we do at first.
    pub(super) choking: bool,
    queue: Vec<UploadRequest>,
}

impl RequestQueue {
    pub(super) fn new() -> RequestQueue {
        RequestQueue { interested: false, choking: true, queue: Vec::new() }
    }

    /// Returns false if the queue is full.
    pub(super) fn add(&mut self, wanted: UploadRequest) -> bool {
        let fits = self.queue.len() < MAX_WAITING;
        if fits {
            self.queue.push(wanted);
        }
        fits
    }

    pub(super) fn first(&self) -> Option<UploadRequest> {
        self.queue.first().copied()
    }

    pub(super) fn remove(&mut self, wanted: UploadRequest) -> bool {
        let found = self.queue.iter().position(|waiting| *waiting == wanted);
        found.map(|index| self.queue.remove(index)).is_some()
    }

    /// Takes all block requests.
    pub(super) fn take_blocks(&mut self) -> Vec<UploadRequest> {
        let is_block = |wanted: &UploadRequest| matches!(wanted, UploadRequest::Block(_));
        let (blocks, rest) = std::mem::take(&mut self.queue).into_iter().partition(is_block);
        self.queue = rest;
        blocks
    }
}
