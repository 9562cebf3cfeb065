//! `arena broker`: a node of `cohort serve` with a planted bug, for the stage `wire` to find.

use std::ffi::OsString;
use std::io::Write;

use clap::Args;
use cohort::config::serve::Serve;
use raft_store::flaws::{self, Flaw};
use runtime::Host;

use super::Trouble;
use super::run::fresh_seed;

#[derive(Debug, Clone, Args)]
pub(super) struct BrokerArgs {
    /// What is wrong with it.
    #[arg(long, value_name = "NAME")]
    flaw: Flaw,
    /// The arguments of `cohort serve`.
    #[arg(last = true)]
    args: Vec<OsString>,
}

/// Serves until it is told to end.
pub(super) fn serve(args: &BrokerArgs) -> Result<u8, Trouble> {
    let serve =
        Serve::parse_from(args.args.clone()).map_err(|error| Trouble::Use(error.to_string()))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Trouble::Run(error.to_string()))?;
    // A machine of the simulator's, in real time: bugs are attached to machines.
    let ended = runtime.block_on(async {
        let host = Host::new(fresh_seed(), super::now_ms());
        let host = flaws::attach(host, args.flaw);
        let ready = |ready: &cohort::serve::Ready| {
            let mut out = std::io::stdout().lock();
            out.write_all(ready.line().as_bytes()).and_then(|()| out.flush())
        };
        host.scope(cohort::serve::run(serve, ready)).await
    });
    ended.map(|()| 0).map_err(|error| Trouble::Run(error.to_string()))
}
