//! Where the environment says that copies of datasets lie: `LOAD_PATH` and `PATH_<NAME>`.

use std::path::PathBuf;

use super::{Context, PREFIX, invalid};
use crate::error::Error;

/// Begins the names of variables of single datasets; the dataset's name follows.
const PATH_OF: &str = "PATH_";

impl Context {
    /// The directories of `LOAD_PATH`, separated as those of `PATH` are.
    pub(super) fn load_path(&self) -> Result<Vec<PathBuf>, Error> {
        let name = [PREFIX, "LOAD_PATH"].concat();
        let Some(value) = self.var(&name) else {
            let configured = self.config.as_ref().and_then(|config| config.list("LOAD_PATH"));
            return Ok(configured.unwrap_or_default().iter().map(PathBuf::from).collect());
        };
        let named = std::env::split_paths(value).filter(|path| !path.as_os_str().is_empty());
        let mut directories = Vec::new();
        for directory in named {
            let directory = absolute(&name, directory)?;
            if !directories.contains(&directory) {
                directories.push(directory);
            }
        }
        Ok(directories)
    }

    /// Each `<NAME>` with the value of `PATH_<NAME>`.
    pub(super) fn paths(&self) -> Result<Vec<(String, PathBuf)>, Error> {
        let mut paths = Vec::new();
        for (variable, value) in self.vars.iter().filter(|(_, value)| !value.is_empty()) {
            let name = variable.to_str().and_then(|name| name.strip_prefix(PREFIX));
            if let Some(name) = name.filter(|name| is_path_of(name)) {
                let path = absolute(&[PREFIX, name].concat(), PathBuf::from(value))?;
                paths.push((name[PATH_OF.len()..].to_owned(), path));
            }
        }
        Ok(paths)
    }
}

/// Whether what follows [`PREFIX`] is `PATH_<NAME>`, for whatever name.
pub(super) fn is_path_of(name: &str) -> bool {
    name.len() > PATH_OF.len() && name.starts_with(PATH_OF)
}

/// Refuses a relative path.
pub(super) fn absolute(name: &str, path: PathBuf) -> Result<PathBuf, Error> {
    if path.is_absolute() {
        return Ok(path);
    }
    let error = invalid(
        name,
        path.as_os_str(),
        "is a relative path, and Cargo runs build scripts in each package's own directory",
    )
    .help(format!("set {name} to an absolute path"));
    if path.starts_with("~") {
        return Err(error.help("shells expand `~` only where it is not quoted: write $HOME"));
    }
    Err(error)
}
