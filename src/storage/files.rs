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

/// The files of a layout below a directory, opened on first use.
///
/// Shared by all workers, each of which reads and writes at its own offsets.
#[derive(Debug)]
pub struct LayoutFiles {
    layout: Arc<Layout>,
    /// Where the torrent's own layout is.
    site: Site,
    /// The directory of a partial dataset; also holds `scratch`, for bytes that are needed for
    /// checking but not kept. `None` if the files are only read.
    workplace: Option<PathBuf>,
    /// The user's own files, if the target is a user's directory.
    home: Option<UserFiles>,
    open: OpenFiles,
    origins: FileOrigins,
}

/// Index of the scratch file, beyond all of [`Layout::files`].
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

    /// Files below `files` in the workplace, including those that an earlier process left. Symbolic
    /// links in place of their directories are removed.
    ///
    /// # Errors
    /// Of removing such a link.
    pub fn for_writing(
        layout: Arc<Layout>,
        workplace: PathBuf,
        home: Option<UserFiles>,
    ) -> io::Result<LayoutFiles> {
        let mut files = LayoutFiles::for_reading(layout, Site::In(workplace.join("files")));
        files.workplace = Some(workplace);
        files.home = home;
        // Without the root there is nothing below it to check.
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
        // An entry that is not a regular file holds none of our data. It is replaced on the first
        // write.
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

    /// Returns where a file came from, by its index in [`Layout::files`]; `None` if the workplace
    /// does not have it.
    pub(super) fn origin(&self, index: u32) -> Option<FileOrigin> {
        self.origins.get(index)
    }

    /// Notes that a file was added to the workplace without [`LayoutFiles::write`], or removed from
    /// it (`None`).
    pub(super) fn set_origin(&self, index: u32, origin: Option<FileOrigin>) {
        self.origins.set(index, origin);
    }

    /// Whether the user already has this file, hashed and right. Writes to it are dropped, as for a
    /// sealed file.
    fn stays(&self, index: u32) -> bool {
        self.home.as_ref().is_some_and(|home| home.stays(index))
    }

    /// Writes bytes of the torrent's stream. Bytes of pad files, of [`FileOrigin::Sealed`] files
    /// and of files that are already right in the user's directory are dropped.
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

    /// Creates, writes and closes a small file at once: with thousands of such files, each further
    /// system call counts.
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
    /// Of the file: missing, too short or unreadable.
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

    /// Returns the path of a file by its index in [`Layout::files`].
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

    /// Opens a file for reading. A file that is not in the workplace is read from the user's
    /// directory, if it is there; reading never creates a file.
    fn to_read(&self, index: u32) -> io::Result<Arc<File>> {
        if let Some(file) = self.open.get(index, false) {
            return Ok(file);
        }
        let path = self.path(index);
        // A copy that is only read may consist of symbolic links. In the workplace none is
        // followed, whoever can write there.
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
                // Not kept open: the file may be moved into the workplace at any time.
                return File::open(home.path(&file.path())).map(Arc::new);
            }
        };
        self.open.keep(index, OpenedFile::new(&file, false));
        Ok(file)
    }

    /// Opens a file for writing; `None` if writes to it are dropped.
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
                // A symbolic link or an empty directory has the name.
                fs::remove(&path)?;
                created = self.with_parents(&path);
            }
            match created {
                Ok(new) => file = Some(new),
                // Another worker has just created it, unless the file system takes it for another
                // file of the layout.
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
                // It may be open for reading, since hashing reads it.
                self.open.close_one(index);
                fs::copy(&path, &path, fs::CopyMode::New, workplace)?;
            }
            _ => {}
        }
        let file = match file {
            Some(file) => file,
            // Never created anew: the verified bytes of a file that disappeared are lost with it.
            None => fs::open_to_write(&path)?,
        };
        let metadata = file.metadata()?;
        if metadata.permissions().readonly() {
            // The user's umask made it read-only, but it must be possible to open it again.
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

    /// Moves a damaged file of the user's into the workplace, if it is waiting for repair. Returns
    /// whether it was.
    pub(super) fn bring(&self, index: u32) -> io::Result<bool> {
        match (&self.home, self.layout.file(index)) {
            (Some(home), Some(file)) => home.bring(index, &file),
            _ => Ok(false),
        }
    }

    /// Returns this file's path and another file's (or directories of both) if the file system
    /// takes them for the same entry.
    fn twins(&self, index: u32) -> Option<(PathBuf, PathBuf)> {
        let path = self.layout.file(index)?.path();
        folded_names::taken_by(&self.site, &path, &mut self.layout.files().map(|file| file.path()))
    }

    /// The error for a file that could not be created or written.
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

    /// Creates a file. Its directories are created only after a first attempt fails.
    fn with_parents(&self, path: &Path) -> io::Result<File> {
        match fs::create_new(path) {
            Err(why) if why.kind() == io::ErrorKind::NotFound => {
                self.create_parents(path)?;
                fs::create_new(path)
            }
            other => other,
        }
    }

    /// Creates the directories of a file of the layout, or of the scratch file.
    pub(super) fn create_parents(&self, path: &Path) -> io::Result<()> {
        fs::create_parents(self.site.named(), path)
    }

    /// Creates all symbolic links. Replaces an existing entry unless it is a file of the torrent.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Disk`].
    pub(super) fn create_links(&self) -> Result<(), Error> {
        for (in_layout, link) in self.layout.links() {
            let path = self.site.path(&in_layout);
            if links::is_exact(&path, link) {
                continue;
            }
            // If the file system takes both names for one, a file of the torrent must not be
            // replaced by the link.
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

    /// Does what no piece triggers: creates empty files with their directories, and truncates files
    /// that an earlier process left longer than they should be.
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

    /// Checks that each file of the workplace has its own directory entry, and removes entries that
    /// are not of the torrent.
    pub(super) fn check_names(&self) -> Result<(), Error> {
        self.close();
        folded_names::check_all(&self.site, &self.layout, &|index| self.origin(index).is_some())
    }

    /// Creates the directories that the torrent lists. Entries that are not of the torrent have
    /// been removed before.
    pub(super) fn create_folders(&self) -> Result<(), Error> {
        self.layout.folders().try_for_each(|folder| {
            let path = self.site.path(&folder);
            // Creates the parents of a file that would be in it, so the directory itself too.
            let made = self.create_parents(&path.join("file"));
            made.map_err(|why| Error::disk("create", &path, &why))
        })
    }

    /// Syncs all files to disk and makes them read-only.
    pub fn sync_and_seal(&self) -> Result<(), Error> {
        self.close();
        super::parallel::each(self.layout.file_count(), &|index, _| {
            let path = self.path(index as u32);
            let failed = |why: io::Error| Error::disk("sync", &path, &why);
            fs::sync_and_seal(&path).map_err(failed)
        })
    }
}
