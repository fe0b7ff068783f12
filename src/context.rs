//! The environment: the one room that reads it.
//!
//! [`Context`] is a snapshot of the variables, taken once, so that a run does not depend on what
//! other threads do to the environment, and so that tests pass variables by argument.
//! [`Settings`] is what they say, checked. A build script's snapshot holds cargo's own command line, too.

mod cargo;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::time::Duration;

use crate::error::{Error, ErrorKind};
use crate::nearest::nearest;
use crate::size;

use cargo::CargoCall;

/// Begins the name of each variable of ours.
pub const PREFIX: &str = "ACADEMICTORRENTS_";

/// What follows [`PREFIX`] in the names of our variables.
const NAMES: [&str; 11] = [
    "CATALOGUE",
    "CA_FILE",
    "FETCH",
    "MAX_SIZE",
    "MIRRORS",
    "OFFLINE",
    "PEERS",
    "PROGRESS",
    "SOURCES",
    "STORE",
    "TIMEOUT",
];

/// Names that a later version will know; `PATH_<NAME>` is another.
const PLANNED: [&str; 2] = ["API_KEY", "LOAD_PATH"];

/// A snapshot of environment variables.
#[derive(Clone, Debug, Default)]
pub struct Context {
    vars: HashMap<OsString, OsString>,
    cargo: CargoCall,
}

impl Context {
    /// The variables of this process, now.
    pub fn of_process() -> Context {
        Context { vars: std::env::vars_os().collect(), cargo: CargoCall::default() }
    }

    /// The same, with the command line of the cargo that runs this build script.
    pub fn of_build_script() -> Context {
        Context { cargo: CargoCall::of_parent(), ..Context::of_process() }
    }

    /// How cargo was called, where that is known.
    pub fn cargo_call(&self) -> &CargoCall {
        &self.cargo
    }

    /// Sets a variable in the snapshot.
    pub fn set(&mut self, name: impl Into<OsString>, value: impl Into<OsString>) {
        self.vars.insert(name.into(), value.into());
    }

    /// The variable's value; an empty one counts as unset, as shells make it hard to unset one for a command.
    pub fn var(&self, name: &str) -> Option<&OsStr> {
        self.vars.get(OsStr::new(name)).map(OsString::as_os_str).filter(|value| !value.is_empty())
    }

    /// The variable's value as text.
    ///
    /// # Errors
    /// [`ErrorKind::Manifest`] where it is not UTF-8.
    pub fn text(&self, name: &str) -> Result<Option<&str>, Error> {
        self.var(name)
            .map(|value| value.to_str().ok_or_else(|| invalid(name, value, "is not UTF-8")))
            .transpose()
    }

    /// Whether the variable is set to something that does not mean no.
    pub fn flag(&self, name: &str) -> bool {
        self.var(name).is_some_and(|value| value != "0" && value != "false" && value != "no")
    }

    /// Where the user's shared store is: `STORE`, else `academictorrents` in the OS cache directory.
    ///
    /// # Errors
    /// [`ErrorKind::Manifest`] where neither is known, or `STORE` is relative (builds run in many directories).
    pub fn store_dir(&self) -> Result<PathBuf, Error> {
        let name = [PREFIX, "STORE"].concat();
        if let Some(store) = self.var(&name) {
            let store = PathBuf::from(store);
            return if store.is_absolute() {
                Ok(store)
            } else {
                Err(invalid(&name, store.as_os_str(), "is a relative path, and Cargo runs build scripts in each package's own directory")
                    .help(format!("set {name} to an absolute path")))
            };
        }
        self.cache_dir().map(|cache| cache.join("academictorrents")).ok_or_else(|| {
            Error::new(
                ErrorKind::Manifest,
                "there is no cache directory: the home directory is not known",
            )
            .help(format!("set {name} to the directory that shall hold the datasets"))
        })
    }

    /// The OS cache directory: `XDG_CACHE_HOME` and `HOME` from the snapshot, elsewhere what the OS says.
    fn cache_dir(&self) -> Option<PathBuf> {
        if cfg!(windows) {
            return self.var("LOCALAPPDATA").map(PathBuf::from).or_else(etcetera_cache);
        }
        let absolute = |name| self.var(name).map(PathBuf::from).filter(|path| path.is_absolute());
        if cfg!(target_os = "macos") {
            return absolute("HOME")
                .map(|home| home.join("Library/Caches"))
                .or_else(etcetera_cache);
        }
        absolute("XDG_CACHE_HOME")
            .or_else(|| absolute("HOME").map(|home| home.join(".cache")))
            .or_else(etcetera_cache)
    }

    /// A slip in a name would otherwise be a setting that does nothing.
    fn check_names(&self) -> Result<(), Error> {
        let ours = self.vars.iter().filter(|(_, value)| !value.is_empty());
        let ours = ours.filter_map(|(name, _)| name.to_str()?.strip_prefix(PREFIX));
        let Some(name) = ours.filter(|name| !NAMES.contains(name)).min() else { return Ok(()) };
        if PLANNED.contains(&name) || name.starts_with("PATH_") {
            return Err(Error::new(
                ErrorKind::Manifest,
                format!("the environment variable {PREFIX}{name} is not supported yet"),
            )
            .help("unset it: the README says, under \"Not there yet\", what is to come"));
        }
        let error = Error::new(
            ErrorKind::Manifest,
            format!("there is no environment variable {PREFIX}{name}"),
        );
        Err(match nearest(name, NAMES) {
            Some(near) => error.help(format!("did you mean {PREFIX}{near}?")),
            None => {
                error.help(format!("unset it; after {PREFIX} there is one of {}", NAMES.join(", ")))
            }
        })
    }

    /// What the variables say, checked.
    ///
    /// # Errors
    /// [`ErrorKind::Manifest`] for a name that is none of ours, and for the first value that cannot be read.
    pub fn settings(&self) -> Result<Settings, Error> {
        self.check_names()?;
        let text = |name: &str| self.text(&[PREFIX, name].concat());
        let parsed = |name: &str, expected: &str, parse: fn(&str) -> Option<u64>| {
            text(name)?
                .map(|value| parse(value).ok_or_else(|| expected_of(name, value, expected)))
                .transpose()
        };
        let timeout = match text("TIMEOUT")? {
            None => Duration::from_secs(120),
            Some(value) => size::parse_duration(value)
                .filter(|timeout| *timeout >= Duration::from_millis(100))
                .ok_or_else(|| {
                    expected_of(
                        "TIMEOUT",
                        value,
                        "a time, such as `120`, `120s` or `5m`, of at least 100ms",
                    )
                })?,
        };
        let progress = match text("PROGRESS")? {
            None | Some("auto") => ProgressMode::Auto,
            Some("plain") => ProgressMode::Plain,
            Some("off") => ProgressMode::Off,
            Some(value) => return Err(expected_of("PROGRESS", value, "`auto`, `plain` or `off`")),
        };
        let fetch = match text("FETCH")? {
            None | Some("local") => Fetch::Local,
            Some("always") => Fetch::Always,
            Some("never") => Fetch::Never,
            Some(value) => return Err(expected_of("FETCH", value, "`always`, `local` or `never`")),
        };
        let offline_by = ["ACADEMICTORRENTS_OFFLINE", "CARGO_NET_OFFLINE"]
            .into_iter()
            .find(|name| self.flag(name))
            .or_else(|| self.cargo.offline_flag());
        let sources = match text("SOURCES")? {
            None => SourceSet::ALL,
            Some(value) => SourceSet::parse(words(value)).map_err(|word| {
                expected_of("SOURCES", word, "one of `mirrors`, `catalogue`, `web-seeds`, `peers`")
            })?,
        };
        let catalogue = text("CATALOGUE")?.unwrap_or("https://academictorrents.com");
        if !is_http(catalogue) {
            return Err(expected_of(
                "CATALOGUE",
                catalogue,
                "a URL that begins with http:// or https://",
            ));
        }
        Ok(Settings {
            catalogue: catalogue.trim_end_matches('/').to_owned(),
            timeout,
            progress,
            sources,
            max_size_bytes: parsed("MAX_SIZE", "a size, such as `20GiB`", size::parse)?,
            fetch,
            offline: offline_by.is_some(),
            offline_by,
            mirrors: text("MIRRORS")?
                .map_or_else(Vec::new, |value| words(value).map(str::to_owned).collect()),
            peers: text("PEERS")?
                .map_or_else(Vec::new, |value| words(value).map(str::to_owned).collect()),
            ca_file: ["ACADEMICTORRENTS_CA_FILE", "CARGO_HTTP_CAINFO", "SSL_CERT_FILE"]
                .into_iter()
                .find_map(|name| Some(CaFile { path: self.var(name)?.into(), variable: name })),
            proxy: self.proxy()?,
            no_proxy: self.text("NO_PROXY")?.or(self.text("no_proxy")?).map(str::to_owned),
        })
    }

    fn proxy(&self) -> Result<Option<String>, Error> {
        for name in [
            "CARGO_HTTP_PROXY",
            "HTTPS_PROXY",
            "https_proxy",
            "http_proxy",
            "ALL_PROXY",
            "all_proxy",
        ] {
            if let Some(proxy) = self.text(name)? {
                return Ok(Some(proxy.to_owned()));
            }
        }
        Ok(None)
    }
}

fn etcetera_cache() -> Option<PathBuf> {
    use etcetera::BaseStrategy as _;
    etcetera::choose_base_strategy().ok().map(|dirs| dirs.cache_dir())
}

fn words(value: &str) -> impl Iterator<Item = &str> {
    value.split([',', ' ']).filter(|word| !word.is_empty())
}

/// Whether this is a URL that we can fetch from.
pub fn is_http(url: &str) -> bool {
    let begins = |scheme: &str| {
        url.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    };
    begins("http://") || begins("https://")
}

fn invalid(name: &str, value: &OsStr, why: &str) -> Error {
    Error::new(ErrorKind::Manifest, format!("the environment variable {name} cannot be used"))
        .why(format!("`{}` {why}", value.display()))
}

fn expected_of(name: &str, value: &str, expected: &str) -> Error {
    let name = [PREFIX, name].concat();
    invalid(&name, OsStr::new(value), &format!("is not {expected}"))
        .help(format!("correct {name}, or unset it"))
}

/// The environment's word on how to fetch, for all datasets of the run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Base URL of the catalogue, without a slash at the end.
    pub catalogue: String,
    /// No byte from any source for so long: give up.
    pub timeout: Duration,
    pub progress: ProgressMode,
    /// The kinds of source that may be used.
    pub sources: SourceSet,
    /// Takes the place of the built-in limit, and caps the manifest's.
    pub max_size_bytes: Option<u64>,
    /// No socket may be opened.
    pub offline: bool,
    /// The variable, or the flag of cargo's, that says so.
    pub offline_by: Option<&'static str>,
    /// Who may fetch what is missing.
    pub fetch: Fetch,
    /// More mirrors: base URLs, or absolute directories.
    pub mirrors: Vec<String>,
    /// More peers, `host:port`.
    pub peers: Vec<String>,
    /// PEM file of root certificates, added to the built-in ones.
    pub ca_file: Option<CaFile>,
    pub proxy: Option<String>,
    pub no_proxy: Option<String>,
}

impl Settings {
    /// Why nothing may be fetched, for an error.
    pub fn offline_reason(&self) -> String {
        match self.offline_by {
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

/// A file of certificates, and the variable that names it.
#[derive(Clone, Debug)]
pub struct CaFile {
    pub path: PathBuf,
    pub variable: &'static str,
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
