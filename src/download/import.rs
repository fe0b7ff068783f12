//! Bytes that are on this machine already become a dataset of the store: `import`.
//!
//! What lies at the path is hashed first, and nothing is written for what does not fit; what does is taken over by
//! `store/adopt.rs`, where it is hashed again. Nothing but the torrent is fetched.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::dataset::{Work, check_pinned, name_of, provided};
use super::lock::lock;
use super::{Provided, Session, SharedCounters, at_hand, locate, roots};
use crate::counters::Phase;
use crate::error::Error;
use crate::manifest::Request;
use crate::metainfo::Metainfo;
use crate::net::Client;
use crate::plan::{self, Layout};
use crate::store::{Adopted, Found, Partial, Site};

/// What became of a path and a dataset.
#[derive(Clone, Debug)]
pub enum Import {
    /// Some of it is in the store now.
    Done(Imported),
    /// Nothing there is right: why not.
    Unfit(String),
}

/// What of a dataset is in the store after an import.
#[derive(Clone, Debug)]
pub struct Imported {
    /// Where it lies; the stamp is not there where something is missing.
    pub provided: Provided,
    /// The torrent's name, as its maker chose it.
    pub torrent_name: String,
    /// Bytes of the pieces that the dataset needs.
    pub needed_bytes: u64,
    /// Those that are not there yet.
    pub missing_bytes: u64,
    /// How the files came into the store.
    pub adopted: Adopted,
    /// It was complete before.
    pub was_there: bool,
    /// What is wrong with the copy first, where something is missing.
    pub fault: Option<String>,
}

/// Takes over what is right. `named` says that the dataset was named by the user; else its files, or the path itself, must have the
/// names or the sizes that the torrent gives. With `ask` the torrent may be looked up.
///
/// # Errors
/// Of the torrent, the pins, or the store.
pub fn import(
    session: &Session<'_>,
    request: &Request,
    path: &Path,
    (link, named, ask): (bool, bool, bool),
    counters: &SharedCounters,
) -> Result<Import, Error> {
    let declared = |error| session.declared(request, error);
    counters.set_phase(Phase::Metainfo);
    let located = if ask {
        let settings = session.settings;
        let client = if settings.offline { None } else { Some(Client::new(settings)?) };
        let mirrors = plan::metainfo_mirrors(request, settings)?;
        let found = locate::find(session, request, &mirrors, client.as_ref());
        let found = found.map_err(declared)?;
        Some((found.metainfo, found.bytes))
    } else {
        at_hand::at_hand(session, request).map_err(declared)?
    };
    let Some((metainfo, bytes)) = located else {
        return Ok(Import::Unfit("its torrent is not here".to_owned()));
    };
    let selection = plan::selection(&metainfo, request).map_err(declared)?;
    check_pinned(&metainfo, &selection, request).map_err(declared)?;
    let layout = Arc::new(Layout::new(&metainfo, &selection));
    let metainfo = Arc::new(metainfo);
    let mut found = best(path, named, &metainfo, &layout);
    if let Some(found) = found.as_mut().filter(|found| found.is_something()) {
        counters.total_bytes.store(found.bytes(), Ordering::Relaxed);
        counters.done_bytes.store(0, Ordering::Relaxed);
        counters.set_phase(Phase::Checking);
        session.hashing()?.install(|| found.hash(&counters.done_bytes));
    }
    let found = match found {
        None if metainfo.multi && !path.is_dir() => {
            return Ok(Import::Unfit("it is a file, and the torrent is of a directory".to_owned()));
        }
        None => return Ok(Import::Unfit("neither names nor sizes are the torrent's".to_owned())),
        Some(found) if found.bytes() == 0 && !found.is_complete() => {
            return Ok(Import::Unfit(found.summary()));
        }
        Some(found) => found,
    };
    let store = session.store(request);
    store.create()?;
    let lock = lock(session, store, &metainfo, counters)?;
    if store.torrent(metainfo.infohash).as_deref() != Some(&bytes) {
        store.keep_torrent(metainfo.infohash, &bytes)?;
    }
    let id = selection.id();
    let work =
        Work { session, request, counters, lock: &lock, metainfo, layout, id, peers: Vec::new() };
    let (missing_bytes, adopted, was_there) = take_over(&work, &found, link).map_err(declared)?;
    let provided = provided(store, work.metainfo.infohash, id, &name_of(&work.metainfo));
    if let (Some(_), true) = (request.line, missing_bytes == 0) {
        roots::note_use(session.shared, session.manifest, &mut [&provided].into_iter());
    }
    Ok(Import::Done(Imported {
        provided,
        torrent_name: name_of(&work.metainfo).display().to_string(),
        needed_bytes: work.layout.needed_bytes(),
        missing_bytes,
        adopted,
        was_there,
        fault: (missing_bytes > 0).then(|| found.fault()),
    }))
}

/// The place at or below the path where most of the dataset may be.
fn best(path: &Path, named: bool, metainfo: &Arc<Metainfo>, layout: &Arc<Layout>) -> Option<Found> {
    let name = name_of(metainfo);
    let mut best: Option<Found> = None;
    for site in sites(path, metainfo.multi) {
        let found = Found::look(&site, metainfo, layout, Vec::new());
        let is_called_so = site.path(&name).file_name() == Some(name.as_os_str());
        let may_fit = named || found.has_all_files() || (is_called_so && found.is_something());
        if may_fit && best.as_ref().is_none_or(|best| best.bytes() < found.bytes()) {
            best = Some(found);
        }
    }
    best
}

/// A renamed root directory looks like any other, and a renamed file too.
fn sites(path: &Path, multi: bool) -> Vec<Site> {
    let itself = Site::At(path.to_owned());
    match (path.is_dir(), multi) {
        (true, true) => vec![itself, Site::In(path.to_owned())],
        (true, false) => vec![Site::In(path.to_owned())],
        (false, true) => Vec::new(),
        (false, false) => vec![itself],
    }
}

/// Gives the bytes that are missing still.
fn take_over(work: &Work<'_>, found: &Found, link: bool) -> Result<(u64, Adopted, bool), Error> {
    let Work { session, request, counters, metainfo, layout, id, .. } = work;
    let store = session.store(request);
    if store.present(id).is_some_and(|stamp| stamp.holds(&request.sha256)) {
        return Ok((0, Adopted::default(), true));
    }
    let existing = work.existing()?;
    if work.is_stamped(existing.as_ref())? {
        return Ok((0, Adopted::default(), true));
    }
    let hashed = AtomicU64::new(0);
    let open = || Partial::open(store, id, metainfo, layout, existing.as_ref(), false, &hashed);
    let (partial, verified) = work.hashing(open)??;
    let mut wanted = layout.needed();
    wanted.remove_all(&verified);
    let link = link && found.is_complete();
    counters.done_bytes.store(0, Ordering::Relaxed);
    let adopt = || partial.adopt_files(found, &wanted, link, &counters.done_bytes);
    let (right, adopted) = work.hashing(adopt)??;
    wanted.remove_all(&right);
    if !wanted.is_empty() {
        let geometry = layout.geometry();
        let missing = wanted.iter().map(|piece| u64::from(geometry.len(piece))).sum();
        return Ok((missing, adopted, false));
    }
    counters.set_phase(Phase::Publishing);
    work.hashing(|| partial.publish(&request.sha256))??;
    if adopted.linked > 0 {
        store.check_linked(id, found)?;
    }
    Ok((0, adopted, false))
}

impl Imported {
    /// Where it lies, where it is complete.
    #[must_use]
    pub fn path(&self) -> Option<&PathBuf> {
        (self.missing_bytes == 0).then_some(&self.provided.path)
    }
}
