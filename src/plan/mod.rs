//! The plan: which bytes of a torrent a request needs, where they go, whence they may come, and
//! whether that is within the limit.
//!
//! Floor 1, pure. [`Selection`] resolves the manifest's globs, or a magnet link's numbers; [`Layout`] maps each needed byte of the
//! torrent's stream to its place on disk; [`Limit`] refuses before the first data byte;
//! [`sources`] puts what the user and the manifest named first.

mod layout;
mod left_out;
mod selection;
mod sources;
#[cfg(test)]
mod tests;

#[cfg(feature = "cli")]
pub use layout::PlacedFile;
pub use layout::{Layout, Place};
pub use left_out::LeftOut;
pub use selection::{Selection, selection};
#[cfg(feature = "dht")]
pub use sources::allows_dht;
#[cfg(not(feature = "dht"))]
pub use sources::without_dht;
pub use sources::{
    Rank, SourceKind, SourceSpec, check_named, metainfo_mirrors, metainfo_peers, metainfo_tiers,
    sources,
};

use crate::error::{Error, ErrorKind};
use crate::manifest::MAX_SIZE_OPTION;
use crate::size;

/// The limit in a build script where nobody set one: 1 GiB.
pub const DEFAULT_MAX_SIZE_BYTES: u64 = 1 << 30;

/// How much may be fetched for a dataset.
///
/// The user's limit (the environment's) takes the built-in's place and caps the manifest's.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    pub manifest: Option<u64>,
    pub user: Option<u64>,
    /// A program asks by a call, which calls its limit so, and `manifest` is what it says.
    pub call: Option<&'static str>,
    /// The manifest is a dependency's that Cargo brought: it may lower the built-in limit, and not raise it.
    pub foreign: bool,
}

impl Limit {
    fn bytes(self) -> u64 {
        let built_in = self.user.unwrap_or(DEFAULT_MAX_SIZE_BYTES);
        match self {
            Limit { manifest: Some(manifest), user: None, foreign: false, .. } => manifest,
            Limit { manifest: Some(manifest), .. } => manifest.min(built_in),
            Limit { manifest: None, .. } => built_in,
        }
    }

    /// Refuses to fetch more than is allowed. `user_by` is what says the user's limit.
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`], with how much is needed and the line or variable that allows it.
    pub fn check(self, name: &str, missing_bytes: u64, user_by: &str) -> Result<(), Error> {
        if missing_bytes <= self.bytes() {
            return Ok(());
        }
        Err(self.refusal(name, missing_bytes, user_by))
    }

    fn refusal(self, name: &str, missing_bytes: u64, user_by: &str) -> Error {
        let Limit { manifest, user, foreign, call } = self;
        let limit = self.bytes();
        let enough = size::at_least(missing_bytes);
        let set_by = match (manifest, user) {
            (_, Some(user)) if user == limit => format!("set by {user_by}"),
            (Some(_), _) if call.is_some() => format!("set by {}", call.unwrap_or_default()),
            (Some(manifest), _) if manifest == limit => {
                "set by `max-size` in the manifest".to_owned()
            }
            (Some(_), _) => {
                "the default in a build script, which the manifest of a dependency cannot raise"
                    .to_owned()
            }
            (None, _) => "the default in a build script".to_owned(),
        };
        let mut error = Error::new(
            ErrorKind::TooLarge,
            format!(
                "{} are to be fetched, more than the limit allows",
                size::display(missing_bytes)
            ),
        )
        .why(format!("the limit is {}, {set_by}", exact(limit)));
        if foreign {
            // Its manifest is not for the user to change.
            return error.help(match manifest {
                Some(manifest) if manifest < missing_bytes => {
                    "ask the package's authors for a larger `max-size`, or fetch it by hand with cargo academictorrents get".to_owned()
                }
                _ => format!("to allow it: ACADEMICTORRENTS_MAX_SIZE={enough} cargo build"),
            });
        }
        let table = format!("[package.metadata.academictorrents.{name}]");
        error = match manifest {
            // A line in the manifest would not raise it.
            None if user.is_some() => error,
            None => error.help(format!(
                "to allow it, add this line under {table} in Cargo.toml:\n\
                 max-size = \"{enough}\"\n\
                 or, in the short form, write {name} = {{ infohash = \"…\", max-size = \"{enough}\" }}"
            )),
            // A second line would be a duplicate key.
            Some(manifest) if manifest < missing_bytes && call.is_some() => {
                let call = call.unwrap_or_default();
                error.help(format!("to allow it, give {call} at least {missing_bytes}"))
            }
            Some(manifest) if manifest < missing_bytes => error.help(format!(
                "to allow it, change `max-size` to \"{enough}\" in Cargo.toml:\n\
                 it is under {table}, or under `defaults`"
            )),
            Some(_) => error,
        };
        if user.is_some_and(|user| user < missing_bytes) {
            error = error.help(format!(
                "set ACADEMICTORRENTS_MAX_SIZE={enough}, which caps all other limits"
            ));
        }
        let files = if call == Some(MAX_SIZE_OPTION) { "--files" } else { "files" };
        error.help(format!("or fetch less: `{files}` takes globs of the files that you need"))
    }
}

/// A size for people, and in bytes where that says more.
fn exact(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} bytes"),
        _ => format!("{} ({bytes} bytes)", size::display(bytes)),
    }
}
