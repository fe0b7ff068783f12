//! Runs this program again in namespaces where it is root, with its own network and mounts.

use std::ffi::OsStr;

use crate::program::Tool;

pub static NAMESPACES: Tool =
    Tool::namespaces("unshare", "Debian: util-linux, and user namespaces");

/// The variable that tells the inner program which trial to run.
pub const INSIDE: &str = "INTEROP_INSIDE";

/// Runs this program in new namespaces, where `main` runs the trial. First, a shell runs `set_up`
/// with `args` as `$1` and so on.
pub fn run(trial: &str, set_up: &str, args: &[&OsStr]) {
    let home = tempfile::tempdir().unwrap();
    let script = format!("this=$1 && shift && {set_up} && exec \"$this\"");
    let mut command = NAMESPACES.command(home.path());
    command.args(["--user", "--map-root-user", "--net", "--mount", "/bin/sh", "-c", &script, "sh"]);
    command.arg(std::env::current_exe().unwrap()).args(args).env(INSIDE, trial);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{}: {said}", output.status);
}

/// The trial to run, if this process is the inner program.
pub fn inside() -> Option<String> {
    std::env::var(INSIDE).ok()
}
