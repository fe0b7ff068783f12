//! The main thread of a seed: accepts connections, checks the store, and decides when to end.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

use super::super::report::Report;
use super::{SeedTask, Seeder, all_of};
use crate::counters::Counters;
use crate::engine::announce::announcer::Announcers;
use crate::engine::announce::target::{AnnounceTarget, LEAVES};
use crate::engine::seed::incoming_peer;
use crate::engine::seed::seeded_torrent::SeededTorrent;
use crate::engine::session::Session;
use crate::engine::thread::start_peer_thread;
use crate::manifest::Request;
use crate::net::Listener;
use crate::net::timing::GOODBYE;
use crate::plan;
use crate::torrent::infohash::Infohash;

/// How often to accept connections and check the end conditions; to check the progress of partial
/// datasets; and to check everything.
const TICK: Duration = Duration::from_millis(20);
const QUICK_LOOK: Duration = Duration::from_millis(100);
const LOOK: Duration = Duration::from_secs(1);

/// Limit on connections accepted per tick: 12,800 a second.
const MOST_ACCEPTED: usize = 256;

/// The state of the main thread.
pub struct SeedRun {
    pub seeder: Arc<Seeder>,
    pub task: SeedTask,
    pub listener: Listener,
    pub announcers: Announcers,
    pub announced: Vec<Infohash>,
    /// The named datasets that are not seeded yet.
    pub pending: Vec<Request>,
    /// Carries no messages: closes when the download has ended.
    pub fetched: Receiver<()>,
    pub next_id: u32,
}

impl SeedRun {
    /// Runs until the seed is stopped or an end condition is met.
    pub fn run(mut self) {
        let begun = Instant::now();
        let mut looked: (Option<Instant>, Option<Instant>) = (None, None);
        let is_due = |last: Option<Instant>, pause| last.is_none_or(|it| it.elapsed() >= pause);
        while !self.seeder.host.is_stopped() {
            self.accept();
            if is_due(looked.0, LOOK) {
                self.look_for_more();
                self.seeder.all_seeded.lock().iter().for_each(|seeded| seeded.look(false));
                looked = (Some(Instant::now()), Some(Instant::now()));
                self.announce();
            } else if is_due(looked.1, QUICK_LOOK) {
                self.look_for_named();
                self.seeder.all_seeded.lock().iter().for_each(|seeded| seeded.look(true));
                looked.1 = Some(Instant::now());
            }
            if self.task.time.is_some_and(|time| begun.elapsed() >= time) || self.is_enough() {
                break;
            }
            std::thread::sleep(TICK);
        }
        self.seeder.host.stop.stop();
        self.seeder.client.shut_down();
        let goodbye = GOODBYE.min(self.seeder.client.timing().reply);
        let until = Instant::now() + goodbye;
        self.announcers.stop(LEAVES, goodbye);
        // The program may exit after this returns, and the download says goodbye to its trackers
        // itself.
        let _ = self.fetched.recv_timeout(until.saturating_duration_since(Instant::now()));
    }

    fn accept(&mut self) {
        // Limited, so that many connections do not starve the rest of the loop.
        for _ in 0..MOST_ACCEPTED {
            let Some(incoming) = self.listener.accept() else { return };
            // A connection over the limit is closed; the peer may try again.
            let Some(guest) = self.seeder.admit(incoming.from()) else { continue };
            let seeder = Arc::clone(&self.seeder);
            let id = self.next_id;
            self.next_id = self.next_id.wrapping_add(1);
            let visit = move || incoming_peer::receive(&seeder, incoming, &guest, id);
            // If no thread can be created, the connection is closed.
            let _ = start_peer_thread("at-seed-peer", Box::new(visit));
        }
    }

    /// Adds named datasets whose torrent is on this machine now, such as after a download.
    fn look_for_named(&mut self) {
        let pending = std::mem::take(&mut self.pending);
        self.pending = self.add_all(pending);
    }

    /// Does the same and, if no dataset is named, adds what is new in the store.
    fn look_for_more(&mut self) {
        self.look_for_named();
        if self.task.requests.is_empty() {
            let known = |request: &Request| {
                let infohash = request.identity.infohash;
                infohash.is_some_and(|infohash| self.seeder.seeded(infohash).is_some())
            };
            let mut new = all_of(&self.task.store);
            new.retain(|request| !known(request));
            self.add_all(new);
        }
    }

    /// Adds datasets, and returns those whose torrent is missing or cannot be used.
    fn add_all(&self, mut requests: Vec<Request>) -> Vec<Request> {
        if !requests.is_empty() {
            let counters = Counters::default();
            let SeedTask { settings, store, .. } = &self.task;
            let session = Session::new(settings, store, &counters);
            // Errors of a torrent are reported by the download.
            requests.retain(|request| !matches!(self.seeder.add(&session, request), Ok(Some(_))));
        }
        requests
    }

    /// Starts to announce datasets that have data. While a dataset is being fetched, the download
    /// announces it, and says goodbye at its end.
    fn announce(&mut self) {
        let allowed = self.task.settings.sources.peers;
        let has_fetched = self.fetched.try_recv() == Err(TryRecvError::Disconnected);
        for seeded in self.seeder.all_seeded.lock().iter() {
            let infohash = seeded.metainfo.infohash;
            let is_fetched = !has_fetched && !seeded.is_complete();
            let may = allowed && !seeded.is_empty() && !is_fetched;
            if !may || self.announced.contains(&infohash) {
                continue;
            }
            self.announced.push(infohash);
            let mut torrent =
                |_| -> Arc<dyn AnnounceTarget> { Arc::<SeededTorrent>::clone(seeded) };
            let key = self.seeder.host.key;
            let never_asked = Report::default();
            let mut next = 0;
            for (by, tiers) in plan::seed_tiers(&self.task.requests, &seeded.metainfo) {
                next = self.announcers.start(by, &tiers, next, key, &mut torrent, &never_asked);
            }
            for (tracker, why) in never_asked.into_lines() {
                seeded.note(&tracker, why);
            }
            // BEP 27: a private torrent is announced only to its trackers.
            #[cfg(feature = "dht")]
            if !seeded.metainfo.private {
                self.announcers.search_dht(&torrent(0), 0);
            }
        }
    }

    fn is_enough(&self) -> bool {
        let Some(ratio) = self.task.ratio else { return false };
        let all_seeded = self.seeder.all_seeded.lock();
        let bytes: u64 =
            all_seeded.iter().map(|seeded| seeded.metainfo.geometry.total_bytes()).sum();
        bytes > 0 && self.seeder.host.sent_bytes() as f64 >= ratio * bytes as f64
    }
}
