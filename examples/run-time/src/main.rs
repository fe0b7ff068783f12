use std::time::Duration;

use academictorrents::{Error, ErrorKind, Get, Phase, Snapshot, StopHandle};

/// In your program, this can be an infohash: "ce990b28668abf16480b8b906640a6cd7e3b8b21" is MNIST.
const DIGITS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../example-project/digits.torrent");
const MIRROR: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../example-project/mirror");

fn main() -> Result<(), Error> {
    let stop = StopHandle::new();
    let digits = Get::new(DIGITS).mirror(MIRROR).on_progress(report).stop_with(&stop);

    // Stops after ten minutes. To stop on Ctrl-C, use the crate `ctrlc`:
    // ctrlc::set_handler(move || stop.stop())
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_secs(600));
        stop.stop();
    });

    match digits.fetch() {
        Err(error) if error.kind() == ErrorKind::Stopped => {
            eprintln!("stopped; the next run resumes")
        }
        digits => {
            for file in digits?.files() {
                println!("{} bytes in {}", file.length, file.path.display());
            }
        }
    }
    Ok(())
}

fn report(now: &Snapshot) {
    match (now.phase, now.total_bytes) {
        (Phase::Fetching, Some(total)) => eprintln!(
            "{} of {total} bytes, {} B/s from {} sources",
            now.done_bytes, now.bytes_per_second, now.sources
        ),
        (phase, _) => eprintln!("{phase:?}"),
    }
}
