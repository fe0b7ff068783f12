//! The note of an optional dataset that was missing: why, so that the next builds need not wait to learn it again.
//!
//! It lies in `OUT_DIR`, and holds the error as it was printed. It is written for failures of the network alone: any
//! other costs no time to find out, and a build that may not use the network says nothing of one that may.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::error::{Error, ErrorKind};
use crate::store::atomic_write;

/// An optional dataset that could not be had is tried again after so long.
const AGAIN: Duration = Duration::from_secs(600);

/// One dataset's note.
#[derive(Debug)]
pub struct Note {
    path: PathBuf,
}

impl Note {
    pub fn of(dataset: &str, out_dir: &Path) -> Note {
        Note { path: out_dir.join(format!("academictorrents-missing-{dataset}")) }
    }

    /// Whether it was written a moment ago, and the manifest was not mended since.
    pub fn holds(&self, manifest: &Path, now: SystemTime) -> bool {
        let modified = |path: &Path| std::fs::metadata(path).and_then(|file| file.modified());
        let (Ok(noted), Ok(declared)) = (modified(&self.path), modified(manifest)) else {
            return false;
        };
        noted >= declared && now.duration_since(noted).unwrap_or_default() < AGAIN
    }

    /// Writes the error down where it took time to find out.
    ///
    /// # Errors
    /// [`ErrorKind::Disk`].
    pub fn write(&self, error: &Error) -> Result<(), Error> {
        if error.kind() != ErrorKind::Network {
            return Ok(());
        }
        atomic_write(&self.path, error.to_string().as_bytes())
    }

    /// What is said by a build that does not try.
    pub fn reminder(&self) -> String {
        let text = std::fs::read(&self.path).unwrap_or_default();
        let why = summary(&String::from_utf8_lossy(&text), 1);
        format!(
            "a moment ago: {why}\ntried again ten minutes after that; to try now, touch Cargo.toml"
        )
    }
}

/// Of an error as printed, what failed, and at most so many of the reasons, a line each; no help, and not for which
/// dataset.
pub fn summary(error: &str, reasons: usize) -> String {
    let lines = error.lines().take_while(|line| !line.starts_with("  help:"));
    let text = lines.take(1 + reasons).map(str::trim).collect::<Vec<_>>().join("\n");
    match text.split_once("`: ") {
        Some((dataset, rest)) if dataset.starts_with("dataset `") => rest.to_owned(),
        _ => text,
    }
}
