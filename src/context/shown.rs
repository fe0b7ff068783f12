//! Each setting, its value and whose word it is: for those who ask which ones are in force (feature `cli`).
//!
//! Data-driven: what follows [`PREFIX`] is taken from the names that the rest of this room knows, so that a new variable is shown
//! by itself.

use std::ffi::OsStr;

use super::config::{self, KEYS};
use super::places::is_path_of;
use super::{Context, NAMES, PREFIX, PROXIES, Settings};
use crate::size;

/// Never shown: a word of it may let others in.
const SECRET: [&str; 1] = ["API_KEY"];

/// Whose word a setting is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// An environment variable, by its name: ours, or one that cargo and others have, too.
    Variable(String),
    /// A key of the user's configuration file.
    Key(&'static str),
    Default,
}

/// A setting in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The variable that says it; of the proxy, there are several.
    pub variable: String,
    /// The key of the configuration file, where there is one.
    pub key: Option<&'static str>,
    /// Printable as it is but for control characters; `None` where it is not set, and nothing takes its place.
    pub value: Option<String>,
    pub origin: Origin,
}

impl Context {
    /// All settings, in order of name, with the proxies last.
    pub fn shown(&self) -> Vec<Setting> {
        let nothing = Context::default().settings().ok();
        let mut shown: Vec<Setting> =
            NAMES.iter().map(|name| self.one(name, nothing.as_ref())).collect();
        let mut paths: Vec<_> = self.vars.iter().filter(|(_, value)| !value.is_empty()).collect();
        paths.retain(|(name, _)| {
            name.to_str().and_then(|name| name.strip_prefix(PREFIX)).is_some_and(is_path_of)
        });
        paths.sort();
        shown.extend(paths.into_iter().map(|(name, value)| {
            let variable = name.to_string_lossy().into_owned();
            let origin = Origin::Variable(variable.clone());
            Setting { variable, key: None, value: Some(text(value)), origin }
        }));
        shown.push(self.proxy_shown());
        let no_proxy = ["NO_PROXY", "no_proxy"].into_iter().find(|name| self.var(name).is_some());
        let variable = no_proxy.unwrap_or("NO_PROXY").to_owned();
        shown.push(Setting {
            value: self.var(&variable).map(text),
            key: None,
            origin: no_proxy.map_or(Origin::Default, |name| Origin::Variable(name.to_owned())),
            variable,
        });
        shown
    }

    fn one(&self, name: &str, nothing: Option<&Settings>) -> Setting {
        let variable = [PREFIX, name].concat();
        let key = KEYS.iter().find(|(_, known)| *known == name).map(|(key, _)| *key);
        let (value, origin) = if let Some(value) = self.var(&variable) {
            (Some(text(value)), Origin::Variable(variable.clone()))
        } else if let Some((key, values)) =
            key.zip(self.config.as_ref().and_then(|it| it.list(name)))
        {
            (
                Some(values.iter().map(|it| without_password(it)).collect::<Vec<_>>().join(", ")),
                Origin::Key(key),
            )
        } else if let Some(other) = also(name).iter().find(|other| self.is_said(name, other)) {
            (self.var(other).map(text), Origin::Variable((*other).to_owned()))
        } else {
            (self.default_of(name, nothing), Origin::Default)
        };
        let value = value.map(|value| match name {
            _ if SECRET.contains(&name) => "set".to_owned(),
            "OFFLINE" if super::means_yes(&value) => "yes".to_owned(),
            "OFFLINE" => "no".to_owned(),
            _ => value,
        });
        Setting { variable, key, value, origin }
    }

    /// A flag that is off says nothing.
    fn is_said(&self, name: &str, other: &str) -> bool {
        if name == "OFFLINE" { self.flag(other) } else { self.var(other).is_some() }
    }

    /// What holds where nobody says anything.
    fn default_of(&self, name: &str, nothing: Option<&Settings>) -> Option<String> {
        match name {
            "STORE" => {
                let alone = Context { config: None, ..self.clone() };
                alone.store_dir().ok().map(|path| path.display().to_string())
            }
            "OFFLINE" => Some("no".to_owned()),
            "FETCH" => Some("local".to_owned()),
            "PROGRESS" => Some("auto".to_owned()),
            "SOURCES" => Some(super::SourceSet::NAMES.join(", ")),
            "CATALOGUE" => nothing.map(|it| it.catalogue.clone()),
            "TIMEOUT" => nothing.map(|it| size::seconds(it.timeout)),
            "DHT_BOOTSTRAP" => Some("well-known nodes".to_owned()),
            "UPLOAD" => nothing.map(|it| size::display(it.upload_bytes_per_second)),
            _ => None,
        }
    }

    fn proxy_shown(&self) -> Setting {
        let setting = |value: Option<String>, variable: &str, origin| Setting {
            variable: variable.to_owned(),
            key: Some("proxy"),
            value,
            origin,
        };
        if let Some(name) = PROXIES.into_iter().find(|name| self.var(name).is_some()) {
            let value = self.var(name).map(|value| proxy(&value.to_string_lossy()));
            return setting(value, name, Origin::Variable(name.to_owned()));
        }
        let first = PROXIES[0];
        match self.config.as_ref().and_then(|config| config.text(config::PROXY)) {
            Some(url) => setting(Some(proxy(url)), first, Origin::Key("proxy")),
            None => setting(None, first, Origin::Default),
        }
    }
}

/// Variables of others that say it, where neither ours nor the file does.
fn also(name: &str) -> &'static [&'static str] {
    match name {
        "CA_FILE" => &["CARGO_HTTP_CAINFO", "SSL_CERT_FILE"],
        "OFFLINE" => &["CARGO_NET_OFFLINE"],
        _ => &[],
    }
}

fn text(value: &OsStr) -> String {
    without_password(&value.to_string_lossy())
}

/// A proxy may be written without a scheme.
fn proxy(url: &str) -> String {
    match url.rsplit_once('@') {
        Some((_, host)) if !url.contains("://") => format!("…@{host}"),
        _ => without_password(url),
    }
}

/// A value as it may be shown: what a URL has before `@` is for its server alone.
fn without_password(value: &str) -> String {
    let mut shown = String::new();
    let mut rest = value;
    while let Some((before, after)) = rest.split_once("://") {
        let end = after.find(|c: char| "/?#, ".contains(c)).unwrap_or(after.len());
        let (authority, behind) = after.split_at(end);
        let host = authority.rsplit_once('@').map(|(_, host)| host);
        shown.extend([
            before,
            "://",
            if host.is_some() { "…@" } else { "" },
            host.unwrap_or(authority),
        ]);
        rest = behind;
    }
    shown + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(vars: &[(&str, &str)]) -> Context {
        let mut context = Context::default();
        vars.iter().for_each(|(name, value)| context.set(name, value));
        context
    }

    fn of(context: &Context, variable: &str) -> Setting {
        let shown = context.shown();
        shown.into_iter().find(|it| it.variable == variable).unwrap()
    }

    #[test]
    fn each_variable_and_each_key_is_shown_once() {
        let shown = context(&[("ACADEMICTORRENTS_PATH_MNIST", "/m")]).shown();
        for name in NAMES {
            let variable = [PREFIX, name].concat();
            assert_eq!(shown.iter().filter(|it| it.variable == variable).count(), 1, "{name}");
        }
        for (key, _) in KEYS {
            assert_eq!(shown.iter().filter(|it| it.key == Some(key)).count(), 1, "{key}");
        }
        assert!(shown.iter().any(|it| it.variable == "ACADEMICTORRENTS_PATH_MNIST"));
        // What has a default shows it: the others are named here, so that a new one is thought of.
        let unset = ["CA_FILE", "LOAD_PATH", "MAX_SIZE", "MIRRORS", "PEERS", "API_KEY"];
        let home = if cfg!(windows) { ("LOCALAPPDATA", "C:\\h") } else { ("HOME", "/h") };
        for name in NAMES.iter().filter(|name| !unset.contains(name)) {
            let shown = of(&context(&[home]), &[PREFIX, name].concat());
            assert!(shown.value.is_some() && shown.origin == Origin::Default, "{name}");
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
            assert_eq!((shown.value.as_deref(), shown.origin), (value, origin), "{variable}");
        };
        let from = |name: &str| Origin::Variable(name.to_owned());
        check("ACADEMICTORRENTS_CA_FILE", Some("/ca.pem"), from("CARGO_HTTP_CAINFO"));
        check("https_proxy", Some("http://…@proxy:3128"), from("https_proxy"));
        let mirrors = "ACADEMICTORRENTS_MIRRORS";
        check(mirrors, Some("https://…@x/y,https://…@z"), from(mirrors));
        check("ACADEMICTORRENTS_OFFLINE", Some("no"), from("ACADEMICTORRENTS_OFFLINE"));
        assert_eq!(proxy("me:se@cret@proxy:3128"), "…@proxy:3128");
        check("NO_PROXY", None, Origin::Default);
        let mut secret = context(&[]);
        secret.set("ACADEMICTORRENTS_API_KEY", "abc");
        assert_eq!(secret.one("API_KEY", None).value.as_deref(), Some("set"));
    }
}
