//! Runs each target for a moment on its seeds and mutations of them. libFuzzer does the same for
//! longer.

use super::mutations::check;
use super::{TARGETS, seeds, storage};

#[test]
fn every_target_holds_for_its_seeds_and_for_mutations_of_them() {
    for (name, target) in TARGETS {
        let seeds = seeds::of(name);
        assert!(!seeds.is_empty(), "{name} has no seeds");
        check(*target, &seeds);
    }
}

#[test]
fn seeds_reach_what_they_are_for() {
    for torrent in seeds::of("torrent").iter().take(3) {
        crate::torrent::metainfo::Metainfo::parse(torrent).expect("a seed that is a torrent");
    }
    for magnet in seeds::of("magnet") {
        crate::torrent::magnet::Magnet::parse(std::str::from_utf8(&magnet).unwrap()).unwrap();
    }
    for stamp in seeds::of("stamp") {
        assert!(crate::storage::Stamp::parse(&mut &stamp[..]).is_some());
    }
}

#[test]
fn what_the_storage_publishes_is_right_after_any_sequence_of_faults() {
    let directory = tempfile::tempdir().unwrap();
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..60 {
        let steps: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(120).collect();
        storage(directory.path(), &steps);
    }
}

/// `.ci/fuzz` runs this first.
#[test]
#[ignore = "writes into fuzz/corpus"]
fn write_seeds() {
    let corpus = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    for (name, _) in TARGETS {
        super::mutations::write_seeds(&corpus.join(name), &seeds::of(name));
    }
}
