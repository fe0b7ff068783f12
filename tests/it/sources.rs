//! Each kind of source alone, and combinations.

use std::net::SocketAddr;

use crate::support::{Project, files_below};
use crate::swarm::bencode::B;
use crate::swarm::tracker::{self, Form};
use crate::swarm::web_seed::Fault;
use crate::swarm::{Catalogue, Dataset, Peer, Tracker, WebSeed, random_bytes};

fn data(length: usize) -> Dataset {
    Dataset::single("data.bin", random_bytes(1, length))
}

fn six_files(length: usize) -> Dataset {
    let name = |index: u64| (format!("dir/{index}.bin"), random_bytes(index, length));
    let files: Vec<_> = (0..6).map(name).collect();
    Dataset::multi("six", files.iter().map(|(name, bytes)| (&name[..], bytes.clone())))
}

/// Nothing listens there.
const DEAD: &str = "http://127.0.0.1:9";

#[test]
fn only_a_directory() {
    let dataset = data(300_000);
    let project = Project::of(&dataset, "mirrors = [\"mirror\"]");
    dataset.write_mirror(&project.path("mirror"));
    dataset.assert_at(&project.path_of("data"));
    assert!(files_below(&project.store().join("v1/partial")).is_empty());
}

#[test]
fn only_a_web_seed() {
    let dataset = data(3_000_000);
    let seed = WebSeed::serving(&dataset);
    let project = Project::of(&dataset, &format!("web-seeds = [\"{}\"]", seed.url()));
    dataset.assert_at(&project.path_of("data"));
    assert_eq!(seed.bytes_served(), 3_000_000);
}

#[test]
fn only_a_peer() {
    let dataset = data(3_000_000);
    let peer = Peer::seeding(&dataset);
    let project = Project::of(&dataset, &format!("peers = [\"{}\"]", peer.addr()));
    dataset.assert_at(&project.path_of("data"));
    assert_eq!(peer.bytes_served(), 3_000_000);
}

#[test]
fn the_catalogue_a_tracker_and_a_peer() {
    let peer_of = data(1_000_000);
    let peer = Peer::seeding(&peer_of);
    let tracker = Tracker::start(vec![peer.addr()]);
    let dataset = data(1_000_000).announce(&tracker.url());
    assert_eq!(dataset.infohash(), peer_of.infohash());
    let catalogue = Catalogue::serving(&[&dataset]);
    let project = Project::new(&format!("data = \"{}\"", dataset.infohash_hex()))
        .env("ACADEMICTORRENTS_CATALOGUE", catalogue.url());
    dataset.assert_at(&project.path_of("data"));
    let events: Vec<_> =
        tracker.announces().iter().map(|announce| announce.event.clone()).collect();
    assert_eq!(events, ["started", "completed", "stopped"].map(|event| Some(event.to_owned())));
}

#[test]
fn two_web_seeds_that_each_lack_half_of_the_files() {
    // Each file ends on a piece boundary: a shared piece would need a seed that has both files.
    let dataset = six_files(4 * 32_768);
    let lacks = |files: [u32; 3]| {
        let lost = files.map(|index| Fault::NotFoundFor(format!("dir/{index}.bin")));
        lost.into_iter().fold(WebSeed::serving(&dataset), WebSeed::with)
    };
    for (first, second) in [([0, 1, 2], [3, 4, 5]), ([0, 2, 4], [1, 3, 5])] {
        let (first, second) = (lacks(first), lacks(second));
        let lines = format!("web-seeds = [\"{}\", \"{}\"]", first.url(), second.url());
        dataset.assert_at(&Project::of(&dataset, &lines).path_of("data"));
        for seed in [first, second] {
            // Replies to requests pipelined after that of a missing file may be discarded, so
            // distinct bytes count.
            assert_eq!(seed.coverage().distinct_bytes(), 12 * 32_768);
        }
    }
}

#[test]
fn a_peer_and_a_web_seed_that_each_have_half_of_the_pieces() {
    let dataset = data(50 * 32_768);
    let peer = Peer::seeding(&dataset).pieces(25..50);
    let seed = WebSeed::serving(&dataset).with(Fault::OnlyPieces(0..25));
    let lines = format!("peers = [\"{}\"]\nweb-seeds = [\"{}\"]", peer.addr(), seed.url());
    dataset.assert_at(&Project::of(&dataset, &lines).path_of("data"));
    assert_eq!((peer.bytes_served(), seed.bytes_served()), (25 * 32_768, 25 * 32_768));
}

#[test]
fn two_peers_that_each_have_half_of_the_pieces_and_say_so_differently() {
    let dataset = data(50 * 32_768);
    let first = Peer::seeding(&dataset).pieces(0..25);
    let second = Peer::seeding(&dataset).pieces(25..50).haves().reqq(None);
    let lines = format!("peers = [\"{}\", \"{}\"]", first.addr(), second.addr());
    dataset.assert_at(&Project::of(&dataset, &lines).path_of("data"));
    assert_eq!(first.bytes_served() + second.bytes_served(), 50 * 32_768);
}

#[test]
fn two_datasets_are_fetched_side_by_side() {
    let first = Dataset::single("first.bin", random_bytes(1, 300_000));
    let second = Dataset::single("second.bin", random_bytes(2, 300_000));
    // Neither download can end before the other has begun.
    let (one, other) = (WebSeed::serving(&first), WebSeed::serving(&second));
    let stall = Fault::Stall { after_bytes: 100_000 };
    one.fault(stall.clone());
    other.fault(stall);
    let first = first.url_list([one.url()]);
    let second = second.url_list([other.url()]);
    let catalogue = Catalogue::serving(&[&first, &second]);
    let lines =
        format!("first = \"{}\"\nsecond = \"{}\"", first.infohash_hex(), second.infohash_hex());
    let project = Project::new(&lines)
        .env("ACADEMICTORRENTS_CATALOGUE", catalogue.url())
        .env("ACADEMICTORRENTS_TIMEOUT", "8s");
    std::thread::scope(|scope| {
        let build = scope.spawn(|| project.run().unwrap_or_else(|error| panic!("{error}")));
        crate::swarm::eventually("both downloads have started and neither has ended", || {
            one.bytes_served() == 100_000 && other.bytes_served() == 100_000
        });
        // Stalled requests stay stalled, and are repeated.
        one.mend();
        other.mend();
        let datasets = build.join().unwrap();
        first.assert_at(datasets.dataset("first").unwrap().path());
        second.assert_at(datasets.dataset("second").unwrap().path());
        assert_eq!(datasets.iter().count(), 2);
    });
}

#[test]
fn a_dataset_that_fails_does_not_stop_another() {
    let (good, bad) = (data(100_000), Dataset::single("bad.bin", "bad"));
    let seed = WebSeed::serving(&good);
    let good = good.url_list([seed.url()]);
    let catalogue = Catalogue::serving(&[&good, &bad]);
    let lines = format!("good = \"{}\"\nbad = \"{}\"", good.infohash_hex(), bad.infohash_hex());
    let project = Project::new(&lines).env("ACADEMICTORRENTS_CATALOGUE", catalogue.url());
    let error = project.error();
    assert!(error.starts_with("dataset `bad`:") && !error.contains("`good`"), "{error}");
    project.declare(&format!("good = \"{}\"", good.infohash_hex()));
    good.assert_at(&project.path_of("good"));
    assert_eq!(seed.bytes_served(), 100_000);
}

#[test]
fn url_list_in_each_form() {
    let seed = WebSeed::serving(&data(100_000));
    let url = seed.url();
    let lists: [Dataset; 5] = [
        data(100_000).url_string(&url),
        data(100_000).url_list([&url]),
        data(100_000).url_list(["", &url, "", &url]),
        data(100_000).url_list([&seed.folder_url()]),
        data(100_000).url_list(["ftp://127.0.0.1/data.bin", "nonsense", &url]),
    ];
    for dataset in lists {
        dataset.assert_at(&Project::of(&dataset, "").path_of("data"));
    }
    assert_eq!(seed.bytes_served(), 500_000);
    let error = Project::of(&data(100_000).url_string(""), "").error();
    assert!(error.contains("no tracker or web seed"), "{error}");
    let folder = six_files(120_000);
    let seed = WebSeed::serving(&folder);
    let without_slash = folder.clone().url_string(seed.url().trim_end_matches('/'));
    folder.assert_at(&Project::of(&without_slash, "").path_of("data"));
}

#[test]
fn several_web_seeds_share_the_work() {
    let dataset = Dataset::single("data.bin", random_bytes(3, 12 << 20)).piece_length(256 << 10);
    let slow = Fault::Slow { bytes_per_second: 3 << 20 };
    let seeds = [0; 3].map(|_| WebSeed::serving(&dataset).with(slow.clone()));
    let urls = seeds.each_ref().map(WebSeed::url).join("\", \"");
    dataset.assert_at(&Project::of(&dataset, &format!("web-seeds = [\"{urls}\"]")).path_of("data"));
    for seed in &seeds {
        assert!(seed.bytes_served() > 0);
    }
    let served: u64 = seeds.iter().map(WebSeed::bytes_served).sum();
    assert!(served <= 20 << 20, "{served}");
}

#[test]
fn trackers_in_each_form() {
    let peer = Peer::seeding(&data(100_000));
    for form in [Form::Dictionaries, Form::HostNames, Form::CompactList] {
        let tracker = Tracker::start(vec![peer.addr()]).form(form);
        let dataset = data(100_000).announce(&tracker.url());
        dataset.assert_at(&Project::of(&dataset, "").path_of("data"));
    }

    let tracker = Tracker::start(vec![peer.addr()]);
    let dead = format!("{DEAD}/announce");
    let (good, dead) = (&tracker.url()[..], &dead[..]);
    for tiers in [&[&[dead][..], &[good]][..], &[&[dead, good]], &[&["", "udp://"], &[good], &[]]] {
        // `announce-list` replaces `announce`.
        let dataset = data(100_000).announce(dead).announce_list(tiers);
        dataset.assert_at(&Project::of(&dataset, "").path_of("data"));
    }
    let one = data(100_000).announce(dead).outer("announce-list", B::bytes(good));
    let several = B::bytes(format!("{dead}\n{good}"));
    let several = data(100_000).outer("announce-list", several);
    let flat = data(100_000).outer("announce-list", B::list([B::bytes(dead), B::bytes(good)]));
    for dataset in [one, several, flat] {
        dataset.assert_at(&Project::of(&dataset, "").path_of("data"));
    }
    let lines = format!("trackers = [\"{dead}\", \"{good}\"]");
    data(100_000).assert_at(&Project::of(&data(100_000), &lines).path_of("data"));
}

#[test]
fn dead_trackers_make_room_for_those_of_the_tiers_behind() {
    let peer = Peer::seeding(&data(100_000));
    let tracker = Tracker::start(vec![peer.addr()]);
    // Dead trackers of each kind, on different hosts, because the number of trackers per host is
    // limited.
    let kinds =
        ["http://127.0.0.N:9/announce", "udp://127.0.0.N:9", "udp://tN.invalid", "wss://tN"];
    let dead = |n: usize| kinds[n % kinds.len()].replace('N', &(n % 200 + 2).to_string());
    let dead: Vec<String> = (0..150).map(dead).collect();
    let tiers: Vec<[&str; 1]> = dead.iter().map(|url| [&url[..]]).collect();
    let mut tiers: Vec<&[&str]> = tiers.iter().map(|tier| &tier[..]).collect();
    let url = tracker.url();
    let last: &[&str] = &[&url];
    tiers.push(last);
    let dataset = data(100_000).announce_list(&tiers);
    dataset.assert_at(&Project::of(&dataset, "").path_of("data"));
}

#[test]
fn a_tracker_that_wants_to_be_asked_without_pause_is_asked_once_a_minute() {
    for interval in [0, -1, 1] {
        let tracker = Tracker::start(Vec::new()).with(tracker::Fault::Interval(interval));
        let dataset = data(100_000).announce(&tracker.url());
        Project::of(&dataset, "").error();
        let events: Vec<_> = tracker.announces().into_iter().map(|it| it.event).collect();
        assert_eq!(events, ["started", "stopped"].map(|event| Some(event.to_owned())));
    }
}

/// An IPv6 loopback address that relays two connections to `to`; `None` without IPv6.
pub fn relay_v6(to: SocketAddr) -> Option<SocketAddr> {
    use std::net::TcpStream;
    let listener = std::net::TcpListener::bind("[::1]:0").ok()?;
    let address = listener.local_addr().ok()?;
    let copy = |(mut from, mut to): (TcpStream, TcpStream)| {
        std::thread::spawn(move || {
            let _ = std::io::copy(&mut from, &mut to); // either side may hang up
            let _ = to.shutdown(std::net::Shutdown::Both);
        })
    };
    std::thread::spawn(move || {
        for near in listener.incoming().take(2).flatten() {
            let far = TcpStream::connect(to).unwrap();
            copy((near.try_clone().unwrap(), far.try_clone().unwrap()));
            copy((far, near));
        }
    });
    Some(address)
}

#[test]
fn a_tracker_names_peers_of_both_families() {
    let peer = Peer::seeding(&data(100_000));
    let nobody: SocketAddr = "[::1]:9".parse().unwrap();
    // With IPv6, the dead address follows the relay. Without, it precedes the IPv4 peer.
    let (relay, second) = match relay_v6(peer.addr()) {
        Some(relay) => (relay, nobody),
        None => (nobody, peer.addr()),
    };
    for form in [Form::Compact, Form::Dictionaries] {
        let tracker = Tracker::start(vec![relay, second]).form(form);
        let dataset = data(100_000).announce(&tracker.url());
        dataset.assert_at(&Project::of(&dataset, "").path_of("data"));
    }
}

#[test]
fn a_peer_that_is_named_by_its_ipv6_address() {
    let peer = Peer::seeding(&data(100_000));
    let Some(relay) = relay_v6(peer.addr()) else {
        let error = Project::of(&data(100_000), "peers = [\"[::1]:9\"]").error();
        return assert!(error.contains("peer [::1]:9: "), "{error}");
    };
    let lines = format!("peers = [\"[::1]:{}\"]", relay.port());
    data(100_000).assert_at(&Project::of(&data(100_000), &lines).path_of("data"));
    assert_eq!(peer.bytes_served(), 100_000);
}

#[test]
fn a_piece_that_lies_in_two_files_comes_from_two_seeds_with_one_each() {
    let files = [
        ("a", random_bytes(1, 50_000)),
        ("b", random_bytes(2, 50_000)),
        ("c", random_bytes(3, 5_000)),
    ];
    let dataset = Dataset::multi("root", files);
    let lacking = |path: &str| WebSeed::serving(&dataset).with(Fault::NotFoundFor(path.into()));
    let (first, second) = (lacking("b"), lacking("a"));
    let seeds = format!("web-seeds = [\"{}\", \"{}\"]", first.url(), second.url());
    dataset.assert_at(&Project::of(&dataset, &seeds).path_of("data"));
}

#[test]
fn a_piece_that_lies_in_two_files_comes_from_two_directories_with_one_each() {
    let dataset =
        Dataset::multi("root", [("a", random_bytes(1, 50_000)), ("b", random_bytes(2, 50_000))]);
    let project = Project::of(&dataset, "mirrors = [\"one\", \"two\"]");
    for (mirror, missing) in [("one", "a"), ("two", "b")] {
        dataset.write_mirror(&project.path(mirror));
        std::fs::remove_file(
            project.path(mirror).join(dataset.infohash_hex()).join("root").join(missing),
        )
        .unwrap();
    }
    dataset.assert_at(&project.path_of("data"));
}

#[test]
fn a_tracker_that_manifest_and_torrent_name_is_announced_to_once() {
    let nobody = Tracker::start(Vec::new());
    let other = Tracker::start(Vec::new());
    let dataset = data(300_000).announce_list(&[&[&nobody.url()], &[&other.url()]]);
    let project = Project::of(&dataset, &format!("trackers = [\"{}\"]", nobody.url()));
    let error = project.error();
    assert!(error.contains("knows no peers"), "{error}");
    let events = nobody.announces().into_iter().filter_map(|announce| announce.event);
    assert_eq!(events.filter(|event| event == "started").count(), 1);
    assert!(!other.announces().is_empty());
}
