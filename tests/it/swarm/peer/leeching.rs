//! Downloads of the test peer from its clients.

use std::io::{Result, Write as _};

use super::super::bencode::B;
use super::super::wire::{self, Block, Message};
use super::serving::{Client, METADATA_BLOCK_BYTES};
use super::{Fault, Shared};

/// The length of requested blocks.
const BLOCK_BYTES: usize = 16 << 10;

/// What is known about one client as a source.
#[derive(Default)]
pub struct Leech {
    interested: bool,
    /// The premature requests were sent. No `interested` may precede them, or the client might
    /// unchoke in time.
    asked_too_early: bool,
    unchoked: bool,
    /// Pieces that the client has, this peer lacks, and were not requested yet.
    wanted: Vec<u32>,
}

impl Client<'_> {
    /// Handles a message that concerns a leecher.
    pub fn leech(&mut self, message: &Message) -> Result<()> {
        if !self.shared.state.lock().unwrap().leeches {
            return Ok(());
        }
        match message.id {
            wire::HAVE => {
                let piece = u32::from_be_bytes(message.payload[..].try_into().unwrap());
                self.learn(&[piece])?;
            }
            wire::BITFIELD => {
                let bits = message.payload.iter().enumerate();
                let has = |byte: u8, at: usize| byte & (0x80 >> at) != 0;
                let pieces = bits.flat_map(|(index, byte)| {
                    (0..8).filter(move |at| has(*byte, *at)).map(move |at| (index * 8 + at) as u32)
                });
                self.learn(&pieces.collect::<Vec<_>>())?;
            }
            wire::CHOKE => self.leech.unchoked = false,
            wire::UNCHOKE => {
                self.leech.unchoked = true;
                self.request_wanted()?;
            }
            wire::PIECE => self.take(&message.payload),
            _ => {}
        }
        Ok(())
    }

    /// Handles the client's extension handshake: requests its `info`, if it offers `ut_metadata`.
    pub fn leech_metadata(&mut self, said: &B) -> Result<()> {
        let Shared { dataset, .. } = self.shared;
        if !self.shared.state.lock().unwrap().leeches {
            return Ok(());
        }
        if self.shared.has(Fault::AsksTooEarly) {
            for piece in 0..dataset.piece_count() {
                self.request(piece as u32)?;
            }
            self.leech.asked_too_early = true;
            self.learn(&[])?;
        }
        if let (Some(id), Some(size)) = (self.metadata_id, said.int_at("metadata_size")) {
            let parts = usize::try_from(size).unwrap().div_ceil(METADATA_BLOCK_BYTES);
            // One block past the end, which the client must reject.
            for part in 0..=parts as i64 {
                let ask = B::dict([("msg_type", B::Int(0)), ("piece", B::Int(part))]);
                self.conn.stream.write_all(&wire::extended(id, &ask.write()))?;
            }
        }
        Ok(())
    }

    fn learn(&mut self, pieces: &[u32]) -> Result<()> {
        self.shared.stats(|stats| stats.announced.extend(pieces));
        let have = self.shared.state.lock().unwrap().have.clone();
        self.leech.wanted.extend(pieces.iter().filter(|piece| !have[**piece as usize]));
        let waits = self.shared.has(Fault::AsksTooEarly) && !self.leech.asked_too_early;
        if !self.leech.interested && !self.leech.wanted.is_empty() && !waits {
            self.leech.interested = true;
            self.conn.stream.write_all(&wire::message(wire::INTERESTED, &[]))?;
        }
        self.request_wanted()
    }

    fn request_wanted(&mut self) -> Result<()> {
        if self.leech.unchoked {
            for piece in std::mem::take(&mut self.leech.wanted) {
                self.request(piece)?;
            }
        }
        Ok(())
    }

    fn request(&mut self, piece: u32) -> Result<()> {
        let dataset = &self.shared.dataset;
        let start = piece as usize * dataset.piece_bytes();
        let length = dataset.piece_bytes().min(dataset.stream().len() - start);
        for begin in (0..length).step_by(BLOCK_BYTES) {
            let length = BLOCK_BYTES.min(length - begin) as u32;
            let block = Block { piece, begin: begin as u32, length };
            self.conn.stream.write_all(&wire::message(wire::REQUEST, &wire::block(block)))?;
        }
        Ok(())
    }

    fn take(&self, payload: &[u8]) {
        let word = |at: usize| u32::from_be_bytes(payload[at..at + 4].try_into().unwrap()) as usize;
        let dataset = &self.shared.dataset;
        let start = word(0) * dataset.piece_bytes() + word(4);
        let bytes = &payload[8..];
        let is_right = dataset.stream().get(start..start + bytes.len()) == Some(bytes);
        self.shared.stats(|stats| {
            stats.wrong_blocks += usize::from(!is_right);
            stats.taken.record(start as u64..(start + bytes.len()) as u64);
        });
    }
}
