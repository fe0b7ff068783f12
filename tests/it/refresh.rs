//! If the sources of an existing .torrent fail, the catalog may have a newer .torrent.

use std::path::PathBuf;

use crate::fixture::Fixture;
use crate::support::{Project, side_by_side};
use crate::swarm::web_seed::Fault;
use crate::swarm::{Catalogue, Dataset, Peer, Tracker, WebSeed, catalogue, random_bytes};

/// Nothing listens there.
const DEAD: &str = "http://127.0.0.1:9/data.bin";

fn data() -> Dataset {
    Dataset::single("data.bin", random_bytes(1, 200_000))
}

/// A project that declares only the infohash, and whose store already has this .torrent.
fn with_kept(dataset: &Dataset, catalogue: &Catalogue, lines: &str) -> Project {
    let infohash = dataset.infohash_hex();
    let project = Project::new(&format!("data.infohash = \"{infohash}\"\n{lines}"))
        .env("ACADEMICTORRENTS_CATALOGUE", catalogue.url());
    // As an earlier build would store it.
    let kept = kept(&project, dataset);
    std::fs::create_dir_all(kept.parent().unwrap()).unwrap();
    std::fs::write(kept, dataset.torrent()).unwrap();
    project.env("ACADEMICTORRENTS_PRIVATE_HOSTS", "127.0.0.1")
}

fn kept(project: &Project, dataset: &Dataset) -> PathBuf {
    project.store().join(format!("v1/torrents/{}.torrent", dataset.infohash_hex()))
}

fn keeps(project: &Project, dataset: &Dataset, url: &str) -> bool {
    let kept = std::fs::read(kept(project, dataset)).unwrap();
    String::from_utf8_lossy(&kept).contains(url)
}

#[test]
fn where_all_sources_of_a_kept_torrent_fail_the_catalog_is_asked_once_for_others() {
    let faults = [
        None,
        Some(Fault::NotFound),
        Some(Fault::Status(403)),
        Some(Fault::Status(500)),
        Some(Fault::CorruptAll),
        Some(Fault::WrongLength),
        Some(Fault::Portal),
        Some(Fault::RedirectLoop),
        Some(Fault::Stall { after_bytes: 0 }),
        Some(Fault::Stall { after_bytes: 70_000 }),
        Some(Fault::Delay(std::time::Duration::from_secs(600))),
    ];
    side_by_side(&faults, |fault| {
        let old = WebSeed::serving(&data());
        let url = fault.as_ref().map_or(DEAD.to_owned(), |fault| {
            old.fault(fault.clone());
            old.url()
        });
        let seed = WebSeed::serving(&data());
        let catalogue = Catalogue::serving(&[&data().url_list([seed.url()])]);
        let dataset = data().url_list([&url]);
        let project = with_kept(&dataset, &catalogue, "");
        dataset.assert_at(&project.path_of("data"));
        assert_eq!(catalogue.requests().len(), 1, "{fault:?}");
        assert!(keeps(&project, &dataset, &seed.url()), "{fault:?}");
    });
}

#[test]
fn new_trackers_are_used_too() {
    let peer = Peer::seeding(&data());
    let (nobody, tracker) = (Tracker::start(Vec::new()), Tracker::start(vec![peer.addr()]));
    let newer = data().announce_list(&[&[&nobody.url()], &[&tracker.url()]]);
    let catalogue = Catalogue::serving(&[&newer]);
    for old in [data(), data().announce(&nobody.url()), data().announce("udp://127.0.0.1:9")] {
        let project = with_kept(&old, &catalogue, "");
        old.assert_at(&project.path_of("data"));
        assert!(keeps(&project, &old, &tracker.url()));
    }
}

#[test]
fn while_its_sources_do_well_the_catalog_is_not_asked() {
    let seed = WebSeed::serving(&data());
    let catalogue = Catalogue::serving(&[&data()]);
    let dataset = data().url_list([DEAD, &seed.url()]);
    let project = with_kept(&dataset, &catalogue, "");
    dataset.assert_at(&project.path_of("data"));
    assert_eq!(catalogue.requests().len(), 0);
    assert!(keeps(&project, &dataset, DEAD));
}

#[test]
fn a_host_that_only_the_catalog_may_name_is_contacted_once_that_does() {
    let seed = WebSeed::serving(&data());
    let dataset = data().url_list([seed.url()]);
    let catalogue = Catalogue::serving(&[&dataset]);
    // The stored .torrent has no known origin, so it may not name hosts on this machine; the user's
    // catalog may.
    let project = with_kept(&dataset, &catalogue, "").env("ACADEMICTORRENTS_PRIVATE_HOSTS", "");
    dataset.assert_at(&project.path_of("data"));
    assert_eq!(catalogue.requests().len(), 1);
}

#[test]
fn nor_where_it_may_not_be_asked() {
    let seed = WebSeed::serving(&data());
    let catalogue = Catalogue::serving(&[&data().url_list([seed.url()])]);
    let dataset = data().url_list([DEAD]);
    let by_manifest = with_kept(&dataset, &catalogue, "data.sources = [\"web-seeds\", \"peers\"]");
    let by_user = with_kept(&dataset, &catalogue, "")
        .env("ACADEMICTORRENTS_SOURCES", "web-seeds,peers,mirrors");
    let offline = with_kept(&dataset, &catalogue, "").env("ACADEMICTORRENTS_OFFLINE", "1");
    for project in [by_manifest, by_user, offline] {
        project.error();
        assert!(keeps(&project, &dataset, DEAD));
    }
    assert_eq!(catalogue.requests().len(), 0);
    // Sources that the catalog names are subject to `sources`.
    let project = with_kept(&dataset, &catalogue, "data.sources = [\"catalogue\", \"peers\"]");
    assert!(project.error().contains("lists no other sources"));
    assert_eq!(seed.bytes_served(), 0);
}

#[test]
fn where_it_has_no_others_the_error_says_so() {
    use catalogue::Fault::{Garbage, Stall, Status, WrongTorrent};
    let other = Dataset::single("other.bin", "other").torrent();
    let cases = [
        (None, "its .torrent lists no other sources"),
        (Some(Status(404)), "no newer .torrent: HTTP status 404"),
        (Some(Garbage), "no newer .torrent: this is not a .torrent"),
        (Some(WrongTorrent(other)), "no newer .torrent: it is another torrent"),
        (Some(Stall), "127.0.0.1:9/data.bin: connection refused"),
    ];
    side_by_side(&cases, |(fault, part)| {
        let dataset = data().url_list([DEAD]);
        let catalogue = Catalogue::serving(&[&dataset]);
        fault.iter().for_each(|fault| catalogue.fault(fault.clone()));
        let project = with_kept(&dataset, &catalogue, "");
        let error = project.error();
        assert!(error.contains(part), "{fault:?}: {error}");
        // The stored torrent stays, with its sources.
        assert!(keeps(&project, &dataset, DEAD));
    });
}

/// The stored torrent's sources may come back, and the newer torrent has not proved useful.
#[test]
fn a_newer_one_whose_sources_bring_nothing_either_is_not_kept() {
    let empty = WebSeed::serving(&data());
    empty.fault(Fault::NotFound);
    for newer in ["http://127.0.0.1:9/other.bin".to_owned(), empty.url()] {
        let dataset = data().url_list([DEAD]);
        let catalogue = Catalogue::serving(&[&data().url_list([&newer])]);
        let project = with_kept(&dataset, &catalogue, "");
        let error = project.error();
        assert!(error.contains(newer.trim_start_matches("http://")), "{error}");
        assert!(keeps(&project, &dataset, DEAD) && !keeps(&project, &dataset, &newer));
    }
}

#[test]
fn one_that_the_catalog_gave_in_this_run_is_not_asked_for_again() {
    let dataset = data().url_list([DEAD]);
    let catalogue = Catalogue::serving(&[&dataset]);
    let project = Project::new(&format!("data = \"{}\"", dataset.infohash_hex()))
        .env("ACADEMICTORRENTS_CATALOGUE", catalogue.url());
    project.error();
    assert_eq!(catalogue.requests().len(), 1);
    // The next run asks once.
    project.error();
    assert_eq!(catalogue.requests().len(), 2);
}

#[test]
fn two_selections_of_a_torrent_ask_once() {
    let files = [("a", random_bytes(1, 50_000)), ("b", random_bytes(2, 50_000))];
    let dataset = Dataset::multi("root", files).url_list(["http://127.0.0.1:9/"]);
    let seed = WebSeed::serving(&dataset);
    let catalogue = Catalogue::serving(&[&dataset]).inject_url_list([seed.url()]);
    let project = with_kept(&dataset, &catalogue, "data.files = [\"a\"]");
    let infohash = dataset.infohash_hex();
    project.declare(&format!(
        "data = {{ infohash = \"{infohash}\", files = [\"a\"] }}\n\
         more = {{ infohash = \"{infohash}\", files = [\"b\"] }}"
    ));
    project.run().unwrap();
    assert_eq!(catalogue.requests().len(), 1);
}

#[test]
fn a_vendored_torrent_stays_as_it_is_and_a_note_says_how_to_update_it() {
    let seed = WebSeed::serving(&data());
    let old = data().url_list([DEAD]);
    let catalogue = Catalogue::serving(&[&data().url_list([seed.url()])]);
    let fixture = Fixture::new("fixture-refresh", "data.torrent = \"data.torrent\"");
    let file = fixture.path("data.torrent");
    std::fs::write(&file, old.torrent()).unwrap();
    let fixture = fixture.env("ACADEMICTORRENTS_CATALOGUE", catalogue.url());
    old.assert_at(&fixture.cargo(&["run"]).ok().printed_path());
    assert_eq!(std::fs::read(&file).unwrap(), old.torrent());
    // Cargo stores the build script's output.
    let scripts = std::fs::read_dir(fixture.target().join("debug/build")).unwrap();
    let said: String = scripts
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("fixture-refresh-"))
        .filter_map(|entry| std::fs::read_to_string(entry.path().join("stderr")).ok())
        .collect();
    assert!(said.contains("cargo academictorrents vendor --refresh data"), "{said}");
}
