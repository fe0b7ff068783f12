//! A phase of a dataset's job in which peers are used: the search for its metainfo, or the
//! download.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use super::event::WorkerEvent;
use crate::engine::report::Report;
use crate::net::Client;
use crate::torrent::infohash::Infohash;

/// State shared by all threads of a phase.
#[derive(Debug)]
pub struct PeerPhase {
    pub client: Client,
    pub report: Report,
    pub infohash: Infohash,
    /// The ID that we send to peers.
    pub peer_id: [u8; 20],
    started: Instant,
    over: AtomicBool,
    events: Sender<WorkerEvent>,
    /// Number of places that peers should give up to waiting peers.
    wanted_places: AtomicUsize,
}

impl PeerPhase {
    pub fn new(
        client: Client,
        infohash: Infohash,
        peer_id: [u8; 20],
        events: Sender<WorkerEvent>,
    ) -> PeerPhase {
        PeerPhase {
            client,
            report: Report::default(),
            infohash,
            peer_id,
            started: Instant::now(),
            over: AtomicBool::new(false),
            events,
            wanted_places: AtomicUsize::new(0),
        }
    }

    /// Time since the phase began: the clock of the schedule and of the sessions.
    pub fn now(&self) -> Duration {
        self.started.elapsed()
    }

    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    pub fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    pub fn tell(&self, event: WorkerEvent) {
        // fails once the coordinator has ended, when events no longer matter
        let _ = self.events.send(event);
    }

    /// Sets how many peers should make room for others.
    pub fn want_places(&self, count: usize) {
        self.wanted_places.store(count, Ordering::Relaxed);
    }

    /// Whether a place is wanted. If so, the caller must give up its place; each wanted place is
    /// taken only once.
    pub fn gives_up_place(&self) -> bool {
        let fewer = |count: usize| count.checked_sub(1);
        self.wanted_places.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fewer).is_ok()
    }
}
