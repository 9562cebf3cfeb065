//! The binary: arguments, logs, standard input and output.

use std::io::{self, Read, Write};
use std::process::ExitCode;
use std::thread;

use cohort::config::Config;
use cohort::limits;
use cohort::listeners::maelstrom::outbox::Outbox;
use cohort::listeners::maelstrom::stdio;
use raft_store::Storage;
use tokio::sync::mpsc;
use tracing_subscriber::EnvFilter;

/// openraft warns of every message that got lost, and messages are lost often here.
const DEFAULT_LOG: &str = "warn,openraft=error";

fn main() -> ExitCode {
    let config = match Config::parse_from(std::env::args_os()) {
        Ok(config) => config,
        Err(error) if !error.use_stderr() => {
            // Help and version were asked for.
            return if error.print().is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        }
        Err(error) => return wrong_use(&error.to_string()),
    };
    if let Err(problem) = log_to_stderr(config.log.as_deref()) {
        return wrong_use(&problem);
    }
    let (sender, input) = mpsc::channel(limits::INPUT_CHUNKS);
    thread::spawn(move || read_stdin(&sender));
    let outbox = Outbox::default();
    let writer = {
        let outbox = outbox.clone();
        thread::spawn(move || outbox.write_to(io::stdout().lock()))
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_time().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "no runtime");
            return ExitCode::FAILURE;
        }
    };
    let ended = runtime.block_on(stdio::run(config, Storage::default(), input, outbox));
    // What a blocking task is still at (a snapshot) is of no use any more.
    runtime.shutdown_background();
    let written = writer.join().unwrap_or_else(|_| Err(io::Error::other("the writer panicked")));
    match (ended, written) {
        (Ok(()), Ok(())) => ExitCode::SUCCESS,
        (Err(error), _) => {
            tracing::error!(%error, "the node has stopped");
            ExitCode::FAILURE
        }
        (_, Err(error)) => {
            tracing::error!(%error, "standard output cannot be written");
            ExitCode::FAILURE
        }
    }
}

/// One clear line, and exit code 2.
fn wrong_use(problem: &str) -> ExitCode {
    let line = problem.lines().find(|line| !line.trim().is_empty()).unwrap_or("wrong use");
    let line = line.strip_prefix("error: ").unwrap_or(line);
    // Nobody is left to tell if standard error is closed too.
    let _told = writeln!(io::stderr(), "cohort: {line} (see --help)");
    ExitCode::from(2)
}

fn log_to_stderr(level: Option<&str>) -> Result<(), String> {
    let from_env = std::env::var("RUST_LOG").ok();
    let filter = level.map(str::to_owned).or(from_env).unwrap_or_else(|| DEFAULT_LOG.to_owned());
    let filter = EnvFilter::try_new(&filter).map_err(|e| {
        format!("log filter `{filter}`: {e}; expected error, warn, info, debug, trace or a filter")
    })?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(false)
        .init();
    Ok(())
}

fn read_stdin(sender: &mpsc::Sender<Vec<u8>>) {
    let mut stdin = io::stdin().lock();
    let mut chunk = vec![0; limits::INPUT_CHUNK];
    loop {
        match stdin.read(&mut chunk) {
            Ok(0) => return,
            Ok(len) => {
                // A copy takes what was read, and most pieces are small.
                if sender.blocking_send(chunk[..len].to_vec()).is_err() {
                    return;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                tracing::error!(%error, "standard input cannot be read");
                return;
            }
        }
    }
}
