//! Hosts with two addresses, of which the IPv6 address never answers, in a network namespace with
//! its own host names.

use std::ffi::OsStr;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use crate::harness::Trial;
use crate::namespace::{self, NAMESPACES};
use crate::program::Tool;
use crate::support::Project;
use crate::swarm::{Catalogue, Dataset, Peer, WebSeed, random_bytes};

static IP: Tool = Tool::debian("ip", "Debian: iproute2");

const NAME: &str = "two.test";
const HOLE: &str = "2001:db8::1";

/// What the unreachable address may cost a build, over all of its connections.
const MOST: Duration = Duration::from_millis(500);

pub fn trials() -> Vec<Trial> {
    let names = ["web_seed", "catalogue", "peer"];
    let trial = |name: &str| {
        let what = name.to_owned();
        Trial::new(format!("black_hole::{name}"), &[&NAMESPACES, &IP], move || in_namespace(&what))
    };
    names.into_iter().map(trial).collect()
}

fn in_namespace(trial: &str) {
    let home = tempfile::tempdir().unwrap();
    let hosts = home.path().join("hosts");
    std::fs::write(&hosts, format!("{HOLE} {NAME}\n127.0.0.1 {NAME} localhost\n")).unwrap();
    let set_up = "ip link set lo up && ip -6 addr add \"$1\"/128 dev lo nodad && mount --bind \"$2\" /etc/hosts";
    namespace::run(&format!("black_hole::{trial}"), set_up, &[OsStr::new(HOLE), hosts.as_os_str()]);
}

/// Runs a trial inside the namespace.
pub fn inside(trial: &str) {
    match trial {
        "black_hole::web_seed" => web_seed(),
        "black_hole::catalogue" => catalogue(),
        _ => peer(),
    }
}

/// A port whose connections are never answered, because the listener's backlog is full.
struct Hole(#[expect(dead_code, reason = "held")] TcpListener, Vec<TcpStream>);

impl Hole {
    fn beside(server: SocketAddr) -> Hole {
        let listener = TcpListener::bind((HOLE, server.port())).unwrap();
        let address = listener.local_addr().unwrap();
        let mut hole = Hole(listener, Vec::new());
        while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
            hole.1.push(stream);
            assert!(hole.1.len() < 10_000);
        }
        hole
    }
}

/// Compares builds that use the IPv4 address with builds that use the name. The best of three, so
/// that a moment's load has no effect.
fn compare(server: SocketAddr, build: impl Fn(&str)) {
    let _hole = Hole::beside(server);
    let best = |host: &str| {
        let took = (0..3).map(|_| {
            let begun = Instant::now();
            build(&format!("{host}:{}", server.port()));
            begun.elapsed()
        });
        took.min().unwrap()
    };
    let (direct, named) = (best("127.0.0.1"), best(NAME));
    assert!(named < direct + MOST, "{named:?}, and {direct:?} without the hole");
}

fn dataset() -> Dataset {
    let dataset = Dataset::single("data.bin", random_bytes(1, 9 << 20)).piece_length(256 << 10);
    dataset.stream();
    dataset
}

fn project(dataset: &Dataset, lines: &str) -> Project {
    Project::of(dataset, lines).env("ACADEMICTORRENTS_TIMEOUT", "120s")
}

/// Several connections to one server.
fn web_seed() {
    let dataset = dataset();
    let seed = WebSeed::serving(&dataset);
    let server = seed.http().server().addr();
    compare(server, |place| {
        let url = seed.url().replace(&server.to_string(), place);
        dataset.assert_at(&project(&dataset, &format!("web-seeds = [\"{url}\"]")).path_of("data"));
    });
}

/// First the .torrent, then the data.
fn catalogue() {
    let dataset = dataset();
    let seed = WebSeed::serving(&dataset);
    let url = seed.url();
    let served = dataset.clone().url_list([&url]);
    let catalogue = Catalogue::serving(&[&served]);
    let server = catalogue.http().server().addr();
    compare(server, |place| {
        let project = Project::new(&format!("data = \"{}\"", dataset.infohash_hex()))
            .env("ACADEMICTORRENTS_TIMEOUT", "120s")
            .env("ACADEMICTORRENTS_PRIVATE_HOSTS", "127.0.0.1")
            .env("ACADEMICTORRENTS_CATALOGUE", format!("http://{place}"));
        dataset.assert_at(&project.path_of("data"));
    });
}

fn peer() {
    let dataset = dataset();
    let peer = Peer::seeding(&dataset);
    compare(peer.addr(), |place| {
        dataset.assert_at(&project(&dataset, &format!("peers = [\"{place}\"]")).path_of("data"));
    });
}
