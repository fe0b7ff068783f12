//! State shared by the workers of one dataset's download.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use super::assembly::{Added, Assembly};
use super::event::WorkerEvent;
use super::phase::PeerPhase;
use crate::address::NamedBy;
use crate::counters::DatasetCounters;
use crate::engine::announce::target::AnnounceTarget;
use crate::engine::budget::NUMWANT;
use crate::engine::local_peer::LocalPeer;
use crate::engine::report::Remark;
use crate::engine::upload::manager::{Served, UploadManager};
use crate::engine::upload::pex_registry::PexRegistry;
use crate::error::Error;
use crate::mutex::{Mutex, wait};
use crate::net::Client;
use crate::picker::{Blame, Next, Schedule, SourceId, WorkerId};
use crate::plan::SegmentPlace;
use crate::protocol::tracker::Announce;
use crate::storage::Partial;
use crate::torrent::geometry::{Geometry, PieceIndex};
use crate::torrent::metainfo::{FileKind, Metainfo, TorrentFile};

/// How long an idle worker sleeps unless it is woken: slow sources become worth stealing from
/// merely with time.
const IDLE: Duration = Duration::from_millis(100);

mod signs;

/// The result of feeding bytes to a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fed {
    /// The piece is not complete yet, or is no longer needed.
    Onward,
    /// The piece was completed and verified.
    Done,
    /// The piece is corrupt, but this worker's source cannot be blamed alone.
    Wrong,
    /// The piece is corrupt, and this worker's source is to blame.
    Blamed(Blame),
    /// The download is over.
    Over,
}

#[derive(Debug)]
pub struct Swarm {
    pub partial: Partial,
    pub phase: Arc<PeerPhase>,
    pub counters: Arc<DatasetCounters>,
    pub uploads: UploadManager,
    /// Peers that are reported to other peers by PEX.
    pub pex: Arc<PexRegistry>,
    /// Our identity to peers and trackers, and the port on which a seed in this process listens.
    pub host: LocalPeer,
    schedule: Mutex<Schedule>,
    changed: Condvar,
    assemblies: Mutex<HashMap<PieceIndex, Arc<Mutex<Assembly>>>>,
    /// Read-locked while bytes are written. Once it is `true`, nothing is written any more.
    closed: RwLock<bool>,
    last_useful_millis: AtomicU64,
    last_skipped_millis: AtomicU64,
    last_news_millis: AtomicU64,
    /// Useful bytes, plus bytes that had to be read past to reach useful ones.
    heard_bytes: AtomicU64,
}

impl Swarm {
    pub fn new(
        partial: Partial,
        client: Client,
        counters: Arc<DatasetCounters>,
        schedule: Schedule,
        uploads: UploadManager,
        host: LocalPeer,
        events: Sender<WorkerEvent>,
    ) -> Swarm {
        let infohash = partial.metainfo().infohash;
        Swarm {
            partial,
            phase: Arc::new(PeerPhase::new(client, infohash, host.peer_id, events)),
            counters,
            uploads,
            pex: Arc::default(),
            host,
            schedule: Mutex::new(schedule),
            changed: Condvar::new(),
            assemblies: Mutex::default(),
            closed: RwLock::new(false),
            last_useful_millis: AtomicU64::new(0),
            last_skipped_millis: AtomicU64::new(0),
            last_news_millis: AtomicU64::new(0),
            heard_bytes: AtomicU64::new(0),
        }
    }

    /// Time since the download began: the clock of the schedule and of the sessions.
    pub fn now(&self) -> Duration {
        self.phase.now()
    }

    pub fn geometry(&self) -> Geometry {
        self.partial.layout().geometry()
    }

    /// Locks the schedule: for bookkeeping only, never across I/O.
    pub fn schedule(&self) -> MutexGuard<'_, Schedule> {
        self.schedule.lock()
    }

    /// Wakes the workers that wait for work.
    pub fn wake(&self) {
        self.changed.notify_all();
    }

    pub fn is_over(&self) -> bool {
        self.phase.is_over()
    }

    /// Ends the download: after this returns, no byte is written. Sockets are closed, and workers
    /// notice by themselves.
    pub fn close(&self) {
        self.phase.end();
        *self.closed.write().unwrap_or_else(PoisonError::into_inner) = true;
        self.wake();
        self.phase.client.shut_down();
    }

    pub fn tell(&self, event: WorkerEvent) {
        self.phase.tell(event);
    }

    /// Waits for a streaming worker's next run. `None`: the download is over, or the source has
    /// nothing more to offer.
    pub fn next_run(&self, source: SourceId, worker: WorkerId) -> Option<Range<PieceIndex>> {
        let mut schedule = self.schedule();
        loop {
            // No connection is held while nothing is known to be missing.
            let wants = schedule.wanted_bytes() > 0;
            if self.is_over() || !wants || !schedule.is_useful(source) {
                return None;
            }
            match schedule.next_run(worker, self.now()) {
                Next::Fetch(run) => return Some(run),
                Next::Done => return None,
                Next::Wait => {
                    schedule = wait(&self.changed, schedule, IDLE);
                }
            }
        }
    }

    /// The piece's assembly; `None` if the piece is no longer needed.
    pub fn assembly(&self, source: SourceId, piece: PieceIndex) -> Option<Arc<Mutex<Assembly>>> {
        let expected = self.partial.metainfo().piece_hash(piece)?;
        let geometry = self.geometry();
        // The schedule must be asked while the map is locked: `verified` first marks the piece and
        // then removes its assembly. Otherwise a piece that another worker finishes in between
        // would get a second assembly and be overwritten after it was verified.
        let mut assemblies = self.assemblies.lock();
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
                self.partial.layout().padding(geometry.range(piece)),
            )))
        });
        if whole {
            assembly.lock().restrict_to(source);
        }
        Some(Arc::clone(assembly))
    }

    /// The offset at which to start fetching the piece: after the bytes that are already hashed.
    pub fn cursor(&self, source: SourceId, piece: PieceIndex) -> u32 {
        self.assembly(source, piece).map_or(0, |assembly| assembly.lock().cursor())
    }

    /// How far the piece has progressed, through any source. Unlike [`Swarm::cursor`], this has no
    /// side effect on a piece that must come whole from one source.
    pub fn progress_of(&self, piece: PieceIndex) -> u32 {
        let assemblies = self.assemblies.lock();
        let assembly = assemblies.get(&piece).cloned();
        drop(assemblies);
        assembly.map_or(0, |it| it.lock().cursor())
    }

    /// Adds bytes from a worker to a piece, and handles the result: verified, corrupt, or a disk
    /// error.
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
            let mut assembly = assembly.lock();
            let added = assembly.add(&self.partial, source, begin, bytes);
            match added {
                Ok(Added::Verified) => self.partial.verified(piece).map(|()| Added::Verified),
                other => other,
            }
        };
        self.counters.received_bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        self.counters.sources.brought(source.0, bytes.len() as u64);
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
        self.heard_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.schedule().received(worker, bytes, now);
    }

    fn verified(&self, piece: PieceIndex) {
        let done = {
            let mut schedule = self.schedule();
            schedule.verified(piece);
            self.count(&schedule);
            schedule.is_done()
        };
        self.assemblies.lock().remove(&piece);
        self.uploads.add(piece);
        self.end_if(done);
    }

    /// Ends the phase if all needed pieces are verified.
    pub fn end_if(&self, done: bool) {
        if done {
            self.phase.end();
            self.wake();
            self.tell(WorkerEvent::Done);
        }
    }

    fn failed(&self, source: SourceId, piece: PieceIndex, contributors: &[SourceId]) -> Fed {
        let files = self.files_of(piece);
        let blame = self.schedule().failed(piece, contributors, files);
        self.wake();
        match blame {
            // The worker decides: see `LostFiles::lose_version`.
            Some((_, Blame::OtherVersion(_))) | None => {}
            Some((source, verdict)) => self.tell(WorkerEvent::BadPiece { source, piece, verdict }),
        }
        match blame {
            Some((culprit, verdict)) if culprit == source => Fed::Blamed(verdict),
            _ => Fed::Wrong,
        }
    }

    /// Forgets what the source sent of a piece, of which it has only a part from now on.
    pub fn begin_anew(&self, source: SourceId, piece: PieceIndex) {
        let assembly = self.assemblies.lock().get(&piece).cloned();
        if let Some(assembly) = assembly {
            assembly.lock().begin_anew();
        }
        self.schedule().begin_anew(source, piece);
    }

    /// The data files in a piece, if the torrent has several.
    fn files_of(&self, piece: PieceIndex) -> Option<Range<u32>> {
        let has_data = |it: &&TorrentFile| it.kind == FileKind::Data && it.length > 0;
        self.partial.metainfo().files.iter().filter(has_data).nth(1)?;
        let segments = self.partial.layout().segments(self.geometry().range(piece));
        let data = segments.filter(|segment| segment.place != SegmentPlace::Zeros);
        let mut files = data.map(|segment| segment.torrent_file);
        let first = files.next()?;
        Some(first..files.last().unwrap_or(first) + 1)
    }

    /// Reports a disk error, which ends the download: no other source can help.
    pub fn disk_failed(&self, error: Error) {
        self.tell(WorkerEvent::Disk(Box::new(error)));
    }
}

impl Served for Swarm {
    fn uploads(&self) -> &UploadManager {
        &self.uploads
    }

    fn metainfo(&self) -> &Metainfo {
        self.partial.metainfo()
    }

    fn now(&self) -> Duration {
        self.now()
    }

    /// Fails after the end of the download, when the files are moved.
    fn read(&self, offset: u64, buffer: &mut [u8]) -> std::io::Result<()> {
        let closed = self.closed.read().unwrap_or_else(PoisonError::into_inner);
        if *closed {
            return Err(std::io::ErrorKind::NotConnected.into());
        }
        self.partial.read(offset, buffer).map_err(std::io::Error::other)
    }

    fn sent(&self, bytes: u64) {
        self.counters.uploaded_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.host.sent(bytes);
    }
}

impl AnnounceTarget for Swarm {
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
            left_bytes: {
                let schedule = self.schedule();
                schedule.wanted_bytes() + schedule.unchecked_bytes()
            },
            event: None,
            numwant: NUMWANT,
            key: 0,
        }
    }

    fn note(&self, tracker: &str, said: Remark) {
        self.phase.report.note(tracker, said);
    }

    fn named(&self, peers: Vec<SocketAddr>) {
        self.tell(WorkerEvent::Peers { addresses: peers, by: NamedBy::Neighbor });
    }

    fn heard_of(&self, tier: u32) {
        self.tell(WorkerEvent::TierHeardOf(tier));
    }

    fn lost(&self, tier: u32) -> bool {
        self.tell(WorkerEvent::TierLost(tier));
        true
    }

    #[cfg(feature = "dht")]
    fn dht_nodes(&self) -> Vec<(crate::address::NamedBy, String)> {
        self.partial.metainfo().named_dht_nodes()
    }

    #[cfg(feature = "dht")]
    fn dht_interval(&self) -> Option<Duration> {
        let few =
            self.counters.peers.load(Ordering::Relaxed) < crate::engine::announce::dht::ENOUGH;
        // A listening peer must announce itself even if it has enough peers.
        let tell = || self.listens_at().map(|_| crate::engine::announce::dht::TELL_INTERVAL);
        few.then_some(crate::engine::announce::dht::INTERVAL).or_else(tell)
    }

    #[cfg(feature = "dht")]
    fn listens_at(&self) -> Option<u16> {
        self.host.listens_at()
    }
}
