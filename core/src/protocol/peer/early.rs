//! Sessions that start before `info`, and therefore the number of pieces, is known. What the peer
//! announces about its pieces is recorded, and checked once their number is known.

use std::time::Duration;

use super::limit::MessageLimit;
use super::{PeerError, PeerEvent, PeerSession, bitfield_bytes};
use crate::protocol::extension::{self, Offer};
use crate::protocol::wire::Message;
use crate::torrent::geometry::PieceIndex;
use crate::torrent::infohash::Infohash;
use crate::torrent::pieces::PieceSet;

/// The longest message while the number of pieces is unknown: a bitfield of four million pieces,
/// more than a torrent within our limits can have.
const MAX_EARLY_MESSAGE_BYTES: u32 = 512 << 10;

/// The number of pieces that fit into such a bitfield.
const MOST_PIECES: u32 = (MAX_EARLY_MESSAGE_BYTES - 1) * 8;

/// The pieces that a peer has, while their total number is unknown.
#[derive(Debug, Default)]
pub(super) struct EarlyPieces {
    /// The state of the first pieces, in the format of a bitfield.
    bits: Vec<u8>,
    /// Whether the peer has all later pieces.
    rest: bool,
    /// The length of the peer's last bitfield, if it sent one.
    stated_bytes: Option<usize>,
}

impl EarlyPieces {
    /// Records an event about pieces as [`PeerEvent::Ignored`]; returns other events unchanged.
    pub(super) fn keep<'b>(&mut self, event: PeerEvent<'b>) -> PeerEvent<'b> {
        match event {
            PeerEvent::Have(piece) => self.set(piece, true),
            PeerEvent::DontHave(piece) => self.set(piece, false),
            PeerEvent::Bitfield(bits) => {
                (self.bits, self.rest) = (bits.to_vec(), false);
                self.stated_bytes = Some(bits.len());
            }
            PeerEvent::HaveAll => *self = EarlyPieces { rest: true, ..EarlyPieces::default() },
            PeerEvent::HaveNone => *self = EarlyPieces::default(),
            other => return other,
        }
        PeerEvent::Ignored
    }

    /// `piece` must be below [`MOST_PIECES`].
    fn set(&mut self, piece: PieceIndex, has: bool) {
        let byte = (piece / 8) as usize;
        if byte >= self.bits.len() {
            if has == self.rest {
                return;
            }
            self.bits.resize(byte + 1, self.fill());
        }
        let bit = 0x80 >> (piece % 8);
        if let Some(bits) = self.bits.get_mut(byte) {
            *bits = if has { *bits | bit } else { *bits & !bit };
        }
    }

    fn fill(&self) -> u8 {
        if self.rest { 0xff } else { 0 }
    }

    fn check(mut self, piece_count: u32) -> Result<PieceSet, PeerError> {
        let expected_bytes = bitfield_bytes(piece_count);
        if let Some(bytes) = self.stated_bytes.filter(|bytes| *bytes < expected_bytes) {
            return Err(PeerError::BitfieldLength { bytes, expected_bytes });
        }
        if self.bits.len() > expected_bytes.max(self.stated_bytes.unwrap_or_default()) {
            return Err(PeerError::NoSuchPiece(piece_count));
        }
        self.bits.resize(expected_bytes, self.fill());
        Ok(PieceSet::from_bitfield(&self.bits, piece_count))
    }
}

impl PeerSession {
    /// Creates a session that first fetches the `info` dictionary; [`PeerSession::begin_data`]
    /// follows.
    pub fn without_info(now: Duration, infohash: Infohash, peer_id: [u8; 20]) -> PeerSession {
        let offer = Offer { wants_metadata: true, ..Offer::default() };
        let mut session = PeerSession::new(now, infohash, peer_id, MOST_PIECES, offer);
        session.limit = MessageLimit::without_info(now);
        session.early = Some(EarlyPieces::default());
        session
    }

    /// Continues the session once the `info` dictionary is known, as if it had been created with
    /// this number of pieces and this offer. `pieces` are those that we have; `now` may be from a
    /// different clock than before. Returns the pieces that the peer has.
    ///
    /// # Errors
    /// What the peer announced does not fit the torrent; the session is over.
    pub fn begin_data(
        &mut self,
        now: Duration,
        pieces: &PieceSet,
        piece_count: u32,
        offer: Offer,
    ) -> Result<PieceSet, PeerError> {
        let has = self.early.take().unwrap_or_default().check(piece_count)?;
        if let Some(piece) = self.allowed.iter().find(|piece| **piece >= piece_count) {
            return Err(PeerError::NoSuchPiece(*piece));
        }
        (self.piece_count, self.offer) = (piece_count, offer);
        (self.last_sent, self.last_heard) = (now, now);
        self.limit = MessageLimit::new(now, piece_count);
        if self.extensions {
            let payload = extension::encode_ours(&self.offer);
            Message::Extended { id: 0, payload: &payload }.encode(&mut self.out);
        }
        pieces.iter().for_each(|piece| self.have(piece));
        Ok(has)
    }
}
