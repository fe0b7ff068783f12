//! Academic Torrents datasets as a build-dependency.

// The API between rooms is `pub` in private modules; only what is re-exported here is public.
#![allow(
    unreachable_pub,
    reason = "the rooms are private modules, and what one room offers the others is `pub` there"
)]

mod bencode;
mod build_script;
mod context;
mod counters;
mod download;
mod error;
mod geometry;
mod hash;
mod infohash;
mod manifest;
mod metainfo;
mod net;
mod plan;
mod progress;
mod protocol;
mod schedule;
mod size;
mod store;

pub use build_script::{Build, Dataset, Datasets, build};
pub use error::{Error, ErrorKind};
pub use infohash::Infohash;
