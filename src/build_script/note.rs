//! A note in `OUT_DIR` that an optional dataset was missing, so that the next builds do not wait
//! for it again.
//!
//! It contains what failed and the first reason. It is written only for network failures: other
//! failures cost no time, and a build that is offline does not predict the result of one that is
//! online.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::error::{Error, ErrorKind};
use crate::storage::atomic_write;

/// How long an optional dataset that could not be provided is not tried again.
const AGAIN: Duration = Duration::from_secs(600);

/// The note of one dataset.
#[derive(Debug)]
pub struct Note {
    path: PathBuf,
}

impl Note {
    pub fn of(dataset: &str, out_dir: &Path) -> Note {
        Note { path: out_dir.join(format!("academictorrents-missing-{dataset}")) }
    }

    /// Whether the note is recent and none of these manifests changed since.
    pub fn holds<'m>(
        &self,
        manifests: impl IntoIterator<Item = &'m Path>,
        now: SystemTime,
    ) -> bool {
        let modified = |path: &Path| std::fs::metadata(path).and_then(|file| file.modified());
        let Ok(noted) = modified(&self.path) else { return false };
        let is_older = |path: &Path| modified(path).is_ok_and(|declared| noted >= declared);
        // A time in the future comes from a wrong clock, and would suppress attempts for an unknown
        // time.
        manifests.into_iter().all(is_older)
            && now.duration_since(noted).is_ok_and(|age| age < AGAIN)
    }

    /// Writes the note if the failure took time to detect.
    ///
    /// # Errors
    /// [`ErrorKind::Disk`].
    pub fn write(&self, error: &Error) -> Result<(), Error> {
        if error.kind() != ErrorKind::Network {
            return Ok(());
        }
        atomic_write(&self.path, error.summary(1).as_bytes())
    }

    /// The message of a build that does not try again.
    pub fn reminder(&self) -> String {
        let why = std::fs::read(&self.path).unwrap_or_default();
        let why = String::from_utf8_lossy(&why);
        format!(
            "the last attempt was less than ten minutes ago: {why}\nto try again now, touch Cargo.toml"
        )
    }
}
