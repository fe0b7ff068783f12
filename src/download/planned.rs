//! What a dataset would take, without taking it: for `fetch --dry-run`.
//!
//! Nothing is written, and no data is asked for; the `.torrent` is looked up where it is not at hand, and not kept.

use super::{Session, dataset, elsewhere, locate};
use crate::error::{Error, ErrorKind};
use crate::infohash::Infohash;
use crate::manifest::Request;
use crate::metainfo::Metainfo;
use crate::net::Client;
use crate::plan::{self, Layout, SourceSpec};

/// A dataset, and what there is of it.
#[derive(Clone, Debug)]
pub struct Planned {
    pub infohash: Infohash,
    /// The infohash and, where not all files are selected, a digest of those that are.
    pub id: String,
    /// Bytes that are needed.
    pub total_bytes: u64,
    /// Bytes of them that are still to be fetched, by what the store has noted: data without a note may prove right, too.
    pub missing_bytes: u64,
    /// Where these would come from, in the order in which they would be asked.
    pub sources: Vec<SourceSpec>,
    /// A copy that the environment names would be hashed first.
    pub may_lie_elsewhere: bool,
}

/// Plans one dataset.
///
/// # Errors
/// As a download's up to its first byte of data; not those of limits and of the disk's room.
pub fn planned(session: &Session<'_>, request: &Request) -> Result<Planned, Error> {
    let settings = session.settings;
    let is_there = dataset::present(session, request)?.is_some();
    let mirrors = plan::metainfo_mirrors(request, settings)?;
    let client = if settings.offline { None } else { Some(Client::new(settings)?) };
    let located = locate::find(session, request, &mirrors, client.as_ref())?;
    let metainfo = located.metainfo;
    let selection = plan::selection(&metainfo, request)?;
    let layout = Layout::new(&metainfo, &selection);
    let total_bytes = layout.needed_bytes();
    let here = session.store(request).recorded_bytes(selection.id(), &layout);
    Ok(Planned {
        infohash: metainfo.infohash,
        id: selection.id().to_owned(),
        total_bytes,
        missing_bytes: if is_there { 0 } else { total_bytes.saturating_sub(here) },
        sources: plan::sources(request, settings, &mirrors, &metainfo),
        may_lie_elsewhere: !is_there && elsewhere::may_be(session, request),
    })
}

/// The `.torrent` at a web address.
///
/// # Errors
/// [`ErrorKind::Network`] where it cannot be had, [`ErrorKind::Offline`] where it may not, [`ErrorKind::Metainfo`] where it is none.
pub fn torrent_at(session: &Session<'_>, url: &str) -> Result<(Metainfo, Vec<u8>), Error> {
    let failed = |kind| Error::new(kind, format!("no torrent could be had from {url}"));
    if session.settings.offline {
        return Err(failed(ErrorKind::Offline)
            .why(session.settings.offline_reason())
            .help("give the path of a .torrent that is on this machine"));
    }
    let client = Client::new(session.settings)?;
    let bytes = locate::fetch_torrent(&client, url).map_err(|why| {
        super::report::advise(failed(ErrorKind::Network).why(why.clone()), std::iter::once(&why))
            .help("open the address in a browser, or give an infohash or the path of a .torrent")
    })?;
    match Metainfo::parse(&bytes) {
        Ok(metainfo) => Ok((metainfo, bytes)),
        Err(error) => {
            // The second line says why; the mends are those of a torrent that lies here.
            let text = error.to_string();
            let what = format!("no torrent that can be used is at {url}");
            Err(Error::new(ErrorKind::Metainfo, what)
                .why(text.lines().nth(1).unwrap_or_default().trim())
                .help("give the address of the .torrent itself, not that of a page that shows it"))
        }
    }
}
