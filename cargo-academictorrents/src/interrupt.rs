//! Ctrl-C, and SIGTERM: the end within a second, and how to go on.

use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::app::Stop;

/// As a shell has it of a program that SIGINT ended.
pub(crate) const STATUS: u8 = 130;

/// How long a download has to let go, and to tell trackers. What it leaves after that is gone on from just as well.
const GRACE: Duration = Duration::from_millis(700);

static HEARD: AtomicBool = AtomicBool::new(false);
static TOLD: AtomicBool = AtomicBool::new(false);

/// From now on a signal ends what this app does, and then the program, whatever it does. Where there can be no handler a
/// signal ends it as it ends any program: what was verified is kept then, too.
pub(crate) fn end_on_signal(stop: Stop) {
    // Not where one of the signals is ignored, as under `nohup`: a handler would take all of them.
    let _ = ctrlc::try_set_handler(move || {
        HEARD.store(true, Ordering::Release);
        stop.stop();
        std::thread::sleep(GRACE);
        tell();
        std::process::exit(STATUS.into());
    });
}

/// Whether there was a signal: what fails after it fails by it (a `cargo metadata` that heard it too, say).
pub(crate) fn heard() -> bool {
    HEARD.load(Ordering::Acquire)
}

/// Says it once, whoever comes first: the verb that has let go, or the signal's own thread.
pub(crate) fn tell() {
    if !TOLD.swap(true, Ordering::AcqRel) {
        let said = "stopped; verified data is kept, and the same command resumes";
        let _ = writeln!(std::io::stderr(), "{said}");
    }
}
