//! Stores and directories in a layer of a container image: below the writable layer of an overlay
//! file system, where directories cannot be renamed.

use std::process::Command;

use crate::cli_fixture::{CliFixture, Run};
use crate::support::cannot_mount;
use crate::swarm::{Dataset, random_bytes};

/// Makes the content of `$1` the lower layer of an overlay that is mounted there. The upper layer
/// is in memory: it cannot be on another overlay, which the disk of a container usually is.
const MOUNT: &str = r#"
place=$1 commands=$2 layers=$(mktemp -d) && mount -t tmpfs none "$layers" || exit 77
cp -a "$place" "$layers/lower" && mkdir -p "$layers/lower/probe/directory" && mkdir "$layers/upper" "$layers/work"
options=lowerdir=$layers/lower,upperdir=$layers/upper,workdir=$layers/work
mount -t overlay -o "$options,userxattr" overlay "$place" || mount -t overlay -o "$options" overlay "$place" || exit 77
# Needs attributes that not every upper file system has, or that a user namespace does not allow.
rm -r "$place/probe" && mkdir "$place/probe" && rmdir "$place/probe" || exit 77
at() { "$0" academictorrents "$@"; }
set -e; eval "$commands"
"#;

/// Runs commands with the directory `below` in a lower layer. `at` in the commands calls the
/// program.
fn in_a_layer(cli: &CliFixture, below: &str, commands: &str) -> Option<Run> {
    use std::os::unix::fs::MetadataExt as _;
    let program = cli.command(&[]);
    let mut command = Command::new("unshare");
    if std::fs::metadata("/proc/self").unwrap().uid() != 0 {
        command.args(["--user", "--map-root-user"]);
    }
    command.args(["--mount", "sh", "-c", MOUNT]).arg(program.get_program());
    command.arg(cli.path(below)).arg(commands).current_dir(cli.path("")).env_clear();
    command.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let what = "a lower layer";
    let run = match command.output() {
        Ok(output) => Run::of(output),
        Err(why) => {
            cannot_mount(what, &why.to_string());
            return None;
        }
    };
    if run.status == Some(77) || run.stderr.contains("unshare:") {
        cannot_mount(what, &run.stderr);
        return None;
    }
    Some(run)
}

fn dataset() -> Dataset {
    Dataset::multi("tree", [("a", random_bytes(1, 100_000)), ("d/b", random_bytes(2, 100_000))])
        .piece_length(1 << 14)
}

/// A CLI with the torrent, a mirror that has the whole dataset, and another that lacks a file.
fn cli(dataset: &Dataset) -> CliFixture {
    let cli = CliFixture::new().env("ACADEMICTORRENTS_PROGRESS", "off");
    cli.write("data.torrent", dataset.torrent());
    let [mirror, lacking] = ["mirror", "lacking"].map(|name| cli.path(name));
    dataset.write_mirror(&mirror);
    dataset.write_mirror(&lacking);
    std::fs::remove_dir_all(lacking.join(dataset.infohash_hex()).join("tree/d")).unwrap();
    cli.env("ACADEMICTORRENTS_MIRRORS", mirror.display())
}

/// Leaves an interrupted download.
fn begin(cli: &CliFixture, options: &[&str]) {
    let mut command = cli.command(&["get", "data.torrent", "-q"]);
    command.args(options).env("ACADEMICTORRENTS_MIRRORS", cli.path("lacking"));
    assert!(!command.output().unwrap().status.success());
}

/// Compares the data at `$place` with the mirror's.
const COMPARE: &str = r#"diff -r mirror/*/tree "$place" && echo right"#;

#[track_caller]
fn check(cli: &CliFixture, below: &str, commands: &str) {
    let Some(run) = in_a_layer(cli, below, &format!("{commands}\n{COMPARE}")) else { return };
    assert_eq!(run.status, Some(0), "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.ends_with("right\n"), "{}{}", run.stdout, run.stderr);
}

const PLACE: &str = "place=$(echo store/v1/data/*/files/tree)";

#[test]
fn what_a_layer_has_begun_is_completed() {
    let dataset = dataset();
    let cli = cli(&dataset);
    begin(&cli, &[]);
    check(&cli, "store", &format!("at get data.torrent -q; {PLACE}"));
}

#[test]
fn what_is_damaged_in_a_layer_is_repaired() {
    let dataset = dataset();
    let cli = cli(&dataset);
    cli.ok(&["get", "data.torrent", "-q"]);
    let damage = "f=$(echo store/v1/data/*/files/tree/a); chmod u+w $f; printf x >> $f";
    for command in ["at get data.torrent -q", "at verify data.torrent --repair -q"] {
        check(&cli, "store", &format!("{damage}; {command}; {PLACE}"));
    }
}

#[test]
fn what_a_layer_has_is_removed() {
    let dataset = dataset();
    let cli = cli(&dataset);
    cli.ok(&["get", "data.torrent", "-q"]);
    let gc = "at gc --all; test -z \"$(find store/v1/data store/v1/partial -mindepth 1)\"";
    check(&cli, "store", &format!("{gc}; at get data.torrent -q; {PLACE}"));
}

#[test]
fn a_directory_in_a_layer_gets_its_files() {
    let dataset = dataset();
    let cli = cli(&dataset);
    begin(&cli, &["--into", "here"]);
    check(&cli, "here", "at get data.torrent --into here -q; place=here/tree");
    // One directory of the dataset is a mount point of another file system.
    let mount = "mount -t tmpfs none here/tree/d";
    cli.ok(&["get", "data.torrent", "--into", "here", "-q"]);
    check(&cli, "here", &format!("{mount}; at get data.torrent --into here -q; place=here/tree"));
}

#[test]
fn what_a_layer_has_begun_is_completed_by_an_import() {
    let dataset = dataset();
    let cli = cli(&dataset);
    begin(&cli, &[]);
    let import = "at import --id data.torrent mirror/*/tree -q";
    check(&cli, "store", &format!("{import}; {PLACE}"));
}
