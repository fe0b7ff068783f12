//! Entry points into the engine for `benches/` (feature `bench`); not part of the API.
//!
//! Layer 4. Each function performs one step of a build, and returns a number that depends on the
//! whole result, so that the compiler cannot optimize the work away.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use crate::error::Error;
use crate::hash::Sha1;
use crate::picker::{Next, Schedule, SourceId};
use crate::plan::{Layout, Selection};
use crate::storage::{Directory, DiskWork, LocalCopy, Partial, Sha256, Store, Target};
use crate::torrent::geometry::Geometry;
use crate::torrent::metainfo::Metainfo;
use crate::torrent::pieces::PieceSet;

pub fn sha1(bytes: &[u8]) -> [u8; 20] {
    Sha1::digest(bytes)
}

pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut sha256 = Sha256::new();
    sha256.update(bytes);
    sha256.finish()
}

/// Scans a `.torrent` and hashes its `info`, as an up-to-date build with a vendored torrent does.
pub fn infohash(torrent: &[u8]) -> Result<u8, Error> {
    Metainfo::infohash_of(torrent).map(|infohash| infohash.as_bytes()[0])
}

pub fn parse(torrent: &[u8]) -> Result<usize, Error> {
    Metainfo::parse(torrent).map(|metainfo| metainfo.files.len())
}

/// Computes selection and layout for all files.
pub fn plan(torrent: &[u8]) -> Result<u64, Error> {
    let metainfo = Metainfo::parse(torrent)?;
    let selection = Selection::of(&metainfo, &[], &[])?;
    Ok(Layout::new(&metainfo, &selection).needed_bytes())
}

/// The sources of a simulated download with [`crate::picker`].
#[derive(Clone, Copy, Debug)]
pub struct Crowd {
    /// Web seed connections.
    pub web_seeds: u32,
    /// Peers that have all pieces.
    pub seeds: u32,
    /// Peers that have each piece with probability 1/2.
    pub leechers: u32,
}

/// Simulates a download of 1 MiB pieces until all are verified: the sources take turns. At least
/// one source must have all pieces. Returns the number of requests to the picker.
pub fn schedule(pieces: u32, crowd: Crowd) -> u32 {
    const PIECE_BYTES: u32 = 1 << 20;
    let geometry = Geometry::new(u64::from(pieces) * u64::from(PIECE_BYTES), PIECE_BYTES);
    let Some(geometry) = geometry else { return 0 };
    let mut schedule = Schedule::new(geometry, PieceSet::all(pieces), 7);
    let Crowd { web_seeds, seeds, leechers } = crowd;
    let mut random = fastrand::Rng::with_seed(7);
    let mut workers = Vec::new();
    for id in 0..web_seeds + seeds + leechers {
        let source = SourceId(id);
        if id < web_seeds {
            schedule.add_streaming(source);
        } else {
            schedule.add_peer(source);
            let mut bitfield = vec![u8::MAX; pieces.div_ceil(8) as usize];
            if id >= web_seeds + seeds {
                random.fill(&mut bitfield);
            }
            schedule.peer_has(source, PieceSet::from_bitfield(&bitfield, pieces));
        }
        workers.push((schedule.begin(source, Duration::ZERO), 0..0_u32, id < web_seeds));
    }
    let (mut questions, mut now) = (0, Duration::ZERO);
    while !schedule.is_done() {
        now += Duration::from_millis(1);
        for (worker, run, streams) in &mut workers {
            if run.start >= run.end {
                questions += 1;
                let next = if *streams {
                    schedule.next_run(*worker, now)
                } else {
                    schedule.next_piece(*worker, now)
                };
                let Next::Fetch(next) = next else { continue };
                *run = next;
            }
            let piece = run.start;
            schedule.received(*worker, PIECE_BYTES.into(), now);
            schedule.verified(piece);
            *run = if *streams { schedule.passed(*worker, piece) } else { 0..0 };
        }
    }
    questions
}

/// The sources of a download while all of them wait for a connection, to measure one turn of the
/// coordinator.
pub use crate::engine::bench::WaitingSources;

/// Creates [`WaitingSources`].
pub fn waiting(
    store: &Path,
    torrent: &[u8],
    web_seeds: u32,
    peers: u32,
) -> Result<WaitingSources, Error> {
    let (partial, schedule) = opened(store, torrent)?;
    WaitingSources::new(partial, schedule, web_seeds, peers)
}

/// Performs all steps between parsing a torrent and the first request to a source, in a store
/// without any of its data. Returns the number of bytes to download.
pub fn open(store: &Path, torrent: &[u8]) -> Result<u64, Error> {
    opened(store, torrent).map(|(_, schedule)| schedule.wanted_bytes())
}

/// Does the same as [`open`], and then publishes these bytes: writes, records, syncs, renames,
/// stamps.
pub fn publish(store: &Path, torrent: &[u8], data: &[u8]) -> Result<(), Error> {
    let (partial, schedule) = opened(store, torrent)?;
    let geometry = partial.layout().geometry();
    for piece in (0..geometry.piece_count()).filter(|piece| schedule.is_wanted(*piece)) {
        let range = geometry.range(piece);
        let bytes = data.get(range.start as usize..range.end as usize).unwrap_or_default();
        partial.write(range.start, bytes)?;
        partial.verified(piece)?;
    }
    partial.publish(&BTreeMap::new())
}

fn opened(store: &Path, torrent: &[u8]) -> Result<(Partial, Schedule), Error> {
    let metainfo = Arc::new(Metainfo::parse(torrent)?);
    let selection = Selection::of(&metainfo, &[], &[])?;
    let layout = Arc::new(Layout::new(&metainfo, &selection));
    let (store, hashed) = (Store::at(store), AtomicU64::new(0));
    let target = Target::Store(&store);
    target.create()?;
    let existing = LocalCopy::in_place(
        target,
        selection.id(),
        &metainfo,
        &layout,
        DiskWork::counting(&hashed),
    )?;
    let (partial, here) =
        Partial::open(target, selection.id(), &metainfo, &layout, existing.as_ref(), false)?;
    let mut wanted = layout.needed();
    wanted.remove_all(&here.verified);
    let schedule = Schedule::new(layout.geometry(), wanted, 7);
    Ok((partial, schedule))
}

/// Looks a complete dataset up as a build does: reads the stamp, and stats each file.
pub fn present(store: &Path, torrent: &[u8]) -> Result<bool, Error> {
    let id = Metainfo::infohash_of(torrent)?.to_string();
    Ok(Store::at(store).present(&id).is_some())
}

/// Hashes a directory in the torrent's own layout. Returns the number of bytes, or 0 if the data is
/// incomplete.
pub fn recheck(directory: &Path, torrent: &[u8]) -> Result<u64, Error> {
    let metainfo = Arc::new(Metainfo::parse(torrent)?);
    let selection = Selection::of(&metainfo, &[], &[])?;
    let layout = Arc::new(Layout::new(&metainfo, &selection));
    let hashed = AtomicU64::new(0);
    let directory = Directory::new(directory, false);
    let target = Target::Directory(&directory);
    let found = LocalCopy::in_place(
        target,
        selection.id(),
        &metainfo,
        &layout,
        DiskWork::counting(&hashed),
    )?;
    Ok(found.filter(LocalCopy::is_complete).map_or(0, |_| hashed.into_inner()))
}
