//! One dataset: is it there, and if not, all it takes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

use super::announcer::{Announcers, HAS_ALL, LEAVES, SEEDS};
use super::coordinator::Coordinator;
use super::elsewhere::{self, Search};
use super::lock::{lock, while_alive};
use super::swarm::Swarm;
use super::uploads::Uploads;
use super::{Provided, Session, SharedCounters, at_hand, locate, path_of, permission, space};
use crate::counters::Phase;
use crate::error::{Error, ErrorKind};
use crate::infohash::Infohash;
use crate::manifest::Request;
use crate::metainfo::Metainfo;
use crate::net::Client;
use crate::pieces::PieceSet;
use crate::plan::{self, Layout, Rank, Selection, SourceKind, SourceSpec};
use crate::protocol::upload::SLOTS;
use crate::schedule::Schedule;
use crate::store::{Existing, Found, Lock, Partial, Store};

/// How long trackers are given to hear that we leave.
const GOODBYE: Duration = Duration::from_secs(1);

/// The dataset, where it is complete already: a `stat` for each file, no hash, no socket.
///
/// # Errors
/// Of a vendored torrent or of `files`.
pub fn present(session: &Session<'_>, request: &Request) -> Result<Option<Provided>, Error> {
    look(session, request).map_err(|error| session.declared(request, error))
}

fn look(session: &Session<'_>, request: &Request) -> Result<Option<Provided>, Error> {
    if request.hash_again {
        return Ok(None);
    }
    let store = session.store(request);
    let (infohash, id) = if request.is_whole() {
        // All files: the stamp says everything else.
        let Some(infohash) = at_hand::infohash(request)? else { return Ok(None) };
        (infohash, infohash.to_string())
    } else {
        let Some((metainfo, _)) = at_hand::at_hand(session, request)? else { return Ok(None) };
        (metainfo.infohash, plan::selection(&metainfo, request)?.id().to_owned())
    };
    if let Some(site) = elsewhere::named(session, request) {
        return Ok(elsewhere::stamped(session, request, infohash, &id, &site));
    }
    let stamp = store.present(&id).filter(|stamp| stamp.holds(&request.sha256));
    let found = stamp.and_then(|stamp| Some(provided(store, infohash, &id, stamp.name()?)));
    Ok(found.or_else(|| elsewhere::present(session, request, infohash, &id)))
}

pub fn provided(store: &Store, infohash: Infohash, id: &str, name: &Path) -> Provided {
    Provided { infohash, path: path_of(store, id, name), stamp: store.stamp_path(id) }
}

/// The first component of all its paths.
pub fn name_of(metainfo: &Metainfo) -> PathBuf {
    let file = metainfo.files.first().map(|file| metainfo.layout_path(file)).unwrap_or_default();
    file.iter().next().map(PathBuf::from).unwrap_or_default()
}

/// See [`super::would_be`].
pub fn would_be(session: &Session<'_>, request: &Request) -> Provided {
    let store = session.store(request);
    let at_hand = at_hand::at_hand(session, request).ok().flatten();
    let infohash =
        at_hand.as_ref().map(|(metainfo, _)| metainfo.infohash).or(request.identity.infohash);
    let infohash = infohash.unwrap_or(Infohash::from_bytes([0; 20]));
    match at_hand
        .and_then(|(metainfo, _)| Some((plan::selection(&metainfo, request).ok()?, metainfo)))
    {
        Some((selection, metainfo)) => {
            provided(store, infohash, selection.id(), &name_of(&metainfo))
        }
        None => provided(store, infohash, &infohash.to_string(), Path::new(request.name.as_str())),
    }
}

/// Provides a dataset that was not there when it was looked for.
///
/// # Errors
/// See [`ErrorKind`]: each of its kinds can happen here.
pub fn provide(
    session: &Session<'_>,
    request: &Request,
    counters: &SharedCounters,
) -> Result<Provided, Error> {
    let settings = session.settings;
    let named = elsewhere::named(session, request);
    // A copy's stamp lies in the shared store.
    let store = if named.is_some() { session.shared } else { session.store(request) };
    counters.set_phase(Phase::Metainfo);
    let client = if settings.offline { None } else { Some(Client::new(settings)?) };
    let mirrors = plan::metainfo_mirrors(request, settings)?;
    // Proxies, certificates and mirrors of the environment are not the manifest's fault; what follows may be.
    let declared = |error| session.declared(request, error);
    let locate::Located { metainfo, bytes, peers } =
        locate::find(session, request, &mirrors, client.as_ref()).map_err(declared)?;
    let selection = plan::selection(&metainfo, request).map_err(declared)?;
    let id = selection.id();
    check_pinned(&metainfo, &selection, request).map_err(declared)?;
    store.create()?;
    let lock = lock(session, store, &metainfo, counters)?;
    if store.torrent(metainfo.infohash).as_deref() != Some(&bytes) {
        store.keep_torrent(metainfo.infohash, &bytes)?;
    }
    let layout = Arc::new(Layout::new(&metainfo, &selection));
    let metainfo = Arc::new(metainfo);
    let work = Work { session, request, counters, lock: &lock, metainfo, layout, id, peers };
    let metainfo = &work.metainfo;
    if let Some(found) = look(session, request).map_err(declared)? {
        return Ok(found);
    }
    if let Some(site) = named {
        return elsewhere::use_named(&work, &site);
    }
    // While we waited, another build may have brought it; or it was there, and a pin is new.
    let there = provided(store, metainfo.infohash, id, &name_of(metainfo));
    let mut existing = None;
    match store.present(id) {
        Some(_) if request.hash_again => {
            existing = work.existing()?;
            if work.is_stamped(existing.as_ref())? {
                return Ok(there);
            }
        }
        Some(stamp) if stamp.holds(&request.sha256) => return Ok(there),
        Some(stamp) => {
            counters.set_phase(Phase::Checking);
            work.hashing(|| store.pin(id, stamp, metainfo, &request.sha256))??;
            return Ok(there);
        }
        None => {}
    }
    match elsewhere::search(&work)? {
        Search::Complete(provided) => Ok(provided),
        Search::Incomplete(copies, notes) => complete(&work, client, &mirrors, copies, existing)
            .map_err(|error| elsewhere::explain(&notes, error))
            .map(|()| there),
    }
}

/// A dataset that is not there, and all that was found out about it. The lock is held.
pub struct Work<'a> {
    pub session: &'a Session<'a>,
    pub request: &'a Request,
    pub counters: &'a SharedCounters,
    pub lock: &'a Lock,
    pub metainfo: Arc<Metainfo>,
    pub layout: Arc<Layout>,
    pub id: &'a str,
    /// Those that were met on the way to the metainfo.
    pub peers: Vec<String>,
}

impl Work<'_> {
    /// Does work on what is on disk, in the pool for that, while those who wait for the lock are told that we live.
    ///
    /// # Errors
    /// [`ErrorKind::Disk`] where there are no threads.
    pub fn hashing<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, Error> {
        let pool = self.session.hashing()?;
        let (mut work, mut result) = (Some(work), None);
        let mut run = || result = work.take().map(|work| work());
        while_alive(self.lock, pool, &mut run);
        result.ok_or_else(|| Error::new(ErrorKind::Disk, "the pool of threads did not do its work"))
    }

    /// What lies at the dataset's place, hashed.
    pub fn existing(&self) -> Result<Option<Existing>, Error> {
        let (store, done_bytes) = (self.session.store(self.request), &self.counters.done_bytes);
        self.counters.total_bytes.store(self.layout.needed_bytes(), Ordering::Relaxed);
        done_bytes.store(0, Ordering::Relaxed);
        self.counters.set_phase(Phase::Checking);
        self.hashing(|| Existing::look(store, self.id, &self.metainfo, &self.layout, done_bytes))
    }

    /// Stamps what was hashed where it is complete. Where it is damaged its stamp goes, whatever comes of the rest.
    pub fn is_stamped(&self, existing: Option<&Existing>) -> Result<bool, Error> {
        let (store, pins) = (self.session.store(self.request), &self.request.sha256);
        match existing {
            Some(complete) if complete.is_complete() => {
                self.hashing(|| complete.stamp(store, self.id, &self.metainfo, pins))??;
                Ok(true)
            }
            Some(_) if store.keeps_stamps() => store.remove_stamp(self.id).map(|()| false),
            _ => Ok(false),
        }
    }
}

/// A pin on a file that is not fetched would be found only after the download.
pub fn check_pinned(
    metainfo: &Metainfo,
    selection: &Selection,
    request: &Request,
) -> Result<(), Error> {
    let mut unknown = request.sha256.clone();
    for index in selection.files() {
        if unknown.is_empty() {
            break;
        }
        if let Some(file) = metainfo.files.get(*index as usize) {
            unknown.remove(&metainfo.display_path(file));
        }
    }
    match unknown.keys().next() {
        None => Ok(()),
        Some(path) => Err(Error::new(ErrorKind::Manifest, format!("`sha256` pins `{path}`, which is not among the selected files"))
            .help("name the file by its path below the torrent's own directory; a single file by its name")),
    }
}

/// From whatever is on disk to a stamped dataset. What `copies` have is copied, and the rest is fetched.
fn complete(
    work: &Work<'_>,
    client: Option<Client>,
    mirrors: &[crate::manifest::Mirror],
    copies: Vec<Found>,
    existing: Option<Existing>,
) -> Result<(), Error> {
    let Work { session, request, metainfo, id, .. } = work;
    let store = session.store(request);
    if store.keeps_stamps() && store.root() != session.shared.root() {
        let copy = || store.copy_from(session.shared, id, metainfo, &request.sha256);
        if work.hashing(copy)??.is_some() {
            return Ok(());
        }
    }
    let existing = match existing {
        None => work.existing()?,
        hashed => hashed,
    };
    if work.is_stamped(existing.as_ref())? {
        return Ok(());
    }
    let damaged = existing.as_ref().filter(|_| store.keeps_stamps());
    fetch(work, client, mirrors, copies, existing.as_ref()).map_err(|error| {
        let explains =
            matches!(error.kind(), ErrorKind::Network | ErrorKind::Offline | ErrorKind::TooLarge);
        match damaged.filter(|_| explains) {
            Some(existing) => {
                let fault = existing.fault(&store.files_path(id).into(), metainfo);
                error.why(format!("of what is there: {fault}"))
            }
            None => error,
        }
    })
}

/// Whether what is wanted may be fetched, and there is room for it.
fn may_fetch(work: &Work<'_>, partial: &Partial, wanted: &PieceSet) -> Result<(), Error> {
    let Work { session, request, counters, layout, .. } = work;
    let missing = bytes_of(layout, wanted);
    if missing == 0 {
        return Ok(());
    }
    permission::check(session, request, &format!("{} are", crate::size::display(missing)))?;
    let limit = plan::Limit {
        manifest: request.max_size_bytes,
        user: session.settings.max_size_bytes,
        call: request.max_size_by,
        foreign: session.foreign,
    };
    let user_by = session.settings.configured.place_of("MAX_SIZE");
    limit.check(counters.name.as_str(), missing, &user_by)?;
    space::check(partial, request, layout.needed_bytes() - missing, missing)
}

fn bytes_of(layout: &Layout, pieces: &PieceSet) -> u64 {
    pieces.iter().map(|piece| u64::from(layout.geometry().len(piece))).sum()
}

/// Copies what `copies` have of what is wanted, where the rest may be fetched. That is asked before anything is written: files of
/// the user's move when something is.
fn take(
    work: &Work<'_>,
    partial: &Partial,
    mut copies: Vec<Found>,
    wanted: &mut PieceSet,
    has_sources: &dyn Fn(u64) -> Result<(), Error>,
) -> Result<(), Error> {
    let done_bytes = &work.counters.done_bytes;
    let mut lacking = wanted.clone();
    for copy in &mut copies {
        if partial.would_move_files() && !copy.is_hashed() {
            done_bytes.store(0, Ordering::Relaxed);
            work.hashing(|| copy.hash(done_bytes))?;
        }
        lacking.remove_all(copy.pieces());
    }
    let may_fetch = |pieces: &PieceSet| {
        may_fetch(work, partial, pieces)?;
        has_sources(bytes_of(&work.layout, pieces))
    };
    may_fetch(&lacking)?;
    for copy in &copies {
        done_bytes.store(0, Ordering::Relaxed);
        let taken = work.hashing(|| partial.take(copy, wanted, done_bytes))??;
        wanted.remove_all(&taken);
    }
    // A copy that was not hashed, or has changed, may have had less.
    if copies.is_empty() { Ok(()) } else { may_fetch(wanted) }
}

/// Fetches what neither the data that is there nor the copies have.
fn fetch(
    work: &Work<'_>,
    client: Option<Client>,
    mirrors: &[crate::manifest::Mirror],
    copies: Vec<Found>,
    existing: Option<&Existing>,
) -> Result<(), Error> {
    let Work { session, request, counters, metainfo, layout, id, .. } = work;
    let store = session.store(request);
    let done_bytes = &counters.done_bytes;
    let hashed = AtomicU64::new(0);
    let open = || Partial::open(store, id, metainfo, layout, existing, request.hash_again, &hashed);
    let (partial, found) = work.hashing(open)??;
    let mut wanted = layout.needed();
    wanted.remove_all(&found);
    let mut sources = plan::sources(request, session.settings, mirrors, metainfo);
    sources.extend(work.peers.iter().map(|address| SourceSpec {
        rank: Rank::Torrent,
        kind: SourceKind::Peer(address.clone()),
    }));
    let left_out = plan::LeftOut::of(request, session.settings, metainfo);
    let has_sources = |missing| match sources.is_empty() && session.settings.offline {
        true if missing > 0 => Err(left_out.explain(offline(session, missing))),
        _ => Ok(()),
    };
    take(work, &partial, copies, &mut wanted, &has_sources).map_err(|error| partial.left(error))?;
    let mut verified = layout.needed();
    verified.remove_all(&wanted);
    let schedule = Schedule::new(layout.geometry(), wanted, fastrand::u64(..));
    let missing = schedule.wanted_bytes();
    done_bytes.store(layout.needed_bytes() - missing, Ordering::Relaxed);
    if missing == 0 {
        counters.set_phase(Phase::Publishing);
        let published = work.hashing(|| partial.publish(&request.sha256))?;
        return published.map_err(|error| partial.left(error));
    }
    counters.set_phase(Phase::Fetching);
    let (events, heard) = channel();
    let client = client.map_or_else(|| Client::new(session.settings), Ok)?;
    let announcers = Announcers::new(client.separate());
    #[cfg(feature = "dht")]
    let announcers = announcers.with_dht(session.dht.clone());
    let uploads = Uploads::new(session.uplink.clone(), verified, SLOTS);
    let (shared, host) = (Arc::clone(counters), session.host.clone());
    let swarm = Swarm::new(partial, client, shared, schedule, uploads, host, events);
    let swarm = Arc::new(swarm);
    #[cfg(not(feature = "dht"))]
    if let Some(why) = plan::without_dht(request, session.settings).filter(|_| !metainfo.private) {
        swarm.report.note("DHT", why);
    }
    let budget = session.budget(missing)?;
    let coordinator =
        Coordinator::new(Arc::clone(&swarm), budget, heard, announcers, sources, left_out);
    let (result, announcers) = coordinator.run();
    let goodbye = match result.is_ok() {
        true if session.host.goes_on() => SEEDS,
        true => HAS_ALL,
        false => LEAVES,
    };
    // Trackers are told while the data is being synced.
    std::thread::scope(|scope| {
        let patience = GOODBYE.min(swarm.client.timing().reply);
        scope.spawn(move || announcers.stop(goodbye, patience));
        let result = result.and_then(|()| {
            counters.set_phase(Phase::Publishing);
            work.hashing(|| swarm.partial.publish(&request.sha256))?
        });
        result.map_err(|error| {
            let is_offline = session.settings.offline && error.kind() == ErrorKind::Network;
            swarm.partial.left(match is_offline {
                true => swarm.report.explain(offline(session, missing)),
                false => error,
            })
        })
    })
}

fn offline(session: &Session<'_>, missing: u64) -> Error {
    Error::new(
        ErrorKind::Offline,
        format!("{} are not here, and the network may not be used", crate::size::display(missing)),
    )
    .why(session.settings.offline_reason())
    .help("build once with the network, or name a directory with the data in ACADEMICTORRENTS_LOAD_PATH or `mirrors`")
}
