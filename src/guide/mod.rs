//! The manual: guide, reference and explanation.
//!
//! Compiled for rustdoc only. This file and the chapters beside it are written from docs/ by `tests/it/guide.rs`.

#[doc = include_str!("getting-started.md")]
pub mod getting_started {}

#[doc = include_str!("datasets.md")]
pub mod datasets {}

#[doc = include_str!("selecting-files.md")]
pub mod selecting_files {}

#[doc = include_str!("optional-datasets.md")]
pub mod optional_datasets {}

#[cfg(any(not(doctest), feature = "unpack"))]
#[doc = include_str!("unpacking.md")]
pub mod unpacking {}

#[doc = include_str!("code.md")]
pub mod code {}

#[doc = include_str!("data-crates.md")]
pub mod data_crates {}

#[doc = include_str!("builds.md")]
pub mod builds {}

#[doc = include_str!("store.md")]
pub mod store {}

#[doc = include_str!("network.md")]
pub mod network {}

#[doc = include_str!("run-time.md")]
pub mod run_time {}

#[doc = include_str!("command-line.md")]
pub mod command_line {}

#[doc = include_str!("ci.md")]
pub mod ci {}

#[doc = include_str!("docker.md")]
pub mod docker {}

#[doc = include_str!("offline-builds.md")]
pub mod offline_builds {}

#[doc = include_str!("clusters.md")]
pub mod clusters {}

#[cfg(any(not(doctest), feature = "seed"))]
#[doc = include_str!("seeding.md")]
pub mod seeding {}

#[doc = include_str!("sharing.md")]
pub mod sharing {}

#[doc = include_str!("from-at-python.md")]
pub mod from_at_python {}

#[doc = include_str!("troubleshooting.md")]
pub mod troubleshooting {}

/// All keys and variables
pub mod reference {
    #[doc = include_str!("reference/manifest.md")]
    pub mod manifest {}

    #[doc = include_str!("reference/environment.md")]
    pub mod environment {}

    #[doc = include_str!("reference/configuration-file.md")]
    pub mod configuration_file {}
}

/// Background and reasons
pub mod explanation {
    #[doc = include_str!("explanation/reproducible-data.md")]
    pub mod reproducible_data {}

    #[doc = include_str!("explanation/build-scripts.md")]
    pub mod build_scripts {}

    #[doc = include_str!("explanation/store.md")]
    pub mod store {}

    #[doc = include_str!("explanation/security.md")]
    pub mod security {}

    #[doc = include_str!("explanation/performance.md")]
    pub mod performance {}
}

#[doc = include_str!("glossary.md")]
pub mod glossary {}
