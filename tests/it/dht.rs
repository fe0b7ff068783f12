//! Datasets whose peers only the DHT knows (BEP 5).

use std::net::UdpSocket;
use std::time::Duration;

use mainline::{Id, Testnet};

use crate::faults::dataset;
use crate::seeding::{address, keep, seed, stocked, take};
use crate::support::Project;
use crate::swarm::bencode::B;
use crate::swarm::dht::DhtNode;
use crate::swarm::peer::Fault;
use crate::swarm::{Dataset, Peer, WebSeed, eventually};

const NODES: &str = "ACADEMICTORRENTS_DHT_BOOTSTRAP";

/// Nothing listens on port 9: catalog, trackers and web seed are down.
fn all_down() -> Dataset {
    dataset()
        .announce_list(&[&["http://127.0.0.1:9/announce"], &["udp://127.0.0.1:9/announce"]])
        .url_list(["http://127.0.0.1:9/"])
}

fn project(dataset: &Dataset, nodes: impl ToString) -> Project {
    Project::of(dataset, "").env(NODES, nodes)
}

#[test]
#[expect(deprecated, reason = "its other interface is asynchronous")]
fn one_peer_that_the_dht_names_is_enough_where_all_else_is_down() {
    let dataset = all_down();
    let peer = Peer::seeding(&dataset);
    // A network of the crate `mainline`, so that our reading of BEP 5 is not tested against itself.
    let network = Testnet::builder(12).build().unwrap();
    let infohash = Id::from(dataset.infohash());
    network.nodes[3].announce_peer(infohash, Some(peer.addr().port())).unwrap();
    let project = project(&dataset, &network.bootstrap[0]);
    dataset.assert_at(&project.path_of("data"));
    assert_eq!(peer.bytes_served(), 300_000);
}

#[test]
fn nothing_is_sent_for_a_private_torrent_or_where_peers_are_left_out_or_nothing_may_be_fetched() {
    let node = DhtNode::start(vec![vec![]]);
    let private = all_down().private();
    project(&private, node.addr()).error();
    assert_eq!(node.asked(), [] as [[u8; 20]; 0], "a private torrent");
    for (name, value) in [
        ("ACADEMICTORRENTS_OFFLINE", "1"),
        ("ACADEMICTORRENTS_FETCH", "never"),
        ("ACADEMICTORRENTS_SOURCES", "mirrors,web-seeds"),
    ] {
        project(&all_down(), node.addr()).env(name, value).error();
        assert_eq!(node.asked(), [] as [[u8; 20]; 0], "{name}");
    }
    // The same torrent, but public, is looked up.
    project(&all_down(), node.addr()).error();
    assert!(node.asked().contains(&all_down().infohash()));
    assert!(!node.asked().contains(&private.infohash()));
}

#[test]
fn named_sources_come_first() {
    let dataset = all_down();
    let peer = Peer::seeding(&dataset);
    let node = DhtNode::start(vec![vec![]]);
    let lines = format!("peers = [\"{}\"]", peer.addr());
    dataset.assert_at(&Project::of(&dataset, &lines).env(NODES, node.addr()).path_of("data"));
    assert_eq!(node.asked(), [] as [[u8; 20]; 0]);
}

#[test]
fn it_is_asked_again_while_it_knows_no_peer() {
    let dataset = all_down();
    let peer = Peer::seeding(&dataset);
    let node = DhtNode::start(vec![vec![], vec![peer.addr()]]);
    let project = project(&dataset, node.addr());
    dataset.assert_at(&project.path_of("data"));
    assert!(node.asked().len() >= 2, "{}", node.asked().len());
}

/// Declares nothing but the infohash; the catalog is down.
fn by_infohash(dataset: &Dataset, node: &DhtNode) -> Project {
    let project = Project::new(&format!("data = \"{}\"", dataset.infohash_hex()));
    project.env(NODES, node.addr())
}

#[test]
#[expect(deprecated, reason = "its other interface is asynchronous")]
fn an_infohash_alone_is_enough_where_the_dht_names_a_peer() {
    let dataset = dataset();
    let peer = Peer::seeding(&dataset);
    let network = Testnet::builder(12).build().unwrap();
    let infohash = Id::from(dataset.infohash());
    network.nodes[3].announce_peer(infohash, Some(peer.addr().port())).unwrap();
    let project = Project::new(&format!("data = \"{}\"", dataset.infohash_hex()));
    dataset.assert_at(&project.env(NODES, &network.bootstrap[0]).path_of("data"));
    assert!(!peer.stats().metadata_requests.is_empty());
    assert_eq!(peer.bytes_served(), 300_000);
}

#[test]
fn a_search_for_the_torrents_peers_is_waited_for_to_its_end() {
    let dataset = dataset();
    let peer = Peer::seeding(&dataset);
    // The first peer never provides the torrent. The node that names another peer answers slowly.
    let other = Peer::seeding(&dataset).with(Fault::NoMetadata);
    let slow = Duration::from_millis(700);
    let second = DhtNode::in_network(vec![vec![peer.addr()]], vec![], slow);
    let first = DhtNode::in_network(vec![vec![other.addr()]], vec![second.addr()], Duration::ZERO);
    let project = by_infohash(&dataset, &first).env("ACADEMICTORRENTS_TIMEOUT", "8s");
    dataset.assert_at(&project.path_of("data"));
    assert_eq!(second.asked()[0], dataset.infohash());
}

#[test]
fn a_torrent_that_turns_out_to_be_private_forgets_the_dht_and_who_was_found_there() {
    let private = dataset().private();
    let peer = Peer::seeding(&private);
    let node = DhtNode::start(vec![vec![peer.addr()]]);
    let error = by_infohash(&private, &node).error();
    assert!(error.contains("no source could provide the data"), "{error}");
    assert!(!error.contains("DHT"), "{error}");
    // One search revealed that the torrent is private, and no other search followed.
    assert_eq!(node.asked(), [private.infohash()]);
    assert!(!peer.stats().metadata_requests.is_empty());
    assert_eq!((peer.server().connections(), peer.bytes_served()), (1, 0));
    // A peer that the user names may be used.
    let named = by_infohash(&private, &node).env("ACADEMICTORRENTS_PEERS", peer.addr());
    private.assert_at(&named.path_of("data"));
    // The same torrent, but public.
    let public = dataset();
    let peer = Peer::seeding(&public);
    let node = DhtNode::start(vec![vec![peer.addr()]]);
    public.assert_at(&by_infohash(&public, &node).path_of("data"));
}

#[test]
fn it_is_not_asked_around_a_socks_proxy() {
    let node = DhtNode::start(vec![vec![]]);
    for project in [project(&all_down(), node.addr()), by_infohash(&dataset(), &node)] {
        let error = project.env("ALL_PROXY", "socks5h://127.0.0.1:9").error();
        let said = "DHT: not asked: UDP does not go through the SOCKS proxy";
        assert!(error.contains(said), "{error}");
    }
    assert_eq!(node.asked(), [] as [[u8; 20]; 0]);
}

#[test]
fn without_a_peer_for_the_torrent_an_error_says_so() {
    let node = DhtNode::start(vec![vec![]]);
    let error = by_infohash(&dataset(), &node).error();
    assert!(error.contains("peers: no peer is known\n"), "{error}");
    assert!(error.contains("DHT: knows no peers\n"), "{error}");
    assert_eq!(node.asked(), [dataset().infohash(); 3]);
}

#[test]
fn an_error_says_what_became_of_it() {
    let check = |node: &DhtNode, expected: &str| {
        let error = project(&all_down(), node.addr()).error();
        assert!(error.contains(&format!("DHT: {expected}\n")), "{error}");
        assert!(error.contains("no source could provide the data"), "{error}");
        // At most three searches for this torrent.
        assert!(node.asked().len() <= 3, "{}", node.asked().len());
    };
    check(&DhtNode::start(vec![vec![]]), "knows no peers");
    check(&DhtNode::start(vec![]), "no node answered");
    let closed = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let node = DhtNode::start(vec![vec![closed]]);
    let error = project(&all_down(), node.addr()).error();
    assert!(error.contains("DHT: returned 1 peer\n"), "{error}");
    assert!(error.contains(&format!("peer {closed}: ")), "{error}");
}

#[test]
fn what_is_no_node_is_refused() {
    let error = project(&all_down(), "127.0.0.1").error();
    assert!(error.contains(NODES) && error.contains("`127.0.0.1` has no port"), "{error}");
}

#[test]
fn a_seed_tells_the_dht_where_it_listens_and_a_bare_infohash_finds_it() {
    let dataset = dataset();
    let fixture = stocked(&dataset);
    let network = Testnet::builder(12).build().unwrap();
    let seeding =
        seed(&[], &fixture.path("store")).env(NODES, &network.bootstrap[0]).start().unwrap();
    let project = Project::new(&format!("data = \"{}\"", dataset.infohash_hex()));
    let project = project.env(NODES, &network.bootstrap[0]).env("ACADEMICTORRENTS_TIMEOUT", "20s");
    dataset.assert_at(&project.path_of("data"));
    assert_eq!(seeding.stop().unwrap(), 300_000);
}

#[test]
fn a_seed_tells_the_dht_nothing_of_a_private_torrent() {
    let (public, private) = (dataset(), dataset().private());
    let fixture = stocked(&public);
    let web_seed = WebSeed::serving(&private);
    fixture.ask(&keep(&fixture, &private)).web_seed(web_seed.url()).run().unwrap();
    let node = DhtNode::start(vec![vec![]]);
    let seeding =
        seed(&[], &fixture.path("store")).env(NODES, node.addr().to_string()).start().unwrap();
    // Both datasets are served. If the private one were announced, it would have been at the same
    // time.
    take(&private, address(&seeding)).unwrap();
    eventually("the seed announces to a DHT node", || !node.announced().is_empty());
    let port = i64::from(seeding.local_addr().port());
    drop(seeding);
    assert_eq!(node.announced(), [(public.infohash(), port)]);
    assert!(!node.asked().contains(&private.infohash()));
}

/// With the default timeout of two minutes.
#[test]
fn a_dht_that_knows_nobody_or_is_silent_does_not_hold_up_a_download_that_cannot_succeed() {
    use crate::swarm::web_seed::Fault;
    let seed = WebSeed::serving(&dataset()).with(Fault::NotFound);
    let dataset = dataset().url_list([seed.url()]);
    for answers in [vec![vec![]], vec![]] {
        let node = DhtNode::start(answers);
        let project = project(&dataset, node.addr()).env("ACADEMICTORRENTS_TIMEOUT", "");
        let begun = std::time::Instant::now();
        let error = project.error();
        assert!(error.contains("HTTP status 404"), "{error}");
        assert!(begun.elapsed() < Duration::from_secs(60), "{:?}: {error}", begun.elapsed());
        assert!(node.asked().contains(&dataset.infohash()));
    }
}

#[test]
fn the_nodes_that_a_torrent_names_are_asked() {
    let node = |address: &str, port: i64| B::list([B::bytes(address), B::Int(port)]);
    let peer = Peer::seeding(&all_down());
    let own = DhtNode::start(vec![vec![peer.addr()]]);
    let port = i64::from(own.addr().port());
    let odd = [node("", 1), node("127.0.0.1", 0), node("a b", 1), B::Int(1), B::list([])];
    let nodes = odd.into_iter().chain([node("127.0.0.1", port), node("127.0.0.1", 99_999)]);
    let dataset = all_down().outer("nodes", B::list(nodes));
    // The user's nodes are asked as well, and know no peers.
    let users = DhtNode::start(vec![vec![]]);
    dataset.assert_at(&project(&dataset, users.addr()).path_of("data"));
    assert!(own.asked().contains(&dataset.infohash()));
    // Not for a private torrent, and not if the user turned the DHT off.
    for (dataset, nodes) in
        [(dataset.clone().private(), users.addr().to_string()), (dataset, "off".to_owned())]
    {
        let before = own.asked().len();
        project(&dataset, nodes).error();
        assert_eq!(own.asked().len(), before);
    }
}
