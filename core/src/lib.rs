//! Internal to [`academictorrents`](https://docs.rs/academictorrents): what its build scripts read, decide and speak.
//! Anything here may change in any release, and `academictorrents` requires the exact version.
//!
//! Everything that opens no socket and changes no file is here: settings and manifests, torrents, the choice of files and
//! their layout, the codecs of protocols, the decision which source provides which piece, and the decoders of archives. It
//! is a package of its own because it compiles while rustls and ureq do: see docs/internals/decisions.md of the repository.
#![allow(missing_docs, reason = "not an API: what academictorrents exports of it is documented")]
#![expect(unreachable_pub, reason = "`pub` marks items that other modules or academictorrents use")]

pub mod address;
pub mod error;
#[cfg(all(any(fuzzing, test, feature = "fuzz"), feature = "fetch"))]
pub mod fuzz;
pub mod hash;
pub mod manifest;
pub mod origin;
#[cfg(feature = "fetch")]
pub mod picker;
pub mod plan;
#[cfg(feature = "fetch")]
pub mod protocol;
pub mod settings;
pub mod size;
pub mod suggest;
pub mod torrent;
#[cfg(feature = "unpack")]
pub mod unpack;
pub mod url;

pub use error::{Error, ErrorKind};
pub use torrent::infohash::Infohash;
