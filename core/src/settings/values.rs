//! The types of settings' values.

use std::path::PathBuf;

use crate::url::Url;

/// The settings that the configuration file sets, so that error messages name the key that the user
/// wrote.
#[derive(Clone, Debug, Default)]
pub struct Configured(pub(super) Vec<(&'static str, String)>);

impl Configured {
    /// Where `ACADEMICTORRENTS_<name>` is set: the key and the file, or else the variable.
    pub fn place_of(&self, name: &str) -> String {
        self.in_file(name).map_or_else(|| [super::PREFIX, name].concat(), str::to_owned)
    }

    /// The key and the file, if the configuration file sets it.
    pub fn in_file(&self, name: &str) -> Option<&str> {
        let is_it = |variable: &str| variable.strip_prefix(super::PREFIX) == Some(name);
        let found = self.0.iter().find(|(variable, _)| is_it(variable));
        found.map(|(_, place)| place.as_str())
    }
}

/// Which packages may download missing data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fetch {
    /// Every package.
    Always,
    /// The user's own packages, but not dependencies from a registry, git or a vendored directory.
    #[default]
    Local,
    Never,
}

/// A PEM file, and the variable or the configuration file's key that names it.
#[derive(Clone, Debug)]
pub struct CaFile {
    pub path: PathBuf,
    pub variable: String,
}

/// Directories of PEM files, and the variable or the configuration file's key that names them.
#[derive(Clone, Debug)]
pub struct CaDirectories {
    pub paths: Vec<PathBuf>,
    pub variable: String,
}

/// A proxy's URL, and the variable or the configuration file's key that sets it.
#[derive(Clone, Debug)]
pub struct ProxyUrl {
    pub url: Url,
    pub variable: String,
}

/// What disables the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OfflineBy {
    /// A flag of cargo.
    Cargo(&'static str),
    /// A variable, a key of the configuration file, or an option of the call.
    Setting(String),
}

/// A netrc file, and the variable or the configuration file's key that names it; `None` for
/// `~/.netrc`.
#[derive(Clone, Debug)]
pub struct NetrcFile {
    pub path: PathBuf,
    pub by: Option<String>,
}

/// How a [`Get`](struct.Get.html) shows progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
#[warn(missing_docs)]
pub enum Progress {
    /// Bars on a terminal, plain lines on stderr otherwise.
    #[default]
    Auto,
    /// Plain lines on stderr.
    Plain,
    /// Nothing.
    Off,
}

/// The kinds of sources that may be used: `mirrors`, `catalogue`, `web-seeds`, `peers`. All by
/// default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceSet {
    pub mirrors: bool,
    pub catalogue: bool,
    pub web_seeds: bool,
    pub peers: bool,
}

impl Default for SourceSet {
    fn default() -> SourceSet {
        SourceSet { mirrors: true, catalogue: true, web_seeds: true, peers: true }
    }
}

impl SourceSet {
    pub const NONE: SourceSet =
        SourceSet { mirrors: false, catalogue: false, web_seeds: false, peers: false };
    /// The names in manifest and environment.
    pub const NAMES: [&str; 4] = ["mirrors", "catalogue", "web-seeds", "peers"];

    /// Parses a list of names. Returns the first unknown name as error.
    pub fn parse<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<SourceSet, &'a str> {
        let mut set = SourceSet::NONE;
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

    /// The kinds that both sets allow.
    pub fn and(self, other: SourceSet) -> SourceSet {
        SourceSet {
            mirrors: self.mirrors && other.mirrors,
            catalogue: self.catalogue && other.catalogue,
            web_seeds: self.web_seeds && other.web_seeds,
            peers: self.peers && other.peers,
        }
    }
}
