//! The storage as a state machine: writes, kills and damage in any order. Published data must be
//! correct.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use crate::hash::Sha1;
use crate::mutex::Mutex;
use crate::plan::{Layout, Selection};
use crate::storage::{Directory, DiskWork, LocalCopy, Partial, Store, Target};
use crate::torrent::metainfo::Metainfo;

use super::Input;

const PIECE_BYTES: usize = 16 << 10;
/// Paths and lengths: pieces with several files, an empty file, files with several pieces.
const FILES: [(&str, usize); 5] =
    [("a", 5), ("b", 40_000), ("empty", 0), ("c", 16_379), ("d", 30_000)];

/// A torrent and its data.
struct Sample {
    metainfo: Arc<Metainfo>,
    torrent: Vec<u8>,
    data: Vec<u8>,
}

/// A downloading process: the partial dataset, and which pieces it has verified.
struct Process {
    partial: Partial,
    verified: Vec<bool>,
}

/// Runs the actions in `data` on a store or target directory below `directory`. Then a correct
/// process completes the dataset, which must have the right content. Deletes previous contents.
pub fn storage(directory: &Path, data: &[u8]) {
    let mut input = Input(data);
    let Some(sample) = sample() else { unreachable!("the sample is a torrent") };
    let into = input.byte() & 1 == 1;
    let root = directory.join("place");
    remove(&root);
    let (store, home) = (Store::at(&root), Directory::new(&root, false));
    let target = if into { Target::Directory(&home) } else { Target::Store(&store) };
    let selection = match input.byte() & 1 {
        0 => Selection::all(&sample.metainfo),
        _ => match Selection::of(&sample.metainfo, &[], &[(1, 1), (4, 4)]) {
            Ok(selection) => selection,
            Err(_) => unreachable!("the sample has these files"),
        },
    };
    let layout = Arc::new(Layout::new(&sample.metainfo, &selection));
    let id = selection.id();
    let mut process = None;
    while !input.is_empty() {
        let action = input.byte();
        let pieces = layout.geometry().piece_count();
        let piece = u32::from(input.byte()) % pieces;
        let range = layout.geometry().range(piece);
        let right = &sample.data[range.start as usize..range.end as usize];
        match (action % 8, &mut process) {
            (0 | 1, None) => process = open(&sample, target, id, &layout),
            (2, Some(Process { partial, verified })) => {
                let written = partial.write(range.start, right);
                verified[piece as usize] |= written.and_then(|()| partial.verified(piece)).is_ok();
            }
            // Part of a piece, possibly corrupt. A verified piece is never written again.
            (3, Some(Process { partial, verified })) if !verified[piece as usize] => {
                let bytes = vec![input.byte(); right.len() / 2 + 1];
                let _ = partial.write(range.start, &bytes);
            }
            (4, Some(_)) => process = None,
            (5 | 6, None) => damage(&root, into, &mut input),
            (7, Some(Process { partial, verified })) => {
                if layout.needed().iter().all(|piece| verified[piece as usize])
                    && partial.publish(&BTreeMap::new()).is_ok()
                {
                    assert_right(&sample, target, id, &layout);
                }
                process = None;
            }
            _ => {}
        }
        if target.present(id).is_some() {
            assert_right(&sample, target, id, &layout);
        }
    }
    drop(process);
    let Some(Process { partial, verified }) = open(&sample, target, id, &layout) else {
        return assert_right(&sample, target, id, &layout);
    };
    for piece in layout.needed().iter().filter(|piece| !verified[*piece as usize]) {
        let range = layout.geometry().range(piece);
        let right = &sample.data[range.start as usize..range.end as usize];
        if let Err(error) = partial.write(range.start, right).and_then(|()| partial.verified(piece))
        {
            unreachable!("an honest process cannot write: {error}");
        }
    }
    if let Err(error) = partial.publish(&BTreeMap::new()) {
        unreachable!("an honest process cannot publish: {error}");
    }
    drop(partial);
    assert_right(&sample, target, id, &layout);
}

/// Starts a download: checks existing data, and hashes what an earlier process left. `None` if
/// everything is complete.
fn open(sample: &Sample, target: Target<'_>, id: &str, layout: &Arc<Layout>) -> Option<Process> {
    let counted = AtomicU64::new(0);
    let opened = target
        .create()
        .and_then(|()| target.workplace().keep_torrent(&sample.metainfo, &sample.torrent))
        .and_then(|()| {
            let existing = LocalCopy::in_place(
                target,
                id,
                &sample.metainfo,
                layout,
                DiskWork::counting(&counted),
            )?;
            if let Some(complete) = existing.as_ref().filter(|it| it.is_complete()) {
                if target.store().is_some() {
                    complete.stamp(target, id, &BTreeMap::new())?;
                }
                return Ok(None);
            }
            Partial::open(target, id, &sample.metainfo, layout, existing.as_ref(), false).map(Some)
        });
    let (partial, here) = match opened {
        Ok(opened) => opened?,
        Err(error) => unreachable!("the store cannot be opened: {error}"),
    };
    let right = Mutex::new(here.verified);
    let unchecked: Vec<_> = here.unchecked.iter().collect();
    partial.check(&unchecked, &|| true, &|piece, is_right| {
        if is_right {
            right.lock().insert(piece);
        }
    });
    let right = right.into_inner();
    let pieces = layout.geometry().piece_count();
    Some(Process { partial, verified: (0..pieces).map(|piece| right.contains(piece)).collect() })
}

/// Damages a file of the partial dataset. Published data stays unchanged, because stamps are
/// trusted.
fn damage(root: &Path, into: bool, input: &mut Input<'_>) {
    let partial = if into { ".academictorrents/v1/partial" } else { "v1/partial" };
    let mut files = Vec::new();
    files_below(&root.join(partial), &mut files);
    files.sort();
    if files.is_empty() {
        return;
    }
    let path = files.swap_remove(usize::from(input.byte()) % files.len());
    let Ok(mut bytes) = std::fs::read(&path) else { return };
    match input.byte() % 5 {
        0 if !bytes.is_empty() => {
            let at = input.number() as usize % bytes.len();
            bytes[at] ^= 1 << (input.byte() % 8);
        }
        1 => bytes.truncate(input.number() as usize % (bytes.len() + 1)),
        2 => bytes.resize(bytes.len() + 1 + usize::from(input.byte()), 0),
        3 => bytes.fill(input.byte()),
        _ => {
            let _ = std::fs::remove_file(&path);
            return;
        }
    }
    // Write a new inode: the old one may be hard-linked from a published file.
    let _ = std::fs::remove_file(&path);
    if std::fs::write(&path, bytes).is_ok() && input.byte() & 1 == 1 {
        if let Ok(metadata) = std::fs::metadata(&path) {
            let mut permissions = metadata.permissions();
            permissions.set_readonly(true);
            let _ = std::fs::set_permissions(&path, permissions);
        }
    }
}

fn assert_right(sample: &Sample, target: Target<'_>, id: &str, layout: &Layout) {
    for file in layout.files() {
        let path = target.files_path(id).join(file.path());
        let found = std::fs::read(&path).unwrap_or_default();
        let right = &sample.data[file.range().start as usize..file.range().end as usize];
        assert!(found == right, "{} was published with other bytes", path.display());
    }
}

fn sample() -> Option<Sample> {
    let data: Vec<u8> = FILES
        .iter()
        .enumerate()
        .flat_map(|(file, (_, length))| {
            (0..*length).map(move |at| (at * 7 + at / 251 + file * 31) as u8)
        })
        .collect();
    let mut info = b"d5:filesl".to_vec();
    for (path, length) in FILES {
        info.extend(format!("d6:lengthi{length}e4:pathl{}:{path}ee", path.len()).into_bytes());
    }
    let pieces = data.chunks(PIECE_BYTES).flat_map(Sha1::digest).collect::<Vec<u8>>();
    let (length, piece_bytes) = (pieces.len(), PIECE_BYTES);
    info.extend(format!("e4:name1:n12:piece lengthi{piece_bytes}e6:pieces{length}:").into_bytes());
    info.extend(pieces);
    info.push(b'e');
    let torrent = [&b"d4:info"[..], &info, b"e"].concat();
    let metainfo = Arc::new(Metainfo::parse(&torrent).ok()?);
    Some(Sample { metainfo, torrent, data })
}

/// Also deletes read-only files.
fn remove(root: &Path) {
    let _ = std::fs::remove_dir_all(root);
}

fn files_below(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            files_below(&entry.path(), files);
        } else {
            files.push(entry.path());
        }
    }
}
