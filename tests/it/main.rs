//! Tests of the library through its public API, against servers on loopback.

#![allow(unreachable_pub, reason = "the modules of a test binary are public to one another")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test code")]
mod addresses;
mod api_key;
mod cargo;
mod cargo_calls;
#[cfg(unix)]
mod cargo_paths;
#[cfg(feature = "seed")]
mod clusters;
mod costs;
mod credentials;
mod data_crate;
mod default_trackers;
mod dependencies;
mod dependency_fetching;
#[cfg(all(feature = "dht", feature = "seed"))]
mod dht;
mod environment;
#[cfg(target_os = "linux")] // the snapshots quote Linux's error messages
mod errors;
mod faults;
mod fetch_policy;
mod fixture;
mod get;
mod get_fetch;
mod get_foreign;
mod get_into;
mod get_options;
mod get_progress;
mod get_stop;
mod get_store;
mod get_verify;
mod giving_up;
#[cfg(unix)] // Git may convert line ends elsewhere
mod guide;
mod https;
mod leftovers;
#[cfg(unix)]
mod links;
mod load_path;
mod magnets;
mod manual;
#[cfg(target_os = "linux")]
mod memory;
mod modules;
mod optional;
mod path_variables;
mod peers;
mod proxies;
mod refresh;
mod refusals;
mod resume;
mod roots;
#[cfg(feature = "seed")]
mod seeding;
mod selections;
mod serving_back;
mod shared_stores;
mod silent_peers;
mod source_selection;
mod sources;
mod support;
mod swarm;
mod tidy;
mod torrents;
mod udp_trackers;
#[cfg(feature = "unpack")]
mod unpacking;
mod web_servers;
mod without_fetch;
mod workspaces;
