//! A phase of a dataset's job in which peers are asked: the search for its metainfo, or the download.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use super::event::WorkerEvent;
use crate::engine::report::Report;
use crate::net::Client;
use crate::torrent::infohash::Infohash;

/// What all threads of a phase share.
#[derive(Debug)]
pub struct PeerPhase {
    pub client: Client,
    pub report: Report,
    pub infohash: Infohash,
    /// Who we are to peers.
    pub peer_id: [u8; 20],
    started: Instant,
    over: AtomicBool,
    events: Sender<WorkerEvent>,
    /// Places that peers are to give up to those that wait.
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

    /// Time since it began: the clock of the schedule and of the sessions.
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
        let _ = self.events.send(event); // the coordinator is gone: nobody needs to know
    }

    /// So many peers shall make room for others.
    pub fn want_places(&self, count: usize) {
        self.wanted_places.store(count, Ordering::Relaxed);
    }

    /// Whether a place is wanted, which the caller gives up then. Each is given up once.
    pub fn gives_up_place(&self) -> bool {
        let fewer = |count: usize| count.checked_sub(1);
        self.wanted_places.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fewer).is_ok()
    }
}
