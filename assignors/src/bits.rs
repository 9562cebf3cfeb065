//! A plain bit set over slots.

/// One bit for each slot. A million partitions fit in 125 KB, so it stays in a near cache.
pub(crate) struct Bits {
    words: Vec<u64>,
}

impl Bits {
    pub(crate) fn new(len: u32) -> Self {
        Self { words: vec![0; (len as usize).div_ceil(64)] }
    }

    #[inline]
    pub(crate) fn has(&self, bit: u32) -> bool {
        self.words[bit as usize / 64] >> (bit % 64) & 1 == 1
    }

    /// Sets the bit; true if it was clear.
    #[inline]
    pub(crate) fn set(&mut self, bit: u32) -> bool {
        let (word, mask) = (&mut self.words[bit as usize / 64], 1 << (bit % 64));
        let fresh = *word & mask == 0;
        *word |= mask;
        fresh
    }

    #[inline]
    pub(crate) fn clear(&mut self, bit: u32) {
        self.words[bit as usize / 64] &= !(1 << (bit % 64));
    }

    /// The clear bits in `from..to`, ascending.
    pub(crate) fn clear_in(&self, from: u32, to: u32) -> impl Iterator<Item = u32> + '_ {
        self.bits_in(from, to, !0)
    }

    /// The set bits in `from..to`, ascending.
    pub(crate) fn set_in(&self, from: u32, to: u32) -> impl Iterator<Item = u32> + '_ {
        self.bits_in(from, to, 0)
    }

    /// The bits that differ from those of `flip`.
    fn bits_in(&self, from: u32, to: u32, flip: u64) -> impl Iterator<Item = u32> + '_ {
        let mut word_index = from as usize / 64;
        let mut word = match self.words.get(word_index) {
            Some(word) if from < to => (word ^ flip) & (!0 << (from % 64)),
            _ => 0,
        };
        std::iter::from_fn(move || {
            while word == 0 {
                word_index += 1;
                if word_index * 64 >= to as usize {
                    return None;
                }
                word = self.words[word_index] ^ flip;
            }
            let bit = (word_index * 64) as u32 + word.trailing_zeros();
            word &= word - 1;
            // The last word may reach beyond `to`.
            (bit < to).then_some(bit)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Bits;

    #[test]
    fn clear_bits_within_a_range() {
        let mut bits = Bits::new(200);
        for bit in (0..200).filter(|bit| bit % 3 != 0) {
            assert!(bits.set(bit));
            assert!(!bits.set(bit));
        }
        for (from, to) in [(0, 200), (1, 64), (63, 65), (64, 128), (100, 100), (199, 200), (5, 6)] {
            let expected: Vec<u32> = (from..to).filter(|bit| bit % 3 == 0).collect();
            assert_eq!(bits.clear_in(from, to).collect::<Vec<_>>(), expected, "{from}..{to}");
            let expected: Vec<u32> = (from..to).filter(|bit| bit % 3 != 0).collect();
            assert_eq!(bits.set_in(from, to).collect::<Vec<_>>(), expected, "{from}..{to}");
        }
        bits.clear(1);
        assert!(!bits.has(1) && bits.has(2));
    }
}
