//! Starts a broker in memory again and again, and tells how long it took until it was ready.
//!
//! `starts --cohort FILE [--count N]`. A start has gone well if the broker says on standard output
//! that it is ready, and ends with exit code 0 after SIGTERM. `scripts/starts` builds both.

use std::env;
use std::error::Error;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// What was asked for.
struct Asked {
    cohort: String,
    count: usize,
}

impl Asked {
    fn of(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let (mut cohort, mut count) = (None, 10_000);
        while let Some(name) = arguments.next() {
            let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
            match name.as_str() {
                "--cohort" => cohort = Some(value),
                "--count" => count = value.parse().map_err(|e| format!("--count {value}: {e}"))?,
                _ => return Err(format!("unknown: {name}; expected --cohort FILE, --count N")),
            }
        }
        match (cohort, count) {
            (Some(cohort), 1..) => Ok(Self { cohort, count }),
            _ => Err("expected --cohort FILE, and a --count of at least 1".to_owned()),
        }
    }
}

/// Starts a broker and ends it; how long it took until it was ready.
fn start(cohort: &str) -> Result<Duration, Box<dyn Error>> {
    let begun = Instant::now();
    let mut child = Command::new(cohort)
        .args(["serve", "--dev", "--kafka", "127.0.0.1:0", "--log", "warn"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let ended = ready_and_over(&mut child, begun);
    if ended.is_err() {
        // It may have ended already.
        let _gone = child.kill();
        child.wait()?;
    }
    ended
}

fn ready_and_over(child: &mut Child, begun: Instant) -> Result<Duration, Box<dyn Error>> {
    let mut stdout = BufReader::new(child.stdout.take().ok_or("no standard output")?);
    let mut line = String::new();
    stdout.read_line(&mut line)?;
    let took = begun.elapsed();
    let mut said = String::new();
    if !line.contains(r#""ready":true"#) {
        child.kill()?;
        child.stderr.take().ok_or("no standard error")?.read_to_string(&mut said)?;
        return Err(format!("not ready: {line}{said}").into());
    }
    let told = Command::new("kill").arg(child.id().to_string()).status()?;
    if !told.success() {
        return Err("it is gone before it was told to end".into());
    }
    child.stderr.take().ok_or("no standard error")?.read_to_string(&mut said)?;
    let status = child.wait()?;
    match status.success() {
        true => Ok(took),
        false => Err(format!("it ended with {status}: {said}").into()),
    }
}

fn main() -> ExitCode {
    let mut out = io::stdout().lock();
    let asked = match Asked::of(env::args().skip(1)) {
        Ok(asked) => asked,
        Err(problem) => {
            // Nobody is left to tell if standard error is closed too.
            let _told = writeln!(io::stderr(), "starts: {problem}");
            return ExitCode::from(2);
        }
    };
    let (mut took, mut failures) = (Vec::with_capacity(asked.count), 0);
    for number in 1..=asked.count {
        match start(&asked.cohort) {
            Ok(time) => took.push(time),
            Err(problem) => {
                failures += 1;
                let _told = writeln!(io::stderr(), "start {number}: {problem}");
            }
        }
    }
    took.sort_unstable();
    let at = |part: f64| took.get(((took.len() as f64 * part) as usize).min(took.len() - 1));
    let ms = |part| at(part).map_or(0.0, |time| time.as_secs_f64() * 1e3);
    let said = if took.is_empty() {
        Ok(())
    } else {
        let (half, most, worst) = (ms(0.5), ms(0.99), ms(1.0));
        writeln!(out, "until ready: p50 {half:.1} ms, p99 {most:.1} ms, worst {worst:.1} ms")
    };
    let said = said.and_then(|()| writeln!(out, "{} starts, {failures} failed", asked.count));
    if failures == 0 && said.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
