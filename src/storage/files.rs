//! Positioned reads and writes over the files of a layout.

mod open_files;
mod origins;

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use self::open_files::{OpenFiles, OpenedFile};
pub use self::origins::FileOrigin;
use self::origins::FileOrigins;
use super::positioned::{read_exact_at, write_all_at};
use super::user_files::UserFiles;
use super::{Site, file_size, folded_names, fs, links};
use crate::error::Error;
use crate::plan::{Layout, SegmentPlace};

/// The files of a layout below a directory, opened when they are first needed.
///
/// Shared by all workers: each reads and writes at offsets of its own.
#[derive(Debug)]
pub struct LayoutFiles {
    layout: Arc<Layout>,
    /// Holds the torrent's own layout.
    site: Site,
    /// Where a dataset is being fetched: holds `scratch`, for what is needed and not kept. `None` for reading only.
    workplace: Option<PathBuf>,
    /// Where the user's own files lie, of a directory that is the user's.
    home: Option<UserFiles>,
    open: OpenFiles,
    origins: FileOrigins,
}

/// Stands for the scratch file among the indices of [`Layout::files`].
pub(super) const SCRATCH: u32 = u32::MAX;

impl LayoutFiles {
    pub fn for_reading(layout: Arc<Layout>, site: Site) -> LayoutFiles {
        LayoutFiles {
            origins: FileOrigins::none(layout.file_count()),
            layout,
            site,
            workplace: None,
            home: None,
            open: OpenFiles::default(),
        }
    }

    /// Files below `files` in the workplace, including those that an earlier process left. A symbolic link in the place of one of
    /// their directories is removed.
    ///
    /// # Errors
    /// Of removing it.
    pub fn for_writing(
        layout: Arc<Layout>,
        workplace: PathBuf,
        home: Option<UserFiles>,
    ) -> io::Result<LayoutFiles> {
        let mut files = LayoutFiles::for_reading(layout, Site::In(workplace.join("files")));
        files.workplace = Some(workplace);
        files.home = home;
        // Else nothing is below it.
        if files.site.has_root(&files.layout) {
            let links = files.layout.links().map(|(path, _)| path);
            let paths = files.layout.files().map(|file| file.path()).chain(links);
            let mut paths = paths.map(|path| files.site.path(&path));
            fs::remove_linked_directories(files.site.named(), &mut paths)?;
        }
        let count = match files.site.has_root(&files.layout) {
            true => files.layout.file_count() as u32,
            false => 0,
        };
        // What is not a regular file holds nothing of ours. It is replaced when something is written to it.
        let is_left = |index: &u32| fs::file_at(&files.path(*index)).is_some();
        let left = (0..count).chain([SCRATCH]).filter(is_left);
        left.for_each(|index| files.set_origin(index, Some(FileOrigin::Left)));
        Ok(files)
    }

    pub fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    pub(super) fn site(&self) -> &Site {
        &self.site
    }

    pub(super) fn home(&self) -> Option<&UserFiles> {
        self.home.as_ref()
    }

    /// Where a file comes from, by its index in [`Layout::files`]; `None` if the workplace does not have it.
    pub(super) fn origin(&self, index: u32) -> Option<FileOrigin> {
        self.origins.get(index)
    }

    /// A file was put into the workplace without [`LayoutFiles::write`], or removed from it.
    pub(super) fn set_origin(&self, index: u32, origin: Option<FileOrigin>) {
        self.origins.set(index, origin);
    }

    /// Whether the user has a file that was hashed and is right. As that of a sealed one, a write to it is dropped.
    fn stays(&self, index: u32) -> bool {
        self.home.as_ref().is_some_and(|home| home.stays(index))
    }

    /// Writes bytes of the torrent's stream, except those of pad files, [`FileOrigin::Sealed`] files, and files that are right where the user
    /// has them.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Disk`], also if not all bytes were written.
    pub fn write(&self, offset: u64, mut bytes: &[u8]) -> Result<(), Error> {
        let mut at = offset;
        for segment in self.layout.segments(offset..offset + bytes.len() as u64) {
            let length = (segment.range.end - segment.range.start) as usize;
            let Some((now, rest)) =
                bytes.split_at_checked(length).filter(|_| segment.range.start == at)
            else {
                break;
            };
            (at, bytes) = (segment.range.end, rest);
            let (index, at) = match segment.place {
                SegmentPlace::File { file, offset } => (file, offset),
                SegmentPlace::Scratch { offset } => (SCRATCH, offset),
                SegmentPlace::Zeros => continue,
            };
            let written = if at == 0 && length as u64 == self.length(index) {
                self.write_whole(index, now)
            } else {
                self.write_part(index, now, at)
            };
            written.map_err(|why| self.failed("write", index, &why))?;
        }
        if bytes.is_empty() {
            return Ok(());
        }
        let why = io::Error::from(io::ErrorKind::WriteZero);
        Err(Error::disk("write", self.workplace.as_deref().unwrap_or(Path::new("")), &why))
    }

    fn write_part(&self, index: u32, bytes: &[u8], at: u64) -> io::Result<()> {
        match self.to_write(index)? {
            Some(file) => write_all_at(&file, bytes, at),
            None => Ok(()),
        }
    }

    /// A small file is made, written and closed at once: where there are thousands, each further system call counts.
    fn write_whole(&self, index: u32, bytes: &[u8]) -> io::Result<()> {
        if self.origin(index).is_some() || self.stays(index) {
            return self.write_part(index, bytes, 0);
        }
        let path = self.path(index);
        match self.with_parents(&path) {
            Ok(mut file) => {
                self.set_origin(index, Some(FileOrigin::Ours));
                file.write_all(bytes)
            }
            Err(why) if why.kind() == io::ErrorKind::AlreadyExists => {
                self.write_part(index, bytes, 0)
            }
            Err(why) => Err(why),
        }
    }

    /// Reads bytes of the torrent's stream.
    ///
    /// # Errors
    /// Of the file: not there, too short, not to be read.
    pub fn read(&self, offset: u64, mut buffer: &mut [u8]) -> io::Result<()> {
        let mut at = offset;
        for segment in self.layout.segments(offset..offset + buffer.len() as u64) {
            let length = (segment.range.end - segment.range.start) as usize;
            if segment.range.start != at || length > buffer.len() {
                break;
            }
            let (now, rest) = buffer.split_at_mut(length);
            (at, buffer) = (segment.range.end, rest);
            match segment.place {
                SegmentPlace::File { file, offset } => {
                    read_exact_at(&*self.to_read(file)?, now, offset)?
                }
                SegmentPlace::Scratch { offset } => {
                    read_exact_at(&*self.to_read(SCRATCH)?, now, offset)?;
                }
                SegmentPlace::Zeros => now.fill(0),
            }
        }
        if buffer.is_empty() { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    /// Path of a file by its index in [`Layout::files`].
    pub fn path(&self, index: u32) -> PathBuf {
        match self.layout.file(index) {
            Some(file) => self.site.path(&file.path()),
            None => self.workplace.as_ref().map_or_else(PathBuf::new, |it| it.join("scratch")),
        }
    }

    fn length(&self, index: u32) -> u64 {
        self.layout.file(index).map_or_else(|| self.layout.scratch_bytes(), |file| file.length())
    }

    /// Closes all files.
    pub fn close(&self) {
        self.open.close();
    }

    /// What is not in the workplace lies where the user has it, or nowhere: reading makes no file.
    fn to_read(&self, index: u32) -> io::Result<Arc<File>> {
        if let Some(file) = self.open.get(index, false) {
            return Ok(file);
        }
        let path = self.path(index);
        // A copy that is only read may consist of symbolic links. The workplace has none, whoever can write to it.
        let opened = if self.workplace.is_some() { fs::open(&path) } else { File::open(&path) };
        let file = match opened {
            Ok(file) => Arc::new(file),
            Err(why) => {
                let (Some(home), Some(file)) = (&self.home, self.layout.file(index)) else {
                    return Err(why);
                };
                if self.origin(index).is_some() {
                    return Err(why);
                }
                // Not kept open: it may move at any time.
                return File::open(home.path(&file.path())).map(Arc::new);
            }
        };
        self.open.keep(index, OpenedFile::new(&file, false));
        Ok(file)
    }

    /// The file, open for writing; `None` if it is never written.
    fn to_write(&self, index: u32) -> io::Result<Option<Arc<File>>> {
        if let Some(file) = self.open.get(index, true) {
            return Ok(Some(file));
        }
        if self.stays(index) {
            return Ok(None);
        }
        let opening = self.origins.opening(index);
        if self.bring(index)? {
            self.set_origin(index, Some(FileOrigin::Ours));
        }
        file_size::check(self.length(index))?;
        let path = self.path(index);
        let mut origin = self.origin(index);
        let mut file = None;
        if origin.is_none() {
            let mut created = self.with_parents(&path);
            let is_taken = |why: &io::Error| why.kind() == io::ErrorKind::AlreadyExists;
            if created.as_ref().is_err_and(is_taken) && fs::file_at(&path).is_none() {
                // By a symbolic link or an empty directory.
                fs::remove(&path)?;
                created = self.with_parents(&path);
            }
            match created {
                Ok(new) => file = Some(new),
                // Another worker has just created it, if it is not another file of the layout.
                Err(why) if why.kind() == io::ErrorKind::AlreadyExists => {
                    if self.twins(index).is_some() {
                        return Err(why);
                    }
                    origin = Some(FileOrigin::Left);
                }
                Err(why) => return Err(why),
            }
        }
        match origin {
            Some(FileOrigin::Sealed) => return Ok(None),
            Some(FileOrigin::Left) if !fs::may_be_written(&path)? => {
                let workplace = self.workplace.as_deref().unwrap_or(Path::new(""));
                // It may have been hashed.
                self.open.close_one(index);
                fs::copy(&path, &path, fs::CopyMode::New, workplace)?;
            }
            _ => {}
        }
        let file = match file {
            Some(file) => file,
            // Not created anew: what was verified of a file that is gone is gone with it.
            None => fs::open_to_write(&path)?,
        };
        let metadata = file.metadata()?;
        if metadata.permissions().readonly() {
            // By the user's umask. It must open again.
            fs::make_writable(&file, metadata.permissions())?;
        }
        let length = self.length(index);
        if metadata.len() != length {
            file.set_len(length)?;
        }
        self.set_origin(index, Some(FileOrigin::Ours));
        drop(opening);
        let file = Arc::new(file);
        self.open.keep(index, OpenedFile::new(&file, true));
        Ok(Some(file))
    }

    /// Moves a damaged file of the user's into the workplace, if it waits for that; whether there was one.
    pub(super) fn bring(&self, index: u32) -> io::Result<bool> {
        match (&self.home, self.layout.file(index)) {
            (Some(home), Some(file)) => home.bring(index, &file),
            _ => Ok(false),
        }
    }

    /// The path of this file and that of another, or of directories, where the file system takes them for one.
    fn twins(&self, index: u32) -> Option<(PathBuf, PathBuf)> {
        let path = self.layout.file(index)?.path();
        folded_names::taken_by(&self.site, &path, &mut self.layout.files().map(|file| file.path()))
    }

    /// Why a file could not be created or written.
    fn failed(&self, what: &str, index: u32, why: &io::Error) -> Error {
        let may_be_taken = matches!(
            why.kind(),
            io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory | io::ErrorKind::Other
        );
        match may_be_taken.then(|| self.twins(index)).flatten() {
            Some(twins) => folded_names::same_name(self.site.named(), &twins),
            None => Error::disk(what, &self.path(index), why),
        }
    }

    /// Creates a file; its directories are made where it fails for want of them.
    fn with_parents(&self, path: &Path) -> io::Result<File> {
        match fs::create_new(path) {
            Err(why) if why.kind() == io::ErrorKind::NotFound => {
                self.create_parents(path)?;
                fs::create_new(path)
            }
            other => other,
        }
    }

    /// Makes the directories of a file of the layout, or of the scratch file.
    pub(super) fn create_parents(&self, path: &Path) -> io::Result<()> {
        fs::create_parents(self.site.named(), path)
    }

    /// Makes all links; what is in the place of one is replaced, if it is not a file of the torrent.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Disk`].
    pub(super) fn create_links(&self) -> Result<(), Error> {
        for (in_layout, link) in self.layout.links() {
            let path = self.site.path(&in_layout);
            if links::is_exact(&path, link) {
                continue;
            }
            // A file of the torrent, where the file system takes both names for one, must not be lost for the link.
            if fs::file_at(&path).is_some() {
                let mut files = self.layout.files().map(|file| file.path());
                if let Some(twins) = folded_names::taken_by(&self.site, &in_layout, &mut files) {
                    return Err(folded_names::same_name(self.site.named(), &twins));
                }
            }
            let made = self.create_parents(&path).and_then(|()| links::replace(&link.text, &path));
            made.map_err(|why| Error::disk("create the symbolic link", &path, &why))?;
        }
        Ok(())
    }

    /// Does what no piece needs: makes empty files with their directories, and cuts what an earlier process left to its length.
    pub fn finish(&self) -> Result<(), Error> {
        for (index, file) in self.layout.files().enumerate() {
            let (index, path) = (index as u32, self.path(index as u32));
            let is_longer = || std::fs::metadata(&path).is_ok_and(|it| it.len() > file.length());
            if file.length() == 0 || (self.origin(index) == Some(FileOrigin::Left) && is_longer()) {
                self.to_write(index).map_err(|why| self.failed("create", index, &why))?;
            }
        }
        Ok(())
    }

    /// Checks that each file of the workplace has a name of its own, and removes what is not of the torrent.
    pub(super) fn check_names(&self) -> Result<(), Error> {
        self.close();
        folded_names::check_all(&self.site, &self.layout, &|index| self.origin(index).is_some())
    }

    /// Makes the directories that the torrent has entries for. What is not of the torrent has been removed.
    pub(super) fn create_folders(&self) -> Result<(), Error> {
        self.layout.folders().try_for_each(|folder| {
            let path = self.site.path(&folder);
            // The directories that hold what would be in it.
            let made = self.create_parents(&path.join("file"));
            made.map_err(|why| Error::disk("create", &path, &why))
        })
    }

    /// Makes all files last through a power cut, and read-only.
    pub fn sync_and_seal(&self) -> Result<(), Error> {
        self.close();
        super::parallel::each(self.layout.file_count(), &|index, _| {
            let path = self.path(index as u32);
            let failed = |why: io::Error| Error::disk("sync", &path, &why);
            fs::sync_and_seal(&path).map_err(failed)
        })
    }
}
