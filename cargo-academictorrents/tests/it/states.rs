//! Writes the states of a store that processes leave behind.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use crate::cli_fixture::CliFixture;
use crate::swarm::Dataset;

/// Keeps the dataset's `.torrent`. Returns its path.
pub fn kept(cli: &CliFixture, dataset: &Dataset) -> PathBuf {
    cli.write(&format!("store/v1/torrents/{}.torrent", dataset.infohash_hex()), dataset.torrent())
}

/// A partial download with some recorded pieces, from an earlier boot of the machine.
pub fn begun(cli: &CliFixture, id: &str, pieces: std::ops::Range<u32>) -> PathBuf {
    let mut record = format!("academictorrents record 1 another-boot {id}\n").into_bytes();
    pieces.for_each(|piece| record.extend(piece.to_be_bytes()));
    cli.write(&format!("store/v1/partial/{id}/files/data.bin"), [7; 5000]);
    cli.write(&format!("store/v1/partial/{id}/record"), record)
}

/// A complete dataset, which the program itself fetched from a mirror.
pub fn complete(cli: &CliFixture, dataset: &Dataset) -> PathBuf {
    let mirror = cli.path("mirror");
    fs::create_dir_all(&mirror).unwrap();
    dataset.write_mirror(&mirror);
    let torrent = format!("mirror/{}.torrent", dataset.infohash_hex());
    let run =
        cli.command(&["get", &torrent]).env("ACADEMICTORRENTS_MIRRORS", mirror).output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    PathBuf::from(String::from_utf8(run.stdout).unwrap().trim_end())
}

/// Records that the project of this manifest used the datasets, `days` ago. Returns the path of the
/// record.
pub fn used(cli: &CliFixture, manifest: &str, ids: &[&str], days: u64) -> PathBuf {
    use sha1::Digest as _;
    let manifest = cli.path(manifest);
    let path = manifest.to_str().unwrap();
    let digest = sha1::Sha1::digest(path);
    let name: String = digest[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    let mut text = format!("academictorrents root 1\nmanifest {path}\n");
    ids.iter().for_each(|id| text += &format!("id {id}\n"));
    let note = cli.write(&format!("store/v1/roots/{name}"), text);
    age(&note, days);
    note
}

/// Moves the modification time of a file or directory back.
pub fn age(path: &std::path::Path, days: u64) {
    let time = SystemTime::now() - Duration::from_secs(days * 24 * 3600 + 60);
    let mut options = fs::File::options();
    #[cfg(unix)]
    options.read(true);
    // `FILE_WRITE_ATTRIBUTES`, and `FILE_FLAG_BACKUP_SEMANTICS` for a directory.
    #[cfg(windows)]
    {
        use std::os::windows::fs::OpenOptionsExt as _;
        options.access_mode(0x100).custom_flags(0x0200_0000);
    }
    options.open(path).unwrap().set_modified(time).unwrap();
}

/// Makes a dataset look as if it had last been used `days` ago.
pub fn aged(cli: &CliFixture, id: &str, days: u64) {
    age(&cli.path(&format!("store/v1/data/{id}")), days);
}
