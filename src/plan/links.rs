//! Where the symbolic links of a selection lead (BEP 47).
//!
//! A torrent gives a link's target as components below its root. Other links that it passes through are resolved here, so
//! that what is left is a selected file or directory. The text that is written to disk is computed from that, and never
//! the torrent's own.

use std::collections::HashMap;
use std::path::PathBuf;

use crate::error::{Error, ErrorKind, printable};
use crate::torrent::metainfo::{Components, FileKind, Metainfo};

/// A link that leads through more links than this leads nowhere, as in an operating system.
const MAX_STEPS: usize = 40;

/// As many as a path of a torrent may have.
const MAX_TARGET_COMPONENTS: usize = 64;

/// More than any dataset has. Each may lead to a path of 2 KiB, however short the link is.
const MAX_LINKS: usize = 10_000;

/// A selected link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelectedLink {
    /// Index in [`Metainfo::files`].
    pub torrent_file: u32,
    /// What it leads to, below the directory that holds the torrent's own layout.
    pub target: PathBuf,
    /// The same, relative to the link's directory: what is written to disk.
    pub text: PathBuf,
}

/// Resolves the links among the selected files, none of which is there twice.
///
/// # Errors
/// [`ErrorKind::Metainfo`] for a link that leads to nothing that is selected, or to a directory in which another link leads to a
/// directory: then following them may never end, or takes too long; or where the platform has none.
pub fn resolve(metainfo: &Metainfo, selected: &[u32]) -> Result<Vec<SelectedLink>, Error> {
    let is_link = |index: &&u32| metainfo.files[**index as usize].is_link();
    match selected.iter().filter(is_link).count() {
        0 => return Ok(Vec::new()),
        1..=MAX_LINKS => {}
        links => {
            let what = format!("the torrent has {links} symbolic links");
            return Err(Error::new(ErrorKind::Metainfo, what)
                .why(format!("at most {MAX_LINKS} are created"))
                .help("leave some out: `files` takes globs of the files that you need"));
        }
    }
    let path = |index: &u32| metainfo.components(&metainfo.files[*index as usize]);
    let mut entries: Vec<_> = selected.iter().map(|index| (path(index), *index)).collect();
    entries.sort();
    let tree = Tree { metainfo, entries };
    let refused = |index: u32, why: String| {
        let link = printable(&metainfo.display_path(&metainfo.files[index as usize]));
        Error::new(ErrorKind::Metainfo, format!("the symbolic link `{link}` cannot be created"))
            .why(why)
            .help("leave it out: `files` takes globs of the files that you need")
    };
    let (mut known, mut links, mut to_directories) = (ResolvedEnds::new(), Vec::new(), Vec::new());
    for index in selected.iter().filter(is_link) {
        let found = tree.link(*index, &mut known);
        let (link, end) = found.map_err(|fault| refused(*index, tree.why(*index, fault)))?;
        links.push(link);
        if end.is_directory {
            to_directories.push((path(index), *index, end));
        }
    }
    // Whoever follows links must come to an end, and soon.
    to_directories.sort_by_key(|(path, ..)| *path);
    for (_, index, end) in &to_directories {
        let target = Components::of(&end.path);
        let first = to_directories.partition_point(|(path, ..)| *path < target);
        if let Some((below, ..)) =
            to_directories.get(first).filter(|(path, ..)| path.is_below(target))
        {
            let why = format!(
                "it leads to the directory `{}`, in which `{}` is a symbolic link to a directory as well",
                target.joined().escape_ascii(),
                below.joined().escape_ascii()
            );
            return Err(refused(*index, why));
        }
    }
    Ok(links)
}

/// The selected files and links, sorted by path. None of them is below another.
struct Tree<'a> {
    metainfo: &'a Metainfo,
    entries: Vec<(Components<'a>, u32)>,
}

/// What is at a path.
enum PathEntry {
    Directory,
    File,
    /// The path is that of a link, or leads through it: its index in [`Metainfo::files`], and the bytes of its own path.
    Link(u32, usize),
    Nothing,
}

/// Where a link leads in the end: a path without links in it, encoded as [`Components`] are.
#[derive(Clone, Debug)]
struct End {
    path: Vec<u8>,
    is_directory: bool,
    /// Links on the way, the first one included.
    steps: usize,
}

/// The ends of links, by their index in [`Metainfo::files`]; `None` while one is looked for.
type ResolvedEnds = HashMap<u32, Option<End>>;

/// Why a link leads nowhere.
enum Fault {
    NoTarget,
    Circle,
    Outside,
    TooDeep,
    Missing(Vec<u8>),
    /// It leads to a directory that contains it.
    Above,
    Platform,
}

impl Tree<'_> {
    fn link(&self, index: u32, known: &mut ResolvedEnds) -> Result<(SelectedLink, End), Fault> {
        if cfg!(not(unix)) {
            return Err(Fault::Platform);
        }
        let end = self.end(index, known, 1)?;
        let own: Vec<&[u8]> =
            self.metainfo.components(&self.metainfo.files[index as usize]).collect();
        let target: Vec<&[u8]> = Components::of(&end.path).collect();
        let directory = own.get(..own.len().saturating_sub(1)).unwrap_or_default();
        let common = directory.iter().zip(&target).take_while(|(a, b)| a == b).count();
        if common == target.len() {
            return Err(Fault::Above);
        }
        let up = directory.len() - common;
        let down = target.get(common..).unwrap_or_default();
        let text: Vec<&[u8]> =
            std::iter::repeat_n(&b".."[..], up).chain(down.iter().copied()).collect();
        let name = self.metainfo.stored_name();
        let below: Vec<&[u8]> = std::iter::once(name).chain(target.iter().copied()).collect();
        let link = SelectedLink {
            torrent_file: index,
            target: crate::torrent::metainfo::os_path(below.join(&b'/')),
            text: crate::torrent::metainfo::os_path(text.join(&b'/')),
        };
        Ok((link, end))
    }

    /// Follows a link. Each is followed once, however many lead through it; `depth` of them are being followed.
    fn end(&self, link: u32, known: &mut ResolvedEnds, depth: usize) -> Result<End, Fault> {
        match known.get(&link) {
            Some(Some(end)) => return Ok(end.clone()),
            Some(None) => return Err(Fault::Circle),
            None if depth > MAX_STEPS => return Err(Fault::Circle),
            None => drop(known.insert(link, None)),
        }
        let target = self.target(link).ok_or(Fault::NoTarget)?;
        for (at, component) in target.enumerate() {
            if at == MAX_TARGET_COMPONENTS {
                return Err(Fault::TooDeep);
            }
            if matches!(component, b"" | b"." | b"..")
                || component.contains(&b'/')
                || component.contains(&0)
            {
                return Err(Fault::Outside);
            }
        }
        let (mut path, mut steps) = (target.encoded().to_vec(), 1);
        let is_directory = loop {
            let (link, length) = match self.entry(Components::of(&path)) {
                PathEntry::Directory => break true,
                PathEntry::File => break false,
                PathEntry::Link(link, length) => (link, length),
                PathEntry::Nothing => return Err(Fault::Missing(path)),
            };
            let next = self.end(link, known, depth + 1)?;
            steps += next.steps;
            if steps > MAX_STEPS {
                return Err(Fault::Circle);
            }
            path = [&next.path, path.get(length..).unwrap_or_default()].concat();
        };
        let end = End { path, is_directory, steps };
        known.insert(link, Some(end.clone()));
        Ok(end)
    }

    /// Where a link says that it leads.
    fn target(&self, link: u32) -> Option<Components<'_>> {
        match self.metainfo.files[link as usize].kind {
            FileKind::Link(target) => self.metainfo.link_target(target),
            FileKind::Data | FileKind::Directory | FileKind::Pad => None,
        }
    }

    fn why(&self, link: u32, fault: Fault) -> String {
        if let Fault::Platform = fault {
            return "this platform creates symbolic links for administrators only".into();
        }
        let Some(target) = self.target(link) else {
            return "the torrent does not say where it leads".into();
        };
        let said =
            format!("its target `{}`", printable(&target.joined().escape_ascii().to_string()));
        match fault {
            Fault::NoTarget => format!("{said} leads through a link that has no target"),
            Fault::Circle => format!("{said} leads back to itself"),
            Fault::Outside => format!("{said} leads out of the torrent"),
            Fault::TooDeep => {
                format!(
                    "its target, or that of a link on the way, has more than {MAX_TARGET_COMPONENTS} components"
                )
            }
            Fault::Missing(path) if self.exists(Components::of(&path)) => {
                format!("{said} is not selected")
            }
            Fault::Missing(_) => format!("{said} is not in the torrent"),
            Fault::Above | Fault::Platform => "it leads to a directory that contains it".into(),
        }
    }

    fn entry(&self, path: Components<'_>) -> PathEntry {
        let first = self.entries.partition_point(|(other, _)| *other < path);
        let is_link = |index: u32| self.metainfo.files[index as usize].is_link();
        match self.entries.get(first) {
            Some((other, index)) if *other == path => {
                return if is_link(*index) {
                    PathEntry::Link(*index, path.encoded().len())
                } else {
                    PathEntry::File
                };
            }
            Some((other, _)) if other.is_below(path) => return PathEntry::Directory,
            _ => {}
        }
        // What it is below comes just before it, since nothing else is below that.
        match first.checked_sub(1).and_then(|before| self.entries.get(before)) {
            Some((other, index)) if path.is_below(*other) && is_link(*index) => {
                PathEntry::Link(*index, other.encoded().len())
            }
            _ => PathEntry::Nothing,
        }
    }

    /// Whether the torrent has a file or directory there, selected or not.
    fn exists(&self, path: Components<'_>) -> bool {
        self.metainfo.files.iter().filter(|file| file.is_listed()).any(|file| {
            let other = self.metainfo.components(file);
            other == path || other.is_below(path) || (file.is_link() && path.is_below(other))
        })
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::super::tests::{linked, select};
    use super::*;

    #[test]
    fn links_to_directories_that_lead_on_to_directories_are_refused() {
        let check = |links: &[(&str, Option<&[&str]>)], said: &[&str]| {
            let metainfo = linked(&["a", "d/b", "d/e/c"], links);
            match select(&metainfo, &[]) {
                Ok(_) => assert!(said.is_empty(), "{links:?}"),
                Err(error) => {
                    let text = error.to_string();
                    assert!(!said.is_empty() && said.iter().all(|it| text.contains(it)), "{text}");
                }
            }
        };
        let as_well = "is a symbolic link to a directory as well";
        // In a circle, of two and of three.
        let circle: &[(&str, Option<&[&str]>)] = &[("d/l", Some(&["x"])), ("x/k", Some(&["d"]))];
        check(circle, &["`d/l`", "directory `x`", "`x/k`", as_well]);
        check(
            &[("d/l", Some(&["x"])), ("x/k", Some(&["y"])), ("y/z/k", Some(&["d"]))],
            &["`d/l`", as_well],
        );
        // Through another link.
        check(&[("d/l", Some(&["m"])), ("m", Some(&["x"])), ("x/k", Some(&["d"]))], &[as_well]);
        // It would come to an end, after as many ways as one likes.
        check(&[("x/k", Some(&["y"])), ("y/l", Some(&["d"]))], &["`x/k`", "`y/l`"]);
        // Nothing leads on.
        check(&[("k", Some(&["d"])), ("l", Some(&["k", "e"])), ("d2/x", Some(&["d"]))], &[]);
        check(&[("k", Some(&["d"])), ("d/l", Some(&["a"]))], &[]);
    }

    #[test]
    fn links_alone_are_not_a_dataset() {
        let metainfo = linked(&["a"], &[("k", Some(&["a"])), ("l", Some(&["k"]))]);
        let error = select(&metainfo, &["k", "l"]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Metainfo);
        assert!(
            error.to_string().contains("no regular file of the torrent is selected"),
            "{error}"
        );
    }

    /// A third of the links that there may be, each through as many others as there may be, deep below.
    #[test]
    fn many_links_through_many_others_take_no_time() {
        const LINKS: usize = MAX_LINKS / 3;
        let (mut deep, mut file) = (vec!["d"; 61], vec!["d"; 61]);
        file.push("f");
        let names: Vec<String> = (0..39).map(|at| format!("n{at}")).collect();
        let deeper = |base: &[&'static str], name: &[&str]| -> Vec<String> {
            base.iter().chain(name).map(|it| (*it).to_owned()).collect()
        };
        let check = |links: &[(String, Vec<String>)], file: &str| {
            let targets: Vec<Vec<&str>> =
                links.iter().map(|(_, to)| to.iter().map(|it| &**it).collect()).collect();
            let links: Vec<(&str, Option<&[&str]>)> =
                links.iter().zip(&targets).map(|((path, _), to)| (&**path, Some(&**to))).collect();
            let metainfo = linked(&[file], &links);
            // Without bounds it took minutes of a processor.
            select(&metainfo, &[])
        };
        // A chain, in which each leads to the next.
        let mut links: Vec<_> = (0..39)
            .map(|at| {
                let to = names.get(at + 1).map_or("f", |name| name);
                (deeper(&deep, &[&names[at]]).join("/"), deeper(&deep, &[to]))
            })
            .collect();
        links.extend((39..LINKS).map(|at| {
            (deeper(&deep, &[&format!("m{at}")]).join("/"), deeper(&deep, &[&names[0]]))
        }));
        let selection = check(&links, &file.join("/")).unwrap();
        assert!(selection.links().iter().all(|link| link.text.as_os_str() == "f"));
        // Directories, in each of which a link leads to the next one.
        deep.truncate(23);
        let mut links: Vec<_> = (0..38)
            .map(|at| {
                let to = names.get(at + 1).map_or("", |name| name);
                (deeper(&deep, &[&names[at], "b"]).join("/"), deeper(&deep, &[to]))
            })
            .collect();
        let through: Vec<&str> =
            std::iter::once(&*names[0]).chain(["b"; 38]).chain(["f"]).collect();
        links
            .extend((38..LINKS).map(|at| {
                (deeper(&deep, &[&format!("m{at}")]).join("/"), deeper(&deep, &through))
            }));
        let file = deeper(&deep, &[&names[38], "f"]).join("/");
        let error = check(&links, &file).unwrap_err().to_string();
        assert!(error.contains("is a symbolic link to a directory as well"), "{error}");
        // One more step than there may be.
        links.push((deeper(&deep, &["z"]).join("/"), deeper(&deep, &["m38"])));
        links.push((deeper(&deep, &["zz"]).join("/"), deeper(&deep, &["z"])));
        links.remove(100);
        links.remove(100);
        let error = check(&links, &file).unwrap_err().to_string();
        assert!(error.contains("leads back to itself"), "{error}");
    }
}
