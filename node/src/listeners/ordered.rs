//! Replies in the order of their requests.
//!
//! A listener owes a client one reply for each request, in the order in which the requests came.
//! Replies become known in any order. [`Ordered`] keeps them until it is their turn. A request that
//! waits for its group is *detached*: its reply goes out when it is known, and the replies behind
//! it do not wait for it.
//!
//! One `Ordered` is one order: of a client, of a connection, or of everybody. It knows no wire
//! format.

use std::collections::{BTreeMap, VecDeque};

use crate::slots::SlotQueue;

/// Replies owed in one order. `O` is what the listener has to know to send a reply, `R` is the
/// reply.
#[derive(Debug)]
pub struct Ordered<O, R> {
    slots: SlotQueue<(O, Option<R>)>,
    detached: BTreeMap<u64, O>,
    /// Replies of detached requests, ready to go.
    ready: VecDeque<(O, R)>,
}

impl<O, R> Default for Ordered<O, R> {
    fn default() -> Self {
        Self { slots: SlotQueue::starting_at(1), detached: BTreeMap::new(), ready: VecDeque::new() }
    }
}

impl<O, R> Ordered<O, R> {
    /// A reply is owed, behind all others. Returns its number, from 1.
    pub fn owe(&mut self, owed: O) -> u64 {
        self.slots.push((owed, None))
    }

    /// What the listener has to know of an owed reply. `None` where it is owed no more.
    pub fn owed(&self, number: u64) -> Option<&O> {
        self.slots.get(number).map(|(owed, _)| owed).or_else(|| self.detached.get(&number))
    }

    /// The reply is known.
    pub fn answer(&mut self, number: u64, reply: R) {
        if let Some(owed) = self.detached.remove(&number) {
            self.ready.push_back((owed, reply));
        } else if let Some((_, answer)) = self.slots.get_mut(number) {
            *answer = Some(reply);
        }
    }

    /// The replies behind this one wait for it no more.
    pub fn detach(&mut self, number: u64) {
        if let Some((owed, _)) = self.slots.remove(number) {
            self.detached.insert(number, owed);
        }
    }

    /// The reply will never be sent.
    pub fn forget(&mut self, number: u64) {
        if self.slots.remove(number).is_none() {
            self.detached.remove(&number);
        }
    }

    /// The oldest reply that is owed in order: its number, and whether it is known.
    pub fn first(&self) -> Option<(u64, &O, bool)> {
        self.slots.first().map(|(owed, reply)| (self.slots.base(), owed, reply.is_some()))
    }

    /// The next reply to send, if one is ready and at its turn.
    pub fn pop(&mut self) -> Option<(O, R)> {
        if let Some(ready) = self.ready.pop_front() {
            return Some(ready);
        }
        if !matches!(self.slots.first(), Some((_, Some(_)))) {
            return None;
        }
        let (owed, reply) = self.slots.remove(self.slots.base())?;
        Some((owed, reply?))
    }

    /// Whether no reply is owed in order: the next one may be sent at once.
    pub fn is_idle(&self) -> bool {
        self.slots.is_empty()
    }

    /// Whether nothing is owed at all.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty() && self.detached.is_empty() && self.ready.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::Ordered;

    fn all(ordered: &mut Ordered<char, u32>) -> Vec<(char, u32)> {
        std::iter::from_fn(|| ordered.pop()).collect()
    }

    #[test]
    fn replies_go_out_in_the_order_of_requests() {
        let mut ordered = Ordered::default();
        let (a, b, c) = (ordered.owe('a'), ordered.owe('b'), ordered.owe('c'));
        ordered.answer(c, 3);
        ordered.answer(b, 2);
        assert_eq!(all(&mut ordered), [], "the first is not known");
        assert_eq!(ordered.first(), Some((a, &'a', false)));
        ordered.answer(a, 1);
        assert_eq!(all(&mut ordered), [('a', 1), ('b', 2), ('c', 3)]);
        assert!(ordered.is_empty());
    }

    #[test]
    fn a_detached_reply_holds_nobody_up_and_goes_out_when_it_is_known() {
        let mut ordered = Ordered::default();
        let (join, next) = (ordered.owe('j'), ordered.owe('n'));
        ordered.answer(next, 2);
        ordered.detach(join);
        assert_eq!(all(&mut ordered), [('n', 2)]);
        assert!(ordered.is_idle() && !ordered.is_empty());
        assert_eq!(ordered.owed(join), Some(&'j'));
        ordered.answer(join, 1);
        assert_eq!(all(&mut ordered), [('j', 1)]);
        assert!(ordered.is_empty());
    }

    #[test]
    fn a_forgotten_reply_is_as_if_it_had_never_been_owed() {
        let mut ordered = Ordered::default();
        let (a, b) = (ordered.owe('a'), ordered.owe('b'));
        ordered.answer(b, 2);
        ordered.forget(a);
        assert_eq!(all(&mut ordered), [('b', 2)]);
        let c = ordered.owe('c');
        ordered.detach(c);
        ordered.forget(c);
        ordered.answer(c, 3);
        assert!(all(&mut ordered).is_empty() && ordered.is_empty());
    }
}
