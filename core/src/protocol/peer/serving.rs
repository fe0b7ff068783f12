//! Serving peers: verified pieces, and the `info` dictionary (BEP 9).
//!
//! The session queues the peer's requests, in order and bounded. The caller decides which peers are
//! unchoked and at which rate data is sent, checks whether a block can be served, and sends it.

use super::{MAX_BLOCK_BYTES, PeerSession};
use crate::protocol::extension;
use crate::protocol::upload::UploadRequest;
use crate::protocol::ut_metadata::{METADATA_PIECE_BYTES, MetadataMessage};
use crate::protocol::wire::{BlockRequest, Message};
use crate::torrent::geometry::PieceIndex;
use crate::torrent::pieces::PieceSet;

impl PeerSession {
    /// Sends what follows the peer's handshake: the pieces that we have, and our extension
    /// handshake. Must be called once, after [`super::PeerEvent::HandshakeDone`].
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

    /// Tells the peer that we request nothing any more (BEP 21).
    #[cfg(feature = "seed")]
    pub fn upload_only(&mut self) {
        let told = std::mem::replace(&mut self.offer.upload_only, true);
        if self.extensions && !told {
            let payload = extension::encode_ours(&self.offer);
            Message::Extended { id: 0, payload: &payload }.encode(&mut self.out);
        }
    }

    /// Announces that we now have this piece.
    pub fn have(&mut self, piece: PieceIndex) {
        Message::Have(piece).encode(&mut self.out);
    }

    /// Whether the peer wants blocks from us; never if it states that it requests nothing (BEP 21).
    pub fn wants_blocks(&self) -> bool {
        self.waiting.interested && self.offer.serves && !self.is_upload_only()
    }

    /// Chokes or unchokes the peer. Choking rejects its queued block requests if it supports that,
    /// and otherwise drops them.
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

    /// Returns the peer's oldest queued request.
    pub fn first_wanted(&self) -> Option<UploadRequest> {
        self.waiting.first()
    }

    /// Removes a request that is being served.
    pub fn served(&mut self, wanted: UploadRequest) {
        self.waiting.remove(wanted);
    }

    /// Rejects a request that cannot be served.
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

    /// Handles interest, requests and cancels. True for a request that was queued.
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

    /// Returns when the peer last requested a block that we may serve.
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

    /// Handles the peer's request for a piece of `info`.
    pub(super) fn metadata_requested(&mut self, piece: u32) {
        let begin = u64::from(piece) * METADATA_PIECE_BYTES as u64;
        let is_there = self.offer.metadata_bytes.is_some_and(|bytes| begin < bytes);
        if !is_there || !self.waiting.add(UploadRequest::Metadata(piece)) {
            self.say_no(UploadRequest::Metadata(piece));
        }
    }
}
