//! `verify`: hashes a dataset where it is, and removes its stamp if it is damaged (feature
//! `engine`).
//!
//! The files are not changed: repair is [`crate::engine::job::provide::provide_all`] with
//! `hash_again`, which creates new inodes. But a damaged dataset must not remain marked as
//! complete, because the next build would use it.

use std::io::ErrorKind::{NotADirectory, NotFound};
use std::path::PathBuf;

use crate::counters::Phase;
use crate::engine::job::elsewhere::{self, Candidate, candidates};
use crate::engine::job::lock::{lock, while_alive};
use crate::engine::job::tree;
use crate::engine::resolve;
use crate::engine::resolve::Resolved;
use crate::engine::session::{Session, SharedCounters};
use crate::error::{Error, ErrorKind};
use crate::manifest::Request;
use crate::storage::inventory::{FaultyFile, VerifyReport};
use crate::storage::{DiskWork, LocalCopy, Site, Stamp, Store};
use crate::torrent::infohash::Infohash;

/// A location on `LOAD_PATH` where a dataset may be.
struct OnLoadPath {
    site: Site,
    /// The digests in the stamp of another store.
    fragments: Vec<(u32, [u8; 20])>,
    /// Whether that store's stamp marks the dataset complete.
    is_stamped: bool,
}

/// All such locations, in search order.
fn places(session: &Session<'_>, infohash: Infohash, id: &str) -> Vec<OnLoadPath> {
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

/// The result of verifying a dataset.
#[derive(Debug)]
pub struct VerifiedDataset {
    /// IDs of the dataset itself and of its tree, as far as they exist.
    pub ids: Vec<String>,
    /// Total size of the selected files in bytes.
    pub size_bytes: u64,
    pub files: usize,
    /// The single file, otherwise the root directory. `None` if nothing is present.
    pub path: Option<PathBuf>,
    pub whose: Whose,
    pub report: VerifyReport,
    /// Whether a build would consider the dataset complete.
    pub is_stamped: bool,
    /// IDs that were marked complete before, and no longer are: the dataset itself, its tree, and
    /// selections and trees that share their inodes.
    pub unstamped: Vec<String>,
    /// Why a stamp could not be removed.
    pub still_stamped: Option<Error>,
}

/// The kind of location.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// The user's store, or a directory that the user named as the target.
    Own,
    /// A copy that a variable of the dataset names.
    Named,
    /// A location on `LOAD_PATH`.
    LoadPath,
}

/// Hashes everything at the dataset's location.
///
/// # Errors
/// Errors of the metainfo, `files` and pins; [`ErrorKind::Locked`] if another process holds the
/// lock and makes no progress.
pub fn verify(
    session: &Session<'_>,
    request: &Request,
    counters: &SharedCounters,
) -> Result<Option<VerifiedDataset>, Error> {
    // The tree first: a damaged file of the dataset removes the stamp of a tree that is linked to
    // it, and without a stamp a tree cannot be checked. A damaged tree loses its stamp even if the
    // dataset cannot be verified.
    let tree = tree::faults(session, request, counters)?;
    let mut dataset = verify_dataset(session, request, counters)?;
    if let Some(tree) = tree {
        return Ok(Some(with_tree(tree, dataset)));
    }
    // The tree was found damaged earlier, and its stamp was removed.
    if request.unpack.is_some() && tree::present(session, request)?.is_none() {
        dataset.iter_mut().for_each(|dataset| dataset.is_stamped = false);
    }
    Ok(dataset)
}

/// Adds the result for the tree.
fn with_tree(tree: tree::HashedTree, dataset: Option<VerifiedDataset>) -> VerifiedDataset {
    let mut verified = dataset.unwrap_or_else(|| VerifiedDataset {
        ids: Vec::new(),
        size_bytes: tree.size_bytes,
        files: tree.files,
        path: None,
        whose: Whose::Own,
        report: VerifyReport::default(),
        is_stamped: true,
        unstamped: Vec::new(),
        still_stamped: None,
    });
    verified.ids.push(tree.id);
    verified.is_stamped &= tree.unstamped.is_empty();
    verified.unstamped.extend(tree.unstamped);
    verified.still_stamped = verified.still_stamped.or(tree.still_stamped);
    verified.report.faults.extend(tree.faults.into_iter().map(|fault| {
        let below: PathBuf = fault.path.iter().skip(1).collect();
        FaultyFile {
            file: below.to_string_lossy().into_owned(),
            path: tree.directory.join(&fault.path),
            length_bytes: fault.length_bytes,
            fault: fault.fault,
        }
    }));
    verified.path = Some(tree.path);
    verified
}

fn verify_dataset(
    session: &Session<'_>,
    request: &Request,
    counters: &SharedCounters,
) -> Result<Option<VerifiedDataset>, Error> {
    let target = session.target(request);
    let named = elsewhere::named(session, request);
    let is_nowhere = |infohash| {
        target.store().is_some_and(|store| store.selections(infohash).is_empty())
            && named.is_none()
            && session.settings.load_path.is_empty()
    };
    // The network is not asked for the torrent of a dataset that is not present anywhere.
    counters.set_phase(Phase::Metainfo);
    let resolved = match resolve::local(session, request)? {
        Some(resolved) => resolved,
        None if request.identity.infohash.is_some_and(is_nowhere) => return Ok(None),
        None => resolve::resolve(session, request, None)?,
    };
    let (infohash, name) = (resolved.metainfo.infohash, resolved.metainfo.root_path());
    let work = VerifyJob { session, request, counters, resolved: &resolved };
    if let Some(site) = named {
        let place = OnLoadPath { site, fragments: Vec::new(), is_stamped: false };
        return work.elsewhere(place, Whose::Named).map(Some);
    }
    // A dataset whose files were all deleted may still have its stamp.
    let is_stamped = target.store().is_some_and(|it| it.stamp_path(resolved.id()).exists());
    let mut own = None;
    if is_stamped || target.files_path(resolved.id()).join(&name).exists() {
        own = Some(work.own()?);
    }
    if own.as_ref().is_some_and(|own| own.path.is_some()) {
        return Ok(own);
    }
    for place in places(session, infohash, resolved.id()) {
        if place.site.path(&name).exists() {
            let mut found = work.elsewhere(place, Whose::LoadPath)?;
            if let Some(own) = own {
                found.unstamped.extend(own.unstamped);
                found.still_stamped = found.still_stamped.or(own.still_stamped);
            }
            return Ok(Some(found));
        }
    }
    Ok(own)
}

struct VerifyJob<'a> {
    session: &'a Session<'a>,
    request: &'a Request,
    counters: &'a SharedCounters,
    resolved: &'a Resolved,
}

impl VerifyJob<'_> {
    fn own(&self) -> Result<VerifiedDataset, Error> {
        let VerifyJob { session, request, counters, resolved } = self;
        let (metainfo, layout, id) = (&resolved.metainfo, resolved.layout(), resolved.id());
        let target = session.target(request);
        // The lock prevents others from publishing the dataset meanwhile. A store that is not
        // writable has no lock, and no writer either.
        let is_held = target.workplace().root().is_dir();
        let lock = is_held.then(|| lock(session, target, metainfo.infohash, counters)).transpose();
        let lock = match lock {
            Err(error) if matches!(error.kind(), ErrorKind::Locked | ErrorKind::Stopped) => {
                return Err(error);
            }
            other => other.ok().flatten(),
        };
        counters.begin_checking(layout.needed_bytes());
        let mut report = Ok(None);
        let mut look = || {
            let work = DiskWork::counting(&counters.done_bytes);
            let existing = LocalCopy::in_place(target, id, metainfo, layout, work);
            report = existing.map(|it| it.map(|existing| existing.report(&request.sha256)));
        };
        match &lock {
            Some(lock) => while_alive(lock, &mut look),
            None => look(),
        }
        let site = target.files_path(id).into();
        let mut verified = self.verified(&site, Whose::Own);
        let report = report?.transpose()?;
        if report.is_none() {
            self.check_gone(&site)?;
        }
        let is_damaged = report.as_ref().is_none_or(|report| !report.is_none());
        verified.is_stamped = target.present(id).is_some_and(|it| it.holds(&request.sha256));
        if let Some(store) = target.store().filter(|_| is_damaged) {
            let is_stamped = Stamp::read(&store.stamp_path(id)).is_some();
            let below = target.files_path(id);
            let damaged = report.as_ref().map(|it| it.damaged_below(&below)).unwrap_or_default();
            let removed = store
                .remove_stamp(id)
                .and_then(|()| store.unstamp_links(metainfo.infohash, id, &damaged));
            match removed {
                Ok(links) => {
                    verified.unstamped = links;
                    if is_stamped {
                        verified.unstamped.insert(0, id.to_owned());
                    }
                    verified.is_stamped = false;
                }
                Err(error) => verified.still_stamped = Some(error),
            }
        }
        match report {
            Some(report) => verified.report = report,
            // None of the files exists.
            None => verified.path = None,
        }
        Ok(verified)
    }

    /// Whether files that were not found are really absent, or the file system fails.
    fn check_gone(&self, site: &Site) -> Result<(), Error> {
        let mut paths = self.resolved.layout().files().map(|file| site.path(&file.path()));
        paths.try_for_each(|path| match std::fs::symlink_metadata(&path) {
            Err(why) if !matches!(why.kind(), NotFound | NotADirectory) => {
                Err(Error::disk("read", &path, &why))
            }
            _ => Ok(()),
        })
    }

    fn elsewhere(&self, place: OnLoadPath, whose: Whose) -> Result<VerifiedDataset, Error> {
        let VerifyJob { session, request, counters, resolved } = self;
        let (metainfo, layout, id) = (&resolved.metainfo, resolved.layout(), resolved.id());
        let OnLoadPath { site, fragments, is_stamped } = place;
        counters.begin_checking(layout.needed_bytes());
        let mut found = LocalCopy::look(&site, metainfo, layout, fragments);
        found.hash(DiskWork::counting(&counters.done_bytes))?;
        let report = found.report(&request.sha256)?;
        let mut verified = self.verified(&site, whose);
        let ours = elsewhere::stamped(session, request, metainfo.infohash, id, &site).is_some();
        verified.is_stamped = ours || is_stamped;
        if !report.is_none() && ours {
            match session.shared.remove_stamp_elsewhere(id, &site) {
                Ok(()) => {
                    // The stamp of another store must not be changed.
                    verified.is_stamped = is_stamped;
                    verified.unstamped.push(id.to_owned());
                }
                Err(error) => verified.still_stamped = Some(error),
            }
        }
        verified.report = report;
        Ok(verified)
    }

    fn verified(&self, site: &Site, whose: Whose) -> VerifiedDataset {
        VerifiedDataset {
            ids: vec![self.resolved.id().to_owned()],
            size_bytes: self.resolved.size_bytes(),
            files: self.resolved.layout().file_count(),
            path: Some(site.path(&self.resolved.metainfo.root_path())),
            whose,
            report: VerifyReport::default(),
            is_stamped: false,
            unstamped: Vec::new(),
            still_stamped: None,
        }
    }
}
