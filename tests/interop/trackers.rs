//! Trackers over HTTP and UDP: Debian's opentracker, which serves only the torrents on its list,
//! and npm's bittorrent-tracker, which serves all.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::program::{Program, Tool, in_node, listens};
use crate::swarm::Dataset;

pub static OPENTRACKER: Tool = Tool::debian("opentracker", "Debian: opentracker");

pub static BITTORRENT_TRACKER: Tool =
    Tool::node("bittorrent-tracker", "npm ci --ignore-scripts in tests/interop/node");

pub struct Tracker {
    program: Program,
    infohash: [u8; 20],
}

/// What the tracker knows about the torrent (BEP 48).
#[derive(Debug, PartialEq, Eq)]
pub struct Scrape {
    /// Peers that have all pieces.
    pub complete: u64,
    /// Announces of a completed download.
    pub downloaded: u64,
    /// Peers that lack pieces.
    pub incomplete: u64,
}

impl Tracker {
    /// An opentracker for this torrent. The dataset may name the tracker later: the announce URL is
    /// not part of the infohash.
    #[track_caller]
    pub fn opentracker(dataset: &Dataset) -> Tracker {
        Tracker::opentracker_on(dataset, "127.0.0.1")
    }

    /// An opentracker that listens on this address, which must include loopback.
    #[track_caller]
    pub fn opentracker_on(dataset: &Dataset, address: &str) -> Tracker {
        let list = format!("{}\n", dataset.infohash_hex());
        let program = Program::start(
            &OPENTRACKER,
            |home, port| {
                let_everybody_in(home);
                fs::write(home.join("list"), &list).unwrap();
                let port = port.to_string();
                let mut command = OPENTRACKER.command(home);
                // Without `-P`, it would serve UDP on its default port, on all addresses.
                command.args(["-i", address, "-p", &port, "-P", &port, "-w", "list"]);
                command.arg("-d").arg(home);
                command
            },
            listens,
        );
        Tracker { program, infohash: dataset.infohash() }
    }

    /// A bittorrent-tracker for this torrent.
    #[track_caller]
    pub fn bittorrent_tracker(dataset: &Dataset) -> Tracker {
        let command = |home: &Path, port: u16| {
            let mut command = BITTORRENT_TRACKER.command(home);
            command.arg(in_node("tracker.mjs")).arg(port.to_string());
            command
        };
        let program = Program::start(&BITTORRENT_TRACKER, command, listens);
        Tracker { program, infohash: dataset.infohash() }
    }

    pub fn http_url(&self) -> String {
        format!("http://{}/announce", self.program.address())
    }

    /// The UDP URL, with the same port.
    pub fn udp_url(&self) -> String {
        format!("udp://{}/announce", self.program.address())
    }

    /// The URL under which the tracker sees its clients at this address of the machine.
    pub fn http_url_at(&self, address: std::net::IpAddr) -> String {
        format!("http://{address}:{}/announce", self.program.address().port())
    }

    /// Waits until a scrape satisfies the condition: clients choose when they announce.
    #[track_caller]
    pub fn wait_for(&self, what: &str, is_so: impl Fn(&Scrape) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let scrape = self.scrape();
            if is_so(&scrape) {
                return;
            }
            assert!(Instant::now() < deadline, "not within a minute: {what}; {scrape:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    #[track_caller]
    fn scrape(&self) -> Scrape {
        let infohash: String = self.infohash.iter().map(|byte| format!("%{byte:02x}")).collect();
        let mut stream = TcpStream::connect(self.program.address()).unwrap();
        write!(stream, "GET /scrape?info_hash={infohash} HTTP/1.0\r\n\r\n").unwrap();
        let mut reply = Vec::new();
        stream.read_to_end(&mut reply).unwrap();
        let reply = String::from_utf8_lossy(&reply);
        // A torrent that nobody has announced is missing from the reply.
        let count = |key: &str| {
            let value =
                reply.split_once(&format!("{}:{key}i", key.len())).map_or("0e", |(_, it)| it);
            let digits = value.split('e').next().unwrap();
            digits.parse().unwrap_or_else(|_| panic!("`{key}` in {reply:?}"))
        };
        Scrape {
            complete: count("complete"),
            downloaded: count("downloaded"),
            incomplete: count("incomplete"),
        }
    }
}

/// As root, opentracker changes its root to this directory and its user to nobody.
fn let_everybody_in(home: &Path) {
    #[cfg(unix)]
    fs::set_permissions(home, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    #[cfg(not(unix))]
    let _ = home; // opentracker does not run there
}
