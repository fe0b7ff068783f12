//! The engine turns a request into a dataset on disk. It alone coordinates whatever waits for the
//! network, the disk or a lock.
//!
//! [`provide_all`] serves the datasets of a build side by side. The modules are layers; each uses
//! only those listed before it:
//!
//! - [`upload`]: which peers are served, and which peers are reported to others by PEX
//! - [`announce`]: trackers and the DHT
//! - [`sources`]: workers for web seeds, directories and peers, and their management
//! - [`mod@resolve`]: finds the torrent of a request
//! - [`job`]: one dataset, from the check of what is on disk to its publication
//! - [`seed`]: datasets that are served to others
//! - `command`: what the command line does beyond the API
//!
//! Threads: a coordinator per dataset; workers in one rayon pool, one connection each ([`budget`]);
//! a few detached threads that announce to trackers and search the DHT ([`announce::scheduler`]).
//! Files are hashed by the thread that needs them and by helpers (`storage/parallel.rs`).
//! [`sources::swarm`] holds what the workers share; [`crate::picker`] decides who fetches what next.
//!
//! The feature `engine` opens this module to the command line. It is not part of the API.

#[cfg(feature = "fetch")]
pub mod announce;
#[cfg(feature = "bench")]
pub mod bench;
#[cfg(feature = "fetch")]
pub mod budget;
#[cfg(feature = "engine")]
mod command;
#[cfg(feature = "fetch")]
pub mod connection_limiter;
pub mod dataset;
pub mod fetch_policy;
pub mod job;
#[cfg(feature = "fetch")]
pub mod local_peer;
#[cfg(feature = "fetch")]
pub mod network_share;
#[cfg(feature = "fetch")]
pub mod report;
pub mod resolve;
#[cfg(feature = "seed")]
pub mod seed;
pub mod session;
#[cfg(feature = "fetch")]
pub mod sources;
pub mod stop;
#[cfg(feature = "fetch")]
#[cfg(test)]
mod tests;
#[cfg(feature = "fetch")]
pub mod thread;
#[cfg(feature = "fetch")]
pub mod upload;

#[cfg(feature = "engine")]
pub use command::*;
pub use dataset::{Dataset, DatasetFile, Provided};
pub use job::elsewhere::may_lie_elsewhere;
#[cfg(feature = "engine")]
pub use job::present::hashed;
#[cfg(not(feature = "unpack"))]
pub use job::present::would_be;
pub use job::provide::{present, provide_all};
#[cfg(feature = "unpack")]
pub use job::tree::would_be;
pub use resolve::read_torrent;
#[cfg(feature = "engine")]
pub use seed::SeedRequests;
#[cfg(feature = "seed")]
pub use seed::{SeedNote, SeedTask, SeededDataset, Seeding};
pub use session::Session;
pub use stop::StopHandle;
