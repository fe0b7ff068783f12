//! The test swarm: datasets, and the servers that a fetch meets, on loopback.
//!
//! | file | what it is |
//! | --- | --- |
//! | `dataset` | a torrent and its bytes, made in the test |
//! | `web_seed` | an HTTP server with the dataset's files (BEP 19) |
//! | `peer` | a seeder that may leech too (BEP 3, 6, 9, 10, 11, 21, 54) |
//! | `tracker`, `udp_tracker` | where the peers are (BEP 3, 7, 15, 23) |
//! | `dht` | a node that is the whole DHT (BEP 5) |
//! | `catalogue` | `/download/<infohash>.torrent`, `/database.xml` and records, as Academic Torrents has them |
//! | `socks` | a SOCKS 5 proxy in between (RFC 1928, 1929) |
//! | `silent` | addresses where nobody answers |
//! | `tls` | TLS in front of any of them |
//! | `http`, `server`, `wire`, `bencode`, `coverage` | what these are made of |
//!
//! The swarm uses nothing of the crate under test: its bencode, its wire messages and its percent
//! decoding are its own, so that a mistake made twice in the same way cannot pass. Faults live
//! here and never in `src/`: each server has a `Fault` enum, given at the start (`with`) or while it
//! runs (`fault`, and `mend` to end them).
//!
//! Servers bind `127.0.0.1:0`, so tests run side by side, and end with their threads on `Drop`. A
//! server that panics fails the test that holds it. What a server counts as served it counts just
//! before it writes: a client that has the bytes finds them counted, and one that hung up may not
//! have had all of them.

#![allow(dead_code, reason = "no single test uses all that the swarm can do")]
#![allow(unreachable_pub, reason = "a test crate has no outside; `pub` marks the swarm's own API")]
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

/// Waits until `condition` holds, and fails the test where it does not within a minute: for what
/// another thread is about to do, such as a server's noticing that its client has gone.
#[track_caller]
pub fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while !condition() {
        assert!(std::time::Instant::now() < deadline, "did not happen within a minute: {what}");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
}
