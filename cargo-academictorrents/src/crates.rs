//! Packages whose manifests are changed: members of this workspace, never dependencies.

use std::borrow::Borrow;
use std::path::{Component, Path, PathBuf};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};

use crate::failure::CommandError;
use crate::output::{Failure, Result};

/// Which crate is meant.
#[derive(Debug, clap::Args)]
pub(crate) struct PackageFlags {
    /// Package of the workspace [default: the current one]
    #[arg(long, short, value_name = "NAME")]
    pub(crate) package: Option<String>,
    /// Path of Cargo.toml [default: in the current directory or its parents]
    #[arg(long, value_name = "PATH")]
    pub(crate) manifest_path: Option<PathBuf>,
}

/// A package that uses or will use datasets, as Cargo describes it.
#[derive(Clone, Debug)]
pub(crate) struct Package {
    /// The absolute path of its Cargo.toml.
    pub(crate) manifest: PathBuf,
    /// The library's name in the build script, if it is already a build-dependency.
    pub(crate) build_dependency: Option<String>,
    /// Whether it is a build-dependency only for some targets or features.
    pub(crate) is_conditional: bool,
    /// The workspace's Cargo.toml.
    pub(crate) workspace: PathBuf,
}

impl PackageFlags {
    /// Returns the selected package.
    pub(crate) fn package(&self) -> Result<Package> {
        let metadata = self.metadata()?;
        let found = self.found(&metadata)?;
        match (found.as_slice(), self.package.is_none().then(|| self.here()).flatten()) {
            ([only], _) => Ok(package(only, &metadata)),
            (_, Some(here)) if found.iter().any(|it| is_at(it, &here)) => {
                let here = found.iter().find(|it| is_at(it, &here));
                here.map(|it| package(it, &metadata)).ok_or(Failure::Told)
            }
            _ => Err(CommandError::SeveralPackages(names(&found)).into()),
        }
    }

    /// Returns the selected package, or else all packages of the workspace.
    pub(crate) fn packages(&self) -> Result<Vec<(String, Package)>> {
        let metadata = self.metadata()?;
        let found = self.found(&metadata)?;
        Ok(found.iter().map(|it| (it.name.to_string(), package(it, &metadata))).collect())
    }

    fn found<'a>(&self, metadata: &'a Metadata) -> Result<Vec<&'a cargo_metadata::Package>> {
        let members = metadata.packages.iter();
        let is_meant = |it: &&cargo_metadata::Package| {
            self.package.as_ref().is_none_or(|name| *it.name == **name)
        };
        let mut found: Vec<_> = members.filter(is_meant).collect();
        found.sort_by_key(|package| &package.name);
        let workspace = metadata.workspace_root.join("Cargo.toml").into();
        match (&self.package, found.is_empty()) {
            (_, false) => Ok(found),
            (Some(name), true) => {
                let members = names(&metadata.packages);
                Err(CommandError::UnknownMember { name: name.clone(), workspace, members }.into())
            }
            (None, true) => Err(CommandError::EmptyWorkspace(workspace).into()),
        }
    }

    /// Returns the Cargo.toml in the current directory or above.
    fn here(&self) -> Option<PathBuf> {
        if let Some(path) = &self.manifest_path {
            return std::path::absolute(path).ok();
        }
        manifest_here()
    }

    /// Reads metadata without dependencies, so that they need not be downloaded and no index is
    /// read.
    fn metadata(&self) -> Result<Metadata> {
        let mut command = MetadataCommand::new();
        command.no_deps();
        if let Some(path) = &self.manifest_path {
            command.manifest_path(path);
        }
        read(&command)
    }
}

/// Returns the Cargo.toml in the current directory or above, whatever the options say.
fn manifest_here() -> Option<PathBuf> {
    let start = std::path::absolute("Cargo.toml").ok()?;
    let above = start.parent()?.ancestors().map(|it| it.join("Cargo.toml"));
    above.into_iter().find(|it| it.is_file())
}

/// Formats a path as Cargo writes it into a manifest: relative to the manifest's directory, with
/// `/`.
pub(crate) fn relative_to(manifest: &Path, path: &Path) -> String {
    let normal = |path: &Path| -> PathBuf {
        let mut normal = PathBuf::new();
        for component in std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).components()
        {
            match component {
                Component::ParentDir => drop(normal.pop()),
                component => normal.push(component),
            }
        }
        normal
    };
    let (directory, path) = (normal(&manifest.with_file_name("")), normal(path));
    let both = directory.components().zip(path.components());
    let common = both.take_while(|(one, other)| one == other).count();
    let mut relative: PathBuf =
        directory.components().skip(common).map(|_| Component::ParentDir).collect();
    relative.extend(path.components().skip(common));
    // On another Windows drive nothing is common.
    let relative = if common == 0 { path } else { relative };
    match relative.display().to_string() {
        here if here.is_empty() => ".".to_owned(),
        relative if cfg!(windows) => relative.replace('\\', "/"),
        relative => relative,
    }
}

/// Runs `cargo metadata`. Returns its output, or why it failed.
pub(crate) fn read(command: &MetadataCommand) -> Result<Metadata> {
    command.exec().map_err(|why| {
        let said = match why {
            cargo_metadata::Error::CargoMetadata { stderr } => stderr,
            why => why.to_string(),
        };
        CommandError::CargoMetadata { said, in_crate: manifest_here().is_some() }.into()
    })
}

fn names<P: Borrow<cargo_metadata::Package>>(packages: &[P]) -> Vec<String> {
    packages.iter().map(|it| it.borrow().name.to_string()).collect()
}

fn is_at(package: &cargo_metadata::Package, manifest: &Path) -> bool {
    let there = package.manifest_path.as_std_path();
    there == manifest || there.canonicalize().ok() == manifest.canonicalize().ok()
}

fn package(package: &cargo_metadata::Package, metadata: &Metadata) -> Package {
    let ours = package.dependencies.iter().find(|dependency| {
        dependency.kind == DependencyKind::Build && dependency.name == "academictorrents"
    });
    let library = ours.map(|it| it.rename.clone().unwrap_or_else(|| it.name.clone()));
    Package {
        manifest: package.manifest_path.clone().into(),
        build_dependency: library.map(|name| name.replace('-', "_")),
        is_conditional: ours.is_some_and(|it| it.optional || it.target.is_some()),
        workspace: metadata.workspace_root.join("Cargo.toml").into(),
    }
}
