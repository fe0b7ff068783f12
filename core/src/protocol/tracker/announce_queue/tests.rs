use super::*;

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Returns the next task and its place, and starts it.
fn begin(table: &mut AnnounceQueue, now: u64) -> Option<(usize, usize)> {
    match table.turn(seconds(now)) {
        Turn::Do(task, nth) => {
            table.begin(task, nth);
            Some((task.0, nth))
        }
        Turn::Wait(_) | Turn::Nothing => None,
    }
}

#[test]
fn what_is_due_first_is_done_first_and_nothing_before_its_time() {
    let mut table = AnnounceQueue::new(4);
    assert_eq!(table.turn(seconds(9)), Turn::Nothing);
    let places: Vec<_> = ["a", "b", "a"].iter().map(|name| table.place(name)).collect();
    assert!(places[0] == places[2] && places[0] != places[1]);
    for (due, place) in [3, 1, 2].into_iter().zip(places) {
        table.add(seconds(due), vec![place]);
    }
    assert_eq!(table.turn(seconds(0)), Turn::Wait(seconds(1)));
    assert_eq!(begin(&mut table, 3), Some((1, 0)));
    assert_eq!(begin(&mut table, 2), Some((2, 0)));
    assert_eq!(table.turn(seconds(2)), Turn::Wait(seconds(3)));
    assert_eq!(begin(&mut table, 3), Some((0, 0)));
    assert_eq!(table.turn(seconds(9)), Turn::Nothing);
    let again = Some((seconds(8), vec![PlaceId(0)]));
    table.done(TaskId(1), false, again);
    table.done(TaskId(0), false, None);
    assert_eq!(table.turn(seconds(7)), Turn::Wait(seconds(8)));
    assert_eq!(begin(&mut table, 8), Some((1, 0)));
    assert_eq!(table.turn(seconds(99)), Turn::Nothing);
}

#[test]
fn at_a_place_that_hangs_one_is_done_at_a_time_until_it_answers() {
    let mut table = AnnounceQueue::new(32);
    let (dead, well) = (table.place("dead"), table.place("well"));
    for _ in 0..20 {
        table.add(seconds(0), vec![dead]);
    }
    table.add(seconds(1), vec![well]);
    let begun: Vec<_> = std::iter::from_fn(|| begin(&mut table, 0)).collect();
    assert_eq!(begun.len(), AT_ONE_PLACE);
    assert_eq!(begin(&mut table, 1), Some((20, 0)));
    // All eight wait in vain, and are always due.
    for (task, _) in begun {
        table.done(TaskId(task), true, Some((seconds(15), vec![dead])));
        assert!(table.hangs(TaskId(task)));
    }
    let (task, _) = begin(&mut table, 15).unwrap();
    assert_eq!(begin(&mut table, 15), None);
    // Due tasks at other places go first.
    table.done(TaskId(task), true, Some((seconds(16), vec![dead])));
    table.done(TaskId(20), false, Some((seconds(30), vec![well])));
    assert_eq!(begin(&mut table, 30), Some((20, 0)));
    let (task, _) = begin(&mut table, 30).unwrap();
    table.done(TaskId(task), false, Some((seconds(1_800), vec![dead])));
    let begun = std::iter::from_fn(|| begin(&mut table, 31)).count();
    assert_eq!(begun, AT_ONE_PLACE);
}

#[test]
fn a_task_goes_round_a_place_that_hangs_and_to_it_where_all_do() {
    let mut table = AnnounceQueue::new(32);
    let [a, b] = ["a", "b"].map(|name| table.place(name));
    table.add(seconds(0), vec![a]);
    table.add(seconds(1), vec![a, b]);
    assert_eq!(begin(&mut table, 0), Some((0, 0)));
    table.done(TaskId(0), true, None);
    assert_eq!(begin(&mut table, 1), Some((1, 1)));
    table.done(TaskId(1), true, Some((seconds(2), vec![b, a])));
    assert_eq!(begin(&mut table, 2), Some((1, 0)));
}

/// Threads that follow the queue, in steps of a tenth of a second.
struct Simulation {
    table: AnnounceQueue,
    threads: usize,
    places: Vec<PlaceId>,
    now: Duration,
    /// The running tasks, with their places and the times at which they end.
    running: Vec<(TaskId, usize, Duration)>,
    /// When each task is due, and its place.
    tasks: Vec<(Duration, usize)>,
    /// The longest delay of a task beyond its due time, by whether its place hangs.
    late: [Duration; 2],
    most: usize,
}

/// How long an announce takes. One that hangs fails after `SILENCE`, and is due again at once.
const ANSWER: Duration = Duration::from_millis(300);
const SILENCE: Duration = seconds(15);
const INTERVAL: Duration = seconds(300);
const STEP: Duration = Duration::from_millis(100);

impl Simulation {
    fn new(places: usize, tasks: impl Iterator<Item = usize>) -> Simulation {
        let mut table = AnnounceQueue::new(32);
        let places: Vec<_> = (0..places).map(|n| table.place(&n.to_string())).collect();
        let tasks: Vec<_> = tasks.map(|place| (Duration::ZERO, place)).collect();
        for (due, place) in &tasks {
            table.add(*due, vec![places[*place]]);
        }
        let (running, late, most) = (Vec::new(), [Duration::ZERO; 2], 0);
        Simulation { table, threads: 32, places, now: Duration::ZERO, running, tasks, late, most }
    }

    fn run(&mut self, until: Duration, hangs: impl Fn(usize) -> bool) {
        while self.now < until {
            let now = self.now;
            let (ended, running) = self.running.drain(..).partition(|(_, _, end)| *end <= now);
            self.running = running;
            let ended: Vec<(TaskId, usize, Duration)> = ended;
            for (task, place, _) in ended {
                let due = if hangs(place) { now } else { now + INTERVAL };
                self.tasks[task.0].0 = due;
                self.table.done(task, hangs(place), Some((due, vec![self.places[place]])));
            }
            while self.running.len() < self.threads {
                let Turn::Do(task, nth) = self.table.turn(now) else { break };
                let (due, place) = self.tasks[task.0];
                let late = &mut self.late[usize::from(hangs(place))];
                *late = (*late).max(now - due);
                self.table.begin(task, nth);
                let takes = if hangs(place) { SILENCE } else { ANSWER };
                self.running.push((task, place, now + takes));
            }
            self.most = self.most.max(self.running.len());
            self.now += STEP;
        }
    }
}

#[test]
fn of_three_hundred_datasets_with_the_same_trackers_dead_ones_delay_no_others() {
    // Two of every five places hang.
    let mut it = Simulation::new(5, (0..1_500).map(|n| n % 5));
    it.run(INTERVAL / 2, |place| place < 2);
    // At first the two places take eight threads each, which leaves sixteen for 900 announces of
    // 0.3 s.
    assert!(it.late[0] < seconds(17) && it.most == 32, "{:?} {}", it.late, it.most);
    it.late = [Duration::ZERO; 2];
    it.run(seconds(1_200), |place| place < 2);
    // Then there are 300 tasks at each of three places, eight at a time: 11.4 s, as if the two did
    // not exist.
    assert!(it.late[0] < seconds(12), "{:?}", it.late);
    assert_eq!(it.running.iter().filter(|(_, place, _)| *place < 2).count(), 2);
    // The two places recover, and all of their tasks are done within a few seconds.
    it.late = [Duration::ZERO; 2];
    let back = it.now;
    it.run(back + SILENCE + seconds(12), |_| false);
    assert!(it.tasks.iter().all(|(due, _)| *due > it.now), "{:?}", it.now);
}

#[test]
fn many_dead_trackers_of_their_own_cost_the_others_one_wait_and_then_nothing() {
    let mut it = Simulation::new(100, 0..100);
    it.run(SILENCE * 3, |place| place < 50);
    // 32 threads wait in vain. Then every place gets its turn: 18 more threads wait, while the
    // others announce.
    assert!(it.late[0] <= SILENCE + ANSWER * 4, "{:?}", it.late);
    it.late = [Duration::ZERO; 2];
    it.run(seconds(1_200), |place| place < 50);
    assert!(it.late[0] <= ANSWER * 2, "{:?}", it.late);
    // Hanging places are not forgotten: all 50 are asked, 16 at a time.
    assert!(it.late[1] <= SILENCE * 4, "{:?}", it.late);
}

#[test]
fn places_of_a_torrent_with_very_many_trackers_are_found_at_once() {
    crate::tests::assert_linear(|count| {
        let mut table = AnnounceQueue::new(32);
        let names: Vec<_> = (0..count).map(|n| format!("http://t{n}.example:80")).collect();
        let places: Vec<_> = names.iter().map(|name| table.place(name)).collect();
        assert!(names.iter().zip(&places).all(|(name, place)| table.place(name) == *place));
    });
}
