//! What we serve: pieces that are verified, and the `info` dictionary (BEP 9).
//!
//! The session keeps what the peer asked for, in order and bounded. The caller decides who is unchoked and how fast it
//! goes, looks whether a block can be served, and sends it.

use super::{MAX_BLOCK_BYTES, PeerSession};
use crate::bencode::{self, Limits};
use crate::geometry::PieceIndex;
use crate::pieces::PieceSet;
use crate::protocol::extension;
use crate::protocol::upload::Wanted;
use crate::protocol::wire::{Message, Request};

/// The parts in which `info` is asked for (BEP 9).
pub const METADATA_PART_BYTES: u64 = 16 << 10;

const METADATA_LIMITS: Limits = Limits { max_bytes: 1 << 10, max_depth: 4, max_values: 20 };

impl PeerSession {
    /// What follows the peer's handshake: what we have, and what we can do beyond BEP 3. To be called once, when
    /// [`super::Event::HandshakeDone`] came.
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
    pub fn first_wanted(&self) -> Option<Wanted> {
        self.waiting.first()
    }

    /// It is being sent.
    pub fn served(&mut self, wanted: Wanted) {
        self.waiting.remove(wanted);
    }

    /// It cannot be had.
    pub fn refuse(&mut self, wanted: Wanted) {
        self.waiting.remove(wanted);
        self.say_no(wanted);
    }

    fn say_no(&mut self, wanted: Wanted) {
        match wanted {
            Wanted::Block(request) if self.fast => Message::Reject(request).encode(&mut self.out),
            Wanted::Block(_) => {}
            Wanted::Metadata(part) => {
                let payload = format!("d8:msg_typei2e5:piecei{part}ee");
                self.send_metadata(payload.as_bytes());
            }
        }
    }

    /// The message that brings a part of `info`, but for its bytes, which follow; `None` where the peer takes none.
    pub fn metadata_head(&self, part: u32, length: u32) -> Option<Vec<u8>> {
        let id = self.theirs.id(b"ut_metadata")?;
        let total = self.offer.metadata_bytes?;
        let payload = format!("d8:msg_typei1e5:piecei{part}e10:total_sizei{total}ee");
        let mut message = Vec::new();
        let framed = 2 + payload.len() as u32 + length; // a part is far below 4 GiB
        message.extend_from_slice(&framed.to_be_bytes());
        message.extend_from_slice(&[20, id]);
        message.extend_from_slice(payload.as_bytes());
        Some(message)
    }

    fn send_metadata(&mut self, payload: &[u8]) {
        if let Some(id) = self.theirs.id(b"ut_metadata") {
            Message::Extended { id, payload }.encode(&mut self.out);
        }
    }

    /// Interest, requests and cancels.
    pub(super) fn leecher_message(&mut self, message: Message<'_>) {
        match message {
            Message::Interested => self.waiting.interested = true,
            Message::NotInterested => self.waiting.interested = false,
            Message::Request(request) => {
                let wanted = Wanted::Block(request);
                if !self.may_be_asked(request) || !self.waiting.add(wanted) {
                    self.say_no(wanted);
                }
            }
            Message::Cancel(request) if self.waiting.remove(Wanted::Block(request)) => {
                self.say_no(Wanted::Block(request));
            }
            _ => {}
        }
    }

    fn may_be_asked(&self, request: Request) -> bool {
        self.offer.serves
            && !self.waiting.choking
            && request.piece < self.piece_count
            && (1..=MAX_BLOCK_BYTES).contains(&request.length)
    }

    /// A message of `ut_metadata`: requests alone are of interest.
    pub(super) fn metadata_message(&mut self, payload: &[u8]) {
        let Ok(message) = bencode::decode(payload, &METADATA_LIMITS) else { return };
        let (Some(0), Some(part)) =
            (bencode::int(&message, b"msg_type"), bencode::int(&message, b"piece"))
        else {
            return;
        };
        let Ok(part) = u32::try_from(part) else { return };
        let is_there = self
            .offer
            .metadata_bytes
            .is_some_and(|bytes| u64::from(part) * METADATA_PART_BYTES < bytes);
        if !is_there || !self.waiting.add(Wanted::Metadata(part)) {
            self.say_no(Wanted::Metadata(part));
        }
    }
}
