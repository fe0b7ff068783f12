//! Tracker reports of a seed, as the API exposes them.

use std::cell::RefCell;

use academictorrents::SeedNote;

use super::{seed, stocked};
use crate::get::single;
use crate::swarm::{Tracker, eventually};

#[test]
fn trackers_that_answer_fail_and_cannot_be_spoken_to_are_told_apart_and_move_no_cursor() {
    let good = Tracker::start(Vec::new());
    let tiers: [&[&str]; 4] = [
        &[&good.url()],
        &["wss://tracker.example/announce"],
        &["carrier-pigeon:\x1b[2J\nhere"],
        &["http://127.0.0.1:9/\u{202e}announce"],
    ];
    let dataset = single().announce_list(&tiers);
    let fixture = stocked(&dataset);
    let seeding = seed(&[], &fixture.path("store")).start().unwrap();
    let heard = RefCell::new(Vec::<SeedNote>::new());
    eventually("all four trackers were reported", || {
        let datasets = seeding.datasets();
        heard.borrow_mut().extend(datasets.into_iter().flat_map(|it| it.notes));
        heard.borrow().len() >= 4
    });
    let mut heard = heard.into_inner();
    heard.sort_by(|a, b| a.from.cmp(&b.from));
    let heard: Vec<_> =
        heard.iter().map(|it| (it.from.as_str(), it.said.as_str(), it.is_failure)).collect();
    let not_spoken = "only http, https and udp trackers are supported";
    let good = good.url();
    let mut expected = vec![
        (good.as_str(), "knows no peers", false),
        ("wss://tracker.example/announce", not_spoken, true),
        ("carrier-pigeon:\\u{1b}[2J\\nhere", not_spoken, true),
        ("http://127.0.0.1:9/%E2%80%AEannounce", "connection refused", true),
    ];
    expected.sort_unstable();
    assert_eq!(heard, expected);
}
