//! A seed with few and many trackers.

use std::net::{Ipv4Addr, Ipv6Addr, TcpListener, ToSocketAddrs as _};

use super::{seed, stocked};
#[cfg(target_os = "linux")]
use crate::get::GetFixture;
use crate::get::single;
#[cfg(target_os = "linux")]
use crate::swarm::{Dataset, random_bytes};
use crate::swarm::{Tracker, eventually};

/// The number of this process's announce threads. Other tests that run at the same time add a few.
#[cfg(target_os = "linux")] // /proc lists the threads
fn announcers() -> usize {
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    let names = threads.filter_map(|it| std::fs::read_to_string(it.ok()?.path().join("comm")).ok());
    names.filter(|name| name.trim_end() == "at-announcer").count()
}

#[cfg(target_os = "linux")]
#[test]
fn a_store_of_many_datasets_with_many_trackers_has_few_threads() {
    let trackers: Vec<_> = (0..5).map(|_| Tracker::start(Vec::new())).collect();
    let urls: Vec<_> = trackers.iter().map(Tracker::url).collect();
    let tiers: Vec<_> = urls.iter().map(|url| vec![url.as_str()]).collect();
    let tiers: Vec<_> = tiers.iter().map(Vec::as_slice).collect();
    let fixture = GetFixture::new();
    let mut torrents = Vec::new();
    for n in 0..60_u8 {
        let bytes = random_bytes(n.into(), 1_000);
        let dataset = Dataset::single(&format!("data{n}"), bytes).announce_list(&tiers);
        dataset.write_to(&fixture.data());
        let torrent = fixture.path(&format!("{n}.torrent"));
        std::fs::write(&torrent, dataset.torrent()).unwrap();
        torrents.push(torrent.to_str().unwrap().to_owned());
    }
    let torrents: Vec<_> = torrents.iter().map(String::as_str).collect();
    let seeding = seed(&torrents, &fixture.path("store")).from(fixture.data()).start().unwrap();
    let most = std::cell::Cell::new(0);
    let told = || trackers.iter().map(|it| it.announces().len()).sum::<usize>();
    eventually("all trackers were announced to", || {
        most.set(announcers().max(most.get()));
        told() >= 300
    });
    let most = most.get();
    assert!((1..150).contains(&most), "{most} threads");
    eventually("most announcer threads end", || announcers() < 50);
    seeding.stop().unwrap();
}

/// Announces over both address families, wherever `localhost` resolves to both, are tested in
/// `net`.
#[test]
fn a_tracker_at_localhost_hears_over_each_family_where_the_seed_listens() {
    if !crate::support::has_ipv6() {
        return;
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let over_v4 = Tracker::on(listener, Vec::new());
    let listener = TcpListener::bind((Ipv6Addr::LOCALHOST, port));
    let over_v6 = Tracker::on(listener.unwrap(), Vec::new());
    let places: Vec<_> = ("localhost", port).to_socket_addrs().unwrap().collect();
    let dataset = single().announce(&format!("http://localhost:{port}/announce"));
    let fixture = stocked(&dataset);
    let before = [&over_v4, &over_v6].map(|tracker| tracker.announces().len());
    let seeding = seed(&[], &fixture.path("store")).start().unwrap();
    let own_port = Some(seeding.local_addr().port().into());
    let told = || -> Vec<_> {
        let each = [&over_v4, &over_v6].into_iter().zip(before);
        each.map(|(tracker, before)| tracker.announces().split_off(before)).collect()
    };
    let is_there = [places.iter().any(|it| it.is_ipv4()), places.iter().any(|it| it.is_ipv6())];
    let expected = is_there.map(usize::from);
    eventually("each tracker is announced to", || told().iter().map(Vec::len).eq(expected));
    seeding.stop().unwrap();
    for (told, is_there) in told().into_iter().zip(is_there) {
        let events: Vec<_> = told.iter().filter_map(|it| it.event.as_deref()).collect();
        assert_eq!(events, [&["started", "stopped"][..], &[]][usize::from(!is_there)]);
        assert!(told.iter().all(|it| it.port == own_port && it.peer_id == told[0].peer_id));
    }
}
