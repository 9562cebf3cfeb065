//! A watch channel whose waiters wake in the order in which they began to wait.
//!
//! tokio's own wakes them in an order that it draws from a source seeded by the operating system,
//! which is the one thing in openraft's way of running that a seed cannot repeat. Many senders,
//! many receivers, one value; a receiver sees the latest value, not each.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::task::{Poll, Waker};

use openraft_rt::watch::{RecvError, SendError, Watch, WatchReceiver, WatchSender};
use openraft_rt::{OptionalSend, OptionalSync};

/// The channel as openraft asks for it.
#[derive(Debug)]
pub struct FifoWatch;

/// Who is there, who waits, and which value is current.
#[derive(Default)]
struct Book {
    version: u64,
    senders: usize,
    receivers: usize,
    /// Waiting receivers by their ticket, which is given in order.
    waiting: BTreeMap<u64, Waker>,
    next_ticket: u64,
}

struct Channel<T> {
    value: RwLock<T>,
    book: Mutex<Book>,
}

impl<T> Channel<T> {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self) -> RwLockReadGuard<'_, T> {
        self.value.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes everyone who waits. The book is closed before, since a waker may run anything.
    fn wake(mut book: MutexGuard<'_, Book>) {
        let waiting = mem::take(&mut book.waiting);
        drop(book);
        for waker in waiting.into_values() {
            waker.wake();
        }
    }

    fn changed(&self) {
        let mut book = self.book();
        book.version += 1;
        Self::wake(book);
    }
}

/// The sending half.
pub struct Sender<T>(Arc<Channel<T>>);

/// The receiving half, and which version it has seen.
pub struct Receiver<T>(Arc<Channel<T>>, u64);

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.0.book().senders += 1;
        Self(self.0.clone())
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let mut book = self.0.book();
        book.senders -= 1;
        if book.senders == 0 {
            Channel::<T>::wake(book);
        }
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        self.0.book().receivers += 1;
        Self(self.0.clone(), self.1)
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.0.book().receivers -= 1;
    }
}

impl Watch for FifoWatch {
    type Sender<T: OptionalSend + OptionalSync> = Sender<T>;
    type Receiver<T: OptionalSend + OptionalSync> = Receiver<T>;
    type Ref<'a, T: OptionalSend + 'a> = RwLockReadGuard<'a, T>;

    fn channel<T: OptionalSend + OptionalSync>(init: T) -> (Sender<T>, Receiver<T>) {
        let book = Book { senders: 1, receivers: 1, ..Book::default() };
        let channel = Arc::new(Channel { value: RwLock::new(init), book: Mutex::new(book) });
        (Sender(channel.clone()), Receiver(channel, 0))
    }
}

impl<T: OptionalSend + OptionalSync> WatchSender<FifoWatch, T> for Sender<T> {
    fn send(&self, value: T) -> Result<(), SendError<T>> {
        if self.0.book().receivers == 0 {
            return Err(SendError(value));
        }
        *self.0.value.write().unwrap_or_else(PoisonError::into_inner) = value;
        self.0.changed();
        Ok(())
    }

    fn send_if_modified<F>(&self, modify: F) -> bool
    where
        F: FnOnce(&mut T) -> bool,
    {
        let modified = modify(&mut self.0.value.write().unwrap_or_else(PoisonError::into_inner));
        if modified {
            self.0.changed();
        }
        modified
    }

    fn borrow_watched(&self) -> RwLockReadGuard<'_, T> {
        self.0.read()
    }

    fn subscribe(&self) -> Receiver<T> {
        let mut book = self.0.book();
        book.receivers += 1;
        Receiver(self.0.clone(), book.version)
    }
}

/// A receiver's place in the queue; given back when it stops waiting.
struct Ticket<'a, T>(&'a Channel<T>, Option<u64>);

impl<T> Drop for Ticket<'_, T> {
    fn drop(&mut self) {
        if let Some(ticket) = self.1 {
            self.0.book().waiting.remove(&ticket);
        }
    }
}

impl<T: OptionalSend + OptionalSync> WatchReceiver<FifoWatch, T> for Receiver<T> {
    async fn changed(&mut self) -> Result<(), RecvError> {
        let Self(channel, seen) = self;
        let mut ticket = Ticket(channel, None);
        poll_fn(|cx| {
            let mut book = channel.book();
            if book.version != *seen {
                *seen = book.version;
                return Poll::Ready(Ok(()));
            }
            if book.senders == 0 {
                return Poll::Ready(Err(RecvError(())));
            }
            // A poll that was not ours keeps the place in the queue.
            let place = ticket.1.unwrap_or(book.next_ticket);
            if ticket.1.is_none() {
                book.next_ticket += 1;
                ticket.1 = Some(place);
            }
            book.waiting.insert(place, cx.waker().clone());
            Poll::Pending
        })
        .await
    }

    fn borrow_watched(&self) -> RwLockReadGuard<'_, T> {
        self.0.read()
    }

    fn borrow_and_update(&mut self) -> RwLockReadGuard<'_, T> {
        self.1 = self.0.book().version;
        self.0.read()
    }
}
