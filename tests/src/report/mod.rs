//! A run for people: figures, and one HTML file that opens without a network.
//!
//! This module owns what is shown of a history and its verdicts: [`figures`] (numbers, which the
//! command line prints too), [`pauses`] (the rebalances of classic groups, and how long each
//! partition stood still) and [`render`] (the page). Plots are inline SVG, made here; nothing is
//! loaded, nothing is run. All plots are binned, so a page stays small however long the run was.
//! What the numbers should be, it does not know: that is what the checkers say.

mod anomalies;
mod charts;
mod figures;
mod lanes;
mod page;
mod rebalances;
mod svg;

pub use anomalies::meaning;
pub use figures::{Figures, Latency, MemberPause, Recovery, figures};
pub use page::render;
pub use rebalances::{Cause, Handover, PartitionPause, PauseFigures, Rebalance, pauses};
