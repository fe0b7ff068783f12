//! Maps each file of a torrent to its path in the tree: archives are replaced by what they contain,
//! and other files stay in place.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::format::{ENDINGS, Format, NameKind, kind_of};
use crate::error::{Error, ErrorKind, printable};
use crate::manifest::{FileGlob, Unpacking, is_meant};
use crate::plan::Layout;
use crate::torrent::metainfo::{Metainfo, Platform, check_storable_name};

/// The plan for a dataset's tree.
#[derive(Debug)]
pub struct TreePlan {
    /// Name of the root: a directory, or the only file of a torrent that is a single compressed
    /// file.
    pub root: Vec<u8>,
    /// The selected files' names for messages, in the torrent's order.
    pub names: Vec<String>,
    /// The same files.
    pub files: Vec<PlannedFile>,
    /// The torrent's own directories.
    pub folders: Vec<Vec<u8>>,
    /// The torrent's symbolic links, with their targets.
    pub links: Vec<(Vec<u8>, Vec<u8>)>,
}

/// A file of the torrent.
#[derive(Debug)]
pub struct PlannedFile {
    /// Path below the directory that contains the torrent's own layout.
    pub in_layout: PathBuf,
    /// Path in the tree below its root, with `/`; empty for the root itself.
    pub path: Vec<u8>,
    pub length: u64,
    /// `None` for a file that is not unpacked.
    pub format: Option<Format>,
}

impl TreePlan {
    /// Plans the tree of the selected files.
    ///
    /// # Errors
    /// [`ErrorKind::Manifest`] if there is nothing to unpack, or a glob matches no archive;
    /// [`ErrorKind::Archive`] for an unsupported archive, and for two files that would get the same
    /// path.
    pub fn new(
        metainfo: &Metainfo,
        layout: &Layout,
        unpacking: &Unpacking,
    ) -> Result<TreePlan, Error> {
        let globs = &unpacking.archives;
        let mut used = vec![false; globs.len()];
        let mut plan = TreePlan {
            root: metainfo.stored_name().to_vec(),
            names: Vec::new(),
            files: Vec::new(),
            folders: Vec::new(),
            links: Vec::new(),
        };
        let mut by_place = BTreeMap::new();
        for file in layout.files() {
            let torrent_file = metainfo.files.get(file.torrent_file as usize);
            let Some(torrent_file) = torrent_file else { continue };
            let name = metainfo.display_path(torrent_file);
            let kind = kind_of(base_name(&metainfo.named_path(torrent_file)));
            for (glob, used) in globs.iter().zip(&mut used) {
                *used |= kind != NameKind::Other && glob.covers(&name);
            }
            let kind = if is_meant(globs, &name) { kind } else { NameKind::Other };
            let path = metainfo.components(torrent_file).joined();
            let format = match kind {
                NameKind::Archive(format, _) => Some(format),
                NameKind::Other => None,
                NameKind::Unsupported(why) => return Err(unsupported(&name, why)),
            };
            let planned = PlannedFile {
                in_layout: file.path(),
                path: plan.place(metainfo, path, format),
                length: file.length(),
                format,
            };
            by_place.insert(planned.in_layout.clone(), planned.path.clone());
            plan.names.push(name);
            plan.files.push(planned);
        }
        plan.check_globs(unpacking, &used, &metainfo.root_names())?;
        check_storable_name(&plan.root, Platform::HERE).map_err(|why| {
            Error::new(ErrorKind::Archive, "the unpacked archive cannot be stored here")
                .why(why.to_string())
                .help("give the dataset another name on disk: `rename`")
        })?;
        plan.check_places()?;
        plan.folders = layout.folders().map(|path| below_root(&path)).collect();
        plan.links = layout
            .links()
            .map(|(path, link)| {
                let target = by_place.get(&link.target).cloned();
                (below_root(&path), target.unwrap_or_else(|| below_root(&link.target)))
            })
            .collect();
        Ok(plan)
    }

    /// Returns where a file is stored. The archive of a single-file torrent becomes the root, whose
    /// name loses its ending.
    fn place(&mut self, metainfo: &Metainfo, mut path: Vec<u8>, format: Option<Format>) -> Vec<u8> {
        if format.is_none() {
            return path;
        }
        let whole = if metainfo.multi { &mut path } else { &mut self.root };
        let directories = whole.len() - base_name(whole).len();
        if let NameKind::Archive(_, stem) = kind_of(base_name(whole)) {
            whole.truncate(directories + stem);
        }
        path
    }

    fn check_globs(
        &self,
        unpacking: &Unpacking,
        used: &[bool],
        roots: &[String],
    ) -> Result<(), Error> {
        let examples = || {
            let names: Vec<_> = self.names.iter().take(5).map(|name| printable(name)).collect();
            match self.names.len() {
                1 => format!("1 file is selected: {}", names.join(", ")),
                files => format!("{files} files are selected, among them: {}", names.join(", ")),
            }
        };
        if let Some((glob, _)) = unpacking.archives.iter().zip(used).find(|(_, used)| !**used) {
            let what = format!("`archives` of `unpack`: the glob `{glob}` matches no archive");
            let is_archive = |name: &String| kind_of(base_name(name.as_bytes())) != NameKind::Other;
            let covers = |glob: &FileGlob| {
                self.names.iter().any(|name| glob.covers(name) && is_archive(name))
            };
            let meant = glob.below(roots).into_iter().find(covers);
            return Err(Error::new(ErrorKind::Manifest, what).why(examples()).did_you_mean(meant));
        }
        if self.files.iter().all(|file| file.format.is_none()) {
            let what = "`unpack`: none of the selected files is an archive";
            let endings: Vec<_> = ENDINGS.iter().map(|(ending, _)| *ending).collect();
            return Err(Error::new(ErrorKind::Manifest, what)
                .why(examples())
                .why(format!("names of archives end in {}", endings.join(", ")))
                .help("remove `unpack`"));
        }
        Ok(())
    }

    /// Checks that no two files get the same path, and that none is stored below another's.
    fn check_places(&self) -> Result<(), Error> {
        let mut all: Vec<_> = self.files.iter().zip(&self.names).collect();
        // In this order a path is directly followed by the paths below it.
        all.sort_by(|(a, _), (b, _)| {
            a.path.split(|byte| *byte == b'/').cmp(b.path.split(|byte| *byte == b'/'))
        });
        let mut above: Option<(&PlannedFile, &String)> = None;
        for (file, name) in all {
            let is_below = |above: &PlannedFile| {
                let rest = file.path.strip_prefix(&above.path[..]);
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
            };
            if let Some((archive, other)) = above.filter(|(it, _)| is_below(it)) {
                let place = printable(&String::from_utf8_lossy(&archive.path));
                let [first, second] = match file.format.is_none() && archive.format.is_some() {
                    true => [other, name],
                    false => [name, other],
                };
                return Err(super::cannot_unpack(first)
                    .why(format!("it would be unpacked as `{place}`, which is also the path of `{}`", printable(second)))
                    .help("to leave one of them packed, use globs in `archives` of `unpack`; to leave it out, in `files`"));
            }
            above = Some((file, name));
        }
        Ok(())
    }

    /// Returns the size of all archives, in bytes.
    pub fn packed_bytes(&self) -> u64 {
        let archives = self.files.iter().filter(|file| file.format.is_some());
        archives.map(|file| file.length).fold(0, u64::saturating_add)
    }
}

fn unsupported(name: &str, why: &str) -> Error {
    super::cannot_unpack(name)
        .why(why)
        .help("to leave it packed, list the other archives in `archives` of `unpack`")
}

fn base_name(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or_default()
}

/// Returns a path of the layout without its first component, with `/`.
fn below_root(in_layout: &Path) -> Vec<u8> {
    let names: Vec<_> = in_layout.iter().skip(1).map(|name| name.as_encoded_bytes()).collect();
    names.join(&b'/')
}
