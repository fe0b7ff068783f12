//! Academic Torrents datasets as a build-dependency: declare an infohash, use `env!("AT_MNIST_PATH")`.
//!
//! A build script calls [`build`]. It reads the datasets that the package's `Cargo.toml` declares, downloads what is
//! missing from mirrors, web seeds and peers, verifies each piece, and passes the paths of the files to the compiler.
//! All projects of a user share a store: a dataset is downloaded once, and a build that finds its data there opens no
//! socket and hashes nothing.
//!
//! [`guide`] explains everything, from [getting started](guide::getting_started) to [troubleshooting](guide::troubleshooting).
//!
//! # Start
//!
//! ```toml
//! # Cargo.toml
//! [build-dependencies]
//! academictorrents = "0.1"
//!
//! [package.metadata.academictorrents]
//! mnist = "ce990b28668abf16480b8b906640a6cd7e3b8b21"
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
//! With Cargo's unstable `metabuild` feature, which calls [`metabuild`], no `build.rs` is needed.
//!
//! # Manifest
//!
//! Each entry of `[package.metadata.academictorrents]` is a dataset: `name = "<infohash>"`, or a table:
//!
//! ```toml
//! [package.metadata.academictorrents.mnist]
//! infohash = "ce990b28668abf16480b8b906640a6cd7e3b8b21" # or `torrent`, or both, or `magnet`
//! torrent = "mnist.torrent"                  # vendored: the catalog is not asked
//! files = ["train-*"]                        # only the files that match these globs
//! mirrors = ["mirror", "https://data.example.org/at"]
//! sources = ["mirrors", "web-seeds"]         # of these, "catalogue" and "peers"
//! max-size = "2GiB"                          # default: 1 GiB
//! required-features = ["large-tests"]
//! sha256 = { "train-labels-idx1-ubyte.gz" = "…" } # 64 hexadecimal digits
//! unpack = true                              # feature `unpack`
//! optional = true
//! ```
//!
//! Other keys are `web-seeds`, `trackers`, `peers`, `rename` and `store`. `[package.metadata.academictorrents.defaults]` sets keys
//! for all datasets. [The reference](crate::guide::reference::manifest) lists all keys with types and defaults. Unknown keys are errors.
//!
//! If neither the store, the mirrors nor the catalog has the `.torrent`, it is downloaded from peers: those named by the
//! environment, the manifest or a magnet link, by trackers, or, with the feature `dht`, by the DHT.
//!
//! # What a crate gets
//!
//! | what | meaning |
//! | --- | --- |
//! | `env!("AT_<NAME>_PATH")` | the file of a single-file torrent, otherwise the torrent's root directory |
//! | `env!("AT_<NAME>_ARCHIVE")` | for a dataset that is unpacked, what the path would be without that |
//! | `env!("AT_<NAME>_INFOHASH")` | 40 hexadecimal digits |
//! | `cfg(at_dataset = "name")` | set if the dataset is there: for optional datasets, and for `include_bytes!`, which fails on docs.rs |
//! | `OUT_DIR/datasets.rs` | for `include!`: a module per dataset |
//! | `cargo::metadata=at_<name>_path`, `at_<name>_infohash` | for the build scripts of dependents, if the crate has a `links` key |
//!
//! `<NAME>` is the key in upper case, with `_` for `-`. Paths are absolute and valid on this machine. The files are read-only
//! and shared with other projects.
//!
//! `datasets.rs` contains `PATH`, `INFOHASH`, `FILES` and `path()` for each dataset that is there, and a constant for each
//! file if there are at most 100:
//!
//! ```text
//! mod datasets {
//!     include!(concat!(env!("OUT_DIR"), "/datasets.rs"));
//! }
//! let labels = datasets::mnist::path().join(datasets::mnist::file::TRAIN_LABELS_IDX1_UBYTE_GZ);
//! ```
//!
//! # Errors
//!
//! [`build`] prints a failure as `cargo::error=` lines and exits: first what failed, then why, then what to do next.
//! [`ErrorKind`] says what the failure is about: the manifest, the torrent, the network, the disk and so on. Data that was
//! verified before a failure is kept, and the next build resumes.
//!
//! [`Build::run`] returns the [`Datasets`], or the [`Error`], instead:
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
//! # Run time
//!
//! [`get`] returns the path of a dataset in the store. [`Get`] has options: which files, additional sources, a
//! directory to download to, whether to hash existing data again. It downloads as a build does, without Cargo.
//! [`Get::fetch`] returns the list of files, [`Get::on_progress`] reports progress to a function, and a [`StopHandle`]
//! stops a download.
//!
//! [`Seed`] (feature `seed`) serves datasets to others. Nothing else in this crate listens on a port.
//!
//! # Environment
//!
//! Variables that begin with `ACADEMICTORRENTS_` say where data is (`STORE`, `LOAD_PATH`, `PATH_<NAME>`, `MIRRORS`), what may
//! be downloaded (`FETCH`, `MAX_SIZE`, `SOURCES`, `OFFLINE`), and how (`TIMEOUT`, `UPLOAD`, `PROGRESS`, `CA_FILE` and others).
//! [The reference](crate::guide::reference::environment) lists them all. An unknown one is an error. The file
//! `academictorrents/config.toml` in the user's configuration directory provides values for variables that are not set:
//! see [Configuration file](crate::guide::reference::configuration_file).
//!
//! `CARGO_NET_OFFLINE`, `CARGO_HTTP_CAINFO`, `CARGO_HTTP_PROXY` and, after it, the usual proxy variables apply as well. A
//! proxy is an HTTP proxy, or a SOCKS proxy (`socks5h://host:port`), which also carries peers. If `DOCS_RS` is set, and when
//! rust-analyzer starts, nothing is downloaded, and the path is the one where the data would be.
//!
//! # Features
//!
//! | feature | |
//! | --- | --- |
//! | `fetch` | everything that opens a socket. Without it, a build uses the data on this machine, and otherwise fails with the command that downloads it |
//! | `rustls` (default), `native-tls` | the TLS library; enables `fetch` |
//! | `dht` | finds peers with the DHT, for torrents that are not private |
//! | `unpack` | unpacks archives (`unpack = true` in the manifest, `Get::unpack`) |
//! | `seed` | [`Seed`], which build scripts do not need |
//! | `system-roots` | on macOS and Windows, also trusts the system's root certificates |
//!
//! The command `cargo academictorrents` is in the crate `cargo-academictorrents`.
//!
#![cfg_attr(not(feature = "seed"), doc = " [`Seed`]: #features")]
// docs.rs shows which feature an item needs.
#![cfg_attr(docsrs, feature(doc_cfg))]
// Only what is re-exported here is public.
#![expect(
    unreachable_pub,
    reason = "modules are private; `pub` marks items that other modules use"
)]
#![cfg_attr(
    feature = "engine",
    allow(
        missing_docs,
        rustdoc::private_intra_doc_links,
        reason = "`engine` is not part of the API, and exports types of private modules"
    )
)]
#![cfg_attr(
    not(feature = "fetch"),
    allow(
        dead_code,
        reason = "13 functions and 5 fields that only downloads need, shared with tests: gates would be longer"
    )
)]
#![allow(
    clippy::needless_doctest_main,
    reason = "a build script is its `main`; what clippy sees of it depends on features"
)]

#[cfg(feature = "bench")]
#[doc(hidden)]
pub mod bench;

#[cfg(all(feature = "fetch", not(any(feature = "rustls", feature = "native-tls"))))]
compile_error!(
    "the features `fetch`, `dht` and `seed` of academictorrents need TLS: add `rustls` (the default) or `native-tls`"
);

// The modules of academictorrents-core have the same paths as those here.
#[cfg(feature = "unpack")]
use academictorrents_core::unpack;
use academictorrents_core::{
    address, error, hash, manifest, mutex, origin, plan, settings, size, suggest, torrent,
};
#[cfg(feature = "fetch")]
use academictorrents_core::{picker, protocol, url};

mod build_script;
mod counters;
#[cfg(not(feature = "engine"))]
mod engine;
#[cfg(feature = "engine")]
#[doc(hidden)]
pub mod engine;
#[cfg(all(any(fuzzing, test), feature = "fetch"))]
#[doc(hidden)]
pub mod fuzz;
mod get;
// For rustdoc only, so that it costs no compile time.
#[cfg(doc)]
pub mod guide;
#[cfg(feature = "fetch")]
mod net;
mod process;
mod progress;
#[cfg(feature = "seed")]
mod seed;
mod storage;

#[doc(inline)]
pub use academictorrents_core::{Error, ErrorKind, Infohash};
pub use build_script::{Build, Datasets, build, metabuild};
pub use engine::{Dataset, DatasetFile, StopHandle};
#[cfg(feature = "unpack")]
pub use get::Unpack;
pub use get::{Get, Phase, Progress, Snapshot, Verify, get, set_store};

#[cfg(feature = "seed")]
pub use seed::{Seed, SeedNote, SeededDataset, Seeding};

/// Runs the examples in the README as documentation tests, as those of [`guide`] are.
#[cfg(all(doctest, feature = "seed"))]
#[doc = include_str!("../README.md")]
struct Readme;
