//! The settings in effect and where each is set, and the variables that we read: for `config` and
//! `doctor` (feature `engine`).

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::cargo_config::CargoConfig;
use super::environment::is_path_of;
use super::kind::{SettingKind, SettingSource};
use super::{Context, DefaultValue, PREFIX, SETTINGS, Setting};
use crate::url::Url;

/// A setting, its value, and what set it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownSetting {
    /// The variable that sets it. The proxy has several.
    pub variable: String,
    /// The key of the configuration file, if it has one.
    pub key: Option<&'static str>,
    /// Printable except for control characters. `None` if it is not set and has no default.
    pub value: Option<String>,
    /// What set it.
    pub from: SettingOrigin,
}

/// What set a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettingOrigin {
    /// An environment variable: one of ours, or one of cargo and other programs.
    Variable(String),
    /// A key of the user's configuration file.
    Key(&'static str),
    /// A key of Cargo's configuration, and its file.
    Cargo(String),
    /// An option of the command line.
    Flag(&'static str),
    /// Nothing.
    Default,
}

impl Context {
    /// All settings, sorted by name, then those without our prefix, such as the proxy.
    pub fn shown(&self) -> Vec<ShownSetting> {
        let (mut ours, others): (Vec<_>, Vec<_>) =
            SETTINGS.iter().partition(|row| row.variable().starts_with(PREFIX));
        ours.sort_unstable_by_key(|row| row.variable());
        let mut shown: Vec<ShownSetting> = ours.into_iter().map(|row| self.one(row)).collect();
        let paths = self.set_names().into_iter().filter(|name| is_path_of(name));
        shown.extend(paths.map(|variable| ShownSetting {
            key: None,
            value: self.var(&variable).map(text),
            from: self.origin_of(&variable),
            variable,
        }));
        shown.extend(others.into_iter().map(|row| self.one(row)));
        shown
    }

    /// The value of `ACADEMICTORRENTS_<name>`, or its default.
    pub fn value_shown(&self, name: &str) -> Option<String> {
        self.one(Setting::named(name)?).value
    }

    /// The names of all variables that are set and that we read. Some values are secret.
    pub fn set_names(&self) -> Vec<String> {
        let set = self.vars.iter().filter(|(_, value)| !value.is_empty());
        let is_read = |name: &&str| {
            let in_row = |row: &Setting| [row.variables, row.fallbacks].concat().contains(name);
            *name == "CI" || is_path_of(name) || SETTINGS.iter().any(in_row)
        };
        let read = set.filter_map(|(name, _)| name.to_str()).filter(is_read);
        let mut names: Vec<String> = read.map(str::to_owned).collect();
        names.sort();
        names
    }

    /// The configuration files, the user's and Cargo's, that contain a secret of ours, even one that
    /// has no effect.
    pub fn files_with_secrets(&self) -> Vec<&Path> {
        use SettingKind::{Mirrors, Proxy, Trackers};
        let is_secret = |row: &Setting, value: &str| match row.kind {
            SettingKind::Url(_) | Proxy(_) | Mirrors(_) | Trackers(_) => {
                Url::from(value).has_secrets()
            }
            _ => row.secret && !value.is_empty(),
        };
        let in_config = |row: &'static Setting| match self.config.as_ref()?.said(row)? {
            SettingSource::Key(_, file, values) => {
                values.iter().any(|it| is_secret(row, it)).then_some(file)
            }
            _ => None,
        };
        let in_cargos = |file: &&PathBuf| {
            CargoConfig::any_in(file, |name, value| {
                let of_row =
                    |row: &Setting| [row.variables, row.fallbacks].concat().contains(&name);
                SETTINGS.iter().any(|row| of_row(row) && is_secret(row, &value.to_string_lossy()))
            })
        };
        let of_cargo = self.cargo_config.files().iter().filter(in_cargos).map(PathBuf::as_path);
        SETTINGS.iter().find_map(in_config).into_iter().chain(of_cargo).collect()
    }

    fn one(&self, row: &'static Setting) -> ShownSetting {
        let said = self.said(row);
        let (value, from) = match said {
            Some(SettingSource::Variable(name, value)) => (Some(text(value)), self.origin_of(name)),
            Some(SettingSource::Key(key, _, values)) => {
                let values: Vec<_> = values.iter().map(|it| Url::from(it).to_string()).collect();
                (Some(values.join(", ")), SettingOrigin::Key(key))
            }
            Some(SettingSource::Cargo(it)) => {
                (Some(text(&it.value)), SettingOrigin::Cargo(it.place.clone()))
            }
            None => (self.default_shown(row), SettingOrigin::Default),
        };
        let value = match (&row.kind, said) {
            (SettingKind::Flag(_), Some(said)) => {
                Some(if said.means_yes() { "yes" } else { "no" }.to_owned())
            }
            _ if row.secret => value.map(|_| "set".to_owned()),
            _ => value,
        };
        // A proxy may be set by several variables: show the one that takes effect.
        let variable = match said {
            Some(SettingSource::Variable(name, _)) if !row.variable().starts_with(PREFIX) => name,
            _ => row.variable(),
        };
        let key = Some(row.key).filter(|key| !key.is_empty());
        ShownSetting { variable: variable.to_owned(), key, value, from }
    }

    /// What sets a variable: the environment, or `[env]` of Cargo's configuration.
    fn origin_of(&self, variable: &str) -> SettingOrigin {
        match self.from_env.get(variable) {
            Some(place) => SettingOrigin::Cargo(place.clone()),
            None => SettingOrigin::Variable(variable.to_owned()),
        }
    }

    fn default_shown(&self, row: &Setting) -> Option<String> {
        match row.default {
            _ if matches!(row.kind, SettingKind::Store) => {
                self.store_dir().ok().map(|path| path.display().to_string())
            }
            DefaultValue::Described(text) => Some(text.to_owned()),
            _ => self.default_of(row).map(str::to_owned),
        }
    }
}

fn text(value: &OsStr) -> String {
    Url::from(&*value.to_string_lossy()).to_string()
}
