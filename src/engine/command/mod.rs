//! What the command `cargo academictorrents` uses beyond the public API. Not part of the API: it
//! may change in any release, and `cargo-academictorrents` requires the exact version of this crate
//! (feature `engine`).
//!
//! Each submodule mirrors a module of the library, and contains only what the command needs of it.

mod catalogue;
mod import;
mod planned;
mod probe;
mod status;
mod verify;

pub use super::job::roots::note_use;
pub use super::local_peer::LocalPeer;
pub use super::resolve::{Located, Resolved, at_hand, at_url, infohash, locate, newest, resolve};
pub use catalogue::{Document, DocumentRequest, document};
pub use import::{Import, Imported, import};
pub use planned::{Planned, planned};
pub use probe::{ProbeAnswer, Question, UserPlaces, ask, clock_is_plausible, of_web_seed};
pub use status::{Completeness, DatasetStatus, standing};
pub use verify::{VerifiedDataset, Whose, verify};

pub mod address {
    pub use crate::address::NamedBy;
}
pub mod settings {
    pub use crate::settings::shown::{SettingOrigin, ShownSetting};
    pub use crate::settings::{
        Context, DefaultValue, OfflineBy, Progress, SETTINGS, Setting, SettingKind, Settings,
        SourceSet,
    };
}
pub mod counters {
    pub use crate::counters::{Counters, DatasetCounters, Phase};
}
pub mod error {
    pub use crate::error::printable;
}
pub mod manifest {
    pub use crate::manifest::{
        CallOptions, DatasetName, FileGlob, Identity, KEYS, Manifest, Request, StoreKind,
        UnpackOptions, absolute,
    };
}
pub mod torrent {
    pub use crate::torrent::magnet::Magnet;
    pub use crate::torrent::metainfo::about::About;
    pub use crate::torrent::metainfo::passkeys::Shareable;
    pub use crate::torrent::metainfo::paths::directories;
    pub use crate::torrent::metainfo::{Components, FileKind, Metainfo, TorrentFile};
}
pub mod net {
    pub use crate::net::certificates::{directory_flaw, of_system as system_roots};
    pub use crate::net::command::shown_proxies;
    pub use crate::net::credentials::read_netrc;
    pub use crate::net::{Client, Listener, SourceError};
}
pub mod origin {
    pub use crate::origin::{Origin, TorrentOrigin};
}
pub mod plan {
    pub use crate::plan::limit::{DEFAULT_MAX_SIZE_BYTES, counted_bytes};
    pub use crate::plan::{
        Rank, Selection, SourceKind, check_named, metainfo_mirrors, of_other_files, sources,
        unsupported, user_places,
    };
}
pub mod progress {
    pub use crate::progress::ProgressDisplay;
    pub use crate::progress::command::{Command, start_for};
}
pub mod size {
    pub use crate::size::{at_least, display, parse, parse_duration};
}
pub mod storage {
    pub use crate::storage::inventory::*;
    pub use crate::storage::{Directory, LockHolder, Site, Store, Target, directory_fault};
}
pub mod url {
    pub use crate::url::{Passkey, Url, is_http, masked};
}
