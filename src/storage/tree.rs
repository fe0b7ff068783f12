//! Unpacks a dataset's archives into the store (feature `unpack`).
//!
//! ```text
//! <store>/v1/partial/<id>/files/<root>/…     being unpacked, under the torrent's lock; never resumed
//!            data/<id>/files/<root>/…        complete: files read-only, directories not
//!            data/<id>/stamp                 length, time and digest of each file
//! ```
//! `<id>` is the dataset's id, followed by `+` and a digest of what is unpacked and how. A tree is
//! published and stamped as a dataset is.
//!
//! Invariants: no written path leads through a symbolic link, since links are created last; each
//! name is created exclusively, so two names that the file system takes for one are an error; a
//! link's text is computed from its target. A failure leaves nothing behind.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::MutexGuard;
use std::sync::atomic::{AtomicU64, Ordering};

use super::file_fault::FileFault;
use super::fs::{self, CopyMode, create_new, remove_tree, sync_and_seal, sync_tree};
use super::parallel::{self, DiskWork};
use super::pins::{self, Pins};
use super::relocate::set_aside;
use super::sha256::Sha256;
use super::{Site, Stamp, Store, file_size, folded_names, remove_if_there};
use crate::error::{Error, ErrorKind, printable};
use crate::manifest::FileGlob;
use crate::mutex::Mutex;
use crate::plan::{LinkFault, LinkTree};
use crate::size;
use crate::torrent::metainfo::{Components, os_path};
use crate::unpack::{Content, MemberSink, UnpackBudget, cannot_unpack};

/// Bytes written at a time.
const BUFFER_BYTES: usize = 256 << 10;

/// Free space is checked each time after this many bytes were written.
const WATCHED_BYTES: u64 = 64 << 20;

/// Free space that must remain on the disk.
const SPARE_BYTES: u64 = 64 << 20;

/// A tree that is being written.
pub struct TreeWriter<'a> {
    store: &'a Store,
    id: &'a str,
    /// Name of the root: a directory, or the only file of a torrent that is a single compressed
    /// file.
    root: Vec<u8>,
    /// The directory where the root is created.
    site: Site,
    budget: UnpackBudget<'a>,
    /// Names of the torrent's files, by which entries refer to their source.
    sources: &'a [String],
    made: Mutex<Made>,
    written_bytes: AtomicU64,
    is_published: bool,
}

#[derive(Default)]
struct Made {
    /// Entries by path below the root, with `/`; the root's path is empty.
    entries: HashMap<Vec<u8>, MadeEntry>,
    /// Symbolic links with their targets; `None` if the target is not in the tree.
    links: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

#[derive(Clone, Copy)]
struct MadeEntry {
    kind: MadeKind,
    /// Index of the file that it comes from.
    source: usize,
}

#[derive(Clone, Copy, PartialEq)]
enum MadeKind {
    Directory,
    File([u8; 32]),
    Link,
}

/// Receives the members of one archive for a tree, with its own buffer.
pub struct TreeSink<'t, 'a> {
    tree: &'t TreeWriter<'a>,
    source: usize,
    buffer: Vec<u8>,
}

fn shown(path: &[u8]) -> String {
    printable(&String::from_utf8_lossy(path))
}

impl<'a> TreeWriter<'a> {
    /// Begins a tree. Removes what an earlier process left of it. The caller holds the lock.
    ///
    /// # Errors
    /// [`ErrorKind::Disk`].
    pub fn new(
        store: &'a Store,
        id: &'a str,
        root: &[u8],
        sources: &'a [String],
        budget: UnpackBudget<'a>,
    ) -> Result<TreeWriter<'a>, Error> {
        let directory = store.partial_path(id);
        remove_tree(&directory).map_err(|why| store.failed("remove", &directory, &why))?;
        let files = directory.join("files");
        store.create_directory(&files.join("root"))?;
        Ok(TreeWriter {
            store,
            id,
            root: root.to_vec(),
            site: Site::In(files),
            budget,
            sources,
            made: Mutex::default(),
            written_bytes: AtomicU64::new(0),
            is_published: false,
        })
    }

    /// Returns a sink for members from this source.
    pub fn sink(&self, source: usize) -> TreeSink<'_, 'a> {
        TreeSink { tree: self, source, buffer: vec![0; BUFFER_BYTES] }
    }

    fn made(&self) -> MutexGuard<'_, Made> {
        self.made.lock()
    }

    /// Returns a path below the directory that contains the root.
    fn in_layout(&self, path: &[u8]) -> PathBuf {
        match path {
            b"" => os_path(self.root.clone()),
            path => os_path([&self.root, path].join(&b'/')),
        }
    }

    fn on_disk(&self, path: &[u8]) -> PathBuf {
        self.site.path(&self.in_layout(path))
    }

    /// Records an entry, and creates it with its directories. It is an error if another entry has
    /// its path.
    fn claim(&self, path: &[u8], kind: MadeKind, source: usize) -> Result<Option<File>, Error> {
        let mut made = self.made();
        let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
        let above = ends.filter_map(|end| path.get(..end));
        let root = (!path.is_empty()).then_some(&b""[..]);
        for directory in root.into_iter().chain(above) {
            match made.entries.get(directory) {
                Some(MadeEntry { kind: MadeKind::Directory, .. }) => {}
                Some(other) => return Err(self.collision(path, source, directory, other.source)),
                None => {
                    self.create(&made, directory, MadeKind::Directory)?;
                    let entry = MadeEntry { kind: MadeKind::Directory, source };
                    made.entries.insert(directory.to_vec(), entry);
                }
            }
        }
        match made.entries.get(path) {
            None => {}
            Some(MadeEntry { kind: MadeKind::Directory, .. }) if kind == MadeKind::Directory => {
                return Ok(None);
            }
            Some(other) => return Err(self.collision(path, source, path, other.source)),
        }
        let file = self.create(&made, path, kind)?;
        made.entries.insert(path.to_vec(), MadeEntry { kind, source });
        Ok(file)
    }

    fn create(&self, made: &Made, path: &[u8], kind: MadeKind) -> Result<Option<File>, Error> {
        self.budget.take(0, 1)?;
        let on_disk = self.on_disk(path);
        let created = match kind {
            MadeKind::Directory => std::fs::create_dir(&on_disk).map(|()| None),
            MadeKind::File(_) => create_new(&on_disk).map(Some),
            // Reserves the name with an empty file, so that no other entry can have it.
            MadeKind::Link => create_new(&on_disk).map(|_| None),
        };
        created.map_err(|why| self.not_created(made, path, &why))
    }

    fn not_created(&self, made: &Made, path: &[u8], why: &io::Error) -> Error {
        let in_layout = self.in_layout(path);
        let mut others = made.entries.keys().map(|it| self.in_layout(it));
        let twins = match why.kind() {
            io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => {
                folded_names::taken_by(&self.site, &in_layout, &mut others)
            }
            _ => None,
        };
        match twins {
            Some(twins) => folded_names::same_name(self.site.named(), &twins),
            None => Error::disk("create", &self.on_disk(path), why),
        }
    }

    /// The error for two entries that cannot both exist.
    fn collision(&self, path: &[u8], source: usize, other: &[u8], of_other: usize) -> Error {
        let name = |source: usize| printable(self.sources.get(source).map_or("", String::as_str));
        let error = cannot_unpack(self.sources.get(source).map_or("", String::as_str));
        let (path, other) = (shown(path), shown(other));
        let error = match (path == other, source == of_other) {
            // No glob can distinguish the two.
            (true, true) => {
                let glob = FileGlob::excluding(&path);
                return error
                    .why(format!("it contains `{path}` twice"))
                    .help(format!("to leave it out, add {glob:?} to `members` of `unpack`"));
            }
            (true, false) => error.why(format!("`{path}` is also in `{}`", name(of_other))),
            (false, true) => {
                error.why(format!("`{path}` is below `{other}`, which is not a directory"))
            }
            (false, false) => error.why(format!(
                "`{path}` is below `{other}`, which comes from `{}` and is not a directory",
                name(of_other)
            )),
        };
        error.help("to leave one of them out, use globs in `members` or `archives` of `unpack`")
    }

    /// Writes a file, hashing it on the way.
    fn write(
        &self,
        file: &mut File,
        path: &[u8],
        content: &mut Content<'_>,
        buffer: &mut [u8],
    ) -> Result<[u8; 32], Error> {
        let failed = |why: io::Error| Error::disk("write", &self.on_disk(path), &why);
        let (mut sha256, mut length) = (Sha256::new(), 0_u64);
        loop {
            let read = content(buffer)?;
            let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else { break };
            length += read as u64;
            self.budget.take(read as u64, 0)?;
            file_size::check(length).map_err(failed)?;
            self.watch(read as u64)?;
            sha256.update(bytes);
            file.write_all(bytes).map_err(failed)?;
        }
        Ok(sha256.finish())
    }

    /// Checks from time to time that the disk still has space.
    fn watch(&self, more: u64) -> Result<(), Error> {
        let before = self.written_bytes.fetch_add(more, Ordering::Relaxed);
        if before / WATCHED_BYTES == (before + more) / WATCHED_BYTES && before > 0 {
            return Ok(());
        }
        self.check_room(0)
    }

    fn check_room(&self, bytes: u64) -> Result<(), Error> {
        let place = self.site.named();
        match fs::free_bytes(place) {
            Some(free) if free < bytes.saturating_add(SPARE_BYTES) => {
                let error =
                    Error::new(ErrorKind::Disk, "not enough disk space for the unpacked archives")
                        .why(format!("{} are free at {}", size::display(free), place.display()));
                let error = match bytes {
                    0 => error,
                    bytes => error.why(format!("{} are needed", size::display(bytes))),
                };
                Err(error
                    .help("free some space, or set ACADEMICTORRENTS_STORE to a directory on another disk")
                    .help("or unpack less: `members` of `unpack` takes globs of the files that you need"))
            }
            _ => Ok(()),
        }
    }

    /// Adds a file of the torrent that is not an archive: by hard link if it is the store's own,
    /// else as a copy, which is not executable.
    ///
    /// # Errors
    /// Of the disk; if another entry has the path.
    pub fn plain(
        &self,
        path: &[u8],
        source: usize,
        from: &Path,
        is_ours: bool,
    ) -> Result<(), Error> {
        let to = self.on_disk(path);
        let failed = |why: io::Error| Error::disk("copy", from, &why);
        self.budget.take(std::fs::metadata(from).map_err(failed)?.len(), 0)?;
        drop(self.claim(path, MadeKind::File([0; 32]), source)?);
        let workplace = self.store.partial_path(self.id);
        // `claim` created a file under this name, which is replaced.
        fs::remove_entry(&to)
            .and_then(|()| match is_ours {
                true => fs::link_or_copy(from, &to, &workplace),
                false => fs::copy(from, &to, CopyMode::ReadOnly { is_ours: false }, &workplace),
            })
            .map_err(failed)?;
        let digest = pins::sha256_of(&to, &mut vec![0; pins::BUFFER_BYTES]);
        let digest = digest.map_err(|why| Error::disk("read", &to, &why))?;
        self.set_digest(path, digest);
        Ok(())
    }

    /// Adds the torrent's own directories, and its symbolic links with their targets.
    ///
    /// # Errors
    /// Of the disk; if another entry has a path.
    pub fn add(&self, folders: &[Vec<u8>], links: &[(Vec<u8>, Vec<u8>)]) -> Result<(), Error> {
        for folder in folders {
            drop(self.claim(folder, MadeKind::Directory, usize::MAX)?);
        }
        for (path, target) in links {
            self.add_link(path, Some(target), usize::MAX)?;
        }
        Ok(())
    }

    fn add_link(&self, path: &[u8], target: Option<&[u8]>, source: usize) -> Result<(), Error> {
        drop(self.claim(path, MadeKind::Link, source)?);
        self.made().links.push((path.to_vec(), target.map(<[u8]>::to_vec)));
        Ok(())
    }

    fn set_digest(&self, path: &[u8], digest: [u8; 32]) {
        if let Some(entry) = self.made().entries.get_mut(path) {
            entry.kind = MadeKind::File(digest);
        }
    }

    /// Publishes the tree: links, sync, rename, stamp.
    ///
    /// # Errors
    /// [`ErrorKind::Archive`] for a link that leads out, or if there are no files;
    /// [`ErrorKind::Disk`].
    pub fn publish(mut self, pins: &Pins) -> Result<(), Error> {
        let links = self.make_links()?;
        let made = std::mem::take(&mut *self.made());
        let digest = |(path, entry): (Vec<u8>, MadeEntry)| match entry.kind {
            MadeKind::File(digest) => Some((path, digest)),
            MadeKind::Directory | MadeKind::Link => None,
        };
        let mut files: Vec<_> = made.entries.into_iter().filter_map(digest).collect();
        files.sort();
        if files.is_empty() {
            return Err(Error::new(ErrorKind::Archive, "the archives contain no files"));
        }
        parallel::each(files.len(), &|index, _| {
            let path = self.on_disk(&files[index].0);
            sync_and_seal(&path).map_err(|why| Error::disk("sync", &path, &why))
        })?;
        let place = self.store.files_path(self.id);
        let failed = |why: io::Error| self.store.failed("publish", &place, &why);
        sync_tree(self.site.named()).map_err(failed)?;
        self.store.create_directory(&place)?;
        self.store.swap_in(self.id).map_err(failed)?;
        let paths = files.iter().map(|(path, _)| self.in_layout(path));
        let mut stamp = Stamp::of(&place.as_path().into(), paths)?;
        stamp.digests = files.iter().map(|(_, digest)| *digest).collect();
        stamp.links = links;
        stamp.pins = pins.clone().into_iter().collect();
        stamp.write(&self.store.stamp_path(self.id))?;
        self.store.remove_leftovers(self.id);
        self.is_published = true;
        Ok(())
    }

    /// Creates the symbolic links, and returns their texts. On platforms without symbolic links
    /// they become copies.
    fn make_links(&self) -> Result<Vec<(PathBuf, PathBuf)>, Error> {
        let made = self.made();
        if made.links.is_empty() {
            return Ok(Vec::new());
        }
        let mut entries = Vec::new();
        for (path, entry) in &made.entries {
            let mut path: Vec<&[u8]> = path.split(|byte| *byte == b'/').collect();
            match entry.kind {
                MadeKind::Link => continue,
                // As if the directory contained a file.
                MadeKind::Directory => path.push(b""),
                MadeKind::File(_) => {}
            }
            entries.push((Components::encode(&path), u32::MAX));
        }
        let mut targets = Vec::new();
        for (index, (path, target)) in (0..).zip(&made.links) {
            let encode = |path: &[u8]| {
                Components::encode(&path.split(|byte| *byte == b'/').collect::<Vec<_>>())
            };
            entries.push((encode(path), index));
            targets.push(target.as_deref().map(encode));
        }
        let target = |index: u32| {
            let target = targets.get(index as usize)?;
            Some(target.as_deref().map(Components::of))
        };
        let tree = LinkTree::new(
            entries.iter().map(|(path, index)| (Components::of(path), *index)).collect(),
            &target,
        );
        let indices: Vec<u32> = (0..made.links.len() as u32).collect();
        let mut ends = tree
            .ends(&indices)
            .map_err(|(index, fault)| self.bad_link(&made, &tree, index, &fault))?;
        let links: Vec<_> = made.links.iter().map(|(path, _)| path.clone()).collect();
        drop(made);
        // Links to files first, so that directories are complete when they are copied.
        let joined = |target: &[u8]| Components::of(target).joined();
        ends.sort_by_key(|end| self.is_directory(&joined(&end.target)));
        let mut said = Vec::new();
        for end in ends {
            let Some(path) = links.get(end.link as usize) else { continue };
            let on_disk = self.on_disk(path);
            let created =
                fs::remove_entry(&on_disk).and_then(|()| match fs::symlink(&end.text, &on_disk) {
                    Err(why) if fs::is_not_supported(&why) => Ok(false),
                    other => other.map(|()| true),
                });
            match created.map_err(|why| Error::disk("create the symbolic link", &on_disk, &why))? {
                true => said.push((self.in_layout(path), end.text)),
                false => self.copy(&joined(&end.target), path)?,
            }
        }
        said.sort();
        Ok(said)
    }

    fn is_directory(&self, path: &[u8]) -> bool {
        self.made().entries.get(path).is_some_and(|it| it.kind == MadeKind::Directory)
    }

    fn bad_link(&self, made: &Made, tree: &LinkTree<'_>, index: u32, fault: &LinkFault) -> Error {
        let path = made.links.get(index as usize).map_or(&b""[..], |(path, _)| path);
        let source = made.entries.get(path).and_then(|entry| self.sources.get(entry.source));
        let why = match fault {
            LinkFault::NoTarget
                if made.links.get(index as usize).is_some_and(|it| it.1.is_none()) =>
            {
                "it leads out of the archive".to_owned()
            }
            LinkFault::Missing(target) => {
                format!(
                    "it leads to `{}`, which is not unpacked",
                    shown(&Components::of(target).joined())
                )
            }
            fault => tree.why(index, fault),
        };
        cannot_unpack(source.map_or("", String::as_str))
            .why(format!("its symbolic link `{}`: {why}", shown(path)))
            .help(format!(
                "to leave it out, add {:?} to `members` of `unpack`",
                FileGlob::excluding(&String::from_utf8_lossy(path))
            ))
    }

    /// Copies a file or directory in place of a link to it.
    fn copy(&self, from: &[u8], to: &[u8]) -> Result<(), Error> {
        let below = [from, b"/"].concat();
        let mut made = self.made();
        let link = made.entries.remove(to);
        let source = link.map_or(0, |it| it.source);
        let mut copied: Vec<_> = made
            .entries
            .iter()
            .filter(|(path, _)| *path == from || path.starts_with(&below))
            .map(|(path, entry)| (path.clone(), entry.kind))
            .collect();
        drop(made);
        copied.sort_by(|a, b| a.0.cmp(&b.0));
        for (path, kind) in copied {
            let to = [to, path.get(from.len()..).unwrap_or_default()].concat();
            match kind {
                MadeKind::Directory => drop(self.claim(&to, kind, source)?),
                MadeKind::File(_) => self.hard_link(&to, &path, source)?,
                MadeKind::Link => {}
            }
        }
        Ok(())
    }

    fn hard_link(&self, path: &[u8], target: &[u8], source: usize) -> Result<(), Error> {
        let found = self.made().entries.get(target).map(|entry| entry.kind);
        let Some(kind @ MadeKind::File(_)) = found.filter(|_| path != target) else {
            let archive = self.sources.get(source).map_or("", String::as_str);
            let why = format!(
                "its hard link `{}` leads to `{}`, which is not a file that was unpacked earlier",
                shown(path),
                shown(target)
            );
            let glob = FileGlob::excluding(&String::from_utf8_lossy(path));
            return Err(cannot_unpack(archive)
                .why(why)
                .help(format!("to leave it out, add {glob:?} to `members` of `unpack`")));
        };
        drop(self.claim(path, kind, source)?);
        let (from, to) = (self.on_disk(target), self.on_disk(path));
        // `claim` created a file under this name, which is replaced.
        let linked = fs::remove_entry(&to).and_then(|()| match std::fs::hard_link(&from, &to) {
            Err(_) => fs::copy(&from, &to, CopyMode::Same, &self.store.partial_path(self.id)),
            done => done,
        });
        linked.map_err(|why| Error::disk("create", &to, &why))
    }
}

impl Drop for TreeWriter<'_> {
    /// Removes an unpublished tree.
    fn drop(&mut self) {
        if !self.is_published {
            let _ = remove_tree(&self.store.partial_path(self.id));
        }
    }
}

impl MemberSink for TreeSink<'_, '_> {
    fn directory(&mut self, path: &[u8]) -> Result<(), Error> {
        self.tree.claim(path, MadeKind::Directory, self.source).map(drop)
    }

    fn file(
        &mut self,
        path: &[u8],
        is_executable: bool,
        content: &mut Content<'_>,
    ) -> Result<(), Error> {
        let file = self.tree.claim(path, MadeKind::File([0; 32]), self.source)?;
        let Some(mut file) = file else { return Ok(()) };
        let digest = self.tree.write(&mut file, path, content, &mut self.buffer)?;
        if is_executable {
            let failed = |why| Error::disk("write", &self.tree.on_disk(path), &why);
            fs::make_executable(&file).map_err(failed)?;
        }
        self.tree.set_digest(path, digest);
        Ok(())
    }

    fn second_name(&mut self, path: &[u8], target: &[u8]) -> Result<(), Error> {
        self.tree.hard_link(path, target, self.source)
    }

    fn link(&mut self, path: &[u8], target: Option<&[u8]>) -> Result<(), Error> {
        self.tree.add_link(path, target, self.source)
    }

    fn expect(&mut self, bytes: u64, entries: u64) -> Result<(), Error> {
        self.tree.budget.expect(bytes, entries)?;
        self.tree.check_room(bytes)
    }
}

/// A file or link of a tree that is not as it was unpacked.
#[derive(Debug)]
#[cfg_attr(not(feature = "engine"), expect(dead_code, reason = "only `verify` reports them"))]
pub struct TreeFault {
    /// Below the directory that contains the tree's root.
    pub path: PathBuf,
    /// The length that it should have.
    pub length_bytes: u64,
    pub fault: FileFault,
}

impl Store {
    /// Removes a dataset whose archives were unpacked. The caller holds the lock.
    ///
    /// # Errors
    /// [`ErrorKind::Disk`].
    pub fn discard(&self, id: &str) -> Result<(), Error> {
        remove_if_there(&self.stamp_path(id))?;
        let path = self.data_path(id);
        set_aside(&path)
            .and_then(|aside| aside.map_or(Ok(()), |aside| remove_tree(&aside)))
            .map_err(|why| self.failed("remove", &path, &why))
    }

    /// Reads the whole tree, and returns what is not as it was unpacked; `None` if the tree has no
    /// stamp.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Stopped`].
    pub fn tree_faults(
        &self,
        id: &str,
        work: DiskWork<'_>,
    ) -> Result<Option<Vec<TreeFault>>, Error> {
        let Some(stamp) = Stamp::read(&self.stamp_path(id)) else { return Ok(None) };
        let files: Vec<_> = stamp.files().collect();
        let place = self.files_path(id);
        let faults = Mutex::new(Vec::new());
        parallel::each(files.len(), &|index, buffer| {
            work.goes_on()?;
            let Some((path, length)) = files.get(index) else { return Ok(()) };
            let on_disk = place.join(path);
            let is_right = |buffer: &mut Vec<u8>| {
                buffer.resize(pins::BUFFER_BYTES, 0);
                let found = pins::sha256_of(&on_disk, buffer).ok();
                found.is_some() && found.as_ref() == stamp.digests.get(index)
            };
            let fault = match FileFault::of_file(&on_disk, *length) {
                None if is_right(buffer) => None,
                None => Some(FileFault::Damaged(std::iter::once(0..*length).collect())),
                fault => fault,
            };
            let fault =
                fault.map(|fault| TreeFault { path: path.clone(), length_bytes: *length, fault });
            faults.lock().extend(fault);
            work.did(*length);
            Ok(())
        })?;
        let mut faults = faults.into_inner();
        for (path, text) in &stamp.links {
            if !std::fs::read_link(place.join(path)).is_ok_and(|found| found == *text) {
                let fault = FileFault::Link(text.clone());
                faults.push(TreeFault { path: path.clone(), length_bytes: 0, fault });
            }
        }
        faults.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Some(faults))
    }
}
