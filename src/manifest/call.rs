//! What a program asks for by a call: the manifest's values, without a manifest.

use std::collections::BTreeMap;
use std::path::Path;

use super::findings::Refusal;
use super::{DatasetName, Identity, Request, StoreKind, checks};
use crate::context::SourceSet;
use crate::error::Error;

/// What a limit is called on a command line.
pub const MAX_SIZE_OPTION: &str = "`--max-size`";

/// The values of a call, as they were given.
#[derive(Clone, Debug, Default)]
pub struct CallOptions {
    pub files: Vec<String>,
    pub web_seeds: Vec<String>,
    pub trackers: Vec<String>,
    pub peers: Vec<String>,
    pub mirrors: Vec<String>,
    /// A file's path in the torrent, and its digest in hexadecimal.
    pub sha256: Vec<(String, String)>,
    /// They are options of a command line, and errors say `--peer` where they would say `Get::peer`.
    pub on_command_line: bool,
}

impl CallOptions {
    fn refused(&self, method: &str, why: Refusal) -> Error {
        let said = match self.on_command_line {
            true => format!("--{}", method.replace('_', "-")),
            false => format!("Get::{method}"),
        };
        why.error(format!("the value of `{said}` cannot be used"))
    }

    fn each<T>(
        &self,
        method: &str,
        texts: &[String],
        check: impl Fn(&str) -> Result<T, Refusal>,
    ) -> Result<Vec<T>, Error> {
        texts.iter().map(|text| check(text).map_err(|why| self.refused(method, why))).collect()
    }
}

impl Request {
    /// What a call asks for: from all sources, with no limit but the environment's. `id` is for messages. A
    /// relative mirror begins at the process's directory.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Manifest`] for the first value that cannot be used.
    pub fn of_call(
        id: &str,
        identity: Identity,
        store: StoreKind,
        options: &CallOptions,
    ) -> Result<Request, Error> {
        let here =
            std::path::absolute(".").map_err(|why| Error::disk("find", Path::new("."), &why))?;
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
            web_seeds: options.each("web_seed", &options.web_seeds, checks::web_seed)?,
            trackers: options.each("tracker", &options.trackers, checks::tracker)?,
            peers: options.each("peer", &options.peers, checks::peer)?,
            mirrors: options
                .each("mirror", &options.mirrors, |text| checks::mirror(text, &here))?,
            sources: SourceSet::ALL,
            max_size_bytes: Some(u64::MAX),
            max_size_by: Some(match options.on_command_line {
                true => MAX_SIZE_OPTION,
                false => "`Get::max_size`",
            }),
            required_features: Vec::new(),
            sha256,
            store,
            optional: false,
            hash_again: false,
            line: None,
        })
    }
}
