//! The metainfo from peers (BEP 9), where it is known from nobody else.
//!
//! It comes before there is anything to plan or to store, so this is a small coordinator of its own: a few threads, one
//! connection each, that end with it. Nobody joins them: all their waits have deadlines, and their sockets are closed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::announcer::{Announced, Announcers, LEAVES};
use super::report::Report;
use super::{Host, start_thread};
use crate::infohash::Infohash;
use crate::net::{Client, resolve};
use crate::protocol::extension::peer_id;
use crate::protocol::metadata::blocks::Blocks;
use crate::protocol::socks::Target;

use tier::Tier;

mod tier;
mod worker;

/// Peers that are asked at a time, for one dataset and for all.
const SIDE_BY_SIDE: usize = 16;
const SIDE_BY_SIDE_IN_ALL: usize = 64;

/// Peers remembered: a tracker may name hundreds, and most of them are gone.
const MAX_PEERS: usize = 1_000;

/// A peer that did not answer may do so later; so often it is tried.
const ATTEMPTS: u32 = 3;

/// Peers that are told to the download that follows.
const HANDED_ON: usize = 50;

/// How often the coordinator looks around when nothing happens.
const TICK: Duration = Duration::from_millis(50);

/// In all it takes no longer than so many times the user's patience: a peer that brings little, again and again, would
/// else hold a build for hours.
const MOST_PATIENCE: u32 = 10;

/// How long trackers are given to hear that we leave: with what it takes to find out that it is over, less than a second.
const GOODBYE: Duration = Duration::from_millis(800);

/// Whom to ask.
#[derive(Debug)]
pub struct Sources {
    /// `host:port`.
    pub peers: Vec<String>,
    pub trackers: Vec<Vec<String>>,
    /// A torrent that is not known yet is not known to be private: all clients ask, and only here.
    #[cfg(feature = "dht")]
    pub dht: Option<Arc<crate::net::Dht>>,
}

impl Sources {
    /// Whether peers may be found that nobody names.
    pub fn ask_dht(&self) -> bool {
        #[cfg(feature = "dht")]
        return self.dht.is_some();
        #[cfg(not(feature = "dht"))]
        false
    }
}

/// The raw `info` dictionary, and peers that are known.
#[derive(Debug)]
pub struct Found {
    pub info: Vec<u8>,
    /// `host:port`.
    pub peers: Vec<String>,
    /// Those that the DHT alone named, which a private torrent must not have.
    pub of_dht: Vec<String>,
}

/// Why there is none: in a few words, and what each one said.
#[derive(Debug)]
pub struct Failure {
    pub why: String,
    pub report: Report,
}

/// What all threads share.
struct Hunt {
    client: Client,
    infohash: Infohash,
    peer_id: [u8; 20],
    max_bytes: usize,
    report: Report,
    started: Instant,
    over: AtomicBool,
    bell: Sender<()>,
    state: Mutex<State>,
}

struct State {
    blocks: Blocks,
    found: Option<Vec<u8>>,
    peers: Vec<Peer>,
    /// Indexes of peers that may be tried.
    ready: Vec<u32>,
    working: usize,
    /// Tiers that have not answered yet, and names that are being looked up.
    undecided: usize,
    /// When the last block came, and when anything was heard of anybody.
    useful: Duration,
    heard: Duration,
}

struct Peer {
    target: Target,
    attempts: u32,
    not_before: Duration,
    asked: bool,
    of_dht: bool,
}

/// How many peers may be asked at a time for each of so many datasets.
pub fn side_by_side(datasets: usize) -> usize {
    (SIDE_BY_SIDE_IN_ALL / datasets.max(1)).clamp(1, SIDE_BY_SIDE)
}

/// Asks peers for the `info` dictionary of a torrent, of which no more than `max_bytes` are accepted, `most` at a time, until the
/// host is stopped.
pub fn fetch(
    client: &Client,
    infohash: Infohash,
    max_bytes: usize,
    sources: &Sources,
    most: usize,
    host: &Host,
) -> Result<Found, Failure> {
    let (bell, rings) = channel();
    let hunt = Arc::new(Hunt {
        client: client.separate(),
        infohash,
        peer_id: peer_id(|| fastrand::alphanumeric() as u8),
        max_bytes,
        report: Report::default(),
        started: Instant::now(),
        over: AtomicBool::new(false),
        bell,
        state: Mutex::new(State {
            blocks: Blocks::new(infohash, max_bytes),
            found: None,
            peers: Vec::new(),
            ready: Vec::new(),
            working: 0,
            undecided: 0,
            useful: Duration::ZERO,
            heard: Duration::ZERO,
        }),
    });
    let mut announcers = Announcers::new(client.separate());
    for peer in &sources.peers {
        hunt.look_up(peer);
    }
    let mut party = |_: u32| -> Arc<dyn Announced> {
        hunt.state().undecided += 1;
        Arc::new(Tier::new(&hunt, false))
    };
    announcers.start(&sources.trackers, 0, fastrand::u32(..), &mut party, &hunt.report);
    // Its searches hold it weakly.
    #[cfg(feature = "dht")]
    let mut announcers = announcers.with_dht(sources.dht.clone());
    #[cfg(feature = "dht")]
    let _torrent = {
        hunt.state().undecided += 1;
        let torrent: Arc<dyn Announced> = Arc::new(Tier::new(&hunt, true));
        if !announcers.search_dht(&torrent, 0) {
            hunt.decided();
        }
        torrent
    };
    let result = loop {
        let found = hunt.state().found.take();
        if let Some(info) = found {
            let [peers, of_dht] = [false, true].map(|of_dht| hunt.useful_peers(of_dht));
            break Ok(Found { info, peers, of_dht });
        }
        if host.is_stopped() {
            break Err("the search was stopped".to_owned());
        }
        hunt.start_workers(most);
        if let Some(why) = hunt.is_hopeless() {
            break Err(why);
        }
        let _ = rings.recv_timeout(TICK); // either way: look around
    };
    hunt.close();
    let goodbye = GOODBYE.min(client.timing().reply);
    // The download that follows announces anew; meanwhile nobody waits for the trackers.
    let stop = move || announcers.stop(LEAVES, goodbye);
    let stopping = start_thread("at-goodbye", Box::new(stop));
    match result {
        Ok(found) => Ok(found),
        Err(why) => {
            if let Ok(stopping) = stopping {
                let _ = stopping.join(); // it waits no longer than for the goodbye
            }
            Err(Failure { why, report: hunt.report.take() })
        }
    }
}

impl Hunt {
    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// Locked for bookkeeping, never across I/O.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    fn close(&self) {
        self.over.store(true, Ordering::Relaxed);
        self.client.shut_down();
    }

    fn ring(&self) {
        let _ = self.bell.send(()); // it is over: nobody needs to know
    }

    /// One of those that might name peers has done so, or will not.
    fn decided(&self) {
        let mut state = self.state();
        state.undecided -= 1;
        state.heard = self.now();
        drop(state);
        self.ring();
    }

    fn add(&self, targets: Vec<Target>, of_dht: bool) {
        let mut state = self.state();
        for target in targets {
            let known = state.peers.iter_mut().find(|peer| peer.target == target);
            if let Some(known) = known {
                known.of_dht &= of_dht;
            } else if state.peers.len() < MAX_PEERS {
                let index = state.peers.len() as u32;
                let not_before = Duration::ZERO;
                state.peers.push(Peer { target, attempts: 0, not_before, asked: false, of_dht });
                state.ready.push(index);
            }
        }
        drop(state);
        self.ring();
    }

    /// Looks a peer's name up on a thread of its own: the resolver has no deadline.
    fn look_up(self: &Arc<Hunt>, name: &str) {
        match Target::parse(name) {
            Some(target @ Target::Address(_)) => return self.add(vec![target], false),
            Some(target) if self.client.names_are_for_the_proxy(name) => {
                return self.add(vec![target], false);
            }
            _ => {}
        }
        self.state().undecided += 1;
        let (hunt, owned) = (Arc::clone(self), name.to_owned());
        let look_up = move || {
            match resolve(&owned) {
                Ok(addresses) => {
                    hunt.add(addresses.into_iter().map(Target::Address).collect(), false);
                }
                Err(why) => hunt.report.note(&format!("peer {owned}"), why),
            }
            hunt.decided();
        };
        if let Err(why) = start_thread("at-resolver", Box::new(look_up)) {
            self.report.note(&format!("peer {name}"), why.to_string());
            self.decided();
        }
    }

    fn start_workers(self: &Arc<Hunt>, most: usize) {
        loop {
            let now = self.now();
            let mut state = self.state();
            if state.working >= most {
                return;
            }
            let next =
                state.ready.iter().position(|index| state.peers[*index as usize].not_before <= now);
            let Some(position) = next else { return };
            let index = state.ready.remove(position);
            let peer = &mut state.peers[index as usize];
            (peer.attempts, peer.asked) = (peer.attempts + 1, true);
            let target = peer.target.clone();
            state.working += 1;
            drop(state);
            let hunt = Arc::clone(self);
            let work = move || {
                let ended = worker::work(&hunt, index, &target);
                hunt.ended(index, ended);
            };
            if let Err(why) = start_thread("at-metadata", Box::new(work)) {
                self.ended(index, Err(worker::Ended::later(why.to_string())));
            }
        }
    }

    /// A connection has ended; one that may go better another time is tried again after a pause.
    fn ended(&self, index: u32, ended: Result<(), worker::Ended>) {
        let mut state = self.state();
        state.working -= 1;
        state.heard = self.now();
        state.blocks.leave(index);
        if let (Err(ended), false) = (ended, self.is_over()) {
            let back_off = self.client.timing().back_off;
            let peer = &mut state.peers[index as usize];
            self.report.note(&format!("peer {}", peer.target), ended.why);
            if ended.may_pass && peer.attempts < ATTEMPTS {
                peer.not_before = self.now() + back_off * 2_u32.saturating_pow(peer.attempts);
                state.ready.push(index);
            }
        }
        drop(state);
        self.ring();
    }

    /// Why there is no use in going on, if there is none.
    fn is_hopeless(&self) -> Option<String> {
        let state = self.state();
        let asked = state.peers.iter().filter(|peer| peer.asked).count();
        let peers =
            if asked == 1 { "1 peer was".to_owned() } else { format!("{asked} peers were") };
        let now = self.now();
        let give_up = self.client.timing().give_up;
        // A tracker may answer twice, over IPv4 and IPv6.
        let quiet = now.saturating_sub(state.heard) >= self.client.timing().back_off;
        if quiet && state.undecided == 0 && state.working == 0 && state.ready.is_empty() {
            return Some(match asked {
                0 => "no peer is known".to_owned(),
                _ => format!("{peers} asked, and none gave it"),
            });
        }
        let in_all = give_up * MOST_PATIENCE;
        if now.saturating_sub(state.useful) >= give_up || now >= in_all {
            let seconds = crate::size::seconds(if now >= in_all { in_all } else { give_up });
            return Some(format!("{peers} asked, and none gave it within {seconds}"));
        }
        None
    }

    /// Some of the peers that are not known to be gone: those that the DHT alone named, or the others.
    fn useful_peers(&self, of_dht: bool) -> Vec<String> {
        let state = self.state();
        let well = state
            .peers
            .iter()
            .enumerate()
            .filter(|(_, peer)| peer.of_dht == of_dht)
            .filter(|(index, peer)| peer.attempts == 0 || state.blocks.has(*index as u32));
        well.map(|(_, peer)| peer.target.to_string()).take(HANDED_ON).collect()
    }
}
