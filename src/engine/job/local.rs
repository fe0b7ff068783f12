//! Completing a dataset without the feature `fetch`: from data on this machine, including mirrors
//! that are directories.

use std::sync::Arc;

use super::lack::{Begun, Lack, begin, may_fetch, take};
use super::work::Work;
use crate::address::NamedBy;
use crate::counters::Phase;
use crate::engine::resolve::{Network, cannot_fetch};
use crate::error::{Error, ErrorKind};
use crate::manifest::Mirror;
use crate::plan::{DisabledSources, Layout};
use crate::storage::{LocalCopy, Site, directory_fault};
use crate::torrent::metainfo::Metainfo;
use crate::torrent::pieces::PieceSet;

/// Adds what is missing on disk from the copies and mirror directories.
///
/// # Errors
/// As [`super::dataset::provide`]; [`ErrorKind::Offline`] if data is missing.
pub fn fetch(
    work: &Work<'_>,
    network: Network,
    mut copies: Vec<LocalCopy>,
    existing: Option<&LocalCopy>,
) -> Result<(), Error> {
    let Work { session, request, resolved, .. } = work;
    let layout = resolved.layout();
    let (in_mirrors, faults) = in_mirrors(work, &network.mirrors);
    copies.extend(in_mirrors);
    let begun = Begun::new(work, &mut copies, existing)?;
    let Begun { partial, mut wanted, damaged_bytes, .. } = begun;
    let may_fetch_these = |pieces: &PieceSet| {
        let lack = Lack::of(layout, pieces, damaged_bytes);
        if pieces.is_empty() {
            return may_fetch(work, &partial, &lack);
        }
        let what = format!("{} are not on this machine", crate::size::display(lack.bytes));
        let error = Error::new(ErrorKind::Offline, what);
        let error = faults.iter().fold(error, |error, fault| error.why(fault.clone()));
        let left_out = DisabledSources::of(request, session.settings, &resolved.metainfo);
        Err(lack.explain(left_out.explain(cannot_fetch(request, error))))
    };
    take(work, &partial, copies, &mut wanted, &may_fetch_these)?;
    may_fetch_these(&wanted)?;
    session.stop().check()?;
    begin(work, Phase::Publishing, 0);
    work.hashing(|| partial.publish(&request.sha256))?
}

/// Returns the dataset's copies in mirror directories, and messages about mirrors that cannot be
/// read or have nothing. Mirrors use the torrent's own name, not the request's `rename`.
fn in_mirrors(work: &Work<'_>, mirrors: &[(NamedBy, Mirror)]) -> (Vec<LocalCopy>, Vec<String>) {
    let metainfo = Metainfo::clone(&work.resolved.metainfo).renamed(None);
    let layout = Arc::new(Layout::new(&metainfo, &work.resolved.selection));
    let metainfo = Arc::new(metainfo);
    let (mut copies, mut faults) = (Vec::new(), Vec::new());
    for (_, mirror) in mirrors {
        let Mirror::Directory(directory) = mirror else { continue };
        let directory = directory.join(metainfo.infohash.to_string());
        if let Some(fault) = directory_fault(&directory) {
            faults.push(format!("{}: {fault}", directory.display()));
            continue;
        }
        let copy = LocalCopy::look(&Site::In(directory), &metainfo, &layout, Vec::new());
        match copy.is_something() {
            true => copies.push(copy),
            false => faults.push(copy.summary()),
        }
    }
    (copies, faults)
}
