use std::time::Duration;

use super::bars::{Bars, Size};
use super::frame::{Begin, clip, kept};
use super::picture::{lets_others_draw, still_holds};
use super::plain::PlainLog;
use super::rate::Rate;
use super::terminal::{TerminalJob, environment_allows};
use super::view::{View, printable};
use crate::counters::{Counters, Phase};
use crate::settings::Context;

const MIB: u64 = 1 << 20;

fn view(name: &str, phase: Phase, percent: u64) -> View {
    let mut view = View::of(&Counters::default().add(name));
    view.phase = phase;
    (view.total_bytes, view.done_bytes) = (100 * MIB, percent * MIB);
    (view.peers, view.web_seeds, view.rate_bytes) = (2, 1, 3 * MIB);
    view
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn the_environment_forbids_bars() {
    let check = |vars: &[(&str, &str)], allowed| {
        let mut context = Context::default();
        vars.iter().for_each(|(name, value)| context.set(name, value));
        assert_eq!(environment_allows(&context), allowed, "{vars:?}");
    };
    check(&[("TERM", "xterm")], true);
    check(&[("TERM", "xterm"), ("CI", "")], true);
    check(&[("TERM", "xterm"), ("CARGO_TERM_QUIET", "false")], true);
    check(&[("TERM", "xterm"), ("CARGO_TERM_PROGRESS_WHEN", "auto")], true);
    check(&[], cfg!(windows));
    check(&[("TERM", "dumb")], false);
    check(&[("TERM", "xterm"), ("CI", "true")], false);
    check(&[("TERM", "xterm"), ("CARGO_TERM_QUIET", "true")], false);
    check(&[("TERM", "xterm"), ("CARGO_TERM_PROGRESS_WHEN", "never")], false);
}

#[test]
fn only_the_foreground_group_of_the_terminal_draws() {
    let check = |stat: &str, foreground| {
        assert_eq!(TerminalJob::parse(stat).map(TerminalJob::in_foreground), foreground, "{stat}");
    };
    check("7 (build-script-bu) R 6 5 1 34816 5 4194304 0", Some(true));
    check("7 (build-script-bu) R 6 5 1 34816 9 4194304 0", Some(false));
    check("7 (no terminal) S 6 5 1 0 -1 4194304 0", Some(false));
    check("7 (a) R 1 1 1 1 1 (b) R 6 5 1 34816 5 0", Some(true));
    check("7 (short) R 6 5 1", None);
    check("", None);
}

#[test]
fn another_terminal_or_a_file_is_not_ours() {
    let check = |terminal: &str, rdev, ours| {
        let job = TerminalJob::parse(&format!("7 (x) R 6 5 1 {terminal} 5 0")).unwrap();
        assert_eq!(job.is_terminal(rdev), ours, "{terminal} {rdev}");
    };
    check("34816", 34816, true);
    check("34816", 5 << 8, true);
    check("34816", 34817, false);
    check("34816", 0, false);
    check("0", 0, false);
    check("0", 5 << 8, false);
    // A minor number so high that the signed field is negative.
    check("-2147448832", 0x8000_8800, true);
}

#[test]
fn a_frame_comes_back_to_where_it_began() {
    let lines = ["mnist 43%".to_owned(), "x".repeat(50)];
    let below = "\r\n\x1b[K\r\n\x1b[Kmnist 43%\r\n\x1b[Kxxxxxxxxxx\x1b[J\x1b[3A\r";
    assert_eq!(Begin::Below.frame(&lines, 11), below);
    let here = "\r\x1b[Kmnist 43%\r\n\x1b[Kxxxxxxxxxx\x1b[J\x1b[1A\r";
    assert_eq!(Begin::Here.frame(&lines, 11), here);
    assert_eq!(Begin::Here.frame(&lines[..1], 11), "\r\x1b[Kmnist 43%\x1b[J\r");
}

#[test]
fn wide_characters_never_make_a_line_wrap() {
    assert_eq!(clip("ab数据", 5), "ab数");
    assert_eq!(clip("ab数据", 6), "ab数据");
    assert_eq!(clip("ab", 0), "");
    assert_eq!(printable("a\x1b[2Jb\n"), "a [2Jb ");
}

#[test]
fn the_bars_of_a_terminal_of_each_width() {
    let views = [
        view("mnist", Phase::Fetching, 43),
        view("imagenet-2012", Phase::Checking, 7),
        view("cifar", Phase::Done, 100),
        view("coco", Phase::Waiting, 0),
    ];
    let check = |columns, expected: &[&str]| {
        let lines = Bars::new().lines(&views, &[], Size { rows: 24, columns });
        assert_eq!(lines, expected, "{columns}");
        assert!(lines.iter().all(|line| line.len() < columns.into()), "{columns}");
    };
    check(30, &["mnist 43%", "imagenet-2012 7%", "coco"]);
    check(
        60,
        &[
            "mnist          [=======>          ]   43%    43.0/100.0 MiB",
            "imagenet-2012  [=>                ]    7%          checking",
            "coco           waiting for another build",
        ],
    );
    check(
        100,
        &[
            "mnist          [====>     ]   43%    43.0/100.0 MiB    3.0 MiB/s   0:19 left   2 peers  1 web seed",
            "imagenet-2012  [>         ]    7%          checking",
            "coco           waiting for another build",
        ],
    );
}

#[test]
fn a_kind_of_source_that_nobody_has_takes_no_room() {
    let check = |peers, web_seeds, expected: &str| {
        let mut view = view("mnist", Phase::Fetching, 43);
        (view.peers, view.web_seeds) = (peers, web_seeds);
        let lines = Bars::new().lines(&[view], &[], Size { rows: 24, columns: 84 });
        let [line] = lines.try_into().unwrap();
        let (_, sources) = line.split_once("0:19 left").unwrap();
        assert_eq!(sources.trim(), expected, "{line}");
    };
    check(0, 0, "");
    check(0, 1, "1 web seed");
    check(12, 0, "12 peers");
    check(1, 0, "1 peer");
    // Of both kinds of source, only the first fits.
    check(2, 1, "2 peers");
}

#[test]
fn where_nothing_comes_it_is_said_that_there_is_no_source() {
    let mut view = view("mnist", Phase::Fetching, 0);
    (view.peers, view.web_seeds, view.rate_bytes) = (0, 0, 0);
    let lines = Bars::new().lines(&[view], &[], Size { rows: 24, columns: 84 });
    assert!(lines.concat().ends_with("0 B/s   no source"), "{lines:?}");
}

#[test]
fn where_not_all_datasets_have_room_those_that_are_queued_are_counted() {
    let mut views: Vec<View> = (0..40).map(|i| view(&format!("d{i}"), Phase::Queued, 0)).collect();
    views.push(view("busy", Phase::Publishing, 100));
    let lines =
        |rows, messages: &[&str]| Bars::new().lines(&views, messages, Size { rows, columns: 80 });
    assert_eq!(lines(24, &[]), ["busy  publishing", "and 40 more"]);
    assert_eq!(lines(3, &[]), ["and 41 more"]);
    assert!(lines(2, &[]).is_empty() && lines(0, &[]).is_empty());
    assert_eq!(lines(24, &["a", "b", "c"]), ["busy  publishing", "and 40 more", "b", "c"]);
    let shown = lines(43, &[]);
    assert_eq!(shown.len(), 41);
    assert_eq!(shown[40], "d39   queued");
}

#[test]
fn no_size_of_terminal_and_no_name_breaks_the_bars() {
    let mut odd = view("数据\x1b[2J\n", Phase::Fetching, 100);
    (odd.done_bytes, odd.total_bytes, odd.rate_bytes) = (u64::MAX, u64::MAX - 1, 1);
    let views = [odd, view(&"n".repeat(300), Phase::Fetching, 0)];
    let mut bars = Bars::new();
    for columns in 0..120 {
        for rows in 0..6 {
            for line in bars.lines(&views, &["m"], Size { rows, columns }) {
                assert!(line.chars().all(|c| !c.is_control()), "{line}");
                assert!(columns < 40 || line.len() < columns.into(), "{columns}: {line}");
            }
        }
    }
}

#[test]
fn a_line_for_each_phase_and_few_while_fetching() {
    let mut log = PlainLog::default();
    let mut check = |at, phase, percent, expected: Option<&str>| {
        let lines = log.lines(seconds(at), &[view("mnist", phase, percent)]);
        let expected = expected.map(|line| format!("academictorrents: mnist: {line}"));
        assert_eq!(lines, Vec::from_iter(expected), "{at} s");
    };
    check(0, Phase::Queued, 0, None);
    check(1, Phase::Metainfo, 0, Some("looking for the .torrent"));
    check(2, Phase::Checking, 0, Some("checking what is on disk"));
    check(3, Phase::Fetching, 20, Some("fetching 100.0 MiB, 20% done"));
    check(4, Phase::Fetching, 90, None);
    check(20, Phase::Fetching, 29, None);
    check(21, Phase::Fetching, 43, Some("43% of 100.0 MiB, 3.0 MiB/s, 2 peers, 1 web seed"));
    check(30, Phase::Fetching, 99, None);
    check(31, Phase::Fetching, 99, Some("99% of 100.0 MiB, 3.0 MiB/s, 2 peers, 1 web seed"));
    check(60, Phase::Publishing, 100, Some("publishing"));
    check(61, Phase::Done, 100, Some("done: 100.0 MiB in 60 s"));
    check(99, Phase::Done, 100, None);
}

#[test]
fn where_sources_trickle_a_line_in_five_minutes_says_so() {
    let mut log = PlainLog::default();
    let mut lines = |at| {
        let mut view = view("mnist", Phase::Fetching, 0);
        view.rate_bytes = 12;
        log.lines(seconds(at), &[view])
    };
    assert_eq!(lines(1).len(), 1);
    assert!(lines(300).is_empty());
    let said = "academictorrents: mnist: 0% of 100.0 MiB, 12 B/s, 2 peers, 1 web seed";
    assert_eq!(lines(301), [said]);
    assert!(lines(600).is_empty());
    assert_eq!(lines(601), [said]);
}

#[test]
fn a_failure_is_told_from_a_success_and_a_wait_is_left_to_its_message() {
    let mut log = PlainLog::default();
    let mut check = |at, phase, expected: &[&str]| {
        assert_eq!(log.lines(seconds(at), &[view("mnist", phase, 7)]), expected, "{at} s");
    };
    check(0, Phase::Queued, &[]);
    check(1, Phase::Metainfo, &["academictorrents: mnist: looking for the .torrent"]);
    check(2, Phase::Waiting, &[]);
    check(3, Phase::Checking, &["academictorrents: mnist: checking what is on disk"]);
    check(7, Phase::Failed, &["academictorrents: mnist: failed after 6 s"]);
    check(8, Phase::Failed, &[]);
}

#[test]
fn what_was_not_looked_for_has_not_failed() {
    let mut log = PlainLog::default();
    let mut lines = |at, phase| log.lines(seconds(at), &[view("mnist", phase, 7)]);
    assert!(lines(0, Phase::Queued).is_empty());
    assert_eq!(lines(1, Phase::Checking).len(), 1);
    assert!(lines(2, Phase::PassedOver).is_empty());
    assert!(Phase::PassedOver.is_over());
}

#[test]
fn a_message_of_a_wait_goes_when_the_dataset_goes_on() {
    let counters = Counters::default();
    counters.say_while_waiting("mnist", "mnist: waiting".to_owned());
    counters.say("cifar: failed".to_owned());
    let said: [_; 2] = counters.take_messages().try_into().unwrap();
    let check = |phase, age, expected: [bool; 2]| {
        let views = [view("mnist", phase, 0)];
        let held = said.each_ref().map(|message| still_holds(message, seconds(age), &views));
        assert_eq!(held, expected, "{phase:?} {age}");
    };
    check(Phase::Waiting, 0, [true, true]);
    check(Phase::Waiting, 99, [true, false]);
    check(Phase::Checking, 0, [false, true]);
}

#[test]
fn who_only_waits_leaves_the_terminal_to_others_for_a_while() {
    let mut since = None;
    let mut check = |at, phases: &[Phase], expected: bool| {
        let views: Vec<_> = phases.iter().map(|phase| view("a", *phase, 0)).collect();
        assert_eq!(lets_others_draw(&mut since, seconds(at), &views), expected, "{at} s");
    };
    use Phase::{Done, Fetching, Queued, Waiting};
    check(0, &[Queued], true);
    check(1, &[Fetching, Waiting], false);
    check(5, &[Waiting, Done, Queued], true);
    check(6, &[Waiting, Done, Queued], true);
    check(7, &[Waiting, Done, Queued], false);
    check(60, &[Waiting], false);
    check(61, &[Fetching], false);
    check(62, &[Waiting], true);
}

#[test]
fn a_dataset_that_is_there_says_nothing() {
    let mut log = PlainLog::default();
    assert!(log.lines(seconds(0), &[view("mnist", Phase::Queued, 0)]).is_empty());
    assert!(log.lines(seconds(1), &[view("mnist", Phase::Done, 100)]).is_empty());
}

#[test]
fn a_dataset_that_came_at_once_is_told() {
    let mut log = PlainLog::default();
    assert!(log.lines(seconds(0), &[view("mnist", Phase::Queued, 0)]).is_empty());
    let mut done = view("mnist", Phase::Done, 100);
    // Some bytes were received twice.
    done.received_bytes = 101 * MIB;
    done.path = "/store/mnist".to_owned();
    let said = log.lines(seconds(1), &[done]);
    assert_eq!(said, ["academictorrents: mnist: fetched 100.0 MiB in 0 s: /store/mnist"]);
}

/// The line that stays on the terminal: once per fetched dataset.
#[test]
fn what_was_fetched_is_kept_to_be_told_where_bars_were() {
    let mut log = PlainLog::default();
    let views = |phase, received: u64| {
        let mut fetched = view("mnist", phase, 100);
        (fetched.received_bytes, fetched.path) = (received, "/store/mnist".to_owned());
        let mut hashed = view("cifar", phase, 100);
        hashed.received_bytes = 0;
        [fetched, hashed, view("coco", Phase::Failed, 7)]
    };
    log.lines(seconds(1), &views(Phase::Checking, 0));
    log.lines(seconds(2), &views(Phase::Fetching, 5));
    assert!(log.fetched.is_empty());
    log.lines(Duration::from_millis(5_250), &views(Phase::Done, 7 * MIB));
    log.lines(seconds(6), &views(Phase::Done, 7 * MIB));
    // Bytes that existed before are not counted.
    let line = "academictorrents: mnist: fetched 7.0 MiB in 4.3 s: /store/mnist";
    assert_eq!(std::mem::take(&mut log.fetched), [line]);
    // Written over Cargo's bar, which Cargo redraws below.
    let kept = kept(&[line.to_owned(), "other".to_owned()]);
    assert_eq!(kept, format!("\r\x1b[J{line}\r\nother\r\n"));
}

#[test]
fn the_rate_is_that_of_the_last_five_seconds() {
    let mut rate = Rate::default();
    assert_eq!(rate.push(seconds(0), 0), 0);
    assert_eq!(rate.push(Duration::from_millis(100), 10), 0);
    assert_eq!(rate.push(seconds(1), 1000), 1000);
    for second in 2..=20 {
        assert_eq!(rate.push(seconds(second), second * 1000), 1000, "{second}");
    }
    assert_eq!(rate.push(seconds(23), 20_000), 2000 / 5);
    assert_eq!(rate.push(seconds(28), 20_000), 0);
    // The count restarted.
    assert_eq!(rate.push(seconds(29), 5), 0);
    assert_eq!(rate.push(seconds(30), 105), 100);
}
