//! The blocks of an `info` dictionary, from several peers at once.
//!
//! The dictionary as a whole is all that can be checked, so the peers that state the same length share the work first.
//! Where what they brought together is not the torrent's, each is asked for the whole by itself from then on: that tells
//! exactly who lies. Peers that state different lengths never share, and do not hinder one another.
//!
//! A peer is asked for one block at a time: rtorrent (0.9.8, with libtorrent 0.13.8) stalls when two requests come
//! together, and hung up at once when we came back seconds later.
//!
//! Invariants: a block is taken only from a peer that was asked for it, once, and with the length it must have; what is
//! held at any time is at most [`HELD`] times the longest dictionary. Where another one does not fit beside
//! the others, one with a greater length gives way: a small one is soon done with, right or wrong.

use super::{METADATA_PIECE_BYTES, MetadataError};
use crate::hash::Sha1;
use crate::torrent::infohash::Infohash;

/// At the end a block is asked of several peers, so that nobody waits for slow ones.
const MAX_ASKED: u8 = 3;

/// So many of the longest dictionaries may be held at a time.
const HELD: usize = 2;

/// What became of a block.
#[derive(Debug, PartialEq, Eq)]
pub enum Brought {
    /// Nobody waited for it.
    Nothing,
    /// More are to come.
    Block,
    /// The `info` dictionary: its SHA-1 is the infohash.
    Whole(Vec<u8>),
    /// All blocks were there, and are not the torrent's: these peers lie, and have left. None, where it is not known who
    /// of several does; then each is asked for the whole.
    Wrong(Vec<u32>),
}

/// All that is fetched of one torrent's `info`, by length, and by peer where several disagreed.
#[derive(Debug)]
pub struct Blocks {
    infohash: Infohash,
    max_bytes: usize,
    dictionaries: Vec<Dictionary>,
    peers: Vec<MetadataPeer>,
    /// Lengths of which several peers together brought something wrong.
    disputed: Vec<usize>,
    /// All is there: nobody is asked any more.
    done: bool,
}

#[derive(Debug)]
struct Dictionary {
    key: MetadataKey,
    blocks: Vec<MetadataBlock>,
    missing: usize,
}

/// The stated length, and the only peer that may bring it, where it is no common work.
type MetadataKey = (usize, Option<u32>);

#[derive(Clone, Debug, Default)]
struct MetadataBlock {
    /// Empty until it is there.
    data: Vec<u8>,
    from: u32,
    asked: u8,
}

#[derive(Debug)]
struct MetadataPeer {
    id: u32,
    bytes: usize,
    /// The block, and of which dictionary: it may have gone since.
    asked: Option<(u32, MetadataKey)>,
}

impl Blocks {
    /// `max_bytes`: no peer joins that states more.
    pub fn new(infohash: Infohash, max_bytes: usize) -> Blocks {
        let (dictionaries, peers) = (Vec::new(), Vec::new());
        Blocks { infohash, max_bytes, dictionaries, peers, disputed: Vec::new(), done: false }
    }

    /// A peer is ready to give a dictionary of so many bytes. One that was here before, under the same id, begins anew.
    pub fn join(&mut self, id: u32, bytes: usize) {
        self.leave(id);
        if (1..=self.max_bytes).contains(&bytes) {
            self.peers.push(MetadataPeer { id, bytes, asked: None });
        }
    }

    /// A peer is gone. What it brought of a common work stays.
    pub fn leave(&mut self, id: u32) {
        let asked = self.peers.iter().find(|peer| peer.id == id).and_then(|peer| peer.asked);
        asked.and_then(|(number, _)| self.take_request(id, number));
        self.peers.retain(|peer| peer.id != id);
        self.dictionaries.retain(|dictionary| dictionary.key.1 != Some(id));
    }

    /// Whether the dictionary is there.
    pub fn is_done(&self) -> bool {
        self.done
    }

    /// Whether the peer takes part: a liar does not any more.
    pub fn has(&self, id: u32) -> bool {
        self.peers.iter().any(|peer| peer.id == id)
    }

    /// The block to ask this peer for now; it counts as asked for from now on. None, where it has not answered yet, others
    /// have been asked for all that is missing, or there is no room: later there may be.
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

    /// Whether the peer is to answer a request: one, too, whose answer is of no use any more.
    pub fn awaits(&self, id: u32) -> bool {
        self.peers.iter().any(|peer| peer.id == id && peer.asked.is_some())
    }

    /// A peer sent a block.
    ///
    /// # Errors
    /// [`MetadataError::OddBlock`]: the peer contradicts the length that it stated.
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

    /// A peer does not give a block; whether it was asked for it.
    pub fn rejected(&mut self, id: u32, number: u32) -> bool {
        self.take_request(id, number).is_some()
    }

    fn key_of(&self, id: u32) -> Option<MetadataKey> {
        let peer = self.peers.iter().find(|peer| peer.id == id)?;
        Some((peer.bytes, self.disputed.contains(&peer.bytes).then_some(id)))
    }

    /// What is held, or will be.
    pub(super) fn held_bytes(&self) -> usize {
        self.dictionaries.iter().map(|dictionary| dictionary.key.0).sum()
    }

    /// Begins the dictionary, where it is not begun; false where there is no room for it.
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

    /// The request that the peer answers: it is not open any more. Gives for which dictionary it was.
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

/// The length that a block must have; 0 where there is none of this number.
fn length_of(bytes: usize, number: u32) -> usize {
    let begin = (number as usize).saturating_mul(METADATA_PIECE_BYTES);
    bytes.saturating_sub(begin).min(METADATA_PIECE_BYTES)
}
