//! `arena toy-app`: an application for the workload `apps` that needs no client library.

use clap::Args;

use super::Trouble;
use crate::wire::toy::{Fault, Settings, run};

#[derive(Debug, Clone, Args)]
pub(super) struct ToyArgs {
    /// Brokers, with commas.
    #[arg(long, value_name = "HOST:PORT")]
    bootstrap: String,
    /// The group.
    #[arg(long)]
    group: String,
    /// What it reads.
    #[arg(long)]
    topic: String,
    /// Its client id.
    #[arg(long)]
    name: String,
    /// Its session time-out, in ms.
    #[arg(long, default_value_t = 6_000)]
    session_ms: u64,
    /// Its rebalance time-out, in ms.
    #[arg(long, default_value_t = 20_000)]
    rebalance_ms: u64,
    /// What it does wrong.
    #[arg(long)]
    fault: Option<Fault>,
}

pub(super) fn read(args: &ToyArgs) -> Result<u8, Trouble> {
    let ToyArgs { bootstrap, group, topic, name, session_ms, rebalance_ms, fault } = args.clone();
    let settings = Settings { bootstrap, group, topic, name, session_ms, rebalance_ms, fault };
    run(settings).map(|()| 0).map_err(Trouble::Run)
}
