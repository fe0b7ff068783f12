//! Internal to [`academictorrents`](https://docs.rs/academictorrents): the modules below its sockets and files. Anything here may
//! change in any release, and `academictorrents` requires the exact version.
//!
//! Nothing here opens a socket, changes a file, starts a thread or prints: settings and manifests, torrents, the selection of
//! files and their layout, protocol codecs, the choice of a source for each piece, and decoders of archives. It is a package of
//! its own because it compiles while rustls and ureq do: see docs/internals/decisions.md in the repository.
#![allow(missing_docs, reason = "not an API; items that academictorrents exports set `warn` again")]
#![expect(unreachable_pub, reason = "`pub` marks items that other modules or academictorrents use")]

pub mod address;
pub mod error;
#[cfg(all(any(fuzzing, test, feature = "fuzz"), feature = "fetch"))]
pub mod fuzz;
pub mod hash;
pub mod manifest;
pub mod mutex;
pub mod origin;
#[cfg(feature = "fetch")]
pub mod picker;
pub mod plan;
#[cfg(feature = "fetch")]
pub mod protocol;
pub mod settings;
pub mod size;
pub mod suggest;
#[cfg(test)]
mod tests;
pub mod torrent;
#[cfg(feature = "unpack")]
pub mod unpack;
pub mod url;

pub use error::{Error, ErrorKind};
pub use torrent::infohash::Infohash;
