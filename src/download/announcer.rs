//! Trackers: a thread per tier, which announces until the download ends.
//!
//! Threads of their own, since a tracker that is dead blocks for as long as it likes, and nobody may wait for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use super::report::Report;
use super::{Event, start_thread};
use crate::infohash::Infohash;
use crate::net::{Client, announce};
use crate::protocol::tracker::{Announce, AnnounceEvent, Tiers};

/// A tier that never answered is given up after so many rounds.
const ROUNDS: u32 = 3;

/// Peers wanted of each announce: more than there are connections.
const NUMWANT: u32 = 100;

/// We take no connections, and many trackers refuse port 0: the discard port of no peer.
const PORT: u16 = 1;

/// For whom trackers are asked, and who hears what they say.
pub trait Party: Send + Sync {
    fn infohash(&self) -> Infohash;
    fn peer_id(&self) -> [u8; 20];
    fn downloaded_bytes(&self) -> u64;
    fn left_bytes(&self) -> u64;
    fn report(&self) -> &Report;
    /// [`Event::Peers`] and [`Event::TierLost`].
    fn tell(&self, event: Event);
}

/// The announcers of a download.
#[derive(Debug)]
pub struct Announcers {
    tiers: Vec<Running>,
    client: Client,
    /// For the goodbye: the download has all.
    completed: Arc<AtomicBool>,
}

#[derive(Debug)]
struct Running {
    stop: Sender<()>,
    stopped: Receiver<()>,
    /// A tracker of the tier has answered, and is to be told that we leave.
    known: Arc<AtomicBool>,
}

impl Announcers {
    /// `client` is not the workers': theirs is shut down at the end, and then the trackers are still to be told.
    pub fn new(client: Client) -> Announcers {
        Announcers { tiers: Vec::new(), client, completed: Arc::default() }
    }

    /// Begins to announce to all tiers (BEP 12), side by side. `party` is told of each tier that may name peers, by its
    /// number: from `first` on. Gives the number behind the last.
    pub fn start(
        &mut self,
        tiers: &[Vec<String>],
        first: u32,
        party: &mut dyn FnMut(u32) -> Arc<dyn Party>,
        report: &Report,
    ) -> u32 {
        let tiers = Tiers::new(None, tiers, fastrand::u64(..));
        let mut next = first;
        for tier in tiers.tiers() {
            let (usable, other): (Vec<_>, Vec<_>) =
                tier.iter().cloned().partition(|url| crate::context::is_http(url));
            for url in other {
                report.note(&url, "only http and https trackers are supported so far");
            }
            if !usable.is_empty() {
                self.start_tier(party(next), usable, next, fastrand::u32(..));
                next += 1;
            }
        }
        next
    }

    /// Begins to announce to a tier: its trackers are asked in order until one answers.
    fn start_tier(&mut self, swarm: Arc<dyn Party>, tier: Vec<String>, tier_id: u32, key: u32) {
        let (stop, stops) = channel();
        let (ended, stopped) = channel();
        let known = Arc::new(AtomicBool::new(false));
        let mut tier = Tier {
            client: self.client.clone(),
            urls: tier,
            id: tier_id,
            key,
            swarm,
            known: Arc::clone(&known),
            completed: Arc::clone(&self.completed),
        };
        let run = move || {
            tier.run(&stops);
            drop(ended);
        };
        if start_thread("at-announcer", Box::new(run)).is_ok() {
            self.tiers.push(Running { stop, stopped, known });
        }
    }

    /// Says goodbye to the trackers that know us, for at most so long.
    pub fn stop(self, completed: bool, patience: Duration) {
        let deadline = Instant::now() + patience;
        self.completed.store(completed, Ordering::Release);
        for tier in &self.tiers {
            let _ = tier.stop.send(()); // that tier gave up before
        }
        for tier in self.tiers.iter().filter(|tier| tier.known.load(Ordering::Relaxed)) {
            // Nothing is ever sent: the channel closes when the thread ends.
            let _ = tier.stopped.recv_timeout(deadline.saturating_duration_since(Instant::now()));
        }
        self.client.shut_down();
    }
}

struct Tier {
    client: Client,
    urls: Vec<String>,
    id: u32,
    key: u32,
    swarm: Arc<dyn Party>,
    known: Arc<AtomicBool>,
    completed: Arc<AtomicBool>,
}

impl Tier {
    fn run(&mut self, stops: &Receiver<()>) {
        let mut known_to: Option<String> = None;
        let mut failed_rounds = 0;
        loop {
            let event = known_to.is_none().then_some(AnnounceEvent::Started);
            let wait = match self.round(event) {
                Ok((url, wait)) => {
                    known_to = Some(url);
                    self.known.store(true, Ordering::Relaxed);
                    failed_rounds = 0;
                    wait
                }
                Err(wait) => {
                    failed_rounds += 1;
                    if failed_rounds >= ROUNDS && known_to.is_none() {
                        self.swarm.tell(Event::TierLost(self.id));
                        return;
                    }
                    let back_off = self.client.timing().back_off;
                    wait.unwrap_or_default().max(back_off * 2_u32.saturating_pow(failed_rounds))
                }
            };
            match stops.recv_timeout(wait) {
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
                Ok(()) => {
                    if let Some(url) = known_to {
                        let completed = self.completed.load(Ordering::Acquire);
                        let events = [AnnounceEvent::Completed, AnnounceEvent::Stopped];
                        for event in &events[usize::from(!completed)..] {
                            let _ = announce(&self.client, &url, &self.message(Some(*event))); // it will forget us anyway
                        }
                    }
                    return;
                }
            }
        }
    }

    /// Asks the tier's trackers in order; gives the one that answered, and when to ask again.
    fn round(
        &mut self,
        event: Option<AnnounceEvent>,
    ) -> Result<(String, Duration), Option<Duration>> {
        let mut wait = None;
        for index in 0..self.urls.len() {
            let url = self.urls[index].clone();
            match announce(&self.client, &url, &self.message(event)) {
                Ok(reply) => {
                    let count = reply.peers.len();
                    let warning = reply
                        .warning
                        .map_or_else(String::new, |warning| format!(" (it warns: {warning})"));
                    self.swarm.report().note(&url, format!("named {count} peers{warning}"));
                    self.swarm.tell(Event::Peers(reply.peers));
                    // BEP 12: who answered is asked first from now on.
                    self.urls[..=index].rotate_right(1);
                    return Ok((url, reply.min_interval.unwrap_or_default().max(reply.interval)));
                }
                Err(failure) => {
                    self.swarm.report().note(&url, failure.why);
                    wait = wait.max(failure.retry_after);
                }
            }
        }
        Err(wait)
    }

    fn message(&self, event: Option<AnnounceEvent>) -> Announce {
        Announce {
            infohash: self.swarm.infohash(),
            peer_id: self.swarm.peer_id(),
            port: PORT,
            uploaded_bytes: 0,
            downloaded_bytes: self.swarm.downloaded_bytes(),
            left_bytes: self.swarm.left_bytes(),
            event,
            numwant: if event == Some(AnnounceEvent::Stopped) { 0 } else { NUMWANT },
            key: self.key,
        }
    }
}
