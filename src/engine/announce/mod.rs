//! Announcing to trackers and the DHT, and receiving peers from them.

pub mod announcer;
#[cfg(feature = "dht")]
pub mod dht;
pub mod scheduler;
pub mod target;
pub mod tier;
