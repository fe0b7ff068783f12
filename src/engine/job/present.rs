//! Datasets that are already complete.

use std::path::Path;
use std::sync::Arc;

use super::elsewhere;
#[cfg(feature = "engine")]
use crate::counters::Phase;
use crate::engine::dataset::{Provided, ProvidedFiles};
use crate::engine::resolve::{self, Resolved};
use crate::engine::session::Session;
use crate::error::Error;
use crate::manifest::Request;
use crate::storage::Target;
use crate::torrent::infohash::Infohash;

/// Returns the dataset if it is already complete. Costs one `stat` per file; hashes nothing and
/// opens no socket.
///
/// # Errors
/// For an invalid vendored torrent or `files`.
pub fn present(session: &Session<'_>, request: &Request) -> Result<Option<Provided>, Error> {
    if request.hash_again {
        return Ok(None);
    }
    if request.is_whole() {
        // For all files of a torrent, the stamp is enough; the torrent need not be read.
        let infohash =
            resolve::infohash(request).map_err(|error| request.origin.declared(error))?;
        return Ok(infohash.and_then(|it| look_for(session, request, it, &it.to_string(), None)));
    }
    Ok(resolve::local(session, request)?.and_then(|it| present_as(session, request, &it)))
}

/// Like [`present`], for a resolved request.
pub fn present_as(
    session: &Session<'_>,
    request: &Request,
    resolved: &Resolved,
) -> Option<Provided> {
    let selected = (!request.is_whole()).then_some(resolved);
    look_for(session, request, resolved.metainfo.infohash, resolved.id(), selected)
}

/// Like [`present`], for a known ID. `selected` is `Some` if the request may not want all files.
fn look_for(
    session: &Session<'_>,
    request: &Request,
    infohash: Infohash,
    id: &str,
    selected: Option<&Resolved>,
) -> Option<Provided> {
    if request.hash_again {
        return None;
    }
    if let Some(site) = elsewhere::named(session, request) {
        return elsewhere::stamped(session, request, infohash, id, &site);
    }
    let target = session.target(request);
    let stamp = target.present(id).filter(|stamp| stamp.holds(&request.sha256));
    let found = stamp.and_then(|stamp| {
        let name = stamp.name()?;
        Some(provided(target, infohash, id, &name, stamp.into()))
    });
    let found = found.or_else(|| elsewhere::present(session, request, infohash, id, selected));
    found.or_else(|| {
        let is_read_only = |_: &_| target.store().is_some_and(|it| it.is_read_only(infohash));
        elsewhere::other_selection(request, target, selected.filter(is_read_only)?)
    })
}

/// Hashes the files of a dataset that is not present by its stamp, if they are in a store that
/// cannot be written to: [`super::provide::provide_all`] does the same there. `begin` is called
/// before that, and its result is kept until it is done.
///
/// # Errors
/// `missing` if the dataset is not there, with the faults of what is; for an invalid vendored
/// torrent or `files`; [`crate::ErrorKind::Verification`] if a pin does not match.
#[cfg(feature = "engine")]
pub fn hashed<Guard>(
    session: &Session<'_>,
    request: &Request,
    missing: Error,
    begin: impl FnOnce() -> Guard,
) -> Result<Provided, Error> {
    let store = session.target(request).store().filter(|_| request.unpack.is_none());
    let is_read_only = |it: &Resolved| {
        store.is_some_and(|store| store.is_read_only(it.metainfo.infohash))
            && elsewhere::named(session, request).is_none()
    };
    let Some(resolved) = resolve::local(session, request)?.filter(is_read_only) else {
        return Err(missing);
    };
    let _guard = begin();
    let counters = session.counters.add(request.name.as_str());
    let found = elsewhere::hashed(session, request, &resolved, &counters, missing);
    counters.set_phase(if found.is_ok() { Phase::Done } else { Phase::Failed });
    found
}

fn provided(
    target: Target<'_>,
    infohash: Infohash,
    id: &str,
    name: &Path,
    files: ProvidedFiles,
) -> Provided {
    let stamp = target.workplace().stamp_path(id);
    Provided { infohash, path: target.files_path(id).join(name), stamp, archive: None, files }
}

/// Where the dataset is once it is complete: the file or directory with the torrent's name.
pub fn provided_as(target: Target<'_>, resolved: &Resolved) -> Provided {
    let metainfo = &resolved.metainfo;
    let files = ProvidedFiles::Selected(Arc::clone(resolved.layout()));
    provided(target, metainfo.infohash, resolved.id(), &metainfo.root_path(), files)
}

/// Where the dataset would be, for builds without data (docs.rs): as exact as possible without any
/// look-up.
pub fn would_be(session: &Session<'_>, request: &Request) -> Provided {
    let target = session.target(request);
    let located = resolve::at_hand(session, request).ok().flatten();
    let infohash = located.as_ref().map(|it| it.metainfo.infohash).or(request.identity.infohash);
    let infohash = infohash.unwrap_or(Infohash::from_bytes([0; 20]));
    match located.and_then(|it| it.select(request).ok()) {
        Some(resolved) => provided_as(target, &resolved),
        None => {
            let name = Path::new(request.name.as_str());
            provided(target, infohash, &infohash.to_string(), name, ProvidedFiles::Unknown)
        }
    }
}
