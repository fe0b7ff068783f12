//! The directives that a build script prints to Cargo on stdout.

use std::fmt::Write as _;

use super::Datasets;
use super::paths::for_cargo;
use crate::error::Error;

/// The first Rust whose Cargo accepts `cargo::`. Cargo rejects it from packages with an older
/// `rust-version`.
const NEW_SYNTAX: (u32, u32) = (1, 77);

/// Appended to the stamp's path, names a file that never exists.
const NEVER: &str = "-never";

/// The directive syntax that Cargo accepts from a package.
#[derive(Clone, Copy, Debug)]
pub struct Directives {
    prefix: &'static str,
    metadata_prefix: &'static str,
}

/// Whether a package's `rust-version` is older than the `cargo::` syntax. False if it is empty or
/// missing.
pub fn is_old(rust_version: Option<&str>) -> bool {
    let mut numbers =
        rust_version.unwrap_or_default().split('.').map_while(|number| number.parse::<u32>().ok());
    let Some(major) = numbers.next() else { return false };
    (major, numbers.next().unwrap_or(0)) < NEW_SYNTAX
}

impl Directives {
    pub fn new(old_syntax: bool) -> Directives {
        if old_syntax {
            Directives { prefix: "cargo:", metadata_prefix: "cargo:" }
        } else {
            Directives { prefix: "cargo::", metadata_prefix: "cargo::metadata=" }
        }
    }

    /// Formats all directives. Fails for a value that Cargo would truncate or ignore silently.
    ///
    /// # Errors
    /// As [`for_cargo`].
    pub fn for_datasets(&self, datasets: &Datasets) -> Result<String, Error> {
        let mut lines = String::new();
        let mut line = |text: std::fmt::Arguments<'_>| {
            let _ = writeln!(lines, "{text}"); // writing to a String cannot fail
        };
        let Directives { prefix, metadata_prefix } = self;
        let manifest = for_cargo("the manifest's path", &datasets.manifest)?;
        line(format_args!("{prefix}rerun-if-changed={manifest}"));
        for config in &datasets.config {
            let config = for_cargo("the configuration file's path", config)?;
            line(format_args!("{prefix}rerun-if-changed={config}"));
        }
        line(format_args!("{prefix}rerun-if-env-changed=ACADEMICTORRENTS_STORE"));
        line(format_args!("{prefix}rerun-if-env-changed=ACADEMICTORRENTS_LOAD_PATH"));
        for name in &datasets.names {
            let variable = name.to_ascii_uppercase().replace('-', "_");
            line(format_args!("{prefix}rerun-if-env-changed=ACADEMICTORRENTS_PATH_{variable}"));
        }
        let names: Vec<_> = datasets.names.iter().map(|name| format!("{name:?}")).collect();
        line(format_args!("{prefix}rustc-check-cfg=cfg(at_dataset, values({}))", names.join(", ")));
        for built in &datasets.list {
            let (dataset, provided) = (&built.dataset, &built.dataset.provided);
            let of = |what: &str| format!("the {what} of dataset `{}`", dataset.name());
            let archive_stamp = provided.archive.as_ref().map(|archive| &archive.stamp);
            for stamp in std::iter::once(&provided.stamp).chain(archive_stamp) {
                let stamp = for_cargo(&of("stamp"), stamp)?;
                // Cargo looks for files newer than this run, and the mtime of a stamp is always in
                // 2000. Cargo would not notice a stamp that another build writes, so name a missing
                // path, which makes Cargo run the script every time.
                let never = if built.is_there { "" } else { NEVER };
                line(format_args!("{prefix}rerun-if-changed={stamp}{never}"));
            }
            if let Some(torrent) = &built.request.identity.torrent {
                line(format_args!(
                    "{prefix}rerun-if-changed={}",
                    for_cargo(&of("torrent"), torrent)?
                ));
            }
            if let Some(why) = &built.missing {
                let name = dataset.name();
                line(format_args!(
                    "{prefix}warning=dataset `{name}`: optional and missing, so cfg(at_dataset = {name:?}) is off"
                ));
                for why in why.lines() {
                    line(format_args!("{prefix}warning=  {why}"));
                }
                continue;
            }
            let path = for_cargo(&of("path"), dataset.path())?;
            let variable = built.request.name.variable();
            line(format_args!("{prefix}rustc-env=AT_{variable}_PATH={path}"));
            line(format_args!("{prefix}rustc-env=AT_{variable}_INFOHASH={}", dataset.infohash()));
            // On docs.rs only the path is set. Code that reads the file at compile time must be
            // able to check.
            if built.is_there {
                line(format_args!("{prefix}rustc-cfg=at_dataset=\"{}\"", dataset.name()));
            }
            let key = format!("{metadata_prefix}at_{}", variable.to_lowercase());
            line(format_args!("{key}_path={path}"));
            line(format_args!("{key}_infohash={}", dataset.infohash()));
            if let Some(archive) = dataset.archive() {
                let archive = for_cargo(&of("archive"), archive)?;
                line(format_args!("{prefix}rustc-env=AT_{variable}_ARCHIVE={archive}"));
                line(format_args!("{key}_archive={archive}"));
            }
        }
        Ok(lines)
    }
}

/// Prints the directives.
#[expect(clippy::print_stdout, reason = "this is where Cargo reads directives")]
pub fn print(lines: &str) {
    print!("{lines}");
}

/// Prints a failure as `cargo::error` lines, or as warnings if Cargo does not accept `cargo::error`
/// from this package.
#[expect(clippy::print_stdout, reason = "this is where Cargo reads directives")]
pub fn print_error(error: &Error, old_syntax: bool) {
    let prefix = if old_syntax { "cargo:warning" } else { "cargo::error" };
    error.to_string().lines().for_each(|line| println!("{prefix}={line}"));
}
