//! A seed and its trackers, where it has many.

use super::seed;
use crate::get::Desk;
use crate::swarm::{Dataset, Tracker, eventually, random_bytes};

/// The threads of this process that announce: of all tests that run at this time; others have a few.
fn announcers() -> usize {
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    let names = threads.filter_map(|it| std::fs::read_to_string(it.ok()?.path().join("comm")).ok());
    names.filter(|name| name.trim_end() == "at-announcer").count()
}

#[test]
fn a_store_of_many_datasets_with_many_trackers_has_few_threads() {
    let trackers: Vec<_> = (0..5).map(|_| Tracker::start(Vec::new())).collect();
    let urls: Vec<_> = trackers.iter().map(Tracker::url).collect();
    let tiers: Vec<_> = urls.iter().map(|url| vec![url.as_str()]).collect();
    let tiers: Vec<_> = tiers.iter().map(Vec::as_slice).collect();
    let desk = Desk::new();
    let mut torrents = Vec::new();
    for n in 0..60_u8 {
        let bytes = random_bytes(n.into(), 1_000);
        let dataset = Dataset::single(&format!("data{n}"), bytes).announce_list(&tiers);
        dataset.write_to(&desk.data());
        let torrent = desk.path(&format!("{n}.torrent"));
        std::fs::write(&torrent, dataset.torrent()).unwrap();
        torrents.push(torrent.to_str().unwrap().to_owned());
    }
    let torrents: Vec<_> = torrents.iter().map(String::as_str).collect();
    let seeding = seed(&torrents, &desk.path("store")).from(desk.data()).start().unwrap();
    let most = std::cell::Cell::new(0);
    let told = || trackers.iter().map(|it| it.announces().len()).sum::<usize>();
    eventually("all were told", || {
        most.set(announcers().max(most.get()));
        told() >= 300
    });
    let most = most.get();
    assert!((1..150).contains(&most), "{most} threads");
    eventually("they end, but for one", || announcers() < 50);
    seeding.stop().unwrap();
}
