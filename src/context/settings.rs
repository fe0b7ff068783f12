//! What the environment and the user's configuration file say, as types.

use std::path::PathBuf;
use std::time::Duration;

use super::ApiKey;

/// The environment's word on how to fetch, for all datasets of the run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Base URL of the catalogue, without a slash at the end.
    pub catalogue: String,
    /// What the catalogue alone is told.
    pub api_key: Option<ApiKey>,
    /// No byte from any source for so long: give up.
    pub timeout: Duration,
    pub progress: ProgressMode,
    /// The kinds of source that may be used.
    pub sources: SourceSet,
    /// Takes the place of the built-in limit, and caps the manifest's.
    pub max_size_bytes: Option<u64>,
    /// What peers may be sent in all; 0 for nothing.
    pub upload_bytes_per_second: u64,
    /// No socket may be opened.
    pub offline: bool,
    /// The flag of cargo's, the variable, or the configuration file's key that says so.
    pub offline_by: Option<String>,
    /// Directories that are searched before anything is fetched: stores, or datasets in the torrent's own layout.
    pub load_path: Vec<PathBuf>,
    /// Copies to be used, by the `<NAME>` of the dataset.
    pub paths: Vec<(String, PathBuf)>,
    /// Who may fetch what is missing.
    pub fetch: Fetch,
    /// More mirrors: base URLs, or absolute directories.
    pub mirrors: Vec<String>,
    /// More peers, `host:port`.
    pub peers: Vec<String>,
    /// Nodes of the DHT to be asked first, `host:port`; `None`: well-known ones; an empty list: no DHT.
    pub dht_bootstrap: Option<Vec<String>>,
    /// PEM file of root certificates, added to the built-in ones.
    pub ca_file: Option<CaFile>,
    /// For all that is http or https; and for peers, where it is a SOCKS proxy.
    pub proxy: Option<ProxyUrl>,
    /// For what the other is not for.
    pub all_proxy: Option<ProxyUrl>,
    /// Hosts that are connected to directly.
    pub no_proxy: Option<String>,
    pub configured: Configured,
}

/// The settings that are the configuration file's word, for errors: they name what their reader has set.
#[derive(Clone, Debug, Default)]
pub struct Configured {
    pub path: PathBuf,
    /// What follows the prefix in a variable's name, and the key.
    pub keys: Vec<(&'static str, &'static str)>,
}

impl Configured {
    /// Where a setting is said: the key and the file, else the variable.
    pub fn place_of(&self, name: &str) -> String {
        match self.keys.iter().find(|(variable, _)| *variable == name) {
            Some((_, key)) => format!("`{key}` in {}", self.path.display()),
            None => [super::PREFIX, name].concat(),
        }
    }
}

impl Settings {
    /// The copy to be used of the dataset whose `<NAME>` this is.
    pub fn path_of(&self, name: &str) -> Option<&PathBuf> {
        self.paths.iter().find(|(known, _)| known == name).map(|(_, path)| path)
    }

    /// Why nothing may be fetched, for an error.
    pub fn offline_reason(&self) -> String {
        match &self.offline_by {
            Some(flag) if flag.starts_with('-') => format!("offline: cargo was called with {flag}"),
            Some(name) => format!("offline: {name} is set"),
            None => String::new(),
        }
    }
}

/// Who may fetch what is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fetch {
    /// Every package.
    Always,
    /// The user's own packages; not dependencies from a registry, git or a vendored directory.
    Local,
    Never,
}

/// A file of certificates, and the variable, or the configuration file's key, that names it.
#[derive(Clone, Debug)]
pub struct CaFile {
    pub path: PathBuf,
    pub variable: String,
}

/// A proxy's URL, which may hold a password, and the variable, or the configuration file's key, that says it.
#[derive(Clone)]
pub struct ProxyUrl {
    pub url: String,
    pub variable: String,
}

impl std::fmt::Debug for ProxyUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.variable)
    }
}

/// Where progress is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProgressMode {
    /// Bars on the terminal where that is polite, and plain lines on stderr.
    Auto,
    /// Plain lines on stderr alone.
    Plain,
    Off,
}

/// Which kinds of source may be used: `mirrors`, `catalogue`, `web-seeds`, `peers`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceSet {
    pub mirrors: bool,
    pub catalogue: bool,
    pub web_seeds: bool,
    pub peers: bool,
}

impl SourceSet {
    pub const ALL: SourceSet =
        SourceSet { mirrors: true, catalogue: true, web_seeds: true, peers: true };
    /// The names, as manifest and environment write them.
    pub const NAMES: [&str; 4] = ["mirrors", "catalogue", "web-seeds", "peers"];

    /// Reads a list of names; the error is the first that is none.
    pub fn parse<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<SourceSet, &'a str> {
        let mut set =
            SourceSet { mirrors: false, catalogue: false, web_seeds: false, peers: false };
        for name in names {
            match name {
                "mirrors" => set.mirrors = true,
                "catalogue" => set.catalogue = true,
                "web-seeds" => set.web_seeds = true,
                "peers" => set.peers = true,
                _ => return Err(name),
            }
        }
        Ok(set)
    }

    /// What both allow.
    #[must_use]
    pub fn and(self, other: SourceSet) -> SourceSet {
        SourceSet {
            mirrors: self.mirrors && other.mirrors,
            catalogue: self.catalogue && other.catalogue,
            web_seeds: self.web_seeds && other.web_seeds,
            peers: self.peers && other.peers,
        }
    }
}
