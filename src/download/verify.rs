//! `verify`: hashes a dataset where it lies, and takes its stamp where it is damaged (feature `cli`).
//!
//! The files stay as they are: repair is [`super::provide_all`] with `hash_again`, which makes new inodes. A damaged dataset is not
//! left complete, though: its stamp says that all was verified, and would let the next build use it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::elsewhere::OnLoadPath;
use super::lock::{lock, while_alive};
use super::{Session, SharedCounters, dataset, elsewhere, locate};
use crate::counters::Phase;
use crate::error::Error;
use crate::manifest::Request;
use crate::metainfo::Metainfo;
use crate::net::Client;
use crate::plan::{self, Layout};
use crate::store::{Damage, Existing, Found, Site, Stamp};

/// What was found where a dataset should be.
#[derive(Debug)]
pub struct Verified {
    /// Of the selected files.
    pub size_bytes: u64,
    pub files: usize,
    /// Where it lies: the single file, else the root directory. `None` where nothing of it does.
    pub path: Option<PathBuf>,
    pub whose: Whose,
    pub damage: Damage,
    /// A build would take it for complete.
    pub is_stamped: bool,
    /// Ids of what was taken for complete before, and is no longer: itself, and selections with the same inodes.
    pub unstamped: Vec<String>,
    /// Why a stamp could not be removed.
    pub still_stamped: Option<Error>,
}

/// Whose the place is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// The user's store's, or the directory that was named.
    Own,
    /// A variable of the dataset names it.
    Named,
    /// It is on `LOAD_PATH`.
    LoadPath,
}

/// The metainfo of a dataset, from wherever `get` has it, with its `.torrent`.
///
/// # Errors
/// As [`locate::find`].
pub fn metainfo(session: &Session<'_>, request: &Request) -> Result<(Metainfo, Vec<u8>), Error> {
    if let Some(found) = super::at_hand::at_hand(session, request)? {
        return Ok(found);
    }
    let settings = session.settings;
    let client = if settings.offline { None } else { Some(Client::new(settings)?) };
    let mirrors = plan::metainfo_mirrors(request, settings)?;
    let located = locate::find(session, request, &mirrors, client.as_ref())?;
    Ok((located.metainfo, located.bytes))
}

/// Hashes all that lies at the dataset's place.
///
/// # Errors
/// Of the metainfo, `files` and pins; [`crate::ErrorKind::Locked`] where another process holds the dataset and does not move.
pub fn verify(
    session: &Session<'_>,
    request: &Request,
    counters: &SharedCounters,
) -> Result<Option<Verified>, Error> {
    let store = session.store(request);
    let named = elsewhere::named(session, request);
    let is_nowhere = |infohash| {
        store.keeps_stamps()
            && store.selections(infohash).is_empty()
            && named.is_none()
            && session.settings.load_path.is_empty()
    };
    // Nobody is asked for the torrent of what is not there.
    if super::at_hand::at_hand(session, request)?.is_none()
        && request.identity.infohash.is_some_and(is_nowhere)
    {
        return Ok(None);
    }
    counters.set_phase(Phase::Metainfo);
    let (metainfo, _) = metainfo(session, request)?;
    let selection = plan::selection(&metainfo, request)?;
    let layout = Arc::new(Layout::new(&metainfo, &selection));
    let work = Work {
        session,
        request,
        counters,
        metainfo: Arc::new(metainfo),
        layout,
        id: selection.id(),
    };
    let name = dataset::name_of(&work.metainfo);
    if let Some(site) = named {
        let place = OnLoadPath { site, fragments: Vec::new(), is_stamped: false };
        return work.elsewhere(place, Whose::Named).map(Some);
    }
    if store.files_path(work.id).join(&name).exists() {
        return work.own().map(Some);
    }
    for place in elsewhere::places(session, work.metainfo.infohash, work.id) {
        if place.site.path(&name).exists() {
            return work.elsewhere(place, Whose::LoadPath).map(Some);
        }
    }
    Ok(None)
}

struct Work<'a> {
    session: &'a Session<'a>,
    request: &'a Request,
    counters: &'a SharedCounters,
    metainfo: Arc<Metainfo>,
    layout: Arc<Layout>,
    id: &'a str,
}

impl Work<'_> {
    fn own(&self) -> Result<Verified, Error> {
        let Work { session, request, counters, metainfo, layout, id } = self;
        let store = session.store(request);
        // Nobody shall put the dataset in its place meanwhile. A store that cannot be written to has no lock, and nobody who does.
        let is_held = store.locks_path().is_dir();
        let lock = is_held.then(|| lock(session, store, metainfo, counters)).transpose();
        let lock = match lock {
            Err(error) if error.kind() == crate::ErrorKind::Locked => return Err(error),
            other => other.ok().flatten(),
        };
        self.begin();
        let mut damage = None;
        let mut look = || {
            let hashed = &counters.done_bytes;
            let existing = Existing::look(store, id, metainfo, layout, hashed);
            damage = existing.map(|existing| {
                Damage::of_existing(&existing, store, id, metainfo, &request.sha256)
            });
        };
        let pool = session.hashing()?;
        match &lock {
            Some(lock) => while_alive(lock, pool, &mut look),
            None => pool.install(look),
        }
        let site = store.files_path(id).into();
        let mut verified = self.verified(&site, Whose::Own);
        // Of files none is there, though their directory is.
        let Some(damage) = damage.transpose()? else {
            verified.path = None;
            return Ok(verified);
        };
        let is_stamped = Stamp::read(&store.stamp_path(id)).is_some();
        verified.is_stamped = store.present(id).is_some_and(|it| it.holds(&request.sha256));
        if !damage.is_none() && store.keeps_stamps() {
            let removed = store
                .remove_stamp(id)
                .and_then(|()| store.unstamp_links(metainfo.infohash, id, &damage));
            match removed {
                Ok(links) => {
                    verified.unstamped = links;
                    if is_stamped {
                        verified.unstamped.insert(0, (*id).to_owned());
                    }
                    verified.is_stamped = false;
                }
                Err(error) => verified.still_stamped = Some(error),
            }
        }
        verified.damage = damage;
        Ok(verified)
    }

    fn elsewhere(&self, place: OnLoadPath, whose: Whose) -> Result<Verified, Error> {
        let Work { session, request, counters, metainfo, layout, id } = self;
        let OnLoadPath { site, fragments, is_stamped } = place;
        self.begin();
        let mut found = Found::look(&site, metainfo, layout, fragments);
        let pool = session.hashing()?;
        pool.install(|| found.hash(&counters.done_bytes));
        let damage = pool.install(|| Damage::of_copy(&found, &request.sha256))?;
        let mut verified = self.verified(&site, whose);
        let ours = elsewhere::stamped(session, request, metainfo.infohash, id, &site).is_some();
        verified.is_stamped = ours || is_stamped;
        if !damage.is_none() && ours {
            match session.shared.remove_stamp_elsewhere(id, &site) {
                Ok(()) => {
                    // What another store's stamp says is not ours to change.
                    verified.is_stamped = is_stamped;
                    verified.unstamped.push((*id).to_owned());
                }
                Err(error) => verified.still_stamped = Some(error),
            }
        }
        verified.damage = damage;
        Ok(verified)
    }

    fn begin(&self) {
        self.counters.total_bytes.store(self.layout.needed_bytes(), Ordering::Relaxed);
        self.counters.done_bytes.store(0, Ordering::Relaxed);
        self.counters.set_phase(Phase::Checking);
    }

    fn verified(&self, site: &Site, whose: Whose) -> Verified {
        Verified {
            size_bytes: self.layout.files().iter().map(|file| file.length()).sum(),
            files: self.layout.files().len(),
            path: Some(site.path(&dataset::name_of(&self.metainfo))),
            whose,
            damage: Damage::default(),
            is_stamped: false,
            unstamped: Vec::new(),
            still_stamped: None,
        }
    }
}
