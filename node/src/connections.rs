//! How many connections of a port are open, and how many may be.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// See the [module](self). Clones are the same numbers.
#[derive(Debug, Clone, Default)]
pub struct Connections(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    open: AtomicUsize,
    taken: AtomicU64,
    refused: AtomicU64,
}

impl Connections {
    /// How many are open.
    pub fn open(&self) -> usize {
        self.0.open.load(Ordering::Relaxed)
    }

    /// How many were taken since the start.
    pub fn taken(&self) -> u64 {
        self.0.taken.load(Ordering::Relaxed)
    }

    /// How many were closed at once, since too many were open.
    pub fn refused(&self) -> u64 {
        self.0.refused.load(Ordering::Relaxed)
    }

    /// One more is open, as long as what is returned is held; `None`: so many are already.
    pub(crate) fn take(&self, most: usize) -> Option<Open> {
        if self.open() >= most {
            self.0.refused.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        self.0.taken.fetch_add(1, Ordering::Relaxed);
        self.0.open.fetch_add(1, Ordering::Relaxed);
        Some(Open(self.clone()))
    }
}

/// An open connection.
#[derive(Debug)]
pub(crate) struct Open(Connections);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_has_room_again_when_a_connection_has_ended() {
        let connections = Connections::default();
        let first = connections.take(2).expect("room");
        let second = connections.take(2).expect("room");
        assert!(connections.take(2).is_none(), "two are open");
        assert_eq!((connections.open(), connections.taken(), connections.refused()), (2, 2, 1));
        drop(first);
        let third = connections.take(2);
        assert!(third.is_some(), "one has ended");
        drop((second, third));
        assert_eq!((connections.open(), connections.taken(), connections.refused()), (0, 3, 1));
    }
}
