//! Tests of assemblies and batches (bytes in any order, from several sources), and of messages
//! about a failed dataset while others continue.

use std::path::Path;
use std::sync::Arc;

use crate::counters::Counters;
use crate::engine::session::Session;
use crate::engine::sources::assembly::{Added, Assembly};
use crate::engine::sources::batch::{Batch, BlockFeeder, ReceivedBlock};
use crate::engine::sources::swarm::{Fed, Swarm};
use crate::hash::Sha1;
use crate::mutex::Mutex;
use crate::picker::SourceId;
use crate::plan::{Layout, Selection};
use crate::protocol::wire::BLOCK_HEAD_BYTES;
use crate::storage::{Partial, Store, Target};
use crate::torrent::geometry::BLOCK_BYTES;
use crate::torrent::metainfo::Metainfo;
use crate::torrent::pieces::PieceSet;

const A: SourceId = SourceId(0);
const B: SourceId = SourceId(1);
const BLOCK: usize = BLOCK_BYTES as usize;

/// A torrent with one piece of three blocks, the last one short, in a temporary store.
pub(super) struct Fixture {
    pub(super) _directory: tempfile::TempDir,
    pub(super) partial: Partial,
    pub(super) bytes: Vec<u8>,
    assembly: Assembly,
}

pub(super) fn fixture() -> Fixture {
    let bytes: Vec<u8> = (0..2 * BLOCK + 100).map(|index| (index % 251) as u8).collect();
    let (length, sha1) = (bytes.len(), Sha1::digest(&bytes));
    let info = format!("d6:lengthi{length}e4:name1:a12:piece lengthi{length}e6:pieces20:");
    let torrent = [b"d4:info", info.as_bytes(), &sha1, b"ee"].concat();
    let metainfo = Arc::new(Metainfo::parse(&torrent).unwrap());
    let selection = Selection::of(&metainfo, &[], &[]).unwrap();
    let layout = Arc::new(Layout::new(&metainfo, &selection));
    let directory = tempfile::tempdir().unwrap();
    let store = Store::at(directory.path());
    store.create().unwrap();
    let (partial, here) =
        Partial::open(Target::Store(&store), selection.id(), &metainfo, &layout, None, false)
            .unwrap();
    assert!(here.verified.is_empty() && here.unchecked.is_empty());
    Fixture {
        _directory: directory,
        partial,
        assembly: Assembly::new(0, length as u32, sha1, std::iter::empty()),
        bytes,
    }
}

impl Fixture {
    fn add(&mut self, source: SourceId, range: std::ops::Range<usize>) -> Added {
        self.assembly.add(&self.partial, source, range.start as u32, &self.bytes[range]).unwrap()
    }

    fn on_disk(&self) -> bool {
        let mut found = vec![0; self.bytes.len()];
        self.partial.read(0, &mut found).is_ok() && found == self.bytes
    }
}

#[test]
fn bytes_in_order_are_hashed_as_they_come() {
    let mut piece = fixture();
    assert_eq!(piece.add(A, 0..1000), Added::Bytes(1000));
    assert_eq!(piece.assembly.cursor(), 1000);
    assert_eq!(piece.add(A, 500..2000), Added::Bytes(1000));
    assert_eq!(piece.add(A, 0..2000), Added::Nothing);
    assert_eq!(piece.add(A, 2000..2 * BLOCK + 100), Added::Verified);
    assert!(piece.on_disk());
    assert_eq!(piece.add(B, 0..100), Added::Nothing);
}

#[test]
fn blocks_ahead_of_the_cursor_are_read_again_when_it_gets_there() {
    let mut piece = fixture();
    assert_eq!(piece.add(A, 2 * BLOCK..2 * BLOCK + 100), Added::Bytes(100));
    assert_eq!(piece.add(B, BLOCK..2 * BLOCK), Added::Bytes(BLOCK as u64));
    assert_eq!(piece.add(B, BLOCK..2 * BLOCK), Added::Nothing);
    assert_eq!(piece.assembly.cursor(), 0);
    assert_eq!(piece.add(A, 0..BLOCK), Added::Verified);
    assert!(piece.on_disk());
}

#[test]
fn part_of_a_block_ahead_of_the_cursor_does_not_count() {
    let mut piece = fixture();
    assert_eq!(piece.add(A, BLOCK + 1..2 * BLOCK + 50), Added::Nothing);
    assert_eq!(piece.add(A, BLOCK - 1..2 * BLOCK + 50), Added::Bytes(BLOCK as u64));
    assert_eq!(piece.add(A, 0..BLOCK), Added::Bytes(BLOCK as u64));
    assert_eq!(piece.assembly.cursor() as usize, 2 * BLOCK);
}

#[test]
fn a_wrong_piece_names_all_who_contributed_and_begins_anew() {
    let mut piece = fixture();
    piece.bytes[5] ^= 1;
    piece.add(B, BLOCK..2 * BLOCK);
    piece.add(A, 0..BLOCK);
    assert_eq!(piece.add(A, 2 * BLOCK..2 * BLOCK + 100), Added::Failed(vec![B, A]));
    assert_eq!(piece.assembly.cursor(), 0);
    piece.bytes[5] ^= 1;
    piece.assembly.restrict_to(B);
    assert_eq!(piece.add(A, 0..BLOCK), Added::Nothing);
    assert_eq!(piece.add(B, 0..2 * BLOCK + 100), Added::Verified);
    assert!(piece.on_disk());
}

#[test]
fn bytes_beyond_the_piece_are_refused() {
    let mut piece = fixture();
    piece.bytes.extend([0; 10]);
    assert_eq!(piece.add(A, 0..2 * BLOCK + 101), Added::Nothing);
}

#[test]
fn blocks_are_asked_for_once_and_in_the_endgame_again_from_the_back() {
    let mut piece = fixture();
    let block = BLOCK_BYTES;
    let asked: Vec<_> = std::iter::from_fn(|| piece.assembly.next_unasked()).collect();
    assert_eq!(asked, [(0, block), (1, block), (2, 100)]);
    assert_eq!(piece.assembly.next_shared(|index| index == 2), Some((1, block)));
    assert_eq!(piece.assembly.next_shared(|index| index != 0), Some((0, block)));
    // The first two sources may be silent.
    assert_eq!(piece.assembly.next_shared(|index| index != 0), Some((0, block)));
    assert_eq!(piece.assembly.next_shared(|_| true), None);
    (0..3).for_each(|_| piece.assembly.unask(0));
    assert_eq!(piece.assembly.next_unasked(), Some((0, block)));
    assert_eq!(piece.assembly.next_unasked(), None);
}

#[test]
fn a_block_that_came_is_not_asked_for_again_and_one_that_was_lost_is() {
    let mut piece = fixture();
    while piece.assembly.next_unasked().is_some() {}
    piece.add(A, 0..BLOCK);
    piece.assembly.unask(0);
    piece.add(A, 2 * BLOCK..2 * BLOCK + 100);
    piece.assembly.unask(2);
    assert_eq!(piece.assembly.next_unasked(), None);
    piece.assembly.unask(1);
    assert_eq!(piece.assembly.next_unasked(), Some((1, BLOCK_BYTES)));
}

fn swarm_of(partial: Partial) -> Swarm {
    swarm_with_timeout(partial, std::time::Duration::from_secs(120))
}

pub(super) fn swarm_with_timeout(partial: Partial, timeout: std::time::Duration) -> Swarm {
    let mut settings = crate::settings::Context::default().settings().unwrap();
    settings.timeout = timeout;
    let client = crate::net::Client::new(&settings).unwrap();
    let schedule = crate::picker::Schedule::new(partial.metainfo().geometry, PieceSet::all(1), 1);
    let (events, _) = std::sync::mpsc::channel();
    let counters = crate::counters::Counters::default().add("a");
    let rate_limiter =
        crate::engine::upload::manager::RateLimiter::new(settings.upload_bytes_per_second);
    let uploads =
        crate::engine::upload::manager::UploadManager::new(rate_limiter, PieceSet::none(1), 4);
    let host = crate::engine::local_peer::LocalPeer::not_listening();
    Swarm::new(partial, client, counters, schedule, uploads, host, events)
}

/// One read from a peer: the given blocks of the piece, in this order, each behind its message
/// head.
fn batch(piece: &[u8], assembly: &Arc<Mutex<Assembly>>, blocks: &[usize]) -> Batch {
    let mut batch = Batch::new(Vec::new(), Vec::new());
    for block in blocks {
        let begin = block * BLOCK;
        let bytes = &piece[begin..piece.len().min(begin + BLOCK)];
        batch.buffer.extend([0xee; BLOCK_HEAD_BYTES]);
        batch.buffer.extend(bytes);
        let end = batch.buffer.len();
        batch.blocks.push(ReceivedBlock {
            piece: 0,
            begin: begin as u32,
            assembly: Arc::clone(assembly),
            data: end - bytes.len()..end,
        });
    }
    batch
}

#[test]
fn a_batch_is_fed_in_order_whatever_order_its_blocks_came_in() {
    for blocks in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let Fixture { _directory, partial, bytes, .. } = fixture();
        let swarm = Arc::new(swarm_of(partial));
        swarm.schedule().add_peer(A);
        let worker = swarm.schedule().begin(A, swarm.now());
        let assembly = swarm.assembly(A, 0).unwrap();
        let mut feeder = BlockFeeder::new(&swarm, A, worker).unwrap();
        assert!(feeder.collect().unwrap().is_none());
        feeder.feed(batch(&bytes, &assembly, &blocks));
        let fed = feeder.collect().unwrap().unwrap();
        assert_eq!((fed.fed, fed.blocks.len()), (Fed::Onward, 0), "{blocks:?}");
        assert!(swarm.schedule().is_done());
        let mut found = vec![0; bytes.len()];
        swarm.partial.read(0, &mut found).unwrap();
        assert!(found == bytes, "{blocks:?}");
    }
}

#[test]
fn what_a_batch_did_not_bring_may_be_asked_for_again() {
    let Fixture { _directory, partial, bytes, .. } = fixture();
    let swarm = swarm_of(partial);
    swarm.schedule().add_peer(A);
    let worker = swarm.schedule().begin(A, swarm.now());
    let assembly = swarm.assembly(A, 0).unwrap();
    let next = || assembly.lock().next_unasked().map(|(block, _)| block);
    assert_eq!([next(), next(), next(), next()], [Some(0), Some(1), Some(2), None]);
    drop(batch(&bytes, &assembly, &[1]));
    assert_eq!([next(), next()], [Some(1), None]);
    batch(&bytes, &assembly, &[0, 1]).feed(&swarm, A, worker);
    assert_eq!(next(), None);
    // Another source sends the last block, corrupt: all bytes of the piece are discarded.
    assert_eq!(swarm.feed(B, worker, 0, &assembly, 2 * BLOCK as u32, &[7; 100]), Fed::Wrong);
    assert_eq!([next(), next(), next()], [Some(0), Some(1), None]);
}

/// Two workers have the same piece, as in the endgame. One finishes it while the other, which sends
/// corrupt data, tries to write to it.
#[test]
fn a_verified_piece_is_never_written_again() {
    for _ in 0..300 {
        let Fixture { _directory, partial, bytes, .. } = fixture();
        let swarm = swarm_of(partial);
        let [a, b] = [A, B].map(|source| {
            swarm.schedule().add_streaming(source);
            swarm.schedule().begin(source, swarm.now())
        });
        let (most, last) = bytes.split_at(bytes.len() - 1);
        let mine = swarm.assembly(A, 0).unwrap();
        swarm.feed(A, a, 0, &mine, 0, most);
        let barrier = std::sync::Barrier::new(5);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                barrier.wait();
                swarm.feed(A, a, 0, &mine, most.len() as u32, last);
            });
            for _ in 0..4 {
                scope.spawn(|| {
                    barrier.wait();
                    while let Some(assembly) = swarm.assembly(B, 0) {
                        swarm.feed(B, b, 0, &assembly, 0, &[0xee; 1000]);
                    }
                });
            }
        });
        let mut found = vec![0; bytes.len()];
        swarm.partial.read(0, &mut found).unwrap();
        assert!(found == bytes, "verified, and overwritten with bytes that are not");
    }
}

#[test]
fn a_piece_that_was_left_is_served_once_it_was_hashed_and_shown_as_checking_until_then() {
    use crate::counters::Phase;
    let Fixture { _directory, partial, .. } = fixture();
    let count = partial.metainfo().geometry;
    let bytes = u64::from(count.len(0));
    let swarm = swarm_of(partial);
    let schedule = crate::picker::Schedule::new(count, PieceSet::none(1), 1);
    *swarm.schedule() = schedule.with_unchecked(PieceSet::all(1));
    swarm.counters.total_bytes.store(bytes, std::sync::atomic::Ordering::Relaxed);
    let done = || swarm.counters.done_bytes.load(std::sync::atomic::Ordering::Relaxed);
    let phase = || swarm.count(&swarm.schedule());
    assert_eq!((phase(), done()), (Phase::Checking, 0));
    assert!(!swarm.uploads.has(0) && swarm.assembly(A, 0).is_none());
    swarm.checked(0, false);
    assert!(!swarm.uploads.has(0) && !swarm.schedule().is_done());
    swarm.fetch_damaged(&[0]);
    assert_eq!((phase(), done()), (Phase::Fetching, 0));
    assert!(!swarm.uploads.has(0) && swarm.assembly(A, 0).is_some());
    let schedule = crate::picker::Schedule::new(count, PieceSet::none(1), 1);
    *swarm.schedule() = schedule.with_unchecked(PieceSet::all(1));
    swarm.checked(0, true);
    assert!(swarm.uploads.has(0) && swarm.is_over());
    assert_eq!(done(), bytes);
}

#[test]
fn a_dataset_that_failed_says_so_while_others_go_on() {
    let directory = tempfile::tempdir().unwrap();
    let mut context = crate::settings::Context::default();
    context.set("ACADEMICTORRENTS_OFFLINE", "1");
    let settings = context.settings().unwrap();
    let store = Store::at(directory.path());
    let check = |names: &[&str], messages: usize| {
        let datasets: String =
            names.iter().map(|name| format!("{name} = \"{}\"\n", "ab".repeat(20))).collect();
        let text = format!(
            "[package]\nname = \"a\"\nversion = \"0.0.0\"\n\
             [package.metadata.academictorrents]\n{datasets}"
        );
        let manifest =
            crate::manifest::Manifest::parse(&text, &directory.path().join("Cargo.toml")).unwrap();
        let requests: Vec<_> = manifest.requests.iter().collect();
        let counters = crate::counters::Counters::default();
        let session = crate::engine::session::Session::new(&settings, &store, &counters);
        let results = crate::engine::job::provide::provide_all(session, &requests, || ());
        assert!(results.iter().all(Result::is_err), "{results:?}");
        let said = counters.take_messages();
        assert_eq!(said.len(), messages, "{said:?}");
        for message in said {
            assert!(message.text.contains(": failed: "), "{message:?}");
            assert!(message.text.ends_with("; the other downloads continue"), "{message:?}");
        }
    };
    check(&["one"], 0);
    check(&["one", "two", "three"], 2);
}

#[test]
#[cfg(feature = "dht")]
fn who_has_enough_peers_searches_the_dht_only_where_it_is_to_be_told_of() {
    use crate::engine::announce::dht::{ENOUGH, INTERVAL, TELL_INTERVAL};
    use crate::engine::announce::target::AnnounceTarget as _;
    let Fixture { _directory, partial, .. } = fixture();
    let mut swarm = swarm_of(partial);
    assert_eq!(swarm.dht_interval(), Some(INTERVAL));
    swarm.counters.peers.store(ENOUGH, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(swarm.dht_interval(), None);
    swarm.host = crate::engine::local_peer::LocalPeer::at(6881);
    assert_eq!(swarm.dht_interval(), Some(TELL_INTERVAL));
}

#[test]
fn of_dependencies_nothing_is_uploaded_unless_the_user_set_it() {
    let is_on = |upload: Option<u64>| {
        let mut settings = crate::settings::Context::default().settings().unwrap();
        settings.upload_is_chosen = upload.is_some();
        settings.upload_bytes_per_second = upload.unwrap_or(settings.upload_bytes_per_second);
        let (store, counters) = (Store::at(Path::new("/nowhere")), Counters::default());
        let mut session = Session::new(&settings, &store, &counters);
        let own = session.network.rate_limiter.is_some();
        session.for_dependency();
        (own, session.network.rate_limiter.is_some())
    };
    assert_eq!(is_on(None), (true, false));
    assert_eq!(is_on(Some(1 << 20)), (true, true));
    assert_eq!(is_on(Some(0)), (false, false));
}
