//! Every crash that a scripted run can have.
//!
//! The run is recorded operation by operation. For each beginning of it the power fails, and every
//! subset of what was not synced survives; a sample of them where there are many.

use std::time::Duration;

use runtime::files::simulated::{Operation, SimFiles};

use super::model::{Timeline, Universe};
use super::run::{Run, Step, found, in_host, open, states_agree};

/// So many things that a crash may take are tried in every combination.
const EXHAUSTIVE: usize = 12;

/// Where there are more, so many combinations are tried.
const SAMPLED: u64 = 200;

/// Elections, conflicts, checkpoints, a leader's snapshots, and enough entries that segments of
/// the log are filled and used again.
const SCRIPT: [Step; 41] = [
    Step::Vote,
    Step::Append(4, 300),
    Step::Send(2, 100),
    Step::Send(1, 100),
    Step::Commit(3),
    Step::Truncate(2),
    Step::Vote,
    Step::Append(4, 350),
    Step::Commit(2),
    Step::Snapshot,
    Step::Purge(1),
    Step::Append(9, 400),
    Step::Heard,
    Step::Seal,
    Step::Restart,
    Step::Append(6, 350),
    Step::Commit(2),
    Step::Snapshot,
    Step::Purge(0),
    Step::Vote,
    Step::Append(10, 450),
    Step::Commit(1),
    Step::Snapshot,
    Step::Purge(2),
    Step::Send(3, 200),
    // It is ahead of the log.
    Step::Install(12),
    Step::Append(2, 200),
    Step::Restart,
    Step::Append(5, 300),
    Step::Commit(4),
    Step::Heard,
    // It ends where the log has another entry.
    Step::Install(2),
    Step::Sync,
    Step::Append(12, 500),
    Step::Send(2, 300),
    Step::Vote,
    Step::Commit(3),
    Step::Snapshot,
    Step::Purge(0),
    Step::Append(8, 500),
    Step::Vote,
];

/// What was done to a disk, and what has to be found on it.
pub struct Recorded {
    pub operations: Vec<Operation>,
    pub timeline: Timeline,
    pub universe: Universe,
}

/// Runs the script. A sync takes so long.
pub async fn script(sync_time: Duration) -> Recorded {
    let files = SimFiles::new(1);
    files.slow_syncs(sync_time..=sync_time);
    let mut run = Run::begin(files).await.expect("an empty folder");
    for step in SCRIPT {
        run.step(step).await.expect("nothing fails");
    }
    let Run { files, timeline, universe, .. } = run;
    Recorded { operations: files.recorded(), timeline, universe }
}

/// Opens what a crash left, and compares.
pub async fn check(disk: &SimFiles, run: &Recorded, operations: usize) -> Result<(), String> {
    let mut storage = open(disk).await.map_err(|refused| format!("refused: {refused}"))?;
    let found = found(&mut storage).await;
    run.timeline.check(&found, operations)?;
    states_agree(&mut storage, &found, &run.universe).await
}

/// The bits of a number, then those that follow from it.
struct Bits(u64);

impl Bits {
    fn next(&mut self) -> bool {
        // SplitMix64's step is enough to sample subsets.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed ^ (mixed >> 27)) >> 63 == 1
    }
}

#[tokio::test(start_paused = true)]
async fn after_every_crash_nothing_that_was_acknowledged_is_missing() {
    let run = in_host(script(Duration::ZERO)).await;
    let whole = run.operations.len();
    let (mut images, mut exhaustive) = (0_u64, 0_u64);
    for upto in 1..=whole {
        let disk = SimFiles::replay(&run.operations[..upto]);
        let unsynced = disk.unsynced().len();
        let all = unsynced <= EXHAUSTIVE;
        exhaustive += u64::from(all);
        let subsets = if all { 1 << unsynced } else { SAMPLED };
        for subset in 0..subsets {
            let disk = disk.fork();
            let (mut bits, mut at) = (Bits(subset + 1_000 * upto as u64), 0);
            disk.crash_keeping(&mut |_| {
                at += 1;
                if all { subset >> (at - 1) & 1 == 1 } else { bits.next() }
            });
            let checked = in_host(check(&disk, &run, upto)).await;
            checked.unwrap_or_else(|problem| {
                panic!("operation {upto} of {whole}, subset {subset} of {unsynced}: {problem}")
            });
            images += 1;
        }
    }
    println!("{whole} operations, {images} images, every subset of {exhaustive} beginnings");
    assert!(images > 50_000 && exhaustive > 200, "{images} images, {exhaustive} exhaustive");
}

#[tokio::test(start_paused = true)]
async fn while_a_sync_is_under_way_a_crash_loses_only_what_nobody_was_told_of() {
    let run = in_host(script(Duration::from_millis(3))).await;
    let whole = run.operations.len();
    let mut images = 0_u64;
    for upto in 1..=whole {
        let disk = SimFiles::replay(&run.operations[..upto]);
        for seed in 0..20 {
            let disk = disk.fork();
            disk.set_seed(1_000 * upto as u64 + seed);
            disk.torn_pages(true);
            disk.slow_syncs(Duration::ZERO..=Duration::ZERO);
            disk.crash();
            let checked = in_host(check(&disk, &run, upto)).await;
            checked.unwrap_or_else(|problem| {
                panic!("operation {upto} of {whole}, seed {seed}: {problem}")
            });
            images += 1;
        }
    }
    println!("{whole} operations, {images} images with torn pages");
    assert!(images > 5_000, "{images} images");
}

#[tokio::test(start_paused = true)]
async fn a_killed_process_loses_nothing_that_it_wrote() {
    let run = in_host(script(Duration::ZERO)).await;
    for upto in 1..=run.operations.len() {
        let disk = SimFiles::replay(&run.operations[..upto]);
        disk.restart();
        let checked = in_host(check(&disk, &run, upto)).await;
        checked.unwrap_or_else(|problem| panic!("operation {upto}: {problem}"));
        // The power fails right after the start.
        disk.crash();
        let checked = in_host(check(&disk, &run, upto)).await;
        checked.unwrap_or_else(|problem| panic!("operation {upto}, then a crash: {problem}"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_crash_during_the_start_after_a_crash_loses_nothing() {
    let run = in_host(script(Duration::ZERO)).await;
    let mut images = 0_u64;
    for upto in (1..=run.operations.len()).step_by(5) {
        let disk = SimFiles::replay(&run.operations[..upto]);
        disk.set_seed(upto as u64);
        disk.torn_pages(true);
        disk.crash();
        disk.record();
        in_host(check(&disk, &run, upto)).await.expect("checked elsewhere");
        let started = disk.recorded();
        for during in 1..=started.len() {
            let disk = SimFiles::replay(&started[..during]);
            disk.set_seed((1_000 * upto + during) as u64);
            disk.crash();
            let checked = in_host(check(&disk, &run, upto)).await;
            checked.unwrap_or_else(|problem| {
                panic!("operation {upto}, then {during} of the start: {problem}")
            });
            images += 1;
        }
    }
    println!("{images} images of crashes during a start");
    assert!(images > 1_000, "{images} images");
}
