//! Parses and checks the values of settings.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::de::DeValue;

use super::cargo_config::CargoValue;
use super::{ApiKey, HostCredentials, Setting, Settings};
use crate::address::PrivateHosts;
use crate::error::{Error, ErrorKind};
use crate::size;
use crate::url::{Url, is_http};

/// Stores a value, with what set it (`None`: the default).
type Setter<T> = fn(&mut Settings, T, Option<String>);
/// The same as [`Setter`], for borrowed text.
type TextSetter = fn(&mut Settings, &str, Option<String>);

/// The syntax of a setting, and the function that stores its value.
pub enum SettingKind {
    /// False for `0`, `false` and `no`.
    Flag(Setter<bool>),
    /// One of these words.
    Word(&'static [&'static str], TextSetter),
    /// A list of these words.
    Words(&'static [&'static str], Setter<Vec<String>>),
    Duration(Setter<Duration>),
    Size(Setter<u64>),
    /// Bytes per second.
    Rate(Setter<u64>),
    /// An `http://` or `https://` URL.
    Url(TextSetter),
    /// A proxy's URL, which may contain a password.
    Proxy(Setter<Url>),
    ApiKey(Setter<ApiKey>),
    /// A token or a header for each host.
    Credentials(Setter<HostCredentials>),
    File(Setter<PathBuf>),
    /// Absolute directories, separated as in `PATH`.
    Directories(Setter<Vec<PathBuf>>),
    /// URLs and absolute directories.
    Mirrors(Setter<Vec<String>>),
    /// URLs of trackers, or `off`.
    Trackers(Setter<Vec<String>>),
    /// `host:port`.
    Peers(Setter<Vec<String>>),
    /// `host:port`, or only `off` for an empty list.
    Nodes(Setter<Vec<String>>),
    /// Hosts, addresses and networks.
    Hosts(Setter<PrivateHosts>),
    Text(TextSetter),
    /// The store's directory. It is read by [`super::Context::store_dir`], and only where a store
    /// is needed.
    Store,
}

/// Where a setting is set, and its value.
#[derive(Clone, Copy)]
pub(super) enum SettingSource<'a> {
    Variable(&'static str, &'a OsStr),
    /// The key, the configuration file, and the values.
    Key(&'static str, &'a Path, &'a [String]),
    /// A key of Cargo's configuration.
    Cargo(&'a CargoValue),
}

impl<'a> SettingSource<'a> {
    /// The value, for settings that are not lists.
    pub(super) fn value(&self) -> &'a OsStr {
        match self {
            SettingSource::Variable(_, value) => value,
            SettingSource::Cargo(it) => &it.value,
            SettingSource::Key(_, _, values) => {
                OsStr::new(values.first().map_or("", String::as_str))
            }
        }
    }

    /// The items of a list.
    fn list(&self) -> Vec<String> {
        match self {
            SettingSource::Variable(_, value) => {
                let value = value.to_str().unwrap_or_default();
                let words = value.split([',', ' ']).filter(|word| !word.is_empty());
                words.map(str::to_owned).collect()
            }
            SettingSource::Key(_, _, values) => values.to_vec(),
            // No key of Cargo's that we read is a list.
            SettingSource::Cargo(_) => Vec::new(),
        }
    }

    pub(super) fn means_yes(&self) -> bool {
        means_yes(self.value())
    }

    /// What sets it, for messages.
    pub(super) fn place(&self) -> String {
        match self {
            SettingSource::Variable(name, _) => (*name).to_owned(),
            SettingSource::Cargo(it) => it.place.clone(),
            SettingSource::Key(key, file, _) => format!("`{key}` in {}", file.display()),
        }
    }

    /// Rejects a relative path in a configuration file.
    fn absolute(&self, text: &str) -> Result<(), Error> {
        if !matches!(self, SettingSource::Key(..)) || Path::new(text).is_absolute() {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Manifest, "")
            .why(format!("`{}` is a relative path", Url::from(text)))
            .help("use an absolute path, because builds run in different directories"))
    }
}

impl Setting {
    /// Checks a value, and stores it.
    ///
    /// # Errors
    /// [`ErrorKind::Manifest`] if the value is invalid.
    pub(super) fn apply(
        &self,
        said: SettingSource<'_>,
        by: Option<String>,
        settings: &mut Settings,
    ) -> Result<(), Error> {
        let value = said.value();
        let text = match (&self.kind, value.to_str()) {
            (_, Some(text)) => text,
            (
                SettingKind::Flag(_)
                | SettingKind::File(_)
                | SettingKind::Directories(_)
                | SettingKind::Store,
                None,
            ) => "",
            (SettingKind::Proxy(_), None) => return Err(not_utf8(&said.place())),
            (SettingKind::ApiKey(_) | SettingKind::Credentials(_), None) => {
                return Err(self.refused(said, "its value is not UTF-8"));
            }
            (_, None) => return Err(invalid(&said.place(), value, "is not UTF-8")),
        };
        let refused = |odd: &str, expected: &str| {
            self.refused(said, &format!("`{}` is not {expected}", Url::from(odd)))
        };
        match self.kind {
            SettingKind::Flag(store) => store(settings, said.means_yes(), by),
            SettingKind::Word(words, store) if words.contains(&text) => store(settings, text, by),
            SettingKind::Word(words, _) => {
                let (last, others) = words.split_last().unwrap_or((&"", &[]));
                return Err(refused(text, &format!("`{}` or `{last}`", others.join("`, `"))));
            }
            SettingKind::Words(words, store) => {
                let list = said.list();
                if let Some(odd) = list.iter().find(|word| !words.contains(&word.as_str())) {
                    return Err(refused(odd, &format!("one of `{}`", words.join("`, `"))));
                }
                store(settings, list, by);
            }
            SettingKind::Duration(store) => {
                let time = size::parse_duration(text).filter(|time| time.as_millis() >= 100);
                let expected = "a time, such as `120`, `120s` or `5m`, of at least 100ms";
                store(settings, time.ok_or_else(|| refused(text, expected))?, by);
            }
            SettingKind::Size(store) | SettingKind::Rate(store) => {
                let expected = match self.kind {
                    SettingKind::Rate(_) => "bytes per second, such as `1MiB` or `0`",
                    _ => "a size, such as `20GiB`",
                };
                let bytes = size::parse(text).ok_or_else(|| refused(text, expected));
                store(settings, bytes?, by);
            }
            SettingKind::Url(store) if is_http(text) => store(settings, text, by),
            SettingKind::Url(_) => {
                return Err(refused(text, "a URL that begins with http:// or https://"));
            }
            // In Cargo's configuration, an empty value disables the proxy.
            SettingKind::Proxy(_) if text.is_empty() => {}
            SettingKind::Proxy(store) => store(settings, text.into(), by),
            SettingKind::ApiKey(store) => {
                let key =
                    ApiKey::parse(text).ok_or_else(|| self.refused(said, super::api_key::FORM));
                store(settings, key?, by);
            }
            SettingKind::Credentials(store) => {
                let list = HostCredentials::parse(&said.list());
                let why = format!("invalid entry: {}", super::credentials::FORM);
                store(settings, list.ok_or_else(|| self.refused(said, &why))?, by);
            }
            SettingKind::File(store) => {
                said.absolute(text)?;
                store(settings, value.into(), by);
            }
            SettingKind::Directories(store) => store(settings, self.directories(said)?, by),
            SettingKind::Mirrors(store) => {
                let mirrors = said.list();
                let mut paths = mirrors.iter().filter(|text| !is_http(text));
                paths.try_for_each(|text| said.absolute(text))?;
                store(settings, mirrors, by);
            }
            SettingKind::Peers(store) | SettingKind::Trackers(store) => {
                store(settings, said.list(), by);
            }
            SettingKind::Nodes(store) => {
                let nodes = said.list();
                store(settings, if nodes == ["off"] { Vec::new() } else { nodes }, by);
            }
            SettingKind::Hosts(store) => {
                let list = said.list();
                let hosts = PrivateHosts::parse(list.iter().map(String::as_str));
                let expected = "a host, an address or a network, such as `data.lab`, `10.1.2.3:8080` or `10.0.0.0/8`";
                store(settings, hosts.map_err(|odd| refused(odd, expected))?, by);
            }
            SettingKind::Text(store) => store(settings, text, by),
            SettingKind::Store => {
                let is_variable = matches!(said, SettingSource::Variable(..));
                absolute(self.variable(), value.into(), is_variable)?;
            }
        }
        Ok(())
    }

    fn directories(&self, said: SettingSource<'_>) -> Result<Vec<PathBuf>, Error> {
        let named: Vec<PathBuf> = match said {
            SettingSource::Variable(_, value) => std::env::split_paths(value).collect(),
            SettingSource::Key(_, _, values) => values.iter().map(PathBuf::from).collect(),
            SettingSource::Cargo(_) => Vec::new(),
        };
        let mut directories = Vec::new();
        let variable = match said {
            SettingSource::Variable(name, _) => name,
            SettingSource::Key(..) | SettingSource::Cargo(_) => self.variable(),
        };
        let is_variable = matches!(said, SettingSource::Variable(..));
        for directory in named.into_iter().filter(|it| !is_variable || !it.as_os_str().is_empty()) {
            said.absolute(&directory.to_string_lossy())?;
            let directory = absolute(variable, directory, true)?;
            if !directories.contains(&directory) {
                directories.push(directory);
            }
        }
        Ok(directories)
    }

    fn refused(&self, said: SettingSource<'_>, why: &str) -> Error {
        let name = self.variable();
        let what = format!("invalid environment variable {name}");
        let error = Error::new(ErrorKind::Manifest, what).why(why);
        match said {
            SettingSource::Variable(..) => error.help(format!("correct {name}, or unset it")),
            SettingSource::Key(..) | SettingSource::Cargo(_) => error,
        }
    }

    /// Expands `~/` at the start of paths from the configuration file, which no shell has expanded.
    pub(super) fn with_home(&self, values: Vec<String>, home: Option<&Path>) -> Vec<String> {
        use SettingKind::{Directories, File, Mirrors, Store};
        let is_path = matches!(self.kind, File(_) | Directories(_) | Mirrors(_) | Store);
        let Some(home) = home.filter(|_| is_path).and_then(Path::to_str) else { return values };
        let expanded = |text: String| match text.strip_prefix('~') {
            Some(rest) if rest.is_empty() || rest.starts_with('/') => [home, rest].concat(),
            _ => text,
        };
        values.into_iter().map(expanded).collect()
    }

    pub(super) fn is_list(&self) -> bool {
        use SettingKind::{Directories, Hosts, Mirrors, Nodes, Peers, Trackers, Words};
        matches!(
            self.kind,
            Words(..) | Directories(_) | Mirrors(_) | Peers(_) | Trackers(_) | Nodes(_) | Hosts(_)
        )
    }

    /// Converts a value of a configuration file to the syntax of variables.
    ///
    /// # Errors
    /// What is expected instead.
    pub(super) fn values(&self, value: &DeValue<'_>) -> Result<Vec<String>, &'static str> {
        match (value, &self.kind) {
            (_, SettingKind::Credentials(_)) => credentials(value).ok_or(super::credentials::FORM),
            (DeValue::Boolean(yes), SettingKind::Flag(_)) => Ok(vec![u8::from(*yes).to_string()]),
            (_, SettingKind::Flag(_)) => Err("expected true or false"),
            (DeValue::Array(items), SettingKind::Words(..)) if items.is_empty() => {
                Err("an empty list allows no source: remove it, or set `offline = true`")
            }
            (DeValue::Array(items), _) if self.is_list() => {
                let items = items.iter().map(|item| item.get_ref().as_str().map(str::to_owned));
                items.collect::<Option<_>>().ok_or("expected a list of strings")
            }
            _ if self.is_list() => Err("expected a list of strings"),
            (
                DeValue::Integer(number),
                SettingKind::Size(_) | SettingKind::Duration(_) | SettingKind::Rate(_),
            ) => Ok(vec![size::integer(number).map_or(number.to_string(), |it| it.to_string())]),
            (_, SettingKind::Size(_) | SettingKind::Duration(_) | SettingKind::Rate(_))
                if value.as_str().is_none() =>
            {
                Err("expected a string or an integer")
            }
            (DeValue::String(text), _) if !text.is_empty() => Ok(vec![text.to_string()]),
            _ => Err("expected a string"),
        }
    }

    /// The example in the syntax of the variable. `None` if it is not valid.
    #[cfg(any(test, feature = "engine"))]
    pub fn variable_example(&self) -> Option<String> {
        let document = format!("key = {}", self.example);
        let table = toml::de::DeTable::parse(&document).ok()?.into_inner();
        let values = self.values(table.get("key")?.get_ref()).ok()?;
        Some(values.join(if matches!(self.kind, SettingKind::Directories(_)) { ":" } else { "," }))
    }
}

/// Converts a table of tokens and headers by host to the syntax of the variable.
fn credentials(value: &DeValue<'_>) -> Option<Vec<String>> {
    let DeValue::Table(hosts) = value else { return None };
    let of_host = |(host, entry): (&toml::Spanned<_>, &toml::Spanned<DeValue<'_>>)| {
        let host: &std::borrow::Cow<'_, str> = host.get_ref();
        let DeValue::Table(entry) = entry.get_ref() else { return None };
        let mut entry = entry.iter();
        let (kind, DeValue::String(text)) =
            entry.next().map(|(k, v)| (k.get_ref(), v.get_ref()))?
        else {
            return None;
        };
        if entry.next().is_some() || host.contains('=') {
            return None;
        }
        match (&**kind, text.split_once(':')) {
            // A token with a colon would be parsed as a header.
            ("token", None) => Some(format!("{host}={text}")),
            ("header", Some((name, value))) => Some(format!("{host}={name}:{}", value.trim())),
            _ => None,
        }
    };
    hosts.iter().map(of_host).collect()
}

/// Whether the value of a flag means yes.
pub(super) fn means_yes(value: &OsStr) -> bool {
    !matches!(value.to_str(), Some("0" | "false" | "no"))
}

pub(super) fn invalid(name: &str, value: &OsStr, why: &str) -> Error {
    Error::new(ErrorKind::Manifest, format!("invalid environment variable {name}"))
        .why(format!("`{}` {why}", Url::from(&*value.to_string_lossy())))
}

/// The error does not contain the value, which may contain a password.
pub(super) fn not_utf8(variable: &str) -> Error {
    Error::new(ErrorKind::Manifest, format!("the variable {variable} is not UTF-8"))
}

/// Rejects a relative path, from a variable or the configuration file.
pub(super) fn absolute(name: &str, path: PathBuf, is_variable: bool) -> Result<PathBuf, Error> {
    if path.is_absolute() {
        return Ok(path);
    }
    let mut error = invalid(
        name,
        path.as_os_str(),
        "is a relative path, and Cargo runs build scripts in each package's own directory",
    );
    if is_variable {
        error = error.help(format!("set {name} to an absolute path"));
    }
    if path.starts_with("~") {
        error = error.help("shells do not expand a quoted `~`: write $HOME");
    }
    Err(error)
}
