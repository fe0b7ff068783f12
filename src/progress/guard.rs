//! Who erases the bars when Ctrl-C ends us, or Ctrl-Z stops us.
//!
//! A signal ends a build script at once: to hear it first takes foreign calls. So a shell is started beside the
//! bars, which hears no signal of the terminal and reads from a pipe. An empty line is our goodbye, and
//! it goes. An end without goodbye is our death, and it erases the screen from the cursor on: whether the
//! prompt has come already or not, only what the bars have left is there.

use std::fs::File;
use std::io::Write as _;
use std::process::{Child, Command, Stdio};

/// With TTOU ignored it may write although the foreground is the user's shell again. Ctrl-Z stops us and not it:
/// there it erases, and waits on, since a trap interrupts `read`.
const SCRIPT: &str = r#"
    trap "" INT QUIT TERM HUP TTOU
    trap 'stopped=1; printf "\033[J"' TSTP
    while :; do
        stopped=
        read -r goodbye && exit
        [ "$stopped" ] || break
    done
    printf "\033[J""#;

/// The shell that waits for our end. When it is dropped, that was a good one.
#[derive(Debug)]
pub(super) struct Guard(Child);

impl Guard {
    /// Starts it, to write to `terminal`; `None` where there is no shell: then something remains.
    pub(super) fn start(terminal: File) -> Option<Guard> {
        let mut command = Command::new("/bin/sh");
        // Nothing of ours but the terminal: cargo waits until the last holder of our stdout is gone.
        command.args(["-c", SCRIPT]).stdin(Stdio::piped()).stdout(terminal).stderr(Stdio::null());
        command.spawn().ok().map(Guard)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(mut pipe) = self.0.stdin.take() {
            let _ = pipe.write_all(b"\n"); // it may have been ended by force
        }
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What it writes when it was sent these signals and then we end so.
    fn written(signals: &[&str], goodbye: bool) -> String {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("terminal");
        let mut guard = Guard::start(File::create(&path).unwrap()).unwrap();
        // It hears no signal once its first commands have run; before that it would end.
        let status = || {
            let status = std::fs::read_to_string(format!("/proc/{}/status", guard.0.id())).unwrap();
            let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
            u64::from_str_radix(caught.trim(), 16).unwrap()
        };
        // SIGTSTP, the last that it is told of, is 20.
        while status() & (1 << 19) == 0 {
            std::thread::yield_now();
        }
        for (sent, signal) in signals.iter().enumerate() {
            let kill = ["-s", signal, &guard.0.id().to_string()].map(str::to_owned);
            assert!(Command::new("kill").args(kill).status().unwrap().success());
            let erased = || std::fs::metadata(&path).unwrap().len();
            while *signal == "TSTP" && erased() < (sent as u64 + 1) * ERASED.len() as u64 {
                std::thread::yield_now();
            }
        }
        if !goodbye {
            drop(guard.0.stdin.take());
        }
        drop(guard);
        std::fs::read_to_string(&path).unwrap()
    }

    const ERASED: &str = "\u{1b}[J";

    #[test]
    fn an_end_without_goodbye_is_erased_whatever_the_terminal_sends() {
        assert_eq!(written(&[], false), ERASED);
        for signal in ["INT", "HUP", "QUIT", "TERM"] {
            assert_eq!(written(&[signal], false), ERASED, "{signal}");
        }
    }

    #[test]
    fn a_stop_is_erased_each_time_and_so_is_the_end_after_it() {
        assert_eq!(written(&["TSTP", "TSTP", "INT"], false), ERASED.repeat(3));
        assert_eq!(written(&["TSTP"], true), ERASED);
    }

    #[test]
    fn a_goodbye_leaves_the_screen_alone() {
        assert_eq!(written(&[], true), "");
        assert_eq!(written(&["INT"], true), "");
    }
}
