//! The user's configuration file, for the settings of a person or a machine.
//!
//! It is `academictorrents/config.toml` in the OS configuration directory. A key applies if no
//! variable of the setting is set. Lists are arrays, whose strings may contain spaces.

use std::path::{Path, PathBuf};

use toml::de::DeTable;

use super::kind::SettingSource;
use super::{Context, SETTINGS, Setting, Settings, is_absent};
use crate::error::{Error, ErrorKind};
use crate::suggest::nearest;

/// The validated contents of the file.
#[derive(Clone, Default)]
pub(super) struct Config {
    path: PathBuf,
    values: Vec<(&'static Setting, Vec<String>)>,
}

impl Config {
    /// Reads the file; `None` if it does not exist.
    ///
    /// # Errors
    /// [`ErrorKind::Manifest`], with the line, if the file cannot be read, or has an unknown key or
    /// an invalid value.
    pub(super) fn read(path: &Path, home: Option<&Path>) -> Result<Option<Config>, Error> {
        let unreadable = |why: String| {
            Error::new(
                ErrorKind::Manifest,
                format!("the configuration file {} cannot be read", path.display()),
            )
            .why(why)
        };
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            // The home directory may be a file: accounts of services often have `/dev/null`.
            Err(why) if is_absent(&why) => return Ok(None),
            Err(why) => return Err(unreadable(why.to_string())),
        };
        let line =
            |at: usize| text.bytes().take(at).filter(|byte| *byte == b'\n').count() as u64 + 1;
        let table = DeTable::parse(&text).map_err(|why| {
            let at = why.span().map_or(0, |span| span.start);
            unreadable(format!("line {}: invalid TOML: {}", line(at), why.message()))
        })?;
        let mut config = Config { path: path.to_owned(), values: Vec::new() };
        for (key, value) in table.get_ref().iter() {
            let at = line(key.span().start);
            let key = key.get_ref().as_ref();
            let rows = SETTINGS.iter().filter(|row| !row.key.is_empty());
            let Some(row) = rows.clone().find(|row| row.key == key) else {
                let what =
                    format!("unknown key `{}` in {}:{at}", key.escape_debug(), path.display());
                let keys: Vec<&str> = rows.map(|row| row.key).collect();
                let near = nearest(key, keys.iter().copied());
                return Err(Error::new(ErrorKind::Manifest, what).help(match near {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("the keys are {}", keys.join(", ")),
                }));
            };
            let what = format!("invalid `{key}` in {}:{at}", path.display());
            let values = row
                .values(value.get_ref())
                .map_err(|why| Error::new(ErrorKind::Manifest, &what).why(why))?;
            let values = row.with_home(values, home);
            row.apply(SettingSource::Key(row.key, path, &values), None, &mut Settings::default())
                .map_err(|error| error.instead(what))?;
            config.values.push((row, values));
        }
        Ok(Some(config))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn said(&self, row: &'static Setting) -> Option<SettingSource<'_>> {
        let (_, values) = self.values.iter().find(|(known, _)| std::ptr::eq(*known, row))?;
        Some(SettingSource::Key(row.key, &self.path, values))
    }
}

impl Context {
    /// Reads the user's configuration file, if there is one, and Cargo's configuration.
    ///
    /// # Errors
    /// [`ErrorKind::Manifest`] if the user's file is invalid.
    pub fn read_config(&mut self) -> Result<(), Error> {
        // First, because its `[env]` may say where the user's file is.
        self.read_cargo_config();
        if let Some(path) = self.config_place() {
            self.config = Config::read(&path, self.home().as_deref())?;
        }
        Ok(())
    }

    /// Where the configuration file is, or would be.
    pub fn config_place(&self) -> Option<PathBuf> {
        Some(self.config_dir()?.join("academictorrents").join("config.toml"))
    }

    /// All configuration files that were read: the user's and Cargo's.
    pub fn config_files(&self) -> impl Iterator<Item = &Path> {
        let of_cargo = self.cargo_config.files().iter().map(PathBuf::as_path);
        self.config.as_ref().map(Config::path).into_iter().chain(of_cargo)
    }

    /// The user's configuration file, if it was read.
    #[cfg(any(test, feature = "engine"))]
    pub fn config_path(&self) -> Option<&Path> {
        self.config.as_ref().map(Config::path)
    }

    /// The OS configuration directory, according to the snapshot.
    pub(super) fn config_dir(&self) -> Option<PathBuf> {
        if cfg!(windows) {
            return self.directory("APPDATA");
        }
        let home = || self.directory("HOME");
        if cfg!(target_os = "macos") {
            return home().map(|home| home.join("Library/Application Support"));
        }
        self.directory("XDG_CONFIG_HOME").or_else(|| home().map(|home| home.join(".config")))
    }
}

#[cfg(test)]
pub(super) mod tests;
