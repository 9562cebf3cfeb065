//! Stands in for the crate of this name, which openraft keeps its statistics of batch sizes with.
//!
//! The real one fills tables for all sixteen resolutions that it knows at the first use: 26 MiB for
//! as long as the process lives. openraft uses one resolution, and shows what it gathers only with
//! its feature `runtime-stats`, which cohort does not ask for. So nothing is kept here.
//!
//! The workspace's `[patch]` puts it in place. It has to offer what openraft compiles against, and
//! may go when the real one fills its tables one by one.

use std::fmt;
use std::marker::PhantomData;

/// How values are distributed: nobody asks, so it does not know.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Histogram<T = ()>(PhantomData<T>);

impl<T> Histogram<T> {
    /// One that has seen no value.
    pub fn new() -> Self {
        Self(PhantomData)
    }

    /// Takes note of a value; or would.
    pub fn record(&mut self, _value: u64) {}

    /// Takes note of a value that came several times; or would.
    pub fn record_n(&mut self, _value: u64, _times: u64) {}

    /// What is below which share of the values.
    pub fn percentile_stats(&self) -> PercentileStats {
        PercentileStats::default()
    }
}

/// Values below which so many percent of all values are; all 0 here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PercentileStats {
    /// How many values there were.
    pub samples: u64,
    /// 0.1 %.
    pub p0_1: u64,
    /// 1 %.
    pub p1: u64,
    /// 5 %.
    pub p5: u64,
    /// 10 %.
    pub p10: u64,
    /// 50 %.
    pub p50: u64,
    /// 90 %.
    pub p90: u64,
    /// 99 %.
    pub p99: u64,
    /// 99.9 %.
    pub p99_9: u64,
}

impl fmt::Display for PercentileStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not kept")
    }
}

/// Histograms as a picture; an empty one here.
#[derive(Debug, Clone, Copy, Default)]
pub struct AsciiChart;

impl AsciiChart {
    /// A picture of nothing.
    pub fn new() -> Self {
        Self
    }

    /// Adds a histogram under a name.
    #[must_use]
    pub fn add<T>(self, _name: &str, _histogram: Histogram<T>) -> Self {
        self
    }
}

impl fmt::Display for AsciiChart {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
}
