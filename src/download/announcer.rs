//! Trackers: a thread per tier, which announces until the download or the seeding ends.
//!
//! Threads of their own, since a tracker that is dead blocks for as long as it likes, and nobody may wait for it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use super::report::Report;
use super::start_thread;
use crate::net::{Client, Tracker};
use crate::protocol::tracker::{Announce, AnnounceEvent, Tiers};

/// A torrent that trackers are told of, and who hears what they answer.
pub trait Announced: Send + Sync {
    /// Time since any moment.
    fn now(&self) -> Duration;
    /// How it stands; the announcer knows event and key.
    fn announce(&self) -> Announce;
    /// A tracker said this.
    fn note(&self, tracker: &str, said: String);
    /// A tracker failed so, or is never asked.
    fn failed(&self, tracker: &str, why: String) {
        self.note(tracker, why);
    }
    /// A tracker named peers.
    fn named(&self, peers: Vec<SocketAddr>);
    /// No tracker of the tier has ever answered: whether that is enough.
    fn lost(&self, tier: u32) -> bool;
    /// The time between two searches of the DHT; `None` while none is wanted.
    #[cfg(feature = "dht")]
    fn dht_interval(&self) -> Option<Duration>;
    /// Where peers may connect to us, for the DHT's nodes to know.
    #[cfg(feature = "dht")]
    fn listens_at(&self) -> Option<u16>;
}

/// A tier that never answered is given up after so many rounds.
const ROUNDS: u32 = 3;

/// A tier that does not answer is asked at least so often.
const MAX_PAUSE: Duration = Duration::from_secs(30 * 60);

/// The announcers of a download.
#[derive(Debug)]
pub struct Announcers {
    tiers: Vec<Running>,
    client: Client,
    #[cfg(feature = "dht")]
    dht: Option<Arc<crate::net::Dht>>,
    /// Searches end with these.
    #[cfg(feature = "dht")]
    searches: Vec<Sender<()>>,
    /// The download has ended: nobody waits for peers any more.
    over: Arc<AtomicBool>,
    goodbye: Arc<OnceLock<Goodbye>>,
}

/// What trackers are told at the end, one after another.
pub type Goodbye = &'static [AnnounceEvent];

/// The download has not come to its end.
pub const LEAVES: Goodbye = &[AnnounceEvent::Stopped];
/// It has all.
pub const HAS_ALL: Goodbye = &[AnnounceEvent::Completed, AnnounceEvent::Stopped];
/// It has all, and a seed of this process goes on under the same id and port: it may have announced itself already.
pub const SEEDS: Goodbye = &[AnnounceEvent::Completed];

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
        Announcers {
            tiers: Vec::new(),
            client,
            #[cfg(feature = "dht")]
            dht: None,
            #[cfg(feature = "dht")]
            searches: Vec::new(),
            over: Arc::default(),
            goodbye: Arc::default(),
        }
    }

    /// The same, with the DHT to be searched.
    #[cfg(feature = "dht")]
    pub fn with_dht(self, dht: Option<Arc<crate::net::Dht>>) -> Announcers {
        Announcers { dht, ..self }
    }

    /// Begins to search the DHT for peers, as if it was a tier. Whether it did; the report says why it did not.
    #[cfg(feature = "dht")]
    pub fn search_dht(&mut self, torrent: &Arc<dyn Announced>, tier_id: u32) -> bool {
        use super::dht::{NAME, Searches};
        let Some(dht) = self.dht.clone() else { return false };
        if self.client.is_behind_socks() {
            // Of the addresses of its nodes nobody knows whether the user excepts them.
            torrent.failed(NAME, "not asked: UDP does not go through the SOCKS proxy".to_owned());
            return false;
        }
        let searches = Searches {
            dht,
            torrent: Arc::downgrade(torrent),
            over: Arc::clone(&self.over),
            timing: self.client.timing(),
            tier_id,
        };
        let (stop, stops) = channel();
        let begun = start_thread("at-dht", Box::new(move || searches.run(&stops)));
        match begun {
            Ok(_) => self.searches.push(stop),
            Err(why) => {
                torrent.failed(NAME, why.to_string());
                return false;
            }
        }
        true
    }

    /// Begins to announce to all tiers (BEP 12), side by side. `party` is told of each tier that may name peers, by its
    /// number: from `first` on. Gives the number behind the last.
    pub fn start(
        &mut self,
        tiers: &[Vec<String>],
        first: u32,
        key: u32,
        party: &mut dyn FnMut(u32) -> Arc<dyn Announced>,
        report: &Report,
    ) -> u32 {
        let tiers = Tiers::new(None, tiers, fastrand::u64(..));
        let mut next = first;
        for tier in tiers.tiers() {
            let mut trackers = Vec::new();
            for url in tier {
                match Tracker::new(&self.client, url) {
                    Ok(tracker) => trackers.push(tracker),
                    Err(why) => report.note(url, why),
                }
            }
            if !trackers.is_empty() {
                self.start_tier(party(next), trackers, next, key);
                next += 1;
            }
        }
        next
    }

    /// Begins to announce to a tier: its trackers are asked in order until one answers.
    fn start_tier(
        &mut self,
        torrent: Arc<dyn Announced>,
        tier: Vec<Tracker>,
        tier_id: u32,
        key: u32,
    ) {
        let (stop, stops) = channel();
        let (ended, stopped) = channel();
        let known = Arc::new(AtomicBool::new(false));
        let mut tier = Tier {
            client: self.client.clone(),
            trackers: tier,
            id: tier_id,
            key,
            torrent,
            known: Arc::clone(&known),
            over: Arc::clone(&self.over),
            goodbye: Arc::clone(&self.goodbye),
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
    pub fn stop(self, goodbye: Goodbye, patience: Duration) {
        let deadline = Instant::now() + patience;
        self.goodbye.get_or_init(|| goodbye);
        self.over.store(true, Ordering::Release);
        #[cfg(feature = "dht")]
        drop(self.searches);
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
    trackers: Vec<Tracker>,
    id: u32,
    key: u32,
    torrent: Arc<dyn Announced>,
    known: Arc<AtomicBool>,
    over: Arc<AtomicBool>,
    goodbye: Arc<OnceLock<Goodbye>>,
}

impl Tier {
    fn run(&mut self, stops: &Receiver<()>) {
        let mut is_known = false;
        let mut failed_rounds = 0;
        loop {
            let begun = self.torrent.now();
            let event = (!is_known).then_some(AnnounceEvent::Started);
            let wait = match self.round(event) {
                Ok(wait) => {
                    is_known = true;
                    failed_rounds = 0;
                    wait
                }
                Err(wait) => {
                    failed_rounds += 1;
                    if failed_rounds >= ROUNDS && !is_known && self.torrent.lost(self.id) {
                        return;
                    }
                    let back_off = self.client.timing().back_off;
                    let pause = back_off.saturating_mul(2_u32.saturating_pow(failed_rounds));
                    let pause = pause.min(MAX_PAUSE);
                    // Who waited for an answer for longer than that has paused enough.
                    let waited = self.torrent.now().saturating_sub(begun);
                    wait.unwrap_or_default().max(pause.saturating_sub(waited))
                }
            };
            match stops.recv_timeout(wait) {
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
                Ok(()) => {
                    return if is_known {
                        self.say_goodbye()
                    };
                }
            }
        }
    }

    /// Tells the tracker that answered last, which is the first.
    fn say_goodbye(&mut self) {
        for event in self.goodbye.get().copied().unwrap_or(LEAVES) {
            let message = self.message(Some(*event));
            let Some(tracker) = self.trackers.first_mut() else { return };
            let time = || Some(self.torrent.now());
            // It will forget us anyway.
            let _ = tracker.announce(&self.client, &message, &time, &mut |_| {});
        }
    }

    /// Asks the tier's trackers in order until one answers; gives when to ask again.
    fn round(&mut self, event: Option<AnnounceEvent>) -> Result<Duration, Option<Duration>> {
        let mut wait = None;
        for index in 0..self.trackers.len() {
            let message = self.message(event);
            let Tier { client, torrent, known, over, trackers, .. } = &mut *self;
            let Some(tracker) = trackers.get_mut(index) else { break };
            let url = tracker.url().to_owned();
            let mut named = 0;
            let mut pause = Duration::ZERO;
            let time = || (!over.load(Ordering::Acquire)).then(|| torrent.now());
            let result = tracker.announce(client, &message, &time, &mut |reply| {
                named += reply.peers.len();
                let warning = reply
                    .warning
                    .map_or_else(String::new, |warning| format!(" (it warns: {warning})"));
                let said = match named {
                    0 => format!("knows no peers{warning}"),
                    _ => format!("named {named} peers{warning}"),
                };
                torrent.note(&url, said);
                known.store(true, Ordering::Relaxed);
                torrent.named(reply.peers);
                pause = pause.max(reply.min_interval.unwrap_or_default().max(reply.interval));
            });
            match result {
                Ok(()) => {
                    // BEP 12: who answered is asked first from now on.
                    self.trackers[..=index].rotate_right(1);
                    return Ok(pause);
                }
                Err(failure) => {
                    self.torrent.failed(&url, failure.why);
                    wait = wait.max(failure.retry_after);
                }
            }
        }
        Err(wait)
    }

    fn message(&self, event: Option<AnnounceEvent>) -> Announce {
        let mut announce = self.torrent.announce();
        (announce.event, announce.key) = (event, self.key);
        if event == Some(AnnounceEvent::Stopped) {
            announce.numwant = 0;
        }
        announce
    }
}
