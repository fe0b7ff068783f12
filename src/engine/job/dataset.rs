//! One dataset, from the check of what is on disk to its publication.

use super::elsewhere::{self, LoadPathSearch};
#[cfg(feature = "fetch")]
use super::fetch;
#[cfg(not(feature = "fetch"))]
use super::local as fetch;
use super::lock::lock_or_look;
use super::present::{present_as, provided_as};
use super::work::Work;
use crate::counters::Phase;
use crate::engine::dataset::Provided;
use crate::engine::resolve::{self, Network};
use crate::engine::session::{Session, SharedCounters};
use crate::error::{Error, ErrorKind};
use crate::manifest::Request;
#[cfg(feature = "fetch")]
use crate::net::Timing;
use crate::storage::{LocalCopy, Site, Target};

/// Provides a dataset that was not complete when it was looked up.
///
/// # Errors
/// Any [`ErrorKind`].
pub fn provide(
    session: &Session<'_>,
    request: &Request,
    counters: &SharedCounters,
) -> Result<Provided, Error> {
    let named = elsewhere::named(session, request);
    // The stamp of a copy elsewhere is in the shared store.
    let target = match &named {
        Some(_) => Target::Store(session.shared),
        None => session.target(request),
    };
    counters.set_phase(Phase::Metainfo);
    let network = Network::open(session, request)?;
    let mut resolved = resolve::resolve(session, request, Some(&network))?;
    resolved.check_pins(request)?;
    #[cfg(feature = "unpack")]
    super::tree_plan::plan(session, request, &resolved)?;
    if named.is_none() {
        session.check_path(&provided_as(target, &resolved).path)?;
        elsewhere::wait_for_stores(session, request, resolved.metainfo.infohash, counters)?;
    }
    let look = |error: Error| {
        let mut found = present_as(session, request, &resolved);
        if named.is_none() {
            found = found.or_else(|| elsewhere::other_selection(request, target, &resolved));
        }
        match found {
            Some(found) => Ok(found),
            None if named.is_some() => Err(error),
            None => elsewhere::hashed(session, request, &resolved, counters, error),
        }
    };
    let lock = match lock_or_look(session, target, resolved.metainfo.infohash, counters, &look)? {
        Ok(lock) => lock,
        Err(found) => return Ok(found),
    };
    let torrent = std::mem::take(&mut resolved.bytes);
    let work = Work { session, request, counters, lock: &lock, resolved: &resolved };
    provide_locked(&work, torrent, named, network).map_err(|error| {
        target.left(resolved.id(), resolved.metainfo.infohash, resolved.layout(), error)
    })
}

fn provide_locked(
    work: &Work<'_>,
    torrent: Vec<u8>,
    named: Option<Site>,
    network: Network,
) -> Result<Provided, Error> {
    let Work { session, request, counters, resolved, .. } = work;
    let (metainfo, id) = (&resolved.metainfo, resolved.id());
    let target = session.target(request);
    session.stop().check()?;
    target.workplace().keep_torrent(metainfo, &torrent)?;
    drop(torrent); // up to 64 MiB, not needed during the download
    if let Some(found) = present_as(session, request, resolved) {
        return Ok(found);
    }
    if let Some(site) = named {
        return elsewhere::use_named(work, &site);
    }
    // Another build may have completed it while this one waited for the lock; or the dataset was
    // complete and a pin is new.
    let there = provided_as(target, resolved);
    let mut existing = None;
    match target.present(id) {
        Some(_) if request.hash_again => {
            existing = work.existing()?;
            if work.is_stamped(existing.as_ref())? {
                return Ok(there);
            }
        }
        Some(stamp) if stamp.holds(&request.sha256) => return Ok(there),
        Some(mut stamp) => {
            counters.set_phase(Phase::Checking);
            let pins = &request.sha256;
            work.while_alive(|| target.workplace().pin(id, &mut stamp, metainfo, pins))?;
            return Ok(there);
        }
        None => {}
    }
    match elsewhere::search(work)? {
        LoadPathSearch::Complete(provided) => Ok(provided),
        LoadPathSearch::Incomplete(copies, notes) => complete(work, network, copies, existing)
            .map_err(|error| elsewhere::explain(&notes, error))
            .map(|()| there),
    }
}

/// Completes and stamps a dataset from whatever is on disk: copies what `copies` have, and fetches
/// the rest.
fn complete(
    work: &Work<'_>,
    network: Network,
    copies: Vec<LocalCopy>,
    existing: Option<LocalCopy>,
) -> Result<(), Error> {
    let Work { session, request, resolved, .. } = work;
    let (metainfo, layout, id) = (&resolved.metainfo, resolved.layout(), resolved.id());
    let own = session.target(request).store();
    if let Some(store) = own.filter(|store| store.root() != session.shared.root()) {
        let copy = || store.copy_from(session.shared, id, (metainfo, layout), &request.sha256);
        if work.while_alive(copy)?.is_some() {
            return Ok(());
        }
    }
    let existing = match existing {
        None => work.existing()?,
        hashed => hashed,
    };
    // Hashing may have taken minutes: peers that delivered the metainfo may have others to serve.
    #[cfg(feature = "fetch")]
    resolved.peers.open.expire(Timing::for_timeout(session.settings.timeout).silence);
    if work.is_stamped(existing.as_ref())? {
        return Ok(());
    }
    let damaged = existing.as_ref().filter(|_| own.is_some());
    fetch::fetch(work, network, copies, existing.as_ref()).map_err(|error| {
        let explains =
            matches!(error.kind(), ErrorKind::Network | ErrorKind::Offline | ErrorKind::TooLarge);
        match damaged.filter(|_| explains) {
            Some(existing) => error.why(format!("of the existing data: {}", existing.fault())),
            None => error,
        }
    })
}
