//! `cargo academictorrents config`.

use std::path::PathBuf;

use academictorrents::Error;
use academictorrents::engine::error::printable;
use academictorrents::engine::manifest::absolute;
use academictorrents::engine::plan;
use academictorrents::engine::settings::{Context, SettingOrigin, ShownSetting};
use serde_json::{Value, json};

use crate::Common;
use crate::output::{self, Failure, Output, Result, stdout, tell_error};

/// Show all settings and where each comes from
///
/// A setting comes from an environment variable, a key of the configuration file, Cargo's configuration, or the default. Builds
/// use the same settings. Invalid values are errors.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo academictorrents config
  cargo academictorrents config --json")]
pub(crate) struct ConfigArguments {}

pub(crate) fn run(_: &ConfigArguments, common: &Common, output: &Output) -> Result {
    let in_force = InForce::of(Context::of_command(), common)?;
    if output.json {
        output.document(&document(&in_force));
    } else {
        show(&in_force, output);
    }
    if in_force.errors.is_empty() {
        return Ok(());
    }
    in_force.errors.iter().for_each(tell_error);
    Err(Failure::Told)
}

/// The effective settings of this process.
struct InForce {
    settings: Vec<ShownSetting>,
    /// The path of the user's configuration file, and whether it exists; `None` if the home
    /// directory is unknown.
    file: Option<(PathBuf, bool)>,
    /// Invalid settings, with which every command fails.
    errors: Vec<Error>,
}

impl InForce {
    /// Reads the environment and the user's configuration file, then applies `--store` and
    /// `--offline`.
    ///
    /// # Errors
    /// [`academictorrents::ErrorKind::Disk`] if the current directory is unknown.
    fn of(mut context: Context, common: &Common) -> Result<InForce, Error> {
        let mut errors: Vec<Error> = context.read_config().err().into_iter().collect();
        let found = context.settings();
        let is_offline = found.as_ref().is_ok_and(|settings| settings.offline);
        errors.extend(found.and_then(|settings| plan::check_named(&settings)).err());
        if common.store.is_none() {
            errors.extend(context.store_dir().err());
        }
        let mut settings = context.shown();
        let mut said = |variable: &str, flag, value: String| {
            if let Some(setting) = settings.iter_mut().find(|it| it.variable == variable) {
                (setting.value, setting.from) = (Some(value), SettingOrigin::Flag(flag));
            }
        };
        if let Some(store) = &common.store {
            let store = absolute(store)?.display().to_string();
            said("ACADEMICTORRENTS_STORE", "--store", store);
        }
        if common.offline && !is_offline {
            said("ACADEMICTORRENTS_OFFLINE", "--offline", "yes".to_owned());
        }
        let file = context.config_place().map(|path| {
            let is_there = path.exists();
            (path, is_there)
        });
        Ok(InForce { settings, file, errors })
    }
}

fn show(in_force: &InForce, output: &Output) {
    let settings = &in_force.settings;
    let width = settings.iter().map(|it| it.variable.chars().count()).max().unwrap_or(0);
    for setting in settings {
        let name = format!("{:width$}", printable(&setting.variable));
        let value = setting.value.as_deref().map(printable);
        match (&setting.from, value) {
            (SettingOrigin::Default, None) => {
                output.result(format_args!("{name}  {}", stdout("not set").dim()));
            }
            (SettingOrigin::Default, Some(value)) => {
                output.result(format_args!("{name}  {value} {}", stdout("(default)").dim()));
            }
            (_, value) => output.result(format_args!(
                "{}  {} {}",
                stdout(name).bold(),
                value.unwrap_or_default(),
                stdout(format!("({})", origin(setting, in_force))).cyan()
            )),
        }
    }
    match &in_force.file {
        Some((path, true)) => output.say(format_args!("configuration file: {}", path.display())),
        Some((path, false)) => {
            output.say(format_args!("configuration file: {} (does not exist)", path.display()));
        }
        None => output.say("configuration file: none (the home directory is unknown)"),
    }
}

fn origin(setting: &ShownSetting, in_force: &InForce) -> String {
    match &setting.from {
        // The variable's own name is printed beside it.
        SettingOrigin::Variable(name) if *name == setting.variable => "variable".to_owned(),
        SettingOrigin::Variable(name) => name.clone(),
        SettingOrigin::Key(key) => {
            let file = in_force.file.as_ref().and_then(|(path, _)| path.file_name());
            format!("`{key}` in {}", file.unwrap_or_default().to_string_lossy())
        }
        SettingOrigin::Cargo(place) => printable(place),
        SettingOrigin::Flag(flag) => (*flag).to_owned(),
        SettingOrigin::Default => "default".to_owned(),
    }
}

fn document(in_force: &InForce) -> Value {
    let file = in_force.file.as_ref().map(|(path, _)| path.display().to_string());
    let setting = |setting: &ShownSetting| {
        let (from, name) = match &setting.from {
            SettingOrigin::Variable(name) => ("variable", Some(name.clone())),
            SettingOrigin::Key(key) => ("file", Some((*key).to_owned())),
            SettingOrigin::Cargo(place) => ("cargo", Some(place.clone())),
            SettingOrigin::Flag(flag) => ("argument", Some((*flag).to_owned())),
            SettingOrigin::Default => ("default", None),
        };
        json!({
            "variable": setting.variable,
            "key": setting.key,
            "value": setting.value,
            "from": from,
            "from_name": name,
        })
    };
    json!({
        "settings": in_force.settings.iter().map(setting).collect::<Value>(),
        "file": file,
        "file_exists": in_force.file.as_ref().is_some_and(|(_, is_there)| *is_there),
        "errors": in_force.errors.iter().map(output::document).collect::<Value>(),
    })
}

#[cfg(test)]
mod tests {
    use academictorrents::engine::settings::{OfflineBy, SETTINGS};

    use super::*;

    const PREFIX: &str = "ACADEMICTORRENTS_";

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
        let bare = context(&[("https_proxy", "me:se@cret@proxy:3128")]);
        assert_eq!(of(&bare, "https_proxy").value.as_deref(), Some("…@proxy:3128"));
        check("NO_PROXY", None, SettingOrigin::Default);
        let mut secret = context(&[]);
        secret.set("ACADEMICTORRENTS_API_KEY", "abc");
        assert_eq!(secret.value_shown("API_KEY").as_deref(), Some("set"));
    }
}
