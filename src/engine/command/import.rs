//! `import`: makes data on this machine a dataset of the store.
//!
//! The files at the path are hashed first, and nothing is written for files that do not match.
//! Matching data is taken over by `storage/inventory/adopt.rs`, which hashes it again. Only the
//! torrent may be downloaded.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::counters::Phase;
use crate::engine::dataset::Provided;
use crate::engine::job::check::check_first;
use crate::engine::job::lock::lock;
use crate::engine::job::present::provided_as;
use crate::engine::job::roots;
use crate::engine::job::work::Work;
use crate::engine::resolve;
use crate::engine::session::{Session, SharedCounters};
use crate::error::Error;
use crate::manifest::Request;
use crate::plan::Layout;
use crate::storage::inventory::Adopted;
use crate::storage::{DiskWork, LocalCopy, Partial, Site};
use crate::torrent::metainfo::Metainfo;

/// The result of importing a path as a dataset.
#[derive(Clone, Debug)]
pub enum Import {
    /// Some of the dataset is in the store now.
    Done(Imported),
    /// No data at the path matches; with the reason.
    Unfit(String),
}

/// What is in the store after an import.
#[derive(Clone, Debug)]
pub struct Imported {
    /// Where the dataset is. The stamp does not exist if data is missing.
    pub provided: Provided,
    /// The name in the torrent.
    pub torrent_name: String,
    /// Bytes of all pieces that the dataset needs.
    pub needed_bytes: u64,
    /// The part of `needed_bytes` that is still missing.
    pub missing_bytes: u64,
    /// How the files were added to the store.
    pub adopted: Adopted,
    /// The dataset was complete before.
    pub already_complete: bool,
    /// If data is missing, the first fault of the copy.
    pub fault: Option<String>,
}

/// Imports the data that is correct. `link`: link the files of a complete copy instead of copying
/// them. `named`: the user named the dataset; otherwise the files, or the path itself, must have
/// the names or the sizes in the torrent. `ask`: the torrent may be looked up over the network.
///
/// # Errors
/// Errors of the torrent, the pins or the store.
pub fn import(
    session: &Session<'_>,
    request: &Request,
    path: &Path,
    (link, named, ask): (bool, bool, bool),
    counters: &SharedCounters,
) -> Result<Import, Error> {
    counters.set_phase(Phase::Metainfo);
    let resolved = match ask {
        true => Some(resolve::resolve(session, request, None)?),
        false => resolve::local(session, request)?,
    };
    let Some(resolved) = resolved else {
        return Ok(Import::Unfit("its .torrent is not on this machine".to_owned()));
    };
    resolved.check_pins(request)?;
    let (metainfo, layout) = (&resolved.metainfo, resolved.layout());
    let mut found = best(path, named, metainfo, layout);
    if let Some(found) = found.as_mut().filter(|found| found.is_something()) {
        counters.begin_checking(found.bytes());
        let work = DiskWork::counting(&counters.done_bytes);
        found.hash(work)?;
    }
    let found = match found {
        None if metainfo.multi && !path.is_dir() => {
            return Ok(Import::Unfit("this is a file, but the torrent is a directory".to_owned()));
        }
        None => return Ok(Import::Unfit("neither names nor sizes match the torrent".to_owned())),
        Some(found) if found.bytes() == 0 && !found.is_complete() => {
            return Ok(Import::Unfit(found.summary()));
        }
        Some(found) => found,
    };
    let target = session.target(request);
    target.create()?;
    let lock = lock(session, target, metainfo.infohash, counters)?;
    target.workplace().keep_torrent(metainfo, &resolved.bytes)?;
    let work = Work { session, request, counters, lock: &lock, resolved: &resolved };
    let (missing_bytes, adopted, already_complete) =
        take_over(&work, &found, link).map_err(|error| request.origin.declared(error))?;
    let provided = provided_as(target, &resolved);
    if missing_bytes == 0 {
        roots::note_use(session.shared, session.manifest, &mut [provided.clone()].into_iter());
    }
    Ok(Import::Done(Imported {
        provided,
        torrent_name: metainfo.root_path().display().to_string(),
        needed_bytes: layout.needed_bytes(),
        missing_bytes,
        adopted,
        already_complete,
        fault: (missing_bytes > 0).then(|| found.fault().to_string()),
    }))
}

/// The location at or below the path that has most of the dataset.
fn best(
    path: &Path,
    named: bool,
    metainfo: &Arc<Metainfo>,
    layout: &Arc<Layout>,
) -> Option<LocalCopy> {
    let name = metainfo.root_path();
    let mut best: Option<LocalCopy> = None;
    for site in sites(path, metainfo.multi) {
        let found = LocalCopy::look(&site, metainfo, layout, Vec::new());
        let is_called_so = site.path(&name).file_name() == Some(name.as_os_str());
        let may_fit = named || found.has_all_files() || (is_called_so && found.is_something());
        if may_fit && best.as_ref().is_none_or(|best| best.bytes() < found.bytes()) {
            best = Some(found);
        }
    }
    best
}

/// The possible locations of the torrent's root. Any directory or file may be a renamed one.
fn sites(path: &Path, multi: bool) -> Vec<Site> {
    let itself = Site::At(path.to_owned());
    match (path.is_dir(), multi) {
        (true, true) => vec![itself, Site::In(path.to_owned())],
        (true, false) => vec![Site::In(path.to_owned())],
        (false, true) => Vec::new(),
        (false, false) => vec![itself],
    }
}

/// Adds the data to the store. Returns the number of missing bytes, how files were added, and
/// whether the dataset was complete before.
fn take_over(
    work: &Work<'_>,
    found: &LocalCopy,
    link: bool,
) -> Result<(u64, Adopted, bool), Error> {
    let Work { session, request, counters, resolved, .. } = work;
    let (metainfo, layout, id) = (&resolved.metainfo, resolved.layout(), resolved.id());
    let target = session.target(request);
    if target.present(id).is_some_and(|stamp| stamp.holds(&request.sha256)) {
        return Ok((0, Adopted::default(), true));
    }
    let existing = work.existing()?;
    if work.is_stamped(existing.as_ref())? {
        return Ok((0, Adopted::default(), true));
    }
    let open = || Partial::open(target, id, metainfo, layout, existing.as_ref(), false);
    let (partial, mut here) = work.while_alive(open)?;
    check_first(work, &partial, &mut here)?;
    let mut wanted = layout.needed();
    wanted.remove_all(&here.verified);
    let link = link && found.is_complete();
    counters.done_bytes.store(0, Ordering::Relaxed);
    let adopt = || partial.adopt_files(found, &wanted, link, &counters.done_bytes);
    let (right, adopted) = work.while_alive(adopt)?;
    wanted.remove_all(&right);
    if !wanted.is_empty() {
        return Ok((layout.bytes_of(&wanted), adopted, false));
    }
    counters.set_phase(Phase::Publishing);
    work.while_alive(|| partial.publish(&request.sha256))?;
    if adopted.linked > 0 {
        target.workplace().check_linked(id, found)?;
    }
    Ok((0, adopted, false))
}

impl Imported {
    /// The dataset's path, if it is complete.
    pub fn path(&self) -> Option<&PathBuf> {
        (self.missing_bytes == 0).then_some(&self.provided.path)
    }
}
