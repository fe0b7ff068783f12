//! Fetching what a dataset lacks.
//!
//! What an earlier process left is hashed before it counts as verified. If something is missing anyway, that is fetched
//! meanwhile; else nobody is asked for anything, unless some of it turns out to be damaged.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::channel;

use super::check::{check_first, check_meanwhile};
use super::elsewhere;
use super::refresh::FromCatalogue;
use super::space;
use super::work::Work;
use crate::address::NamedBy;
use crate::counters::Phase;
use crate::engine::announce::announcer::Announcers;
use crate::engine::announce::target::{HAS_ALL, LEAVES, SEEDS};
use crate::engine::fetch_policy;
use crate::engine::resolve::Network;
use crate::engine::session::Session;
use crate::engine::sources::coordinator::Coordinator;
use crate::engine::sources::swarm::Swarm;
use crate::engine::upload::manager::UploadManager;
use crate::error::{Error, ErrorKind};
use crate::net::Client;
use crate::net::timing::GOODBYE;
use crate::picker::Schedule;
use crate::plan::{self, Layout, Rank, SourceKind, SourceSpec};
use crate::protocol::upload::SLOTS;
use crate::storage::{Here, LocalCopy, Partial};
use crate::torrent::pieces::PieceSet;
use crate::url::Url;

/// What a dataset lacks, and why that may be more than before.
struct Lack {
    /// To be fetched in all.
    bytes: u64,
    /// Those of them that an earlier process had left, and that were damaged.
    damaged_bytes: u64,
    /// To be fetched still.
    missing_bytes: u64,
    /// Files and directories that are created for it, also where no byte is missing.
    entries: u64,
}

/// Whether what is missing may be fetched, and there is room for it.
fn may_fetch(work: &Work<'_>, partial: &Partial, lack: &Lack) -> Result<(), Error> {
    let Work { session, request, counters, resolved, .. } = work;
    let limit = plan::Limit {
        requested: request.max_size_bytes,
        user: session.settings.max_size_bytes,
        origin: &request.origin,
        foreign: session.foreign,
    };
    let user_by = session.settings.configured.place_of("MAX_SIZE");
    let needed = resolved.layout().needed_bytes();
    let name = counters.name.as_str();
    if lack.missing_bytes == 0 {
        return limit.check(name, 0, lack.entries, &user_by);
    }
    fetch_policy::check(session, request, &format!("{} are", crate::size::display(lack.bytes)))
        .and_then(|()| limit.check(name, lack.bytes, lack.entries, &user_by))
        .and_then(|()| {
            space::check(
                partial,
                session,
                request,
                needed.saturating_sub(lack.missing_bytes),
                lack.missing_bytes,
            )
        })
        .map_err(|error| lack.explain(error))
}

impl Lack {
    fn of(layout: &Layout, wanted: &PieceSet, damaged_bytes: u64) -> Lack {
        let (bytes, entries) = (layout.bytes_of(wanted), layout.entries_of(wanted));
        Lack { bytes, damaged_bytes: damaged_bytes.min(bytes), missing_bytes: bytes, entries }
    }

    fn explain(&self, error: Error) -> Error {
        match self.damaged_bytes {
            0 => error,
            damaged => error.why(format!(
                "{} that an earlier run downloaded are no longer what they were",
                crate::size::display(damaged)
            )),
        }
    }
}

/// Copies what `copies` have of what is wanted, where the rest may be fetched. That is asked before anything is written: files of
/// the user's move when something is.
fn take(
    work: &Work<'_>,
    partial: &Partial,
    mut copies: Vec<LocalCopy>,
    wanted: &mut PieceSet,
    may_fetch: &dyn Fn(&PieceSet) -> Result<(), Error>,
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
///
/// # Errors
/// As [`super::dataset::provide`].
pub fn fetch(
    work: &Work<'_>,
    network: Network,
    mut copies: Vec<LocalCopy>,
    existing: Option<&LocalCopy>,
) -> Result<(), Error> {
    let Work { session, request, counters, resolved, .. } = work;
    let (metainfo, layout, id) = (&resolved.metainfo, resolved.layout(), resolved.id());
    let target = session.target(request);
    let open = || Partial::open(target, id, metainfo, layout, existing, request.hash_again);
    let (partial, mut here) = work.hashing(open)??;
    let wanted = |here: &Here| {
        let mut wanted = layout.needed();
        wanted.remove_all(&here.verified);
        wanted.remove_all(&here.unchecked);
        wanted
    };
    copies.extend(elsewhere::selections(work, &wanted(&here)));
    let mut damaged_bytes = 0;
    if wanted(&here).is_empty() || !copies.is_empty() {
        let before = layout.bytes_of(&wanted(&here));
        check_first(work, &partial, &mut here)?;
        damaged_bytes = layout.bytes_of(&wanted(&here)) - before;
    }
    let mut wanted = wanted(&here);
    let mut sources = plan::sources(request, session.settings, &network.mirrors, metainfo);
    sources.extend(resolved.peers.addresses.iter().map(|address| SourceSpec {
        rank: Rank::Torrent,
        kind: SourceKind::Peer(address.clone()),
        // They were judged when they were heard of.
        by: NamedBy::Neighbor,
    }));
    let defaults = plan::default_sources(request, session.settings, metainfo);
    let refresh = FromCatalogue::new(work, sources.clone(), defaults);
    sources.extend(refresh.defaults_at_once());
    // Another selection of the torrent may have looked for other sources.
    if let Some(Some(newer)) = session.of_catalogue(metainfo.infohash) {
        let (settings, none_refused) = (session.settings, |_: &Url| false);
        let further = plan::further_sources(request, settings, &newer, &sources, &none_refused);
        sources.extend(further);
    }
    let left_out = plan::LeftOut::of(request, session.settings, metainfo);
    let may_fetch_these = |pieces: &PieceSet| {
        let lack = Lack::of(layout, pieces, damaged_bytes);
        may_fetch(work, &partial, &lack)?;
        match sources.is_empty() && session.settings.offline && !pieces.is_empty() {
            true => Err(lack.explain(left_out.explain(offline(session, lack.bytes)))),
            false => Ok(()),
        }
    };
    take(work, &partial, copies, &mut wanted, &may_fetch_these)?;
    let (missing, entries) = (layout.bytes_of(&wanted), layout.entries_of(&wanted));
    done(work, missing);
    if wanted.is_empty() {
        counters.set_phase(Phase::Publishing);
        return work.hashing(|| partial.publish(&request.sha256))?;
    }
    counters.set_phase(Phase::Fetching);
    let mut verified = partial.readable(&wanted);
    verified.remove_all(&here.unchecked);
    let schedule = Schedule::new(layout.geometry(), wanted, fastrand::u64(..))
        .with_unchecked(here.unchecked.clone());
    let (events, heard) = channel();
    let client = network.client.map_or_else(|| Client::new(session.settings), Ok)?;
    let announcers = Announcers::new(client.separate());
    #[cfg(feature = "dht")]
    let announcers = announcers.with_dht(session.dht.clone());
    let uploads = UploadManager::new(session.rate_limiter.clone(), verified, SLOTS);
    let (shared, host) = (Arc::clone(counters), session.host.clone());
    let swarm = Swarm::new(partial, client, shared, schedule, uploads, host, events);
    let swarm = Arc::new(swarm);
    #[cfg(not(feature = "dht"))]
    if let Some(why) = plan::without_dht(request, session.settings).filter(|_| !metainfo.private) {
        swarm.phase.report.note("DHT", Ok(why));
    }
    let budget = session.budget(missing)?;
    let may_fetch = |damaged_bytes: u64, missing_bytes: u64| {
        let bytes = missing + damaged_bytes;
        let lack = Lack { bytes, damaged_bytes, missing_bytes, entries };
        may_fetch(work, &swarm.partial, &lack)
    };
    let others = (Arc::clone(&swarm), budget, announcers);
    let coordinator = Coordinator::new(others, heard, sources, left_out, &may_fetch)
        .going_on_with(resolved.peers.open.clone())
        .refreshed_by(Some(&refresh));
    let (result, announcers) = std::thread::scope(|scope| {
        if !here.unchecked.is_empty() {
            let check = || check_meanwhile(work, &swarm, &here.unchecked);
            let thread = std::thread::Builder::new().name("at-check".to_owned());
            if let Err(why) = thread.spawn_scoped(scope, check) {
                swarm.disk_failed(
                    Error::new(ErrorKind::Disk, "the system gives no more threads")
                        .why(why.to_string()),
                );
            }
        }
        // The check has ended then, or ends soon.
        coordinator.run()
    });
    if result.is_ok() {
        refresh.keep();
    }
    let goodbye = match result.is_ok() {
        true if session.host.goes_on() => SEEDS,
        true => HAS_ALL,
        false => LEAVES,
    };
    // Trackers are told while the data is being synced.
    std::thread::scope(|scope| {
        let patience = GOODBYE.min(swarm.phase.client.timing().reply);
        // Without a thread for it trackers hear nothing.
        let goodbye = move || announcers.stop(goodbye, patience);
        let _ = std::thread::Builder::new().spawn_scoped(scope, goodbye);
        let result = result.and_then(|()| {
            counters.set_phase(Phase::Publishing);
            work.hashing(|| swarm.partial.publish(&request.sha256))?
        });
        result.map_err(|error| {
            let is_offline = session.settings.offline && error.kind() == ErrorKind::Network;
            match is_offline {
                true => swarm.phase.report.explain(offline(session, missing)),
                false => error,
            }
        })
    })
}

fn done(work: &Work<'_>, missing_bytes: u64) {
    let done = work.resolved.layout().needed_bytes().saturating_sub(missing_bytes);
    work.counters.done_bytes.store(done, Ordering::Relaxed);
}

fn offline(session: &Session<'_>, missing: u64) -> Error {
    Error::new(
        ErrorKind::Offline,
        format!("{} are not here, and the network may not be used", crate::size::display(missing)),
    )
    .why(session.settings.offline_reason())
    .help("build once with the network, or name a directory with the data in ACADEMICTORRENTS_LOAD_PATH or `mirrors`")
}
