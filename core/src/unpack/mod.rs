//! Unpacks archives: which files of a torrent are archives, what they contain, and where each
//! member is stored (feature `unpack`).
//!
//! Layer 1. Reads the bytes that it is given and creates no files: members are passed to a
//! [`MemberSink`], which `storage/tree.rs` implements.
//!
//! | file | job |
//! | --- | --- |
//! | `format.rs` | which names are archives, and of which kind |
//! | `plan.rs` | the path of each file of a torrent in the tree |
//! | `decode.rs` | gzip, bzip2, xz and Zstandard, as streams |
//! | `members.rs` | which members are wanted, and where each is stored: `strip`, globs, unsafe names |
//! | `tar.rs`, `zip.rs` | the two containers |
//! | `budget.rs` | how much may be unpacked |
//!
//! Invariants: a member's path is checked before anything is done with it, and stays below the
//! archive's own directory; memory is bounded, whatever an archive claims; content that is not
//! decoded to its end, with the right lengths and checksums, is an error.
//!
//! Errors: [`ErrorKind::Archive`], which names the archive and the member; [`ErrorKind::TooLarge`];
//! those of the sink.

mod budget;
mod decode;
mod format;
mod members;
mod plan;
mod tar;
#[cfg(test)]
mod tests;
mod zip;

use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Error, ErrorKind, printable};

pub use budget::UnpackBudget;
pub use format::{Codec, Format};
pub use members::{MemberGlobs, Members};
pub use plan::{PlannedFile, TreePlan};

use decode::decoder;

/// Bytes read from an archive at a time.
const INPUT_BYTES: usize = 128 << 10;

/// An archive's bytes.
pub trait Source: Read + Seek + Send {}

impl<T: Read + Seek + Send> Source for T {}

/// Reads the next bytes of a member into the buffer; returns 0 at its end.
pub type Content<'a> = dyn FnMut(&mut [u8]) -> Result<usize, Error> + 'a;

/// Receives the members of an archive. All paths are below the root of the tree, with `/` between
/// components, and already checked.
pub trait MemberSink {
    /// Adds a directory, which may exist already.
    ///
    /// # Errors
    /// Of the disk; if an entry that is not a directory has the path.
    fn directory(&mut self, path: &[u8]) -> Result<(), Error>;

    /// Adds a file with this content.
    ///
    /// # Errors
    /// Of the disk, of the content, of the limits; if another entry has the path.
    fn file(
        &mut self,
        path: &[u8],
        is_executable: bool,
        content: &mut Content<'_>,
    ) -> Result<(), Error>;

    /// Adds another name for a file that was added before.
    ///
    /// # Errors
    /// As for [`MemberSink::file`]; if there is no such file.
    fn second_name(&mut self, path: &[u8], target: &[u8]) -> Result<(), Error>;

    /// Adds a symbolic link with the path of its target; `None` if the target is not in the
    /// archive.
    ///
    /// # Errors
    /// If another entry has the path.
    fn link(&mut self, path: &[u8], target: Option<&[u8]>) -> Result<(), Error>;

    /// Announces the size of the wanted members, as the archive lists it.
    ///
    /// # Errors
    /// Of the limits.
    fn expect(&mut self, bytes: u64, entries: u64) -> Result<(), Error>;
}

/// Unpacks an archive. `done_bytes` counts the bytes that were read from it, and the work ends once
/// `is_stopped` returns true.
///
/// # Errors
/// [`ErrorKind::Archive`], which names the archive and the member; those of the sink.
pub fn unpack(
    source: &mut dyn Source,
    format: Format,
    members: &Members<'_>,
    (done_bytes, is_stopped): (&AtomicU64, &(dyn Fn() -> bool + Sync)),
    to: &mut dyn MemberSink,
) -> Result<(), Error> {
    let mut source = Counted { source, done_bytes, is_stopped };
    match format {
        Format::Zip => zip::unpack(&mut source, members, to),
        Format::Tar(codec) => tar::unpack(open(source, codec, members)?, members, to),
        Format::File(codec) => {
            let mut input = open(source, Some(codec), members)?;
            let mut content =
                |buffer: &mut [u8]| input.read(buffer).map_err(|why| members.failed(&why));
            to.file(members.directory(), false, &mut content)
        }
    }
}

/// Returns the archive's decompressed bytes. The content must match the name.
fn open<'a>(
    source: Counted<'a>,
    codec: Option<format::Codec>,
    members: &Members<'_>,
) -> Result<Box<dyn Read + 'a>, Error> {
    let mut input: decode::Packed<'a> = Box::new(BufReader::with_capacity(INPUT_BYTES, source));
    let Some(codec) = codec else { return Ok(Box::new(input)) };
    let begin = input.fill_buf().map_err(|why| members.failed(&why))?;
    if !codec.begins(begin) {
        return Err(members.odd_content(codec.name(), begin));
    }
    Ok(decoder(codec, input))
}

/// Counts the bytes read, for progress, and ends the work when it is stopped. Retries interrupted
/// reads: no decoder can be read again after an error.
struct Counted<'a> {
    source: &'a mut dyn Source,
    done_bytes: &'a AtomicU64,
    is_stopped: &'a (dyn Fn() -> bool + Sync),
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if (self.is_stopped)() {
                return Err(io::Error::other("the work was stopped"));
            }
            match self.source.read(buffer) {
                Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
                read => {
                    self.done_bytes
                        .fetch_add(*read.as_ref().unwrap_or(&0) as u64, Ordering::Relaxed);
                    return read;
                }
            }
        }
    }
}

impl Seek for Counted<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.source.seek(to)
    }
}

/// Makes a name that an archive's author chose printable, and shortens it.
fn shown(name: &[u8]) -> String {
    const SHOWN_CHARS: usize = 200;
    let text = match std::str::from_utf8(name) {
        Ok(text) => printable(text),
        Err(_) => name.escape_ascii().to_string(),
    };
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// The error for an archive that cannot be unpacked; callers add the reason.
pub fn cannot_unpack(archive: &str) -> Error {
    Error::new(ErrorKind::Archive, format!("could not unpack `{}`", printable(archive)))
}

/// Describes the first bytes of a file for a message.
fn first_bytes(begin: &[u8]) -> String {
    let hex: Vec<_> = begin.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    match hex.is_empty() {
        true => "it is empty".to_owned(),
        false => format!("it begins with the bytes {}", hex.join(" ")),
    }
}
