//! Datasets in the store, as if the user had named them, for `--stored`.

use std::collections::HashSet;

use academictorrents::engine::manifest::{CallOptions, Identity, StoreKind};
use academictorrents::engine::plan::Selection;
use academictorrents::engine::storage::Store;
use academictorrents::engine::torrent::Magnet;
use academictorrents::engine::torrent::Metainfo;
use academictorrents::{Error, ErrorKind, Infohash};

use crate::dataset_spec::{DatasetSpec, call_options, of};

/// Returns how to specify the dataset with this id in the store.
///
/// # Errors
/// The dataset cannot be identified.
pub(super) fn asked(store: &Store, id: &str) -> Result<DatasetSpec, Error> {
    let odd = |why: &str| {
        Error::new(ErrorKind::Metainfo, format!("{id} in the store cannot be verified")).why(why)
    };
    let infohash: Infohash = id.get(..40).unwrap_or_default().parse()?;
    let mut identity = Identity::from(infohash);
    let mut rename = None;
    let metainfo = store.torrent(infohash).and_then(|bytes| Metainfo::parse(&bytes).ok());
    let metainfo = metainfo.filter(|metainfo| metainfo.infohash == infohash);
    let name = metainfo.as_ref().map_or_else(|| id.to_owned(), Metainfo::shown_name);
    if id.len() > 40 {
        let fetch = "fetch it again with the crate that declares it, or remove its directory";
        let Some(metainfo) = metainfo else {
            return Err(odd("its .torrent is missing").help(fetch));
        };
        let paths: HashSet<_> = store.stored_paths(id).into_iter().collect();
        // It may be stored under another name.
        let name = paths.iter().next().and_then(|path| path.iter().next()?.to_str());
        rename = name.map(str::to_owned).filter(|name| name.as_bytes() != metainfo.name);
        let metainfo = metainfo.renamed(rename.as_deref());
        let is_in = |file| paths.contains(&metainfo.layout_path(file));
        let mut chosen: Vec<(u32, u32)> = Vec::new();
        for (index, file) in (0_u32..).zip(metainfo.files.iter()) {
            match chosen.last_mut() {
                // A torrent may have 100,000 files, so adjacent files form one range.
                Some((_, last)) if *last + 1 == index && (!file.is_listed() || is_in(file)) => {
                    *last = index;
                }
                _ if file.is_listed() && is_in(file) => chosen.push((index, index)),
                _ => {}
            }
        }
        if chosen.is_empty() || Selection::of(&metainfo, &[], &chosen)?.id() != id {
            let why =
                "its stamp is missing, and the data alone does not show which files were selected";
            return Err(odd(why).help(fetch));
        }
        let link = format!("magnet:?xt=urn:btih:{infohash}");
        identity.magnet = Some(Magnet { files: chosen, ..Magnet::parse(&link)? });
    }
    // An invalid name is not passed on as the user's choice.
    of(&name, identity, &CallOptions { rename, ..call_options() }, StoreKind::Shared)
}
