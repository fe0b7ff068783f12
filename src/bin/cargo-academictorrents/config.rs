//! `cargo academictorrents config`.

use academictorrents::tools::{self, InForce, Origin, ShownSetting, printable};
use serde_json::{Value, json};

use crate::Common;
use crate::output::{self, Failure, Output, stdout, tell_error};

/// Show the settings in force, and where each comes from
///
/// From an environment variable, from a key of your configuration file, from a variable that cargo has, too, or from
/// nowhere: the default. Builds go by the same ones. What cannot be used is an error.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo academictorrents config
  cargo academictorrents config --json")]
pub(crate) struct Arguments {}

pub(crate) fn run(_: &Arguments, common: &Common, output: &Output) -> Result<(), Failure> {
    let in_force = tools::in_force(common.store.as_deref(), common.offline)?;
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

fn show(in_force: &InForce, output: &Output) {
    let settings = &in_force.settings;
    let width = settings.iter().map(|it| it.variable.chars().count()).max().unwrap_or(0);
    for setting in settings {
        let name = format!("{:width$}", printable(&setting.variable));
        let value = setting.value.as_deref().map(printable);
        match (&setting.from, value) {
            (Origin::Default, None) => {
                output.result(format_args!("{name}  {}", stdout("not set").dim()));
            }
            (Origin::Default, Some(value)) => {
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
            output.say(format_args!("configuration file: {} (none there)", path.display()));
        }
        None => output.say("configuration file: none, the home directory is not known"),
    }
}

fn origin(setting: &ShownSetting, in_force: &InForce) -> String {
    match &setting.from {
        // Its own name stands beside it.
        Origin::Variable(name) if *name == setting.variable => "variable".to_owned(),
        Origin::Variable(name) => name.clone(),
        Origin::Key(key) => {
            let file = in_force.file.as_ref().and_then(|(path, _)| path.file_name());
            format!("`{key}` in {}", file.unwrap_or_default().display())
        }
        Origin::Flag(flag) => flag.clone(),
        Origin::Default => "default".to_owned(),
    }
}

fn document(in_force: &InForce) -> Value {
    let file = in_force.file.as_ref().map(|(path, _)| path.display().to_string());
    let setting = |setting: &ShownSetting| {
        let (from, name) = match &setting.from {
            Origin::Variable(name) => ("variable", Some(name.clone())),
            Origin::Key(key) => ("file", Some((*key).to_owned())),
            Origin::Flag(flag) => ("argument", Some(flag.clone())),
            Origin::Default => ("default", None),
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
