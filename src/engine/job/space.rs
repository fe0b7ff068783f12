//! Checks that the disk has enough space for the missing data.

use crate::engine::session::Session;
use crate::error::{Error, ErrorKind};
use crate::manifest::{Request, StoreKind};
use crate::size;
use crate::storage::{Partial, Target};

/// Fails before the first data byte if the data cannot fit. If the platform does not report free
/// space, the download starts anyway.
///
/// # Errors
/// [`ErrorKind::Disk`], with the needed space, the free space, the location, and how to move the
/// data elsewhere.
pub fn check(
    partial: &Partial,
    session: &Session<'_>,
    request: &Request,
    verified_bytes: u64,
    missing_bytes: u64,
) -> Result<(), Error> {
    partial.check_file_sizes()?;
    match partial.room_bytes(verified_bytes) {
        Some(room) if room < missing_bytes => {
            let place = match (request.store, session.own) {
                (StoreKind::Shared, _) => {
                    "set ACADEMICTORRENTS_STORE to a directory on another disk"
                }
                (StoreKind::Own, Target::Store(_)) => {
                    "set CARGO_TARGET_DIR to a directory on another disk"
                }
                (StoreKind::Own, Target::Directory(_)) => "choose a directory on another disk",
            };
            let needed = size::display(missing_bytes);
            Err(Error::new(ErrorKind::Disk, format!("not enough disk space to download {needed}"))
                .why(format!("{} are free at {}", size::display(room), partial.place().display()))
                .help(format!("free some space, or {place}"))
                .help("or fetch less: `files` takes globs of the files that you need"))
        }
        _ => Ok(()),
    }
}
