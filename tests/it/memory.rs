//! The memory cost of torrents that are made to be expensive, at a tenth of the allowed sizes to
//! keep the test fast.
//!
//! A test process has other threads and allocations. So each download runs in a process that runs
//! only one test of this file, and prints its peak memory at the end.

use std::process::Command;

use academictorrents::{ErrorKind, Get};

/// The memory of the process and its threads without a torrent.
const BASE_KIB: usize = 40 << 10;

/// A torrent may cost this multiple of its length: its bytes, the scan, and the values made of it.
const TIMES: usize = 6;

const TORRENT: &str = "ACADEMICTORRENTS_TEST_TORRENT";

/// A torrent with these bencoded `files`, for data of this length.
fn torrent(files: &str, length: usize) -> Vec<u8> {
    let (name, pieces) = ("n".repeat(255), "x".repeat(length.div_ceil(1 << 20) * 20));
    let end = format!("255:{name}12:piece lengthi1048576e6:pieces{}:{pieces}ee", pieces.len());
    format!("d4:infod5:filesl{files}e4:name{end}").into_bytes()
}

/// The peak memory of this process in KiB.
fn peak_kib() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
#[ignore = "run by the tests below, in a process of its own"]
fn child() {
    let Ok(torrent) = std::env::var(TORRENT) else { return };
    let error = Get::new(&torrent)
        .env_clear()
        .env("ACADEMICTORRENTS_STORE", format!("{torrent}.store"))
        .env("ACADEMICTORRENTS_PROGRESS", "off")
        .offline(true)
        .run()
        .unwrap_err();
    let refused = [ErrorKind::Offline, ErrorKind::TooLarge, ErrorKind::Metainfo];
    assert!(refused.contains(&error.kind()), "{error}");
    println!("peak {}", peak_kib());
}

#[track_caller]
fn check(torrent: &[u8]) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.torrent");
    std::fs::write(&path, torrent).unwrap();
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["memory::child", "--exact", "--ignored", "--nocapture", "--test-threads=1"])
        .env(TORRENT, &path)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    let peak = said.lines().find_map(|line| line.split_once("peak ")).map(|(_, kib)| kib);
    let peak: usize = peak.unwrap_or_else(|| panic!("{said}")).trim().parse().unwrap();
    let most = BASE_KIB + TIMES * torrent.len() / 1024;
    assert!(peak <= most, "{peak} KiB for a torrent of {} KiB", torrent.len() / 1024);
}

#[test]
fn directories_inside_one_another_cost_no_more_than_their_names() {
    let file = |at: usize| {
        let path: String = (0..50).map(|depth| format!("7:{depth:02}{at:05}")).collect();
        format!("d6:lengthi1e4:pathl{path}1:fee")
    };
    let files: String = (0..8_000).map(file).collect();
    check(&torrent(&files, 8_000));
}

#[test]
fn tiny_files_below_a_long_name_cost_no_more_than_their_entries() {
    let files: String = (0..60_000).map(|at| format!("d6:lengthi1e4:pathl5:{at:05}ee")).collect();
    check(&torrent(&files, 60_000));
}

#[test]
fn components_with_many_slashes_cost_no_more_than_their_bytes() {
    let text = |part: &str| {
        let text = format!("a{}", part.repeat((6 << 20) / part.len()));
        format!("{}:{text}", text.len())
    };
    for part in ["/", "/a"] {
        let path = format!("d6:lengthi1e4:pathl{}ee", text(part));
        check(&torrent(&path, 1));
        let target = format!("d4:attr1:l6:lengthi0e4:pathl1:le12:symlink pathl{}ee", text(part));
        check(&torrent(&format!("{target}d6:lengthi1e4:pathl1:fee"), 1));
    }
}
