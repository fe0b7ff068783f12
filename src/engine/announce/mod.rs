//! Announcing to trackers and the DHT, and receiving peers from them.

pub mod announcer;
#[cfg(feature = "dht")]
pub mod dht;
pub mod scheduler;
pub mod target;
pub mod tier;

fn peers(count: usize) -> String {
    format!("{count} peer{}", if count == 1 { "" } else { "s" })
}
