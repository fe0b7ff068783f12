//! Reuses data of other selections of the same torrent, so that nothing is fetched that the store
//! already has.
//!
//! Files are hard-linked from selections with a valid stamp. The pieces at the edges of the new
//! selection also have bytes of files that it does not have: these bytes are read from another
//! selection that has them, and the piece is hashed. If no selection has them but one has the
//! selected bytes, its stamp has a digest of the part of the piece that it keeps. A piece proven
//! either way needs no scratch file, only the digest for the new stamp.
//!
//! A wrong edge shows that a stamped file is damaged. Then the links to its files are removed, and
//! so are the stamps of the selections that have these files, and of the trees of unpacked archives
//! that are linked to them: they are hashed or unpacked before their next use.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::check::{BUFFER_BYTES, hash_kept};
use super::files::{FileOrigin, LayoutFiles};
use super::fs::{link_or_copy, remove, remove_entry};
use super::local_copy::LocalCopy;
use super::{Site, Store, parallel};
use crate::error::Error;
use crate::hash::Sha1;
use crate::mutex::Mutex;
use crate::plan::{Layout, Segment, SegmentPlace};
use crate::torrent::geometry::PieceIndex;
use crate::torrent::infohash::Infohash;
use crate::torrent::metainfo::Metainfo;

/// The other selections of a torrent whose stamps are valid.
pub(super) struct Siblings<'a> {
    store: &'a Store,
    metainfo: &'a Metainfo,
    list: Vec<Sibling>,
}

struct Sibling {
    id: String,
    /// The stamp's digests of pieces that the selection keeps in part.
    fragments: HashMap<PieceIndex, [u8; 20]>,
    /// Its files, by index in [`Metainfo::files`].
    has: HashSet<u32>,
    /// Reads its files, in the layout of all files.
    files: LayoutFiles,
}

/// What is known about a piece that the selection keeps in part.
enum Edge {
    /// Right, with the digest of the kept part.
    Right([u8; 20]),
    Damaged,
    Unknown,
}

impl<'a> Siblings<'a> {
    pub(super) fn of(
        store: &'a Store,
        id: &str,
        metainfo: &'a Metainfo,
        layout: &Arc<Layout>,
    ) -> Siblings<'a> {
        let ids = store.selections(metainfo.infohash).into_iter().filter(|other| other != id);
        let stamped: Vec<_> =
            ids.filter_map(|other| Some((store.present(&other)?, other))).collect();
        let mut siblings = Siblings { store, metainfo, list: Vec::new() };
        if stamped.is_empty() {
            return siblings;
        }
        let whole = Layout::whole(layout);
        siblings.list.extend(stamped.into_iter().map(|(stamp, id)| {
            let has = stamp.among(whole.files()).map(|file| file.torrent_file).collect();
            let site = Site::In(store.files_path(&id));
            let files = LayoutFiles::for_reading(Arc::clone(&whole), site);
            Sibling { id, fragments: stamp.fragments.into_iter().collect(), has, files }
        }));
        siblings
    }

    /// Links the files that a sibling has, even in place of partial ones. Returns their indices in
    /// the layout. Files that were found damaged in this selection are skipped: a sibling's file
    /// may be the same inode, whatever its stamp says.
    pub(super) fn link(
        &self,
        files: &LayoutFiles,
        existing: Option<&LocalCopy>,
        workplace: &Path,
    ) -> io::Result<HashSet<u32>> {
        let mut linked = HashSet::new();
        for (index, file) in files.layout().files().enumerate() {
            let index = index as u32; // a torrent of 64 MiB has fewer than 2^32 files
            let Some(sibling) = self.with(file.torrent_file).filter(|_| file.length() > 0) else {
                continue;
            };
            if existing.is_some_and(|it| it.files.path(index).exists()) {
                continue;
            }
            let to = files.path(index);
            files.create_parents(&to)?;
            remove(&to)?;
            link_or_copy(&self.store.files_path(&sibling.id).join(file.path()), &to, workplace)?;
            files.set_origin(index, Some(FileOrigin::Sealed));
            linked.insert(index);
        }
        Ok(linked)
    }

    /// Returns the right pieces at the edges of the selection, with the digest of the kept part of
    /// each; only edges whose files were all `linked` are checked. Removes damaged files from
    /// `linked`.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Disk`] if damaged files or stamps cannot be removed.
    pub(super) fn edges(
        &self,
        files: &LayoutFiles,
        linked: &mut HashSet<u32>,
    ) -> Result<Vec<(PieceIndex, [u8; 20])>, Error> {
        if linked.is_empty() {
            return Ok(Vec::new());
        }
        let layout = files.layout();
        let segments = |piece| layout.segments(layout.geometry().range(piece));
        let is_linked = |piece: PieceIndex, linked: &HashSet<u32>| {
            segments(piece).all(|segment| match segment.place {
                SegmentPlace::File { file, .. } => linked.contains(&file),
                SegmentPlace::Scratch { .. } | SegmentPlace::Zeros => true,
            })
        };
        let edges = layout.needed();
        let edges: Vec<_> =
            edges.iter().filter(|it| !layout.is_kept(*it) && is_linked(*it, linked)).collect();
        let found = Mutex::new(Vec::new());
        parallel::each(edges.len(), &|index, buffer| {
            let edge = self.edge(files, edges[index], buffer);
            found.lock().push((edges[index], edge));
            Ok(())
        })?;
        files.close();
        let (mut right, mut damaged) = (Vec::new(), Vec::new());
        for (piece, edge) in found.into_inner() {
            match edge {
                Edge::Right(kept) => right.push((piece, kept)),
                Edge::Damaged => damaged.extend(segments(piece)),
                Edge::Unknown => {}
            }
        }
        for segment in damaged {
            if let SegmentPlace::File { file, .. } = segment.place {
                if linked.remove(&file) {
                    let path = files.path(file);
                    remove_entry(&path).map_err(|why| Error::disk("remove", &path, &why))?;
                    files.set_origin(file, None);
                }
            }
            for sibling in self.list.iter().filter(|it| it.has.contains(&segment.torrent_file)) {
                self.store.remove_stamp(&sibling.id)?;
                let file = sibling.files.layout().file(segment.torrent_file);
                let paths: Vec<_> = file.map(|file| file.path()).into_iter().collect();
                self.store.unstamp_links(self.metainfo.infohash, &sibling.id, &paths)?;
            }
        }
        right.retain(|(piece, _)| is_linked(*piece, linked));
        right.sort_unstable();
        Ok(right)
    }

    fn edge(&self, files: &LayoutFiles, piece: PieceIndex, buffer: &mut Vec<u8>) -> Edge {
        let segments = || files.layout().segments(files.layout().geometry().range(piece));
        let proven = |is_right: bool| match hash_kept(files, piece) {
            Ok(kept) if is_right => Edge::Right(kept),
            _ => Edge::Damaged,
        };
        let is_here = |segment: &Segment| !matches!(segment.place, SegmentPlace::Scratch { .. });
        if segments().all(|it| is_here(&it) || self.with(it.torrent_file).is_some()) {
            let sha1 = self.hash(files, segments(), buffer);
            return proven(sha1.ok() == self.metainfo.piece_hash(piece));
        }
        for sibling in &self.list {
            let has = |it: &Segment| {
                matches!(it.place, SegmentPlace::Zeros) || sibling.has.contains(&it.torrent_file)
            };
            let digest = sibling.fragments.get(&piece).copied();
            if digest.is_some() && segments().all(|it| has(&it) || !is_here(&it)) {
                let sha1 = self.hash(files, segments().filter(has), buffer);
                return proven(sha1.ok() == digest);
            }
        }
        Edge::Unknown
    }

    /// Returns the SHA-1 of these segments; bytes of unselected files are read from a sibling that
    /// has them.
    fn hash(
        &self,
        files: &LayoutFiles,
        segments: impl Iterator<Item = Segment>,
        buffer: &mut Vec<u8>,
    ) -> io::Result<[u8; 20]> {
        if buffer.is_empty() {
            *buffer = vec![0; BUFFER_BYTES];
        }
        let mut sha1 = Sha1::new();
        for segment in segments {
            let from = match segment.place {
                SegmentPlace::Scratch { .. } => {
                    let sibling = self.with(segment.torrent_file);
                    &sibling.ok_or(io::ErrorKind::NotFound)?.files
                }
                SegmentPlace::File { .. } | SegmentPlace::Zeros => files,
            };
            let mut at = segment.range.start;
            while at < segment.range.end {
                let length = (segment.range.end - at).min(buffer.len() as u64) as usize;
                let part = &mut buffer[..length];
                from.read(at, part)?;
                sha1.update(part);
                at += length as u64;
            }
        }
        Ok(sha1.finish())
    }

    /// Returns the first sibling that has this file of the torrent.
    fn with(&self, torrent_file: u32) -> Option<&Sibling> {
        self.list.iter().find(|sibling| sibling.has.contains(&torrent_file))
    }
}

impl Store {
    /// Removes the stamps of the torrent's other selections, and of its trees, that share one of
    /// these damaged files of a selection or tree (the same inode). Returns their ids. The caller
    /// holds the lock.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Disk`].
    pub fn unstamp_links(
        &self,
        infohash: Infohash,
        id: &str,
        damaged: &[PathBuf],
    ) -> Result<Vec<String>, Error> {
        let mut others = self.selections_and_trees(infohash);
        others.retain(|other| {
            let (mine, theirs) = (self.files_path(id), self.files_path(other));
            let is_linked = |path: &PathBuf| is_same(&mine.join(path), &theirs.join(path));
            other != id && self.stamp_path(other).exists() && damaged.iter().any(is_linked)
        });
        others.iter().try_for_each(|other| self.remove_stamp(other)).map(|()| others)
    }
}

#[cfg(unix)]
fn is_same(one: &Path, other: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let inode = |path| std::fs::metadata(path).map(|file| (file.dev(), file.ino())).ok();
    inode(one).is_some_and(|one| inode(other) == Some(one))
}

/// This platform does not identify files. Hashing once more does no harm.
#[cfg(not(unix))]
fn is_same(one: &Path, other: &Path) -> bool {
    one.exists() && other.exists()
}
