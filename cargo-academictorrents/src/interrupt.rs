//! Ctrl-C, SIGTERM and SIGHUP: ends within a second, and says how to resume.

use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::app::Stop;

/// The exit status that shells report after SIGINT.
pub(crate) const STATUS: u8 = 130;

/// How long downloads have to stop and to notify trackers. A download that takes longer can be
/// resumed too.
const GRACE: Duration = Duration::from_millis(700);

static HEARD: AtomicBool = AtomicBool::new(false);
static TOLD: AtomicBool = AtomicBool::new(false);

/// Makes a signal stop what this app does, and then end the program. If no handler can be set, the
/// default action ends the program; verified data is kept then, too.
pub(crate) fn end_on_signal(stop: Stop) {
    // The handler would catch all signals, even one that is ignored, as under `nohup`. It is not
    // set in that case.
    let _ = ctrlc::try_set_handler(move || {
        HEARD.store(true, Ordering::Release);
        stop.stop();
        std::thread::sleep(GRACE);
        tell();
        std::process::exit(STATUS.into());
    });
}

/// Whether a signal was received. Failures after that are consequences of the signal (such as that
/// of a `cargo metadata` that received it too).
pub(crate) fn heard() -> bool {
    HEARD.load(Ordering::Acquire)
}

/// Prints the message once, from whichever is first: the command that stopped, or the signal
/// handler's thread.
pub(crate) fn tell() {
    if !TOLD.swap(true, Ordering::AcqRel) {
        let said = "stopped; verified data is kept, and the same command resumes";
        let _ = writeln!(std::io::stderr(), "{said}");
    }
}
