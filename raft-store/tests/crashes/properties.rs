//! Random runs with random crashes and faults.

use std::time::Duration;

use proptest::prelude::*;
use runtime::files::simulated::SimFiles;

use super::run::{Run, Step, in_host};

/// What happens next.
#[derive(Debug, Clone, Copy)]
enum Event {
    /// The node is told something.
    Step(Step),
    /// The power fails.
    Crash,
    /// The process is killed, and the machine goes on.
    Kill,
    /// The sync after so many others fails.
    FailSync(u64),
    /// There is room for so many more pages.
    LeaveRoom(u64),
    /// A moment passes.
    Idle,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1..6_u64, 70..900_usize).prop_map(|(count, bytes)| Step::Append(count, bytes)),
        6 => (1..4_u64, 70..900_usize).prop_map(|(count, bytes)| Step::Send(count, bytes)),
        3 => Just(Step::Vote),
        2 => (1..5_u64).prop_map(Step::Truncate),
        4 => (0..4_u64).prop_map(Step::Commit),
        2 => Just(Step::Apply),
        3 => Just(Step::Snapshot),
        3 => (0..4_u64).prop_map(Step::Purge),
        1 => (0..12_u64).prop_map(Step::Install),
        1 => Just(Step::Heard),
        1 => Just(Step::Seal),
        1 => Just(Step::Sync),
        1 => Just(Step::Restart),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        30 => step().prop_map(Event::Step),
        2 => Just(Event::Crash),
        2 => Just(Event::Kill),
        1 => (1..6_u64).prop_map(Event::FailSync),
        1 => (0..4_u64).prop_map(Event::LeaveRoom),
        2 => Just(Event::Idle),
    ]
}

/// The node is gone; the disk is well again, and has all that it must have.
async fn start_again(run: &mut Run, power_fails: bool) -> Result<(), String> {
    let journal_failed = run.files.names_failed();
    run.files.mend();
    if power_fails || journal_failed {
        run.power_fails();
    } else {
        run.killed();
    }
    run.start_again().await
}

async fn live(seed: u64, slow: bool, torn: bool, events: Vec<Event>) -> Result<(), String> {
    let files = SimFiles::new(seed);
    files.torn_pages(torn);
    if slow {
        files.slow_syncs(Duration::from_millis(1)..=Duration::from_millis(5));
    }
    let mut run = Run::begin(files).await.map_err(|refused| refused.to_string())?;
    for (i, event) in events.into_iter().enumerate() {
        let at = |problem| format!("event {i}, {event:?}: {problem}");
        match event {
            Event::Step(step) => {
                // A node whose disk has failed stops.
                if run.step(step).await.is_err() || run.storage.log.failure().is_some() {
                    start_again(&mut run, i % 2 == 0).await.map_err(at)?;
                }
            }
            Event::Crash => start_again(&mut run, true).await.map_err(at)?,
            Event::Kill => start_again(&mut run, false).await.map_err(at)?,
            Event::FailSync(nth) => run.files.fail_sync(nth),
            Event::LeaveRoom(pages) => run.files.leave_room(4_096 * pages),
            Event::Idle => tokio::time::sleep(Duration::from_millis(3)).await,
        }
    }
    start_again(&mut run, true).await
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_nothing_that_was_acknowledged_is_lost(
        seed in any::<u64>(),
        slow in any::<bool>(),
        torn in any::<bool>(),
        events in prop::collection::vec(event(), 1..70),
    ) {
        let tokio = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        let lived = tokio.block_on(in_host(live(seed, slow, torn, events)));
        prop_assert!(lived.is_ok(), "{}", lived.unwrap_err());
    }
}
