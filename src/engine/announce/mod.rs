//! Trackers and the DHT: who is told of a torrent, when, and which peers they name.

pub mod announcer;
#[cfg(feature = "dht")]
pub mod dht;
pub mod scheduler;
pub mod target;
pub mod tier;
