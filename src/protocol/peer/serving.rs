//! What we serve: pieces that are verified, and the `info` dictionary (BEP 9).
//!
//! The session keeps what the peer asked for, in order and bounded. The caller decides who is unchoked and how fast it
//! goes, looks whether a block can be served, and sends it.

use super::{MAX_BLOCK_BYTES, PeerSession};
use crate::protocol::extension;
use crate::protocol::upload::UploadRequest;
use crate::protocol::ut_metadata::{METADATA_PIECE_BYTES, MetadataMessage};
use crate::protocol::wire::{BlockRequest, Message};
use crate::torrent::geometry::PieceIndex;
use crate::torrent::pieces::PieceSet;

impl PeerSession {
    /// What follows the peer's handshake: what we have, and what we can do beyond BEP 3. To be called once, when
    /// [`super::PeerEvent::HandshakeDone`] came.
    pub fn introduce(&mut self, pieces: &PieceSet) {
        if pieces.is_empty() {
            if self.fast {
                Message::HaveNone.encode(&mut self.out);
            }
        } else if self.fast && pieces.len() == self.piece_count {
            Message::HaveAll.encode(&mut self.out);
        } else {
            let bits = pieces.to_bitfield();
            Message::Bitfield(&bits).encode(&mut self.out);
        }
        if self.extensions {
            let payload = extension::encode_ours(&self.offer);
            Message::Extended { id: 0, payload: &payload }.encode(&mut self.out);
        }
    }

    /// Tells the peer that we want nothing any more (BEP 21); what it knows of us else still holds (BEP 10).
    #[cfg(feature = "seed")]
    pub fn upload_only(&mut self) {
        let told = std::mem::replace(&mut self.offer.upload_only, true);
        if self.extensions && !told {
            let payload = extension::encode_ours(&self.offer);
            Message::Extended { id: 0, payload: &payload }.encode(&mut self.out);
        }
    }

    /// Tells the peer that we have this piece now.
    pub fn have(&mut self, piece: PieceIndex) {
        Message::Have(piece).encode(&mut self.out);
    }

    /// Whether the peer wants blocks of us. One that says it only uploads (BEP 21) has no use for them.
    pub fn wants_blocks(&self) -> bool {
        self.waiting.interested && self.offer.serves && !self.is_upload_only()
    }

    /// Chokes the peer, or ends that. What it has asked for is rejected where it understands that, and else forgotten.
    pub fn set_choking(&mut self, choking: bool) {
        if self.waiting.choking == choking {
            return;
        }
        self.waiting.choking = choking;
        if choking {
            Message::Choke.encode(&mut self.out);
            for wanted in self.waiting.take_blocks() {
                self.say_no(wanted);
            }
        } else {
            Message::Unchoke.encode(&mut self.out);
        }
    }

    /// What the peer has waited for the longest.
    pub fn first_wanted(&self) -> Option<UploadRequest> {
        self.waiting.first()
    }

    /// It is being sent.
    pub fn served(&mut self, wanted: UploadRequest) {
        self.waiting.remove(wanted);
    }

    /// It cannot be had.
    pub fn refuse(&mut self, wanted: UploadRequest) {
        self.waiting.remove(wanted);
        self.say_no(wanted);
    }

    fn say_no(&mut self, wanted: UploadRequest) {
        match wanted {
            UploadRequest::Block(request) if self.fast => {
                Message::Reject(request).encode(&mut self.out)
            }
            UploadRequest::Block(_) => {}
            UploadRequest::Metadata(piece) => self.send_metadata(MetadataMessage::Reject(piece)),
        }
    }

    /// Interest, requests and cancels. True for a request that waits to be served.
    pub(super) fn leecher_message(&mut self, message: Message<'_>) -> bool {
        match message {
            Message::Interested => self.waiting.interested = true,
            Message::NotInterested => self.waiting.interested = false,
            Message::Request(request) => {
                let wanted = UploadRequest::Block(request);
                if self.may_be_asked(request) && self.waiting.add(wanted) {
                    return true;
                }
                self.say_no(wanted);
            }
            Message::Cancel(request) if self.waiting.remove(UploadRequest::Block(request)) => {
                self.say_no(UploadRequest::Block(request));
            }
            _ => {}
        }
        false
    }

    /// When the peer last asked for a block that we may serve.
    #[cfg(feature = "seed")]
    pub fn asked_at(&self) -> Option<std::time::Duration> {
        self.asked_at
    }

    /// Whether we choke the peer.
    #[cfg(feature = "seed")]
    pub fn is_choking(&self) -> bool {
        self.waiting.choking
    }

    fn may_be_asked(&self, request: BlockRequest) -> bool {
        self.offer.serves
            && !self.waiting.choking
            && request.piece < self.piece_count
            && (1..=MAX_BLOCK_BYTES).contains(&request.length)
    }

    /// The peer requests a piece of `info`.
    pub(super) fn metadata_requested(&mut self, piece: u32) {
        let begin = u64::from(piece) * METADATA_PIECE_BYTES as u64;
        let is_there = self.offer.metadata_bytes.is_some_and(|bytes| begin < bytes);
        if !is_there || !self.waiting.add(UploadRequest::Metadata(piece)) {
            self.say_no(UploadRequest::Metadata(piece));
        }
    }
}
