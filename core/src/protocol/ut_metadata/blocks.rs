//! Fetches the blocks of an `info` dictionary from several peers at once.
//!
//! Only the whole dictionary can be verified, so at first the peers that state the same length
//! share the work. If the result does not match the infohash, each of them must send the whole
//! dictionary itself, which reveals exactly who lies. Peers that state different lengths never
//! share, and do not hinder one another.
//!
//! A peer is asked for one block at a time: rtorrent (0.9.8, with libtorrent 0.13.8) stalled when
//! two requests arrived together, and disconnected us immediately when we reconnected seconds
//! later.
//!
//! Invariants: a block is accepted only from a peer that was asked for it, once, and with the
//! expected length. At most `HELD` times the longest allowed dictionary is held in memory. If a
//! new dictionary does not fit, a longer one is discarded: short ones are finished sooner, right or
//! wrong.

use super::{METADATA_PIECE_BYTES, MetadataError};
use crate::hash::Sha1;
use crate::torrent::infohash::Infohash;

/// Towards the end, a block is requested from several peers, so that slow ones delay nobody.
const MAX_ASKED: u8 = 3;

/// How many dictionaries of the maximum length may be held at a time.
const HELD: usize = 2;

/// The result of receiving a block.
#[derive(Debug, PartialEq, Eq)]
pub enum Brought {
    /// The block was not needed.
    Nothing,
    /// The block was stored; more are missing.
    Block,
    /// The `info` dictionary is complete: its SHA-1 is the infohash.
    Whole(Vec<u8>),
    /// The dictionary is complete but does not match the infohash. These peers lied, and have been
    /// removed; empty if it is not known which of several lied, and each is now asked for the
    /// whole.
    Wrong(Vec<u32>),
}

/// Everything being fetched of one torrent's `info`: by length, and by peer where several
/// disagreed.
#[derive(Debug)]
pub struct Blocks {
    infohash: Infohash,
    max_bytes: usize,
    dictionaries: Vec<Dictionary>,
    peers: Vec<MetadataPeer>,
    /// Lengths for which a shared dictionary turned out to be wrong.
    disputed: Vec<usize>,
    /// Whether the dictionary is complete: no peer is asked any more.
    done: bool,
}

#[derive(Debug)]
struct Dictionary {
    key: MetadataKey,
    blocks: Vec<MetadataBlock>,
    missing: usize,
}

/// The stated length, and, for a dictionary that is not shared, the only peer that may contribute.
type MetadataKey = (usize, Option<u32>);

#[derive(Clone, Debug, Default)]
struct MetadataBlock {
    /// Empty until received.
    data: Vec<u8>,
    from: u32,
    asked: u8,
}

#[derive(Debug)]
struct MetadataPeer {
    id: u32,
    bytes: usize,
    /// The requested block and its dictionary, which may have been discarded since.
    asked: Option<(u32, MetadataKey)>,
}

impl Blocks {
    /// Peers that state more than `max_bytes` cannot join.
    pub fn new(infohash: Infohash, max_bytes: usize) -> Blocks {
        let (dictionaries, peers) = (Vec::new(), Vec::new());
        Blocks { infohash, max_bytes, dictionaries, peers, disputed: Vec::new(), done: false }
    }

    /// Adds a peer that offers a dictionary of this length. A peer with the same ID starts over.
    pub fn join(&mut self, id: u32, bytes: usize) {
        self.leave(id);
        if (1..=self.max_bytes).contains(&bytes) {
            self.peers.push(MetadataPeer { id, bytes, asked: None });
        }
    }

    /// Removes a peer. Its contributions to a shared dictionary stay.
    pub fn leave(&mut self, id: u32) {
        let asked = self.peers.iter().find(|peer| peer.id == id).and_then(|peer| peer.asked);
        asked.and_then(|(number, _)| self.take_request(id, number));
        self.peers.retain(|peer| peer.id != id);
        self.dictionaries.retain(|dictionary| dictionary.key.1 != Some(id));
    }

    /// Whether the dictionary is complete.
    pub fn is_done(&self) -> bool {
        self.done
    }

    /// Whether the peer takes part; peers that lied were removed.
    pub fn has(&self, id: u32) -> bool {
        self.peers.iter().any(|peer| peer.id == id)
    }

    /// Returns the block to request from this peer now, and counts it as requested. `None` if the
    /// peer has not answered yet, if others have been asked for everything that is missing, or if
    /// there is no room, which may change.
    pub fn ask(&mut self, id: u32) -> Option<u32> {
        let key = self.key_of(id)?;
        if self.done || self.awaits(id) || !self.make_room(key) {
            return None;
        }
        let Blocks { dictionaries, peers, .. } = self;
        let dictionary = dictionaries.iter_mut().find(|dictionary| dictionary.key == key)?;
        let peer = peers.iter_mut().find(|peer| peer.id == id)?;
        for most in 0..MAX_ASKED {
            for (number, block) in (0_u32..).zip(&mut dictionary.blocks) {
                if block.data.is_empty() && block.asked == most {
                    block.asked += 1;
                    peer.asked = Some((number, key));
                    return Some(number);
                }
            }
        }
        None
    }

    /// Whether an answer from the peer is pending, even if it is not needed any more.
    pub fn awaits(&self, id: u32) -> bool {
        self.peers.iter().any(|peer| peer.id == id && peer.asked.is_some())
    }

    /// Handles a block that a peer sent.
    ///
    /// # Errors
    /// [`MetadataError::OddBlock`]: the block contradicts the length that the peer stated.
    pub fn brought(
        &mut self,
        id: u32,
        number: u32,
        total_bytes: Option<u64>,
        data: &[u8],
    ) -> Result<Brought, MetadataError> {
        let Some(key) = self.take_request(id, number) else { return Ok(Brought::Nothing) };
        let (bytes, solo) = key;
        let fits = length_of(bytes, number) == data.len()
            && total_bytes.is_none_or(|total| total == bytes as u64);
        if !fits {
            return Err(MetadataError::OddBlock { block: number, bytes: data.len() });
        }
        let Some(index) = self.dictionaries.iter().position(|it| it.key == key) else {
            return Ok(Brought::Nothing);
        };
        let dictionary = &mut self.dictionaries[index];
        let Some(block) = dictionary.blocks.get_mut(number as usize) else {
            return Ok(Brought::Nothing);
        };
        if !block.data.is_empty() {
            return Ok(Brought::Nothing);
        }
        (block.data, block.from) = (data.to_vec(), id);
        dictionary.missing -= 1;
        if dictionary.missing > 0 {
            return Ok(Brought::Block);
        }
        let Dictionary { blocks, .. } = self.dictionaries.swap_remove(index);
        let mut sha1 = Sha1::new();
        blocks.iter().for_each(|block| sha1.update(&block.data));
        if sha1.finish() == *self.infohash.as_bytes() {
            self.done = true;
            let mut whole = Vec::with_capacity(bytes);
            blocks.iter().for_each(|block| whole.extend_from_slice(&block.data));
            return Ok(Brought::Whole(whole));
        }
        if solo.is_some() || blocks.iter().all(|block| block.from == id) {
            self.leave(id);
            return Ok(Brought::Wrong(vec![id]));
        }
        self.disputed.push(bytes);
        Ok(Brought::Wrong(Vec::new()))
    }

    /// Handles a rejected request. Returns whether it was pending.
    pub fn rejected(&mut self, id: u32, number: u32) -> bool {
        self.take_request(id, number).is_some()
    }

    fn key_of(&self, id: u32) -> Option<MetadataKey> {
        let peer = self.peers.iter().find(|peer| peer.id == id)?;
        Some((peer.bytes, self.disputed.contains(&peer.bytes).then_some(id)))
    }

    /// Returns the total length of all dictionaries in progress.
    pub(super) fn held_bytes(&self) -> usize {
        self.dictionaries.iter().map(|dictionary| dictionary.key.0).sum()
    }

    /// Starts the dictionary if necessary; false if there is no room for it.
    fn make_room(&mut self, key: MetadataKey) -> bool {
        if self.dictionaries.iter().any(|dictionary| dictionary.key == key) {
            return true;
        }
        while self.held_bytes() + key.0 > HELD * self.max_bytes {
            let abandoned = |it: &Dictionary| !self.peers.iter().any(|p| p.bytes == it.key.0);
            let position = self.dictionaries.iter().position(abandoned).or_else(|| {
                let longest = self.dictionaries.iter().enumerate();
                let (index, longest) = longest.max_by_key(|(_, it)| it.key.0)?;
                (longest.key.0 > key.0).then_some(index)
            });
            let Some(position) = position else { return false };
            self.dictionaries.swap_remove(position);
        }
        let count = key.0.div_ceil(METADATA_PIECE_BYTES);
        let blocks = vec![MetadataBlock::default(); count];
        self.dictionaries.push(Dictionary { key, blocks, missing: count });
        true
    }

    /// Closes the request that the peer answers, and returns its dictionary.
    fn take_request(&mut self, id: u32, number: u32) -> Option<MetadataKey> {
        let peer = self.peers.iter_mut().find(|peer| peer.id == id)?;
        let (_, key) = peer.asked.take_if(|(asked, _)| *asked == number)?;
        let dictionary = self.dictionaries.iter_mut().find(|it| it.key == key);
        if let Some(block) = dictionary.and_then(|it| it.blocks.get_mut(number as usize)) {
            block.asked = block.asked.saturating_sub(1);
        }
        Some(key)
    }
}

/// Returns the expected length of a block; 0 if there is no block with this number.
fn length_of(bytes: usize, number: u32) -> usize {
    let begin = (number as usize).saturating_mul(METADATA_PIECE_BYTES);
    bytes.saturating_sub(begin).min(METADATA_PIECE_BYTES)
}
