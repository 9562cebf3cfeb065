//! `arena watch`: records what an application and its brokers say to each other, and judges it.

use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::output::{complain, say};
use super::{Trouble, write, write_report};
use crate::run::case::judged;
use crate::watch::{Bounds, Settings, WatchError, watch};

#[derive(Debug, Args)]
pub(super) struct WatchArgs {
    /// Where the application connects to.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:9192")]
    listen: String,
    /// A broker; the others are found through it.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:9092")]
    kafka: String,
    /// Where to write the history.
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,
    /// Where to write the report, one HTML file.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// How long to watch; else until Ctrl-C or SIGTERM.
    #[arg(long)]
    seconds: Option<f64>,
    /// Every client of these brokers comes through here, and none came before: more is judged.
    #[arg(long)]
    whole: bool,
    /// How many operations and fetched records are judged, from the beginning.
    #[arg(long, value_name = "N", default_value_t = 500_000)]
    most: usize,
    /// The folder in which traffic is kept until the end; by default that of temporary files.
    #[arg(long, value_name = "DIR")]
    spool: Option<PathBuf>,
    /// How much traffic is kept. Then the recording ends, and all is still passed on.
    #[arg(long, value_name = "MIB", default_value_t = 2048)]
    spool_mib: u32,
}

/// Ctrl-C or SIGTERM, and why they cannot be heard.
fn ended() -> std::io::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

pub(super) fn watch_brokers(args: &WatchArgs) -> Result<u8, Trouble> {
    let lasts = args.seconds.map(Duration::try_from_secs_f64).transpose();
    let lasts = lasts.map_err(|error| Trouble::Use(format!("--seconds: {error}")))?;
    let settings = Settings {
        listen: args.listen.clone(),
        kafka: args.kafka.clone(),
        lasts,
        whole: args.whole,
        bounds: Bounds {
            most: args.most,
            spool: args.spool.clone().unwrap_or_else(std::env::temp_dir),
            spool_bytes: u64::from(args.spool_mib) << 20,
        },
    };
    let ready = |address: &str| {
        complain!("arena: {} is watched at {address}; Ctrl-C judges", args.kafka);
    };
    let watched = watch(&settings, ready, async {
        match ended() {
            Ok(ended) => ended.await,
            Err(error) => complain!("arena: signals cannot be heard: {error}"),
        }
    })?;
    for remark in &watched.remarks {
        say!("{remark}");
    }
    if watched.is_cut {
        say!("--most and --spool-mib say how much is recorded");
    }
    if let Some(path) = &args.history {
        write(path, |file| watched.history.write(file))?;
        say!("history       {}", path.display());
    }
    let judgement = judged(&watched.history);
    if let Some(path) = &args.report {
        write_report(path, &watched.history, &judgement)?;
    }
    say!("{judgement}");
    Ok(judgement.exit_code())
}

impl From<WatchError> for Trouble {
    fn from(error: WatchError) -> Self {
        Self::Use(error.to_string())
    }
}
