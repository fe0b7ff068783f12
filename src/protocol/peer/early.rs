//! A session that begins before `info` is known: nobody knows yet how many pieces there are. What the peer says of its
//! pieces is kept, and checked once their number is known.

use std::time::Duration;

use super::limit::MessageLimit;
use super::{PeerError, PeerEvent, PeerSession, bitfield_bytes, check_bitfield};
use crate::protocol::extension::{self, Offer};
use crate::protocol::wire::Message;
use crate::torrent::geometry::PieceIndex;
use crate::torrent::infohash::Infohash;
use crate::torrent::pieces::PieceSet;

/// The longest message while the number of pieces is not known: a bitfield of four million pieces, more than a
/// torrent within our limits can have.
const MAX_EARLY_MESSAGE_BYTES: u32 = 512 << 10;

/// As many pieces as fit into such a bitfield.
const MOST_PIECES: u32 = (MAX_EARLY_MESSAGE_BYTES - 1) * 8;

/// The pieces that a peer has, of a number that is not known.
#[derive(Debug, Default)]
pub(super) struct EarlyPieces {
    /// The first pieces, as in a bitfield.
    bits: Vec<u8>,
    /// Whether it has all that follow.
    rest: bool,
    /// The length of the last bitfield, if there was one.
    stated_bytes: Option<usize>,
}

impl EarlyPieces {
    /// Keeps what an event says of pieces; gives the event where it says something else.
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

    /// The piece is in range: below [`MOST_PIECES`].
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
        if let Some(bytes) = self.stated_bytes.filter(|bytes| *bytes != expected_bytes) {
            return Err(PeerError::BitfieldLength { bytes, expected_bytes });
        }
        if self.bits.len() > expected_bytes {
            return Err(PeerError::NoSuchPiece(piece_count));
        }
        if self.rest {
            self.bits.resize(expected_bytes, 0xff);
        } else {
            self.bits.resize(expected_bytes, 0);
            check_bitfield(&self.bits, piece_count)?;
        }
        Ok(PieceSet::from_bitfield(&self.bits, piece_count))
    }
}

impl PeerSession {
    /// A session that is to fetch the `info` dictionary first: see [`PeerSession::begin_data`].
    pub fn without_info(now: Duration, infohash: Infohash, peer_id: [u8; 20]) -> PeerSession {
        let offer = Offer { wants_metadata: true, ..Offer::default() };
        let mut session = PeerSession::new(now, infohash, peer_id, MOST_PIECES, offer);
        session.limit = MessageLimit::without_info(now);
        session.early = Some(EarlyPieces::default());
        session
    }

    /// The `info` dictionary is known, and we have these of its pieces: from now on the session is one that was begun
    /// with its number of pieces and this offer, at a clock that may be another one. Gives the pieces that the peer has.
    ///
    /// # Errors
    /// What the peer said of its pieces does not fit the torrent: the session is over.
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
