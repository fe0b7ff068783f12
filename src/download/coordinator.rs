//! The coordinator of one dataset's download: starts workers, hears how they ended, decides when to stop.
//!
//! Which sources there are is the [`Roster`]'s matter; here is when which of them join, and when it is enough.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, SystemTime};

use super::announcer::{Announced, Announcers};
use super::budget::Budget;
use super::roster::Roster;
use super::stream::Outcome;
use super::swarm::Swarm;
use crate::error::{Error, ErrorKind};
use crate::geometry::PieceIndex;
use crate::net::resolve;
use crate::plan::{LeftOut, Rank, SourceKind, SourceSpec};
use crate::schedule::{SourceId, Verdict};

/// How often the coordinator looks around when nothing happens.
const TICK: Duration = Duration::from_millis(50);

/// Peers that other peers named are believed up to here, so that trackers' always have room.
const MAX_EXCHANGED: usize = 500;

/// Bytes a second below which named sources count as quiet: a modem brings more.
const TRICKLE: u128 = 1 << 10;

/// What workers and announcers tell the coordinator.
#[derive(Debug)]
pub enum Event {
    /// All needed pieces are verified.
    Done,
    /// A web seed does not have a file, and has refused none before.
    Lacks(SourceId),
    Ended {
        source: SourceId,
        outcome: Outcome,
        /// The connection had brought data before.
        brought: bool,
    },
    BadPiece {
        source: SourceId,
        piece: PieceIndex,
        verdict: Verdict,
    },
    Peers(Vec<SocketAddr>),
    /// Peers that a peer named (BEP 11).
    Exchanged(Vec<SocketAddr>),
    /// A named peer's name look-up ended.
    Resolved {
        name: String,
        addresses: Result<Vec<SocketAddr>, String>,
    },
    /// No tracker of this tier ever answered; of the DHT's, nobody there knew a peer.
    TierLost(u32),
    Disk(Box<Error>),
}

/// Runs the download to its end.
pub struct Coordinator<'a> {
    swarm: Arc<Swarm>,
    budget: &'a Budget,
    events: Receiver<Event>,
    announcers: Announcers,
    waiting: Vec<SourceSpec>,
    left_out: LeftOut,
    roster: Roster,
    exchanged: HashSet<SocketAddr>,
    /// Tiers that may still name peers, and names that are being looked up.
    open_tiers: HashSet<u32>,
    next_tier: u32,
    looking_up: usize,
    active: Option<Rank>,
    active_since: Duration,
    /// When it was last looked at how much came, and how much that was.
    measured: (Duration, u64),
}

impl<'a> Coordinator<'a> {
    pub fn new(
        swarm: Arc<Swarm>,
        budget: &'a Budget,
        events: Receiver<Event>,
        announcers: Announcers,
        sources: Vec<SourceSpec>,
        left_out: LeftOut,
    ) -> Coordinator<'a> {
        Coordinator {
            roster: Roster::new(Arc::clone(&swarm)),
            swarm,
            budget,
            events,
            announcers,
            waiting: sources,
            left_out,
            exchanged: HashSet::new(),
            open_tiers: HashSet::new(),
            next_tier: 0,
            looking_up: 0,
            active: None,
            active_since: Duration::ZERO,
            measured: (Duration::ZERO, 0),
        }
    }

    /// Until all needed pieces are verified, or no source can bring them. Gives the announcers, to say goodbye.
    ///
    /// # Errors
    /// [`ErrorKind::Network`] with what each source said; [`ErrorKind::Disk`].
    pub fn run(mut self) -> (Result<(), Error>, Announcers) {
        let result = self.until_done();
        self.swarm.close();
        (result, self.announcers)
    }

    fn until_done(&mut self) -> Result<(), Error> {
        let mut last_seen = Duration::ZERO;
        while !self.swarm.schedule().is_done() {
            self.activate();
            self.roster.start_workers(self.budget);
            match self.events.recv_timeout(TICK) {
                Ok(Event::Disk(error)) => return Err(*error),
                Ok(event) => self.on_event(event),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            }
            if self.swarm.host.is_stopped() {
                return Err(Error::new(ErrorKind::Network, "the download was stopped"));
            }
            let now = self.swarm.now();
            let useful = self.swarm.last_useful();
            if useful > last_seen + Duration::from_millis(500) {
                last_seen = useful;
                self.swarm.partial.alive(SystemTime::now());
            }
            let give_up = self.swarm.client.timing().give_up;
            if now.saturating_sub(self.swarm.last_sign_of_life()) >= give_up {
                let what =
                    format!("no source brought any data for {}", crate::size::seconds(give_up));
                return Err(self.gave_up(&what)
                    .help("set ACADEMICTORRENTS_TIMEOUT to wait longer; what was verified is kept, and the next build goes on from there"));
            }
            if self.is_hopeless() {
                return Err(self.gave_up("no source can bring the data"));
            }
        }
        Ok(())
    }

    fn gave_up(&self, what: &str) -> Error {
        self.roster.note_silent();
        let missing = crate::size::display(self.swarm.schedule().wanted_bytes());
        let error = Error::new(ErrorKind::Network, format!("{what}: {missing} are missing"));
        let error = self.swarm.report.explain(error);
        let error = if self.swarm.report.is_empty() && self.left_out.is_empty() {
            error
                .why("the torrent names no tracker and no web seed, and nobody else names a source")
        } else {
            self.left_out.explain(error)
        };
        self.left_out.advise(error)
    }

    /// Lets the named sources begin, and the torrent's own once those lack something or fail.
    fn activate(&mut self) {
        let now = self.swarm.now();
        match self.active {
            None => {
                let named = self.waiting.iter().any(|source| source.rank == Rank::Named);
                self.join(if named { Rank::Named } else { Rank::Torrent });
            }
            Some(Rank::Named) => {
                let quiet = self.swarm.client.timing().silence / 2;
                let since_news = now.saturating_sub(self.swarm.last_news());
                let since = now.saturating_sub(self.swarm.last_useful().max(self.active_since));
                // A peer that is still fetching lacks something, and that will change.
                let grows = since_news < quiet && self.roster.has_named_peer();
                let trickles = self.trickles(now, quiet);
                if !grows && (since >= quiet || trickles || self.named_sources_fail()) {
                    self.join(Rank::Torrent);
                }
            }
            Some(Rank::Torrent) => {}
        }
    }

    /// Whether less than [`TRICKLE`] came in the last such period.
    fn trickles(&mut self, now: Duration, period: Duration) -> bool {
        let received = self.swarm.counters.received_bytes.load(Ordering::Relaxed);
        let (since, before) = self.measured;
        let elapsed = now.saturating_sub(since);
        if elapsed < period {
            return false;
        }
        self.measured = (now, received);
        u128::from(received.saturating_sub(before)) * 1000 < TRICKLE * elapsed.as_millis()
    }

    fn named_sources_fail(&self) -> bool {
        let undecided =
            self.looking_up > 0 || (!self.open_tiers.is_empty() && self.roster.is_empty());
        !undecided && self.roster.falls_short()
    }

    fn join(&mut self, rank: Rank) {
        self.active = Some(rank);
        self.active_since = self.swarm.now();
        self.measured =
            (self.active_since, self.swarm.counters.received_bytes.load(Ordering::Relaxed));
        let (now, later) =
            std::mem::take(&mut self.waiting).into_iter().partition(|source| source.rank <= rank);
        self.waiting = later;
        for source in now {
            match source.kind {
                SourceKind::Directory(path) => self.roster.add_directory(path),
                SourceKind::WebSeed(url) => self.roster.add_web_seed(url, rank == Rank::Named),
                SourceKind::Peer(peer) => self.look_up(peer),
                SourceKind::Trackers(tiers) => self.announce(&tiers),
                #[cfg(feature = "dht")]
                SourceKind::Dht => {
                    let torrent: Arc<dyn Announced> = Arc::<Swarm>::clone(&self.swarm);
                    if self.announcers.search_dht(&torrent, self.next_tier) {
                        self.open_tiers.insert(self.next_tier);
                        self.next_tier += 1;
                    }
                }
            }
        }
    }

    fn announce(&mut self, tiers: &[Vec<String>]) {
        let Coordinator { swarm, announcers, open_tiers, next_tier, .. } = self;
        let mut party = |tier: u32| -> Arc<dyn Announced> {
            open_tiers.insert(tier);
            Arc::<Swarm>::clone(swarm)
        };
        let key = swarm.host.key;
        *next_tier = announcers.start(tiers, *next_tier, key, &mut party, &swarm.report);
    }

    /// Looks a peer's name up on a thread of its own: the resolver has no deadline.
    fn look_up(&mut self, name: String) {
        if let Ok(address) = name.parse() {
            self.roster.add_named_peer(address);
            return;
        }
        if self.swarm.client.names_are_for_the_proxy(&name) {
            self.roster.add_peer_by_name(&name);
            return;
        }
        let swarm = Arc::clone(&self.swarm);
        let look_up = move || {
            let addresses = resolve(&name);
            swarm.tell(Event::Resolved { name, addresses });
        };
        if std::thread::Builder::new().name("at-resolver".to_owned()).spawn(look_up).is_ok() {
            self.looking_up += 1;
        }
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Done | Event::Disk(_) => {}
            Event::Lacks(source) => self.roster.try_as_store(source),
            Event::Ended { source, outcome, brought } => {
                self.roster.on_ended(source, outcome, brought)
            }
            Event::BadPiece { source, piece, verdict } => {
                self.roster.on_bad_piece(source, piece, verdict)
            }
            Event::Peers(addresses) => {
                addresses.into_iter().for_each(|address| self.roster.add_peer(address));
            }
            Event::Exchanged(addresses) => {
                addresses.into_iter().for_each(|address| self.on_exchanged(address));
            }
            Event::Resolved { name, addresses } => {
                self.looking_up -= 1;
                match addresses {
                    Ok(addresses) => {
                        addresses.into_iter().for_each(|it| self.roster.add_named_peer(it));
                    }
                    Err(why) => self.swarm.report.note(&format!("peer {name}"), why),
                }
            }
            Event::TierLost(tier) => {
                self.open_tiers.remove(&tier);
            }
        }
    }

    /// A peer that a peer named: whoever named that one, this is a source like those of the torrent's trackers.
    fn on_exchanged(&mut self, address: SocketAddr) {
        if self.exchanged.len() >= MAX_EXCHANGED || !self.exchanged.insert(address) {
            return;
        }
        if self.active == Some(Rank::Torrent) {
            self.roster.add_peer(address);
        } else {
            let kind = SourceKind::Peer(address.to_string());
            self.waiting.push(SourceSpec { rank: Rank::Torrent, kind });
        }
    }

    /// Whether no source is left that could bring anything.
    fn is_hopeless(&self) -> bool {
        self.waiting.is_empty()
            && self.open_tiers.is_empty()
            && self.looking_up == 0
            && self.roster.is_exhausted()
    }
}
