//! Events that workers and announcers send to the coordinator.

use std::net::SocketAddr;
use std::time::Duration;

use super::dial::Dialed;
use crate::address::NamedBy;
use crate::error::Error;
use crate::net::SourceError;
use crate::picker::{Blame, SourceId};
use crate::protocol::ut_metadata::MetadataError;
use crate::torrent::geometry::PieceIndex;
use crate::torrent::metainfo::Metainfo;

/// The result of asking for a newer `.torrent`: its metainfo and its bytes.
pub type Refreshed = Result<(Metainfo, Vec<u8>), SourceError>;

#[derive(Debug)]
pub enum WorkerEvent {
    /// All needed pieces are verified.
    Done,
    /// A web seed or a directory does not have a file.
    Lacks {
        source: SourceId,
        file: u32,
    },
    /// A dial ended, with a connection or an error.
    Dialed {
        source: SourceId,
        dialed: Dialed,
    },
    /// A piece that an earlier process left on disk is damaged.
    Damaged(PieceIndex),
    Ended {
        source: SourceId,
        outcome: WorkerOutcome,
        /// The number of bytes that the connection delivered.
        brought_bytes: u64,
    },
    BadPiece {
        source: SourceId,
        piece: PieceIndex,
        verdict: Blame,
    },
    Peers {
        addresses: Vec<SocketAddr>,
        by: NamedBy,
    },
    /// Peers that a peer reported (PEX, BEP 11).
    Exchanged {
        source: SourceId,
        addresses: Vec<SocketAddr>,
    },
    /// The look-up of a named peer's host name ended.
    Resolved {
        by: NamedBy,
        name: String,
        addresses: Result<Vec<SocketAddr>, SourceError>,
    },
    /// The tier has answered or failed for the first time.
    TierHeardOf(u32),
    /// No tracker of this tier ever answered. For the DHT: no node knew a peer.
    TierLost(u32),
    Disk(Box<Error>),
    /// The result of asking the catalog for a newer `.torrent`.
    Refreshed(Box<Refreshed>),
}

/// How a worker ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WorkerOutcome {
    /// There was nothing more to do.
    Ended,
    /// The source may work later.
    Failed(SourceError),
    /// The source failed for a file, which it may have later. Only the file may be given up for it.
    FileFailed(SourceError),
    /// The source asked for a pause of this length.
    Paused(Duration, SourceError),
    /// The peer was useless or slow while others waited for its place. It keeps its place longer
    /// next time.
    GaveWay(SourceError),
    /// The source must not be used again.
    Lost(SourceError),
}

impl From<MetadataError> for WorkerOutcome {
    fn from(error: MetadataError) -> WorkerOutcome {
        let outcome = if error.may_pass() { WorkerOutcome::Failed } else { WorkerOutcome::Lost };
        outcome(SourceError::Metadata(error))
    }
}
