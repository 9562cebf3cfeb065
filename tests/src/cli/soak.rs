//! `arena soak`: case after case; what fails is kept.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use cohort::config::Config;
use raft_store::flaws::Flaw;

use super::output::{complain, say};
use super::{TargetName, Trouble, target, write};
use crate::run::case::{Case, Finished};
use crate::run::soak::{Tally, soak};
use crate::targets::TargetError;
use crate::targets::sim::Sim;
use crate::workloads::Kind;

#[derive(Debug, Clone, Args)]
pub(super) struct SoakArgs {
    /// Where the nodes run.
    #[arg(long, value_enum, default_value = "sim")]
    stage: TargetName,
    /// Stops after so many minutes.
    #[arg(long)]
    minutes: Option<f64>,
    /// Stops after so many cases; 100 where no time is given either.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    cases: Option<u64>,
    /// The first seed; each case takes the next one.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// One workload instead of all five.
    #[arg(long)]
    workload: Option<String>,
    /// Tells where it stands after so many cases each.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    every: u64,
    /// Puts a fault into every node on purpose, to see it found; only with `--stage sim`. A wrong
    /// name lists all.
    #[arg(long, value_name = "NAME")]
    flaw: Option<Flaw>,
    /// The program to test; `cohort` beside this one where it is not given.
    #[arg(long, value_name = "PATH")]
    bin: Option<PathBuf>,
}

/// Case after case; a failing one keeps its history and says how to repeat it.
pub(super) fn soak_cases(args: &SoakArgs) -> Result<u8, Trouble> {
    let until = args
        .minutes
        .map(|minutes| Instant::now() + Duration::from_secs_f64(minutes.max(0.0) * 60.0));
    let cases = args.cases.unwrap_or(if until.is_some() { u64::MAX } else { 100 });
    let workloads: Vec<Kind> = match &args.workload {
        Some(name) => {
            vec![
                Kind::with_lines(name)
                    .ok_or_else(|| Trouble::Use(format!("no workload `{name}`")))?,
            ]
        }
        None => Kind::ALL.to_vec(),
    };
    let logs = |case: &Case| {
        PathBuf::from("arena-out").join(format!("soak-{}-{}", case.target, case.seed))
    };
    if args.stage == TargetName::Wire {
        let better =
            "soak has the stages real and sim; `arena judge` is for brokers of Kafka's wire";
        return Err(Trouble::Use(better.to_owned()));
    }
    let target_name = if args.stage == TargetName::Real { "real" } else { "sim" };
    // What a target can do is the same for every case.
    let as_asked = |case: &Case| Case { bin: args.bin.clone(), flaw: args.flaw, ..case.clone() };
    let any =
        Case { target: target_name, ..Case::swarm(0, &Sim::new(0, Config::default()), &workloads) };
    let able = target(&as_asked(&any), Path::new("arena-out"))?;
    let mut target_of = |case: &Case| target(&as_asked(case), &logs(case));
    let mut trouble = None;
    let mut end = |case: &Case, finished: &Result<Finished, TargetError>, tally: &Tally| {
        let case = as_asked(case);
        let folder = logs(&case);
        let failed = match finished {
            Err(trouble) => Some(trouble.to_string()),
            Ok(Finished { outcome, judgement, .. }) => {
                let wrong = (judgement.exit_code() != 0).then(|| judgement.summary());
                outcome.failure.clone().or(wrong)
            }
        };
        if let Some(what) = failed {
            say!("seed {}: {what}\n  repeat with {}", case.seed, case.repeat());
            if let Ok(Finished { outcome, .. }) = finished {
                let file = folder.join("history.jsonl");
                say!("  history     {}", file.display());
                trouble = write(&file, |file| outcome.history.write(file)).err().or(trouble.take());
            }
        } else if args.stage == TargetName::Real {
            // Nobody reads the logs of a run that went well.
            let _kept = std::fs::remove_dir_all(folder);
        }
        if tally.cases.is_multiple_of(args.every) {
            complain!("{}", tally.summary());
        }
    };
    let seeds = (args.from..).take(usize::try_from(cases).unwrap_or(usize::MAX));
    let tally = soak(seeds, until, &workloads, &mut target_of, &*able, &mut end)?;
    if let Some(trouble) = trouble {
        return Err(trouble);
    }
    for (fault, count) in &tally.faults {
        say!("faults      {count} {fault}");
    }
    say!("{}", tally.summary());
    let code = if tally.anomalies > 0 { 1 } else { u8::from(tally.unknown > 0) * 2 };
    say!("{} from seed {}", ["valid", "anomaly", "unknown"][usize::from(code)], args.from);
    Ok(code)
}
