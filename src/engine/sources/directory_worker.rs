//! The worker of a mirror that is a local directory. Its data is verified like that of any other
//! source.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

use super::event::WorkerOutcome;
use super::stream::{Feeder, Flow, Part, parts};
use super::swarm::Swarm;
use crate::engine::sources::lost_files::LostFiles;
use crate::net::SourceError;
use crate::picker::{SourceId, WorkerId};
use crate::storage::{IS_LFS_POINTER, directory_fault, is_lfs_pointer};

/// Number of bytes read at a time.
const BUFFER_BYTES: usize = 256 << 10;

/// Fetches runs from a directory with the torrent's own layout, until none are left.
pub fn work(
    swarm: &Swarm,
    source: SourceId,
    worker: WorkerId,
    directory: &Path,
    files_lost: &LostFiles,
) -> WorkerOutcome {
    // Reports one error for the whole mirror, not one for each missing file.
    if let Some(fault) = directory_fault(directory) {
        return WorkerOutcome::Lost(SourceError::Other(fault));
    }
    let mut buffer = vec![0; BUFFER_BYTES];
    while let Some(run) = swarm.next_run(source, worker) {
        let mut feeder = Feeder::new(swarm, source, worker);
        let before = files_lost.begin(swarm, &run);
        for part in parts(swarm, source, &run) {
            if part.file.is_some_and(|(file, _)| files_lost.contains(file)) {
                continue;
            }
            match read_part(swarm, source, files_lost, &mut feeder, directory, &part, &mut buffer) {
                Flow::Onward => {}
                Flow::RunEnded => break,
                Flow::OtherVersion(file, piece) => {
                    files_lost.lose_version(swarm, source, file, piece);
                    break;
                }
                Flow::Banned => return WorkerOutcome::Lost(SourceError::HoldsWrongBytes),
                Flow::Over => return WorkerOutcome::Ended,
            }
        }
        files_lost.settle(swarm, source, &run, &before);
    }
    WorkerOutcome::Ended
}

fn read_part(
    swarm: &Swarm,
    source: SourceId,
    files_lost: &LostFiles,
    feeder: &mut Feeder<'_>,
    directory: &Path,
    part: &Part,
    buffer: &mut [u8],
) -> Flow {
    let metainfo = swarm.partial.metainfo();
    let Some((index, file)) =
        part.file.and_then(|(file, _)| Some((file, metainfo.files.get(file as usize)?)))
    else {
        return feeder.feed_zeros(part.range.clone());
    };
    let path = directory.join(metainfo.path_in_mirror(file));
    let lost = |why: SourceError| {
        let why = SourceError::InFile(metainfo.display_path(file), Box::new(why));
        swarm.phase.report.note(&directory.display().to_string(), Err(why));
        files_lost.lose(swarm, source, index);
        Flow::Onward
    };
    // Opening a pipe would block.
    if std::fs::metadata(&path).is_ok_and(|found| !found.is_file()) {
        return lost(SourceError::Other("is not a regular file".to_owned()));
    }
    let opened = File::open(&path).and_then(|mut open| {
        let length = open.metadata()?.len();
        open.seek(SeekFrom::Start(part.file_range().start))?;
        Ok((open, length))
    });
    let (mut open, length) = match opened {
        Ok(opened) => opened,
        Err(why) => return lost(SourceError::Other(why.to_string())),
    };
    if length != file.length {
        return lost(match is_lfs_pointer(&path) {
            true => SourceError::Other(IS_LFS_POINTER.to_owned()),
            false => SourceError::WrongLength(length, file.length),
        });
    }
    let mut at = part.range.start;
    while at < part.range.end {
        let length = (part.range.end - at).min(buffer.len() as u64) as usize;
        if let Err(why) = open.read_exact(&mut buffer[..length]) {
            return lost(SourceError::Other(why.to_string()));
        }
        match feeder.feed(at, &buffer[..length]) {
            Flow::Onward => at += length as u64,
            other => return other,
        }
    }
    Flow::Onward
}
