//! Requests of a program's calls: the same values as in a manifest, without a manifest.

use std::collections::BTreeMap;
use std::path::Path;

use super::findings::Refusal;
use super::{DatasetName, Identity, Request, StoreKind, Unpacking, absolute, checks};
use crate::error::Error;
use crate::origin::Origin;
use crate::url::Url;

/// The unpacking options of a call, not validated.
#[derive(Clone, Debug, Default)]
pub struct UnpackOptions {
    pub archives: Vec<String>,
    pub members: Vec<String>,
    pub strip: u32,
    pub discards_archive: bool,
    pub max_size_bytes: Option<u64>,
}

/// The options of a call, not validated.
#[derive(Clone, Debug, Default)]
pub struct CallOptions {
    pub files: Vec<String>,
    pub rename: Option<String>,
    pub web_seeds: Vec<Url>,
    pub trackers: Vec<Url>,
    pub peers: Vec<String>,
    pub mirrors: Vec<Url>,
    pub max_size_bytes: Option<u64>,
    /// Pairs of a file's path in the torrent and its digest in hexadecimal.
    pub sha256: Vec<(String, String)>,
    /// What to unpack; `None` for nothing.
    pub unpack: Option<UnpackOptions>,
    /// Determines whether errors name the method or the command-line option.
    pub origin: Origin,
}

impl CallOptions {
    fn refused(&self, method: &str, why: Refusal) -> Error {
        why.error(format!("invalid value of {}", self.origin.setter(method)))
    }

    fn unpacking(&self) -> Result<Option<Unpacking>, Error> {
        let Some(unpack) = &self.unpack else { return Ok(None) };
        Unpacking::check_feature().map_err(|why| self.refused("unpack", why))?;
        Ok(Some(Unpacking {
            archives: self.each("unpack", &unpack.archives, checks::glob)?,
            members: self.each("unpack", &unpack.members, checks::glob)?,
            strip: unpack.strip,
            discards_archive: unpack.discards_archive,
            max_size_bytes: unpack.max_size_bytes,
        }))
    }

    fn each<T>(
        &self,
        method: &str,
        texts: &[impl AsRef<str>],
        check: impl Fn(&str) -> Result<T, Refusal>,
    ) -> Result<Vec<T>, Error> {
        texts
            .iter()
            .map(|text| check(text.as_ref()).map_err(|why| self.refused(method, why)))
            .collect()
    }
}

fn exposed(urls: &[Url]) -> Vec<&str> {
    urls.iter().map(Url::exposed).collect()
}

impl Request {
    /// Creates the request of a call. It allows all kinds of sources. Unless `options` sets a size
    /// limit, only the environment's applies. `id` is for messages. Relative mirrors start at the
    /// current directory.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Manifest`] for the first invalid value.
    pub fn of_call(
        id: &str,
        identity: Identity,
        store: StoreKind,
        options: &CallOptions,
    ) -> Result<Request, Error> {
        let here = absolute(Path::new("."))?;
        let mut sha256 = BTreeMap::new();
        for (file, digest) in &options.sha256 {
            let refused = |why| options.refused("sha256", why);
            let file = checks::torrent_path(file).map_err(refused)?;
            let pin = checks::sha256(digest).map_err(refused)?;
            if sha256.insert(file.clone(), pin).is_some_and(|before| before != pin) {
                let why = Refusal::new(format!("`{file}` has two different digests"));
                return Err(refused(why));
            }
        }
        Ok(Request {
            name: DatasetName(id.to_owned()),
            identity,
            files: options.each("files", &options.files, checks::glob)?,
            rename: options.each("rename", options.rename.as_slice(), checks::rename)?.pop(),
            web_seeds: options.each("web_seed", &exposed(&options.web_seeds), checks::web_seed)?,
            trackers: options.each("tracker", &exposed(&options.trackers), checks::tracker)?,
            peers: options.each("peer", &options.peers, checks::peer)?,
            mirrors: options
                .each("mirror", &exposed(&options.mirrors), |text| checks::mirror(text, &here))?,
            max_size_bytes: options.max_size_bytes.or(Some(u64::MAX)),
            sha256,
            store,
            unpack: options.unpacking()?,
            origin: options.origin.clone(),
            ..Request::default()
        })
    }
}
