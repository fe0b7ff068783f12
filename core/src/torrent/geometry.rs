//! Where a torrent's pieces are in its byte stream (BEP 3). Pure arithmetic, layer 0.

use std::ops::Range;

/// The index of a piece, from 0.
pub type PieceIndex = u32;

/// The size of the blocks that peers are asked for: 16 KiB, except for a piece's last block (BEP
/// 3).
pub const BLOCK_BYTES: u32 = 16 << 10;

/// Far longer than any piece length in use, and short enough that offsets within a piece fit into
/// 32 bits.
const MAX_PIECE_BYTES: u32 = 1 << 30;

/// Piece length, total length and piece count of a torrent, checked against one another.
///
/// Offsets count bytes in the torrent's stream: the contents of all its files, concatenated in
/// order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    total_bytes: u64,
    piece_bytes: u32,
    piece_count: u32,
}

impl Geometry {
    /// Returns `None` if the piece length is zero or above 1 GiB, or if the piece count exceeds 32
    /// bits.
    pub fn new(total_bytes: u64, piece_bytes: u32) -> Option<Geometry> {
        if piece_bytes == 0 || piece_bytes > MAX_PIECE_BYTES {
            return None;
        }
        let piece_count = u32::try_from(total_bytes.div_ceil(piece_bytes.into())).ok()?;
        Some(Geometry { total_bytes, piece_bytes, piece_count })
    }

    #[cfg(feature = "seed")]
    pub fn total_bytes(&self) -> u64 {
        self.total_bytes
    }

    pub fn piece_bytes(&self) -> u32 {
        self.piece_bytes
    }

    pub fn piece_count(&self) -> u32 {
        self.piece_count
    }

    /// Returns the offset of the piece in the torrent's stream.
    pub fn start(&self, piece: PieceIndex) -> u64 {
        u64::from(piece) * u64::from(self.piece_bytes)
    }

    /// Returns the piece's bytes in the torrent's stream; the last piece may be short.
    pub fn range(&self, piece: PieceIndex) -> Range<u64> {
        let start = self.start(piece).min(self.total_bytes);
        start..(start + u64::from(self.piece_bytes)).min(self.total_bytes)
    }

    /// Returns the piece's length in bytes; 0 for a piece that does not exist.
    pub fn len(&self, piece: PieceIndex) -> u32 {
        let range = self.range(piece);
        (range.end - range.start) as u32 // at most piece_bytes, a u32
    }

    /// Returns the piece that contains the byte at `offset`.
    pub fn piece_at(&self, offset: u64) -> PieceIndex {
        (offset / u64::from(self.piece_bytes)) as u32 // offset is within the stream: less than piece_count
    }

    /// Returns the pieces that contain any of these bytes.
    pub fn pieces(&self, bytes: Range<u64>) -> Range<PieceIndex> {
        if bytes.start >= bytes.end {
            return 0..0;
        }
        self.piece_at(bytes.start)..self.piece_at(bytes.end - 1) + 1
    }

    /// Returns the bytes of a range of pieces, clamped to the stream.
    pub fn bytes(&self, pieces: Range<PieceIndex>) -> Range<u64> {
        self.start(pieces.start).min(self.total_bytes)..self.start(pieces.end).min(self.total_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_piece_lengths_and_the_short_last_piece() {
        let geometry = Geometry::new(100, 33).unwrap();
        assert_eq!(geometry.piece_count(), 4);
        assert_eq!(geometry.range(3), 99..100);
        assert_eq!(geometry.len(2), 33);
        assert_eq!(geometry.len(4), 0);
        assert_eq!(geometry.pieces(32..34), 0..2);
        assert_eq!(geometry.pieces(5..5), 0..0);
        assert_eq!(geometry.bytes(2..4), 66..100);
    }

    #[test]
    fn impossible_torrents_have_no_geometry() {
        assert_eq!(Geometry::new(1, 0), None);
        assert_eq!(Geometry::new(u64::MAX, 1), None);
        assert_eq!(Geometry::new(1, u32::MAX), None);
        assert_eq!(Geometry::new(0, 1).unwrap().piece_count(), 0);
    }
}
