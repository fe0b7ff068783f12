//! Store operations that only the command line needs (feature `engine`): contents, garbage
//! collection, verification, import, and writing a project's files.

mod adopt;
mod catalogue;
mod digests;
mod disk_usage;
mod gc;
mod health;
mod project_files;
mod projects;
mod scan;
mod verify_report;

pub use crate::storage::file_fault::FileFault;
pub use crate::storage::ids::{infohash_in, is_tree};
pub use adopt::Adopted;
pub use catalogue::Kept;
pub use digests::digests;
pub use disk_usage::DiskUsage;
pub use health::{Access, Trial};
pub use project_files::{ProjectFile, mirror, write_all, write_files};
pub use projects::Root;
pub use scan::{EntryState, Leftover, StoreEntry, StoreScan};
pub use verify_report::{FaultyFile, VerifyReport};
