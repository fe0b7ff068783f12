//! Uploads to peers, their rate limit, and peer exchange (PEX).

pub mod manager;
pub mod pex_registry;
pub mod serving;
