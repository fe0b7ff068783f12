//! `unpack`: what becomes of a dataset's archives.

use toml::de::{DeTable, DeValue};

use super::checks;
use super::file_glob::FileGlob;
use super::findings::Refusal;
use super::keys::{KeyValue, Reader};
#[cfg(feature = "unpack")]
use crate::hash::{Sha1, hex};
use crate::suggest::nearest;

/// What is unpacked of a dataset's archives, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unpacking {
    /// Globs over the torrent's files: only archives that one of them covers and none excludes; empty for all.
    pub archives: Vec<FileGlob>,
    /// The same, over the files of the tree.
    pub members: Vec<FileGlob>,
    /// So many components are dropped of each member's path.
    pub strip: u32,
    /// The archives go once they are unpacked, where no project is known to keep them.
    pub discards_archive: bool,
    /// `None` for ten times what may be downloaded.
    pub max_size_bytes: Option<u64>,
}

/// What does unpacking.
pub(super) const FEATURE_LINE: &str =
    "academictorrents = { version = \"0.1\", features = [\"unpack\"] }";

/// More components than a path may have.
const MAX_STRIP: u64 = 64;

const KEYS: [&str; 5] = ["archives", "members", "strip", "keep-archive", "max-size"];

impl Unpacking {
    /// Refuses what this build of the crate cannot do.
    pub(super) fn check_feature() -> Result<(), Refusal> {
        match cfg!(feature = "unpack") {
            true => Ok(()),
            false => Err(Refusal::new("academictorrents was built without its feature `unpack`")
                .help(format!("write this line under [build-dependencies]:\n{FEATURE_LINE}"))),
        }
    }

    /// The store's name for the tree of a dataset that the store calls so. Where the archives come from, how large the tree may be and
    /// whether they are kept does not change it.
    #[cfg(feature = "unpack")]
    pub fn tree_id(&self, dataset: &str) -> String {
        // To be raised when the same archives give another tree.
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
    /// `true`, `false`, or a table.
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
    let read = u64::from_str_radix(number.as_str(), number.radix()).ok();
    read.filter(|strip| *strip <= MAX_STRIP).and_then(|strip| u32::try_from(strip).ok()).ok_or_else(
        || Refusal::new(format!("{} is not a number from 0 to {MAX_STRIP}", number.as_str())),
    )
}
