//! The settings in force, and what is wrong with them.

use std::path::{Path, PathBuf};

use super::absolute;
use crate::context::{self, Context, Setting};
use crate::error::Error;
use crate::plan;

/// What this process would go by.
#[derive(Debug)]
pub struct InForce {
    pub settings: Vec<ShownSetting>,
    /// The user's configuration file, and whether it is there; `None` where the home directory is not known.
    pub file: Option<(PathBuf, bool)>,
    /// What cannot be used: every verb would end with it.
    pub errors: Vec<Error>,
}

/// A setting, its value and whose word it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownSetting {
    /// The environment variable that says it.
    pub variable: String,
    /// The key of the configuration file that says it, where there is one.
    pub key: Option<&'static str>,
    /// `None` where it is not set. Passwords and keys are left out.
    pub value: Option<String>,
    pub from: Origin,
}

/// Whose word a setting is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    Variable(String),
    Key(&'static str),
    Flag(String),
    Default,
}

/// Reads the environment and the user's configuration file; `store` and `offline` are said on the command line.
///
/// # Errors
/// [`crate::ErrorKind::Disk`] where the directory that the process is in is not known.
pub fn in_force(store: Option<&Path>, offline: bool) -> Result<InForce, Error> {
    of(Context::of_process(), store, offline)
}

pub(super) fn of(
    mut context: Context,
    store: Option<&Path>,
    offline: bool,
) -> Result<InForce, Error> {
    let mut errors: Vec<Error> = context.read_config().err().into_iter().collect();
    match context.settings() {
        Ok(settings) => errors.extend(plan::check_named(&settings).err()),
        Err(error) => errors.push(error),
    }
    if store.is_none() {
        errors.extend(context.store_dir().err());
    }
    let mut settings: Vec<ShownSetting> = context.shown().into_iter().map(shown).collect();
    let mut said = |name: &str, flag: &str, value: String| {
        let found = settings.iter_mut().find(|it| it.variable.ends_with(name));
        if let Some(setting) = found {
            setting.value = Some(value);
            setting.from = Origin::Flag(flag.to_owned());
        }
    };
    if let Some(store) = store {
        said("TORRENTS_STORE", "--store", absolute(store)?.display().to_string());
    }
    let is_offline = context.settings().is_ok_and(|settings| settings.offline);
    if offline && !is_offline {
        said("TORRENTS_OFFLINE", "--offline", "yes".to_owned());
    }
    let file = context.config_place().map(|path| {
        let is_there = path.exists();
        (path, is_there)
    });
    Ok(InForce { settings, file, errors })
}

fn shown(setting: Setting) -> ShownSetting {
    let Setting { variable, key, value, origin } = setting;
    let from = match origin {
        context::Origin::Variable(name) => Origin::Variable(name),
        context::Origin::Key(key) => Origin::Key(key),
        context::Origin::Default => Origin::Default,
    };
    ShownSetting { variable, key, value, from }
}
