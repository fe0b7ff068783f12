//! Copies of a dataset that the environment names: `PATH_<NAME>`, which is used whatever else there is, and the
//! directories of `LOAD_PATH`, which are searched before anything is fetched.
//!
//! What a directory of `LOAD_PATH` holds is tried as a store first, then in the torrent's own layout. A store there is
//! trusted as the user's own is: a stamp that fits needs no hashing, or each user of a cluster would hash
//! terabytes that their store has verified. All else is hashed once, and stamped in the user's own store.

use std::sync::atomic::Ordering;

use super::dataset::Work;
use super::{Provided, Session};
use crate::counters::Phase;
use crate::error::{Error, ErrorKind};
use crate::infohash::Infohash;
use crate::manifest::{Request, StoreKind};
use crate::plan;
use crate::store::{Found, Site, Stamp, Store};

/// The copy that the user wants to be used, and nothing else. A call's dataset has no name to be named by.
pub fn named(session: &Session<'_>, request: &Request) -> Option<Site> {
    request.line?;
    session.settings.path_of(&request.name.variable()).cloned().map(Site::At)
}

/// A place where the dataset may lie; of a store, the store and the id that it has there.
struct Candidate {
    site: Site,
    store: Option<(Store, String)>,
}

fn candidates(session: &Session<'_>, infohash: Infohash, id: &str) -> Vec<Candidate> {
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

/// A place of `LOAD_PATH` where a dataset may lie.
#[cfg(feature = "cli")]
pub struct OnLoadPath {
    pub site: Site,
    /// The digests that another store's stamp has.
    pub fragments: Vec<(u32, [u8; 20])>,
    /// That store's stamp says that it is complete.
    pub is_stamped: bool,
}

/// All such places, in the order in which they are searched.
#[cfg(feature = "cli")]
pub fn places(session: &Session<'_>, infohash: Infohash, id: &str) -> Vec<OnLoadPath> {
    let place = |Candidate { site, store }| {
        let Some((store, id)): Option<(Store, String)> = store else {
            return OnLoadPath { site, fragments: Vec::new(), is_stamped: false };
        };
        let stamp = Stamp::read(&store.stamp_path(&id)).unwrap_or_default();
        let is_stamped = store.present(&id).is_some();
        OnLoadPath { site, fragments: stamp.fragments, is_stamped }
    };
    candidates(session, infohash, id).into_iter().map(place).collect()
}

/// The copy at this place, where it was verified and is as it was then: a `stat` for each file.
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
    Some(Provided { infohash, path: site.path(stamp.name()?), stamp: stamp_path })
}

/// The first complete copy on `LOAD_PATH`, by its stamp. A dataset that shall lie elsewhere is never used from there.
pub fn present(
    session: &Session<'_>,
    request: &Request,
    infohash: Infohash,
    id: &str,
) -> Option<Provided> {
    if request.store != StoreKind::Shared {
        return None;
    }
    candidates(session, infohash, id).into_iter().find_map(|Candidate { site, store }| {
        if let Some((store, id)) = store
            && let Some(stamp) = store.present(&id).filter(|stamp| stamp.holds(&request.sha256))
        {
            let stamp_path = store.stamp_path(&id);
            return Some(Provided { infohash, path: site.path(stamp.name()?), stamp: stamp_path });
        }
        stamped(session, request, infohash, id, &site)
    })
}

/// See [`super::may_lie_elsewhere`].
pub fn may_be(session: &Session<'_>, request: &Request) -> bool {
    if named(session, request).is_some() {
        return true;
    }
    if session.settings.load_path.is_empty() {
        return false;
    }
    let Ok(Some((metainfo, _))) = super::at_hand::at_hand(session, request) else { return false };
    let Ok(selection) = plan::selection(&metainfo, request) else { return false };
    let name = super::dataset::name_of(&metainfo);
    candidates(session, metainfo.infohash, selection.id())
        .iter()
        .any(|candidate| candidate.site.path(&name).exists())
}

/// What a search of `LOAD_PATH` brought.
pub enum Search {
    Complete(Provided),
    /// Copies that lack something, and what is to be said of each directory.
    Incomplete(Vec<Found>, Vec<String>),
}

/// Searches `LOAD_PATH`, and hashes what may be complete.
///
/// # Errors
/// [`ErrorKind::Verification`] for a pin that does not hold; [`ErrorKind::Disk`] of the user's own store.
pub fn search(work: &Work<'_>) -> Result<Search, Error> {
    let (mut copies, mut notes) = (Vec::new(), Vec::new());
    for Candidate { site, store } in candidates(work.session, work.metainfo.infohash, work.id) {
        let stamp = store.as_ref().and_then(|(store, id)| Stamp::read(&store.stamp_path(id)));
        let fragments = stamp.unwrap_or_default().fragments;
        let mut found = Found::look(&site, &work.metainfo, &work.layout, fragments);
        if work.request.store == StoreKind::Shared && found.may_be_complete() {
            hash(work, &mut found)?;
            if found.is_complete() && stamp_it(work, &found)? {
                return Ok(Search::Complete(provided(work, &site)));
            }
            // One that fits would bring it back to the next run, which hashes nothing.
            work.session.shared.remove_stamp_elsewhere(work.id, &site)?;
        }
        // What is no store is not told as one.
        if store.is_none() || found.is_something() {
            notes.push(found.summary());
        }
        if found.is_something() {
            copies.push(found);
        }
    }
    Ok(Search::Incomplete(copies, notes))
}

/// Uses the copy that was named, which must be right.
///
/// # Errors
/// [`ErrorKind::Manifest`], with what is wrong first: the variable is the user's to correct, for an optional dataset
/// too. [`ErrorKind::Verification`] for a pin that does not hold; [`ErrorKind::Disk`] of the user's own store.
pub fn use_named(work: &Work<'_>, site: &Site) -> Result<Provided, Error> {
    let mut found = Found::look(site, &work.metainfo, &work.layout, Vec::new());
    if found.may_be_complete() {
        hash(work, &mut found)?;
        if found.is_complete() && stamp_it(work, &found)? {
            return Ok(provided(work, site));
        }
    }
    let variable = format!("ACADEMICTORRENTS_PATH_{}", work.request.name.variable());
    let (place, fault) = (site.named().display().to_string(), found.fault());
    let mut error = Error::new(
        ErrorKind::Manifest,
        format!("the copy that {variable} names is not the dataset"),
    )
    .why(&fault);
    // A torrent's single file is named already.
    if work.metainfo.multi || !fault.contains(&place) {
        error = error.why(format!("{variable} is `{place}`"));
    }
    let below = site.named().join(super::dataset::name_of(&work.metainfo));
    if below.exists() {
        error = error.help(format!("did you mean {}?", below.display()));
    }
    Err(error
        .help(if work.metainfo.multi {
            "give the torrent's root directory, whatever it is called, complete and unchanged"
        } else {
            "give the torrent's file, whatever it is called, complete and unchanged"
        })
        .help(format!(
            "or unset {variable}, and the dataset is fetched; what is right of an incomplete copy\n\
             is taken where ACADEMICTORRENTS_LOAD_PATH names its directory"
        )))
}

fn hash(work: &Work<'_>, found: &mut Found) -> Result<(), Error> {
    let counters = work.counters;
    counters.total_bytes.store(work.layout.needed_bytes(), Ordering::Relaxed);
    counters.done_bytes.store(0, Ordering::Relaxed);
    counters.set_phase(Phase::Checking);
    work.hashing(|| found.hash(&counters.done_bytes))
}

fn stamp_it(work: &Work<'_>, found: &Found) -> Result<bool, Error> {
    work.hashing(|| found.stamp(work.session.shared, work.id, &work.request.sha256))?
}

fn provided(work: &Work<'_>, site: &Site) -> Provided {
    Provided {
        infohash: work.metainfo.infohash,
        path: site.path(&super::dataset::name_of(&work.metainfo)),
        stamp: work.session.shared.elsewhere_path(work.id, site),
    }
}

/// Adds what was found on `LOAD_PATH` to the error of a dataset that could not be had otherwise.
pub fn explain(notes: &[String], mut error: Error) -> Error {
    if !matches!(error.kind(), ErrorKind::Network | ErrorKind::Offline | ErrorKind::TooLarge) {
        return error;
    }
    for note in notes {
        error = error.why(format!("ACADEMICTORRENTS_LOAD_PATH: {note}"));
    }
    error
}
