//! Failures that only the command line has, and their messages.

use std::path::PathBuf;

use academictorrents::{Error, ErrorKind};

/// A failure that does not come from the library.
#[derive(Debug)]
pub(crate) enum CommandError {
    /// `cargo metadata` failed with this text.
    CargoMetadata { said: String, in_crate: bool },
    /// The workspace with this Cargo.toml has no package.
    EmptyWorkspace(PathBuf),
    /// The named package is neither in the workspace nor among its dependencies.
    UnknownPackage { name: String, workspace: PathBuf },
    /// The named package is not in the workspace, which has these members.
    UnknownMember { name: String, workspace: PathBuf, members: Vec<String> },
    /// Several packages are here, and none was selected.
    SeveralPackages(Vec<String>),
    /// Several packages declare different datasets with this name; two of them are listed.
    SeveralDatasets { name: String, packages: [String; 2] },
    /// The named dataset is not among these, which are declared here.
    UnknownDataset { name: String, declared: Vec<String> },
    /// No dataset is declared that could be imported.
    NoDataset,
    /// The named dataset was not fetched yet.
    NotFetched(String),
    /// The path given to `--data` cannot be made absolute.
    DataDirectory(std::io::Error),
    /// Stdout did not accept the whole result (for example, the disk is full). A script would take
    /// the truncated result for a complete one.
    ResultLost(String),
}

impl CommandError {
    /// Returns the message.
    pub(crate) fn error(&self) -> Error {
        let new = |what: String| Error::new(ErrorKind::Manifest, what);
        match self {
            CommandError::CargoMetadata { said, in_crate } => {
                let error = new("`cargo metadata` failed".into()).why(said.trim());
                // In a crate, Cargo's own text is enough: a wrong manifest, or a failed download.
                match in_crate {
                    true => error,
                    false => error.help("change to the directory of a crate (`cargo init` creates one), or use --manifest-path"),
                }
            }
            CommandError::EmptyWorkspace(workspace) => {
                new(format!("the workspace of {} has no packages", workspace.display()))
            }
            CommandError::UnknownPackage { name, workspace } => {
                new(format!("package `{name}` not found")).why(format!(
                    "it is neither in the workspace of {} nor among its dependencies",
                    workspace.display()
                ))
            }
            CommandError::UnknownMember { name, workspace, members } => {
                new(format!("package `{name}` is not in the workspace of {}", workspace.display()))
                    .why(format!("members of the workspace: {}", members.join(", ")))
            }
            CommandError::SeveralPackages(names) => {
                new("the workspace has several packages".into())
                    .why(names.join(", "))
                    .help("select one with --package")
            }
            CommandError::SeveralDatasets { name, packages } => {
                new(format!("`{name}` is declared by several packages: {}", packages.join(", ")))
                    .help("select one with --package")
            }
            CommandError::UnknownDataset { name, declared } => {
                new(format!("no dataset `{name}` is declared"))
                    .why(match declared.as_slice() {
                        [] => "no datasets are declared".to_owned(),
                        names => format!("declared datasets: {}", names.join(", ")),
                    })
                    .help("cargo academictorrents list")
            }
            CommandError::NoDataset => {
                new("no datasets are declared".into()).help("specify the dataset with --id")
            }
            CommandError::NotFetched(name) => {
                new(format!("`{name}` is missing or incomplete on this machine"))
                    .help("cargo academictorrents fetch")
            }
            CommandError::DataDirectory(why) => {
                new("the directory of --data cannot be determined".into()).why(why.to_string())
            }
            CommandError::ResultLost(why) => {
                new("the result could not be written to stdout".into()).why(why)
            }
        }
    }
}
