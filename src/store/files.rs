//! Positioned reads and writes over the files of a layout.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use super::fs;
use crate::error::Error;
use crate::plan::{Layout, Place};

/// Open files at a time; a torrent may have 100,000, and a process 1,024 descriptors.
const MAX_OPEN: usize = 128;

/// The files of a layout below a directory, opened when they are first needed.
///
/// Shared by all workers: each reads and writes at offsets of its own.
#[derive(Debug)]
pub struct LayoutFiles {
    layout: Arc<Layout>,
    /// Holds the torrent's own layout.
    directory: PathBuf,
    /// Holds what is needed and not kept; `None` where there is none, as in a complete dataset.
    scratch: Option<PathBuf>,
    writable: bool,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    files: HashMap<u32, Slot>,
    uses: u64,
}

#[derive(Debug)]
struct Slot {
    file: Arc<File>,
    /// Complete from elsewhere (a link into `data`): never written.
    sealed: bool,
    last_use: u64,
}

/// Stands for the scratch file among the indices of [`Layout::files`].
const SCRATCH: u32 = u32::MAX;

impl LayoutFiles {
    pub fn for_reading(layout: Arc<Layout>, directory: PathBuf) -> LayoutFiles {
        LayoutFiles { layout, directory, scratch: None, writable: false, open: Mutex::default() }
    }

    pub fn for_writing(layout: Arc<Layout>, directory: PathBuf, scratch: PathBuf) -> LayoutFiles {
        LayoutFiles {
            layout,
            directory,
            scratch: Some(scratch),
            writable: true,
            open: Mutex::default(),
        }
    }

    pub fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    /// Writes bytes of the torrent's stream; what lies in sealed files or pad files is left as it is.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Disk`].
    pub fn write(&self, offset: u64, mut bytes: &[u8]) -> Result<(), Error> {
        for segment in self.layout.segments(offset..offset + bytes.len() as u64) {
            let length = (segment.range.end - segment.range.start) as usize;
            let (now, rest) = bytes.split_at(length.min(bytes.len()));
            bytes = rest;
            let (index, at) = match segment.place {
                Place::File { file, offset } => (file, offset),
                Place::Scratch { offset } => (SCRATCH, offset),
                Place::Zeros => continue,
            };
            let failed = |why: io::Error| disk_error("write", &self.path(index), &why);
            let (file, sealed) = self.file(index).map_err(failed)?;
            if !sealed {
                write_all_at(&file, now, at).map_err(failed)?;
            }
        }
        Ok(())
    }

    /// Reads bytes of the torrent's stream.
    ///
    /// # Errors
    /// Of the file: not there, too short, not to be read.
    pub fn read(&self, offset: u64, mut buffer: &mut [u8]) -> io::Result<()> {
        for segment in self.layout.segments(offset..offset + buffer.len() as u64) {
            let length = (segment.range.end - segment.range.start) as usize;
            let (now, rest) = buffer.split_at_mut(length);
            buffer = rest;
            match segment.place {
                Place::File { file, offset } => read_exact_at(&self.file(file)?.0, now, offset)?,
                Place::Scratch { offset } => read_exact_at(&self.file(SCRATCH)?.0, now, offset)?,
                Place::Zeros => now.fill(0),
            }
        }
        Ok(())
    }

    /// Path of a file by its index in [`Layout::files`].
    pub fn path(&self, index: u32) -> PathBuf {
        match self.layout.files().get(index as usize) {
            Some(file) => self.directory.join(&file.path),
            None => self.scratch.clone().unwrap_or_default(),
        }
    }

    /// Closes all files.
    pub fn close(&self) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).files.clear();
    }

    fn file(&self, index: u32) -> io::Result<(Arc<File>, bool)> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.uses += 1;
        let uses = open.uses;
        if let Some(slot) = open.files.get_mut(&index) {
            slot.last_use = uses;
            return Ok((Arc::clone(&slot.file), slot.sealed));
        }
        let (file, sealed) = self.open(index)?;
        let file = Arc::new(file);
        if open.files.len() >= MAX_OPEN {
            let oldest =
                open.files.iter().min_by_key(|(_, slot)| slot.last_use).map(|(index, _)| *index);
            oldest.and_then(|oldest| open.files.remove(&oldest));
        }
        open.files.insert(index, Slot { file: Arc::clone(&file), sealed, last_use: uses });
        Ok((file, sealed))
    }

    fn open(&self, index: u32) -> io::Result<(File, bool)> {
        let path = self.path(index);
        if !self.writable {
            return File::open(path).map(|file| (file, true));
        }
        let length = match self.layout.files().get(index as usize) {
            Some(file) => file.length(),
            None => self.layout.scratch_bytes(),
        };
        match std::fs::metadata(&path) {
            Ok(metadata) if metadata.permissions().readonly() => {
                return File::open(path).map(|file| (file, true));
            }
            Ok(_) => {}
            Err(_) => {
                if let Some(parent) = path.parent() {
                    std::fs::create_dir_all(parent)?;
                }
            }
        }
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        if file.metadata()?.len() != length {
            file.set_len(length)?;
        }
        Ok((file, false))
    }

    /// Makes what a download never writes: directories and empty files.
    pub fn create_empty(&self) -> Result<(), Error> {
        for (index, file) in
            self.layout.files().iter().enumerate().filter(|(_, file)| file.length() == 0)
        {
            let path = self.directory.join(&file.path);
            self.open(index as u32).map_err(|why| Error::disk("create", &path, &why))?;
        }
        Ok(())
    }

    /// Makes all files last through a power cut, and read-only.
    pub fn sync_and_seal(&self) -> Result<(), Error> {
        use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};
        self.close();
        let count = self.layout.files().len() as u32;
        (0..count).into_par_iter().try_for_each(|index| {
            let path = self.path(index);
            let failed = |why: io::Error| disk_error("sync", &path, &why);
            if std::fs::metadata(&path).map_err(failed)?.permissions().readonly() {
                return Ok(()); // from elsewhere, and synced there
            }
            fs::sync_file(&path).map_err(failed)?;
            fs::set_read_only(&path, true).map_err(failed)
        })
    }
}

fn disk_error(what: &str, path: &std::path::Path, why: &io::Error) -> Error {
    let error = Error::disk(what, path, why);
    match why.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => error
            .help("free some space, or set ACADEMICTORRENTS_STORE to a directory on another disk; what was verified is kept, and the next build goes on from there"),
        _ => error,
    }
}

#[cfg(unix)]
fn write_all_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, offset)
}

#[cfg(unix)]
fn read_exact_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset)
}

#[cfg(windows)]
fn write_all_at(file: &File, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = std::os::windows::fs::FileExt::seek_write(file, bytes, offset)?;
        bytes = bytes.get(written..).unwrap_or_default();
        offset += written as u64;
    }
    Ok(())
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !buffer.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, buffer, offset)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                buffer = &mut buffer[read..];
                offset += read as u64;
            }
        }
    }
    Ok(())
}
