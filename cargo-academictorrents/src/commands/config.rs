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
        "file_is_there": in_force.file.as_ref().is_some_and(|(_, is_there)| *is_there),
        "errors": in_force.errors.iter().map(output::document).collect::<Value>(),
    })
}
