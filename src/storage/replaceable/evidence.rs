//! Decides whether an existing file is the dataset's, or only has a few bytes in common with it.
//!
//! Anyone can make a torrent whose pieces are one byte long, or name a file that begins with
//! well-known bytes or with zeros. So of a right piece only the part within the file counts, only
//! if that part has at least [`BLOCK_BYTES`] bytes, and only if they are not all the same.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use crate::plan::{Layout, PlacedFile};
use crate::torrent::geometry::{BLOCK_BYTES, PieceIndex};

const BUFFER_BYTES: usize = 64 << 10;

/// Whether one of the right pieces shows that the file is the dataset's.
pub(super) fn is_ours(
    path: &Path,
    file: &PlacedFile<'_>,
    layout: &Layout,
    right: impl Iterator<Item = PieceIndex>,
) -> io::Result<bool> {
    let whole = file.range();
    for piece in right {
        let part = layout.geometry().range(piece);
        let (start, end) = (part.start.max(whole.start), part.end.min(whole.end));
        let length = end.saturating_sub(start);
        if length >= u64::from(BLOCK_BYTES) && !is_uniform(path, start - whole.start, length)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether the right files together show that the dataset is in this directory.
pub(super) fn are_ours<'l>(directory: &Path, right: impl Iterator<Item = PlacedFile<'l>>) -> bool {
    let mut bytes = 0_u64;
    for file in right {
        if !is_uniform(&directory.join(file.path()), 0, file.length()).unwrap_or(true) {
            bytes = bytes.saturating_add(file.length());
        }
        if bytes >= u64::from(BLOCK_BYTES) {
            return true;
        }
    }
    false
}

/// Whether all bytes of a part of a file are the same.
fn is_uniform(path: &Path, offset: u64, length: u64) -> io::Result<bool> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(offset))?;
    let mut buffer = vec![0; BUFFER_BYTES];
    let (mut left, mut expected) = (length, Vec::new());
    while left > 0 {
        let part = left.min(BUFFER_BYTES as u64) as usize;
        file.read_exact(&mut buffer[..part])?;
        if expected.is_empty() {
            expected = vec![buffer[0]; BUFFER_BYTES];
        }
        if buffer[..part] != expected[..part] {
            return Ok(false);
        }
        left -= part as u64;
    }
    Ok(true)
}

/// Whether a file is empty or contains only zeros.
pub(super) fn is_blank(path: &Path) -> io::Result<bool> {
    let mut file = File::open(path)?;
    let (mut buffer, zeros) = (vec![0; BUFFER_BYTES], vec![0; BUFFER_BYTES]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(true),
            length if buffer[..length] != zeros[..length] => return Ok(false),
            _ => {}
        }
    }
}

/// Whether two files have the same bytes.
pub(super) fn is_same(one: &Path, other: &Path) -> io::Result<bool> {
    let (mut one, mut other) = (File::open(one)?, File::open(other)?);
    if one.metadata()?.len() != other.metadata()?.len() {
        return Ok(false);
    }
    let (mut ours, mut theirs) = (vec![0; BUFFER_BYTES], vec![0; BUFFER_BYTES]);
    loop {
        let length = one.read(&mut ours)?;
        if length == 0 {
            return Ok(true);
        }
        other.read_exact(&mut theirs[..length])?;
        if ours[..length] != theirs[..length] {
            return Ok(false);
        }
    }
}
