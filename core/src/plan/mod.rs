//! Plans a download: which bytes of a torrent a request needs, where they are stored, which sources
//! may provide them, and whether the size is within the limit.
//!
//! Performs no I/O. [`Selection`] resolves the manifest's globs or a magnet link's file numbers;
//! [`Layout`] maps each needed byte of the torrent's stream to its place on disk; [`Limit`] rejects
//! a download before its first byte; `sources` orders the sources, with those of the user and the
//! manifest first.

mod disabled_sources;
mod layout;
pub mod limit;
mod links;
mod mirrors;
mod selection;
mod sorted;
#[cfg(feature = "fetch")]
mod sources;
#[cfg(test)]
mod tests;

pub use disabled_sources::DisabledSources;
pub use layout::{Layout, PlacedFile, Segment, SegmentPlace, of_other_files};
pub use limit::Limit;
#[cfg(feature = "unpack")]
pub use limit::{ENTRY_BYTES, MAX_ENTRIES};
pub use links::SelectedLink;
#[cfg(feature = "unpack")]
pub use links::{LinkFault, LinkTree};
pub use mirrors::{check_named, metainfo_mirrors};
pub use selection::Selection;
#[cfg(feature = "engine")]
pub use selection::unsupported;
pub use sorted::SortedPaths;
#[cfg(feature = "dht")]
pub use sources::allows_dht;
#[cfg(feature = "seed")]
pub use sources::seed_tiers;
#[cfg(all(feature = "fetch", not(feature = "dht")))]
pub use sources::without_dht;
#[cfg(feature = "fetch")]
pub use sources::{
    NamedTiers, Rank, SourceKind, SourceSpec, default_sources, default_tiers, further_sources,
    metainfo_peers, metainfo_tiers, sources, user_places,
};
