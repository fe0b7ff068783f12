//! Fetching what a dataset lacks.
//!
//! What an earlier process left on disk is hashed before it counts as verified. If data is missing
//! anyway, it is fetched at the same time; otherwise no source is contacted unless some of the data
//! turns out to be damaged.

use std::sync::Arc;
use std::sync::mpsc::channel;

use super::check_meanwhile::check_meanwhile;
use super::elsewhere;
use super::lack::{Begun, Lack, begin, may_fetch, take};
use super::refresh::FromCatalogue;
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
use crate::manifest::Request;
use crate::net::Client;
use crate::net::timing::GOODBYE;
use crate::picker::Schedule;
use crate::plan::{self, Rank, SourceKind, SourceSpec};
use crate::protocol::upload::SLOTS;
use crate::storage::LocalCopy;
use crate::torrent::pieces::PieceSet;
use crate::url::Url;

/// Fetches what is neither on disk nor in the copies.
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
    let (metainfo, layout) = (&resolved.metainfo, resolved.layout());
    // Mirror directories are local data, which every policy allows.
    let mut faults = Vec::new();
    if !fetch_policy::allows(session) {
        let (in_mirrors, why) = elsewhere::in_mirrors(work, &network.mirrors);
        copies.extend(in_mirrors);
        faults = why;
    }
    let begun = Begun::new(work, &mut copies, existing)?;
    let Begun { partial, here, mut wanted, damaged_bytes } = begun;
    let mut sources = plan::sources(request, session.settings, &network.mirrors, metainfo);
    sources.extend(resolved.peers.addresses.iter().map(|address| SourceSpec {
        rank: Rank::Torrent,
        kind: SourceKind::Peer(address.clone()),
        // Their addresses were checked when they were received.
        by: NamedBy::Neighbor,
    }));
    let defaults = plan::default_sources(request, session.settings, metainfo);
    let refresh = FromCatalogue::new(work, sources.clone(), defaults);
    sources.extend(refresh.defaults_at_once());
    // Another selection of the same torrent may already have asked the catalog.
    if let Some(Some(newer)) = session.network.of_catalogue(metainfo.infohash) {
        let (settings, none_refused) = (session.settings, |_: &Url| false);
        let further = plan::further_sources(request, settings, &newer, &sources, &none_refused);
        sources.extend(further);
    }
    let left_out = plan::DisabledSources::of(request, session.settings, metainfo);
    let may_fetch_these = |pieces: &PieceSet| {
        let lack = Lack::of(layout, pieces, damaged_bytes);
        may_fetch(work, &partial, &lack)
            .map_err(|error| faults.iter().fold(error, |error, fault| error.why(fault.clone())))?;
        match sources.is_empty() && session.settings.offline && !pieces.is_empty() {
            true => Err(lack.explain(left_out.explain(offline(session, request, lack.bytes)))),
            false => Ok(()),
        }
    };
    take(work, &partial, copies, &mut wanted, &may_fetch_these)?;
    let Lack { bytes: missing, scratch_bytes, entries, .. } = Lack::of(layout, &wanted, 0);
    session.stop().check()?;
    if wanted.is_empty() {
        begin(work, Phase::Publishing, missing);
        return work.while_alive(|| partial.publish(&request.sha256));
    }
    begin(work, Phase::Fetching, missing);
    let mut verified = partial.readable(&wanted);
    verified.remove_all(&here.unchecked);
    let schedule = Schedule::new(layout.geometry(), wanted, fastrand::u64(..))
        .with_unchecked(here.unchecked.clone());
    let (events, heard) = channel();
    let client = network.client.map_or_else(|| Client::new(session.settings), Ok)?;
    let announcers = Announcers::new(client.separate());
    #[cfg(feature = "dht")]
    let announcers = announcers.with_dht(session.network.dht.clone());
    let uploads = UploadManager::new(session.network.rate_limiter.clone(), verified, SLOTS);
    let (shared, host) = (Arc::clone(counters), session.network.host.clone());
    let swarm = Swarm::new(partial, client, shared, schedule, uploads, host, events);
    let swarm = Arc::new(swarm);
    #[cfg(not(feature = "dht"))]
    if let Some(why) = plan::without_dht(request, session.settings).filter(|_| !metainfo.private) {
        swarm.phase.report.note("DHT", Ok(why));
    }
    let budget = session.budget(missing)?;
    let may_fetch = |damaged_bytes: u64, missing_bytes: u64| {
        let bytes = missing + damaged_bytes;
        let lack = Lack { bytes, damaged_bytes, scratch_bytes, missing_bytes, entries };
        may_fetch(work, &swarm.partial, &lack)
    };
    let others = (Arc::clone(&swarm), budget, announcers);
    let mut coordinator = Coordinator::new(others, heard, sources, left_out, &may_fetch);
    coordinator.manager.peers.open = resolved.peers.open.clone();
    coordinator.refresh = Some(&refresh);
    let (result, announcers) = std::thread::scope(|scope| {
        if !here.unchecked.is_empty() {
            let check = || check_meanwhile(work, &swarm, &here.unchecked);
            let thread = std::thread::Builder::new().name("at-check".to_owned());
            if let Err(why) = thread.spawn_scoped(scope, check) {
                swarm.disk_failed(
                    Error::new(ErrorKind::Disk, "the system refused to create a thread")
                        .why(why.to_string()),
                );
            }
        }
        // The check has ended when this returns, or ends soon after.
        coordinator.run()
    });
    if result.is_ok() {
        refresh.keep();
    }
    let goodbye = match result.is_ok() {
        true if session.network.host.goes_on() => SEEDS,
        true => HAS_ALL,
        false => LEAVES,
    };
    // Says goodbye to the trackers while the data is synced.
    std::thread::scope(|scope| {
        let patience = GOODBYE.min(swarm.phase.client.timing().reply);
        // If no thread can be created, the trackers get no goodbye.
        let goodbye = move || announcers.stop(goodbye, patience);
        let _ = std::thread::Builder::new().spawn_scoped(scope, goodbye);
        let result = result.and_then(|()| {
            counters.set_phase(Phase::Publishing);
            work.while_alive(|| swarm.partial.publish(&request.sha256))
        });
        result.map_err(|error| {
            let is_offline = session.settings.offline && error.kind() == ErrorKind::Network;
            match is_offline {
                true => swarm.phase.report.explain(offline(session, request, missing)),
                false => error,
            }
        })
    })
}

fn offline(session: &Session<'_>, request: &Request, missing: u64) -> Error {
    Error::new(
        ErrorKind::Offline,
        format!("{} are missing, and network access is disabled", crate::size::display(missing)),
    )
    .why(session.settings.offline_reason())
    .why(session.store_in_words(request).unwrap_or_default())
    .help("build once with network access, or add a directory with the data to ACADEMICTORRENTS_LOAD_PATH or `mirrors`")
}
