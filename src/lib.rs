//! Academic Torrents datasets as a build-dependency: declare an infohash, use `env!("AT_MNIST_PATH")`.
//!
//! A build script calls [`build`]. It reads the datasets that the package's `Cargo.toml` declares, fetches what is
//! missing from mirrors, web seeds and peers, verifies each piece, and tells the compiler where the files are. The data
//! lies in a store that all projects of a user share, so that a dataset is fetched once, and a build that finds it
//! there opens no socket and hashes nothing.
//!
//! # Start
//!
//! ```toml
//! # Cargo.toml
//! [build-dependencies]
//! academictorrents = "0.1"
//!
//! [package.metadata.academictorrents]
//! mnist = "323a0048d87ca79b68f12a6350a57776b6a3b7fb"
//! ```
//!
//! ```no_run
//! // build.rs
//! fn main() {
//!     academictorrents::build()
//! }
//! ```
//!
//! ```text
//! // src/main.rs
//! const MNIST: &str = env!("AT_MNIST_PATH");
//! ```
//!
//! With Cargo's unstable `metabuild` there is no `build.rs`: [`metabuild`] is called.
//!
//! # The manifest
//!
//! Each entry of `[package.metadata.academictorrents]` is a dataset: `name = "<infohash>"`, or a table for more:
//!
//! ```toml
//! [package.metadata.academictorrents.mnist]
//! infohash = "323a0048d87ca79b68f12a6350a57776b6a3b7fb" # or `torrent`, or both, which then must agree; or `magnet`
//! torrent = "mnist.torrent"                  # vendored: the catalogue is not asked
//! files = ["train/**"]                       # only what these globs cover
//! mirrors = ["mirror", "https://data.example.org/at"]
//! sources = ["mirrors", "web-seeds"]         # of these and "catalogue", "peers"
//! max-size = "2GiB"                          # 1 GiB where nobody says more
//! required-features = ["large-tests"]
//! sha256 = { "train/labels.gz" = "…" }       # 64 hexadecimal digits
//! optional = true
//! ```
//!
//! More keys are `web-seeds`, `trackers`, `peers` and `store`; `[package.metadata.academictorrents.defaults]` holds
//! for all datasets. The README has a table of all keys, with types and defaults. Unknown keys are errors.
//!
//! Where neither store, mirrors nor catalogue have the `.torrent`, it comes from peers that have it: those that the environment,
//! the manifest or a magnet link name, or their trackers, or with the feature `dht` the DHT.
//!
//! # What a crate is given
//!
//! | what | meaning |
//! | --- | --- |
//! | `env!("AT_<NAME>_PATH")` | the file of a single-file torrent, else the torrent's root directory |
//! | `env!("AT_<NAME>_INFOHASH")` | 40 hexadecimal digits |
//! | `cfg(at_dataset = "name")` | the dataset is there: for optional ones, and for `include_bytes!`, which docs.rs has no file for |
//! | `OUT_DIR/datasets.rs` | for `include!`: a module per dataset |
//! | `cargo::metadata=at_<name>_path`, `at_<name>_infohash` | for the build scripts of dependents, where the crate has `links` |
//!
//! `<NAME>` is the key in capitals, with `-` as `_`. Paths are absolute, and of this machine. The files are read-only and
//! shared with other projects.
//!
//! `datasets.rs` holds `PATH`, `INFOHASH`, `FILES` and `path()` of each dataset that is there, and a constant for each file where
//! these are few:
//!
//! ```text
//! mod datasets {
//!     include!(concat!(env!("OUT_DIR"), "/datasets.rs"));
//! }
//! let labels = datasets::mnist::path().join(datasets::mnist::file::TRAIN_LABELS_GZ);
//! ```
//!
//! # Errors
//!
//! [`build`] prints a failure as `cargo::error=` lines and exits: first what failed, then why, then what to do next.
//! [`ErrorKind`] tells apart whose turn it is: the manifest's, the torrent's, the network's, the disk's. What was
//! verified before a failure is kept, and the next build goes on from there.
//!
//! [`Build::run`] gives the [`Error`] to the caller instead, and the [`Datasets`] where all went well:
//!
//! ```no_run
//! fn main() -> Result<(), academictorrents::Error> {
//!     let datasets = academictorrents::Build::new().run()?;
//!     for dataset in datasets.iter() {
//!         eprintln!("{}: {}", dataset.name(), dataset.path().display());
//!     }
//!     Ok(())
//! }
//! ```
//!
//! # At run time
//!
//! [`get`] gives the path of a dataset in the store. [`Get`] takes more: which files, more sources, a directory to fetch into,
//! whether to hash again what is there. It is the same download, outside of a build.
//!
//! [`Seed`] (feature `seed`) serves what is there to others: the one place where a port is listened on.
//!
//! # The environment
//!
//! | variable (`ACADEMICTORRENTS_…`) | meaning |
//! | --- | --- |
//! | `STORE` | absolute path of the store; else `academictorrents` in the user's cache directory |
//! | `LOAD_PATH` | stores, and directories with datasets in the torrent's own layout, that are searched before anything is fetched |
//! | `PATH_<NAME>` | a copy of this dataset: it is checked once, and used |
//! | `MIRRORS`, `PEERS` | more of them, between them commas or spaces |
//! | `SOURCES` | which kinds of source may be used |
//! | `DHT_BOOTSTRAP` | nodes of the DHT that are asked first (feature `dht`), or `off` |
//! | `MAX_SIZE` | takes the built-in limit's place, and caps the manifest's |
//! | `TIMEOUT` | give up when no source brought a byte for so long; 120 s |
//! | `UPLOAD` | bytes a second that peers are sent while something is fetched; `1MiB`, `0` for none |
//! | `FETCH` | who fetches what is missing: `always`, `local` (the default: not dependencies that Cargo brought), `never` |
//! | `OFFLINE` | open no socket; `CARGO_NET_OFFLINE` too, and on Linux cargo's `--offline` |
//! | `PROGRESS` | `auto`, `plain` or `off` |
//! | `CATALOGUE` | base URL; `https://academictorrents.com` |
//! | `API_KEY` | your account's key at the catalogue, `uid=14;pass=…`: sent to it and to nobody else |
//! | `CA_FILE` | PEM file of more root certificates; else `CARGO_HTTP_CAINFO`, `SSL_CERT_FILE` |
//!
//! Another name that begins so is an error. Where a variable is not set, `academictorrents/config.toml` in the user's configuration
//! directory may say the same. The usual proxy variables are read, and `CARGO_HTTP_PROXY` before them: an HTTP proxy, or
//! a SOCKS one (`socks5h://host:port`), which carries peers too. Under `DOCS_RS`, and when
//! rust-analyzer starts, nothing is fetched, and the
//! path is the one where the data would be.
//!
//! # Features
//!
//! `rustls` (default) and `native-tls` choose the TLS library. With `dht` the DHT names peers, too, for torrents that are not private.
//! `seed` is [`Seed`], which build scripts have no use for and need not compile. `cli` is the command `cargo academictorrents`, with both, and nothing of it is compiled for a build script.
//!
#![cfg_attr(not(feature = "seed"), doc = " [`Seed`]: #features")]
// Only what is re-exported here is public.
#![expect(
    unreachable_pub,
    reason = "the rooms are private modules, and what one room offers the others is `pub` there"
)]
#![allow(
    clippy::needless_doctest_main,
    reason = "a build script is its `main`; what clippy sees of it depends on features"
)]

#[cfg(feature = "bench")]
#[doc(hidden)]
pub mod bench;

#[cfg(not(any(feature = "rustls", feature = "native-tls")))]
compile_error!(
    "academictorrents needs one of its features `rustls` (the default) and `native-tls`"
);

mod bencode;
mod build_script;
mod context;
mod counters;
mod download;
mod error;
mod geometry;
mod get;
mod hash;
mod infohash;
mod magnet;
mod manifest;
mod metainfo;
mod nearest;
mod net;
mod pieces;
mod plan;
mod progress;
mod protocol;
mod schedule;
#[cfg(feature = "seed")]
mod seed;
mod size;
mod store;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod tools;

pub use build_script::{Build, Dataset, Datasets, build, metabuild};
pub use error::{Error, ErrorKind};
pub use get::{Get, Progress, Verify, get};
pub use infohash::Infohash;
#[cfg(feature = "seed")]
pub use seed::{Seed, SeedNote, SeededDataset, Seeding, StopHandle};

/// The README's examples are documentation tests too.
#[cfg(all(doctest, feature = "seed"))]
#[doc = include_str!("../README.md")]
struct Readme;
