//! `unpack`: how a dataset's archives are unpacked.

use toml::de::{DeTable, DeValue};

use super::checks;
use super::file_glob::FileGlob;
use super::findings::Refusal;
use super::keys::{KeyValue, Reader};
#[cfg(feature = "unpack")]
use crate::hash::{Sha1, hex};
use crate::size;
use crate::suggest::nearest;

/// What is unpacked of a dataset's archives, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unpacking {
    /// Globs for the torrent's files: selects archives that match one of them and no excluding one;
    /// empty for all.
    pub archives: Vec<FileGlob>,
    /// The same for the unpacked files.
    pub members: Vec<FileGlob>,
    /// Number of leading components to remove from each member's path.
    pub strip: u32,
    /// Whether to remove the archives after unpacking, unless a known project needs them.
    pub discards_archive: bool,
    /// `None` for ten times the download limit.
    pub max_size_bytes: Option<u64>,
}

/// The dependency line that enables unpacking.
pub(super) const FEATURE_LINE: &str =
    "academictorrents = { version = \"0.1\", features = [\"unpack\"] }";

/// More components than a path can have.
const MAX_STRIP: u64 = 64;

const KEYS: [&str; 5] = ["archives", "members", "strip", "keep-archive", "max-size"];

impl Unpacking {
    /// Fails if this build of the crate cannot unpack.
    pub(super) fn check_feature() -> Result<(), Refusal> {
        match cfg!(feature = "unpack") {
            true => Ok(()),
            false => Err(Refusal::new("academictorrents was built without its feature `unpack`")
                .help(format!("enable it in Cargo.toml, under [build-dependencies]; for example:\n{FEATURE_LINE}"))),
        }
    }

    /// The store's name for the unpacked tree of a dataset, whose own name in the store is
    /// `dataset`. It does not depend on the archives' source, the size limit, or whether the
    /// archives are kept.
    #[cfg(feature = "unpack")]
    pub fn tree_id(&self, dataset: &str) -> String {
        // Must be incremented when the same archives result in a different tree.
        let mut text = "unpack 1".to_owned();
        for globs in [&self.archives, &self.members] {
            let mut globs: Vec<_> = globs.iter().map(ToString::to_string).collect();
            globs.sort();
            globs.dedup();
            text.push('\0');
            globs.iter().for_each(|glob| text.extend([glob, "\0"]));
        }
        text.push_str(&self.strip.to_string());
        let digest = Sha1::digest(text.as_bytes());
        format!("{dataset}+{}", hex(&digest[..8]))
    }
}

impl Reader<'_> {
    /// Reads `true`, `false`, or a table.
    pub(super) fn unpacking(&mut self, entry: &KeyValue<'_>) -> Option<Option<Unpacking>> {
        let read = match entry.value.get_ref() {
            DeValue::Boolean(false) => return Some(None),
            DeValue::Boolean(true) => Some(Unpacking::default()),
            DeValue::Table(table) => Some(self.unpacking_table(entry, table)),
            other => self.kept(entry, Err(checks::mistyped("true, false or a table", other))),
        };
        let may = self.kept(entry, Unpacking::check_feature());
        read.filter(|_| may.is_some()).map(Some)
    }

    fn unpacking_table(&mut self, entry: &KeyValue<'_>, table: &DeTable<'_>) -> Unpacking {
        let mut unpacking = Unpacking::default();
        for (key, value) in table.iter() {
            let (at, name) = (key.span().start, key.get_ref().as_ref());
            let key = format!("unpack.{name}");
            let entry = KeyValue { key: &key, value, owner: entry.owner };
            match name {
                "archives" => {
                    unpacking.archives = self.list(&entry, checks::glob).unwrap_or_default();
                }
                "members" => {
                    unpacking.members = self.list(&entry, checks::glob).unwrap_or_default();
                }
                "strip" => {
                    let read = strip(value.get_ref());
                    unpacking.strip = self.kept(&entry, read).unwrap_or_default();
                }
                "keep-archive" => {
                    let read = value.get_ref().as_bool();
                    let read =
                        read.ok_or_else(|| checks::mistyped("true or false", value.get_ref()));
                    unpacking.discards_archive = !self.kept(&entry, read).unwrap_or(true);
                }
                "max-size" => {
                    let read = checks::max_size(value.get_ref());
                    unpacking.max_size_bytes = self.kept(&entry, read);
                }
                _ => {
                    let refusal = match nearest(name, KEYS) {
                        Some(near) => Refusal::new("").help(format!("did you mean `{near}`?")),
                        None => Refusal::new(format!("the keys are {}", KEYS.join(", "))),
                    };
                    let name = checks::printable(name);
                    let what = format!("unknown key `{name}` in `unpack` of {}", entry.owner);
                    self.findings.add(at, &what, refusal);
                }
            }
        }
        unpacking
    }
}

fn strip(value: &DeValue<'_>) -> Result<u32, Refusal> {
    let DeValue::Integer(number) = value else {
        return Err(checks::mistyped("a number of components", value));
    };
    let read = size::integer(number);
    read.filter(|strip| *strip <= MAX_STRIP)
        .and_then(|strip| u32::try_from(strip).ok())
        .ok_or_else(|| Refusal::new(format!("{number} is not a number from 0 to {MAX_STRIP}")))
}
