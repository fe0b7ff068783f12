//! Seeding with [`academictorrents::Seed`], with our own downloads as leechers.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use academictorrents::{Error, ErrorKind, Seed, Seeding};

use crate::get::{GetFixture, LENGTH, folder, single};
use crate::support::files::{PIECE, flip};
use crate::swarm::web_seed::Fault;
use crate::swarm::{Dataset, Peer, Tracker, UdpTracker, WebSeed, eventually, random_bytes};

mod ends;
mod exchange;
mod notes;
mod trackers;
mod visitors;

/// A seed whose environment has no variable of the real one.
pub fn seed(ids: &[&str], store: &Path) -> Seed {
    Seed::new(ids)
        .env_clear()
        .env("ACADEMICTORRENTS_CATALOGUE", "http://127.0.0.1:9")
        .env("ACADEMICTORRENTS_DHT_BOOTSTRAP", "off")
        .env("ACADEMICTORRENTS_TIMEOUT", "3s")
        .store(store)
}

/// The seed's address for peers on this machine.
pub fn address(seeding: &Seeding) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], seeding.local_addr().port()))
}

/// A store that has the dataset, whose torrent has no trackers.
pub fn stocked(dataset: &Dataset) -> GetFixture {
    let fixture = GetFixture::new();
    let web_seed = WebSeed::serving(dataset);
    let torrent = keep(&fixture, dataset);
    fixture.ask(&torrent).web_seed(web_seed.url()).run().unwrap();
    fixture
}

/// Writes the .torrent and returns its path.
pub fn keep(fixture: &GetFixture, dataset: &Dataset) -> String {
    let torrent = fixture.path("data.torrent");
    std::fs::write(&torrent, dataset.torrent()).unwrap();
    torrent.to_str().unwrap().to_owned()
}

/// Downloads the dataset from this peer alone, into an empty store.
pub fn take(dataset: &Dataset, peer: SocketAddr) -> Result<(), Error> {
    let fixture = GetFixture::new();
    let torrent = keep(&fixture, dataset);
    let path = fixture.ask(&torrent).peer(peer.to_string()).run()?;
    dataset.assert_at(&path);
    Ok(())
}

#[test]
fn what_the_store_has_is_served_over_ipv4_and_ipv6() {
    for dataset in [single(), folder(), single().private()] {
        let fixture = stocked(&dataset);
        let seeding = seed(&[&dataset.infohash_hex()], &fixture.path("store")).start().unwrap();
        take(&dataset, address(&seeding)).unwrap();
        let length = dataset.stream().len() as u64;
        let mut expected = length;
        if seeding.local_addr().is_ipv6() && crate::support::has_ipv6() {
            let over_ipv6 =
                SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], seeding.local_addr().port()));
            take(&dataset, over_ipv6).unwrap();
            expected += length;
        }
        assert_eq!(seeding.stop().unwrap(), expected);
    }
}

#[test]
fn without_ids_all_of_the_store_is_served_also_what_comes_later() {
    let (first, second) = (single(), folder());
    let fixture = stocked(&first);
    let seeding = seed(&[], &fixture.path("store")).start().unwrap();
    take(&first, address(&seeding)).unwrap();
    let web_seed = WebSeed::serving(&second);
    let torrent = keep(&fixture, &second);
    fixture.ask(&torrent).web_seed(web_seed.url()).run().unwrap();
    // The seed scans the store once per second.
    eventually("the second dataset is served", || take(&second, address(&seeding)).is_ok());
}

#[test]
fn of_a_selection_the_pieces_in_its_files_are_served() {
    let dataset = folder();
    let fixture = GetFixture::new();
    let torrent = keep(&fixture, &dataset);
    let web_seed = WebSeed::serving(&dataset);
    fixture.ask(&torrent).web_seed(web_seed.url()).files(["a", "d/b"]).run().unwrap();
    let seeding = seed(&[&torrent], &fixture.path("store")).start().unwrap();
    let other = GetFixture::new();
    let torrent = keep(&other, &dataset);
    let peer = address(&seeding).to_string();
    let path = other.ask(&torrent).peer(&peer).files(["a"]).run().unwrap();
    assert_eq!(std::fs::read(path.join("a")).unwrap(), dataset.files()[0].1);
    // The two files span seven pieces. The last also belongs to the third file, whose other pieces
    // are missing.
    let error = other.ask(&torrent).peer(&peer).files(["d/c"]).run().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network, "{error}");
}

#[test]
fn a_directory_of_the_users_is_served_as_far_as_it_is_right() {
    let dataset = single();
    let fixture = GetFixture::new();
    dataset.write_to(&fixture.data());
    let torrent = keep(&fixture, &dataset);
    let from = || seed(&[&torrent], &fixture.path("store")).from(fixture.data()).start().unwrap();
    take(&dataset, address(&from())).unwrap();
    flip(&fixture.data().join("data.bin"), 5 * PIECE as u64 + 1);
    let seeding = from();
    let error = take(&dataset, address(&seeding)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network, "{error}");
    assert_eq!(seeding.stop().unwrap(), LENGTH - PIECE as u64);
    // Seeding from a user's directory writes nothing, not even a store.
    assert!(!fixture.path("store").exists());
}

#[test]
fn a_file_of_the_users_that_changes_is_served_no_more_which_is_said_once() {
    let dataset = folder();
    let fixture = GetFixture::new();
    dataset.write_to(&fixture.data());
    let torrent = keep(&fixture, &dataset);
    let seeding = seed(&[&torrent], &fixture.path("store")).from(fixture.data()).start().unwrap();
    take(&dataset, address(&seeding)).unwrap();
    let length = dataset.stream().len() as u64;
    assert_eq!(seeding.uploaded(), length);
    // The length stays the same, and the time differs by 2 s, in case the file system stores whole
    // seconds.
    let changed = fixture.data().join("tree/d/c");
    flip(&changed, 5);
    let later = std::time::SystemTime::now() + Duration::from_secs(2);
    std::fs::File::options().append(true).open(&changed).unwrap().set_modified(later).unwrap();
    let error = take(&dataset, address(&seeding)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network, "{error}");
    // Pieces 7 to 10: the file is 3.5 pieces long and shares its last piece with the next file.
    let gone = 4 * PIECE as u64;
    let notes = std::cell::RefCell::new(Vec::new());
    let done_bytes = || {
        let dataset = seeding.datasets().remove(0);
        notes.borrow_mut().extend(dataset.notes.iter().map(|note| format!("{note:?}")));
        dataset.done_bytes
    };
    eventually("removed files no longer count", || done_bytes() == length - gone);
    assert!(seeding.uploaded() <= 2 * length - gone, "{}", seeding.uploaded());
    assert!(take(&dataset, address(&seeding)).is_err());
    done_bytes();
    let notes = notes.into_inner();
    let [note] = &notes[..] else { panic!("{notes:?}") };
    assert!(note.contains("c\", \"") || note.contains("c\", said"), "{note}");
    assert!(note.contains("changed since it was hashed and is no longer served"), "{note}");
}

#[test]
fn a_dataset_that_is_named_twice_is_looked_up_once() {
    let (dataset, other) = (folder(), single());
    let fixture = stocked(&other);
    dataset.write_to(&fixture.data());
    let torrent = keep(&fixture, &dataset);
    let second = fixture.path("second.torrent");
    std::fs::copy(&torrent, &second).unwrap();
    let ids = [&*torrent, second.to_str().unwrap(), &dataset.infohash_hex()];
    let seeding = seed(&ids, &fixture.path("store")).from(fixture.data()).start().unwrap();
    take(&dataset, address(&seeding)).unwrap();
    // If the file were read again, the dataset in the store would be seeded, too.
    std::fs::write(&second, other.torrent()).unwrap();
    let changed = fixture.data().join("tree/d/c");
    flip(&changed, 5);
    let later = std::time::SystemTime::now() + Duration::from_secs(2);
    std::fs::File::options().append(true).open(&changed).unwrap().set_modified(later).unwrap();
    let length = dataset.stream().len() as u64;
    assert!(take(&dataset, address(&seeding)).is_err());
    let has_looked = || seeding.datasets().iter().any(|it| it.done_bytes < length);
    eventually("the seed has noticed the damage", has_looked);
    assert_eq!(seeding.datasets().len(), 1);
}

#[test]
fn the_sources_and_the_selection_of_a_magnet_link_are_used() {
    // The files end with pieces: of a piece that two files share, a selection has only a part.
    let file = |seed| random_bytes(seed, 4 * PIECE);
    let dataset = Dataset::multi("tree", [("a", file(1)), ("b", file(2))]);
    let (peer, tracker) = (Peer::seeding(&dataset), Tracker::start(Vec::new()));
    let link = format!(
        "magnet:?xt=urn:btih:{}&x.pe={}&tr={}&so=0",
        dataset.infohash_hex(),
        peer.addr(),
        tracker.url()
    );
    let fixture = GetFixture::new();
    let error = seed(&[&link], &fixture.path("store")).start().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Metainfo, "{error}");
    let seeding = seed(&[&link], &fixture.path("store")).fetch(true).start().unwrap();
    let length = dataset.files()[0].1.len() as u64;
    let there = || seeding.datasets().iter().map(|it| it.done_bytes).collect::<Vec<_>>();
    eventually("the link's selection is downloaded", || there() == [length]);
    // Unlike the download, a seed asks for no peers.
    let events = || -> Vec<_> {
        let port = Some(seeding.local_addr().port().into());
        let its = tracker.announces().into_iter().filter(move |it| it.port == port);
        its.filter(|it| it.numwant == Some(0)).filter_map(|it| it.event).collect()
    };
    eventually("the seed announces itself", || events() == ["started"]);
    // What the link selects is served.
    let other = GetFixture::new();
    let torrent = keep(&other, &dataset);
    let path = other.ask(&torrent).peer(address(&seeding).to_string()).files(["a"]).run().unwrap();
    assert_eq!(std::fs::read(path.join("a")).unwrap(), dataset.files()[0].1);
    let port = seeding.local_addr().port();
    seeding.stop().unwrap();
    let last = tracker.announces().into_iter().rfind(|it| it.port == Some(port.into()));
    assert_eq!(last.and_then(|it| it.event).as_deref(), Some("stopped"));
}

#[test]
fn what_another_process_is_fetching_is_served_piece_by_piece() {
    let dataset = single();
    let slow = WebSeed::serving(&dataset).with(Fault::Slow { bytes_per_second: 200_000 });
    let fixture = GetFixture::new();
    let torrent = keep(&fixture, &dataset);
    std::thread::scope(|scope| {
        let fetching = scope.spawn(|| fixture.ask(&torrent).web_seed(slow.url()).run());
        // The resume record exists before the first piece.
        let begun = || fixture.path(&format!("store/v1/partial/{}/record", dataset.infohash_hex()));
        eventually("the download has started", || {
            std::fs::metadata(begun()).is_ok_and(|it| it.len() > 150)
        });
        let seeding = seed(&[&torrent], &fixture.path("store")).start().unwrap();
        let (address, wanted) = (address(&seeding), &dataset);
        let taking = scope.spawn(move || take(wanted, address));
        eventually("a part was served", || seeding.uploaded() >= 3 * PIECE as u64);
        assert!(seeding.uploaded() < LENGTH && !fetching.is_finished());
        slow.mend();
        // Pieces served while the files are moved must still be correct.
        taking.join().unwrap().unwrap();
        dataset.assert_at(&fetching.join().unwrap().unwrap());
        assert_eq!(seeding.stop().unwrap(), LENGTH);
    });
    assert_eq!(slow.coverage().distinct_bytes(), LENGTH);
}

#[test]
fn an_empty_store_fetches_and_serves_at_once() {
    let dataset = single();
    let slow = WebSeed::serving(&dataset).with(Fault::Slow { bytes_per_second: 200_000 });
    let fixture = GetFixture::new();
    let torrent = keep(&fixture, &dataset.clone().url_list([slow.url()]));
    let seeding = seed(&[&torrent], &fixture.path("store")).fetch(true).start().unwrap();
    std::thread::scope(|scope| {
        let taking = scope.spawn(|| take(&dataset, address(&seeding)));
        eventually("a part was served", || seeding.uploaded() >= 3 * PIECE as u64);
        assert!(slow.bytes_served() < LENGTH);
        slow.mend();
        taking.join().unwrap().unwrap();
    });
    assert_eq!((seeding.stop().unwrap(), slow.bytes_served()), (LENGTH, LENGTH));
}

#[test]
fn what_cannot_be_fetched_ends_it_with_the_downloads_error() {
    let dataset = single().url_list(["http://127.0.0.1:9/data.bin"]);
    let fixture = GetFixture::new();
    let torrent = keep(&fixture, &dataset);
    let error = seed(&[&torrent], &fixture.path("store")).fetch(true).run().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network);
    assert!(error.to_string().contains("127.0.0.1:9"), "{error}");
}

#[test]
fn trackers_are_told_the_real_port_and_goodbye() {
    let (http, udp) = (Tracker::start(Vec::new()), UdpTracker::start(Vec::new()));
    let dataset = single().announce_list(&[&[&http.url()], &[&udp.url()]]);
    let fixture = stocked(&dataset);
    let before = (http.announces().len(), udp.announces().len());
    let seeding = seed(&[&dataset.infohash_hex()], &fixture.path("store")).start().unwrap();
    let told = || http.announces().len() > before.0 && udp.announces().len() > before.1;
    eventually("both trackers were announced to", told);
    take(&single(), address(&seeding)).unwrap();
    let port = seeding.local_addr().port();
    seeding.stop().unwrap();
    let announces = http.announces().split_off(before.0);
    let events: Vec<_> = announces.iter().map(|it| it.event.as_deref()).collect();
    assert_eq!(events, [Some("started"), Some("stopped")]);
    for announce in &announces {
        assert_eq!(announce.port, Some(port.into()));
        assert_eq!((announce.left, announce.downloaded), (Some(0), Some(0)));
    }
    assert_eq!(announces[1].uploaded, Some(LENGTH));
    let told = udp.announces().split_off(before.1);
    assert!(told.iter().all(|announce| announce.port == Some(port.into())), "{told:?}");
}

#[test]
fn a_seed_that_has_fetched_leaves_no_tracker_before_its_own_end() {
    let tracker = Tracker::start(Vec::new());
    let web_seed = WebSeed::serving(&single());
    let dataset = single().announce(&tracker.url()).url_list([web_seed.url()]);
    let fixture = GetFixture::new();
    let torrent = keep(&fixture, &dataset);
    let seeding = seed(&[&torrent], &fixture.path("store")).fetch(true).start().unwrap();
    let events = || -> Vec<_> { tracker.announces().into_iter().map(|it| it.event).collect() };
    let said = |event: &str| events().iter().flatten().filter(|it| *it == event).count();
    // One `started` of the download and one of the seed.
    eventually("both starts and the completion were announced", || {
        said("started") == 2 && said("completed") == 1
    });
    seeding.stop().unwrap();
    // If `stopped` came after the seed's `started`, the tracker would no longer return the seed.
    assert_eq!(said("stopped"), 1, "{:?}", events());
    assert_eq!(events().pop().flatten().as_deref(), Some("stopped"));
}

#[test]
fn a_seed_that_is_ended_while_it_fetches_says_goodbye_first() {
    let tracker = Tracker::start(Vec::new());
    let slow = WebSeed::serving(&single()).with(Fault::Slow { bytes_per_second: 20_000 });
    let dataset = single().announce(&tracker.url()).url_list([slow.url()]);
    let fixture = GetFixture::new();
    let torrent = keep(&fixture, &dataset);
    let seeding = seed(&[&torrent], &fixture.path("store")).fetch(true).start().unwrap();
    eventually("the download has started", || {
        slow.bytes_served() > 0 && !tracker.announces().is_empty()
    });
    // Time for the tracker's answer to arrive.
    std::thread::sleep(Duration::from_millis(200));
    seeding.stop().unwrap();
    let last = tracker.announces().pop().and_then(|it| it.event);
    assert_eq!(last.as_deref(), Some("stopped"));
}

#[test]
fn it_ends_at_its_ratio_and_after_its_time() {
    let dataset = single();
    let fixture = stocked(&dataset);
    let new = || seed(&[], &fixture.path("store"));
    let seeding = new().ratio(1.5).start().unwrap();
    let address = address(&seeding);
    take(&dataset, address).unwrap();
    assert_eq!(seeding.uploaded(), LENGTH);
    // May succeed, if it gets everything before the seed notices that the ratio is reached.
    let _ = take(&dataset, address);
    let sent = seeding.wait().unwrap();
    assert!((LENGTH * 3 / 2..=2 * LENGTH).contains(&sent), "{sent}");
    assert!(std::net::TcpStream::connect(address).is_err());
    let begun = Instant::now();
    assert_eq!(new().for_time(Duration::from_millis(300)).run().unwrap(), 0);
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(300), "{took:?}");
}

#[test]
fn a_stop_handle_ends_it_while_another_waits() {
    let fixture = stocked(&single());
    let seeding = seed(&[], &fixture.path("store")).start().unwrap();
    take(&single(), address(&seeding)).unwrap();
    let handle = seeding.stop_handle();
    let waiting = std::thread::spawn(|| seeding.wait());
    assert!(!waiting.is_finished());
    let begun = Instant::now();
    handle.clone().stop();
    assert_eq!(waiting.join().unwrap().unwrap(), LENGTH);
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    handle.stop(); // has no effect
}

#[test]
fn no_more_is_sent_than_the_rate_allows() {
    let dataset = single();
    let fixture = stocked(&dataset);
    let rate = 2 << 20;
    let seeding = seed(&[], &fixture.path("store")).rate(rate).start().unwrap();
    let begun = Instant::now();
    take(&dataset, address(&seeding)).unwrap();
    // 3.1 MiB at this rate; the initial burst is a quarter of a second's worth.
    let least = Duration::from_secs_f64(LENGTH as f64 / rate as f64 - 0.35);
    let took = begun.elapsed();
    assert!(took >= least, "{took:?} {least:?}");
}

#[test]
fn what_cannot_be_seeded_is_an_error_that_says_what_to_do() {
    let dataset = single();
    let fixture = GetFixture::new();
    let torrent = keep(&fixture, &dataset);
    let store = fixture.path("store");
    let check = |seed: Seed, kind, parts: &[&str]| {
        let error = seed.start().unwrap_err();
        let text = error.to_string();
        assert_eq!(error.kind(), kind, "{text}");
        assert!(parts.iter().all(|part| text.contains(part)), "{text}");
    };
    let with = |seed: Seed| seed.fetch(true);
    check(seed(&[&torrent], &store), ErrorKind::Metainfo, &["no data of the dataset", "help: "]);
    // The dataset's own directory, in place of the directory that contains it.
    let from = seed(&[&torrent], &store).from(fixture.path("here/data.bin"));
    check(from, ErrorKind::Metainfo, &["data.bin does not exist"]);
    let infohash = dataset.infohash_hex();
    check(seed(&[&infohash], &store), ErrorKind::Metainfo, &[&infohash, "help: download it first"]);
    check(seed(&[], &store), ErrorKind::Metainfo, &["nothing to seed in", "help: "]);
    check(
        with(seed(&[], &store)),
        ErrorKind::Manifest,
        &["no datasets to download were given", "help: "],
    );
    check(seed(&["mnist"], &store), ErrorKind::Manifest, &["`mnist`", "neither an infohash"]);
    let offline = seed(&[&torrent], &store).env("ACADEMICTORRENTS_OFFLINE", "1");
    check(with(offline), ErrorKind::Offline, &["ACADEMICTORRENTS_OFFLINE"]);
    check(with(seed(&[&torrent], &store)).rate(0), ErrorKind::Manifest, &["rate of 0"]);
    for ratio in [0.0, -1.0, f64::NAN] {
        check(with(seed(&[&torrent], &store)).ratio(ratio), ErrorKind::Manifest, &["above 0"]);
    }
    let taken = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let text = format!("port {port}");
    check(with(seed(&[&torrent], &store)).port(port), ErrorKind::Network, &[&text, "help: "]);
}
