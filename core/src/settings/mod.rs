//! The environment and the user's configuration file: one table of settings, `SETTINGS`.
//!
//! A setting is a row of the table and a field of [`Settings`]. Parsing, precedence, `config`,
//! `doctor`, "did you mean" and the pages in docs/reference use the row.
//!
//! | file | job |
//! | --- | --- |
//! | `table.rs` | `SETTINGS` |
//! | `kind.rs` | parses and checks values |
//! | `environment.rs` | [`Context`], a snapshot of the variables; precedence; unknown names |
//! | `file.rs` | the configuration file |
//! | `shown.rs` | the settings in effect, for the command line |
//! | `values.rs`, `api_key.rs`, `credentials.rs`, `netrc.rs` | types of values |
//! | `cargo.rs` | the command line and the directory of the cargo that runs a build script |
//! | `cargo_config.rs` | Cargo's own configuration |

mod api_key;
mod cargo;
mod cargo_config;
mod credentials;
mod environment;
mod file;
mod kind;
#[cfg(feature = "fetch")]
mod netrc;
#[cfg(feature = "engine")]
pub mod shown;
mod table;
#[cfg(test)]
mod tests;
mod values;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::address::{NamedBy, PrivateHosts};
use crate::url::Url;

pub use api_key::ApiKey;
pub use credentials::{AuthHeader, HostCredentials};
pub use environment::{Context, host_name, set_store};
pub use kind::SettingKind;
#[cfg(feature = "fetch")]
pub use netrc::Netrc;
pub use table::{DefaultValue, SETTINGS, Setting};
pub use values::{
    CaDirectories, CaFile, Configured, Fetch, NetrcFile, OfflineBy, Progress, ProxyUrl, SourceSet,
};

/// The prefix of the names of our variables.
pub const PREFIX: &str = "ACADEMICTORRENTS_";

/// One year. The bound prevents an overflow when a timeout is added to a clock's time.
pub const LONGEST_TIMEOUT: Duration = Duration::from_secs(365 * 24 * 3600);

/// The settings of a run, from the environment and the configuration file. They apply to all
/// datasets.
///
/// The `Default` value is not usable: [`Context::settings`] fills it from [`SETTINGS`].
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Base URL of the catalog, without a trailing slash.
    pub catalogue: Url,
    /// Whether the user set it.
    pub catalogue_is_chosen: bool,
    /// Hosts that may be contacted whoever names them.
    pub private_hosts: Arc<PrivateHosts>,
    /// Sent only to the catalog.
    pub api_key: Option<ApiKey>,
    /// Sent to mirrors and web seeds on these hosts.
    pub credentials: HostCredentials,
    /// Names and passwords for other hosts. The file may not exist.
    pub netrc: Option<NetrcFile>,
    /// Give up when no source has sent a byte for this long.
    pub timeout: Duration,
    /// Whether the user set it. Then downloads wait that long even if success is unlikely.
    pub timeout_is_chosen: bool,
    pub progress: Progress,
    /// The kinds of sources that may be used.
    pub sources: SourceSet,
    /// Replaces the built-in limit, and caps the manifest's.
    pub max_size_bytes: Option<u64>,
    /// Total upload rate to peers; 0 disables uploading.
    pub upload_bytes_per_second: u64,
    /// Whether the user set it. Then it also applies to datasets of dependencies.
    pub upload_is_chosen: bool,
    /// Do not open any socket.
    pub offline: bool,
    pub offline_by: Option<OfflineBy>,
    /// Directories to search before anything is downloaded: stores, or datasets in the torrent's
    /// own layout.
    pub load_path: Vec<PathBuf>,
    /// Copies to use, by the `<NAME>` of the dataset.
    pub paths: Vec<(String, PathBuf)>,
    /// Which packages may download missing data.
    pub fetch: Fetch,
    /// Additional mirrors: base URLs, or absolute directories.
    pub mirrors: Vec<Url>,
    /// Additional peers, `host:port`.
    pub peers: Vec<String>,
    /// Trackers for a bare infohash, in addition to the built-in ones. An empty list, or one with
    /// `off`, disables those.
    pub default_trackers: Option<Vec<Url>>,
    /// DHT nodes to contact first, `host:port`. `None`: well-known nodes; empty: no DHT.
    pub dht_bootstrap: Option<Vec<String>>,
    /// PEM file of root certificates, in addition to the built-in ones.
    pub ca_file: Option<CaFile>,
    /// Directories of such PEM files.
    pub ca_directories: Option<CaDirectories>,
    /// Proxy for HTTP and HTTPS, and if it is a SOCKS proxy, also for peers.
    pub proxy: Option<ProxyUrl>,
    /// Proxy for everything that `proxy` does not apply to.
    pub all_proxy: Option<ProxyUrl>,
    /// Hosts to connect to without the proxy.
    pub no_proxy: Option<String>,
    pub configured: Configured,
}

/// Whether a file at a default location does not exist, even because a directory above it is a file.
pub fn is_absent(why: &std::io::Error) -> bool {
    matches!(why.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory)
}

impl Settings {
    /// Who named the catalog.
    pub fn catalogue_by(&self) -> NamedBy {
        if self.catalogue_is_chosen { NamedBy::User } else { NamedBy::Catalog }
    }

    /// The copy to use for the dataset with this `<NAME>`.
    pub fn path_of(&self, name: &str) -> Option<&PathBuf> {
        self.paths.iter().find(|(known, _)| known == name).map(|(_, path)| path)
    }

    /// How long to wait without receiving data.
    pub fn patience(&self) -> Duration {
        self.timeout.min(LONGEST_TIMEOUT)
    }

    /// Why downloads are disabled, for error messages.
    pub fn offline_reason(&self) -> String {
        match &self.offline_by {
            Some(OfflineBy::Cargo(flag)) => format!("offline: cargo was called with {flag}"),
            Some(OfflineBy::Setting(name)) => format!("offline: {name} is set"),
            None => String::new(),
        }
    }
}
