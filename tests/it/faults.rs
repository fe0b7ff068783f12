//! All faults of the swarm, for each kind of source.
//!
//! Next to a good source, a faulty source does not prevent the download. Alone, either the download
//! succeeds or the build fails in time, with an error that names the source and its fault. Corrupt
//! data is never published.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use crate::support::{Project, side_by_side};
use crate::swarm::{Catalogue, Dataset, Peer, Tracker, WebSeed, eventually, random_bytes};
use crate::swarm::{catalogue, peer, tracker, web_seed};

/// `Project`'s timeout, plus what a busy machine or Wine may need.
const IN_TIME: Duration = Duration::from_secs(45);

/// The expected outcome of a build with only the faulty source.
#[derive(Clone, Copy, Debug)]
pub enum Alone {
    Comes,
    /// The build fails, and the error says this about the source.
    Fails(&'static str),
    /// Depends on timing.
    Either(&'static str),
}
use Alone::{Comes, Either, Fails};

/// Ten pieces, the last one shorter. Created once, because hashing dominates the cost.
pub fn dataset() -> Dataset {
    static MADE: LazyLock<Dataset> = LazyLock::new(|| {
        let dataset = Dataset::single("data.bin", random_bytes(7, 300_000));
        dataset.stream();
        dataset
    });
    MADE.clone()
}

#[track_caller]
pub fn check_comes(case: &str, dataset: &Dataset, project: &Project) {
    let begun = Instant::now();
    let datasets = project.run().unwrap_or_else(|error| panic!("{case}: {error}"));
    dataset.assert_at(datasets.dataset("data").unwrap().path());
    assert!(begun.elapsed() < IN_TIME, "{case}: took {:?}", begun.elapsed());
}

#[track_caller]
pub fn check_alone(case: &str, dataset: &Dataset, project: &Project, source: &str, alone: Alone) {
    let begun = Instant::now();
    let result = project.run();
    assert!(begun.elapsed() < IN_TIME, "{case}: took {:?}", begun.elapsed());
    let (error, said) = match (result, alone) {
        (Ok(_), Comes | Either(_)) => return check_comes(case, dataset, project),
        (Ok(_), Fails(_)) => panic!("{case}: unexpected success"),
        (Err(error), Comes) => panic!("{case}: {error}"),
        (Err(error), Fails(said) | Either(said)) => (error.to_string(), said),
    };
    let line = error.lines().find(|line| line.contains(source));
    let line = line.unwrap_or_else(|| panic!("{case}: {source} is not named: {error}"));
    assert!(line.contains(said), "{case}: {line}");
    project.assert_nothing_published();
}

fn web_seed_faults() -> Vec<(Vec<web_seed::Fault>, Alone)> {
    use web_seed::Fault::*;
    let one = |fault, alone| (vec![fault], alone);
    vec![
        one(CorruptPiece(3), Fails("sent corrupt data (piece 3)")),
        one(CorruptAll, Fails("sent corrupt data")),
        one(Stall { after_bytes: 0 }, Fails("timed out")),
        one(Stall { after_bytes: 160_000 }, Comes),
        one(HalfClose { after_bytes: 0 }, Fails("closed")),
        one(HalfClose { after_bytes: 160_000 }, Comes),
        one(CloseAfter { after_bytes: 0 }, Fails("closed")),
        one(CloseAfter { after_bytes: 100_000 }, Comes),
        one(Delay(Duration::from_millis(100)), Comes),
        one(Delay(Duration::from_secs(60)), Fails("timed out")),
        one(Slow { bytes_per_second: 600_000 }, Comes),
        one(ShortRange, Comes),
        one(WrongRange, Fails("it was asked for bytes 0-")),
        one(IgnoreRange, Comes),
        one(NotFound, Fails("HTTP status 404")),
        one(NotFoundFor("data.bin".into()), Fails("HTTP status 404")),
        one(Status(403), Fails("HTTP status 403")),
        one(Status(416), Fails("it refuses bytes")),
        one(Status(418), Fails("HTTP status 418")),
        one(Status(500), Fails("HTTP status 500")),
        one(Status(503), Fails("asked to wait")),
        one(TooMany { retry_after_secs: 1, times: 1 }, Comes),
        one(TooMany { retry_after_secs: 60, times: 99 }, Fails("asked to wait")),
        one(RedirectLoop, Fails("more than 10 redirects")),
        one(RedirectTo("http://127.0.0.1:9".into()), Fails("connection refused")),
        one(WrongLength, Fails("300001 bytes")),
        one(Portal, Fails("its file has")),
        one(NoKeepAlive, Comes),
        one(Chunked, Comes),
        one(OnlyPieces(0..5), Fails("closed")),
        (vec![NoKeepAlive, ShortRange], Comes),
        (vec![Chunked, IgnoreRange], Comes),
        (vec![Chunked, Stall { after_bytes: 0 }], Fails("timed out")),
        (vec![Chunked, CloseAfter { after_bytes: 0 }], Fails("")),
        (vec![Portal, Chunked], Fails("its file has")),
        (vec![IgnoreRange, CloseAfter { after_bytes: 200_000 }], Fails("closed")),
    ]
}

fn faulty_web_seed(dataset: &Dataset, faults: &[web_seed::Fault]) -> WebSeed {
    faults.iter().cloned().fold(WebSeed::serving(dataset), WebSeed::with)
}

#[test]
fn a_faulty_web_seed_alone() {
    side_by_side(&web_seed_faults(), |(faults, alone)| {
        let dataset = dataset();
        let seed = faulty_web_seed(&dataset, faults);
        let project = Project::of(&dataset, &format!("web-seeds = [\"{}\"]", seed.url()));
        check_alone(&format!("{faults:?}"), &dataset, &project, &seed.url(), *alone);
    });
}

#[test]
fn a_faulty_web_seed_beside_a_good_one() {
    side_by_side(&web_seed_faults(), |(faults, _)| {
        let dataset = dataset();
        let (seed, good) = (faulty_web_seed(&dataset, faults), WebSeed::serving(&dataset));
        let lines = format!("web-seeds = [\"{}\", \"{}\"]", seed.url(), good.url());
        check_comes(&format!("{faults:?}"), &dataset, &Project::of(&dataset, &lines));
    });
}

#[test]
fn a_faulty_web_seed_beside_a_good_peer() {
    side_by_side(&web_seed_faults(), |(faults, _)| {
        let dataset = dataset();
        let (seed, good) = (faulty_web_seed(&dataset, faults), Peer::seeding(&dataset));
        let lines = format!("web-seeds = [\"{}\"]\npeers = [\"{}\"]", seed.url(), good.addr());
        check_comes(&format!("{faults:?}"), &dataset, &Project::of(&dataset, &lines));
    });
}

#[test]
fn a_faulty_web_seed_of_many_small_files() {
    // Requests for small files are pipelined, so each fault affects requests that are already sent.
    let files: Vec<_> = (0..40).map(|n| (format!("{n}"), random_bytes(n, 7_500))).collect();
    let dataset = Dataset::multi("many", files.iter().map(|(n, bytes)| (&n[..], bytes.clone())));
    dataset.stream();
    side_by_side(&web_seed_faults(), |(faults, alone)| {
        let (seed, good) = (faulty_web_seed(&dataset, faults), Peer::seeding(&dataset));
        let mut lines = format!("web-seeds = [\"{}\"]", seed.url());
        if !matches!(alone, Comes) {
            lines += &format!("\npeers = [\"{}\"]", good.addr());
        }
        check_comes(&format!("{faults:?}"), &dataset, &Project::of(&dataset, &lines));
    });
}

#[test]
fn redirects_lead_every_connection_to_the_data() {
    // Large enough for four connections, each of which meets both redirects.
    let dataset = Dataset::single("data.bin", random_bytes(8, 9 << 20)).piece_length(256 << 10);
    let good = WebSeed::serving(&dataset);
    let to = |seed: &WebSeed| web_seed::Fault::RedirectTo(seed.http().url());
    let second = WebSeed::serving(&dataset).with(to(&good));
    let first = WebSeed::serving(&dataset).with(to(&second));
    let project = Project::of(&dataset, &format!("web-seeds = [\"{}\"]", first.url()));
    check_comes("two redirects", &dataset, &project);
    assert_eq!(first.bytes_served() + second.bytes_served(), 0);
}

/// Typical of large archives: one public host, with a redirect to a different server for each file.
#[test]
fn two_connections_are_enough_where_each_file_is_redirected() {
    let files: Vec<_> = (0..60).map(|n| (format!("f{n}"), random_bytes(n, 3_000))).collect();
    let files: Vec<_> = files.iter().map(|(path, bytes)| (path.as_str(), bytes.clone())).collect();
    let dataset = Dataset::multi("root", files);
    let good = WebSeed::serving(&dataset);
    let first = WebSeed::serving(&dataset).with(web_seed::Fault::RedirectTo(good.http().url()));
    let project = Project::of(&dataset, &format!("web-seeds = [\"{}\"]", first.url()));
    check_comes("redirected files", &dataset, &project);
    let made = [&first, &good].map(|seed| seed.http().server().connections());
    assert!(made.iter().all(|made| *made <= 6), "{made:?} connections");
}

fn peer_faults() -> Vec<(peer::Fault, Alone)> {
    use peer::Fault::*;
    vec![
        (CorruptPiece(2), Fails("sent corrupt data (piece 2)")),
        (CorruptAll, Fails("sent corrupt data")),
        (WrongInfohash, Fails("another torrent")),
        (GarbageHandshake, Fails("BitTorrent")),
        (SilentAfterHandshake, Fails("")),
        (StallAfter(0), Fails("sent none of the requested data")),
        (StallAfter(10), Comes),
        (CloseAfter(0), Fails("closed")),
        (CloseAfter(5), Comes),
        (HalfCloseAfter(0), Fails("closed")),
        (HalfCloseAfter(10), Comes),
        (NeverUnchoke, Fails("")),
        (ChokeAfter(4), Comes),
        (OversizedMessage, Fails("")),
        (LongBitfield, Comes),
        (SpareBits, Comes),
        (HaveOutOfRange, Fails("piece")),
        // An unrequested block may be the next one to be requested.
        (Unrequested, Either("sent corrupt data")),
        (Slow { bytes_per_second: 600_000 }, Comes),
        (OutOfOrder, Comes),
        (RejectMetadata, Comes),
        (CorruptMetadata, Comes),
        (HugeMetadata, Comes),
    ]
}

#[test]
fn a_faulty_peer_alone() {
    side_by_side(&peer_faults(), |(fault, alone)| {
        let dataset = dataset();
        let peer = Peer::seeding(&dataset).with(*fault);
        let project = Project::of(&dataset, &format!("peers = [\"{}\"]", peer.addr()));
        check_alone(&format!("{fault:?}"), &dataset, &project, &peer.addr().to_string(), *alone);
        assert_eq!(peer.stats().bad_requests, [], "{fault:?}");
    });
}

#[test]
fn a_faulty_peer_beside_a_good_one() {
    side_by_side(&peer_faults(), |(fault, _)| {
        let dataset = dataset();
        let (peer, good) = (Peer::seeding(&dataset).with(*fault), Peer::seeding(&dataset));
        let lines = format!("peers = [\"{}\", \"{}\"]", peer.addr(), good.addr());
        check_comes(&format!("{fault:?}"), &dataset, &Project::of(&dataset, &lines));
    });
}

#[test]
fn a_faulty_peer_beside_a_good_web_seed() {
    side_by_side(&peer_faults(), |(fault, _)| {
        let dataset = dataset();
        let (peer, good) = (Peer::seeding(&dataset).with(*fault), WebSeed::serving(&dataset));
        let lines = format!("peers = [\"{}\"]\nweb-seeds = [\"{}\"]", peer.addr(), good.url());
        check_comes(&format!("{fault:?}"), &dataset, &Project::of(&dataset, &lines));
    });
}

fn tracker_faults() -> Vec<(tracker::Fault, Alone)> {
    use tracker::Fault::*;
    vec![
        (Failure("go away".into()), Fails("go away")),
        (
            Says(400, "d14:failure reason7:go awaye"),
            Fails("HTTP status 400: the tracker says: go away"),
        ),
        (Says(503, "d14:failure reason7:go awaye"), Fails("the tracker says: go away")),
        (Says(200, "no such torrent"), Fails("it is text (`no such torrent`)")),
        (Says(200, "<title>Parked</title>"), Fails("it is a web page (`Parked`)")),
        (Interval(0), Comes),
        (Status { status: 403, retry_after_secs: None }, Fails("HTTP status 403")),
        (Status { status: 429, retry_after_secs: Some(60) }, Fails("HTTP status 429")),
        (Stall, Fails("timed out")),
        (Garbage, Fails("not a tracker reply")),
        (LyingPeers, Comes),
        (RaggedPeers, Comes),
        (HugeBody, Fails("longer than")),
        (Warning("old client".into()), Comes),
        (MinInterval(1800), Comes),
    ]
}

#[test]
fn a_faulty_tracker_alone() {
    side_by_side(&tracker_faults(), |(fault, alone)| {
        let peer = Peer::seeding(&dataset());
        let tracker = Tracker::start(vec![peer.addr()]).with(fault.clone());
        let dataset = dataset().announce(&tracker.url());
        let project = Project::of(&dataset, "");
        check_alone(&format!("{fault:?}"), &dataset, &project, &tracker.url(), *alone);
    });
}

#[test]
fn a_faulty_tracker_before_a_good_one() {
    side_by_side(&tracker_faults(), |(fault, _)| {
        let peer = Peer::seeding(&dataset());
        let faulty = Tracker::start(vec![peer.addr()]).with(fault.clone());
        let good = Tracker::start(vec![peer.addr()]);
        for tiers in
            [&[&[&faulty.url()[..]][..], &[&good.url()]][..], &[&[&faulty.url(), &good.url()]]]
        {
            let dataset = dataset().announce_list(tiers);
            check_comes(&format!("{fault:?}"), &dataset, &Project::of(&dataset, ""));
        }
    });
}

/// `other` is the target of a redirect that leads to the torrent.
fn catalogue_faults(other: &Catalogue) -> Vec<(catalogue::Fault, Alone)> {
    use catalogue::Fault::*;
    let wrong = Dataset::single("data.bin", "other bytes").torrent();
    vec![
        (Status(403), Fails("HTTP status 403")),
        (Status(404), Fails("HTTP status 404")),
        (Status(500), Fails("HTTP status 500")),
        (WrongTorrent(wrong), Fails("is another torrent")),
        (Garbage, Fails("this is not a .torrent")),
        (Truncated, Fails("the file is truncated")),
        (RedirectTo(other.url()), Comes),
        (RedirectTo("http://127.0.0.1:9".into()), Fails("connection refused")),
        (RedirectLoop, Fails("more than 10 redirects")),
        (TooMany { retry_after_secs: 1, times: 1 }, Comes),
        (TooMany { retry_after_secs: 60, times: 9 }, Fails("HTTP status 429")),
        (Stall, Fails("timed out")),
        (Endless, Fails("")),
    ]
}

#[test]
fn a_faulty_catalogue_alone() {
    let seed = WebSeed::serving(&dataset());
    let dataset = dataset().url_list([seed.url()]);
    let other = Catalogue::serving(&[&dataset]);
    side_by_side(&catalogue_faults(&other), |(fault, alone)| {
        let catalogue = Catalogue::serving(&[&dataset]).with(fault.clone());
        let project = Project::new(&format!("data = \"{}\"", dataset.infohash_hex()))
            .env("ACADEMICTORRENTS_CATALOGUE", catalogue.url());
        check_alone(&format!("{fault:?}"), &dataset, &project, &catalogue.url(), *alone);
    });
}

#[test]
fn a_faulty_mirror_before_a_good_catalogue() {
    let seed = WebSeed::serving(&dataset());
    let dataset = dataset().url_list([seed.url()]);
    let good = Catalogue::serving(&[&dataset]);
    side_by_side(&catalogue_faults(&good), |(fault, _)| {
        let mirror = Catalogue::serving(&[&dataset]).with(fault.clone());
        let project = Project::new(&format!("data = \"{}\"", dataset.infohash_hex()))
            .env("ACADEMICTORRENTS_MIRRORS", format!("{}/download", mirror.url()))
            .env("ACADEMICTORRENTS_CATALOGUE", good.url());
        check_comes(&format!("{fault:?}"), &dataset, &project);
        assert!(!mirror.requests().is_empty(), "{fault:?}");
    });
}

#[test]
fn a_dead_source_is_not_asked_for_ever_while_another_serves() {
    let dataset = Dataset::single("data.bin", random_bytes(9, 5 << 20));
    let dead = WebSeed::serving(&dataset).with(web_seed::Fault::Status(500));
    let slow = Peer::seeding(&dataset).with(peer::Fault::Slow { bytes_per_second: 2_000_000 });
    let lines = format!("web-seeds = [\"{}\"]\npeers = [\"{}\"]", dead.url(), slow.addr());
    check_comes("slow", &dataset, &Project::of(&dataset, &lines));
    // The connections of the first round, and one in each of three retries.
    assert!(dead.requests().len() <= 4 + 3, "{} requests", dead.requests().len());
}

#[test]
fn a_stalled_source_does_not_hold_up_the_end() {
    let dataset = dataset();
    let stall = web_seed::Fault::Stall { after_bytes: 40_000 };
    let stalled = WebSeed::serving(&dataset).with(stall);
    let good = WebSeed::serving(&dataset);
    let lines = format!("web-seeds = [\"{}\", \"{}\"]", stalled.url(), good.url());
    let project = Project::of(&dataset, &lines).env("ACADEMICTORRENTS_TIMEOUT", "60s");
    check_comes("stalled", &dataset, &project);
    eventually("sockets are closed", || stalled.http().server().open_connections() == 0);
}
