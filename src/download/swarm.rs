//! What the workers of one dataset's download share.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use super::Event;
use super::announcer::Announced;
use super::assembly::{Added, Assembly};
use super::circle::Circle;
use super::host::Host;
use super::report::Report;
use super::uploads::{Served, Uploads};
use crate::counters::DatasetCounters;
use crate::error::Error;
use crate::geometry::{Geometry, PieceIndex};
use crate::metainfo::Metainfo;
use crate::net::Client;
use crate::protocol::tracker::Announce;
use crate::schedule::{Next, Schedule, SourceId, Verdict, WorkerId};
use crate::store::Partial;

/// Peers wanted of each announce: more than there are connections.
pub const NUMWANT: u32 = 100;

/// How long an idle worker sleeps when nobody wakes it: slow sources become worth stealing from with time alone.
const IDLE: Duration = Duration::from_millis(100);

/// What became of bytes that a worker brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fed {
    /// The piece goes on, or is none of ours any more.
    Onward,
    /// The piece is done: verified now, or before.
    Done,
    /// The piece was wrong, and this worker's source is not to blame alone.
    Wrong,
    /// The piece was wrong, by this worker's source.
    Blamed(Verdict),
    /// The download is over.
    Over,
}

#[derive(Debug)]
pub struct Swarm {
    pub partial: Partial,
    pub client: Client,
    pub counters: Arc<DatasetCounters>,
    pub report: Report,
    pub uploads: Uploads,
    /// Peers that others are told of.
    pub circle: Arc<Circle>,
    /// Who we are to peers and trackers, and where a seed of this process listens.
    pub host: Host,
    schedule: Mutex<Schedule>,
    changed: Condvar,
    assemblies: Mutex<HashMap<PieceIndex, Arc<Mutex<Assembly>>>>,
    /// Read-locked while bytes are written: once it is set, nothing is written any more.
    closed: RwLock<bool>,
    over: AtomicBool,
    started: Instant,
    last_useful_millis: AtomicU64,
    last_skipped_millis: AtomicU64,
    last_news_millis: AtomicU64,
    events: Sender<Event>,
}

impl Swarm {
    pub fn new(
        partial: Partial,
        client: Client,
        counters: Arc<DatasetCounters>,
        schedule: Schedule,
        uploads: Uploads,
        host: Host,
        events: Sender<Event>,
    ) -> Swarm {
        Swarm {
            partial,
            client,
            counters,
            report: Report::default(),
            uploads,
            circle: Arc::default(),
            host,
            schedule: Mutex::new(schedule),
            changed: Condvar::new(),
            assemblies: Mutex::default(),
            closed: RwLock::new(false),
            over: AtomicBool::new(false),
            started: Instant::now(),
            last_useful_millis: AtomicU64::new(0),
            last_skipped_millis: AtomicU64::new(0),
            last_news_millis: AtomicU64::new(0),
            events,
        }
    }

    /// Time since the download began: the clock of the schedule and of the sessions.
    pub fn now(&self) -> Duration {
        self.started.elapsed()
    }

    pub fn geometry(&self) -> Geometry {
        self.partial.layout().geometry()
    }

    /// The schedule, locked: for bookkeeping, never across I/O.
    pub fn schedule(&self) -> MutexGuard<'_, Schedule> {
        self.schedule.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes the workers that wait for work.
    pub fn wake(&self) {
        self.changed.notify_all();
    }

    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// When the last useful byte came.
    pub fn last_useful(&self) -> Duration {
        Duration::from_millis(self.last_useful_millis.load(Ordering::Relaxed))
    }

    /// When the last byte came that is on the way to a useful one: a server without ranges has to be read past what
    /// is here already, and that is no silence.
    pub fn last_sign_of_life(&self) -> Duration {
        self.last_useful()
            .max(Duration::from_millis(self.last_skipped_millis.load(Ordering::Relaxed)))
    }

    /// When a named peer last told of a wanted piece that it has now, or, when it connected, that it lacks some.
    pub fn last_news(&self) -> Duration {
        Duration::from_millis(self.last_news_millis.load(Ordering::Relaxed))
    }

    pub fn news(&self) {
        self.last_news_millis.store(self.now().as_millis() as u64, Ordering::Relaxed);
    }

    /// Bytes came that had to be read past.
    pub fn skipped(&self) {
        self.last_skipped_millis.store(self.now().as_millis() as u64, Ordering::Relaxed);
    }

    /// Ends it: no byte is written after this returns, sockets are closed, workers find out.
    pub fn close(&self) {
        self.over.store(true, Ordering::Relaxed);
        *self.closed.write().unwrap_or_else(PoisonError::into_inner) = true;
        self.wake();
        self.client.shut_down();
    }

    pub fn tell(&self, event: Event) {
        let _ = self.events.send(event); // the coordinator is gone: nobody needs to know
    }

    /// A streaming worker's next run: waits until there is one. `None`: the download is over, or the source has
    /// nothing more to give.
    pub fn next_run(&self, source: SourceId, worker: WorkerId) -> Option<Range<PieceIndex>> {
        let mut schedule = self.schedule();
        loop {
            if self.is_over() || !schedule.is_useful(source) {
                return None;
            }
            match schedule.next_run(worker, self.now()) {
                Next::Fetch(run) => return Some(run),
                Next::Done => return None,
                Next::Wait => {
                    let waited = self.changed.wait_timeout(schedule, IDLE);
                    schedule = waited.unwrap_or_else(PoisonError::into_inner).0;
                }
            }
        }
    }

    /// The piece's assembly; `None` where the piece is not wanted any more.
    pub fn assembly(&self, source: SourceId, piece: PieceIndex) -> Option<Arc<Mutex<Assembly>>> {
        let expected = self.partial.metainfo().piece_hash(piece)?;
        let geometry = self.geometry();
        // The schedule is asked while the map is held: `verified` marks the piece first and removes its assembly
        // then. Otherwise a piece that another worker finishes in between would get a second assembly, and be
        // written again after it was verified.
        let mut assemblies = self.assemblies.lock().unwrap_or_else(PoisonError::into_inner);
        let whole = {
            let schedule = self.schedule();
            if !schedule.is_wanted(piece) {
                return None;
            }
            schedule.is_whole(piece)
        };
        let assembly = assemblies.entry(piece).or_insert_with(|| {
            Arc::new(Mutex::new(Assembly::new(
                geometry.start(piece),
                geometry.len(piece),
                expected,
            )))
        });
        if whole {
            assembly.lock().unwrap_or_else(PoisonError::into_inner).restrict_to(source);
        }
        Some(Arc::clone(assembly))
    }

    /// Where to begin a piece: behind what an earlier source has brought.
    pub fn cursor(&self, source: SourceId, piece: PieceIndex) -> u32 {
        self.assembly(source, piece)
            .map_or(0, |assembly| assembly.lock().unwrap_or_else(PoisonError::into_inner).cursor())
    }

    /// How far a piece has come, by whomever. Unlike [`Swarm::cursor`] this claims nothing: a piece that is to come
    /// whole from one source stays that one's.
    pub fn progress_of(&self, piece: PieceIndex) -> u32 {
        let assemblies = self.assemblies.lock().unwrap_or_else(PoisonError::into_inner);
        let assembly = assemblies.get(&piece).cloned();
        drop(assemblies);
        assembly.map_or(0, |it| it.lock().unwrap_or_else(PoisonError::into_inner).cursor())
    }

    /// Takes bytes of a piece from a worker: writes, hashes, and does what follows.
    pub fn feed(
        &self,
        source: SourceId,
        worker: WorkerId,
        piece: PieceIndex,
        assembly: &Mutex<Assembly>,
        begin: u32,
        bytes: &[u8],
    ) -> Fed {
        let added = {
            let closed = self.closed.read().unwrap_or_else(PoisonError::into_inner);
            if *closed {
                return Fed::Over;
            }
            let mut assembly = assembly.lock().unwrap_or_else(PoisonError::into_inner);
            let added = assembly.add(&self.partial, source, begin, bytes);
            match added {
                Ok(Added::Verified) => self.partial.verified(piece).map(|()| Added::Verified),
                other => other,
            }
        };
        self.counters.received_bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        #[cfg(feature = "cli")]
        self.counters.brought(source.0, bytes.len() as u64);
        match added {
            Ok(Added::Nothing) => Fed::Onward,
            Ok(Added::Bytes(new)) => {
                self.useful(worker, new);
                Fed::Onward
            }
            Ok(Added::Verified) => {
                self.useful(worker, bytes.len() as u64);
                self.verified(piece);
                Fed::Done
            }
            Ok(Added::Failed(contributors)) => self.failed(source, piece, &contributors),
            Err(error) => {
                self.disk_failed(error);
                Fed::Over
            }
        }
    }

    fn useful(&self, worker: WorkerId, bytes: u64) {
        let now = self.now();
        self.last_useful_millis.store(now.as_millis() as u64, Ordering::Relaxed);
        self.schedule().received(worker, bytes, now);
    }

    fn verified(&self, piece: PieceIndex) {
        let done = {
            let mut schedule = self.schedule();
            schedule.verified(piece);
            schedule.is_done()
        };
        self.assemblies.lock().unwrap_or_else(PoisonError::into_inner).remove(&piece);
        self.uploads.add(piece);
        self.counters.done_bytes.fetch_add(self.geometry().len(piece).into(), Ordering::Relaxed);
        if done {
            self.over.store(true, Ordering::Relaxed);
            self.wake();
            self.tell(Event::Done);
        }
    }

    fn failed(&self, source: SourceId, piece: PieceIndex, contributors: &[SourceId]) -> Fed {
        let blame = self.schedule().failed(piece, contributors);
        self.wake();
        if let Some((culprit, verdict)) = blame {
            self.tell(Event::BadPiece { source: culprit, piece, verdict });
        }
        match blame {
            Some((culprit, verdict)) if culprit == source => Fed::Blamed(verdict),
            _ => Fed::Wrong,
        }
    }

    /// The disk refused: no source can help.
    pub fn disk_failed(&self, error: Error) {
        self.tell(Event::Disk(Box::new(error)));
    }
}

impl Served for Swarm {
    fn uploads(&self) -> &Uploads {
        &self.uploads
    }

    fn metainfo(&self) -> &Metainfo {
        self.partial.metainfo()
    }

    fn now(&self) -> Duration {
        self.now()
    }

    /// After the end there is nothing to read any more: the files move.
    fn read(&self, offset: u64, buffer: &mut [u8]) -> std::io::Result<()> {
        let closed = self.closed.read().unwrap_or_else(PoisonError::into_inner);
        if *closed {
            return Err(std::io::ErrorKind::NotConnected.into());
        }
        self.partial.read(offset, buffer).map_err(std::io::Error::other)
    }

    fn raw_info(&self) -> Option<Vec<u8>> {
        self.partial.raw_info()
    }

    fn sent(&self, bytes: u64) {
        self.counters.uploaded_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.host.sent(bytes);
    }
}

impl Announced for Swarm {
    fn now(&self) -> Duration {
        self.now()
    }

    fn announce(&self) -> Announce {
        Announce {
            infohash: self.partial.metainfo().infohash,
            peer_id: self.host.peer_id,
            port: self.host.port,
            uploaded_bytes: self.counters.uploaded_bytes.load(Ordering::Relaxed),
            downloaded_bytes: self.counters.received_bytes.load(Ordering::Relaxed),
            left_bytes: self.schedule().wanted_bytes(),
            event: None,
            numwant: NUMWANT,
            key: 0,
        }
    }

    fn note(&self, tracker: &str, said: String) {
        self.report.note(tracker, said);
    }

    fn named(&self, peers: Vec<SocketAddr>) {
        self.tell(Event::Peers(peers));
    }

    fn lost(&self, tier: u32) -> bool {
        self.tell(Event::TierLost(tier));
        true
    }

    #[cfg(feature = "dht")]
    fn dht_interval(&self) -> Option<Duration> {
        let few = self.counters.peers.load(Ordering::Relaxed) < super::dht::ENOUGH;
        // Who listens has to be told of in any case.
        let tell = || self.listens_at().map(|_| super::dht::TELL_INTERVAL);
        few.then_some(super::dht::INTERVAL).or_else(tell)
    }

    #[cfg(feature = "dht")]
    fn listens_at(&self) -> Option<u16> {
        self.host.listens_at()
    }
}
