//! The randomness of a disk, apart from its node's: what a crash takes depends on nothing that the
//! node draws.

/// SplitMix64 (Steele, Lea, Flood, 2014): a counter and a mixing function.
#[derive(Debug, Clone)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below a bound, which is not 0. It is not quite even, which matters to nobody here.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// Yes in one of two cases.
    pub(super) fn coin(&mut self) -> bool {
        self.below(2) == 0
    }
}
