//! The fast extension (BEP 6): have-all and have-none, rejected requests, and pieces that may be
//! requested while we are choked. Suggested pieces are ignored: we request the rarest pieces.

use super::{PeerError, PeerEvent, PeerSession};
use crate::protocol::wire::Message;
use crate::torrent::geometry::PieceIndex;

/// How many allowed pieces are remembered; BEP 6 suggests ten.
const MAX_ALLOWED: usize = 64;

impl PeerSession {
    /// Whether both sides support BEP 6, so that the peer answers each request with a block or a
    /// reject.
    pub fn is_fast(&self) -> bool {
        self.fast
    }

    /// Returns the pieces that may be requested while the peer chokes us.
    pub fn allowed_fast(&self) -> &[PieceIndex] {
        &self.allowed
    }

    /// Whether blocks of this piece may be requested now.
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
            // A reject that crossed our cancel is ignored.
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
