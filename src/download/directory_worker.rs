//! A mirror that is a directory: read like any other source, and verified like one.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

use super::lost::LostFiles;
use super::stream::{Feeder, Flow, Outcome, Part, parts};
use super::swarm::Swarm;
use crate::error::printable;
use crate::schedule::{SourceId, WorkerId};

/// Read at a time.
const BUFFER_BYTES: usize = 256 << 10;

/// Fetches runs from a directory that holds the torrent's own layout, until there are none.
pub fn work(swarm: &Swarm, source: SourceId, worker: WorkerId, directory: &Path) -> Outcome {
    // One line of the mirror, in the place of one for each file that is not in it.
    if matches!(directory.try_exists(), Ok(false)) {
        return Outcome::Lost("the directory does not exist".to_owned());
    }
    let mut buffer = vec![0; BUFFER_BYTES];
    let files_lost = LostFiles::default();
    while let Some(run) = swarm.next_run(source, worker) {
        let mut feeder = Feeder::new(swarm, source, worker);
        let before = files_lost.partly(swarm, &run);
        for part in parts(swarm, source, &run) {
            if part.file.is_some_and(|(file, _)| files_lost.contains(file)) {
                continue;
            }
            match read_part(swarm, source, &files_lost, &mut feeder, directory, &part, &mut buffer)
            {
                Flow::Onward => {}
                Flow::RunEnded => break,
                Flow::Banned => return Outcome::Lost("holds wrong bytes".to_owned()),
                Flow::Over => return Outcome::Ended,
            }
        }
        files_lost.settle(swarm, source, &run, &before);
    }
    Outcome::Ended
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
    let path = directory.join(metainfo.layout_path(file));
    let lost = |why: String| {
        swarm.report.note(
            &directory.display().to_string(),
            format!("`{}`: {why}", printable(&metainfo.display_path(file))),
        );
        files_lost.lose(swarm, source, index);
        Flow::Onward
    };
    let opened = File::open(&path).and_then(|mut open| {
        let length = open.metadata()?.len();
        open.seek(SeekFrom::Start(part.file_range().start))?;
        Ok((open, length))
    });
    let (mut open, length) = match opened {
        Ok(opened) => opened,
        Err(why) => return lost(why.to_string()),
    };
    if length != file.length {
        return lost(format!("has {length} bytes, and the torrent's file has {}", file.length));
    }
    let mut at = part.range.start;
    while at < part.range.end {
        let length = (part.range.end - at).min(buffer.len() as u64) as usize;
        if let Err(why) = open.read_exact(&mut buffer[..length]) {
            return lost(why.to_string());
        }
        match feeder.feed(at, &buffer[..length]) {
            Flow::Onward => at += length as u64,
            other => return other,
        }
    }
    Flow::Onward
}
