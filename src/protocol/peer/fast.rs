//! The fast extension (BEP 6): what a peer has in one word, requests that are refused one by one, and pieces that
//! may be asked for while it chokes us. What it suggests is passed over: we ask for the rarest pieces.

use super::{PeerError, PeerEvent, PeerSession};
use crate::protocol::wire::Message;
use crate::torrent::geometry::PieceIndex;

/// Allowed pieces that are remembered: BEP 6 has ten.
const MAX_ALLOWED: usize = 64;

impl PeerSession {
    /// Whether both sides speak BEP 6: the peer says of each request that it refuses it.
    pub fn is_fast(&self) -> bool {
        self.fast
    }

    /// The pieces that may be asked for while the peer chokes us.
    pub fn allowed_fast(&self) -> &[PieceIndex] {
        &self.allowed
    }

    /// Whether blocks of this piece may be asked for now.
    pub fn may_ask(&self, piece: PieceIndex) -> bool {
        !self.choked || self.allowed.contains(&piece)
    }

    pub(super) fn fast_message<'b>(
        &mut self,
        message: Message<'_>,
    ) -> Result<PeerEvent<'b>, PeerError> {
        Ok(match message {
            Message::HaveAll => {
                self.pieces_told_at_once()?;
                PeerEvent::HaveAll
            }
            Message::HaveNone => {
                self.pieces_told_at_once()?;
                PeerEvent::HaveNone
            }
            // One that crossed our cancel is no news.
            Message::Reject(request) if self.requests.reject(request) => {
                PeerEvent::Rejected(request)
            }
            Message::AllowedFast(piece) if piece >= self.piece_count => {
                return Err(PeerError::NoSuchPiece(piece));
            }
            Message::AllowedFast(piece)
                if self.allowed.len() < MAX_ALLOWED && !self.allowed.contains(&piece) =>
            {
                self.allowed.push(piece);
                PeerEvent::AllowedFast(piece)
            }
            _ => PeerEvent::Ignored,
        })
    }
}
