//! Runs each target for a moment on its seeds and mutations of them. libFuzzer does the same for
//! longer.

use super::mutations::check;
use super::{TARGETS, seeds};

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
}

/// `.ci/fuzz` runs this first.
#[test]
#[ignore = "writes into fuzz/corpus"]
fn write_seeds() {
    for (name, _) in TARGETS {
        let corpus =
            std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(name);
        std::fs::create_dir_all(&corpus).unwrap();
        for (number, seed) in seeds::of(name).iter().enumerate() {
            std::fs::write(corpus.join(format!("seed-{number}")), seed).unwrap();
        }
    }
}
