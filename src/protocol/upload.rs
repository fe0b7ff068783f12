//! Serving back, sans-IO: how much may be sent, who is unchoked, and what one peer still waits for.
//!
//! Simple and fair: so many peers are unchoked at a time ([`SLOTS`] while we fetch), each for a turn at least, and in rounds. Who had no turn in
//! this round, and of these who has waited the longest, takes the place of who was unchoked the longest; where all who wait had theirs, the next
//! round begins. What peers give us plays no part: most of those who give are seeds and want nothing.
//!
//! Who leaves after its turn and comes again, under whatever id, has still had it: that is remembered by its host. So
//! it is for each of a host's connections on its own, as several may share one address; how many these may be is not
//! decided here.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

use super::wire::BlockRequest;

#[cfg(test)]
mod tests;

/// Peers of a torrent that are unchoked at a time, while we fetch it.
pub const SLOTS: usize = 4;

/// How long a slot is held, at least, while others wait.
pub const TURN: Duration = Duration::from_secs(10);

/// How long one waits, at least, before it takes another's place: else two would take each other's at once.
const PATIENCE: Duration = Duration::from_millis(2_500);

/// What was not sent in time may be made up for, for so long.
const BURST: Duration = Duration::from_millis(250);

/// Peers that are gone whose turn is remembered. Where more come and go within a round, hardly anybody waits.
const MOST_REMEMBERED: usize = 1_024;

/// Requests of one peer that are kept: what we say in `reqq`.
const MAX_WAITING: usize = super::extension::DEFAULT_REQQ as usize;

/// A token bucket: so many bytes a second, in the long run exactly.
#[derive(Debug)]
pub struct Bucket {
    bytes_per_second: u64,
    /// When the next bytes may go.
    free_at: Duration,
}

impl Bucket {
    pub fn new(bytes_per_second: u64) -> Bucket {
        Bucket { bytes_per_second, free_at: Duration::ZERO }
    }

    /// Takes so many bytes where any may be sent now.
    pub fn take(&mut self, now: Duration, bytes: u64) -> bool {
        let free = self.is_free(now);
        if free {
            self.charge(now, bytes);
        }
        free
    }

    /// Whether any may be sent now.
    pub fn is_free(&self, now: Duration) -> bool {
        self.bytes_per_second > 0 && self.free_at <= now
    }

    /// So many are sent; what comes next waits for as long as these are worth.
    pub fn charge(&mut self, now: Duration, bytes: u64) {
        let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(self.bytes_per_second.max(1));
        let worth = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        self.free_at = self.free_at.max(now.saturating_sub(BURST)).saturating_add(worth);
    }
}

/// A peer that wants blocks of us, or did.
#[derive(Debug)]
struct Seat {
    id: u32,
    /// Where it is known who may come under another id.
    host: Option<IpAddr>,
    wants: bool,
    unchoked: bool,
    /// Its turn of this round has begun, and may be over.
    had_turn: bool,
    /// That it is unchoked, or waits.
    since: Duration,
}

/// What each unchoked peer of a seed shall be sent in a second, at least.
#[cfg(feature = "seed")]
const SHARE_BYTES: u64 = 64 << 10;

/// Peers of a torrent that a seed unchokes at a time: there is a line to be filled, and nothing else that waits for it.
#[cfg(feature = "seed")]
const MOST_SLOTS: u64 = 64;

/// How many peers a seed with this rate unchokes at a time.
#[cfg(feature = "seed")]
pub fn seed_slots(bytes_per_second: u64) -> usize {
    (bytes_per_second / SHARE_BYTES).clamp(SLOTS as u64, MOST_SLOTS) as usize
}

/// Who of a torrent's peers is unchoked.
#[derive(Debug)]
pub struct Choker {
    slots: usize,
    seats: Vec<Seat>,
    /// The hosts of those that had their turn in this round and are gone, the first to go at the front.
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

    /// A peer that is interested asks whether it is unchoked now; to be asked again now and then. The `host` is that of one
    /// that connected to us, and may do so again under another id.
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

    /// The peer wants nothing any more. Its turn is remembered: wanting anew gains it nothing.
    pub fn rest(&mut self, id: u32) {
        if let Some(seat) = self.seat(id) {
            (seat.wants, seat.unchoked) = (false, false);
        }
    }

    /// The peer is gone. Its turn is remembered by its host: coming anew gains it nothing.
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

    /// How many are unchoked.
    pub fn unchoked(&self) -> usize {
        self.seats.iter().filter(|seat| seat.unchoked).count()
    }

    fn seat(&mut self, id: u32) -> Option<&mut Seat> {
        self.seats.iter_mut().find(|seat| seat.id == id)
    }

    /// Gives each place that is free, or was held for a turn, to who is next.
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

    /// All who wait had their turn. A turn that goes on was the last round's.
    fn begin_round(&mut self) {
        self.seats.iter_mut().for_each(|seat| seat.had_turn = false);
        self.gone.clear();
    }

    /// Who is next, of those that wait, or of those that are unchoked.
    fn first(&self, unchoked: bool) -> Option<usize> {
        let seats = self.seats.iter().enumerate();
        let seats = seats.filter(|(_, seat)| seat.wants && seat.unchoked == unchoked);
        let is_late = |seat: &Seat| !unchoked && seat.had_turn;
        seats.min_by_key(|(_, seat)| (is_late(seat), seat.since)).map(|(index, _)| index)
    }
}

/// What a peer asked us for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UploadRequest {
    /// A block, which may be of a piece that we do not have, or beyond its end.
    Block(BlockRequest),
    /// A part of the `info` dictionary (BEP 9), which may be beyond its end.
    Metadata(u32),
}

/// One peer's requests to us.
#[derive(Debug)]
pub(super) struct RequestQueue {
    pub(super) interested: bool,
    /// We choke it; so it begins.
    pub(super) choking: bool,
    queue: Vec<UploadRequest>,
}

impl RequestQueue {
    pub(super) fn new() -> RequestQueue {
        RequestQueue { interested: false, choking: true, queue: Vec::new() }
    }

    /// False where too much waits already.
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

    /// Takes all requests for blocks.
    pub(super) fn take_blocks(&mut self) -> Vec<UploadRequest> {
        let is_block = |wanted: &UploadRequest| matches!(wanted, UploadRequest::Block(_));
        let (blocks, rest) = std::mem::take(&mut self.queue).into_iter().partition(is_block);
        self.queue = rest;
        blocks
    }
}
