//! A piece on its way: which of its bytes are on disk, and its SHA-1 as far as it is known.
//!
//! The hash has a cursor. Bytes that arrive at the cursor are hashed while they are in the cache; blocks that
//! arrive ahead of it are written, and read again when the cursor gets there. So no buffer is ever as long as a
//! piece, and a piece that one source left half done is gone on with by the next.

use crate::error::Error;
use crate::hash::Sha1;
use crate::picker::SourceId;
use crate::storage::Partial;
use crate::torrent::geometry::BLOCK_BYTES;

/// What some bytes did to a piece.
#[derive(Debug, PartialEq, Eq)]
pub enum Added {
    /// They were there already, or may not come from this source.
    Nothing,
    /// So many bytes of them were new.
    Bytes(u64),
    /// The piece is whole and right.
    Verified,
    /// The piece is whole and wrong, by these. It begins anew.
    Failed(Vec<SourceId>),
}

#[derive(Debug)]
pub struct Assembly {
    /// Where the piece begins in the torrent's stream.
    start: u64,
    length: u32,
    expected: [u8; 20],
    /// Bytes from the front that are hashed.
    cursor: u32,
    sha1: Sha1,
    /// Blocks ahead of the cursor that are on disk, or in pad files: these are read as zeros, and never asked for.
    received: Vec<bool>,
    /// The blocks of pad files.
    padding: Vec<u32>,
    /// How many peers were asked for each block.
    asked: Vec<u8>,
    /// Each block before this one is on disk, or was asked for.
    unasked_from: u32,
    contributors: Vec<SourceId>,
    /// After a failure that could not be blamed on one: whose bytes alone are taken.
    only: Option<SourceId>,
    done: bool,
}

impl Assembly {
    /// `padding` is where pad files are, in the torrent's stream.
    pub fn new(
        start: u64,
        length: u32,
        expected: [u8; 20],
        padding: impl Iterator<Item = std::ops::Range<u64>>,
    ) -> Assembly {
        let blocks = length.div_ceil(BLOCK_BYTES) as usize;
        let mut whole = Vec::new();
        for range in padding {
            // Within the piece.
            let from = range.start.saturating_sub(start).div_ceil(BLOCK_BYTES.into()) as u32;
            let end = range.end.saturating_sub(start);
            let to = match end {
                end if end >= length.into() => blocks as u32,
                end => (end / u64::from(BLOCK_BYTES)) as u32,
            };
            whole.extend(from..to);
        }
        let mut assembly = Assembly {
            start,
            length,
            expected,
            cursor: 0,
            sha1: Sha1::new(),
            received: vec![false; blocks],
            padding: whole,
            asked: vec![0; blocks],
            unasked_from: 0,
            contributors: Vec::new(),
            only: None,
            done: false,
        };
        assembly.receive_padding();
        assembly
    }

    fn receive_padding(&mut self) {
        for block in &self.padding {
            if let Some(received) = self.received.get_mut(*block as usize) {
                *received = true;
            }
        }
    }

    /// Bytes from the front that need not be fetched again.
    pub fn cursor(&self) -> u32 {
        self.cursor
    }

    /// From now on takes bytes of this source alone; what others brought is forgotten.
    pub fn restrict_to(&mut self, source: SourceId) {
        if self.only != Some(source) {
            self.reset();
            self.only = Some(source);
        }
    }

    /// Takes bytes that begin at `begin` in the piece: writes them, and hashes them where the cursor is.
    pub fn add(
        &mut self,
        partial: &Partial,
        source: SourceId,
        begin: u32,
        bytes: &[u8],
    ) -> Result<Added, Error> {
        if self.done || self.only.is_some_and(|only| only != source) {
            return Ok(Added::Nothing);
        }
        // A pad file may be at the front.
        self.catch_up(partial)?;
        let skipped = self.cursor.saturating_sub(begin) as usize;
        let Some(bytes) = bytes.get(skipped..).filter(|bytes| !bytes.is_empty()) else {
            return Ok(Added::Nothing);
        };
        let begin = begin.max(self.cursor);
        if u64::from(begin) + bytes.len() as u64 > u64::from(self.length) {
            return Ok(Added::Nothing);
        }
        let new = if begin == self.cursor {
            partial.write(self.start + u64::from(begin), bytes)?;
            self.sha1.update(bytes);
            self.cursor += bytes.len() as u32; // at most the piece's length
            self.catch_up(partial)?;
            bytes.len() as u64
        } else {
            self.put_ahead(partial, begin, bytes)?
        };
        if new > 0 && !self.contributors.contains(&source) {
            self.contributors.push(source);
        }
        if self.cursor < self.length {
            return Ok(if new > 0 { Added::Bytes(new) } else { Added::Nothing });
        }
        if std::mem::take(&mut self.sha1).finish() == self.expected {
            self.done = true;
            return Ok(Added::Verified);
        }
        let contributors = std::mem::take(&mut self.contributors);
        self.reset();
        Ok(Added::Failed(contributors))
    }

    fn reset(&mut self) {
        self.cursor = 0;
        self.sha1 = Sha1::new();
        self.received.fill(false);
        self.receive_padding();
        self.unasked_from = 0;
        self.contributors.clear();
        self.only = None;
    }

    /// Writes the whole blocks of these bytes that are not on disk yet.
    fn put_ahead(&mut self, partial: &Partial, begin: u32, bytes: &[u8]) -> Result<u64, Error> {
        let mut new = 0;
        let end = begin + bytes.len() as u32;
        for index in begin.div_ceil(BLOCK_BYTES)..end.div_ceil(BLOCK_BYTES) {
            let from = index * BLOCK_BYTES;
            let to = (from + BLOCK_BYTES).min(self.length);
            let block = bytes.get((from - begin) as usize..(to.max(from) - begin) as usize);
            if let (Some(block), Some(received @ false)) =
                (block, self.received.get_mut(index as usize))
            {
                partial.write(self.start + u64::from(from), block)?;
                *received = true;
                new += block.len() as u64;
            }
        }
        Ok(new)
    }

    /// Hashes the blocks on disk that the cursor has come to.
    fn catch_up(&mut self, partial: &Partial) -> Result<(), Error> {
        let mut buffer = Vec::new();
        while self.cursor < self.length
            && self.received.get((self.cursor / BLOCK_BYTES) as usize) == Some(&true)
        {
            if buffer.is_empty() {
                buffer = vec![0; BLOCK_BYTES as usize]; // `resize` goes byte by byte at opt-level 0
            }
            let block_end = ((self.cursor / BLOCK_BYTES + 1) * BLOCK_BYTES).min(self.length);
            let part = &mut buffer[..(block_end - self.cursor) as usize];
            partial.read(self.start + u64::from(self.cursor), part)?;
            self.sha1.update(part);
            self.cursor = block_end;
        }
        Ok(())
    }

    /// The next block that nobody was asked for, as an index: `(block, length)`.
    pub fn next_unasked(&mut self) -> Option<(u32, u32)> {
        let mut block = self.unasked_from.max(self.cursor / BLOCK_BYTES);
        while !self.is_free(block, 1)? {
            block += 1;
        }
        self.unasked_from = block + 1;
        self.ask(block)
    }

    /// One that another peer was asked for, from the back, since that one works from the front; and not one of `mine`.
    /// The schedule bounds how many hold a piece, so nothing else is counted here.
    pub fn next_shared(&mut self, mine: impl Fn(u32) -> bool) -> Option<(u32, u32)> {
        let blocks = self.cursor / BLOCK_BYTES..self.received.len() as u32;
        let block = blocks
            .rev()
            .find(|block| self.is_free(*block, u8::MAX) == Some(true) && !mine(*block))?;
        self.ask(block)
    }

    /// Whether the block is missing and fewer than `most` peers were asked for it; `None` behind the piece's end.
    fn is_free(&self, block: u32, most: u8) -> Option<bool> {
        let (received, asked) =
            (self.received.get(block as usize)?, self.asked.get(block as usize)?);
        Some(!received && *asked < most && !self.done)
    }

    fn ask(&mut self, block: u32) -> Option<(u32, u32)> {
        *self.asked.get_mut(block as usize)? += 1;
        Some((block, BLOCK_BYTES.min(self.length - block * BLOCK_BYTES)))
    }

    /// The block came, or will not come any more.
    pub fn unask(&mut self, block: u32) {
        let Some(asked) = self.asked.get_mut(block as usize) else { return };
        *asked = asked.saturating_sub(1);
        let missing =
            block >= self.cursor / BLOCK_BYTES && self.received.get(block as usize) == Some(&false);
        if missing {
            self.unasked_from = self.unasked_from.min(block);
        }
    }
}
