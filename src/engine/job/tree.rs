//! Datasets whose archives are unpacked (feature `unpack`): the dataset itself, and the tree of
//! unpacked files.
//!
//! A complete tree costs one `stat` per file. Otherwise the dataset is provided first, from any
//! source, and then unpacked into the user's own store under the torrent's lock.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::dataset;
use super::elsewhere;
use super::lock::{lock, lock_or_look, while_alive};
use super::present;
use super::tree_plan::{own, plan};
use crate::counters::Phase;
use crate::engine::dataset::{Provided, ProvidedArchive, ProvidedFiles};
use crate::engine::resolve;
use crate::engine::session::{Session, SharedCounters};
use crate::error::{Error, ErrorKind};
use crate::manifest::{Request, StoreKind, Unpacking};
use crate::plan::Limit;
#[cfg(feature = "engine")]
use crate::storage::DiskWork;
use crate::storage::{
    Directory, Lock, Stamp, Store, Target, TreeCopy, TreeFault, TreeWriter, each,
};
use crate::unpack::{self, MemberGlobs, Members, PlannedFile, TreePlan, UnpackBudget};

/// If an unoptimized build script has longer than this left to unpack, the user gets a notice.
const LONG: Duration = Duration::from_secs(30);

/// How long to observe the progress before estimating the remaining time.
const WATCHED: Duration = Duration::from_secs(3);

/// Returns the dataset and its tree if both are already complete; see [`present::present`].
///
/// # Errors
/// For an invalid vendored torrent or `files`.
pub fn present(session: &Session<'_>, request: &Request) -> Result<Option<Provided>, Error> {
    let Some(unpacking) = &request.unpack else { return present::present(session, request) };
    if request.hash_again || into_directory(session, request) {
        return Ok(None);
    }
    let archive = match unpacking.discards_archive {
        true => None,
        false => match present::present(session, request)? {
            Some(archive) => Some(archive),
            None => return Ok(None),
        },
    };
    let Some((infohash, id)) = named(session, request)? else { return Ok(None) };
    let id = unpacking.tree_id(&id);
    let tree = stores(session, request).find_map(|store| {
        let stamp = store.present(&id)?;
        let pins_hold = archive.is_some() || stamp.holds(&request.sha256);
        let path = store.files_path(&id).join(stamp.name().filter(|_| pins_hold)?);
        let (archive, files) = (None, stamp.into());
        Some(Provided { infohash, path, stamp: store.stamp_path(&id), archive, files })
    });
    Ok(tree.map(|tree| with_archive(tree, archive)))
}

fn with_archive(tree: Provided, archive: Option<Provided>) -> Provided {
    let archive = archive.map(|it| Box::new(ProvidedArchive { path: it.path, stamp: it.stamp }));
    Provided { archive, ..tree }
}

/// The torrent's infohash, and the store's name for the selection, if known without the network.
fn named(
    session: &Session<'_>,
    request: &Request,
) -> Result<Option<(crate::Infohash, String)>, Error> {
    if request.is_whole() {
        let infohash =
            resolve::infohash(request).map_err(|error| request.origin.declared(error))?;
        return Ok(infohash.map(|it| (it, it.to_string())));
    }
    let resolved = resolve::local(session, request)?;
    Ok(resolved.map(|it| (it.metainfo.infohash, it.id().to_owned())))
}

fn into_directory(session: &Session<'_>, request: &Request) -> bool {
    session.target(request).store().is_none()
}

/// The stores in which trees are looked up.
fn stores(session: &Session<'_>, request: &Request) -> impl Iterator<Item = Store> {
    let own = own(session, request).clone();
    let may_be_elsewhere =
        request.store == StoreKind::Shared && elsewhere::named(session, request).is_none();
    let others = session.settings.load_path.iter().filter(move |_| may_be_elsewhere);
    let others: Vec<_> = others.map(|directory| Store::at(directory)).collect();
    std::iter::once(own).chain(others)
}

/// Where the dataset and its tree would be; see [`present::would_be`].
pub fn would_be(session: &Session<'_>, request: &Request) -> Provided {
    let archive = present::would_be(session, request);
    let Some(unpacking) = &request.unpack else { return archive };
    let resolved = resolve::local(session, request).ok().flatten();
    let plan = resolved.as_ref().and_then(|it| it.tree_plan(request).ok().flatten());
    let name = match plan {
        Some(plan) => crate::torrent::metainfo::os_path(plan.root),
        None => archive.path.file_name().map(PathBuf::from).unwrap_or_default(),
    };
    let id = resolved.map(|it| it.id().to_owned());
    let id = unpacking.tree_id(&id.unwrap_or_else(|| archive.infohash.to_string()));
    let store = own(session, request);
    let tree = Provided {
        infohash: archive.infohash,
        path: store.files_path(&id).join(name),
        stamp: store.stamp_path(&id),
        archive: None,
        // The contents of the archives are not known.
        files: ProvidedFiles::Unknown,
    };
    with_archive(tree, Some(archive).filter(|_| !unpacking.discards_archive))
}

/// Provides a dataset that was not complete when it was looked up, and unpacks it.
///
/// # Errors
/// Any [`ErrorKind`].
pub fn provide(
    session: &Session<'_>,
    request: &Request,
    counters: &SharedCounters,
) -> Result<Provided, Error> {
    let Some(unpacking) = &request.unpack else {
        return dataset::provide(session, request, counters);
    };
    if let Target::Directory(directory) = session.target(request) {
        return provide_into(session, request, counters, directory);
    }
    if unpacking.discards_archive {
        if let Some(found) = right_alone(session, request, unpacking, counters)? {
            return Ok(found);
        }
    }
    let before = present::present(session, request)?;
    let was_there = before.is_some();
    let archive = match before {
        Some(archive) => archive,
        None => dataset::provide(session, request, counters)?,
    };
    counters.set_phase(Phase::Metainfo);
    let resolved = resolve::resolve(session, request, None)?;
    let (store, infohash) = (own(session, request), resolved.metainfo.infohash);
    let Some((plan, path)) = plan(session, request, &resolved)? else { return Ok(archive) };
    let id = unpacking.tree_id(resolved.id());
    let mut tree = Provided {
        infohash,
        path,
        stamp: store.stamp_path(&id),
        archive: None,
        files: ProvidedFiles::Unknown,
    };
    let look = |error| present(session, request).ok().flatten().ok_or(error);
    let lock = match lock_or_look(session, Target::Store(store), infohash, counters, &look)? {
        Ok(lock) => lock,
        Err(found) => return Ok(found),
    };
    let is_there = match request.hash_again {
        true => is_right(session, &lock, store, (infohash, &id), counters)?,
        false => store.present(&id).is_some_and(|it| it.holds(&request.sha256)),
    };
    // Another process that had downloaded the archives only to unpack them removed them before this
    // one had the lock.
    if !is_there && !archive.stamp.exists() {
        drop(lock);
        return provide(session, request, counters);
    }
    if !is_there {
        let work = TreeWork { session, request, unpacking, counters, store, id: &id, plan: &plan };
        work.unpack(&lock, &archive.path)?;
    }
    tree.files = Stamp::read(&tree.stamp).unwrap_or_default().into();
    let archive = match unpacking.discards_archive {
        false => Some(archive),
        true => {
            if !was_there {
                discard(session, store, resolved.id(), &archive);
            }
            None
        }
    };
    Ok(with_archive(tree, archive))
}

/// Like [`provide`], but copies the tree into the user's directory. The archives remain in the
/// store.
fn provide_into(
    session: &Session<'_>,
    request: &Request,
    counters: &SharedCounters,
    directory: &Directory,
) -> Result<Provided, Error> {
    let stored = Request { store: StoreKind::Shared, ..request.clone() };
    let tree = match present(session, &stored)? {
        Some(tree) => tree,
        None => provide(session, &stored, counters)?,
    };
    let (Some(files), Some(name)) = (tree.path.parent(), tree.path.file_name()) else {
        return Ok(tree);
    };
    let id = tree.id().unwrap_or_default();
    let copy = TreeCopy { id, stamp: &tree.stamp, files, directory };
    counters.begin_checking(0);
    let work = session.disk_work(counters);
    let look = copy.look(None, work)?;
    if !look.is_complete() {
        let lock = lock(session, session.target(request), tree.infohash, counters)?;
        counters.set_phase(Phase::Publishing);
        let mut copied = Ok(());
        while_alive(&lock, &mut || copied = copy.run(&look, work));
        copied?;
    }
    Ok(Provided { path: session.target(request).files_path("").join(name), ..tree })
}

/// Removes the dataset that was fetched only to be unpacked, unless a known project uses it. If
/// that fails, `gc` removes it later. The caller holds the lock.
fn discard(session: &Session<'_>, store: &Store, id: &str, archive: &Provided) {
    let is_own = archive.stamp == store.stamp_path(id);
    if is_own && !session.shared.is_noted(id) {
        let _ = store.discard(id);
    }
}

/// Hashes an existing tree. If it is damaged, its stamp is removed, and those of selections and
/// trees that share a damaged file.
fn is_right(
    session: &Session<'_>,
    lock: &Lock,
    store: &Store,
    (infohash, id): (crate::Infohash, &str),
    counters: &SharedCounters,
) -> Result<bool, Error> {
    let Some(stamp) = store.present(id) else { return Ok(false) };
    let total = stamp.files().map(|(_, length)| length).fold(0, u64::saturating_add);
    counters.begin_checking(total);
    let mut faults = Ok(None);
    let mut look = || faults = store.tree_faults(id, session.disk_work(counters));
    while_alive(lock, &mut look);
    let Some(faults) = faults? else { return Ok(false) };
    if !faults.is_empty() {
        unstamp(store, infohash, id, &faults)?;
    }
    Ok(faults.is_empty())
}

/// Removes the stamp of a damaged tree, and those of selections and trees that share a damaged
/// file. Returns their ids. The caller holds the lock.
fn unstamp(
    store: &Store,
    infohash: crate::Infohash,
    id: &str,
    faults: &[TreeFault],
) -> Result<Vec<String>, Error> {
    let damaged: Vec<_> = faults.iter().map(|fault| fault.path.clone()).collect();
    store.remove_stamp(id)?;
    let mut unstamped = store.unstamp_links(infohash, id, &damaged)?;
    unstamped.insert(0, id.to_owned());
    Ok(unstamped)
}

/// The result of hashing a tree.
#[cfg(feature = "engine")]
pub struct HashedTree {
    pub id: String,
    /// The parent directory of the tree's root.
    pub directory: PathBuf,
    pub path: PathBuf,
    pub files: usize,
    pub size_bytes: u64,
    pub faults: Vec<TreeFault>,
    /// IDs that were marked complete before, and no longer are, because the tree is damaged.
    pub unstamped: Vec<String>,
    /// Why a stamp could not be removed.
    pub still_stamped: Option<Error>,
}

/// Hashes the tree of a dataset; `None` if there is no tree. The stamp of a damaged tree is
/// removed, so that the next build unpacks it again.
///
/// # Errors
/// For an invalid vendored torrent or `files`; [`ErrorKind::Locked`].
#[cfg(feature = "engine")]
pub fn faults(
    session: &Session<'_>,
    request: &Request,
    counters: &SharedCounters,
) -> Result<Option<HashedTree>, Error> {
    let Some(unpacking) = request.unpack.as_ref().filter(|_| !into_directory(session, request))
    else {
        return Ok(None);
    };
    let Some((infohash, id)) = named(session, request)? else { return Ok(None) };
    let (store, id) = (own(session, request), unpacking.tree_id(&id));
    let Some(stamp) = Stamp::read(&store.stamp_path(&id)) else { return Ok(None) };
    // A process that cannot lock the store cannot change it either.
    let lock = match lock(session, Target::Store(store), infohash, counters) {
        Err(error) if matches!(error.kind(), ErrorKind::Locked | ErrorKind::Stopped) => {
            return Err(error);
        }
        lock => lock.ok(),
    };
    let lengths: Vec<u64> = stamp.files().map(|(_, length)| length).collect();
    let size_bytes = lengths.iter().copied().fold(0, u64::saturating_add);
    counters.begin_checking(size_bytes);
    let mut faults = Ok(None);
    let mut look = || faults = store.tree_faults(&id, DiskWork::counting(&counters.done_bytes));
    match &lock {
        Some(lock) => while_alive(lock, &mut look),
        None => look(),
    }
    let faults = faults?.unwrap_or_default();
    let unstamped = match faults.is_empty() {
        true => Ok(Vec::new()),
        false => unstamp(store, infohash, &id, &faults),
    };
    let (unstamped, still_stamped) = match unstamped {
        Ok(unstamped) => (unstamped, None),
        Err(error) => (Vec::new(), Some(error)),
    };
    let directory = store.files_path(&id);
    Ok(Some(HashedTree {
        path: directory.join(stamp.name().unwrap_or_default()),
        directory,
        files: lengths.len(),
        size_bytes,
        faults,
        unstamped,
        still_stamped,
        id,
    }))
}

/// Handles trees whose archives are not kept: if the tree is correct, the archives are not needed.
fn right_alone(
    session: &Session<'_>,
    request: &Request,
    unpacking: &Unpacking,
    counters: &SharedCounters,
) -> Result<Option<Provided>, Error> {
    let Some((infohash, id)) = named(session, request)? else { return Ok(None) };
    let (store, id) = (own(session, request), unpacking.tree_id(&id));
    let stamp = store.present(&id).filter(|stamp| stamp.holds(&request.sha256));
    let Some(stamp) = stamp.filter(|_| request.hash_again) else { return Ok(None) };
    let Some(name) = stamp.name() else { return Ok(None) };
    let lock = lock(session, Target::Store(store), infohash, counters)?;
    let path = store.files_path(&id).join(name);
    let (archive, files) = (None, stamp.into());
    let tree = Provided { infohash, path, stamp: store.stamp_path(&id), archive, files };
    Ok(is_right(session, &lock, store, (infohash, &id), counters)?.then_some(tree))
}

/// A tree to be created.
struct TreeWork<'a> {
    session: &'a Session<'a>,
    request: &'a Request,
    unpacking: &'a Unpacking,
    counters: &'a SharedCounters,
    store: &'a Store,
    id: &'a str,
    plan: &'a TreePlan,
}

impl TreeWork<'_> {
    fn unpack(&self, lock: &Lock, dataset: &Path) -> Result<(), Error> {
        let TreeWork { session, request, unpacking, counters, store, id, plan } = self;
        let limit = Limit {
            requested: request.max_size_bytes,
            user: session.settings.max_size_bytes,
            origin: &request.origin,
            foreign: session.foreign,
        };
        let user_by = session.settings.configured.place_of("MAX_SIZE");
        let requested = unpacking.max_size_bytes;
        let refuse = |_counted| limit.refuse_unpacking(requested, &user_by);
        let budget = UnpackBudget::new(limit.unpacked_bytes(requested), &refuse);
        let (fetched, total) = (counters.total_bytes.load(Ordering::Relaxed), plan.packed_bytes());
        counters.begin(Phase::Unpacking, 0, total);
        let tree = TreeWriter::new(store, id, &plan.root, &plan.names, budget)?;
        let globs = MemberGlobs::new(&unpacking.members).below(&plan.root);
        let mut result = Ok(());
        let mut run = || result = self.write(&tree, &globs, dataset);
        while_alive(lock, &mut run);
        session.stop().check()?;
        result.map_err(|error| request.origin.declared(error))?;
        if let Some((glob, meant)) = globs.unused() {
            let what =
                format!("`members` of `unpack`: the glob `{glob}` matches no member of an archive");
            let error = Error::new(ErrorKind::Manifest, what)
                .did_you_mean(meant)
                .help("globs match paths below the dataset's directory, after `strip`; `*` does not match `/`, `**` does");
            return Err(request.origin.declared(error));
        }
        counters.begin(Phase::Publishing, fetched, fetched);
        let mut published = Ok(());
        let mut tree = Some(tree);
        let mut publish = || {
            published = tree.take().map_or(Ok(()), |tree| tree.publish(&request.sha256));
        };
        while_alive(lock, &mut publish);
        published
    }

    /// Writes all files of the tree: first those that are not archives, then the unpacked archives,
    /// in parallel.
    fn write(
        &self,
        tree: &TreeWriter<'_>,
        globs: &MemberGlobs<'_>,
        dataset: &Path,
    ) -> Result<(), Error> {
        let place = |file: &PlannedFile| {
            let mut path = dataset.to_owned();
            path.extend(file.in_layout.iter().skip(1));
            path
        };
        let is_ours = dataset.starts_with(self.store.root().join("data"));
        for (source, file) in self.plan.files.iter().enumerate() {
            if file.format.is_none() {
                tree.plain(&file.path, source, &place(file), is_ours)?;
            }
        }
        tree.add(&self.plan.folders, &self.plan.links)?;
        let clock = UnpackClock { work: self, begun: Instant::now() };
        each(self.plan.files.len(), &|source, _| {
            let Some(file) = self.plan.files.get(source) else { return Ok(()) };
            let Some(format) = file.format else { return Ok(()) };
            let path = place(file);
            let mut archive = File::open(&path).map_err(|why| Error::disk("open", &path, &why))?;
            let name = self.plan.names.get(source).map_or("", String::as_str);
            let members = Members::new(name, &file.path, globs, self.unpacking.strip);
            let is_stopped = || {
                clock.look();
                self.session.is_stopped()
            };
            let done = (&self.counters.done_bytes, &is_stopped as &(dyn Fn() -> bool + Sync));
            unpack::unpack(&mut archive, format, &members, done, &mut tree.sink(source))
        })
    }
}

/// Prints one notice if unpacking will take long, with advice.
struct UnpackClock<'a> {
    work: &'a TreeWork<'a>,
    begun: Instant,
}

impl UnpackClock<'_> {
    fn look(&self) {
        // Optimized code cannot be made faster.
        if !cfg!(debug_assertions) || self.work.session.manifest.is_none() {
            return;
        }
        let counters = self.work.counters;
        let elapsed = self.begun.elapsed();
        let done = counters.done_bytes.load(Ordering::Relaxed);
        let left = counters.total_bytes.load(Ordering::Relaxed).saturating_sub(done);
        let remains = elapsed.as_secs_f64() * left as f64 / done.max(1) as f64;
        if elapsed >= WATCHED && done > 0 && remains > LONG.as_secs_f64() && counters.says_once() {
            self.work.session.counters.say(format!(
                "{}: unpacking takes about {remains:.0} s more, because Cargo does not optimize build scripts; `cargo academictorrents fetch` is faster",
                counters.name
            ));
        }
    }
}
