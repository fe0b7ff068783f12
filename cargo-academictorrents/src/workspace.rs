//! The datasets that packages here declare, from `cargo metadata`: members of the workspace and
//! their dependencies.

use std::path::PathBuf;

use cargo_metadata::{CargoOpt, Metadata, MetadataCommand, Package};

use crate::Common;
use crate::dataset_spec::{self, DatasetSpec};
use crate::failure::CommandError;
use crate::output::{Failure, Result};

/// Which crates are meant.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct WorkspaceFlags {
    /// Only this package. Can be repeated
    #[arg(long, short, value_name = "NAME")]
    package: Vec<String>,
    /// Path of Cargo.toml [default: in the current directory or its parents]
    #[arg(long, value_name = "PATH")]
    manifest_path: Option<PathBuf>,
    /// Features to enable, for datasets with `required-features`
    #[arg(long, short = 'F', value_name = "FEATURES", value_delimiter = ',')]
    features: Vec<String>,
    /// Enable all features
    #[arg(long)]
    all_features: bool,
    /// Disable the feature `default`
    #[arg(long)]
    no_default_features: bool,
}

/// A dataset and the package that declares it.
#[derive(Debug)]
pub(crate) struct Declared {
    pub(crate) package: String,
    pub(crate) version: String,
    /// Whether the package is a member of the workspace rather than a dependency.
    pub(crate) is_member: bool,
    /// Required features that are disabled, so that builds do not need the dataset.
    pub(crate) features_off: Vec<String>,
    pub(crate) dataset: DatasetSpec,
}

impl Declared {
    /// Whether builds with these features need the dataset.
    pub(crate) fn is_used(&self) -> bool {
        self.features_off.is_empty()
    }

    /// Whether this name on the command line means the dataset. Of the declarations with the name,
    /// those that builds do not use count only if builds use none.
    pub(crate) fn is_meant(&self, name: &str, all: &[Declared]) -> bool {
        let mut same_name = all.iter().filter(|it| it.dataset.name() == name);
        self.dataset.name() == name && (self.is_used() || !same_name.any(Declared::is_used))
    }
}

impl WorkspaceFlags {
    /// Returns the same packages, with default features.
    pub(crate) fn of(options: &crate::crates::PackageFlags) -> WorkspaceFlags {
        WorkspaceFlags {
            package: options.package.iter().cloned().collect(),
            manifest_path: options.manifest_path.clone(),
            ..WorkspaceFlags::default()
        }
    }

    /// Returns all declared datasets, sorted by package; members of the workspace first.
    pub(crate) fn declared(&self, common: &Common) -> Result<Vec<Declared>> {
        let metadata = self.metadata(common)?;
        let mut found = Vec::new();
        for package in self.packages(&metadata)? {
            if package.metadata.get("academictorrents").is_none() {
                continue;
            }
            let nodes = metadata.resolve.iter().flat_map(|resolve| &resolve.nodes);
            let on: Vec<&str> = nodes
                .filter(|node| node.id == package.id)
                .flat_map(|node| node.features.iter().map(|feature| feature.as_str()))
                .collect();
            for mut dataset in dataset_spec::declared(package.manifest_path.as_std_path())? {
                let off = dataset
                    .request
                    .required_features
                    .iter()
                    .filter(|it| !on.contains(&it.as_str()))
                    .cloned()
                    .collect();
                // Packages that Cargo downloaded must not name hosts on private networks.
                if package.source.is_some() {
                    dataset.request.origin.set_dependency();
                }
                found.push(Declared {
                    package: package.name.to_string(),
                    version: package.version.to_string(),
                    is_member: metadata.workspace_members.contains(&package.id),
                    features_off: off,
                    dataset,
                });
            }
        }
        Ok(found)
    }

    /// Whether no package is here and none was named.
    pub(crate) fn is_outside(&self) -> bool {
        let is_named = self.manifest_path.is_some() || !self.package.is_empty();
        let here = std::path::absolute("Cargo.toml").unwrap_or_default();
        let mut above = here.ancestors().skip(1);
        !is_named && !above.any(|directory| directory.join("Cargo.toml").exists())
    }

    /// Returns the named packages, or else all.
    fn packages<'a>(&self, metadata: &'a Metadata) -> Result<Vec<&'a Package>> {
        let mut packages: Vec<&Package> = metadata.packages.iter().collect();
        let is_member = |package: &Package| metadata.workspace_members.contains(&package.id);
        packages.sort_by_key(|package| (!is_member(package), &package.name, &package.version));
        if let Some(unknown) =
            self.package.iter().find(|name| packages.iter().all(|it| *it.name != ***name))
        {
            let workspace = metadata.workspace_root.join("Cargo.toml").into();
            return Err(CommandError::UnknownPackage { name: unknown.clone(), workspace }.into());
        }
        if !self.package.is_empty() {
            packages.retain(|package| self.package.iter().any(|name| *package.name == **name));
        }
        Ok(packages)
    }

    fn metadata(&self, common: &Common) -> Result<Metadata> {
        let mut command = MetadataCommand::new();
        if let Some(path) = &self.manifest_path {
            command.manifest_path(path);
        }
        if self.all_features {
            command.features(CargoOpt::AllFeatures);
        }
        if self.no_default_features {
            command.features(CargoOpt::NoDefaultFeatures);
        }
        if !self.features.is_empty() {
            command.features(CargoOpt::SomeFeatures(self.features.clone()));
        }
        if common.offline {
            command.other_options(["--offline".to_owned()]);
        }
        crate::crates::read(&command)
    }

    /// Returns the dataset for an infohash, magnet link or path of a `.torrent`, or else for a key
    /// in a manifest here.
    pub(crate) fn dataset(&self, name: &str, common: &Common) -> Result<DatasetSpec> {
        let itself = dataset_spec::asked(name);
        if let Ok(dataset) = itself {
            return Ok(dataset);
        }
        // If the manifests cannot be read, a malformed id is reported first.
        let declared = self
            .declared(common)
            .map_err(|failure| dataset_spec::refused(name).map_or(failure, Failure::from))?;
        let meant = || declared.iter().filter(|it| it.is_meant(name, &declared));
        let first = meant().next();
        let is_other =
            |it: &&Declared| first.is_some_and(|first| !first.dataset.is_same(&it.dataset));
        match (first, meant().find(is_other)) {
            (Some(only), None) => {
                let mut dataset = only.dataset.clone();
                // Optional only if no package requires it.
                dataset.request.optional = meant().all(|it| it.dataset.request.optional);
                Ok(dataset)
            }
            (Some(first), Some(other)) => {
                let packages = [first.package.clone(), other.package.clone()];
                Err(CommandError::SeveralDatasets { name: name.to_owned(), packages }.into())
            }
            (None, _) => {
                let names: Vec<&str> = declared.iter().map(|it| it.dataset.name()).collect();
                Err(unknown(name, &names))
            }
        }
    }
}

/// Returns the failure for a name that no manifest here declares; `known` are those that are.
pub(crate) fn unknown(name: &str, known: &[&str]) -> Failure {
    if let Some(why) = dataset_spec::refused(name) {
        return why.into();
    }
    let mut declared: Vec<String> = Vec::new();
    for &name in known {
        // Several packages may declare the same name.
        if !declared.iter().any(|it| it == name) {
            declared.push(name.to_owned());
        }
    }
    CommandError::UnknownDataset { name: name.to_owned(), declared }.into()
}
