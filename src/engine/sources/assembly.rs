//! A piece that is being downloaded: which of its bytes are on disk, and its SHA-1 so far.
//!
//! The hash has a cursor. Bytes that arrive at the cursor are hashed while they are in the CPU
//! cache; blocks that arrive ahead of it are written, and read back when the cursor reaches them.
//! So no buffer is as long as a piece, and another source can continue a piece that one source left
//! unfinished.

use crate::error::Error;
use crate::hash::Sha1;
use crate::picker::SourceId;
use crate::storage::Partial;
use crate::torrent::geometry::BLOCK_BYTES;

/// The effect of adding bytes to a piece.
#[derive(Debug, PartialEq, Eq)]
pub enum Added {
    /// The bytes were already present, or are not accepted from this source.
    Nothing,
    /// This many of the bytes were new.
    Bytes(u64),
    /// The piece is complete, and its hash matches.
    Verified,
    /// The piece is complete, but its hash does not match. The piece starts over. These sources
    /// contributed.
    Failed(Vec<SourceId>),
}

#[derive(Debug)]
pub struct Assembly {
    /// The offset of the piece in the torrent's byte stream.
    start: u64,
    length: u32,
    expected: [u8; 20],
    /// Number of bytes from the front that are hashed.
    cursor: u32,
    sha1: Sha1,
    /// Blocks ahead of the cursor that are on disk, or wholly in pad files: pad blocks are read as
    /// zeros and never requested.
    received: Vec<bool>,
    /// Blocks wholly inside pad files.
    padding: Vec<u32>,
    /// How many peers each block was requested from.
    asked: Vec<u8>,
    /// Every block before this index is on disk or was requested.
    unasked_from: u32,
    contributors: Vec<SourceId>,
    /// After a failure that could not be blamed on one source: the only source whose bytes are
    /// accepted.
    only: Option<SourceId>,
    done: bool,
}

impl Assembly {
    /// `padding` yields the parts of pad files in the piece, as ranges of the torrent's stream.
    pub fn new(
        start: u64,
        length: u32,
        expected: [u8; 20],
        padding: impl Iterator<Item = std::ops::Range<u64>>,
    ) -> Assembly {
        let blocks = length.div_ceil(BLOCK_BYTES) as usize;
        let mut whole = Vec::new();
        for range in padding {
            // Only blocks that are wholly padding. Blocks of a piece fit in a `u32`.
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

    /// Number of bytes from the front that need not be fetched again.
    pub fn cursor(&self) -> u32 {
        self.cursor
    }

    /// Accepts bytes from this source only, from now on. Discards what others contributed.
    pub fn restrict_to(&mut self, source: SourceId) {
        if self.only != Some(source) {
            self.reset();
            self.only = Some(source);
        }
    }

    /// Adds bytes that begin at offset `begin` of the piece: writes them, and hashes them if they
    /// continue at the cursor.
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
        // The piece may begin with padding.
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

    /// Discards what the sources contributed, and accepts bytes from all.
    pub fn begin_anew(&mut self) {
        if !self.done {
            self.reset();
        }
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

    /// Writes each whole block within these bytes that is not on disk yet.
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

    /// Hashes the blocks on disk that the cursor has reached.
    fn catch_up(&mut self, partial: &Partial) -> Result<(), Error> {
        let mut buffer = Vec::new();
        while self.cursor < self.length
            && self.received.get((self.cursor / BLOCK_BYTES) as usize) == Some(&true)
        {
            if buffer.is_empty() {
                // `resize` works byte by byte at opt-level 0
                buffer = vec![0; BLOCK_BYTES as usize];
            }
            let block_end = ((self.cursor / BLOCK_BYTES + 1) * BLOCK_BYTES).min(self.length);
            let part = &mut buffer[..(block_end - self.cursor) as usize];
            partial.read(self.start + u64::from(self.cursor), part)?;
            self.sha1.update(part);
            self.cursor = block_end;
        }
        Ok(())
    }

    /// Returns the next block that was not requested from any peer, as `(block index, length)`, and
    /// marks it requested.
    pub fn next_unasked(&mut self) -> Option<(u32, u32)> {
        let mut block = self.unasked_from.max(self.cursor / BLOCK_BYTES);
        while !self.is_free(block, 1)? {
            block += 1;
        }
        self.unasked_from = block + 1;
        self.ask(block)
    }

    /// Returns a block that was already requested from another peer, but is not one of `mine`.
    /// Searches from the back, since the other peer works from the front. The schedule limits how
    /// many peers share a piece, so this function sets no limit.
    pub fn next_shared(&mut self, mine: impl Fn(u32) -> bool) -> Option<(u32, u32)> {
        let blocks = self.cursor / BLOCK_BYTES..self.received.len() as u32;
        let block = blocks
            .rev()
            .find(|block| self.is_free(*block, u8::MAX) == Some(true) && !mine(*block))?;
        self.ask(block)
    }

    /// Whether the block is missing and was requested from fewer than `most` peers; `None` past the
    /// end of the piece.
    fn is_free(&self, block: u32, most: u8) -> Option<bool> {
        let (received, asked) =
            (self.received.get(block as usize)?, self.asked.get(block as usize)?);
        Some(!received && *asked < most && !self.done)
    }

    fn ask(&mut self, block: u32) -> Option<(u32, u32)> {
        *self.asked.get_mut(block as usize)? += 1;
        Some((block, BLOCK_BYTES.min(self.length - block * BLOCK_BYTES)))
    }

    /// Withdraws one request for the block: it arrived, or will not arrive.
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
