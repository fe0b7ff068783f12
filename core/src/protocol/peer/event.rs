//! What a session reports, and the errors that end it.

use std::fmt;

use crate::protocol::ut_metadata::MetadataMessage;
use crate::protocol::wire::{BlockRequest, WireError};
use crate::torrent::geometry::PieceIndex;
use crate::torrent::infohash::Infohash;

/// The meaning of a peer's message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerEvent<'b> {
    /// The peer speaks BitTorrent and has this torrent; [`super::PeerSession::introduce`] must be
    /// called now.
    HandshakeDone {
        /// The peer's stated ID.
        peer_id: [u8; 20],
        /// Whether both sides support BEP 10.
        extensions: bool,
    },
    /// The pieces that the peer has, the first in the highest bit. It may be
    /// longer than necessary; bits beyond the last piece mean nothing.
    Bitfield(&'b [u8]),
    /// The peer now has this piece.
    Have(PieceIndex),
    /// The peer has all pieces.
    HaveAll,
    /// The peer has no pieces yet.
    HaveNone,
    /// The peer no longer has this piece (BEP 54).
    DontHave(PieceIndex),
    /// The peer chokes us. Without the fast extension, [`super::PeerSession::take_dropped`] has the
    /// dropped requests; with it, each request is served or rejected.
    Choked,
    /// The peer unchokes us: requests may be sent.
    Unchoked,
    /// A block that was requested.
    Block {
        /// The piece that contains the block.
        piece: PieceIndex,
        /// The block's offset in the piece.
        begin: u32,
        /// The block's bytes, in the caller's buffer.
        data: &'b [u8],
    },
    /// The peer rejects this request, which is no longer outstanding.
    Rejected(BlockRequest),
    /// Blocks of this piece may be requested while the peer chokes us.
    AllowedFast(PieceIndex),
    /// The peer named other peers: see [`super::PeerSession::take_named`].
    PeersNamed,
    /// An extension handshake arrived; the session has already processed it.
    Extensions,
    /// Data of `info`, possibly unrequested, or a rejected request for it.
    Metadata(MetadataMessage<'b>),
    /// Nothing to do: a keep-alive, an unrequested block, a request, which the session queues.
    Ignored,
}

/// What a peer did wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerError {
    /// The peer violated the protocol's framing.
    Wire(WireError),
    /// The peer's handshake names another torrent.
    OtherTorrent(Infohash),
    /// The peer is this process.
    Ourselves,
    /// The peer keeps sending bitfields (or the have-all and have-none messages).
    TooManyBitfields,
    /// A bitfield is too short.
    BitfieldLength {
        /// The bitfield's length.
        bytes: usize,
        /// The least length for this torrent.
        expected_bytes: usize,
    },
    /// The peer announced a piece that the torrent does not have.
    NoSuchPiece(PieceIndex),
    /// The peer keeps sending unrequested blocks.
    Flood,
    /// The peer keeps sending more messages than any client needs.
    TooManyMessages,
}

impl fmt::Display for PeerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PeerError::Wire(error) => error.fmt(f),
            PeerError::OtherTorrent(infohash) => write!(f, "it serves another torrent, {infohash}"),
            PeerError::Ourselves => f.write_str("connected to ourselves"),
            PeerError::TooManyBitfields => f.write_str("it keeps sending bitfields"),
            PeerError::BitfieldLength { bytes, expected_bytes } => {
                write!(f, "its bitfield has {bytes} bytes instead of at least {expected_bytes}")
            }
            PeerError::NoSuchPiece(piece) => {
                write!(f, "it announced piece {piece}, which the torrent does not have")
            }
            PeerError::TooManyMessages => f.write_str("it sends too many messages per second"),
            PeerError::Flood => f.write_str("it keeps sending blocks that were not requested"),
        }
    }
}

impl std::error::Error for PeerError {}

impl From<WireError> for PeerError {
    fn from(error: WireError) -> PeerError {
        PeerError::Wire(error)
    }
}
