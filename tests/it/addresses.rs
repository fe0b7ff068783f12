//! Which hosts may be contacted: hosts on this machine and on private networks only if the user
//! named them.
//!
//! All servers of this file are on loopback, so the rule applies to them.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;

use crate::support::files::remove_tree;
use crate::support::{Project, side_by_side};
use crate::swarm::web_seed::Fault;
use crate::swarm::{
    Catalogue, Dataset, Peer, Tracker, UdpTracker, WebSeed, catalogue, random_bytes,
};

const LISTED: &str = "ACADEMICTORRENTS_PRIVATE_HOSTS";

fn dataset() -> Dataset {
    Dataset::single("data.bin", random_bytes(5, 100_000))
}

/// A project whose store has the .torrent without a record of its origin, so a stranger may have
/// written it.
fn of_stranger(dataset: &Dataset) -> Project {
    let project = Project::new(&format!("data = \"{}\"", dataset.infohash_hex()));
    keep(&project.store(), dataset);
    project
}

fn keep(store: &Path, dataset: &Dataset) {
    let torrents = store.join("v1/torrents");
    std::fs::create_dir_all(&torrents).unwrap();
    let name = format!("{}.torrent", dataset.infohash_hex());
    std::fs::write(torrents.join(name), dataset.torrent()).unwrap();
}

#[test]
fn a_host_and_port_that_the_user_named_a_stranger_may_name_too() {
    let plain = dataset();
    let seed = WebSeed::serving(&plain);
    let torrent = plain.clone().url_list([seed.url()]);
    let project = of_stranger(&torrent).env("ACADEMICTORRENTS_MIRRORS", seed.http().url());
    plain.assert_at(&project.path_of("data"));
}

/// A package that Cargo downloaded, with a vendored .torrent.
fn dependency(dataset: &Dataset, lines: &str) -> Project {
    let project = Project::of(dataset, lines).env("ACADEMICTORRENTS_FETCH", "always");
    std::fs::write(project.path(".cargo-ok"), "").unwrap();
    project
}

fn port(url: &str) -> u16 {
    url.split(':').nth(2).unwrap().split('/').next().unwrap().parse().unwrap()
}

/// Spellings of loopback addresses that resolvers accept.
fn spellings(port: u16) -> Vec<String> {
    let hosts = [
        "127.0.0.1",
        "127.0.0.1.",
        "127.1",
        "2130706433",
        "0x7f.0.0.1",
        "0177.1",
        "0.0.0.0",
        "localhost",
        "LocalHost.",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::127.0.0.1]",
        "[2002:7f00:1::]",
    ];
    hosts.iter().map(|host| format!("{host}:{port}")).collect()
}

#[track_caller]
fn assert_refused(error: &str, named_by: &str) {
    let says = |words: &str| assert!(error.contains(words), "{words}: {error}");
    says("refused: ");
    says(named_by);
    says(LISTED);
}

#[test]
fn a_strangers_torrent_has_no_web_seed_or_tracker_on_this_machine_asked() {
    let plain = dataset();
    let seed = WebSeed::serving(&plain);
    let tracker = Tracker::start(vec![]);
    let udp = UdpTracker::start(vec![]);
    let seeds = spellings(port(&seed.url()));
    side_by_side(&seeds, |place| {
        let torrent = plain.clone().url_list([format!("http://{place}/seed/data.bin")]);
        assert_refused(&of_stranger(&torrent).error(), "named by the torrent");
    });
    let trackers: Vec<_> = spellings(port(&tracker.url()))
        .into_iter()
        .map(|place| format!("http://{place}/announce"))
        .chain(spellings(udp.addr().port()).into_iter().map(|place| format!("udp://{place}")))
        .collect();
    side_by_side(&trackers, |url| {
        let torrent = plain.clone().announce(url);
        let error = of_stranger(&torrent).env("ACADEMICTORRENTS_TIMEOUT", "1s").error();
        // Some resolvers do not accept some spellings.
        assert!(error.contains("refused: ") || error.contains("not known"), "{url}: {error}");
    });
    assert_eq!(seed.http().server().connections(), 0);
    assert_eq!((tracker.announces().len(), udp.datagrams()), (0, 0));
}

#[test]
fn the_setting_allows_what_it_lists_and_an_entry_that_is_none_is_an_error() {
    let plain = dataset();
    let seed = WebSeed::serving(&plain);
    let torrent = plain.clone().url_list([seed.url()]);
    let place = format!("127.0.0.1:{}", port(&seed.url()));
    for list in [place.as_str(), "10.0.0.0/8, 127.0.0.0/8", "127.1"] {
        let project = of_stranger(&torrent).env(LISTED, list);
        plain.assert_at(&project.path_of("data"));
    }
    let other = of_stranger(&torrent).env(LISTED, "127.0.0.1:9,data.lab").error();
    assert_refused(&other, &format!("add `{place}`"));
    let error = of_stranger(&torrent).env(LISTED, "10.0.0.0/8 10.0.0.0/40").error();
    assert!(error.contains(LISTED) && error.contains("`10.0.0.0/40` is not a host"), "{error}");
}

#[test]
fn a_dependency_names_no_host_on_this_machine_and_its_user_does() {
    let plain = dataset();
    let seed = WebSeed::serving(&plain);
    let tracker = Tracker::start(vec![]);
    let peer = Peer::seeding(&plain);
    let catalogue = Catalogue::serving(&[&plain]);
    let (seed_url, tracker_url, peer_at) = (seed.url(), tracker.url(), peer.addr());
    let named = plain.clone().url_list([&seed_url]).announce(&tracker_url);
    let lines = [
        String::new(),
        format!("web-seeds = [{seed_url:?}]"),
        format!("trackers = [{tracker_url:?}]"),
        format!("peers = [\"{peer_at}\"]"),
        format!("peers = [\"localhost:{}\"]", peer_at.port()),
        format!("mirrors = [{:?}]", catalogue.url()),
    ];
    side_by_side(&lines, |lines| {
        let torrent = if lines.is_empty() { &named } else { &plain };
        assert_refused(&dependency(torrent, lines).error(), "named by a dependency");
        let magnet = format!(
            "magnet:?xt=urn:btih:{}&tr={tracker_url}&ws={seed_url}&x.pe={peer_at}",
            plain.infohash_hex()
        );
        let project = dependency(&plain, "");
        project.declare(&format!("data.magnet = {magnet:?}"));
        assert_refused(&project.error(), "named by a dependency");
    });
    assert_eq!(seed.http().server().connections(), 0);
    assert_eq!(catalogue.http().server().connections(), 0);
    assert_eq!((tracker.announces().len(), peer.server().connections()), (0, 0));
    // Peers and hosts that the user names are allowed, whatever a dependency names.
    let project = dependency(&named, "").env("ACADEMICTORRENTS_PEERS", peer_at);
    plain.assert_at(&project.path_of("data"));
    let project = dependency(&named, "").env(LISTED, "127.0.0.1");
    plain.assert_at(&project.path_of("data"));
}

#[test]
fn a_redirect_leads_to_another_host_on_this_machine_only_where_the_user_named_its_source() {
    let plain = dataset();
    let behind = WebSeed::serving(&plain);
    let target = behind.http().url();
    let front = WebSeed::serving(&plain).with(Fault::RedirectTo(target.clone()));
    let vendored = plain.clone().url_list([front.url()]);
    assert_refused(&Project::of(&vendored, "").error(), "named by a redirect");
    assert!(front.http().server().connections() > 0);
    // A stranger's web seed that is itself allowed.
    let listed = format!("127.0.0.1:{}", port(&front.url()));
    let error = of_stranger(&vendored).env(LISTED, listed).error();
    assert_refused(&error, "named by a redirect");
    assert_eq!(behind.http().server().connections(), 0);
    let project = Project::of(&plain, &format!("web-seeds = [{:?}]", front.url()));
    plain.assert_at(&project.path_of("data"));
    // Also the redirects of a catalog that the user named.
    let torrent = plain.clone().url_list([behind.url()]);
    let behind = Catalogue::serving(&[&torrent]);
    let front = Catalogue::serving(&[]).with(catalogue::Fault::RedirectTo(behind.url()));
    let project = Project::new(&format!("data = \"{}\"", plain.infohash_hex()))
        .env("ACADEMICTORRENTS_CATALOGUE", front.url());
    plain.assert_at(&project.path_of("data"));
}

#[test]
fn link_local_and_metadata_addresses_are_refused_to_everybody() {
    let plain = dataset();
    let urls = [
        "http://169.254.169.254/latest/",
        "http://[fd00:ec2::254]/",
        "http://[fe80::1]/",
        "http://[::ffff:169.254.169.254]/",
        "http://2852039166/",
        "http://100.100.100.200/",
    ];
    side_by_side(&urls, |url| {
        let named = Project::of(&plain, &format!("web-seeds = [{url:?}]")).error();
        assert_refused(&named, "named by the user");
        let vendored = Project::of(&plain.clone().url_list([url]), "").error();
        assert_refused(&vendored, "named by the torrent");
    });
    let error = Project::of(&plain, "").env("ACADEMICTORRENTS_PEERS", "169.254.1.1:5").error();
    assert_refused(&error, "named by the user");
}

#[test]
fn the_second_build_decides_as_the_first() {
    let plain = dataset();
    let seed = WebSeed::serving(&plain);
    let torrent = plain.clone().url_list([seed.url()]);
    let catalogue = Catalogue::serving(&[&torrent]);
    let declared = format!("data = \"{}\"", plain.infohash_hex());
    let first = Project::new(&declared).env("ACADEMICTORRENTS_CATALOGUE", catalogue.url());
    plain.assert_at(&first.path_of("data"));
    let origin = format!("v1/torrents/{}.origin", plain.infohash_hex());
    let forget = |project: &Project| {
        let data = project.store().join("v1/data").join(plain.infohash_hex());
        remove_tree(&data);
    };
    // The .torrent is in the store, with a record that it comes from the user's catalog.
    let second = first.env("ACADEMICTORRENTS_CATALOGUE", "http://127.0.0.1:9");
    forget(&second);
    plain.assert_at(&second.path_of("data"));
    // The record does not cover a .torrent with other hosts under the same infohash.
    forget(&second);
    keep(&second.store(), &torrent.clone().comment("another"));
    assert_refused(&second.error(), "named by the torrent");
    keep(&second.store(), &torrent);
    plain.assert_at(&second.path_of("data"));
    forget(&second);
    std::fs::remove_file(second.store().join(origin)).unwrap();
    assert_refused(&second.error(), "named by the torrent");
}

#[test]
fn a_proxy_that_looks_names_up_is_not_asked_for_this_machine() {
    let plain = dataset();
    // It would connect to the proxy's own machine.
    let proxy = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let at = proxy.local_addr().unwrap();
    proxy.set_nonblocking(true).unwrap();
    let mut cases = Vec::new();
    for scheme in ["http", "socks5h"] {
        for place in spellings(80) {
            cases.push((format!("{scheme}://{at}"), format!("http://{place}/data.bin")));
        }
    }
    side_by_side(&cases, |(proxy, url)| {
        let torrent = plain.clone().url_list([url]);
        // Excludes the catalog, which would be asked for other sources.
        let project = of_stranger(&torrent).env("ACADEMICTORRENTS_SOURCES", "web-seeds");
        let error = project.env("CARGO_HTTP_PROXY", proxy).error();
        assert_refused(&error, "named by the torrent");
    });
    assert!(proxy.accept().is_err(), "the proxy received a request");
}

#[test]
fn a_tracker_and_peers_on_one_private_network_find_each_other() {
    let plain = dataset();
    let peer = Peer::seeding(&plain);
    let tracker = Tracker::start(vec![peer.addr()]);
    // The user vendored the .torrent; its tracker is on the cluster's network, like the peers.
    let project = Project::of(&plain.clone().announce(&tracker.url()), "");
    plain.assert_at(&project.path_of("data"));
    // The tracker's link-local peer is never contacted.
    let bound = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let never = SocketAddr::from(([169, 254, 1, 1], bound.local_addr().unwrap().port()));
    let tracker = Tracker::start(vec![never]);
    let error = Project::of(&plain.clone().announce(&tracker.url()), "").error();
    assert!(error.contains("1 on private networks, which were ignored"), "{error}");
    assert!(error.contains(LISTED), "{error}");
}

#[test]
fn of_one_host_no_more_than_eight_trackers_and_web_seeds_are_asked() {
    let plain = dataset();
    let seed = WebSeed::serving(&plain).with(Fault::NotFound);
    let tracker = Tracker::start(vec![]);
    let seeds: Vec<_> = (0..100).map(|n| format!("{}?{n}", seed.url())).collect();
    let trackers: Vec<_> = (0..100).map(|n| format!("{}?{n}", tracker.url())).collect();
    let tiers: Vec<Vec<&str>> = trackers.iter().map(|it| vec![it.as_str()]).collect();
    let tiers: Vec<&[&str]> = tiers.iter().map(Vec::as_slice).collect();
    let torrent = plain.clone().url_list(seeds).announce_list(&tiers);
    Project::of(&torrent, "").error();
    let mut asked: Vec<_> = seed.requests().iter().map(|it| it.target.clone()).collect();
    asked.sort();
    asked.dedup();
    assert!(!asked.is_empty());
    assert!(asked.len() <= 8, "{asked:?}");
}
