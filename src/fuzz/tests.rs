//! Runs the targets for a moment, as the tests of academictorrents-core do with theirs.

use super::mutations::check;
use super::{redirect, seeds, stamp, storage};
use crate::storage::Stamp;

#[test]
fn redirects_hold_for_mutations_of_their_seeds() {
    check(redirect, &seeds::of("urls"));
}

#[test]
fn stamps_hold_for_mutations_of_their_seeds() {
    let seeds = [
        b"academictorrents stamp 1\nfile 5 1000000000 a/b%25\nfragment 3 0707070707070707070707070707070707070707\nend\n".to_vec(),
        format!("academictorrents stamp 1\nplace /x\nfile 0 0 a\nsha256 {} a\nend\n", "0f".repeat(32)).into_bytes(),
    ];
    assert!(seeds.iter().all(|stamp| Stamp::parse(&mut &stamp[..]).is_some()));
    check(stamp, &seeds);
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
