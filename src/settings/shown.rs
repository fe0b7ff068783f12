//! The settings in effect and where each is set, and the variables that we read: for `config` and
//! `doctor` (feature `engine`).

use std::ffi::OsStr;
use std::path::Path;

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
        let mut files = Vec::new();
        for row in &SETTINGS {
            let is_url = matches!(
                row.kind,
                SettingKind::Url(_)
                    | SettingKind::Proxy(_)
                    | SettingKind::Mirrors(_)
                    | SettingKind::Trackers(_)
            );
            let is_secret = |value: &str| match row.secret {
                true => !value.is_empty(),
                false => is_url && Url::from(value).has_secrets(),
            };
            let key = self.config.as_ref().and_then(|it| it.said(row));
            if let Some(SettingSource::Key(_, file, values)) = key {
                files.extend(values.iter().any(|it| is_secret(it)).then_some(file));
            }
            let of_row = |name: &str| [row.variables, row.fallbacks].concat().contains(&name);
            let of_cargo = self
                .cargo_config
                .all()
                .filter(|(name, value, _)| of_row(name) && is_secret(&value.to_string_lossy()));
            files.extend(of_cargo.map(|(.., file)| file));
        }
        files.sort_unstable();
        files.dedup();
        files
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
                (Some(text(&it.value)), SettingOrigin::Cargo(it.place()))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::OfflineBy;

    fn context(vars: &[(&str, &str)]) -> Context {
        let mut context = Context::default();
        vars.iter().for_each(|(name, value)| context.set(name, value));
        context
    }

    fn of(context: &Context, variable: &str) -> ShownSetting {
        let shown = context.shown();
        shown.into_iter().find(|it| it.variable == variable).unwrap()
    }

    #[test]
    fn each_variable_and_each_key_is_shown_once() {
        let shown = context(&[("ACADEMICTORRENTS_PATH_MNIST", "/m")]).shown();
        for row in &SETTINGS {
            let name = row.variable();
            assert_eq!(shown.iter().filter(|it| it.variable == name).count(), 1, "{name}");
            let key = Some(row.key).filter(|key| !key.is_empty());
            let with_key = shown.iter().filter(|it| it.key == key).count();
            assert!(with_key == 1 || key.is_none(), "{name}");
        }
        assert!(shown.iter().any(|it| it.variable == "ACADEMICTORRENTS_PATH_MNIST"));
        // Settings without a default are listed here, so that adding one requires a decision.
        let unset = [
            "CA_DIR",
            "CA_FILE",
            "LOAD_PATH",
            "MAX_SIZE",
            "MIRRORS",
            "PEERS",
            "PRIVATE_HOSTS",
            "API_KEY",
            "CREDENTIALS",
        ];
        let home = if cfg!(windows) { ("LOCALAPPDATA", "C:\\h") } else { ("HOME", "/h") };
        let ours = SETTINGS.iter().filter_map(|row| row.variable().strip_prefix(PREFIX));
        for name in ours.filter(|name| !unset.contains(name)) {
            let shown = of(&context(&[home]), &[PREFIX, name].concat());
            assert!(shown.value.is_some() && shown.from == SettingOrigin::Default, "{name}");
        }
    }

    #[test]
    fn a_default_that_is_shown_is_the_one_in_force() {
        let settings = Context::default().settings().unwrap();
        let shown = |name: &str| of(&Context::default(), name).value.unwrap();
        let set = |name: &str| context(&[(name, &*shown(name))]).settings().unwrap();
        assert_eq!(set("ACADEMICTORRENTS_FETCH").fetch, settings.fetch);
        assert_eq!(set("ACADEMICTORRENTS_PROGRESS").progress, settings.progress);
        assert_eq!(set("ACADEMICTORRENTS_SOURCES").sources, settings.sources);
        assert_eq!(set("ACADEMICTORRENTS_TIMEOUT").timeout, settings.timeout);
        let upload = set("ACADEMICTORRENTS_UPLOAD").upload_bytes_per_second;
        assert_eq!(upload, settings.upload_bytes_per_second);
        assert_eq!(set("ACADEMICTORRENTS_CATALOGUE").catalogue, settings.catalogue);
        assert_eq!(set("ACADEMICTORRENTS_OFFLINE").offline, settings.offline);
        let in_ci = context(&[("CI", "1")]);
        assert_eq!(of(&in_ci, "ACADEMICTORRENTS_UPLOAD").value.as_deref(), Some("0 B"));
    }

    #[test]
    fn a_flag_shows_the_variable_that_turns_it_on() {
        let vars = context(&[("ACADEMICTORRENTS_OFFLINE", "0"), ("CARGO_NET_OFFLINE", "true")]);
        let (shown, settings) = (of(&vars, "ACADEMICTORRENTS_OFFLINE"), vars.settings().unwrap());
        assert_eq!(shown.value.as_deref(), Some("yes"));
        let variable = "CARGO_NET_OFFLINE".to_owned();
        assert_eq!(shown.from, SettingOrigin::Variable(variable.clone()));
        assert_eq!(settings.offline_by, Some(OfflineBy::Setting(variable)));
    }

    #[test]
    fn a_setting_tells_whose_word_it_is_and_no_password() {
        let vars = context(&[
            ("CARGO_HTTP_CAINFO", "/ca.pem"),
            ("CARGO_NET_OFFLINE", "false"),
            ("https_proxy", "http://me:secret@proxy:3128"),
            ("ACADEMICTORRENTS_MIRRORS", "https://a:secret@x/y,https://b@z"),
            ("ACADEMICTORRENTS_OFFLINE", "0"),
        ]);
        let check = |variable: &str, value: Option<&str>, origin| {
            let shown = of(&vars, variable);
            assert_eq!((shown.value.as_deref(), shown.from), (value, origin), "{variable}");
        };
        let from = |name: &str| SettingOrigin::Variable(name.to_owned());
        check("ACADEMICTORRENTS_CA_FILE", Some("/ca.pem"), from("CARGO_HTTP_CAINFO"));
        check("https_proxy", Some("http://…@proxy:3128"), from("https_proxy"));
        let mirrors = "ACADEMICTORRENTS_MIRRORS";
        check(mirrors, Some("https://…@x/y,https://…@z"), from(mirrors));
        check("ACADEMICTORRENTS_OFFLINE", Some("no"), from("ACADEMICTORRENTS_OFFLINE"));
        assert_eq!(text(OsStr::new("me:se@cret@proxy:3128")), "…@proxy:3128");
        check("NO_PROXY", None, SettingOrigin::Default);
        let mut from_env = vars.clone();
        let place = "`env.https_proxy` in c".to_owned();
        from_env.from_env.insert("https_proxy".to_owned(), place.clone());
        assert_eq!(of(&from_env, "https_proxy").from, SettingOrigin::Cargo(place));
        let mut secret = context(&[]);
        secret.set("ACADEMICTORRENTS_API_KEY", "abc");
        assert_eq!(secret.value_shown("API_KEY").as_deref(), Some("set"));
    }
}
