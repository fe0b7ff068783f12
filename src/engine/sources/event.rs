//! What workers and announcers report to the coordinator.

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

/// What came of asking for a newer `.torrent`: its metainfo and its bytes.
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
    /// A peer was connected to, or was not.
    Dialed {
        source: SourceId,
        dialed: Dialed,
    },
    /// A piece that an earlier process left is wrong.
    Damaged(PieceIndex),
    Ended {
        source: SourceId,
        outcome: WorkerOutcome,
        /// What the connection had brought before.
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
    /// Peers that a peer named (BEP 11).
    Exchanged {
        source: SourceId,
        addresses: Vec<SocketAddr>,
    },
    /// A named peer's name look-up ended.
    Resolved {
        by: NamedBy,
        name: String,
        addresses: Result<Vec<SocketAddr>, SourceError>,
    },
    /// The tier has answered, or failed, for the first time.
    TierHeardOf(u32),
    /// No tracker of this tier ever answered; of the DHT's, nobody there knew a peer.
    TierLost(u32),
    Disk(Box<Error>),
    /// The catalog gave a `.torrent` with its metainfo, or did not.
    Refreshed(Box<Refreshed>),
}

/// How a worker ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WorkerOutcome {
    /// There was nothing more to do.
    Ended,
    /// It may work later.
    Failed(SourceError),
    /// The source asks to be left alone for so long.
    Paused(Duration, SourceError),
    /// It was of no use, or slow, while others waited for its place, and keeps it for longer next time.
    GaveWay(SourceError),
    /// Never again.
    Lost(SourceError),
}

impl From<MetadataError> for WorkerOutcome {
    fn from(error: MetadataError) -> WorkerOutcome {
        let outcome = if error.may_pass() { WorkerOutcome::Failed } else { WorkerOutcome::Lost };
        outcome(SourceError::Metadata(error))
    }
}
