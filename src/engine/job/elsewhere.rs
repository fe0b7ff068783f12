//! Copies of a dataset that the environment names: `PATH_<NAME>`, which has precedence over
//! everything else, and the directories of `LOAD_PATH`, which are searched before anything is
//! fetched. Also copies in mirror directories, for builds that must not fetch.
//!
//! Each directory of `LOAD_PATH` is tried as a store first, then as a directory with the torrent's
//! own layout. Such a store is trusted like the user's own: if a stamp is valid, nothing is hashed.
//! Otherwise each user of a cluster would hash terabytes that the shared store has already
//! verified. Everything else is hashed once, and then stamped in the user's own store.

use std::path::PathBuf;
use std::sync::Arc;

use super::lock::wait_while_locked;
use super::work::Work;
use crate::address::NamedBy;
use crate::engine::dataset::{Provided, ProvidedFiles};
use crate::engine::resolve::{Resolved, local};
use crate::engine::session::{Session, SharedCounters};
use crate::error::{Error, ErrorKind};
use crate::manifest::{Mirror, Request, StoreKind};
use crate::plan::Layout;
use crate::storage::{LocalCopy, Site, Stamp, Store, Target, data_in_mirror, directory_fault};
use crate::torrent::infohash::Infohash;
use crate::torrent::metainfo::Metainfo;
use crate::torrent::pieces::PieceSet;

/// The copy that `PATH_<NAME>` names, which must be used. Not for datasets that no manifest
/// declares, which have no name, and not for a directory that the caller named, which is the target
/// itself.
pub fn named(session: &Session<'_>, request: &Request) -> Option<Site> {
    let may_be_named = request.origin.is_declared() && session.target(request).store().is_some();
    may_be_named.then_some(())?;
    session.settings.path_of(&request.name.variable()).cloned().map(Site::At)
}

/// A place where the dataset may be. For a store: the store, and the dataset's ID in it.
pub struct Candidate {
    pub site: Site,
    pub store: Option<(Store, String)>,
}

/// All candidates on `LOAD_PATH`, in search order.
pub fn candidates(session: &Session<'_>, infohash: Infohash, id: &str) -> Vec<Candidate> {
    let mut candidates = Vec::new();
    for directory in &session.settings.load_path {
        let store = Store::at(directory);
        if store.root() != session.shared.root() {
            let whole = infohash.to_string();
            let ids = [Some(id.to_owned()), Some(whole).filter(|whole| whole != id)];
            candidates.extend(ids.into_iter().flatten().map(|id| Candidate {
                site: Site::In(store.files_path(&id)),
                store: Some((store.clone(), id)),
            }));
        }
        candidates.push(Candidate { site: Site::In(directory.clone()), store: None });
    }
    candidates
}

/// The copy at this place, if it was verified earlier and has not changed since: costs one `stat`
/// per file.
pub fn stamped(
    session: &Session<'_>,
    request: &Request,
    infohash: Infohash,
    id: &str,
    site: &Site,
) -> Option<Provided> {
    let stamp = session.shared.present_elsewhere(id, site)?;
    stamp.holds(&request.sha256).then_some(())?;
    let stamp_path = session.shared.elsewhere_path(id, site);
    let path = site.path(&stamp.name()?);
    Some(Provided { infohash, path, stamp: stamp_path, archive: None, files: stamp.into() })
}

/// The first complete copy on `LOAD_PATH`, judged by stamps. `selected` is `None` if all files are
/// wanted. Not for a dataset with its own target.
pub fn present(
    session: &Session<'_>,
    request: &Request,
    infohash: Infohash,
    id: &str,
    selected: Option<&Resolved>,
) -> Option<Provided> {
    if request.store != StoreKind::Shared {
        return None;
    }
    let trusted = |store: &Store, id: &str| trusted(request, infohash, store, id, selected);
    let found = candidates(session, infohash, id).into_iter().find_map(|candidate| {
        let in_store = candidate.store.and_then(|(store, id)| trusted(&store, &id));
        in_store.or_else(|| stamped(session, request, infohash, id, &candidate.site))
    });
    // Another selection may contain all selected files. This search is last, because it lists the
    // store's directory.
    found.or_else(|| {
        let stores = session.settings.load_path.iter().map(|directory| Store::at(directory));
        let mut stores =
            stores.filter(|store| selected.is_some() && store.root() != session.shared.root());
        stores.find_map(|store| {
            let others = store.selections(infohash);
            others.iter().find_map(|other| trusted(&store, other))
        })
    })
}

/// The selection with this ID in a store whose stamps are trusted, if it contains all selected
/// files.
fn trusted(
    request: &Request,
    infohash: Infohash,
    store: &Store,
    id: &str,
    selected: Option<&Resolved>,
) -> Option<Provided> {
    let stamp = store.present(id).filter(|stamp| stamp.holds(&request.sha256))?;
    // The stamp may be that of another selection.
    let has_all = |it: &Resolved| stamp.has_all(&it.metainfo, &it.selection);
    if !(id == infohash.to_string() || selected.is_none_or(has_all)) {
        return None;
    }
    let path = store.files_path(id).join(stamp.name()?);
    // The copy may contain more files than were selected.
    let files = match selected {
        Some(resolved) => ProvidedFiles::Selected(Arc::clone(resolved.layout())),
        None => stamp.into(),
    };
    Some(Provided { infohash, path, stamp: store.stamp_path(id), archive: None, files })
}

/// Another selection in a store that cannot be written to, where the wanted one cannot be created.
pub fn other_selection(
    request: &Request,
    target: Target<'_>,
    resolved: &Resolved,
) -> Option<Provided> {
    let store = target.store().filter(|_| !request.hash_again && !request.is_whole())?;
    let infohash = resolved.metainfo.infohash;
    let ids = store.selections(infohash);
    ids.iter().find_map(|id| trusted(request, infohash, store, id, Some(resolved)))
}

/// Looks for the dataset in a store that cannot be written to and has no valid stamp of it: copies
/// of a store lose the files' times in a backup or an image. It is hashed each time.
///
/// # Errors
/// `error`, with the faults of copies that seemed complete; [`ErrorKind::Verification`] if a pin
/// does not match; [`ErrorKind::Stopped`].
pub fn hashed(
    session: &Session<'_>,
    request: &Request,
    resolved: &Resolved,
    counters: &SharedCounters,
    mut error: Error,
) -> Result<Provided, Error> {
    // A repair is of one copy, whatever others there are.
    let store = session.target(request).store().filter(|_| !request.hash_again);
    let Some(store) = store else { return Err(error) };
    for id in store.selections(resolved.metainfo.infohash) {
        let stamp = store.stamp_path(&id);
        let fragments = Stamp::read(&stamp).unwrap_or_default().fragments;
        let mut found = copy_in(store, &id, resolved, fragments);
        if !found.may_be_complete() {
            continue;
        }
        counters.begin_checking(resolved.layout().needed_bytes());
        found.hash(session.disk_work(counters))?;
        if found.is_right(&request.sha256)? {
            let (infohash, path) = (resolved.metainfo.infohash, found.root_path());
            let files = ProvidedFiles::Selected(Arc::clone(found.layout()));
            return Ok(Provided { infohash, path, stamp, archive: None, files });
        }
        error = error.why(format!("of the existing data: {}", found.fault()));
    }
    Err(error)
}

/// Returns the dataset's copies in mirror directories, and messages about mirrors that cannot be
/// read or have nothing. Mirrors use the torrent's own name, not the request's `rename`.
pub fn in_mirrors(work: &Work<'_>, mirrors: &[(NamedBy, Mirror)]) -> (Vec<LocalCopy>, Vec<String>) {
    let metainfo = Metainfo::clone(&work.resolved.metainfo).renamed(None);
    let layout = Arc::new(Layout::new(&metainfo, &work.resolved.selection));
    let metainfo = Arc::new(metainfo);
    let (mut copies, mut faults) = (Vec::new(), Vec::new());
    for (_, mirror) in mirrors {
        let Mirror::Directory(directory) = mirror else { continue };
        let directory = data_in_mirror(directory, &metainfo.infohash.to_string());
        if let Some(fault) = directory_fault(&directory) {
            faults.push(format!("{}: {fault}", directory.display()));
            continue;
        }
        let copy = LocalCopy::look(&Site::In(directory), &metainfo, &layout, Vec::new());
        match copy.is_something() {
            true => copies.push(copy),
            false => faults.push(copy.summary()),
        }
    }
    (copies, faults)
}

/// Copies of the wanted pieces in other selections in the user's own store, whether or not their
/// stamps are valid: each piece is hashed when it is copied.
pub fn selections(work: &Work<'_>, wanted: &PieceSet) -> Vec<LocalCopy> {
    if wanted.is_empty() {
        return Vec::new();
    }
    let (shared, resolved) = (work.session.shared, work.resolved);
    let is_its_own = |id: &String| {
        id == resolved.id() && work.session.target(work.request).workplace().root() == shared.root()
    };
    let others =
        shared.selections(resolved.metainfo.infohash).into_iter().filter(|id| !is_its_own(id));
    let found = others.map(|id| copy_in(shared, &id, resolved, Vec::new()));
    found.filter(|found| found.pieces().iter().any(|piece| wanted.contains(piece))).collect()
}

/// The copy with this ID in a store, which may have another name there: see [`Metainfo::renamed`].
/// For `fragments`, see [`LocalCopy::look`].
fn copy_in(
    store: &Store,
    id: &str,
    resolved: &Resolved,
    fragments: Vec<(u32, [u8; 20])>,
) -> LocalCopy {
    let site = Site::In(store.files_path(id));
    let name = Stamp::read(&store.stamp_path(id)).and_then(|stamp| stamp.name());
    let Some(name) = name.filter(|name| *name != resolved.metainfo.root_path()) else {
        return LocalCopy::look(&site, &resolved.metainfo, resolved.layout(), fragments);
    };
    // A name that is not UTF-8 can only be the torrent's own.
    let metainfo = Metainfo::clone(&resolved.metainfo).renamed(name.to_str());
    let layout = Arc::new(Layout::new(&metainfo, &resolved.selection));
    LocalCopy::look(&site, &Arc::new(metainfo), &layout, fragments)
}

/// Waits while another process fetches the torrent into a store on `LOAD_PATH`. If that process
/// makes no progress, the dataset is fetched here.
///
/// # Errors
/// [`ErrorKind::Stopped`].
pub fn wait_for_stores(
    session: &Session<'_>,
    request: &Request,
    infohash: Infohash,
    counters: &SharedCounters,
) -> Result<(), Error> {
    for directory in &session.settings.load_path {
        let store = Store::at(directory);
        if store.root() != session.shared.root() && !request.hash_again {
            let _ = wait_while_locked(session, &store, infohash, counters);
            session.stop().check()?;
        }
    }
    Ok(())
}

/// Whether the environment names a copy, or a directory that contains something of the dataset.
pub fn may_lie_elsewhere(session: &Session<'_>, request: &Request) -> bool {
    if named(session, request).is_some() {
        return true;
    }
    if session.settings.load_path.is_empty() {
        return false;
    }
    let Ok(Some(resolved)) = local(session, request) else { return false };
    let name = resolved.metainfo.root_path();
    candidates(session, resolved.metainfo.infohash, resolved.id())
        .iter()
        .any(|candidate| candidate.site.path(&name).exists())
}

/// The result of a search of `LOAD_PATH`.
pub enum LoadPathSearch {
    Complete(Provided),
    /// Incomplete copies, and a note about each directory for error messages.
    Incomplete(Vec<LocalCopy>, Vec<String>),
}

/// Searches `LOAD_PATH`, and hashes copies that may be complete.
///
/// # Errors
/// [`ErrorKind::Verification`] if a pin does not match; [`ErrorKind::Disk`] for the user's own
/// store.
pub fn search(work: &Work<'_>) -> Result<LoadPathSearch, Error> {
    let (mut copies, mut notes) = (Vec::new(), Vec::new());
    let Resolved { metainfo, .. } = work.resolved;
    let id = work.resolved.id();
    for Candidate { site, store } in candidates(work.session, metainfo.infohash, id) {
        let stamp = store.as_ref().and_then(|(store, id)| Stamp::read(&store.stamp_path(id)));
        let fragments = stamp.unwrap_or_default().fragments;
        let mut found = LocalCopy::look(&site, metainfo, work.resolved.layout(), fragments);
        if work.request.store == StoreKind::Shared && found.may_be_complete() {
            hash(work, &mut found)?;
            if found.is_complete() && stamp_it(work, &found)? {
                return Ok(LoadPathSearch::Complete(provided(work, &site)));
            }
            // A valid stamp would make the next run use the copy without hashing it.
            work.session.shared.remove_stamp_elsewhere(id, &site)?;
        }
        // A directory that is not a store gets no note as a store.
        if store.is_none() || found.is_something() {
            let mirrored = match &site {
                Site::In(directory) => directory.join(metainfo.infohash.to_string()),
                Site::At(_) => PathBuf::new(),
            };
            notes.push(match !found.is_something() && mirrored.is_dir() {
                true => format!(
                    "{}; it is a mirror: name it in ACADEMICTORRENTS_MIRRORS, or name {} here",
                    found.summary(),
                    mirrored.display()
                ),
                false => found.summary(),
            });
        }
        if found.is_something() {
            copies.push(found);
        }
    }
    copies.extend(other_selections(work));
    Ok(LoadPathSearch::Incomplete(copies, notes))
}

/// Parts of the dataset in other selections in the stores on `LOAD_PATH`.
fn other_selections(work: &Work<'_>) -> Vec<LocalCopy> {
    let Resolved { metainfo, .. } = work.resolved;
    let whole = metainfo.infohash.to_string();
    let stores = work.session.settings.load_path.iter().map(|directory| Store::at(directory));
    let stores = stores.filter(|store| store.root() != work.session.shared.root());
    let copies = stores.flat_map(|store| {
        let ids = store.selections(metainfo.infohash).into_iter();
        let others = ids.filter(|id| id != work.resolved.id() && *id != whole);
        others.map(|id| copy_in(&store, &id, work.resolved, Vec::new())).collect::<Vec<_>>()
    });
    copies.filter(LocalCopy::is_something).collect()
}

/// Uses the copy that the user named, which must be complete and correct.
///
/// # Errors
/// [`ErrorKind::Manifest`], with the fault first: only the user can correct the variable, even if
/// the dataset is optional. [`ErrorKind::Verification`] if a pin does not match;
/// [`ErrorKind::Disk`] for the user's own store.
pub fn use_named(work: &Work<'_>, site: &Site) -> Result<Provided, Error> {
    let Resolved { metainfo, .. } = work.resolved;
    let mut found = LocalCopy::look(site, metainfo, work.resolved.layout(), Vec::new());
    if found.may_be_complete() {
        hash(work, &mut found)?;
        if found.is_complete() && stamp_it(work, &found)? {
            return Ok(provided(work, site));
        }
    }
    let variable = format!("ACADEMICTORRENTS_PATH_{}", work.request.name.variable());
    let (place, fault) = (site.named().display().to_string(), found.fault());
    let mut error =
        Error::new(ErrorKind::Manifest, format!("the copy named by {variable} is not the dataset"))
            .why(fault.to_string());
    // For a single-file torrent, the fault already names this path.
    if metainfo.multi || fault.path().is_none() {
        error = error.why(format!("{variable} is `{place}`"));
    }
    let below = site.named().join(metainfo.root_path());
    if below.exists() {
        error = error.help(format!("did you mean {}?", below.display()));
    }
    Err(error
        .help(if metainfo.multi {
            "it must be the torrent's root directory, under any name, complete and unchanged"
        } else {
            "it must be the torrent's file, under any name, complete and unchanged"
        })
        .help(format!(
            "or unset {variable} to download the dataset; to reuse the correct parts of an incomplete\n\
             copy, add the directory that contains it to ACADEMICTORRENTS_LOAD_PATH"
        )))
}

fn hash(work: &Work<'_>, found: &mut LocalCopy) -> Result<(), Error> {
    let counters = work.counters;
    counters.begin_checking(work.resolved.layout().needed_bytes());
    work.while_alive(|| found.hash(work.disk_work()))
}

fn stamp_it(work: &Work<'_>, found: &LocalCopy) -> Result<bool, Error> {
    work.while_alive(|| {
        found.stamp_elsewhere(work.session.shared, work.resolved.id(), &work.request.sha256)
    })
}

fn provided(work: &Work<'_>, site: &Site) -> Provided {
    let Resolved { metainfo, .. } = work.resolved;
    Provided {
        infohash: metainfo.infohash,
        path: site.path(&metainfo.root_path()),
        stamp: work.session.shared.elsewhere_path(work.resolved.id(), site),
        archive: None,
        files: ProvidedFiles::Selected(Arc::clone(work.resolved.layout())),
    }
}

/// Adds the notes about `LOAD_PATH` to the error of a dataset that could not be provided.
pub fn explain(notes: &[String], mut error: Error) -> Error {
    if !matches!(error.kind(), ErrorKind::Network | ErrorKind::Offline | ErrorKind::TooLarge) {
        return error;
    }
    for note in notes {
        error = error.why(format!("ACADEMICTORRENTS_LOAD_PATH: {note}"));
    }
    error
}
