//! What fetching a dataset would involve, for `fetch --dry-run`.
//!
//! Writes nothing and requests no data. A missing `.torrent` is looked up over the network, but not
//! stored.

use crate::engine::job::{elsewhere, present};
use crate::engine::resolve::{Network, resolve};
use crate::engine::session::Session;
use crate::error::Error;
use crate::manifest::Request;
use crate::plan::{self, SourceSpec};
use crate::torrent::infohash::Infohash;

/// The plan for a dataset.
#[derive(Clone, Debug)]
pub struct Planned {
    pub infohash: Infohash,
    /// The infohash and, if not all files are selected, a digest of the selection.
    pub id: String,
    /// Bytes that the dataset needs.
    pub total_bytes: u64,
    /// The part of `total_bytes` that belongs to files that are not selected.
    pub scratch_bytes: u64,
    /// Bytes to fetch, according to the store's records. Unrecorded data on disk may turn out to be
    /// correct, too.
    pub missing_bytes: u64,
    /// The sources of the missing data, in order of use.
    pub sources: Vec<SourceSpec>,
    /// Whether there may be a copy elsewhere, which would be hashed first.
    pub may_lie_elsewhere: bool,
}

/// Plans one dataset.
///
/// # Errors
/// The errors of a download before its first byte of data, except those of size limits and disk
/// space.
pub fn planned(session: &Session<'_>, request: &Request) -> Result<Planned, Error> {
    let is_there = present::present(session, request)?.is_some();
    let network = Network::open(session, request)?;
    let resolved = resolve(session, request, Some(&network))?;
    let total_bytes = resolved.layout().needed_bytes();
    let here = session.target(request).workplace().recorded_bytes(resolved.id(), resolved.layout());
    Ok(Planned {
        infohash: resolved.metainfo.infohash,
        id: resolved.id().to_owned(),
        total_bytes,
        scratch_bytes: resolved.layout().scratch_bytes(),
        missing_bytes: if is_there { 0 } else { total_bytes.saturating_sub(here) },
        sources: plan::sources(request, session.settings, &network.mirrors, &resolved.metainfo),
        may_lie_elsewhere: !is_there && elsewhere::may_lie_elsewhere(session, request),
    })
}
