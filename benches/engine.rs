//! Benchmarks of the steps of a build. `benches/README.md` describes how to run them and how to
//! read the results.

#![allow(clippy::unwrap_used, reason = "a benchmark that cannot run should say so")]

use academictorrents::bench;
use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};

fn main() {
    divan::main();
}

const MIB: usize = 1 << 20;

fn bytes(length: usize) -> Vec<u8> {
    (0..length as u64).map(|at| (at.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8).collect()
}

/// On one thread: a block, the input buffer of a connection, and a piece of 4 MiB.
#[divan::bench(args = [16 << 10, 256 << 10, 4 * MIB])]
fn sha1(bencher: Bencher<'_, '_>, length: usize) {
    let bytes = bytes(length);
    bencher.counter(BytesCount::new(length)).bench(|| bench::sha1(black_box(&bytes)));
}

#[divan::bench(args = [4 * MIB])]
fn sha256(bencher: Bencher<'_, '_>, length: usize) {
    let bytes = bytes(length);
    bencher.counter(BytesCount::new(length)).bench(|| bench::sha256(black_box(&bytes)));
}

/// A torrent of `files` files of 100 bytes, a hundred per folder.
fn many_files(files: usize) -> Vec<u8> {
    let mut info = b"d5:filesl".to_vec();
    for file in 0..files {
        let (folder, name) = (format!("folder{:04}", file / 100), format!("file{file:08}.png"));
        let (a, b) = (folder.len(), name.len());
        info.extend(format!("d6:lengthi100e4:pathl{a}:{folder}{b}:{name}ee").bytes());
    }
    info.extend(b"e");
    torrent(info, files * 100, 16 << 10)
}

/// A torrent of one file of `pieces` pieces.
fn many_pieces(pieces: usize) -> Vec<u8> {
    let piece_bytes = 16 << 10;
    let length = pieces * piece_bytes;
    torrent(format!("d6:lengthi{length}e").into_bytes(), length, piece_bytes)
}

fn torrent(mut info: Vec<u8>, length: usize, piece_bytes: usize) -> Vec<u8> {
    let hashes = bytes(length.div_ceil(piece_bytes) * 20);
    info.extend(format!("4:name4:data12:piece lengthi{piece_bytes}e6:pieces").bytes());
    info.extend(format!("{}:", hashes.len()).bytes());
    info.extend(hashes);
    [b"d4:info".to_vec(), info, b"ee".to_vec()].concat()
}

const FILES: [usize; 3] = [1_000, 10_000, 100_000];

/// The scan of a vendored torrent in a warm build.
#[divan::bench(args = FILES, sample_count = 20)]
fn scan(bencher: Bencher<'_, '_>, files: usize) {
    let torrent = many_files(files);
    bencher.counter(ItemsCount::new(files)).bench(|| bench::infohash(black_box(&torrent)).unwrap());
}

#[divan::bench(args = FILES, sample_count = 20)]
fn parse(bencher: Bencher<'_, '_>, files: usize) {
    let torrent = many_files(files);
    bencher.counter(ItemsCount::new(files)).bench(|| bench::parse(black_box(&torrent)).unwrap());
}

#[divan::bench(args = [1_000_000], sample_count = 20)]
fn parse_pieces(bencher: Bencher<'_, '_>, pieces: usize) {
    let torrent = many_pieces(pieces);
    bencher.counter(ItemsCount::new(pieces)).bench(|| bench::parse(black_box(&torrent)).unwrap());
}

/// Parse, select files and lay them out on disk.
#[divan::bench(args = FILES, sample_count = 20)]
fn plan(bencher: Bencher<'_, '_>, files: usize) {
    let torrent = many_files(files);
    bencher.counter(ItemsCount::new(files)).bench(|| bench::plan(black_box(&torrent)).unwrap());
}

/// From a torrent to the first request for a source, with nothing on disk.
#[divan::bench(args = FILES, sample_count = 20)]
fn open(bencher: Bencher<'_, '_>, files: usize) {
    let torrent = many_files(files);
    bencher
        .counter(ItemsCount::new(files))
        .with_inputs(|| tempfile::tempdir().unwrap())
        .bench_refs(|store| bench::open(store.path(), black_box(&torrent)).unwrap());
}

#[divan::bench(args = [1_000_000], sample_count = 20)]
fn open_pieces(bencher: Bencher<'_, '_>, pieces: usize) {
    let torrent = many_pieces(pieces);
    bencher
        .counter(ItemsCount::new(pieces))
        .with_inputs(|| tempfile::tempdir().unwrap())
        .bench_refs(|store| bench::open(store.path(), black_box(&torrent)).unwrap());
}

/// Publishes and stamps files, including the system's part: writing, syncing and renaming.
#[divan::bench(args = [1_000], sample_count = 5)]
fn publish(bencher: Bencher<'_, '_>, files: usize) {
    let (torrent, data) = (many_files(files), bytes(files * 100));
    bencher
        .counter(ItemsCount::new(files))
        .with_inputs(|| tempfile::tempdir().unwrap())
        .bench_refs(|store| bench::publish(store.path(), black_box(&torrent), &data).unwrap());
}

/// A build that finds the whole dataset in the store.
#[divan::bench(args = [1_000, 10_000], sample_count = 20)]
fn present(bencher: Bencher<'_, '_>, files: usize) {
    let store = tempfile::tempdir().unwrap();
    let torrent = many_files(files);
    bench::publish(store.path(), &torrent, &bytes(files * 100)).unwrap();
    bencher.counter(ItemsCount::new(files)).bench(|| {
        assert!(bench::present(store.path(), black_box(&torrent)).unwrap());
    });
}

const PIECES: [u32; 3] = [1_000, 100_000, 1_000_000];

fn schedule(bencher: Bencher<'_, '_>, pieces: u32, [web_seeds, seeds, leechers]: [u32; 3]) {
    let crowd = bench::Crowd { web_seeds, seeds, leechers };
    bencher.counter(ItemsCount::new(pieces)).bench(|| bench::schedule(black_box(pieces), crowd));
}

/// Sixteen connections to one web seed.
#[divan::bench(args = PIECES, sample_count = 5)]
fn schedule_web_seed(bencher: Bencher<'_, '_>, pieces: u32) {
    schedule(bencher, pieces, [16, 0, 0]);
}

/// Thirty-two peers that have all pieces.
#[divan::bench(args = PIECES, sample_count = 5)]
fn schedule_seeds(bencher: Bencher<'_, '_>, pieces: u32) {
    schedule(bencher, pieces, [0, 32, 0]);
}

/// Thirty-two peers, all but one of which have half of the pieces.
#[divan::bench(args = PIECES, sample_count = 5)]
fn schedule_leechers(bencher: Bencher<'_, '_>, pieces: u32) {
    schedule(bencher, pieces, [0, 1, 31]);
}

#[divan::bench(args = PIECES, sample_count = 5)]
fn schedule_all(bencher: Bencher<'_, '_>, pieces: u32) {
    schedule(bencher, pieces, [8, 4, 4]);
}

/// A turn of the coordinator while web seeds and peers wait for connections, none of which is
/// available.
fn waiting(bencher: Bencher<'_, '_>, web_seeds: u32, peers: u32) {
    let store = tempfile::tempdir().unwrap();
    let mut waiting = bench::waiting(store.path(), &many_pieces(1_000), web_seeds, peers).unwrap();
    bencher.bench_local(|| black_box(waiting.turn()));
}

#[divan::bench(args = [100, 1_000])]
fn waiting_peers(bencher: Bencher<'_, '_>, peers: u32) {
    waiting(bencher, 0, peers);
}

#[divan::bench(args = [100, 1_000])]
fn waiting_web_seeds(bencher: Bencher<'_, '_>, web_seeds: u32) {
    waiting(bencher, web_seeds, 0);
}

/// Hashes data on disk, which is in the page cache, on all cores.
#[divan::bench(args = [64 * MIB], sample_count = 20)]
fn recheck(bencher: Bencher<'_, '_>, length: usize) {
    let directory = tempfile::tempdir().unwrap();
    let data = bytes(length);
    std::fs::write(directory.path().join("data"), &data).unwrap();
    let hashes: Vec<u8> = data.chunks(MIB).flat_map(bench::sha1).collect();
    let mut torrent = format!("d4:infod6:lengthi{length}e4:name4:data12:piece lengthi{MIB}e");
    torrent += &format!("6:pieces{}:", hashes.len());
    let torrent = [torrent.into_bytes(), hashes, b"ee".to_vec()].concat();
    bencher.counter(BytesCount::new(length)).bench(|| {
        assert_eq!(bench::recheck(directory.path(), &torrent).unwrap(), length as u64);
    });
}
