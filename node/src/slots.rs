//! A queue of numbered slots: things that come in the order of their numbers, and go in about that
//! order.
//!
//! Every step costs the same, however many things there are.

use std::collections::VecDeque;

use crate::limits;

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
    /// An empty queue; the first thing will have the number `base`.
    pub fn starting_at(base: u64) -> Self {
        Self { slots: VecDeque::new(), base, there: 0 }
    }

    /// Puts a thing behind all others and tells its number.
    pub fn push(&mut self, thing: T) -> u64 {
        self.slots.push_back(Some(thing));
        self.there += 1;
        self.base + self.slots.len() as u64 - 1
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
        // A burst should not pin its size for good.
        if self.slots.is_empty() && self.slots.capacity() > limits::KEPT_PLACES {
            self.slots.shrink_to(limits::KEPT_PLACES);
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
        let mut queue = SlotQueue::starting_at(1);
        assert_eq!((queue.push('a'), queue.push('b'), queue.push('c')), (1, 2, 3));
        assert_eq!(queue.remove(2), Some('b'));
        assert_eq!((queue.get(2), queue.base()), (None, 1));
        assert_eq!(queue.remove(2), None, "it is gone");
        assert_eq!(queue.gone(), 1, "its place is not");
        assert_eq!(queue.iter().collect::<Vec<_>>(), [(1, &'a'), (3, &'c')]);
        assert_eq!(queue.remove(1), Some('a'));
        assert_eq!((queue.base(), queue.first(), queue.gone()), (3, Some(&'c'), 0));
        assert_eq!(queue.remove(3), Some('c'));
        assert_eq!((queue.base(), queue.is_empty()), (4, true));
        assert_eq!(queue.push('d'), 4);
        assert_eq!((queue.get(0), queue.get(99)), (None, None));
    }
}
