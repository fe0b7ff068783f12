//! The environment: the one room that reads it.
//!
//! [`Context`] is a snapshot of the variables, taken once, so that a run does not depend on what
//! other threads do to the environment, and so that tests pass variables by argument.
//! [`Settings`] is what they say, checked. A build script's snapshot holds cargo's own command line, too.

mod api_key;
mod cargo;
mod config;
mod places;
#[cfg(feature = "cli")]
mod report;
mod settings;
#[cfg(feature = "cli")]
mod shown;
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
use places::{absolute, is_path_of};

pub use api_key::ApiKey;
pub use settings::{CaFile, Configured, Fetch, ProgressMode, ProxyUrl, Settings, SourceSet};
#[cfg(feature = "cli")]
pub use shown::{Origin, Setting};

/// Begins the name of each variable of ours.
pub const PREFIX: &str = "ACADEMICTORRENTS_";

/// What follows [`PREFIX`] in the names of our variables.
const NAMES: [&str; 15] = [
    "API_KEY",
    "CATALOGUE",
    "CA_FILE",
    "DHT_BOOTSTRAP",
    "FETCH",
    "LOAD_PATH",
    "MAX_SIZE",
    "MIRRORS",
    "OFFLINE",
    "PEERS",
    "PROGRESS",
    "SOURCES",
    "STORE",
    "TIMEOUT",
    "UPLOAD",
];

/// What peers may be sent a second: a modest part of what universities' and homes' lines carry.
const DEFAULT_UPLOAD: u64 = 1 << 20;

/// The variables that name a proxy, in the order in which they are looked at; the last ones, for what has no other.
const PROXIES: [&str; 6] =
    ["CARGO_HTTP_PROXY", "HTTPS_PROXY", "https_proxy", "http_proxy", "ALL_PROXY", "all_proxy"];
const OF_ALL: usize = 4;

/// A snapshot of environment variables.
#[derive(Clone, Default)]
pub struct Context {
    vars: HashMap<OsString, OsString>,
    /// What the user's configuration file says where a variable does not; read by [`Context::read_config`].
    config: Option<config::Config>,
    cargo: CargoCall,
}

/// Without the variables: some hold passwords, and users print what a `Context` is part of.
impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").finish_non_exhaustive()
    }
}

impl Context {
    /// The variables of this process, now.
    pub fn of_process() -> Context {
        Context { vars: std::env::vars_os().collect(), config: None, cargo: CargoCall::default() }
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
        self.var(name).is_some_and(|value| value.to_str().is_none_or(means_yes))
    }

    /// Where the user's shared store is: `STORE`, else `academictorrents` in the OS cache directory.
    ///
    /// # Errors
    /// [`ErrorKind::Manifest`] where neither is known, or `STORE` is relative (builds run in many directories).
    pub fn store_dir(&self) -> Result<PathBuf, Error> {
        let name = [PREFIX, "STORE"].concat();
        let configured = self.config.as_ref().and_then(|config| config.text("STORE"));
        if let Some(store) = self.var(&name).or(configured.map(OsStr::new)) {
            let store = PathBuf::from(store);
            return absolute(&name, store);
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
        let Some(name) = ours.filter(|name| !NAMES.contains(name) && !is_path_of(name)).min()
        else {
            return Ok(());
        };
        let error = Error::new(
            ErrorKind::Manifest,
            format!("there is no environment variable {PREFIX}{name}"),
        );
        Err(match nearest(name, NAMES) {
            Some(near) => error.help(format!("did you mean {PREFIX}{near}?")),
            None => {
                error.help(format!("unset it; after {PREFIX} there is PATH_ with a dataset's name behind it, or\none of {}", NAMES.join(", ")))
            }
        })
    }

    /// What the variables say, checked.
    ///
    /// # Errors
    /// [`ErrorKind::Manifest`] for a name that is none of ours, and for the first value that cannot be read.
    pub fn settings(&self) -> Result<Settings, Error> {
        self.check_names()?;
        let text = |name: &str| self.own(name);
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
        let configured = self.configured();
        let offline_by = self.offline_by(&configured);
        let sources = self.own_list("SOURCES")?;
        let sources = match sources.is_empty() {
            true => SourceSet::ALL,
            false => SourceSet::parse(sources.iter().map(String::as_str)).map_err(|word| {
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
            api_key: self.api_key()?,
            timeout,
            progress,
            sources,
            upload_bytes_per_second: parsed(
                "UPLOAD",
                "bytes a second, such as `1MiB` or `0`",
                size::parse,
            )?
            .unwrap_or(DEFAULT_UPLOAD),
            max_size_bytes: parsed("MAX_SIZE", "a size, such as `20GiB`", size::parse)?,
            fetch,
            offline: offline_by.is_some(),
            offline_by,
            load_path: self.load_path()?,
            paths: self.paths()?,
            mirrors: self.own_list("MIRRORS")?,
            peers: self.own_list("PEERS")?,
            dht_bootstrap: self.dht_bootstrap()?,
            ca_file: self.ca_file(&configured),
            proxy: self.proxy(&PROXIES, Some(&configured))?,
            all_proxy: self.proxy(&PROXIES[OF_ALL..], None)?,
            no_proxy: self.text("NO_PROXY")?.or(self.text("no_proxy")?).map(str::to_owned),
            configured,
        })
    }

    /// The nodes, where any are named; `off` names none.
    fn dht_bootstrap(&self) -> Result<Option<Vec<String>>, Error> {
        let name = "DHT_BOOTSTRAP";
        let in_file = self.config.as_ref().is_some_and(|config| config.list(name).is_some());
        if !in_file && self.var(&[PREFIX, name].concat()).is_none() {
            return Ok(None);
        }
        let nodes = self.own_list(name)?;
        Ok(Some(if nodes == ["off"] { Vec::new() } else { nodes }))
    }

    /// What says that no socket may be opened, if anything does.
    fn offline_by(&self, configured: &Configured) -> Option<String> {
        let name = "ACADEMICTORRENTS_OFFLINE";
        let in_file = || {
            let says = self.config.as_ref()?.text("OFFLINE")?;
            (self.var(name).is_none() && means_yes(says)).then(|| configured.place_of("OFFLINE"))
        };
        [name, "CARGO_NET_OFFLINE"]
            .into_iter()
            .find(|name| self.flag(name))
            .map(str::to_owned)
            .or_else(in_file)
            .or_else(|| self.cargo.offline_flag().map(str::to_owned))
    }

    /// The file that is meant for us, before those that are meant for all.
    fn ca_file(&self, configured: &Configured) -> Option<CaFile> {
        let variable =
            |name: &str| Some(CaFile { path: self.var(name)?.into(), variable: name.to_owned() });
        let in_file = || {
            let path = self.config.as_ref()?.text("CA_FILE")?.into();
            Some(CaFile { path, variable: configured.place_of("CA_FILE") })
        };
        variable("ACADEMICTORRENTS_CA_FILE")
            .or_else(in_file)
            .or_else(|| variable("CARGO_HTTP_CAINFO"))
            .or_else(|| variable("SSL_CERT_FILE"))
    }

    /// The first of these variables that is set, else the configuration file's key.
    fn proxy(
        &self,
        names: &[&str],
        configured: Option<&Configured>,
    ) -> Result<Option<ProxyUrl>, Error> {
        for name in names {
            if let Some(value) = self.var(name) {
                // The value is in no error: it may hold a password.
                let url = value.to_str().ok_or_else(|| {
                    Error::new(ErrorKind::Manifest, format!("the variable {name} is not UTF-8"))
                })?;
                return Ok(Some(ProxyUrl { url: url.to_owned(), variable: (*name).to_owned() }));
            }
        }
        Ok(configured.and_then(|configured| {
            let url = self.config.as_ref()?.text(config::PROXY)?.to_owned();
            Some(ProxyUrl { url, variable: configured.place_of(config::PROXY) })
        }))
    }
}

fn etcetera_cache() -> Option<PathBuf> {
    use etcetera::BaseStrategy as _;
    etcetera::choose_base_strategy().ok().map(|dirs| dirs.cache_dir())
}

fn means_yes(value: &str) -> bool {
    !matches!(value, "0" | "false" | "no")
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

/// Whether this is the URL of a UDP tracker (BEP 15).
pub fn is_udp(url: &str) -> bool {
    url.get(..6).is_some_and(|start| start.eq_ignore_ascii_case("udp://"))
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
