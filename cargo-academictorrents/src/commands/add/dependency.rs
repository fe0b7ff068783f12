//! The library's build-dependency and its source, with the options of `cargo add`.

use std::path::{Path, PathBuf};

use academictorrents::{Error, ErrorKind};

use super::plan::CRATE;
use crate::crates::{Package, relative_to};
use crate::edit::{self, text};

#[derive(Debug, clap::Args)]
pub(super) struct DependencyFlags {
    /// Depend on a checkout of the library in this directory. An existing build-dependency is kept
    #[arg(long, value_name = "DIR", conflicts_with = "git")]
    path: Option<PathBuf>,
    /// Depend on the library in this Git repository. An existing build-dependency is kept
    #[arg(long, value_name = "URL")]
    git: Option<String>,
    /// Branch of the Git repository
    #[arg(long, value_name = "BRANCH", requires = "git", conflicts_with_all = ["tag", "rev"])]
    branch: Option<String>,
    /// Tag of the Git repository
    #[arg(long, value_name = "TAG", requires = "git", conflicts_with = "rev")]
    tag: Option<String>,
    /// Commit of the Git repository
    #[arg(long, value_name = "REV", requires = "git")]
    rev: Option<String>,
}

impl DependencyFlags {
    /// Returns the given option for the dependency's source.
    pub(super) fn given(&self) -> Option<&'static str> {
        match self {
            DependencyFlags { path: Some(_), .. } => Some("--path"),
            DependencyFlags { git: Some(_), .. } => Some("--git"),
            _ => None,
        }
    }

    /// Returns the value for `[build-dependencies]`. Inherits the workspace's dependency, if it has
    /// one and no option is given.
    ///
    /// # Errors
    /// [`ErrorKind::Manifest`] if `--path` does not name the library.
    pub(super) fn requirement(&self, package: &Package, unpacks: bool) -> Result<String, Error> {
        let mut keys = Vec::new();
        let mut key = |name: &str, value: &str| keys.push(format!("{name} = {}", text(value)));
        if let Some(path) = &self.path {
            if let Some(version) = version_at(path)? {
                key("version", &version);
            }
            key("path", &relative_to(&package.manifest, path));
        } else if let Some(url) = &self.git {
            key("git", url);
            for (name, value) in [("branch", &self.branch), ("tag", &self.tag), ("rev", &self.rev)]
            {
                if let Some(value) = value {
                    key(name, value);
                }
            }
        } else if is_inherited(package) {
            keys.push("workspace = true".to_owned());
        } else {
            let [major, minor] = [env!("CARGO_PKG_VERSION_MAJOR"), env!("CARGO_PKG_VERSION_MINOR")];
            let version = format!("{major}.{minor}");
            if !unpacks {
                return Ok(text(&version));
            }
            key("version", &version);
        }
        if unpacks {
            keys.push("features = [\"unpack\"]".to_owned());
        }
        Ok(format!("{{ {} }}", keys.join(", ")))
    }
}

/// Whether the workspace declares the library for its packages.
fn is_inherited(package: &Package) -> bool {
    let workspace = std::fs::read_to_string(&package.workspace).unwrap_or_default();
    let inherited = edit::read(&workspace, &["workspace", "dependencies"], CRATE);
    inherited.is_some_and(|item| item.get("package").is_none())
}

/// Returns the version in the manifest of the library in this directory; `None` if it is inherited.
fn version_at(directory: &Path) -> Result<Option<String>, Error> {
    let manifest = directory.join("Cargo.toml");
    let refused = |why: String| {
        let what = format!("`--path`: {} is not a checkout of {CRATE}", directory.display());
        Error::new(ErrorKind::Manifest, what).why(why)
    };
    let read = std::fs::read_to_string(&manifest);
    let read = read.map_err(|why| refused(format!("{}: {why}", manifest.display())))?;
    let of_package = |key| {
        edit::read(&read, &["package"], key).and_then(|item| item.as_str().map(str::to_owned))
    };
    match of_package("name") {
        Some(name) if name == CRATE => Ok(of_package("version")),
        Some(name) => Err(refused(format!("{} is package `{name}`", manifest.display()))),
        None => Err(refused(format!("{} has no [package]", manifest.display()))),
    }
}
