//! How long something took, each time: a histogram to which any thread may add.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of the buckets, in microseconds: from a quick disk's sync to a slow group's
/// rebalance. What took longer counts in the sum alone.
const BOUNDS_US: [u64; 20] = [
    100,
    250,
    500,
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    30_000_000,
    60_000_000,
    120_000_000,
    300_000_000,
];

/// See the [module](self).
#[derive(Debug, Default)]
pub struct Durations {
    /// A count for each bound, and one for what is beyond all.
    counts: [AtomicU64; BOUNDS_US.len() + 1],
    sum_us: AtomicU64,
}

/// What was added until some moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measured {
    /// Upper bounds of the buckets, with how often it took no longer, and longer than the bound
    /// before. The last one has no bound.
    pub buckets: Vec<(Option<Duration>, u64)>,
    /// How long it took altogether.
    pub sum: Duration,
}

impl Durations {
    /// It took so long once more.
    pub fn add(&self, took: Duration) {
        let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS_US.partition_point(|bound| *bound < took_us);
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum_us.fetch_add(took_us, Ordering::Relaxed);
    }

    /// What was added until now. What is added meanwhile may be half in it.
    pub fn measured(&self) -> Measured {
        let bounds = BOUNDS_US.iter().map(|us| Some(Duration::from_micros(*us)));
        let counts = self.counts.iter().map(|count| count.load(Ordering::Relaxed));
        Measured {
            buckets: bounds.chain([None]).zip(counts).collect(),
            sum: Duration::from_micros(self.sum_us.load(Ordering::Relaxed)),
        }
    }
}

impl Measured {
    /// How often.
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|(_, count)| count).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_counts_in_the_least_bucket_that_holds_it() {
        let durations = Durations::default();
        for us in [0, 100, 101, 300_000_000, 300_000_001] {
            durations.add(Duration::from_micros(us));
        }
        let measured = durations.measured();
        let counts: Vec<u64> = measured.buckets.iter().map(|(_, count)| *count).collect();
        assert_eq!((counts[0], counts[1], counts[19], counts[20]), (2, 1, 1, 1));
        assert_eq!((measured.count(), measured.sum.as_micros()), (5, 600_000_202));
        assert!(BOUNDS_US.is_sorted());
        assert_eq!(measured.buckets[0].0, Some(Duration::from_micros(100)));
        assert_eq!(measured.buckets[20].0, None);
    }
}
