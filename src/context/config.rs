//! The user's configuration file: what our variables say, for a person or a machine.
//!
//! `academictorrents/config.toml` in the OS configuration directory. Each key is a variable of ours in small letters,
//! `-` for `_`, and holds where that variable is not set. A list may be an array, whose strings may have spaces.

use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::{Configured, Context, PREFIX, is_http};
use crate::error::{Error, ErrorKind};
use crate::nearest::nearest;

/// The keys, and what follows [`PREFIX`] in the names of the variables that they stand for. `proxy` has none of ours:
/// it holds where none of the usual variables is set.
pub(super) const KEYS: [(&str, &str); 16] = [
    ("store", "STORE"),
    ("load-path", "LOAD_PATH"),
    ("mirrors", "MIRRORS"),
    ("sources", "SOURCES"),
    ("peers", "PEERS"),
    ("dht-bootstrap", "DHT_BOOTSTRAP"),
    ("max-size", "MAX_SIZE"),
    ("timeout", "TIMEOUT"),
    ("upload", "UPLOAD"),
    ("offline", "OFFLINE"),
    ("fetch", "FETCH"),
    ("progress", "PROGRESS"),
    ("catalogue", "CATALOGUE"),
    ("api-key", "API_KEY"),
    ("ca-file", "CA_FILE"),
    ("proxy", PROXY),
];

pub(super) const PROXY: &str = "PROXY";

const LISTS: [&str; 5] = ["LOAD_PATH", "MIRRORS", "SOURCES", "PEERS", "DHT_BOOTSTRAP"];

/// What the file says, checked.
#[derive(Clone, Debug, Default)]
pub(super) struct Config {
    path: PathBuf,
    /// By what follows [`PREFIX`] in the variable's name.
    values: Vec<(&'static str, Vec<String>)>,
}

impl Config {
    /// Reads the file; `None` where there is none.
    ///
    /// # Errors
    /// [`ErrorKind::Manifest`], naming the line, for what cannot be read, is no key, or cannot be its value.
    pub(super) fn read(path: &Path) -> Result<Option<Config>, Error> {
        let unreadable = |why: String| {
            Error::new(
                ErrorKind::Manifest,
                format!("the configuration file {} cannot be read", path.display()),
            )
            .why(why)
        };
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(why) if why.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(why) => return Err(unreadable(why.to_string())),
        };
        let line =
            |at: usize| text.bytes().take(at).filter(|byte| *byte == b'\n').count() as u64 + 1;
        let table = DeTable::parse(&text).map_err(|why| {
            let at = why.span().map_or(0, |span| span.start);
            unreadable(format!("line {}: this is not TOML: {}", line(at), why.message()))
        })?;
        let mut config = Config { path: path.to_owned(), values: Vec::new() };
        for (key, value) in table.get_ref().iter() {
            let at = line(key.span().start);
            let key = key.get_ref().as_ref();
            let Some((key, name)) = KEYS.iter().find(|(known, _)| *known == key) else {
                let what =
                    format!("unknown key `{}` in {}:{at}", key.escape_debug(), path.display());
                let keys = KEYS.map(|(key, _)| key);
                return Err(Error::new(ErrorKind::Manifest, what).help(match nearest(key, keys) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("the keys are {}", keys.join(", ")),
                }));
            };
            let what = format!("`{key}` in {}:{at} cannot be used", path.display());
            let values = values(name, value.get_ref())
                .map_err(|why| Error::new(ErrorKind::Manifest, &what).why(why))?;
            let alone = vec![(*name, values.clone())];
            check(name, Config { path: path.to_owned(), values: alone })
                .map_err(|error| error.instead(what))?;
            config.values.push((name, values));
        }
        Ok(Some(config))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn list(&self, name: &str) -> Option<&[String]> {
        let found = self.values.iter().find(|(known, _)| *known == name)?;
        Some(&found.1)
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.list(name)?.first().map(String::as_str)
    }
}

/// A value as the variable would have it; the error says what it should be.
fn values(name: &str, value: &DeValue<'_>) -> Result<Vec<String>, String> {
    let string = |value: &DeValue<'_>| value.as_str().map(str::to_owned);
    match value {
        DeValue::Boolean(yes) if name == "OFFLINE" => Ok(vec![u8::from(*yes).to_string()]),
        _ if name == "OFFLINE" => Err("expected true or false".to_owned()),
        DeValue::Array(items) if name == "SOURCES" && items.is_empty() => {
            Err("an empty list allows none: leave it out, or write `offline = true`".to_owned())
        }
        DeValue::Array(items) if LISTS.contains(&name) => {
            let items: Option<_> = items.iter().map(|item| string(item.get_ref())).collect();
            items.ok_or_else(|| "expected a list of strings".to_owned())
        }
        _ if LISTS.contains(&name) => Err("expected a list of strings".to_owned()),
        DeValue::Integer(number) if ["MAX_SIZE", "TIMEOUT", "UPLOAD"].contains(&name) => {
            Ok(vec![number.as_str().to_owned()])
        }
        DeValue::String(text) if !text.is_empty() => Ok(vec![text.to_string()]),
        _ => Err("expected a string".to_owned()),
    }
}

/// Whether the value is one that the variable could have.
fn check(name: &str, config: Config) -> Result<(), Error> {
    let relative = |text: &str| {
        Error::new(ErrorKind::Manifest, "")
            .why(format!("`{text}` is a relative path"))
            .help("write an absolute path: builds run in many directories")
    };
    let is_place = |text: &str| is_http(text) || Path::new(text).is_absolute();
    let odd = config.list(name).unwrap_or_default().iter().find(|text| match name {
        "MIRRORS" => !is_place(text),
        "CA_FILE" | "LOAD_PATH" => !Path::new(text).is_absolute(),
        _ => false,
    });
    if let Some(odd) = odd {
        return Err(relative(odd));
    }
    let context = Context { config: Some(config), ..Context::default() };
    if name == "STORE" {
        return context.store_dir().map(drop);
    }
    context.settings().map(drop)
}

impl Context {
    /// Reads the user's configuration file, if there is one.
    ///
    /// # Errors
    /// [`ErrorKind::Manifest`] for one that cannot be used.
    pub fn read_config(&mut self) -> Result<(), Error> {
        if let Some(path) = self.config_place() {
            self.config = Config::read(&path)?;
        }
        Ok(())
    }

    /// Where that file is, or would be.
    pub fn config_place(&self) -> Option<PathBuf> {
        Some(self.config_dir()?.join("academictorrents").join("config.toml"))
    }

    /// The settings that no variable takes from the file.
    pub(super) fn configured(&self) -> Configured {
        let Some(config) = &self.config else { return Configured::default() };
        let keys = KEYS.iter().filter(|(_, name)| {
            config.list(name).is_some() && self.var(&[PREFIX, name].concat()).is_none()
        });
        Configured {
            path: config.path.clone(),
            keys: keys.map(|(key, name)| (*name, *key)).collect(),
        }
    }

    /// The configuration file that was read.
    pub fn config_path(&self) -> Option<&Path> {
        self.config.as_ref().map(Config::path)
    }

    /// The OS configuration directory, as the snapshot tells.
    pub(super) fn config_dir(&self) -> Option<PathBuf> {
        let absolute = |name| self.var(name).map(PathBuf::from).filter(|path| path.is_absolute());
        if cfg!(windows) {
            return absolute("APPDATA");
        }
        let home = || absolute("HOME");
        if cfg!(target_os = "macos") {
            return home().map(|home| home.join("Library/Application Support"));
        }
        absolute("XDG_CONFIG_HOME").or_else(|| home().map(|home| home.join(".config")))
    }

    /// A setting of ours: the variable's value, else the configuration file's.
    pub(super) fn own(&self, name: &str) -> Result<Option<&str>, Error> {
        let variable = self.text(&[PREFIX, name].concat())?;
        Ok(variable.or_else(|| self.config.as_ref()?.text(name)))
    }

    /// A setting that is a list.
    pub(super) fn own_list(&self, name: &str) -> Result<Vec<String>, Error> {
        Ok(match self.text(&[PREFIX, name].concat())? {
            Some(value) => super::words(value).map(str::to_owned).collect(),
            None => self
                .config
                .as_ref()
                .and_then(|config| config.list(name))
                .unwrap_or_default()
                .to_vec(),
        })
    }
}

#[cfg(test)]
mod tests;
