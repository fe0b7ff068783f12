//! Completing a dataset without the feature `fetch`: from data on this machine, including mirrors
//! that are directories.

use super::elsewhere;
use super::lack::{Begun, Lack, begin, may_fetch, take};
use super::work::Work;
use crate::counters::Phase;
use crate::engine::resolve::{Network, cannot_fetch};
use crate::error::{Error, ErrorKind};
use crate::plan::DisabledSources;
use crate::storage::LocalCopy;
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
    let (in_mirrors, faults) = elsewhere::in_mirrors(work, &network.mirrors);
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
    work.while_alive(|| partial.publish(&request.sha256))
}
