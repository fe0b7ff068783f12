//! What exists of a dataset at one location, and how that is known: in the store, in a user's
//! directory, or in a copy that is only read.

use std::path::PathBuf;
use std::sync::Arc;

use super::check::{hash_kept, hash_pieces};
use super::directory::directory_fault;
use super::file_fault::CopyFault;
use super::files::LayoutFiles;
use super::parallel::DiskWork;
use super::target::Target;
use super::{Site, Stamp, fs, links};
use crate::error::Error;
use crate::plan::Layout;
use crate::torrent::geometry::PieceIndex;
use crate::torrent::metainfo::Metainfo;
use crate::torrent::pieces::PieceSet;

/// What exists at a location under the names of a dataset, as of one moment.
#[derive(Debug)]
pub struct LocalCopy {
    pub(super) site: Site,
    pub(super) metainfo: Arc<Metainfo>,
    /// The selected files.
    pub(super) layout: Arc<Layout>,
    /// The files that pieces are read from. For a copy these are all files of the torrent:
    /// unselected files may have the rest of a piece.
    pub(super) files: LayoutFiles,
    /// Digests from a stamp: of the kept part of pieces that are not kept whole.
    pub(super) fragments: Vec<(PieceIndex, [u8; 20])>,
    /// Needed pieces whose files all exist; after hashing, those that are right.
    pub(super) pieces: PieceSet,
    is_hashed: bool,
    /// Whether all symbolic links of the layout are right.
    has_links: bool,
    /// Size and time of all selected files before they were hashed; `None` unless all exist with
    /// their lengths.
    pub(super) stamp: Option<Stamp>,
    /// The store's `data` directory, if the location is in it: then no symbolic link may lead from
    /// there to the files.
    own: Option<PathBuf>,
}

impl LocalCopy {
    /// Finds the files of a copy and reads none. `fragments` come from the stamp if the location is
    /// in a store.
    pub fn look(
        site: &Site,
        metainfo: &Arc<Metainfo>,
        layout: &Arc<Layout>,
        fragments: Vec<(PieceIndex, [u8; 20])>,
    ) -> LocalCopy {
        let files = LayoutFiles::for_reading(Layout::whole(layout), site.clone());
        let mut copy = LocalCopy::new(files, metainfo, layout, fragments);
        if copy.files.site().has_root(layout) {
            copy.has_links = links::are_exact(site, layout);
            copy.look_at_files();
        }
        copy
    }

    /// Hashes a dataset's own location; `None` if none of its files exists there.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Stopped`].
    pub fn in_place(
        target: Target<'_>,
        id: &str,
        metainfo: &Arc<Metainfo>,
        layout: &Arc<Layout>,
        work: DiskWork<'_>,
    ) -> Result<Option<LocalCopy>, Error> {
        let directory = target.files_path(id);
        // Nothing in the store is a symbolic link: the target of one is not ours to make read-only
        // and to stamp.
        let own = target.store().map(|store| store.root().join("data"));
        if !directory.is_dir() || own.as_ref().is_some_and(|data| !fs::is_below(data, &directory)) {
            return Ok(None);
        }
        let files = LayoutFiles::for_reading(Arc::clone(layout), directory.into());
        let fragments = target.last_stamp(id).unwrap_or_default().fragments;
        let mut copy = LocalCopy::new(files, metainfo, layout, fragments);
        copy.own = own;
        let mut is_there = copy.is_there();
        let mut indices = 0..layout.file_count() as u32;
        if !copy.files.site().has_root(layout)
            || !indices.any(|index| is_there(copy.files.path(index)))
        {
            return Ok(None);
        }
        copy.has_links = match copy.own {
            Some(_) => links::are_exact(&copy.site, layout),
            None => links::are_right(&copy.site, layout),
        };
        copy.look_at_files();
        copy.hash(work)?;
        Ok(Some(copy))
    }

    fn new(
        files: LayoutFiles,
        metainfo: &Arc<Metainfo>,
        layout: &Arc<Layout>,
        fragments: Vec<(PieceIndex, [u8; 20])>,
    ) -> LocalCopy {
        LocalCopy {
            site: files.site().clone(),
            metainfo: Arc::clone(metainfo),
            layout: Arc::clone(layout),
            files,
            fragments,
            pieces: PieceSet::none(layout.geometry().piece_count()),
            is_hashed: false,
            has_links: false,
            stamp: None,
            own: None,
        }
    }

    /// Returns a check whether a regular file exists. Other entries, such as pipes, are never
    /// opened.
    fn is_there(&self) -> impl FnMut(PathBuf) -> bool + use<> {
        let mut below = self.own.as_ref().map(|_| fs::Below::new(self.site.named().to_owned()));
        move |path| match &mut below {
            Some(below) => below.file(&path).is_some(),
            None => path.is_file(),
        }
    }

    fn look_at_files(&mut self) {
        let (layout, mut pieces) = (&self.layout, self.layout.needed());
        let mut is_there = self.is_there();
        for (index, file) in self.files.layout().files().enumerate() {
            let its_own = layout.geometry().pieces(file.range());
            let is_needed =
                pieces.next_from(its_own.start).is_some_and(|piece| piece < its_own.end);
            if is_needed && !is_there(self.files.path(index as u32)) {
                pieces.remove_range(its_own);
            }
        }
        let stamp = Stamp::of(&self.site, layout.files().map(|file| file.path())).ok();
        let mut stamp = stamp.filter(|stamp| {
            stamp.lengths().zip(layout.files()).all(|(found, file)| found == file.length())
                && self.fits(stamp)
        });
        if let Some(stamp) = &mut stamp {
            if self.has_links && links::are_exact(&self.site, layout) {
                stamp.links =
                    layout.links().map(|(path, link)| (path, link.text.clone())).collect();
            }
            let needed = layout.needed();
            let fragments = self.fragments.iter().map(|(piece, _)| *piece);
            pieces.extend(fragments.filter(|piece| needed.contains(*piece)));
        }
        (self.stamp, self.pieces) = (stamp, pieces);
    }

    /// Hashes the pieces. A piece that is not kept whole and whose rest is not available is
    /// compared with its digest from the stamp.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Stopped`]: then the previous state remains.
    pub fn hash(&mut self, work: DiskWork<'_>) -> Result<(), Error> {
        let layout = self.files.layout();
        let pieces: Vec<_> = self.pieces.iter().filter(|piece| layout.is_kept(*piece)).collect();
        let mut right = hash_pieces(&self.files, &self.metainfo, &pieces, work)?;
        if !self.fragments.is_empty() {
            let kept = LayoutFiles::for_reading(Arc::clone(&self.layout), self.site.clone());
            right.extend(self.fragments.iter().filter_map(|(piece, sha1)| {
                // For a piece that is kept whole only the torrent's hash counts.
                let is_part = self.pieces.contains(*piece) && !self.layout.is_kept(*piece);
                let is_right = is_part && hash_kept(&kept, *piece).is_ok_and(|it| it == *sha1);
                is_right.then_some(*piece)
            }));
        }
        (self.pieces, self.is_hashed) = (right, true);
        self.files.close();
        Ok(())
    }

    /// Whether the selected files match this stamp.
    fn fits(&self, stamp: &Stamp) -> bool {
        match &self.own {
            Some(data) => stamp.matches_own(data.clone(), self.site.named().to_owned()),
            None => stamp.matches(&self.site),
        }
    }

    /// Returns the state of all files before they were hashed, if they still match it.
    pub(super) fn unchanged(&self) -> Option<&Stamp> {
        self.stamp.as_ref().filter(|stamp| self.fits(stamp))
    }

    /// Returns the stamp's digests that were checked again.
    pub(super) fn checked_fragments(&self) -> Vec<(PieceIndex, [u8; 20])> {
        let is_checked =
            |piece: PieceIndex| self.pieces.contains(piece) && !self.layout.is_kept(piece);
        self.fragments.iter().filter(|(piece, _)| is_checked(*piece)).copied().collect()
    }

    /// Whether any of it exists.
    pub fn is_something(&self) -> bool {
        self.stamp.is_some() || !self.pieces.is_empty()
    }

    /// Whether all links and all files with their lengths exist, so that hashing may prove the copy
    /// complete.
    pub fn may_be_complete(&self) -> bool {
        self.has_links && self.stamp.is_some() && self.pieces.len() == self.layout.needed().len()
    }

    /// Whether each needed piece was hashed and is right.
    pub fn is_complete(&self) -> bool {
        self.is_hashed && self.may_be_complete()
    }

    /// The single file, otherwise the root directory.
    pub fn root_path(&self) -> PathBuf {
        self.site.path(&self.metainfo.root_path())
    }

    /// The selected files, with their names at the location.
    pub fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    pub fn is_hashed(&self) -> bool {
        self.is_hashed
    }

    /// Pieces that may be right; after hashing, those that are.
    pub fn pieces(&self) -> &PieceSet {
        &self.pieces
    }

    /// Whether a file, by its index in [`Layout::files`], has the right length and only right
    /// pieces.
    pub(super) fn has_file(&self, index: u32) -> bool {
        self.layout.file(index).is_some_and(|file| {
            let path = self.site.path(&file.path());
            std::fs::metadata(path).is_ok_and(|found| found.len() == file.length())
                && self.layout.geometry().pieces(file.range()).all(|it| self.pieces.contains(it))
        })
    }

    /// Returns the paths of the files that are missing or damaged, or that share a wrong piece with
    /// such a file; below the directory with the torrent's layout.
    pub fn faulty_paths(&self) -> Vec<PathBuf> {
        let files = (0..).zip(self.layout.files()).filter(|(index, _)| !self.has_file(*index));
        files.map(|(_, file)| file.path()).collect()
    }

    /// Describes for a message how much of it exists and what is wrong first.
    pub fn summary(&self) -> String {
        let place = self.site.named().display();
        if !self.is_something() {
            let fault = match &self.site {
                Site::In(directory) => directory_fault(directory),
                Site::At(_) => None,
            };
            let fault = fault.unwrap_or_else(|| "it contains no part of the dataset".to_owned());
            return format!("{place}: {fault}");
        }
        if !self.is_hashed && self.may_be_complete() {
            return format!("{place}: some of it is damaged or missing");
        }
        let fault = self.fault();
        if self.is_hashed {
            let (right, needed) = (self.pieces.len(), self.layout.needed().len());
            format!("{place}: {right} of {needed} pieces are correct; {fault}")
        } else {
            format!("{place}: {fault}")
        }
    }

    /// Returns the first fault: a file that is not as the torrent says, else a piece.
    pub fn fault(&self) -> CopyFault {
        CopyFault::first(&self.site, &self.files, &self.layout, &self.metainfo, &self.pieces)
    }
}
