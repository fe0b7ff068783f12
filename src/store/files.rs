//! Positioned reads and writes over the files of a layout.

use std::collections::{HashMap, VecDeque};
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::directory::Home;
use super::{Site, fs};
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
    site: Site,
    /// Holds what is needed and not kept; `None` where there is none, as in a complete dataset.
    scratch: Option<PathBuf>,
    writable: bool,
    /// Where the user's own files lie, of a directory that is the user's.
    home: Option<Home>,
    open: Mutex<Open>,
}

/// The files that are open; what was opened first is closed first.
#[derive(Debug, Default)]
struct Open {
    files: HashMap<u32, Opened>,
    order: VecDeque<u32>,
}

#[derive(Clone, Debug)]
struct Opened {
    file: Arc<File>,
    /// Complete from elsewhere (a link into `data`): never written.
    sealed: bool,
}

/// Stands for the scratch file among the indices of [`Layout::files`].
const SCRATCH: u32 = u32::MAX;

impl LayoutFiles {
    pub fn for_reading(layout: Arc<Layout>, site: Site) -> LayoutFiles {
        let open = Mutex::default();
        LayoutFiles { layout, site, scratch: None, writable: false, home: None, open }
    }

    pub fn for_writing(
        layout: Arc<Layout>,
        directory: PathBuf,
        scratch: PathBuf,
        home: Option<Home>,
    ) -> LayoutFiles {
        LayoutFiles {
            layout,
            site: Site::In(directory),
            scratch: Some(scratch),
            writable: true,
            home,
            open: Mutex::default(),
        }
    }

    pub fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    pub(super) fn home(&self) -> Option<&Home> {
        self.home.as_ref()
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
            let written = if at == 0 && length as u64 == self.length(index) {
                self.write_whole(index, now)
            } else {
                self.write_part(index, now, at)
            };
            written.map_err(|why| Error::disk("write", &self.path(index), &why))?;
        }
        Ok(())
    }

    fn write_part(&self, index: u32, bytes: &[u8], at: u64) -> io::Result<()> {
        let Opened { file, sealed } = self.file(index)?;
        if sealed { Ok(()) } else { write_all_at(&file, bytes, at) }
    }

    /// A small file is made, written and closed at once: where there are thousands, each further system call counts.
    fn write_whole(&self, index: u32, bytes: &[u8]) -> io::Result<()> {
        let path = self.path(index);
        match with_parents(&path, OpenOptions::new().write(true).create_new(true)) {
            Ok(mut file) => file.write_all(bytes),
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
        for segment in self.layout.segments(offset..offset + buffer.len() as u64) {
            let length = (segment.range.end - segment.range.start) as usize;
            let (now, rest) = buffer.split_at_mut(length);
            buffer = rest;
            match segment.place {
                Place::File { file, offset } => read_exact_at(&*self.to_read(file)?, now, offset)?,
                Place::Scratch { offset } => {
                    read_exact_at(&*self.to_read(SCRATCH)?, now, offset)?;
                }
                Place::Zeros => now.fill(0),
            }
        }
        Ok(())
    }

    /// Path of a file by its index in [`Layout::files`].
    pub fn path(&self, index: u32) -> PathBuf {
        match self.layout.files().get(index as usize) {
            Some(file) => self.site.path(&file.path),
            None => self.scratch.clone().unwrap_or_default(),
        }
    }

    fn length(&self, index: u32) -> u64 {
        self.layout
            .files()
            .get(index as usize)
            .map_or_else(|| self.layout.scratch_bytes(), |file| file.length())
    }

    /// Closes all files.
    pub fn close(&self) {
        *self.lock() = Open::default();
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was not written lies where the user has it, or nowhere: reading makes no file.
    fn to_read(&self, index: u32) -> io::Result<Arc<File>> {
        if let Some(opened) = self.lock().files.get(&index) {
            return Ok(Arc::clone(&opened.file));
        }
        let path = self.path(index);
        if !self.writable || path.exists() {
            return Ok(self.file(index)?.file);
        }
        // Not kept open: it may move at any time.
        if let (Some(home), Some(file)) = (&self.home, self.layout.files().get(index as usize))
            && let Ok(file) = File::open(home.path(&file.path))
        {
            return Ok(Arc::new(file));
        }
        File::open(path).map(Arc::new)
    }

    fn file(&self, index: u32) -> io::Result<Opened> {
        if let Some(opened) = self.lock().files.get(&index) {
            return Ok(opened.clone());
        }
        // Nobody waits for it meanwhile; where two open the same file, the second handle is as good.
        let opened = self.open(index)?;
        let mut open = self.lock();
        if open.files.insert(index, opened.clone()).is_none() {
            open.order.push_back(index);
        }
        if open.order.len() > MAX_OPEN {
            let first = open.order.pop_front();
            first.and_then(|first| open.files.remove(&first));
        }
        Ok(opened)
    }

    fn open(&self, index: u32) -> io::Result<Opened> {
        let path = self.path(index);
        let opened = |file, sealed| Opened { file: Arc::new(file), sealed };
        if !self.writable {
            return Ok(opened(File::open(path)?, true));
        }
        if let Some(home) = &self.home {
            home.bring(self, index)?;
        }
        let mut writing = OpenOptions::new();
        writing.read(true).write(true).create(true).truncate(false);
        let file = match with_parents(&path, &writing) {
            Ok(file) => file,
            // Who owns the machine may write to read-only files too: hence both.
            Err(why) => {
                let sealed = std::fs::metadata(&path).is_ok_and(|it| it.permissions().readonly());
                return if sealed { Ok(opened(File::open(path)?, true)) } else { Err(why) };
            }
        };
        let metadata = file.metadata()?;
        if metadata.permissions().readonly() {
            return Ok(opened(file, true));
        }
        let length = self.length(index);
        if metadata.len() != length {
            file.set_len(length)?;
        }
        Ok(opened(file, false))
    }

    /// Makes what a download never writes: directories and empty files.
    pub fn create_empty(&self) -> Result<(), Error> {
        for (index, file) in
            self.layout.files().iter().enumerate().filter(|(_, file)| file.length() == 0)
        {
            let path = self.site.path(&file.path);
            self.open(index as u32).map_err(|why| Error::disk("create", &path, &why))?;
        }
        Ok(())
    }

    /// Makes all files last through a power cut, and read-only.
    pub fn sync_and_seal(&self) -> Result<(), Error> {
        self.close();
        super::parallel::each(self.layout.files().len(), &|index, _| {
            let path = self.path(index as u32);
            let failed = |why: io::Error| Error::disk("sync", &path, &why);
            fs::sync_and_seal(&path).map_err(failed)
        })
    }
}

/// Opens a file; its directories are made where it fails for want of them.
fn with_parents(path: &Path, options: &OpenOptions) -> io::Result<File> {
    match options.open(path) {
        Err(why) if why.kind() == io::ErrorKind::NotFound => {
            path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
            options.open(path)
        }
        other => other,
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
