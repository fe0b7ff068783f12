//! Resolves the symbolic links of a selection (BEP 47), and of an archive.
//!
//! A torrent gives the target of a link as components below its root; some programs write them
//! relative to the link's directory instead, as on disk. Other links on the way are resolved here,
//! so that the result is a selected file or directory. The text written to disk is computed from the
//! result, and never taken from the torrent.

use std::collections::HashMap;
use std::path::PathBuf;

use crate::error::{Error, ErrorKind, printable};
use crate::torrent::metainfo::{Components, FileKind, Metainfo};

/// A link that passes through more links than this is an error, as in an operating system.
const MAX_STEPS: usize = 40;

/// The maximum number of components of a path in a torrent.
const MAX_TARGET_COMPONENTS: usize = 64;

/// More than any real dataset has. Each link can have a target of 2 KiB, however short the link is.
const MAX_LINKS: usize = 10_000;

/// A selected link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelectedLink {
    /// Index in [`Metainfo::files`].
    pub torrent_file: u32,
    /// The target, below the directory that contains the torrent's own layout.
    pub target: PathBuf,
    /// The target relative to the link's directory, as written to disk.
    pub text: PathBuf,
}

/// Resolves the links among the selected files, which must have distinct paths.
///
/// # Errors
/// [`ErrorKind::Metainfo`] if the platform does not support links, or for a link that leads to
/// nothing that is selected, or to a directory that contains another link to a directory: following
/// such links may take very long or never end.
pub fn resolve(metainfo: &Metainfo, selected: &[u32]) -> Result<Vec<SelectedLink>, Error> {
    let file = |index: u32| &metainfo.files[index as usize];
    let is_link = |index: &u32| file(*index).is_link();
    let selected_links: Vec<u32> = selected.iter().copied().filter(is_link).collect();
    if selected_links.is_empty() {
        return Ok(Vec::new());
    }
    let entries = selected.iter().map(|index| (metainfo.components(file(*index)), *index));
    let stated = |index: u32| match file(index).kind {
        FileKind::Link(target) => Some(metainfo.link_target(target)),
        FileKind::Data | FileKind::Directory | FileKind::Pad => None,
    };
    let entries: Vec<_> = entries.collect();
    let relative = match selected_links.len() {
        ..=MAX_LINKS => relative_targets(metainfo, &selected_links, &entries, &stated),
        _ => HashMap::new(),
    };
    let target = |index: u32| match relative.get(&index) {
        Some(target) => Some(Some(Components::of(target))),
        None => stated(index),
    };
    let tree = LinkTree::new(entries, &target);
    let ends = match cfg!(unix) {
        true => tree.ends(&selected_links),
        false => Err((selected_links[0], LinkFault::Platform)),
    };
    let ends = ends.map_err(|(index, fault)| {
        let link = printable(&metainfo.display_path(file(index)));
        let why = match &fault {
            LinkFault::TooMany(links) => {
                return Error::new(
                    ErrorKind::Metainfo,
                    format!("the torrent has {links} symbolic links"),
                )
                .why(format!("at most {MAX_LINKS} are created"));
            }
            LinkFault::Missing(path) if exists(metainfo, Components::of(path)) => {
                format!("{} is not selected", tree.said(index))
            }
            LinkFault::Missing(_) => format!("{} is not in the torrent", tree.said(index)),
            LinkFault::Outside => format!("{} leads out of the torrent", tree.said(index)),
            _ => tree.why(index, &fault),
        };
        Error::new(ErrorKind::Metainfo, format!("the symbolic link `{link}` cannot be created"))
            .why(why)
    });
    let help = "leave it out: `files` takes globs of the files that you need";
    let many = "leave some out: `files` takes globs of the files that you need";
    let ends = ends
        .map_err(|error| error.help(if selected_links.len() > MAX_LINKS { many } else { help }))?;
    let link = |end: LinkEnd| SelectedLink {
        torrent_file: end.link,
        target: metainfo.path_of(Components::of(&end.target)),
        text: end.text,
    };
    Ok(ends.into_iter().map(link).collect())
}

/// Returns the targets of the links that state one relative to their own directory: it has `..`, or
/// the torrent has nothing there below its root. libtorrent 1 writes what `readlink` returns.
fn relative_targets<'a>(
    metainfo: &'a Metainfo,
    links: &[u32],
    selected: &[(Components<'a>, u32)],
    stated: &'a dyn Fn(u32) -> Option<Option<Components<'a>>>,
) -> HashMap<u32, Vec<u8>> {
    let is_at =
        |tree: &LinkTree<'_>, path: Components<'_>| !matches!(tree.entry(path), PathEntry::Nothing);
    let has_up = |target: Components<'_>| target.into_iter().any(|it| it == b"..");
    let tree = LinkTree::new(selected.to_vec(), stated);
    let odd: Vec<(u32, Components<'a>)> = links
        .iter()
        .filter_map(|index| Some((*index, stated(*index)??)))
        // Longer ones are refused later.
        .filter(|(_, target)| target.into_iter().nth(MAX_TARGET_COMPONENTS).is_none())
        .filter(|(_, target)| has_up(*target) || !is_at(&tree, *target))
        .collect();
    if odd.is_empty() {
        return HashMap::new();
    }
    let listed = (0..).zip(metainfo.files.iter()).filter(|(_, file)| file.is_listed());
    let all = listed.map(|(index, file)| (metainfo.components(file), index)).collect();
    let all = LinkTree::new(all, stated);
    let resolved = |(index, target): (u32, Components<'a>)| {
        let mut path: Vec<_> = metainfo.components(&metainfo.files[index as usize]).collect();
        path.pop();
        for component in target {
            match component {
                // Behind a link, `..` is not the parent of the link.
                b".."
                    if matches!(
                        all.entry(Components::of(&Components::encode(&path))),
                        PathEntry::Link(..)
                    ) =>
                {
                    return None;
                }
                b".." => drop(path.pop()?),
                component => path.push(component),
            }
        }
        let path = Components::encode(&path);
        let is_relative =
            has_up(target) || (!is_at(&all, target) && is_at(&all, Components::of(&path)));
        is_relative.then_some((index, path))
    };
    odd.into_iter().filter_map(resolved).collect()
}

/// Whether the torrent has a file or directory at this path, selected or not.
fn exists(metainfo: &Metainfo, path: Components<'_>) -> bool {
    metainfo.files.iter().filter(|file| file.is_listed()).any(|file| {
        let other = metainfo.components(file);
        other == path || other.is_below(path) || (file.is_link() && path.is_below(other))
    })
}

/// The files and links of a torrent or an archive. No entry is below another.
pub struct LinkTree<'a> {
    /// Sorted by path, each with its index.
    entries: Vec<(Components<'a>, u32)>,
    /// Returns a link's target from the root down, or `Some(None)` if the link has none; `None` if
    /// the entry is not a link.
    target: &'a dyn Fn(u32) -> Option<Option<Components<'a>>>,
}

/// The final target of a link.
#[derive(Debug)]
pub struct LinkEnd {
    /// The link's index.
    pub link: u32,
    /// A path from the root down that contains no links, encoded as [`Components`].
    pub target: Vec<u8>,
    /// The target relative to the link's directory, as written to disk.
    pub text: PathBuf,
}

/// What is at a path.
enum PathEntry {
    Directory,
    File,
    /// The path is that of a link, or leads through one: the link's index, and the encoded length
    /// of its own path.
    Link(u32, usize),
    Nothing,
}

/// The final target of a link: a path that contains no links, encoded as [`Components`].
#[derive(Clone, Debug)]
struct End {
    path: Vec<u8>,
    is_directory: bool,
    /// Number of links on the way, including the first.
    steps: usize,
}

/// The final targets by link index; `None` while one is being resolved.
type ResolvedEnds = HashMap<u32, Option<End>>;

/// Why a link cannot be created.
#[derive(Debug)]
pub enum LinkFault {
    /// The number of links exceeds the limit.
    TooMany(usize),
    NoTarget,
    Circle,
    Outside,
    TooDeep,
    Missing(Vec<u8>),
    /// It leads to a directory that contains it.
    Above,
    /// It leads to a directory that contains another link to a directory.
    ToDirectory {
        directory: Vec<u8>,
        link: Vec<u8>,
    },
    Platform,
}

impl<'a> LinkTree<'a> {
    pub fn new(
        mut entries: Vec<(Components<'a>, u32)>,
        target: &'a dyn Fn(u32) -> Option<Option<Components<'a>>>,
    ) -> LinkTree<'a> {
        entries.sort();
        LinkTree { entries, target }
    }

    /// Resolves these links, in the given order.
    ///
    /// # Errors
    /// The first link that cannot be created, and why.
    pub fn ends(&self, links: &[u32]) -> Result<Vec<LinkEnd>, (u32, LinkFault)> {
        let Some(first) = links.first() else { return Ok(Vec::new()) };
        if links.len() > MAX_LINKS {
            return Err((*first, LinkFault::TooMany(links.len())));
        }
        let is_link = |(_, index): &&(Components<'_>, u32)| (self.target)(*index).is_some();
        let paths: HashMap<u32, Components<'_>> =
            self.entries.iter().filter(is_link).map(|(path, index)| (*index, *path)).collect();
        let path = |index: u32| paths.get(&index).copied().unwrap_or_default();
        let (mut known, mut ends, mut to_directories) =
            (ResolvedEnds::new(), Vec::new(), Vec::new());
        for link in links.iter().copied() {
            let end = self.end(link, &mut known, 1).map_err(|fault| (link, fault))?;
            let text = text(path(link), Components::of(&end.path));
            let text = text.ok_or((link, LinkFault::Above))?;
            ends.push(LinkEnd { link, target: end.path.clone(), text });
            if end.is_directory {
                to_directories.push((path(link), link, end));
            }
        }
        // A program that follows all links must terminate soon.
        to_directories.sort_by_key(|(path, ..)| *path);
        for (_, link, end) in &to_directories {
            let target = Components::of(&end.path);
            let first = to_directories.partition_point(|(path, ..)| *path < target);
            if let Some((below, ..)) =
                to_directories.get(first).filter(|(path, ..)| path.is_below(target))
            {
                let (directory, below) = (target.joined(), below.joined());
                return Err((*link, LinkFault::ToDirectory { directory, link: below }));
            }
        }
        Ok(ends)
    }

    /// Follows a link. Each link is resolved only once, however many lead through it. `depth` is
    /// the number of links being followed.
    fn end(&self, link: u32, known: &mut ResolvedEnds, depth: usize) -> Result<End, LinkFault> {
        match known.get(&link) {
            Some(Some(end)) => return Ok(end.clone()),
            Some(None) => return Err(LinkFault::Circle),
            None if depth > MAX_STEPS => return Err(LinkFault::Circle),
            None => drop(known.insert(link, None)),
        }
        let target = self.target(link).ok_or(LinkFault::NoTarget)?;
        for (at, component) in target.enumerate() {
            if at == MAX_TARGET_COMPONENTS {
                return Err(LinkFault::TooDeep);
            }
            if matches!(component, b"" | b"." | b"..")
                || component.contains(&b'/')
                || component.contains(&0)
            {
                return Err(LinkFault::Outside);
            }
        }
        let (mut path, mut steps) = (target.encoded().to_vec(), 1);
        let is_directory = loop {
            let (link, length) = match self.entry(Components::of(&path)) {
                PathEntry::Directory => break true,
                PathEntry::File => break false,
                PathEntry::Link(link, length) => (link, length),
                PathEntry::Nothing => return Err(LinkFault::Missing(path)),
            };
            let next = self.end(link, known, depth + 1)?;
            steps += next.steps;
            if steps > MAX_STEPS {
                return Err(LinkFault::Circle);
            }
            path = [&next.path, path.get(length..).unwrap_or_default()].concat();
        };
        let end = End { path, is_directory, steps };
        known.insert(link, Some(end.clone()));
        Ok(end)
    }

    /// The target that a link names.
    fn target(&self, link: u32) -> Option<Components<'a>> {
        (self.target)(link).flatten()
    }

    /// The target as the link names it, for messages.
    pub fn said(&self, link: u32) -> String {
        let target = self.target(link).unwrap_or_default();
        format!("its target `{}`", printable(&target.joined().escape_ascii().to_string()))
    }

    /// Why a link cannot be created, continuing a sentence that starts with its name. Callers may
    /// have a better explanation.
    pub fn why(&self, link: u32, fault: &LinkFault) -> String {
        let said = || self.said(link);
        match fault {
            LinkFault::Platform => {
                "only administrators can create symbolic links on this platform".into()
            }
            LinkFault::TooMany(links) => {
                format!("there are {links} symbolic links, and at most {MAX_LINKS} are created")
            }
            LinkFault::ToDirectory { directory, link } => format!(
                "it leads to the directory `{}`, which contains another symbolic link to a directory, `{}`",
                directory.escape_ascii(),
                link.escape_ascii()
            ),
            _ if self.target(link).is_none() => "the torrent does not name its target".into(),
            LinkFault::NoTarget => format!("{} leads through a link that has no target", said()),
            LinkFault::Circle => format!("{} leads back to itself", said()),
            LinkFault::Outside => format!("{} leads out of the archive", said()),
            LinkFault::TooDeep => format!(
                "its target, or that of a link on the way, has more than {MAX_TARGET_COMPONENTS} components"
            ),
            LinkFault::Missing(_) => format!("{} does not exist", said()),
            LinkFault::Above => "it leads to a directory that contains it".into(),
        }
    }

    fn entry(&self, path: Components<'_>) -> PathEntry {
        let first = self.entries.partition_point(|(other, _)| *other < path);
        let is_link = |index: u32| (self.target)(index).is_some();
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
        // A link that this path is below sorts directly before it, because no other entry is below
        // the link.
        match first.checked_sub(1).and_then(|before| self.entries.get(before)) {
            Some((other, index)) if path.is_below(*other) && is_link(*index) => {
                PathEntry::Link(*index, other.encoded().len())
            }
            _ => PathEntry::Nothing,
        }
    }
}

/// The text of a link at `own` that leads to `target`; `None` if the target contains the link.
fn text(own: Components<'_>, target: Components<'_>) -> Option<PathBuf> {
    let (own, target): (Vec<&[u8]>, Vec<&[u8]>) = (own.collect(), target.collect());
    let directory = own.get(..own.len().saturating_sub(1)).unwrap_or_default();
    let common = directory.iter().zip(&target).take_while(|(a, b)| a == b).count();
    let up = directory.len() - common;
    let down = target.get(common..).filter(|down| !down.is_empty())?;
    let text: Vec<&[u8]> =
        std::iter::repeat_n(&b".."[..], up).chain(down.iter().copied()).collect();
    Some(crate::torrent::metainfo::os_path(text.join(&b'/')))
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
        let as_well = "contains another symbolic link to a directory";
        // Circles of two and of three links.
        let circle: &[(&str, Option<&[&str]>)] = &[("d/l", Some(&["x"])), ("x/k", Some(&["d"]))];
        check(circle, &["`d/l`", "directory `x`", "`x/k`", as_well]);
        check(
            &[("d/l", Some(&["x"])), ("x/k", Some(&["y"])), ("y/z/k", Some(&["d"]))],
            &["`d/l`", as_well],
        );
        // Through another link.
        check(&[("d/l", Some(&["m"])), ("m", Some(&["x"])), ("x/k", Some(&["d"]))], &[as_well]);
        // Following these terminates, but with more links it could take arbitrarily long.
        check(&[("x/k", Some(&["y"])), ("y/l", Some(&["d"]))], &["`x/k`", "`y/l`"]);
        // No link leads to a directory with another link to a directory.
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

    /// A third of the allowed links, each through the maximum number of others, deep in the tree.
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
            // Without bounds this took minutes of CPU time.
            select(&metainfo, &[])
        };
        // A chain, in which each link leads to the next.
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
        // Directories, each with a link that leads to the next directory.
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
        assert!(error.contains("contains another symbolic link to a directory"), "{error}");
        // One step more than allowed.
        links.push((deeper(&deep, &["z"]).join("/"), deeper(&deep, &["m38"])));
        links.push((deeper(&deep, &["zz"]).join("/"), deeper(&deep, &["z"])));
        links.remove(100);
        links.remove(100);
        let error = check(&links, &file).unwrap_err().to_string();
        assert!(error.contains("leads back to itself"), "{error}");
    }
}
