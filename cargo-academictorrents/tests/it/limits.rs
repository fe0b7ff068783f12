//! Limits that a shell sets for a process (`ulimit`): each leads to an error that names it, and
//! never to a silent exit.

use std::process::Command;

use crate::cli_fixture::{CliFixture, Run};
use crate::swarm::{Dataset, Peer, WebSeed, random_bytes};

fn under(cli: &CliFixture, limit: &str, arguments: &[&str]) -> Run {
    let call = cli.command(arguments);
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", &format!("ulimit {limit} && exec \"$0\" \"$@\"")]);
    shell.arg(call.get_program()).args(call.get_args()).env_clear();
    shell.envs(call.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell.current_dir(cli.path(""));
    Run::of(shell.output().unwrap())
}

#[cfg(target_os = "linux")]
#[test]
fn a_file_beyond_the_file_size_limit_is_an_error_before_the_first_byte() {
    let data = Dataset::multi(
        "set",
        [("a.bin", random_bytes(1, 10_000)), ("b.bin", random_bytes(2, 90_000))],
    );
    let seed = WebSeed::serving(&data);
    let cli = CliFixture::new();
    cli.write("x.torrent", data.clone().url_list([seed.url()]).torrent());
    for arguments in [&["get", "x.torrent"][..], &["get", "x.torrent", "--into", "into"]] {
        // `ulimit -f` counts blocks of 512 bytes.
        let run = under(&cli, "-f 100", arguments);
        assert_eq!(run.status, Some(1), "{}", run.stderr);
        assert!(run.stderr.contains("b.bin") && run.stderr.contains("ulimit -f"), "{}", run.stderr);
        assert!(
            run.stderr.contains("the file size limit of this process, 50.0 KiB"),
            "{}",
            run.stderr
        );
        assert!(seed.requests().is_empty());
    }
    // A selection within the limit is fetched.
    let run = under(&cli, "-f 100", &["get", "x.torrent", "--files", "a.bin"]);
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    // The limit also applies to the store's own files.
    let run = under(&cli, "-f 0", &["get", "x.torrent", "--store", "other"]);
    assert_eq!(run.status, Some(1), "{:?} {}", run.status, run.stderr);
    assert!(run.stderr.contains("ulimit -f"), "{}", run.stderr);
}

#[test]
fn a_process_that_may_open_no_more_files_says_so_and_blames_no_setting() {
    let data = Dataset::single("data.bin", random_bytes(1, 10_000));
    let seed = WebSeed::serving(&data);
    let cli = CliFixture::new();
    let cli = cli.env("ACADEMICTORRENTS_CA_FILE", "/etc/ssl/certs/ca-certificates.crt");
    cli.write("x.torrent", data.clone().url_list([seed.url()]).torrent());
    for most in 4..12 {
        let run = under(&cli, &format!("-n {most}"), &["get", "x.torrent"]);
        let blames = run.stderr.contains("os error 24") && !run.stderr.contains("ulimit -n");
        assert!(!blames && !run.stderr.contains("panicked"), "{most}: {}", run.stderr);
    }
}

#[test]
fn many_files_of_many_datasets_are_fetched_with_few_descriptors() {
    let cli = CliFixture::new();
    let mut datasets = String::new();
    let sets: Vec<_> = (0..8)
        .map(|set| {
            // No file ends at a piece boundary, so each is opened more than once.
            let files: Vec<_> = (0..150)
                .map(|file| (format!("{file}.bin"), random_bytes(set * 1_000 + file, 1_000)))
                .collect();
            let files = files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice()));
            let data = Dataset::multi(&format!("set-{set}"), files).piece_length(16 << 10);
            let seed = WebSeed::serving(&data);
            cli.write(&format!("{set}.torrent"), data.clone().url_list([seed.url()]).torrent());
            datasets += &format!("set-{set} = {{ torrent = \"{set}.torrent\" }}\n");
            (data, seed)
        })
        .collect();
    cli.declare(&datasets);
    let run = under(&cli, "-n 256", &["fetch"]);
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    for (data, _) in &sets {
        let files = cli.store().join("v1/data").join(data.infohash_hex()).join("files");
        data.assert_at(&files.join(String::from_utf8_lossy(data.name()).as_ref()));
    }
}

/// The default limit of descriptors in macOS shells is 256.
#[test]
fn many_files_peers_and_web_seeds_do_with_256_descriptors() {
    let files: Vec<_> =
        (0..1_000).map(|file| (format!("{file}.bin"), random_bytes(file, 3_000))).collect();
    let files = files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice()));
    let data = Dataset::multi("set", files).piece_length(16 << 10);
    let (seeds, peers): (Vec<_>, Vec<_>) = (
        (0..3).map(|_| WebSeed::serving(&data)).collect(),
        (0..50).map(|_| Peer::seeding(&data)).collect(),
    );
    let urls = seeds.iter().map(WebSeed::folder_url);
    let peers = peers.iter().map(|peer| peer.addr().to_string()).collect::<Vec<_>>().join(",");
    for into in [&[][..], &["--into", "here"]] {
        let cli = CliFixture::new().env("ACADEMICTORRENTS_PEERS", &peers);
        cli.write("set.torrent", data.clone().url_list(urls.clone()).torrent());
        let run = under(&cli, "-n 256", &[&["get", "set.torrent"], into].concat());
        assert_eq!(run.status, Some(0), "{}", run.stderr);
        assert!(!run.stderr.contains("os error 24"), "{}", run.stderr);
        data.assert_at(std::path::Path::new(run.stdout.trim_end()));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_process_that_may_start_no_more_threads_says_so() {
    let data = Dataset::single("data.bin", random_bytes(1, 10_000));
    let seed = WebSeed::serving(&data);
    let mut failed = 0;
    // `ulimit -v` is in KiB of address space, of which each thread's stack needs some. With the
    // lowest limits, the program itself does not start.
    for most in (60_000..400_000).step_by(20_000) {
        let cli = CliFixture::new();
        cli.write("x.torrent", data.clone().url_list([seed.url()]).torrent());
        let run = under(&cli, &format!("-v {most}"), &["get", "x.torrent"]);
        if run.stderr.contains("refused to create a thread") || run.stderr.contains("os error 11") {
            failed += 1;
        }
        // If a new thread gets its stack but no memory for std's overflow handler, std aborts the
        // process. Which thread reaches the limit is random.
        let by_std = run.stderr.contains("failed to allocate an alternative stack");
        assert!(by_std || !run.stderr.contains("panicked"), "{most}: {}", run.stderr);
    }
    println!("{failed} of the limits were too low");
}
