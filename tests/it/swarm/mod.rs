//! The test swarm: datasets, and the servers that a download contacts, on loopback.
//!
//! | file | contents |
//! | --- | --- |
//! | `dataset` | a generated torrent and its bytes |
//! | `web_seed` | an HTTP server with the dataset's files (BEP 19) |
//! | `peer` | a seeder that may also leech (BEP 3, 6, 9, 10, 11, 21, 54) |
//! | `tracker`, `udp_tracker` | HTTP and UDP trackers (BEP 3, 7, 15, 23) |
//! | `dht` | a DHT node (BEP 5) that knows every peer |
//! | `catalogue` | .torrents, `/database.xml` and records, at the paths of Academic Torrents |
//! | `socks` | a SOCKS 5 proxy (RFC 1928, 1929) |
//! | `silent` | addresses that never answer |
//! | `tls` | a TLS front for any of the servers |
//! | `http`, `server`, `wire`, `bencode`, `coverage` | building blocks |
//!
//! The swarm shares no code with the crate under test: it has its own bencode, wire messages and
//! percent-decoding, so that a mistake cannot cancel itself out. Faults exist here and never in
//! `src/`: each server has a `Fault` enum, set at the start (`with`) or while it runs (`fault`;
//! `mend` ends all faults).
//!
//! Servers bind `127.0.0.1:0`, so tests can run in parallel. Dropping a server joins its threads,
//! and a panic in one of them fails the test (neither holds for `tls`). Servers count bytes just
//! before they write the bytes: a client that has received them finds them counted, but a client
//! that hung up may not have received them all.

#![allow(dead_code, reason = "each test uses only a part of the swarm")]
#![allow(unreachable_pub, reason = "a test crate exports nothing; `pub` marks the swarm's own API")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test code")]

pub mod bencode;
pub mod catalogue;
pub mod coverage;
pub mod dataset;
pub mod dht;
pub mod http;
pub mod http_proxy;
pub mod peer;
pub mod server;
pub mod silent;
pub mod socks;
pub mod tls;
pub mod tracker;
pub mod udp_tracker;
pub mod web_seed;
pub mod wire;

mod selftest;

pub use catalogue::Catalogue;
pub use dataset::{Dataset, random_bytes};
pub use http_proxy::HttpProxy;
pub use peer::Peer;
pub use silent::Silent;
pub use socks::SocksProxy;
pub use tls::TlsFront;
pub use tracker::Tracker;
pub use udp_tracker::UdpTracker;
pub use web_seed::WebSeed;

/// Waits until `condition` holds, and panics after a minute. For events in other threads, such as a
/// server that notices a closed connection.
#[track_caller]
pub fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while !condition() {
        assert!(std::time::Instant::now() < deadline, "did not happen within a minute: {what}");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
}
