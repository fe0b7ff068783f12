//! Extensions of the peer protocol beyond BEP 3.

use std::time::Duration;

use crate::support::Project;
use crate::swarm::peer::Fault;
use crate::swarm::tracker::compact_peer;
use crate::swarm::{Dataset, Peer, Tracker, eventually, random_bytes, wire};

/// A dataset with this number of pieces, each of two blocks.
pub fn pieces(count: usize) -> Dataset {
    Dataset::single("data.bin", random_bytes(1, count * 32_768))
}

/// A crate whose only sources are these peers.
pub fn project(dataset: &Dataset, peers: &[&Peer]) -> Project {
    let named = peers.iter().map(|peer| format!("\"{}\"", peer.addr())).collect::<Vec<_>>();
    Project::of(dataset, &format!("peers = [{}]", named.join(", ")))
}

#[test]
fn a_peer_with_the_fast_extension_and_all_none_or_some_pieces() {
    let dataset = pieces(20);
    let none = Peer::seeding(&dataset).pieces(0..0).fast();
    let some = Peer::seeding(&dataset).pieces(0..5).fast();
    let all = Peer::seeding(&dataset).fast();
    dataset.assert_at(&project(&dataset, &[&none, &some, &all]).path_of("data"));
    assert_eq!(none.bytes_served(), 0);
    for peer in [none, some, all] {
        let stats = peer.stats();
        assert!(stats.handshakes[0].fast(), "{stats:?}");
        assert_eq!(stats.bad_requests, []);
    }
}

#[test]
fn a_choke_that_rejects_what_was_asked_for_costs_nothing() {
    let dataset = pieces(40);
    let peer = Peer::seeding(&dataset).fast().with(Fault::ChokeAfter(10));
    dataset.assert_at(&project(&dataset, &[&peer]).path_of("data"));
    let stats = peer.stats();
    assert!(!stats.rejected.is_empty());
    assert_eq!((stats.blocks_sent, peer.bytes_served()), (80, 40 * 32_768));
}

#[test]
fn what_one_peer_rejects_another_is_asked_for_at_once() {
    let dataset = pieces(2);
    // `refuses` has both pieces and rejects piece 1, which only `other` serves.
    let refuses = Peer::seeding(&dataset).fast().with(Fault::RejectPiece(1));
    let other = Peer::seeding(&dataset).pieces(1..2);
    let project = project(&dataset, &[&refuses, &other]).env("ACADEMICTORRENTS_TIMEOUT", "300s");
    let begun = std::time::Instant::now();
    dataset.assert_at(&project.path_of("data"));
    // Far below any silence timeout.
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
    assert_eq!((refuses.bytes_served(), other.bytes_served()), (32_768, 32_768));
}

#[test]
fn a_peer_that_rejects_is_asked_again_later_and_not_all_the_time() {
    let dataset = pieces(2);
    let peer = Peer::seeding(&dataset).fast().with(Fault::RejectPiece(1));
    let project = project(&dataset, &[&peer]).env("ACADEMICTORRENTS_TIMEOUT", "9s");
    std::thread::scope(|scope| {
        let build = scope.spawn(|| project.path_of("data"));
        crate::swarm::eventually("the peer was asked again", || peer.stats().rejected.len() >= 6);
        peer.mend();
        dataset.assert_at(&build.join().unwrap());
    });
    // Two blocks per attempt, with a pause of 300 ms between attempts.
    assert!(peer.stats().rejected.len() < 40, "{}", peer.stats().rejected.len());
}

#[test]
fn allowed_pieces_are_fetched_from_a_peer_that_never_unchokes() {
    let dataset = pieces(3);
    let peer = Peer::seeding(&dataset).allowing(&[0, 2, 1]).with(Fault::NeverUnchoke);
    dataset.assert_at(&project(&dataset, &[&peer]).path_of("data"));
    let stats = peer.stats();
    assert_eq!((stats.blocks_sent, stats.rejected.len()), (6, 0));
    assert_eq!(stats.received.get(&wire::CANCEL), None);
}

#[test]
fn a_piece_that_a_peer_has_no_more_comes_from_another() {
    let dataset = pieces(10);
    for fast in [false, true] {
        let lost = Peer::seeding(&dataset).with(Fault::LostPiece(3));
        let lost = if fast { lost.fast() } else { lost };
        let other =
            Peer::seeding(&dataset).pieces(3..4).with(Fault::Slow { bytes_per_second: 1 << 17 });
        let project = project(&dataset, &[&lost, &other]).env("ACADEMICTORRENTS_TIMEOUT", "300s");
        let begun = std::time::Instant::now();
        dataset.assert_at(&project.path_of("data"));
        // Far below any silence timeout: nothing waits for the lost piece.
        assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
        assert_eq!((lost.bytes_served(), other.bytes_served()), (9 * 32_768, 32_768));
    }
}

#[test]
fn we_say_who_we_are_in_one_way() {
    let dataset = pieces(1);
    let peer = Peer::seeding(&dataset);
    let tracker = Tracker::start(vec![peer.addr()]);
    let dataset = dataset.announce(&tracker.url());
    dataset.assert_at(&Project::of(&dataset, "").path_of("data"));
    let version = env!("CARGO_PKG_VERSION");
    let client = format!("academictorrents-rs/{version}");
    let stats = peer.stats();
    assert_eq!(stats.extended_handshakes[0].bytes_at("v"), Some(client.as_bytes()));
    let id = format!("-AD{}0-", version.replace('.', ""));
    assert!(stats.handshakes[0].peer_id.starts_with(id.as_bytes()), "{stats:?}");
    let announced = tracker.announces();
    assert!(announced.iter().all(|it| it.peer_id == stats.handshakes[0].peer_id));
    let requests = tracker.http().requests();
    let with_contact = format!("{client} (+https://");
    let agents = requests.iter().map(|it| it.header("user-agent"));
    assert!(agents.flatten().all(|agent| agent.starts_with(&with_contact)), "{requests:?}");
}

#[test]
fn a_peer_names_the_only_one_that_has_the_rest() {
    let dataset = pieces(10);
    let rest = Peer::seeding(&dataset).pieces(5..10);
    let first = Peer::seeding(&dataset).pieces(0..5).naming(&[rest.addr()]);
    dataset.assert_at(&project(&dataset, &[&first]).path_of("data"));
    assert_eq!((first.bytes_served(), rest.bytes_served()), (5 * 32_768, 5 * 32_768));
    let offered = &first.stats().extended_handshakes[0];
    assert_eq!(offered.at("m").and_then(|ids| ids.int_at("ut_pex")), Some(1));
}

#[test]
fn a_private_torrent_neither_asks_for_peers_of_peers_nor_hears_of_them() {
    let dataset = pieces(10).private();
    let rest = Peer::seeding(&dataset).pieces(5..10);
    let first = Peer::seeding(&dataset).pieces(0..5).naming(&[rest.addr()]);
    let project = project(&dataset, &[&first]).env("ACADEMICTORRENTS_TIMEOUT", "1s");
    let error = project.error();
    assert!(error.contains("160.0 KiB are missing"), "{error}");
    assert_eq!((first.bytes_served(), rest.server().connections()), (5 * 32_768, 0));
    for said in first.stats().extended_handshakes {
        let ids = said.at("m").unwrap();
        assert_eq!(ids.int_at("ut_pex"), None);
        assert!(ids.int_at("lt_donthave").is_some());
    }
}

#[test]
fn who_is_named_by_a_peer_of_the_users_waits_until_that_does_not_suffice() {
    let dataset = pieces(10);
    let other = Peer::seeding(&dataset);
    let named = Peer::seeding(&dataset).naming(&[other.addr()]);
    dataset.assert_at(&project(&dataset, &[&named]).path_of("data"));
    assert_eq!((named.bytes_served(), other.server().connections()), (10 * 32_768, 0));
}

#[test]
fn connected_peers_are_told_of_one_another_who_take_that_but_never_of_a_private_torrents() {
    let slow = |dataset: &Dataset| {
        let peer = Peer::seeding(dataset).with(Fault::Slow { bytes_per_second: 60_000 });
        peer.hearing()
    };
    let (private, public) = (pieces(30).private(), pieces(30));
    let secret = [slow(&private), slow(&private)];
    let open = [slow(&public), slow(&public).pieces(0..20)];
    let deaf = Peer::seeding(&public).with(Fault::Slow { bytes_per_second: 60_000 });
    std::thread::scope(|scope| {
        let secretly = scope.spawn(|| {
            dataset_at(&project(&private, &[&secret[0], &secret[1]]), &private);
        });
        eventually("all peers of the private torrent are connected", || {
            secret.iter().all(|peer| !peer.stats().extended_handshakes.is_empty())
        });
        let openly = scope.spawn(|| {
            dataset_at(&project(&public, &[&open[0], &open[1], &deaf]), &public);
        });
        eventually("both public peers receive peer exchange messages", || {
            open.iter().all(|peer| !peer.stats().told.is_empty())
        });
        secret.iter().chain(&open).chain([&deaf]).for_each(Peer::mend);
        secretly.join().unwrap();
        openly.join().unwrap();
    });
    // PEX messages list other connected peers, with flags for seeds and for peers that we could
    // reach.
    let told = |peer: &Peer, others: [(&Peer, u8); 2]| {
        let said = &peer.stats().told[0];
        let addresses = said.bytes_at("added").unwrap().chunks(6);
        let added: Vec<_> = addresses.zip(said.bytes_at("added.f").unwrap()).collect();
        let others = others.map(|(peer, flags)| (compact_peer(&peer.addr()), flags));
        assert!(!added.is_empty());
        for (address, flags) in added {
            assert!(others.contains(&(address.to_vec(), *flags)), "{said:?}");
        }
    };
    told(&open[0], [(&open[1], 0x10), (&deaf, 0x12)]);
    told(&open[1], [(&open[0], 0x12), (&deaf, 0x12)]);
    for peer in secret.iter().chain([&deaf]) {
        let stats = peer.stats();
        assert_eq!(stats.told, []);
        // The only extension message of each connection is the handshake.
        let handshakes = stats.extended_handshakes.len();
        assert_eq!(stats.received.get(&wire::EXTENDED), Some(&handshakes));
    }
    assert!(open.iter().all(|peer| peer.stats().told.len() <= peer.server().connections()));
}

fn dataset_at(project: &Project, dataset: &Dataset) {
    dataset.assert_at(&project.path_of("data"));
}
