//! Extension messages (BEP 10): the extension handshake, and messages of the extensions that we
//! offer.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::{PeerError, PeerEvent, PeerSession};
use crate::protocol::extension::{DONT_HAVE_ID, ExtendedHandshake, METADATA_ID, PEX_ID};
use crate::protocol::pex::Neighbour;
use crate::protocol::ut_metadata::{MetadataError, MetadataMessage};
use crate::protocol::wire::Message;
use crate::torrent::geometry::PieceIndex;

impl PeerSession {
    /// Whether the peer states that it requests nothing (BEP 21).
    pub fn is_upload_only(&self) -> bool {
        self.theirs.upload_only == Some(true)
    }

    /// Takes the peers that this peer named.
    pub fn take_named(&mut self) -> Vec<SocketAddr> {
        self.named.take()
    }

    /// Returns the port on which the peer states that it accepts connections.
    pub fn listen_port(&self) -> Option<u16> {
        self.theirs.listen_port
    }

    /// Whether [`PeerSession::tell_of`] is due; never if the peer does not support PEX or we do not
    /// offer it.
    pub fn may_be_told(&mut self, now: Duration) -> bool {
        let takes = self.offer.pex && self.theirs.id(b"ut_pex").is_some();
        takes && self.sender.is_due(now)
    }

    /// Sends the peer the changes among the `connected` peers since the last message (BEP 11); `to`
    /// is the peer's address.
    pub fn tell_of(&mut self, now: Duration, to: Option<IpAddr>, connected: &[Neighbour]) {
        let Some(id) = self.theirs.id(b"ut_pex") else { return };
        if let Some(payload) = self.sender.message(now, to, connected) {
            Message::Extended { id, payload: &payload }.encode(&mut self.out);
        }
    }

    /// Returns the peer's message ID for `ut_metadata`.
    pub fn metadata_id(&self) -> Option<u8> {
        self.theirs.id(b"ut_metadata")
    }

    /// Returns the length of the `info` dictionary that the peer offers.
    ///
    /// # Errors
    /// The peer offers none, or one longer than `max_bytes`.
    pub fn offered_metadata(&self, max_bytes: usize) -> Result<usize, MetadataError> {
        self.metadata_id().ok_or(MetadataError::NotOffered)?;
        let bytes = self.theirs.metadata_size_bytes.ok_or(MetadataError::NotThere)?;
        let fits = usize::try_from(bytes).ok().filter(|bytes| *bytes <= max_bytes);
        fits.ok_or(MetadataError::TooLong { bytes, max_bytes })
    }

    /// Sends a message of `ut_metadata`, if the peer supports it.
    pub fn send_metadata(&mut self, message: MetadataMessage<'_>) {
        if let Some(id) = self.metadata_id() {
            Message::Extended { id, payload: &message.encode() }.encode(&mut self.out);
        }
    }

    /// Returns the client's name, if the peer stated it.
    #[cfg(test)]
    pub(super) fn client(&self) -> Option<&str> {
        self.theirs.client.as_deref()
    }

    pub(super) fn extended<'b>(
        &mut self,
        now: Duration,
        id: u8,
        payload: &'b [u8],
    ) -> Result<PeerEvent<'b>, PeerError> {
        match id {
            0 => {
                self.extended_handshake(payload);
                Ok(PeerEvent::Extensions)
            }
            PEX_ID if self.offer.pex && self.offer.wants_peers => {
                let is_new = self.named.hear(now, payload);
                Ok(if is_new { PeerEvent::PeersNamed } else { PeerEvent::Ignored })
            }
            METADATA_ID => Ok(match MetadataMessage::decode(payload) {
                Some(MetadataMessage::Request(piece)) => {
                    self.metadata_requested(piece);
                    PeerEvent::Ignored
                }
                Some(message) => PeerEvent::Metadata(message),
                None => PeerEvent::Ignored,
            }),
            DONT_HAVE_ID => self.dont_have(payload),
            _ => Ok(PeerEvent::Ignored),
        }
    }

    fn extended_handshake(&mut self, payload: &[u8]) {
        let Ok(mut theirs) = ExtendedHandshake::decode(payload) else { return };
        // A later handshake may contain only the changes (BEP 10).
        theirs.reqq = theirs.reqq.or(self.theirs.reqq);
        theirs.upload_only = theirs.upload_only.or(self.theirs.upload_only);
        theirs.listen_port = theirs.listen_port.or(self.theirs.listen_port);
        theirs.client = theirs.client.or_else(|| self.theirs.client.take());
        theirs.add_extensions(std::mem::take(&mut self.theirs.extensions));
        self.theirs = theirs;
    }

    /// Handles `lt_donthave` (BEP 54).
    fn dont_have<'b>(&self, payload: &[u8]) -> Result<PeerEvent<'b>, PeerError> {
        let Ok(piece) = payload.try_into().map(PieceIndex::from_be_bytes) else {
            return Ok(PeerEvent::Ignored);
        };
        if piece < self.piece_count {
            Ok(PeerEvent::DontHave(piece))
        } else {
            Err(PeerError::NoSuchPiece(piece))
        }
    }
}
