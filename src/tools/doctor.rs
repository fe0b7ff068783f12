//! `doctor`: whether all that a download needs is in order here.

use std::path::{Path, PathBuf};

use super::info::{Answered, Witness};
use super::{Asked, Desk, absolute};
use crate::context::Context;
use crate::download::{self, Question};
use crate::error::{Error, printable};
use crate::store::{Contents, Store, Trial};
use crate::{net, plan};

/// What the environment and the user's configuration file say, and whether it can be used.
#[derive(Debug)]
pub struct Setup {
    /// The configuration file that was read, if there is one; why it cannot be used.
    pub config: Result<Option<PathBuf>, Error>,
    /// Where it would be.
    pub config_place: Option<PathBuf>,
    /// Variables that are set and read.
    pub variables: Vec<String>,
    /// Variables that begin as ours do and are none, with those that were probably meant.
    pub unknown: Vec<(String, Option<String>)>,
    /// Why a value cannot be used.
    pub settings: Result<(), Error>,
    /// The store's directory.
    pub store: Result<PathBuf, Error>,
    /// The proxies for HTTP and for peers, without a login.
    pub proxies: (Option<String>, Option<String>),
    /// The file of certificates, and what names it.
    pub ca_file: Option<(PathBuf, String)>,
    /// Whether proxies and certificates can be used.
    pub client: Result<(), Error>,
    /// What says that no socket may be opened.
    pub offline: Option<String>,
    /// The clock is at least that of this program's release.
    pub clock_is_plausible: bool,
}

/// Looks at the environment and at the user's configuration file; `store` takes the place of theirs.
#[must_use]
pub fn setup(store: Option<&Path>) -> Setup {
    let mut context = Context::of_process();
    let read = context.read_config();
    let directory = match store {
        Some(directory) => absolute(directory),
        None => context.store_dir(),
    };
    let unknown = context.unknown_names();
    let settings = context.settings();
    let usable = settings.as_ref().map_err(Clone::clone);
    let checked = usable.clone().and_then(plan::check_named);
    let found = usable.clone().ok();
    Setup {
        config: read.map(|()| context.config_path().map(Path::to_owned)),
        config_place: context.config_place(),
        variables: context.set_names(),
        // A name that is none is told for itself.
        settings: if unknown.is_empty() { checked } else { Ok(()) },
        unknown,
        store: directory,
        proxies: found.and_then(|it| net::shown_proxies(it).ok()).unwrap_or_default(),
        ca_file: found.and_then(|it| it.ca_file.clone()).map(|file| (file.path, file.variable)),
        client: usable.and_then(|settings| net::Client::new(settings).map(drop)),
        offline: found.filter(|it| it.offline).map(|it| it.offline_reason()),
        clock_is_plausible: download::clock_is_plausible(),
    }
}

/// Whether a store can do its work, and what lies in it.
#[derive(Debug)]
pub struct StoreHealth {
    /// Where it was tried: the store, or the directory nearest to it that is there.
    pub place: PathBuf,
    /// The store's directory is there.
    pub exists: bool,
    /// What was tried there, and why it did not do.
    pub trials: Vec<(Trialled, Result<(), String>)>,
    /// As the system calls it.
    pub file_system: Option<String>,
    /// What can still be written; `None` where the platform does not tell.
    pub free_bytes: Option<u64>,
    /// Datasets with a stamp that fits, and their bytes.
    pub complete: (usize, u64),
    /// Ids of datasets with a file that is not as it was when it was verified.
    pub changed: Vec<String>,
    /// Ids of datasets without a stamp, or known to be damaged.
    pub unstamped: Vec<String>,
    /// Ids of datasets that were begun, and the bytes of their files.
    pub partial: Vec<(String, u64)>,
    /// What killed processes left.
    pub leftovers: Vec<PathBuf>,
}

/// What a store needs of its file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trialled {
    /// Files are written, synced and renamed.
    Writes,
    /// A lock keeps others out.
    Locks,
    /// A file may have two names.
    HardLinks,
    /// A file's time is kept.
    Times,
}

/// Tries what a store needs where it lies, and looks at its datasets without hashing them.
#[must_use]
pub fn store_health(directory: &Path) -> StoreHealth {
    let store = Store::at(directory);
    let Trial { place, writes, locks, hard_links, times, file_system, free_bytes } =
        store.try_out();
    let trials = [
        (Trialled::Writes, writes),
        (Trialled::Locks, locks),
        (Trialled::HardLinks, hard_links),
        (Trialled::Times, times),
    ];
    let Contents { complete, complete_bytes, changed, unstamped, partial, leftovers } =
        store.contents();
    StoreHealth {
        exists: store.root().is_dir(),
        place,
        trials: trials.map(|(what, done)| (what, done.map_err(|why| why.to_string()))).into(),
        file_system,
        free_bytes,
        complete: (complete, complete_bytes),
        changed,
        unstamped,
        partial,
        leftovers,
    }
}

/// Who can be reached.
#[derive(Debug)]
pub struct Reach {
    /// The catalogue's URL, and what it said.
    pub catalogue: (String, Answered),
    /// Peers that the user or a manifest names.
    pub peers: Vec<(String, Answered)>,
    /// Trackers and web seeds of what is declared.
    pub sources: Vec<Reached>,
    /// Names of datasets whose torrent is not on this machine: who has them is not known.
    pub unknown: Vec<String>,
    /// Names of those that are not complete here, and how many of those who were asked have them.
    pub missing: Vec<(String, usize)>,
    /// Whether a port can be listened on, as `seed` does.
    pub listens: Result<(), String>,
}

/// A source of one or more datasets.
#[derive(Debug)]
pub struct Reached {
    /// Its URL.
    pub url: String,
    /// Else it is a web seed.
    pub is_tracker: bool,
    /// The dataset for which it was asked.
    pub dataset: String,
    /// What it said.
    pub answer: Answered,
}

impl Desk {
    /// Asks the catalogue, and all sources of these datasets whose torrents are on this machine, at the same time: it takes five seconds
    /// at most. A source of several datasets that are complete is asked once.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Manifest`] for a proxy or a file of certificates that cannot be used.
    pub fn reach(&self, datasets: &[&Asked]) -> Result<Reach, Error> {
        let (mut unknown, mut missing, mut sources) = (Vec::new(), Vec::new(), Vec::new());
        let mut peers = self.settings.peers.clone();
        // What is missing comes first: it is asked for by everybody.
        let mut ordered: Vec<(&Asked, bool)> =
            datasets.iter().map(|it| (*it, self.present(it).is_some())).collect();
        ordered.sort_by_key(|(_, present)| *present);
        for (dataset, present) in ordered {
            peers.extend(dataset.request.peers.iter().cloned());
            let Some(info) = self.info_at_hand(dataset) else {
                unknown.push(dataset.name().to_owned());
                continue;
            };
            if !present {
                missing.push((dataset.name().to_owned(), 0));
            }
            let trackers = info.trackers.into_iter().map(|source| (true, source));
            let web_seeds = info.web_seeds.into_iter().map(|source| (false, source));
            for (is_tracker, source) in trackers.chain(web_seeds) {
                let is_known = |(_, _, known): &(bool, &str, Witness)| known.url == source.url;
                if !present || !sources.iter().any(is_known) {
                    sources.push((is_tracker, dataset.name(), source));
                }
            }
        }
        peers.sort();
        peers.dedup();
        let catalogue = self.settings.catalogue.clone();
        let site = Witness::of(&catalogue, Question::Site(catalogue.clone()))
            .left_out(!self.settings.sources.catalogue);
        let of_peer = |peer: &String| {
            Witness::of(peer, Question::Peer(peer.clone())).left_out(!self.settings.sources.peers)
        };
        let of_peers: Vec<Witness> = peers.iter().map(of_peer).collect();
        let mut asked = vec![&site];
        asked.extend(&of_peers);
        asked.extend(sources.iter().map(|(_, _, source)| source));
        let offline = || Answered::Failed("nobody is asked offline".to_owned());
        let mut answers = self.ask(&asked)?.unwrap_or_default().into_iter();
        let mut next = || answers.next().unwrap_or_else(offline);
        let catalogue = (printable(&catalogue), next());
        let peers = peers.iter().map(|peer| (printable(peer), next())).collect();
        let sources = sources.iter().map(|(is_tracker, dataset, source)| Reached {
            url: source.url.clone(),
            is_tracker: *is_tracker,
            dataset: (*dataset).to_owned(),
            answer: next(),
        });
        let sources: Vec<Reached> = sources.collect();
        for (name, having) in &mut missing {
            let of_it = sources.iter().filter(|source| source.dataset == *name);
            *having = of_it.filter(|source| source.answer.has_data()).count();
        }
        let listens = net::Listener::bind(0).map(drop);
        Ok(Reach { catalogue, peers, sources, unknown, missing, listens })
    }
}
