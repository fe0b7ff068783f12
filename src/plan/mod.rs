//! The plan: which bytes of a torrent a request needs, where they go, whence they may come, and
//! whether that is within the limit.
//!
//! Floor 1, pure. [`Selection`] resolves the manifest's globs; [`Layout`] maps each needed byte of the
//! torrent's stream to its place on disk; [`budget`] refuses before the first data byte;
//! [`sources`] puts what the user and the manifest named first.

mod layout;
mod left_out;
mod selection;
mod sources;
#[cfg(test)]
mod tests;

pub use layout::{Layout, Place};
pub use left_out::LeftOut;
pub use selection::Selection;
pub use sources::{Rank, SourceKind, SourceSpec, metainfo_mirrors, sources};

use crate::error::{Error, ErrorKind};
use crate::size;

/// The limit in a build script where nobody set one: 1 GiB.
pub const DEFAULT_MAX_SIZE_BYTES: u64 = 1 << 30;

/// Refuses to fetch more than is allowed.
///
/// The user's limit (the environment's) takes the built-in's place and caps the manifest's.
///
/// # Errors
/// [`ErrorKind::TooLarge`], with how much is needed and the line or variable that allows it.
pub fn budget(
    name: &str,
    missing_bytes: u64,
    manifest: Option<u64>,
    user: Option<u64>,
) -> Result<(), Error> {
    let limit = match (manifest, user) {
        (Some(manifest), Some(user)) => manifest.min(user),
        (Some(limit), None) | (None, Some(limit)) => limit,
        (None, None) => DEFAULT_MAX_SIZE_BYTES,
    };
    if missing_bytes <= limit {
        return Ok(());
    }
    let enough = size::at_least(missing_bytes);
    let set_by = match (manifest, user) {
        (_, Some(user)) if user == limit => "set by ACADEMICTORRENTS_MAX_SIZE",
        (Some(_), _) => "set by `max-size` in the manifest",
        _ => "the default in a build script",
    };
    let mut error = Error::new(
        ErrorKind::TooLarge,
        format!("{} are to be fetched", size::display(missing_bytes)),
    )
    .why(format!("the limit is {}, {set_by}", exact(limit)));
    let table = format!("[package.metadata.academictorrents.{name}]");
    error = match manifest {
        None => error.help(format!(
            "to allow it, add this line under {table} in Cargo.toml:\n\
             max-size = \"{enough}\"\n\
             or, in the short form, write {name} = {{ infohash = \"…\", max-size = \"{enough}\" }}"
        )),
        // A second line would be a duplicate key.
        Some(manifest) if manifest < missing_bytes => error.help(format!(
            "to allow it, change `max-size` to \"{enough}\" in Cargo.toml: \
             it is under {table}, or under `defaults`"
        )),
        Some(_) => error,
    };
    if user.is_some_and(|user| user < missing_bytes) {
        error = error
            .help(format!("set ACADEMICTORRENTS_MAX_SIZE={enough}, which caps all other limits"));
    }
    Err(error.help("or fetch less: `files` takes globs of the files that you need"))
}

/// A size for people, and in bytes where that says more.
fn exact(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} bytes"),
        _ => format!("{} ({bytes} bytes)", size::display(bytes)),
    }
}
