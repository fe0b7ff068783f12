//! Reads members of tar archives in the GNU, POSIX (pax) and older formats, including sparse files.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

use tar::{Archive, Entry, EntryType, Header};

use super::MemberSink;
use super::members::Members;
use crate::error::Error;

/// Bytes that may be read between two members: long names, attributes, maps of sparse files.
const MAX_HEADER_BYTES: u64 = 1 << 20;

/// Size of a tar block.
const BLOCK_BYTES: u64 = 512;

/// Limits how much may be read at the moment: the crate `tar` keeps the headers that describe a
/// member in memory, whatever length they claim.
struct Bounded<R> {
    inner: R,
    allowed: Rc<Cell<u64>>,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let allowed = self.allowed.get();
        let length = usize::try_from(allowed).unwrap_or(usize::MAX).min(buffer.len());
        if length == 0 && !buffer.is_empty() {
            let why = "a member's headers are too long";
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        let read = self.inner.read(buffer.get_mut(..length).unwrap_or_default())?;
        self.allowed.set(allowed - read as u64);
        Ok(read)
    }
}

/// Returns the `tar` crate's message without the raw header bytes that it quotes.
fn without_raw_bytes(why: &io::Error) -> String {
    let text = why.to_string();
    let end = text.find(|char: char| !char.is_ascii() || char.is_ascii_control());
    text.get(..end.unwrap_or(text.len())).unwrap_or_default().trim_end_matches([':', ' ']).into()
}

/// Skips the label that GNU tar writes at the beginning of an archive: the crate `tar` refuses its
/// header, which has no size. A label with a size is left to the crate, which skips its data, too.
fn without_label<'a>(mut input: Box<dyn Read + 'a>) -> io::Result<Box<dyn Read + 'a>> {
    let mut first = Vec::with_capacity(BLOCK_BYTES as usize);
    (&mut input).take(BLOCK_BYTES).read_to_end(&mut first)?;
    let is_label = first.len() as u64 == BLOCK_BYTES && {
        let header = Header::from_byte_slice(&first);
        let is_empty = header.as_old().size.iter().all(|byte| b"\0 0".contains(byte));
        let is_right = header.cksum().ok() == Some(checksum(&first));
        header.entry_type().as_byte() == b'V' && is_empty && is_right
    };
    Ok(if is_label { input } else { Box::new(io::Cursor::new(first).chain(input)) })
}

/// The sum of a header's bytes, with spaces in place of the sum itself.
fn checksum(header: &[u8]) -> u32 {
    let byte = |(at, byte): (usize, &u8)| if matches!(at, 148..156) { b' ' } else { *byte };
    header.iter().enumerate().map(|it| u32::from(byte(it))).sum()
}

pub(super) fn unpack(
    input: Box<dyn Read + '_>,
    members: &Members<'_>,
    to: &mut dyn MemberSink,
) -> Result<(), Error> {
    to.directory(members.directory())?;
    let no_archive =
        |why: &str| members.failed(&format!("its content is not a tar archive: {why}"));
    let input = without_label(input).map_err(|why| no_archive(&without_raw_bytes(&why)))?;
    let allowed = Rc::new(Cell::new(MAX_HEADER_BYTES));
    let mut archive = Archive::new(Bounded { inner: input, allowed: Rc::clone(&allowed) });
    let entries = archive.entries().map_err(|why| members.failed(&why))?;
    let (mut last, mut is_first) = (Vec::new(), true);
    for entry in entries {
        let mut entry = entry.map_err(|why| {
            let why = without_raw_bytes(&why);
            match (&last[..], is_first) {
                (_, true) => no_archive(&why),
                ([], false) => members.failed(&why),
                (last, false) => {
                    members.failed(&format!("after its member `{}`: {why}", super::shown(last)))
                }
            }
        })?;
        is_first = false;
        allowed.set(u64::MAX);
        let name = entry.path_bytes().into_owned();
        member(&mut entry, &name, members, to)?;
        // The unread rest of the member is skipped.
        let stored = match entry.header().entry_type() {
            EntryType::GNUSparse => entry.header().entry_size().unwrap_or(0).max(entry.size()),
            _ => entry.size(),
        };
        allowed.set(stored.saturating_add(BLOCK_BYTES).saturating_add(MAX_HEADER_BYTES));
        last = name;
    }
    // A checksum of the compression may follow the end of the archive.
    let mut rest = archive.into_inner().inner;
    io::copy(&mut rest, &mut io::sink()).map_err(|why| members.failed(&why))?;
    Ok(())
}

fn member(
    entry: &mut Entry<'_, impl Read>,
    name: &[u8],
    members: &Members<'_>,
    to: &mut dyn MemberSink,
) -> Result<(), Error> {
    let kind = entry.header().entry_type();
    let refused = |what: &str| match members.place(name)? {
        Some(_) => Err(members.refused(name, what)),
        None => Ok(()),
    };
    match kind {
        EntryType::Directory => place_directory(name, members, to),
        // Old programs mark directories only by a trailing slash.
        EntryType::Regular if name.ends_with(b"/") => place_directory(name, members, to),
        EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
            let sparse = Sparse::of(entry).map_err(|why| members.member_failed(name, &why))?;
            let name = sparse.as_ref().and_then(|it| it.name.as_deref()).unwrap_or(name).to_vec();
            let Some(place) = members.place(&name)? else { return Ok(()) };
            let mode = entry.header().mode().unwrap_or(0);
            let mut left = entry.size();
            let failed = |why: io::Error| members.member_failed(&name, &why);
            let mut stored = |buffer: &mut [u8]| {
                let read = entry.read(buffer)?;
                if read == 0 && left > 0 && !buffer.is_empty() {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                left = left.saturating_sub(read as u64);
                Ok(read)
            };
            let Some(mut sparse) = sparse else {
                let mut content = |buffer: &mut [u8]| stored(buffer).map_err(failed);
                return to.file(&place, mode & 0o111 != 0, &mut content);
            };
            sparse.read_map(&mut stored).map_err(failed)?;
            let mut content = |buffer: &mut [u8]| sparse.read(&mut stored, buffer).map_err(failed);
            to.file(&place, mode & 0o111 != 0, &mut content)
        }
        EntryType::Link | EntryType::Symlink => {
            let Some(place) = members.place(name)? else { return Ok(()) };
            let text = entry.link_name_bytes().unwrap_or_default();
            if kind == EntryType::Symlink {
                return to.link(&place, members.place_of_link(name, &text).as_deref());
            }
            match members.place_of_target(&text) {
                Some(target) => to.second_name(&place, &target),
                None => {
                    Err(members.refused(name, "it is a hard link that leads out of the archive"))
                }
            }
        }
        EntryType::Char | EntryType::Block => refused("it is a device"),
        EntryType::Fifo => refused("it is a named pipe"),
        // Global attributes (times, owners), and the name of a volume.
        EntryType::XGlobalHeader => Ok(()),
        other if other.as_byte() == b'V' => Ok(()),
        // Directory listings of incremental backups.
        other if other.as_byte() == b'D' => place_directory(name, members, to),
        other if other.as_byte() == b'M' => {
            refused("it continues from another volume; multi-volume archives are not supported")
        }
        other => {
            let shown = [other.as_byte()];
            refused(&format!("its type `{}` is unknown", shown.escape_ascii()))
        }
    }
}

fn place_directory(
    name: &[u8],
    members: &Members<'_>,
    to: &mut dyn MemberSink,
) -> Result<(), Error> {
    match members.place(name)? {
        Some(place) => to.directory(&place),
        None => Ok(()),
    }
}

/// A sparse file in pax form (versions 0.0, 0.1 and 1.0 of GNU's attributes): the crate `tar`
/// supports only the older form.
struct Sparse {
    name: Option<Vec<u8>>,
    size: u64,
    /// Offset and length of each run of data; `None` if the map is at the beginning of the content.
    map: Option<Vec<(u64, u64)>>,
    /// Number of bytes returned so far.
    at: u64,
    /// Index of the next run.
    next: usize,
}

/// Reads stored bytes of a member; returns how many.
type ReadStored<'a> = dyn FnMut(&mut [u8]) -> io::Result<usize> + 'a;

fn odd(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

fn number(digits: &[u8]) -> io::Result<u64> {
    let text = std::str::from_utf8(digits).ok().filter(|text| !text.starts_with('+'));
    text.and_then(|text| text.parse().ok())
        .ok_or_else(|| odd("invalid number in the map of a sparse file"))
}

impl Sparse {
    fn of(entry: &mut Entry<'_, impl Read>) -> io::Result<Option<Sparse>> {
        let mut sparse = Sparse { name: None, size: 0, map: None, at: 0, next: 0 };
        let (mut is_one, mut runs) = (false, Vec::new());
        for extension in entry.pax_extensions()?.into_iter().flatten() {
            let extension = extension?;
            let value = extension.value_bytes();
            let Some(key) = extension.key_bytes().strip_prefix(b"GNU.sparse.") else { continue };
            is_one = true;
            match key {
                b"name" => sparse.name = Some(value.to_vec()),
                b"size" | b"realsize" => sparse.size = number(value)?,
                b"offset" | b"numbytes" => runs.push(number(value)?),
                b"map" => {
                    runs = value
                        .split(|byte| *byte == b',')
                        .filter(|it| !it.is_empty())
                        .map(number)
                        .collect::<io::Result<_>>()?;
                }
                b"major" if !matches!(value, b"0" | b"1") => {
                    return Err(odd("its sparse file format has an unknown version"));
                }
                b"major" if value == b"1" => sparse.map = None,
                b"numblocks" => sparse.map = Some(Vec::new()),
                _ => {}
            }
        }
        if let Some(map) = &mut sparse.map {
            *map = pairs(&runs, sparse.size)?;
        }
        Ok(is_one.then_some(sparse))
    }

    /// Reads a map that precedes the data: decimal numbers, one per line, padded to whole blocks.
    fn read_map(&mut self, stored: &mut ReadStored<'_>) -> io::Result<()> {
        if self.map.is_some() {
            return Ok(());
        }
        let (mut numbers, mut line, mut wanted) = (Vec::new(), Vec::new(), None::<u64>);
        let mut block = [0; BLOCK_BYTES as usize];
        let mut read_bytes = 0;
        while wanted.is_none_or(|wanted| (numbers.len() as u64) < wanted) {
            let mut filled = 0;
            while let Some(rest) = block.get_mut(filled..).filter(|rest| !rest.is_empty()) {
                match stored(rest)? {
                    0 => return Err(odd("the map of a sparse file is truncated")),
                    read => filled += read,
                }
            }
            read_bytes += BLOCK_BYTES;
            if read_bytes > MAX_HEADER_BYTES {
                return Err(odd("the map of a sparse file is too long"));
            }
            for byte in block {
                match (byte, wanted) {
                    (_, Some(wanted)) if numbers.len() as u64 == wanted => break,
                    (b'\n', None) => {
                        wanted = Some(number(&line)?.saturating_mul(2));
                        line.clear();
                    }
                    (b'\n', Some(_)) => {
                        numbers.push(number(&line)?);
                        line.clear();
                    }
                    (byte, _) => line.push(byte),
                }
            }
        }
        self.map = Some(pairs(&numbers, self.size)?);
        Ok(())
    }

    fn read(&mut self, stored: &mut ReadStored<'_>, buffer: &mut [u8]) -> io::Result<usize> {
        let map = self.map.as_deref().unwrap_or_default();
        let mut run = map.get(self.next).copied().unwrap_or((self.size, 0));
        while run.0 < self.size && self.at >= run.0 + run.1 {
            self.next += 1;
            run = map.get(self.next).copied().unwrap_or((self.size, 0));
        }
        let (is_data, left) = match self.at < run.0 {
            true => (false, run.0 - self.at),
            false => (true, (run.0 + run.1).min(self.size).saturating_sub(self.at)),
        };
        let length = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let buffer = buffer.get_mut(..length).unwrap_or_default();
        let read = match is_data {
            false => {
                buffer.fill(0);
                length
            }
            true if length == 0 => 0,
            true => match stored(buffer)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => read,
            },
        };
        self.at += read as u64;
        Ok(read)
    }
}

/// Checks that the runs of data are in order and within the file.
fn pairs(numbers: &[u64], size: u64) -> io::Result<Vec<(u64, u64)>> {
    let (mut end, mut runs) = (0_u64, Vec::with_capacity(numbers.len() / 2));
    for pair in numbers.chunks(2) {
        let &[begin, length] = pair else {
            return Err(odd("the map of a sparse file is truncated"));
        };
        let next = begin.checked_add(length).filter(|next| begin >= end && *next <= size);
        end = next.ok_or_else(|| odd("the map of a sparse file does not fit its size"))?;
        if length > 0 {
            runs.push((begin, length));
        }
    }
    Ok(runs)
}
