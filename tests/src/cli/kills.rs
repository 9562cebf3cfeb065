//! `arena kills`: real processes are killed until that has happened so many times.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use clap::Args;

use super::output::{complain, say, say_on};
use super::{Trouble, program, write};
use crate::run::case::Case;
use crate::run::kills::{Tally, case, schedule};
use crate::targets::process::Processes;

#[derive(Debug, Clone, Args)]
pub(super) struct KillsArgs {
    /// Stops after so many kills.
    #[arg(long, default_value_t = 1_000)]
    count: usize,
    /// Stops after so many minutes, if that is earlier.
    #[arg(long)]
    minutes: Option<f64>,
    /// The first seed; each case takes the next one.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// So many clusters at once.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=16))]
    jobs: u8,
    /// The program to test; `cohort` beside this one where it is not given.
    #[arg(long, value_name = "PATH")]
    bin: Option<PathBuf>,
}

/// What the clusters that run at once share.
struct Shared<'a> {
    args: &'a KillsArgs,
    program: PathBuf,
    until: Option<Instant>,
    next: AtomicU64,
    enough: AtomicBool,
    tally: Mutex<Tally>,
}

/// Case after case, until there were kills enough. What fails is kept.
pub(super) fn kill_processes(args: &KillsArgs) -> Result<u8, Trouble> {
    let until = args
        .minutes
        .map(|minutes| Instant::now() + Duration::from_secs_f64(minutes.max(0.0) * 60.0));
    let shared = Shared {
        args,
        program: program(args.bin.as_ref())?,
        until,
        next: AtomicU64::new(args.seed),
        enough: AtomicBool::new(false),
        tally: Mutex::default(),
    };
    let ended: Vec<Result<(), Trouble>> = std::thread::scope(|scope| {
        let started: Vec<_> = (0..args.jobs).map(|_| scope.spawn(|| shared.work())).collect();
        let panicked = |_| Err(Trouble::Run("a case panicked".to_owned()));
        started.into_iter().map(|job| job.join().unwrap_or_else(panicked)).collect()
    });
    ended.into_iter().collect::<Result<(), Trouble>>()?;
    let tally = shared.tally.into_inner().unwrap_or_else(PoisonError::into_inner);
    say_on!("{}", tally.summary());
    let good = tally.good();
    say!("{} from seed {}", if good { "valid" } else { "anomaly" }, args.seed);
    Ok(u8::from(!good))
}

impl Shared<'_> {
    fn work(&self) -> Result<(), Trouble> {
        loop {
            let late = self.until.is_some_and(|until| Instant::now() >= until);
            if late || self.enough.load(Ordering::Relaxed) {
                return Ok(());
            }
            let seed = self.next.fetch_add(1, Ordering::Relaxed);
            if let Err(trouble) = self.run(case(seed)) {
                self.enough.store(true, Ordering::Relaxed);
                return Err(trouble);
            }
        }
    }

    fn run(&self, mut case: Case) -> Result<(), Trouble> {
        let folder = PathBuf::from("arena-out").join(format!("kills-{}", case.seed));
        let mut target = Processes::new(&self.program, case.args.clone(), &folder);
        let schedule = schedule(&case);
        let finished = case.perform(&mut target, schedule.clone(), &mut |_, _| {})?;
        let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        let wrong = tally.add(&case, &finished);
        if tally.kills() >= self.args.count {
            self.enough.store(true, Ordering::Relaxed);
        }
        let kills = tally.kills();
        drop(tally);
        complain!(
            "seed {}: {} on {} nodes; {kills} kills so far",
            case.seed,
            case.workload.name(),
            case.nodes
        );
        let Some(what) = wrong else {
            // Nobody reads the logs of a run that went well.
            let _kept = std::fs::remove_dir_all(folder);
            return Ok(());
        };
        let path = folder.join("schedule.json");
        write(&path, |file| Ok(serde_json::to_writer(file, &schedule)?))?;
        write(&folder.join("history.jsonl"), |file| finished.outcome.history.write(file))?;
        (case.schedule, case.bin) = (Some(path), self.args.bin.clone());
        say!("seed {}: {what}\n  repeat with {}", case.seed, case.repeat());
        say!("{}", finished.judgement);
        Ok(())
    }
}
