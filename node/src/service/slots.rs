//! Things that are numbered in the order in which they come, and go in about that order: a sliding window over the
//! numbers. Every step costs the same, however many there are.

use std::collections::VecDeque;

/// See the [module](self).
#[derive(Debug)]
pub struct SlotQueue<T> {
    /// From the number `base` on; `None` where it is gone. The first is never gone.
    slots: VecDeque<Option<T>>,
    base: u64,
    /// How many are not gone.
    there: usize,
}

impl<T> SlotQueue<T> {
    /// An empty window; the first thing will have the number `base`.
    pub fn starting_at(base: u64) -> Self {
        Self { slots: VecDeque::new(), base, there: 0 }
    }

    /// Puts a thing behind all others and tells its number.
    pub fn push(&mut self, thing: T) -> u64 {
        self.slots.push_back(Some(thing));
        self.there += 1;
        self.base + self.slots.len() as u64 - 1
    }

    /// Puts a thing in at its number; numbers that are left out count as gone.
    ///
    /// # Panics
    /// Where the number is below the lowest that is there.
    pub fn insert(&mut self, number: u64, thing: T) {
        if self.slots.is_empty() {
            self.base = number;
        }
        let place = self.place(number).expect("numbers are put in in their order");
        while self.slots.len() <= place {
            self.slots.push_back(None);
        }
        let before = self.slots[place].replace(thing);
        self.there += usize::from(before.is_none());
    }

    fn place(&self, number: u64) -> Option<usize> {
        usize::try_from(number.checked_sub(self.base)?).ok()
    }

    /// The thing of that number, if it is there.
    pub fn get(&self, number: u64) -> Option<&T> {
        self.slots.get(self.place(number)?)?.as_ref()
    }

    /// The thing of that number, to change it.
    pub fn get_mut(&mut self, number: u64) -> Option<&mut T> {
        let place = self.place(number)?;
        self.slots.get_mut(place)?.as_mut()
    }

    /// Takes a thing out.
    pub fn remove(&mut self, number: u64) -> Option<T> {
        let place = self.place(number)?;
        let thing = self.slots.get_mut(place)?.take()?;
        self.there -= 1;
        while self.slots.front().is_some_and(Option::is_none) {
            self.slots.pop_front();
            self.base += 1;
        }
        Some(thing)
    }

    /// The lowest number that is there, or the next one to come.
    pub fn base(&self) -> u64 {
        self.base
    }

    /// How many places of things that are gone are still kept, behind one that is not.
    pub fn gone(&self) -> usize {
        self.slots.len() - self.there
    }

    /// Whether nothing is there.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// The thing with the lowest number.
    pub fn first(&self) -> Option<&T> {
        self.slots.front().and_then(Option::as_ref)
    }

    /// All things with their numbers, in order.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &T)> {
        let numbered = (self.base..).zip(&self.slots);
        numbered.filter_map(|(number, slot)| Some((number, slot.as_ref()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::SlotQueue;

    #[test]
    fn things_are_found_by_their_numbers_until_they_go() {
        let mut window = SlotQueue::starting_at(1);
        assert_eq!((window.push('a'), window.push('b'), window.push('c')), (1, 2, 3));
        assert_eq!(window.remove(2), Some('b'));
        assert_eq!((window.get(2), window.base()), (None, 1));
        assert_eq!(window.remove(2), None, "it is gone");
        assert_eq!(window.gone(), 1, "its place is not");
        assert_eq!(window.iter().collect::<Vec<_>>(), [(1, &'a'), (3, &'c')]);
        assert_eq!(window.remove(1), Some('a'));
        assert_eq!((window.base(), window.first(), window.gone()), (3, Some(&'c'), 0));
        assert_eq!(window.remove(3), Some('c'));
        assert_eq!((window.base(), window.is_empty()), (4, true));
        assert_eq!(window.push('d'), 4);
        assert_eq!((window.get(0), window.get(99)), (None, None));
    }

    #[test]
    fn numbers_may_be_left_out() {
        let mut window = SlotQueue::starting_at(0);
        window.insert(7, 'a');
        window.insert(9, 'b');
        assert_eq!(window.iter().collect::<Vec<_>>(), [(7, &'a'), (9, &'b')]);
        assert_eq!(window.remove(7), Some('a'));
        assert_eq!(window.base(), 9);
    }
}
