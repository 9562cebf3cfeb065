//! The binary: arguments, logs, standard input and output.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};

use cohort::config::dev::Dev;
use cohort::config::serve::{LogFormat, Serve};
use cohort::config::{Config, Inspect};
use cohort::limits;
use cohort::listeners::maelstrom::outbox::Outbox;
use cohort::listeners::maelstrom::stdio::{self, Chunk, NodeError};
use cohort::serve::{ServeError, open_storage};
use raft_store::{Inspected, OpenError};
use runtime::Instant;
use runtime::files::Files;
use runtime::files::os::OsFiles;
use runtime::net;
use tokio::runtime::Builder;
use tokio::sync::mpsc;
use tracing_subscriber::EnvFilter;

/// musl's own allocator takes twice the time (`docs/performance.md`).
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// openraft warns of every message that got lost, and messages are lost often here.
const DEFAULT_LOG: &str = "warn,openraft=error";

/// The exit code of a data folder that is refused.
const REFUSED: u8 = 3;

fn main() -> ExitCode {
    let mut args = std::env::args_os();
    if args.nth(1).is_some_and(|command| command == "serve") {
        return serve(args.collect());
    }
    if std::env::args_os().nth(1).is_some_and(|command| command == "dev") {
        return dev(std::env::args_os().skip(2).collect());
    }
    let config = match Config::parse_from(std::env::args_os()) {
        Ok(config) => config,
        Err(error) if !error.use_stderr() => {
            // Help and version were asked for.
            return if error.print().is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        }
        Err(error) => return wrong_use(&error.to_string()),
    };
    if let Some(Inspect { dir, groups }) = &config.inspect {
        return inspect(dir, *groups);
    }
    if let Err(problem) = log_to_stderr(config.log.as_deref(), LogFormat::Text) {
        return wrong_use(&problem);
    }
    json(config)
}

/// A node of the JSON protocol, from its first line to the end of its input.
fn json(config: Config) -> ExitCode {
    let mut builder = Builder::new_current_thread();
    // Only a node with files watches signals, and so needs a runtime that does.
    let builder = match config.data_dir {
        Some(_) => builder.enable_all(),
        None => builder.enable_time(),
    };
    let runtime = match builder.build() {
        Ok(runtime) => runtime,
        Err(error) => return no_threads(&error),
    };
    if config.data_dir.is_some()
        && let Err(error) = runtime.block_on(async { net::survive_limits_of_files() })
    {
        tracing::error!(%error, "signals cannot be watched");
        return ExitCode::FAILURE;
    }
    // Before anything is read: a folder that is refused is refused at once.
    let storage = match runtime.block_on(open_storage(config.data_dir.as_deref(), config.moved)) {
        Ok(storage) => storage,
        Err(refused) => return refuse(config.data_dir.as_deref(), &refused),
    };
    let data_dir = config.data_dir.clone();
    let outbox = Outbox::default();
    let Stdio { input, unread, writer } = match Stdio::start(outbox.clone()) {
        Ok(stdio) => stdio,
        Err(error) => return no_threads(&error),
    };
    let ended = runtime.block_on(stdio::run(config, storage, input, outbox));
    // What a blocking task is still at (a snapshot) is of no use any more.
    runtime.shutdown_background();
    let written = writer.join().unwrap_or_else(|_| Err(io::Error::other("the writer panicked")));
    match (ended, written, unread.get()) {
        (Ok(()), Ok(()), None) => ExitCode::SUCCESS,
        (Err(NodeError::Folder(refused)), ..) => refuse(data_dir.as_deref(), &refused),
        (Ok(()) | Err(NodeError::Output), Err(error), _) => {
            tracing::error!(%error, "standard output cannot be written");
            ExitCode::FAILURE
        }
        (Err(error), ..) => {
            tracing::error!(%error, "the node has stopped");
            ExitCode::FAILURE
        }
        (_, _, Some(error)) => {
            tracing::error!(%error, "standard input cannot be read");
            ExitCode::FAILURE
        }
    }
}

/// The threads that wait for standard input and output.
struct Stdio {
    input: mpsc::Receiver<Chunk>,
    /// Why the input ended before its end. It is known before the input has ended.
    unread: Arc<OnceLock<io::Error>>,
    writer: JoinHandle<io::Result<()>>,
}

impl Stdio {
    /// # Errors
    /// Where the operating system has no threads left.
    fn start(outbox: Outbox) -> io::Result<Self> {
        let (sender, input) = mpsc::channel(limits::INPUT_CHUNKS);
        let unread = Arc::<OnceLock<io::Error>>::default();
        let read = {
            let unread = unread.clone();
            move || read_stdin(&sender, &unread)
        };
        let write = move || outbox.write_to(io::stdout().lock());
        let writer = thread::Builder::new().name("stdout".to_owned()).spawn(write)?;
        // It ends with the process: nothing ends a read.
        thread::Builder::new().name("stdin".to_owned()).spawn(read)?;
        Ok(Self { input, unread, writer })
    }
}

/// One clear line, and exit code 1.
fn no_threads(error: &io::Error) -> ExitCode {
    tracing::error!(%error, "no runtime, or no thread for it");
    ExitCode::FAILURE
}

/// A broker for Kafka's clients.
fn serve(args: Vec<OsString>) -> ExitCode {
    let serve = match Serve::parse_from(args) {
        Ok(serve) => serve,
        Err(error) if !error.use_stderr() => {
            return if error.print().is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        }
        Err(error) => return wrong_use(&error.to_string()),
    };
    let print = |text: &str| {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes()).and_then(|()| out.flush())
    };
    let format = serve.log_format;
    if let Some(text) = &serve.print {
        return if print(text).is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    if let Err(problem) = log_to_stderr(serve.config.log.as_deref(), format) {
        return wrong_use(&problem);
    }
    let runtime = match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return no_threads(&error),
    };
    let ended = runtime.block_on(cohort::serve::run(serve, |ready| print(&ready.line())));
    runtime.shutdown_background();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        // Who reads lines of JSON cannot read another.
        Err(error) if format == LogFormat::Json => {
            tracing::error!("{error}");
            if error.is_of_folder() { ExitCode::from(REFUSED) } else { ExitCode::FAILURE }
        }
        Err(ServeError::Folder { folder, refused }) => refuse(Some(&folder), &refused),
        Err(error) => {
            // Nobody is left to tell if standard error is closed too.
            let _told = writeln!(io::stderr(), "cohort: {error}");
            if error.is_of_folder() { ExitCode::from(REFUSED) } else { ExitCode::FAILURE }
        }
    }
}

/// Hands on time: asks a node that runs with `--dev`.
fn dev(args: Vec<OsString>) -> ExitCode {
    let dev = match Dev::parse_from(args) {
        Ok(dev) => dev,
        Err(error) if !error.use_stderr() => {
            return if error.print().is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        }
        Err(error) => return wrong_use(&error.to_string()),
    };
    let runtime = match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return dev_failed(&error),
    };
    match runtime.block_on(cohort::dev::run(&dev)) {
        Ok(text) if io::stdout().write_all(text.as_bytes()).is_ok() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => dev_failed(&error),
    }
}

fn dev_failed(problem: &dyn std::fmt::Display) -> ExitCode {
    // Nobody is left to tell if standard error is closed too.
    let _told = writeln!(io::stderr(), "cohort dev: {problem}");
    ExitCode::FAILURE
}

/// Says what is in a data folder; exit code 3 where a node would be refused.
fn inspect(dir: &Path, groups: bool) -> ExitCode {
    let files: Arc<dyn Files> = Arc::new(OsFiles::new(dir.to_owned()));
    let Inspected { text, refused } = raft_store::inspect(&files, groups);
    if io::stdout().write_all(text.as_bytes()).is_err() {
        return ExitCode::FAILURE;
    }
    refused.map_or(ExitCode::SUCCESS, |refused| refuse(Some(dir), &refused))
}

/// One clear line, and exit code 3: the data folder is refused.
fn refuse(data_dir: Option<&Path>, refused: &OpenError) -> ExitCode {
    let folder = data_dir.unwrap_or(Path::new("")).display();
    // Nobody is left to tell if standard error is closed too.
    let _told = writeln!(io::stderr(), "cohort: data folder {folder} is refused: {refused}");
    ExitCode::from(REFUSED)
}

/// One clear line, and exit code 2.
fn wrong_use(problem: &str) -> ExitCode {
    let line = problem.lines().find(|line| !line.trim().is_empty()).unwrap_or("wrong use");
    let line = line.strip_prefix("error: ").unwrap_or(line);
    // Nobody is left to tell if standard error is closed too.
    let _told = writeln!(io::stderr(), "cohort: {line} (see --help)");
    ExitCode::from(2)
}

fn log_to_stderr(level: Option<&str>, format: LogFormat) -> Result<(), String> {
    let from_env = std::env::var("RUST_LOG").ok();
    let filter = level.map(str::to_owned).or(from_env).unwrap_or_else(|| DEFAULT_LOG.to_owned());
    let filter = EnvFilter::try_new(&filter).map_err(|e| {
        format!("log filter `{filter}`: {e}; expected error, warn, info, debug, trace or a filter")
    })?;
    let logs =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(false);
    match format {
        LogFormat::Text => logs.init(),
        LogFormat::Json => logs.json().flatten_event(true).init(),
    }
    Ok(())
}

/// Reads until the end, or until it cannot: `unread` says why then.
fn read_stdin(sender: &mpsc::Sender<Chunk>, unread: &OnceLock<io::Error>) {
    let mut stdin = io::stdin().lock();
    let mut buffer = vec![0; limits::INPUT_CHUNK];
    loop {
        match stdin.read(&mut buffer) {
            Ok(0) => return,
            Ok(len) => {
                // A copy takes what was read, and most chunks are small.
                let chunk = Chunk { bytes: buffer[..len].to_vec(), read_at: Some(Instant::now()) };
                if sender.blocking_send(chunk).is_err() {
                    return;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                let _first = unread.set(error);
                return;
            }
        }
    }
}
