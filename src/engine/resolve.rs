//! Finds the torrent that a request means, and what the request selects of it. Later steps use only
//! [`Resolved`].
//!
//! `local.rs` looks on this machine, and `remote.rs` asks mirrors, the catalog and peers.

mod local;
#[cfg(feature = "fetch")]
pub mod peers;
#[cfg(feature = "fetch")]
mod remote;

use std::sync::{Arc, OnceLock};

use crate::address::NamedBy;
use crate::engine::session::Session;
#[cfg(feature = "fetch")]
use crate::engine::sources::open_peers::KnownPeers;
use crate::error::{Error, ErrorKind};
use crate::manifest::{Mirror, Request, below_root};
#[cfg(feature = "fetch")]
use crate::net::Client;
use crate::plan::{self, Layout, Selection};
use crate::torrent::metainfo::Metainfo;
#[cfg(feature = "unpack")]
use crate::unpack::TreePlan;

pub use crate::engine::resolve::local::{at_hand, infohash, read_torrent};
#[cfg(feature = "fetch")]
pub use crate::engine::resolve::remote::CatalogTorrent;
#[cfg(feature = "engine")]
pub use crate::engine::resolve::remote::{at_url, catalog_credential, credential_of, newest};

#[cfg(feature = "fetch")]
type FoundPeers = KnownPeers;
#[cfg(not(feature = "fetch"))]
type FoundPeers = ();

/// The torrent that a request means, before selection.
pub struct Located {
    pub metainfo: Metainfo,
    /// The contents of the `.torrent` file.
    pub bytes: Vec<u8>,
    /// Peers found while searching for the torrent.
    pub peers: FoundPeers,
}

/// The torrent that a request means, and what the request selects of it.
#[derive(Debug)]
pub struct Resolved {
    pub metainfo: Arc<Metainfo>,
    /// The contents of the `.torrent` file.
    pub bytes: Vec<u8>,
    /// Peers found while searching for the torrent.
    pub peers: FoundPeers,
    pub selection: Selection,
    /// Computed on first use: a build whose data is complete does not need it.
    layout: OnceLock<Arc<Layout>>,
}

impl Located {
    fn new(metainfo: Metainfo, bytes: Vec<u8>) -> Located {
        Located { metainfo, bytes, peers: FoundPeers::default() }
    }

    /// # Errors
    /// As [`Selection::of`], with the manifest line that declares the request.
    pub fn select(self, request: &Request) -> Result<Resolved, Error> {
        let metainfo = self.metainfo.renamed(request.rename.as_deref());
        let selection = Selection::of(&metainfo, &request.files, request.file_numbers())
            .map_err(|error| request.origin.declared(error))?;
        let layout = OnceLock::new();
        Ok(Resolved {
            metainfo: Arc::new(metainfo),
            bytes: self.bytes,
            peers: self.peers,
            selection,
            layout,
        })
    }
}

impl Resolved {
    /// Applies a request's selection to a torrent that is already known.
    ///
    /// # Errors
    /// As [`Located::select`].
    #[cfg(feature = "engine")]
    pub fn of(metainfo: Metainfo, request: &Request) -> Result<Resolved, Error> {
        Located::new(metainfo, Vec::new()).select(request)
    }

    /// The store's name for this torrent and selection.
    pub fn id(&self) -> &str {
        self.selection.id()
    }

    pub fn layout(&self) -> &Arc<Layout> {
        self.layout.get_or_init(|| Arc::new(Layout::new(&self.metainfo, &self.selection)))
    }

    /// The plan for unpacking the selected archives; `None` if the request unpacks nothing.
    ///
    /// # Errors
    /// As [`TreePlan::new`], with the manifest line that declares the request.
    #[cfg(feature = "unpack")]
    pub fn tree_plan(&self, request: &Request) -> Result<Option<TreePlan>, Error> {
        let plan = |unpacking| TreePlan::new(&self.metainfo, self.layout(), unpacking);
        let plan = request.unpack.as_ref().map(plan).transpose();
        plan.map_err(|error| request.origin.declared(error))
    }

    /// Checks that each `sha256` pin names a selected file. Without this check, a wrong path would
    /// be found only after the download.
    ///
    /// # Errors
    /// [`ErrorKind::Manifest`].
    pub fn check_pins(&self, request: &Request) -> Result<(), Error> {
        let mut unknown = request.sha256.clone();
        let mut paths = self.selected_paths();
        while let Some(path) = if unknown.is_empty() { None } else { paths.next() } {
            unknown.remove(&path);
        }
        let Some(path) = unknown.keys().next() else { return Ok(()) };
        let what = format!("`sha256` pins `{path}`, which is not among the selected files");
        let roots = self.metainfo.root_names();
        let below = roots.iter().find_map(|root| below_root(path, root));
        let meant = below.filter(|below| self.selected_paths().any(|path| path == *below));
        Err(request.origin.declared(
            Error::new(ErrorKind::Manifest, what).did_you_mean(meant).help(
                "use the path below the torrent's own directory, or the name of a single file",
            ),
        ))
    }

    /// The paths of the selected files, in the form that globs and pins use; symbolic links are
    /// left out.
    fn selected_paths(&self) -> impl Iterator<Item = String> + '_ {
        let files = self.selection.files().iter();
        let files = files.filter_map(|index| self.metainfo.files.get(*index as usize));
        files.filter(|file| !file.is_link()).map(|file| self.metainfo.display_path(file))
    }
}

/// The places from which a torrent and its data may be fetched.
pub struct Network {
    /// `None` when offline.
    #[cfg(feature = "fetch")]
    pub client: Option<Client>,
    pub mirrors: Vec<(NamedBy, Mirror)>,
}

impl Network {
    /// # Errors
    /// Invalid proxies, certificates or mirrors in the settings.
    pub fn open(session: &Session<'_>, request: &Request) -> Result<Network, Error> {
        let settings = session.settings;
        #[cfg(feature = "fetch")]
        let client = Network::client(session, request)?;
        Ok(Network {
            #[cfg(feature = "fetch")]
            client,
            mirrors: plan::metainfo_mirrors(request, settings)?,
        })
    }

    #[cfg(feature = "fetch")]
    fn client(session: &Session<'_>, request: &Request) -> Result<Option<Client>, Error> {
        let settings = session.settings;
        let client = if settings.offline { None } else { Some(Client::new(settings)?) };
        let mut client = client.map(|it| it.naming(plan::user_places(request, settings)));
        if !session.foreign && request.origin.named_by() == NamedBy::User {
            client = client.map(|it| it.with_credentials(settings));
        }
        Ok(client)
    }
}

/// Resolves a request if its torrent is on this machine, otherwise returns `None`.
///
/// # Errors
/// [`ErrorKind::Metainfo`] and [`ErrorKind::Manifest`], with the manifest line that declares the
/// request.
pub fn local(session: &Session<'_>, request: &Request) -> Result<Option<Resolved>, Error> {
    let found = at_hand(session, request).map_err(|error| request.origin.declared(error))?;
    found.map(|located| located.select(request)).transpose()
}

/// Resolves a request. If its torrent is not on this machine, looks it up over `network`, or over a
/// newly opened one if that is `None`.
///
/// # Errors
/// As [`locate`] and [`Located::select`], with the manifest line that declares the request.
pub fn resolve(
    session: &Session<'_>,
    request: &Request,
    network: Option<&Network>,
) -> Result<Resolved, Error> {
    let found = locate(session, request, network);
    found.map_err(|error| request.origin.declared(error))?.select(request)
}

/// Finds the torrent that a request means, on this machine or over the network.
///
/// # Errors
/// [`ErrorKind::Metainfo`], [`ErrorKind::Network`] or [`ErrorKind::Offline`], with the result of
/// each place that was tried; as [`Network::open`].
pub fn locate(
    session: &Session<'_>,
    request: &Request,
    network: Option<&Network>,
) -> Result<Located, Error> {
    if let Some(found) = at_hand(session, request)? {
        return Ok(found);
    }
    match network {
        Some(network) => find(session, request, network),
        None => find(session, request, &Network::open(session, request)?),
    }
}

#[cfg(feature = "fetch")]
use remote::find;

/// Looks in mirrors that are directories. Without the feature `fetch`, nothing is asked over the
/// network.
#[cfg(not(feature = "fetch"))]
fn find(session: &Session<'_>, request: &Request, network: &Network) -> Result<Located, Error> {
    // `manifest` rejects requests that have neither.
    let Some(infohash) = request.identity.infohash else {
        return Err(Error::new(ErrorKind::Manifest, "neither `infohash` nor `torrent` is given"));
    };
    let mut error =
        Error::new(ErrorKind::Offline, format!("the torrent {infohash} is not on this machine"));
    for (by, mirror) in &network.mirrors {
        let Mirror::Directory(directory) = mirror else { continue };
        let (place, bytes) = local::in_mirror(directory, infohash);
        let found = bytes.and_then(|bytes| {
            let found = Metainfo::parse(&bytes).and_then(|it| it.expect(infohash));
            let mut metainfo =
                found.map_err(|error| local::TorrentFault::Unusable(error.reason()))?;
            metainfo.origin = crate::origin::TorrentOrigin::Mirror(*by);
            Ok(Located::new(metainfo, bytes))
        });
        match found {
            Ok(found) => return Ok(found),
            Err(why) => error = error.why(format!("{}: {why}", place.display())),
        }
    }
    let _ = session;
    Err(cannot_fetch(request, error))
}

/// Adds why nothing is fetched, and the command that would fetch.
#[cfg(not(feature = "fetch"))]
pub fn cannot_fetch(request: &Request, error: Error) -> Error {
    error
        .why("academictorrents was built without its feature `fetch`")
        .help(match request.origin.is_declared() {
            true => "to fetch it: cargo academictorrents fetch\n(after: cargo install cargo-academictorrents)",
            false => "build academictorrents with its default features",
        })
        .help("or add a directory that contains it to ACADEMICTORRENTS_LOAD_PATH or `mirrors`")
}
