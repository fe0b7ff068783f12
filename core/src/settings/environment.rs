//! The environment variables: a snapshot, and the settings that they contain.
//!
//! [`Context`] is created once, so that a run does not depend on what other threads do to the
//! environment, and so that tests can pass variables as arguments. In a build script the snapshot
//! includes cargo's command line.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::cargo::CargoCall;
use super::cargo_config::CargoConfig;
use super::file::Config;
use super::kind::{SettingKind, SettingSource, absolute, invalid, means_yes, not_utf8};
use super::{DefaultValue, NetrcFile, OfflineBy, PREFIX, ProxyUrl, SETTINGS, Setting, Settings};
use crate::error::{Error, ErrorKind};
use crate::mutex::Mutex;
use crate::suggest::nearest;

/// The prefix of the variables of single datasets; the dataset's name follows.
const PATH_PREFIX: &str = "ACADEMICTORRENTS_PATH_";

/// Variables for the proxy of everything that the main proxy does not apply to, in order of
/// precedence.
const ALL_PROXY: [&str; 2] = ["ALL_PROXY", "all_proxy"];

/// Variables with the path of a file that Cargo reads, too.
const CARGOS_FILES: [&str; 2] = ["CARGO_HTTP_CAINFO", "SSL_CERT_FILE"];

/// The store for calls in this process, set by [`set_store`]. Overrides the environment.
static STORE: Mutex<Option<PathBuf>> = Mutex::new(None);

/// Sets the store of this process; an empty path removes the setting. See the function of the same name in academictorrents.
pub fn set_store(directory: PathBuf) {
    // Without a current directory, the path stays relative, and the call that uses it reports that.
    let directory = std::path::absolute(&directory).unwrap_or(directory);
    *STORE.lock() = Some(directory).filter(|directory| !directory.as_os_str().is_empty());
}

/// A snapshot of environment variables.
#[derive(Clone, Default)]
pub struct Context {
    pub(super) vars: HashMap<OsString, OsString>,
    /// The user's configuration file, after [`Context::read_config`]. Variables take precedence
    /// over it.
    pub(super) config: Option<Config>,
    cargo: CargoCall,
    /// Cargo's configuration, after [`Context::read_config`].
    pub(super) cargo_config: CargoConfig,
    /// Whether the variables of `[env]` are still to be set.
    #[cfg(feature = "engine")]
    sets_env: bool,
    /// The variables that `[env]` set, with the key and the file of each.
    #[cfg(feature = "engine")]
    pub(super) from_env: HashMap<String, String>,
}

/// Omits the variables, because some contain passwords, and users print values that contain a
/// `Context`.
impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").finish_non_exhaustive()
    }
}

impl Context {
    /// The variables of this process, now.
    pub fn of_process() -> Context {
        Context { vars: std::env::vars_os().collect(), ..Context::default() }
    }

    /// A snapshot for a call in this process, with the store from [`set_store`].
    pub fn of_call() -> Context {
        let mut context = Context::of_process();
        if let Some(store) = &*STORE.lock() {
            context.set("ACADEMICTORRENTS_STORE", store);
        }
        context
    }

    /// A snapshot for a command that cargo runs, with Cargo's configuration.
    #[cfg(feature = "engine")]
    pub fn of_command() -> Context {
        Context {
            cargo: CargoCall::of_command(std::env::current_dir().ok()),
            sets_env: true,
            ..Context::of_process()
        }
    }

    /// A snapshot for a build script, with the command line of the cargo that runs it.
    pub fn of_build_script() -> Context {
        let context = Context::of_process();
        let pwd = context.var("PWD").map(PathBuf::from);
        Context { cargo: CargoCall::of_parent(pwd), ..context }
    }

    /// Whether rust-analyzer runs this build script, to analyze its output. If the platform shows
    /// how cargo was called (`shows_calls`), only the command line decides. Otherwise, a variable
    /// that rust-analyzer sets decides, unless other variables suggest a real build: people set it
    /// for unstable features and in CI, too.
    pub fn is_of_rust_analyzer(&self, shows_calls: bool) -> bool {
        if shows_calls || self.cargo.compile_time_deps() {
            return self.cargo.compile_time_deps();
        }
        let is_set = |name: &str| self.var(name).is_some();
        let unstable =
            |name: &OsString| name.to_str().is_some_and(|name| name.starts_with("CARGO_UNSTABLE_"));
        is_set("__CARGO_TEST_CHANNEL_OVERRIDE_DO_NOT_USE_THIS")
            && !is_set("CARGO_TARGET_APPLIES_TO_HOST")
            && !is_set("CI")
            && !self.vars.keys().any(unstable)
    }

    /// How cargo was called, if known.
    pub fn cargo_call(&self) -> &CargoCall {
        &self.cargo
    }

    /// Sets a variable in the snapshot.
    pub fn set(&mut self, name: impl Into<OsString>, value: impl Into<OsString>) {
        self.vars.insert(name.into(), value.into());
    }

    /// The variable's value. An empty value counts as unset, because shells cannot easily unset a
    /// variable for one command.
    pub fn var(&self, name: &str) -> Option<&OsStr> {
        self.vars.get(OsStr::new(name)).map(OsString::as_os_str).filter(|value| !value.is_empty())
    }

    /// The variable's value as text.
    ///
    /// # Errors
    /// [`ErrorKind::Manifest`] if it is not UTF-8.
    pub fn text(&self, name: &str) -> Result<Option<&str>, Error> {
        self.var(name)
            .map(|value| value.to_str().ok_or_else(|| invalid(name, value, "is not UTF-8")))
            .transpose()
    }

    /// The value of one of Cargo's variables or, if it is not set, of the corresponding key in
    /// Cargo's configuration.
    pub fn of_cargo(&self, variable: &str) -> Option<&OsStr> {
        let in_file = || self.cargo_config.value(variable).map(|it| it.value.as_os_str());
        self.var(variable).or_else(in_file)
    }

    /// Whether one of Cargo's variables or keys is set, and not to `0`, `false` or `no`.
    pub fn flag(&self, variable: &str) -> bool {
        self.of_cargo(variable).is_some_and(means_yes)
    }

    /// The directory of the user's shared store: the setting `STORE`, or else `academictorrents` in
    /// the OS cache directory.
    ///
    /// # Errors
    /// [`ErrorKind::Manifest`] if neither is known, or if `STORE` is relative (builds run in many
    /// directories).
    pub fn store_dir(&self) -> Result<PathBuf, Error> {
        let row = Setting::named("STORE");
        if let Some(said) = row.and_then(|row| self.said(row)) {
            return absolute("ACADEMICTORRENTS_STORE", said.value().into(), true);
        }
        self.cache_dir().map(|cache| cache.join("academictorrents")).ok_or_else(|| {
            let what = "there is no cache directory, because the home directory is unknown";
            let mut error = Error::new(ErrorKind::Manifest, what);
            if self.var("HOME").is_some_and(|home| !Path::new(home).is_absolute()) {
                error = error.why("HOME is a relative path").help("set HOME to an absolute path");
            }
            error.help("set ACADEMICTORRENTS_STORE to a directory for the datasets")
        })
    }

    /// The value of the variable, if it is an absolute path.
    pub(super) fn directory(&self, name: &str) -> Option<PathBuf> {
        self.var(name).map(PathBuf::from).filter(|path| path.is_absolute())
    }

    /// The user's home directory, according to the snapshot.
    pub(super) fn home(&self) -> Option<PathBuf> {
        let names: &[&str] = if cfg!(windows) { &["USERPROFILE", "HOME"] } else { &["HOME"] };
        names.iter().find_map(|name| self.directory(name))
    }

    /// Reads Cargo's configuration, if the directory in which cargo was called is known.
    pub(super) fn read_cargo_config(&mut self) {
        let Some(directory) = self.cargo.directory().map(Path::to_owned) else { return };
        let home = self.var("CARGO_HOME").map(PathBuf::from).map(|home| directory.join(home));
        let home = home.or_else(|| Some(self.home()?.join(".cargo")));
        self.cargo_config = CargoConfig::read(&directory, home.as_deref());
        #[cfg(feature = "engine")]
        if self.sets_env {
            self.set_env();
        }
        // Cargo takes relative paths from the directory of the call; a build script runs in another.
        for name in CARGOS_FILES {
            if let Some(path) = self.var(name).filter(|path| !Path::new(path).is_absolute()) {
                let path = directory.join(path).into_os_string();
                self.vars.insert(name.into(), path);
            }
        }
    }

    /// Sets the variables of `[env]` as Cargo does for a build script.
    #[cfg(feature = "engine")]
    fn set_env(&mut self) {
        let mut seen = std::collections::HashSet::new();
        for it in self.cargo_config.env() {
            let is_set = self.vars.contains_key(OsStr::new(&it.name));
            if seen.insert(&it.name) && (it.is_forced || !is_set) {
                self.vars.insert(it.name.clone().into(), it.value.clone());
                self.from_env.insert(it.name.clone(), it.place.clone());
            }
        }
    }

    /// Pretends that cargo runs a subcommand.
    #[cfg(all(test, feature = "engine"))]
    pub(super) fn sets_env(&mut self) {
        self.sets_env = true;
    }

    /// Pretends that cargo was called in this directory.
    #[cfg(test)]
    pub(super) fn called_in(&mut self, directory: &std::path::Path) {
        self.cargo = CargoCall::in_directory(directory);
    }

    /// The OS cache directory: from `XDG_CACHE_HOME` or `HOME` in the snapshot, or else from the
    /// OS.
    fn cache_dir(&self) -> Option<PathBuf> {
        // This reads `HOME` of the process, whatever the snapshot contains.
        #[allow(deprecated, reason = "it was, until Rust 1.87")]
        let of_system = || std::env::home_dir().filter(|home| home.is_absolute());
        if cfg!(windows) {
            let local = self.var("LOCALAPPDATA").map(PathBuf::from);
            return local.or_else(|| Some(of_system()?.join("AppData").join("Local")));
        }
        let home = || match self.var("HOME") {
            Some(_) => self.directory("HOME"),
            None => of_system(),
        };
        if cfg!(target_os = "macos") {
            return Some(home()?.join("Library").join("Caches"));
        }
        self.directory("XDG_CACHE_HOME").or_else(|| Some(home()?.join(".cache")))
    }

    /// Where a setting is set: its variables, the configuration file, or the variables of other
    /// programs.
    pub(super) fn said(&self, row: &'static Setting) -> Option<SettingSource<'_>> {
        let variable = |name: &&'static str| {
            let set = self.var(name).map(|value| SettingSource::Variable(name, value));
            set.or_else(|| self.cargo_config.value(name).map(SettingSource::Cargo))
        };
        let is_flag = matches!(row.kind, SettingKind::Flag(_));
        // Any variable can enable a flag, but only our own can override the configuration file by
        // disabling it.
        let mut set = row.variables.iter().filter_map(variable);
        set.find(|said| !is_flag || said.means_yes())
            .or_else(|| row.variables.first().and_then(variable))
            .or_else(|| self.config.as_ref()?.said(row))
            .or_else(|| row.fallbacks.iter().find_map(variable))
    }

    /// The default value.
    pub(super) fn default_of(&self, row: &Setting) -> Option<&'static str> {
        match row.default {
            DefaultValue::OutsideCi(_, in_ci) if self.var("CI").is_some() => Some(in_ci),
            DefaultValue::Value(value) | DefaultValue::OutsideCi(value, _) => Some(value),
            DefaultValue::Unset | DefaultValue::Described(_) => None,
        }
    }

    /// The validated settings.
    ///
    /// # Errors
    /// [`ErrorKind::Manifest`] for an unknown variable with our prefix, and for the first invalid
    /// value.
    pub fn settings(&self) -> Result<Settings, Error> {
        // A typo in a name would otherwise be a setting without effect.
        if let Some((name, near)) = self.unknown_names().into_iter().next() {
            let what = format!("unknown environment variable {name}");
            let error = Error::new(ErrorKind::Manifest, what);
            return Err(match near {
                Some(near) => error.help(format!("did you mean {near}?")),
                None => error.help(format!("unset it; the known variables are {PREFIX}PATH_<NAME> for a dataset, and {PREFIX} with one of\n{}", names().join(", "))),
            });
        }
        let mut settings = Settings { paths: self.paths()?, ..Settings::default() };
        for row in SETTINGS.iter().filter(|row| !matches!(row.kind, SettingKind::Store)) {
            if let Some(said) = self.said(row) {
                if let SettingSource::Key(..) = said {
                    settings.configured.0.push((row.variable(), said.place()));
                }
                row.apply(said, Some(said.place()), &mut settings)?;
            } else if let Some(value) = self.default_of(row) {
                let said = SettingSource::Variable(row.variable(), OsStr::new(value));
                row.apply(said, None, &mut settings)?;
            }
        }
        if let (false, Some(flag)) = (settings.offline, self.cargo.offline_flag()) {
            (settings.offline, settings.offline_by) = (true, Some(OfflineBy::Cargo(flag)));
        }
        if settings.netrc.is_none() {
            let path = self.home().map(|home| home.join(".netrc"));
            settings.netrc = path.map(|path| NetrcFile { path, by: None });
        }
        let all = ALL_PROXY.into_iter().find_map(|name| Some((name, self.var(name)?)));
        if let Some((name, value)) = all {
            let url = value.to_str().ok_or_else(|| not_utf8(name))?.into();
            settings.all_proxy = Some(ProxyUrl { url, variable: name.to_owned() });
        }
        Ok(settings)
    }

    /// Variables with our prefix that are not known, each with the most similar known one.
    pub fn unknown_names(&self) -> Vec<(String, Option<String>)> {
        let known = names();
        let set = self.vars.iter().filter(|(_, value)| !value.is_empty());
        let rests = set.filter_map(|(name, _)| name.to_str()?.strip_prefix(PREFIX));
        let mut unknown: Vec<_> = rests
            .filter(|rest| !known.contains(rest) && !is_path_of(&[PREFIX, rest].concat()))
            .map(|rest| {
                let near = nearest(rest, known.iter().copied());
                ([PREFIX, rest].concat(), near.map(|near| [PREFIX, near].concat()))
            })
            .collect();
        unknown.sort();
        unknown
    }

    /// All variables `PATH_<NAME>`, as `<NAME>` and value.
    fn paths(&self) -> Result<Vec<(String, PathBuf)>, Error> {
        let set = self.vars.iter().filter(|(_, value)| !value.is_empty());
        let of_datasets = set.filter_map(|(variable, value)| {
            let variable = variable.to_str().filter(|name| is_path_of(name))?;
            Some((variable, variable.strip_prefix(PATH_PREFIX)?.to_owned(), value))
        });
        of_datasets
            .map(|(variable, name, value)| {
                Ok((name, absolute(variable, PathBuf::from(value), true)?))
            })
            .collect()
    }
}

/// The names of our variables without [`PREFIX`], sorted.
fn names() -> Vec<&'static str> {
    let ours = SETTINGS.iter().filter_map(|row| row.variable().strip_prefix(PREFIX));
    let mut names: Vec<&str> = ours.collect();
    names.sort_unstable();
    names
}

/// Whether this is the variable of a single dataset.
pub(super) fn is_path_of(variable: &str) -> bool {
    variable.len() > PATH_PREFIX.len() && variable.starts_with(PATH_PREFIX)
}

/// The name of this machine or container, shown to other users of a shared store. Only informative,
/// so it is not part of the snapshot.
pub fn host_name() -> Option<String> {
    let of_kernel = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let of_system =
        || ["COMPUTERNAME", "HOSTNAME"].iter().find_map(|name| std::env::var(name).ok());
    of_kernel.or_else(of_system).map(|name| name.trim().to_owned()).filter(|name| !name.is_empty())
}
