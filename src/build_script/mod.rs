//! One build: the environment and the manifest declare the datasets, the engine provides them, and
//! directives pass the paths to Cargo.
//!
//! Layer 4. Only [`directives`] writes to stdout, and only if everything succeeded.

mod dependency;
mod directives;
mod modules;
mod note;
mod paths;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use crate::counters::Counters;
use crate::engine;
use crate::engine::{Dataset, Provided, Session};
use crate::error::{Error, ErrorKind};
use crate::manifest::{Manifest, Request, StoreKind};
use crate::plan;
use crate::progress;
use crate::settings::Context;
use crate::storage::{Store, Target};

use directives::Directives;
use note::Note;

/// Provides every dataset that `[package.metadata.academictorrents]` declares, and sets `AT_<NAME>_PATH` to its path.
/// This is a whole build script. It also writes `OUT_DIR/datasets.rs`, which has a module per dataset, for
/// `include!(concat!(env!("OUT_DIR"), "/datasets.rs"))`.
///
/// On failure, prints `cargo::error=` lines, which Cargo shows, and exits with status 1.
///
/// # Examples
/// ```no_run
/// // build.rs
/// fn main() {
///     academictorrents::build()
/// }
/// ```
#[expect(clippy::needless_doctest_main, reason = "a build script is its `main`")]
pub fn build() {
    let build = Build::new();
    let old_syntax = build.needs_old_syntax();
    if let Err(error) = build.run() {
        directives::print_error(&error, old_syntax);
        std::process::exit(1);
    }
}

/// [`build`] under the name that Cargo's unstable [`metabuild`] feature calls, so that no `build.rs` is needed.
///
/// ```toml
/// cargo-features = ["metabuild"] # the first line; Cargo of the nightly channel
///
/// [package]
/// metabuild = ["academictorrents"]
/// ```
///
/// [`metabuild`]: https://doc.rust-lang.org/cargo/reference/unstable.html#metabuild
pub fn metabuild() {
    build();
}

/// The same as [`build`], for a build script that does more: returns the datasets.
///
/// # Examples
/// ```no_run
/// // build.rs
/// fn main() -> Result<(), academictorrents::Error> {
///     let datasets = academictorrents::Build::new().run()?;
///     if let Some(mnist) = datasets.dataset("mnist") {
///         // … make something of the files in `mnist.path()`, into OUT_DIR
///     }
///     Ok(())
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Build {
    context: Context,
    cargo_output: bool,
}

impl Default for Build {
    fn default() -> Build {
        Build::new()
    }
}

impl Build {
    /// Creates a build from Cargo's environment variables, which are read now, and from Cargo's
    /// command line on platforms where a build script can read it.
    #[must_use]
    pub fn new() -> Build {
        Build { context: Context::of_build_script(), cargo_output: true }
    }

    /// Clears all environment variables and Cargo's command line; only variables set with [`Build::env`] afterwards
    /// apply.
    #[must_use]
    pub fn env_clear(mut self) -> Build {
        self.context = Context::default();
        self
    }

    /// Sets an environment variable for this build only: one of Cargo's (`CARGO_MANIFEST_DIR`, `OUT_DIR`, …) or of this
    /// crate's.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Build {
        self.context.set(name, value);
        self
    }

    /// Whether to print directives for Cargo on stdout. `true` by default.
    #[must_use]
    pub fn cargo_output(mut self, print: bool) -> Build {
        self.cargo_output = print;
        self
    }

    /// Provides all declared datasets in parallel, and prints the directives.
    ///
    /// If `OUT_DIR` is set, writes `datasets.rs` there unless it is up to date.
    ///
    /// # Errors
    /// [`ErrorKind::Manifest`] for an invalid manifest or environment; otherwise the error of the first dataset that
    /// could not be provided, with those of other datasets in [`Error::others`]. No directive is printed in that case.
    pub fn run(mut self) -> Result<Datasets, Error> {
        self.context.read_config()?;
        let manifest = Manifest::read(&self.manifest_path()?)?;
        let directives = Directives::new(self.needs_old_syntax());
        let out_dir = self.context.var("OUT_DIR").map(PathBuf::from);
        let datasets = self.provide(manifest)?;
        let lines = directives.for_datasets(&datasets)?;
        if let Some(out_dir) = out_dir {
            modules::write(&out_dir, &datasets)?;
        }
        if self.cargo_output {
            directives::print(&lines);
        }
        Ok(datasets)
    }

    fn manifest_path(&self) -> Result<PathBuf, Error> {
        // Cargo sets the path since 1.84, also for single-file packages. It always sets the
        // directory.
        if let Some(path) = self.context.var("CARGO_MANIFEST_PATH") {
            return Ok(PathBuf::from(path));
        }
        let directory = self.context.var("CARGO_MANIFEST_DIR").ok_or_else(|| {
            Error::new(ErrorKind::Manifest, "CARGO_MANIFEST_DIR is not set")
                .why("this function is for build scripts, for which Cargo sets this variable")
        })?;
        Ok(Path::new(directory).join("Cargo.toml"))
    }

    /// Whether Cargo rejects `cargo::` directives from this package. Uses Cargo's variable instead
    /// of the manifest, whose `rust-version` may be inherited from the workspace.
    fn needs_old_syntax(&self) -> bool {
        directives::is_old(self.context.text("CARGO_PKG_RUST_VERSION").ok().flatten())
    }

    /// Whether to set the paths without downloading: docs.rs has no network, and opening an editor
    /// should not download anything. The next build runs the script again.
    fn needs_paths_alone(&self) -> bool {
        ["DOCS_RS", "RA_RUSTC_WRAPPER"].iter().any(|name| self.context.var(name).is_some())
            || self.context.is_of_rust_analyzer(cfg!(target_os = "linux"))
    }

    fn provide(&self, mut manifest: Manifest) -> Result<Datasets, Error> {
        let settings = self.context.settings()?;
        paths::check(&settings, &manifest.requests)?;
        plan::check_named(&settings)?;
        let foreign = dependency::is_foreign(&self.context, &manifest.path);
        if foreign {
            manifest.requests.iter_mut().for_each(|request| request.origin.set_dependency());
        }
        let feature_is_on = |feature: &str| {
            let variable = feature.to_uppercase().replace('-', "_");
            self.context.var(&format!("CARGO_FEATURE_{variable}")).is_some()
        };
        let names =
            manifest.requests.iter().map(|request| request.name.as_str().to_owned()).collect();
        let requests: Vec<&Request> =
            manifest.requests.iter().filter(|request| request.asked_for(feature_is_on)).collect();
        let out_dir = self.context.var("OUT_DIR").map(PathBuf::from);
        let config = self.context.config_files().map(Path::to_owned);
        let config = config.chain(manifest.workspace.clone()).collect();
        let mut datasets =
            Datasets { manifest: manifest.path.clone(), config, names, list: Vec::new() };
        if requests.is_empty() {
            return Ok(datasets);
        }
        let shared = Store::at(&self.context.store_dir()?);
        paths::check_out_dir(out_dir.as_deref(), &requests)?;
        // Without the directory, no dataset has a store of its own.
        let own = Store::at(&out_dir.clone().unwrap_or_default().join("academictorrents"));
        paths::check_install(self.context.cargo_call().is_install(), &requests)?;
        paths::check_directories(&settings, &requests, &manifest.path, [&shared, &own])?;
        let counters = Arc::new(Counters::default());
        let mut session = Session::new(&settings, &shared, &counters);
        session.own = Target::Store(&own);
        session.manifest = Some(&manifest.path);
        if foreign {
            session.for_dependency();
        }
        session.accepts_path = Some(paths::check_dataset);
        let results: Vec<DatasetOutcome> = if self.needs_paths_alone() {
            let look = |request: &&Request| match engine::present(&session, request) {
                Some(provided) => DatasetOutcome::There(provided),
                None => DatasetOutcome::NotLooked(engine::would_be(&session, request)),
            };
            requests.iter().map(look).collect()
        } else {
            let (path, out_dir) = (&manifest.path, out_dir.as_deref());
            self.fetch(session, path, &requests, out_dir, &counters, settings.progress)?
        };
        for (request, outcome) in requests.into_iter().zip(results) {
            let (provided, is_there, missing) = match outcome {
                DatasetOutcome::There(provided) => (provided, true, None),
                DatasetOutcome::NotLooked(would_be) => (would_be, false, None),
                DatasetOutcome::Missing(would_be, why) => (would_be, false, Some(why)),
            };
            datasets.list.push(BuiltDataset {
                dataset: Dataset { name: request.name.as_str().to_owned(), provided },
                is_there,
                store: if request.store == StoreKind::Own { own.clone() } else { shared.clone() },
                missing,
                request: request.clone(),
            });
        }
        Ok(datasets)
    }

    fn fetch(
        &self,
        session: Session<'_>,
        manifest: &Path,
        requests: &[&Request],
        out_dir: Option<&Path>,
        counters: &Arc<Counters>,
        mode: crate::settings::Progress,
    ) -> Result<Vec<DatasetOutcome>, Error> {
        let note_of =
            |request: &Request| out_dir.map(|out_dir| Note::of(request.name.as_str(), out_dir));
        // An optional dataset that was missing a few minutes ago does not delay every build.
        let due = |request: &Request| {
            let manifests = std::iter::once(manifest).chain(request.workspace.as_deref());
            let note = note_of(request).filter(|_| request.optional);
            let missed = note.is_some_and(|note| note.holds(manifests, SystemTime::now()));
            !missed
                || engine::would_be(&session, request).stamp.exists()
                || engine::may_lie_elsewhere(&session, request)
        };
        let is_due: Vec<bool> = requests.iter().map(|request| due(request)).collect();
        let asked: Vec<_> = requests
            .iter()
            .zip(&is_due)
            .filter(|(_, due)| **due)
            .map(|(request, _)| *request)
            .collect();
        let would_be: Vec<_> = requests
            .iter()
            .map(|request| request.optional.then(|| engine::would_be(&session, request)))
            .collect();
        let locks = session.shared.locks_path();
        let store = session.shared.clone();
        let begin = || {
            let _ = store.create_locks(); // the download reports a failure
            progress::start(Arc::clone(counters), &self.context, mode, &locks)
        };
        let mut results = engine::provide_all(session, &asked, begin).into_iter();
        let (mut outcomes, mut errors) = (Vec::new(), Vec::new());
        for ((request, due), would_be) in requests.iter().zip(is_due).zip(would_be) {
            let missing = if due {
                match results.next() {
                    Some(Ok(provided)) => {
                        outcomes.push(DatasetOutcome::There(provided));
                        continue;
                    }
                    Some(Err(error)) if request.optional && may_be_missing(error.kind()) => {
                        // If it cannot be written, the errors of other datasets still count.
                        errors.extend(note_of(request).and_then(|note| note.write(&error).err()));
                        error.summary(usize::MAX)
                    }
                    Some(Err(error)) => {
                        errors.push(error);
                        continue;
                    }
                    None => continue, // `provide_all` returns one result per request
                }
            } else {
                note_of(request).map(|note| note.reminder()).unwrap_or_default()
            };
            if let Some(would_be) = would_be {
                outcomes.push(DatasetOutcome::Missing(would_be, missing));
            }
        }
        Error::join(errors).map_or(Ok(outcomes), Err)
    }
}

/// Whether an optional dataset may be missing because of this failure. Mistakes in the manifest or
/// the torrent are always errors.
fn may_be_missing(why: ErrorKind) -> bool {
    !matches!(why, ErrorKind::Manifest | ErrorKind::Metainfo)
}

enum DatasetOutcome {
    There(Provided),
    /// Not there and not requested. Contains where it would be.
    NotLooked(Provided),
    /// Optional and could not be provided. Contains where it would be, and the reason.
    Missing(Provided, String),
}

/// The datasets of a build, ordered by name.
#[derive(Clone, Debug)]
pub struct Datasets {
    manifest: PathBuf,
    /// Other files that were read: the user's and Cargo's configuration files, and the workspace's
    /// manifest if datasets are inherited.
    config: Vec<PathBuf>,
    names: Vec<String>,
    list: Vec<BuiltDataset>,
}

/// A requested dataset, with the data for the directives.
#[derive(Clone, Debug)]
struct BuiltDataset {
    dataset: Dataset,
    request: Request,
    /// Whether the stamp exists, so that Cargo can watch it for removal.
    is_there: bool,
    store: Store,
    /// Why an optional dataset is missing.
    missing: Option<String>,
}

impl Datasets {
    /// The dataset with this key in the manifest. `None` if it is not declared, if its features are disabled, or if it
    /// is optional and missing.
    #[must_use]
    pub fn dataset(&self, name: &str) -> Option<&Dataset> {
        self.iter().find(|dataset| dataset.name() == name)
    }

    /// All provided datasets.
    pub fn iter(&self) -> impl Iterator<Item = &Dataset> {
        self.there().map(|built| &built.dataset)
    }

    fn there(&self) -> impl Iterator<Item = &BuiltDataset> {
        self.list.iter().filter(|built| built.missing.is_none())
    }
}
