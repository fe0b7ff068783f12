//! A download that cannot succeed ends soon; a download that can succeed is not given up.

use std::time::{Duration, Instant};

use crate::support::{Project, side_by_side};
use crate::swarm::tracker::Fault as TrackerFault;
use crate::swarm::web_seed::Fault;
use crate::swarm::{Dataset, Peer, Tracker, WebSeed, random_bytes};

/// Far below every `TIMEOUT` in this file, and far above what a busy machine needs.
const SOON: Duration = Duration::from_secs(60);

/// Three files that share pieces; no file ends on a piece boundary.
fn three_files() -> Dataset {
    let file = |name: &'static str, length| (name, random_bytes(length as u64, length));
    let dataset = Dataset::multi("set", [file("a", 100_000), file("b", 50_000), file("c", 70_000)]);
    dataset.stream();
    dataset
}

/// The error of a build, which must fail soon.
#[track_caller]
fn soon(project: &Project) -> String {
    let begun = Instant::now();
    let error = project.error();
    assert!(begun.elapsed() < SOON, "took {:?}: {error}", begun.elapsed());
    error
}

#[test]
fn a_file_that_nobody_has_ends_the_download_though_it_shares_its_pieces() {
    let dataset = three_files();
    side_by_side(&["a", "b", "c"], |file| {
        let lacks = || WebSeed::serving(&dataset).with(Fault::NotFoundFor((*file).into()));
        let (first, second) = (lacks(), lacks());
        let lines = [
            format!("web-seeds = [\"{}\"]", first.url()),
            format!("web-seeds = [\"{}\", \"{}\"]", first.url(), second.url()),
            format!("web-seeds = [\"{}\"]\nmirrors = [\"mirror\"]", first.url()),
        ];
        for lines in lines {
            let project = Project::of(&dataset, &lines).env("ACADEMICTORRENTS_TIMEOUT", "300s");
            dataset.write_mirror(&project.path("mirror"));
            let mirrored = project.path("mirror").join(dataset.infohash_hex()).join("set");
            std::fs::remove_file(mirrored.join(file)).unwrap();
            let error = soon(&project);
            // The error has the requested URL, not just the configured one.
            let said = format!("{}set/{file}: HTTP status 404", first.folder_url());
            assert!(error.contains(&said), "{error}");
            project.assert_nothing_published();
        }
    });
}

#[test]
fn a_file_that_no_server_has_comes_from_a_peer() {
    let dataset = three_files();
    let seed = WebSeed::serving(&dataset).with(Fault::NotFoundFor("b".into()));
    let peer = Peer::seeding(&dataset);
    let tracker = Tracker::start(vec![peer.addr()]);
    for timeout in ["", "300s"] {
        // The named server lacks one file, so the torrent's tracker is asked and names the peer.
        let lines = format!("web-seeds = [\"{}\"]", seed.url());
        let announced = three_files().announce(&tracker.url());
        let project = Project::of(&announced, &lines).env("ACADEMICTORRENTS_TIMEOUT", timeout);
        let begun = Instant::now();
        dataset.assert_at(&project.path_of("data"));
        assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    }
}

/// Final answers of a web seed for a file, and the expected messages.
fn final_answers() -> Vec<(Fault, &'static str)> {
    vec![
        (Fault::NotFound, "HTTP status 404"),
        (Fault::Status(410), "HTTP status 410"),
        (Fault::Status(451), "HTTP status 451"),
        (Fault::WrongLength, "300001 bytes"),
        (Fault::CorruptAll, "sent corrupt data"),
    ]
}

#[test]
fn web_seeds_that_have_nothing_and_trackers_that_know_nobody_end_the_download_soon() {
    let dataset = crate::faults::dataset();
    side_by_side(&final_answers(), |(fault, said)| {
        let seed = WebSeed::serving(&dataset).with(fault.clone());
        // A tracker without peers, one that refuses, and one with a peer that is down.
        let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let trackers = [
            Tracker::start(vec![]),
            Tracker::start(vec![]).with(TrackerFault::Failure("not here".into())),
            Tracker::start(vec![gone]),
        ];
        let urls = trackers.each_ref().map(Tracker::url);
        let tiers = urls.each_ref().map(|url| [&url[..]]);
        let tiers = tiers.each_ref().map(|tier| &tier[..]);
        let dataset = dataset.clone().announce_list(&tiers);
        let lines = format!("web-seeds = [\"{}\"]", seed.url());
        let project = Project::of(&dataset, &lines).env("ACADEMICTORRENTS_TIMEOUT", "");
        let error = soon(&project);
        assert!(error.contains(said), "{error}");
        // A torrent without web seeds waits for peers, and any torrent waits if the user set the
        // timeout.
        let waits = |lines: &str| {
            let project = Project::of(&dataset, lines).env("ACADEMICTORRENTS_TIMEOUT", "1s");
            let begun = Instant::now();
            let error = project.error();
            assert!(begun.elapsed() >= Duration::from_secs(1), "{error}");
            assert!(error.contains("no source sent any data for 1 s"), "{error}");
        };
        waits(&lines);
        waits("");
    });
}

#[test]
fn a_server_that_closes_each_connection_halfway_is_asked_again_at_once() {
    let dataset = Dataset::single("data.bin", random_bytes(3, 3_000_000));
    let seed = WebSeed::serving(&dataset).with(Fault::CloseAtHalf);
    // With this timeout, a failed source is paused for one second and then for two.
    let lines = format!("web-seeds = [\"{}\"]", seed.url());
    let project = Project::of(&dataset, &lines).env("ACADEMICTORRENTS_TIMEOUT", "300s");
    let begun = Instant::now();
    dataset.assert_at(&project.path_of("data"));
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    assert!(seed.http().server().connections() > 10);
}

#[test]
fn a_note_that_cannot_be_written_hides_no_other_error() {
    let unreachable = "web-seeds = [\"http://127.0.0.1:9/\"]";
    let table = |name: &str, lines: &str| {
        format!("{name} = {{ torrent = \"data.torrent\", {unreachable}{lines} }}\n")
    };
    let project = Project::new("");
    std::fs::write(project.path("data.torrent"), three_files().torrent()).unwrap();
    project.declare(
        &[
            table("a", ", optional = true, files = [\"a\"]"),
            table("b", ", files = [\"b\"]"),
            table("c", ", optional = true, files = [\"c\"]"),
        ]
        .concat(),
    );
    for name in ["a", "c"] {
        std::fs::create_dir_all(project.path(&format!("out/academictorrents-missing-{name}")))
            .unwrap();
    }
    // A newer manifest: the datasets are tried.
    let manifest = std::fs::File::open(project.path("Cargo.toml")).unwrap();
    manifest.set_modified(std::time::SystemTime::now() + SOON).unwrap();
    let error = soon(&project);
    for part in ["academictorrents-missing-a", "`b`", "academictorrents-missing-c"] {
        assert!(error.contains(part), "{part}: {error}");
    }
}
