//! What a node prints, in order, until somebody takes it: a thread that writes to stdout, or a
//! simulator.
//!
//! Everything that leaves the node passes here, so that its size is known: when nobody reads,
//! messages between nodes are dropped (Raft repeats itself) and the node stops reading requests.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

#[derive(Debug, Default)]
struct Buffer {
    bytes: Vec<u8>,
    /// Taken and being written.
    writing: usize,
    closed: bool,
    /// What is printed goes nowhere any more.
    broken: bool,
}

#[derive(Debug, Default)]
struct Shared {
    buffer: Mutex<Buffer>,
    /// For a thread that writes.
    filled: Condvar,
    /// For a task that takes.
    notify: Notify,
    /// For the node, which waits for room.
    drained: Notify,
    /// For the node, which ends where it cannot print.
    broke: Notify,
}

/// A handle to what is to be printed. Clones are the same outbox.
#[derive(Debug, Clone, Default)]
pub struct Outbox(Arc<Shared>);

impl Outbox {
    fn lock(&self) -> MutexGuard<'_, Buffer> {
        self.0.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends whole lines.
    pub fn push(&self, lines: &[u8]) {
        if lines.is_empty() {
            return;
        }
        let mut buffer = self.lock();
        if buffer.broken {
            return;
        }
        buffer.bytes.extend_from_slice(lines);
        drop(buffer);
        self.0.filled.notify_one();
        self.0.notify.notify_one();
    }

    /// How many bytes wait or are being written.
    pub fn backlog(&self) -> usize {
        let buffer = self.lock();
        buffer.bytes.len() + buffer.writing
    }

    /// Nothing more will come: a writer ends when all is written.
    pub fn close(&self) {
        self.lock().closed = true;
        self.0.filled.notify_one();
        self.0.notify.notify_one();
    }

    /// Waits until some of the backlog has been written.
    pub async fn drained(&self) {
        self.0.drained.notified().await;
    }

    /// Waits until nothing can be printed any more, which may never be.
    pub async fn broken(&self) {
        while !self.lock().broken {
            self.0.broke.notified().await;
        }
    }

    /// Waits for lines and takes them all; `None` when the outbox is closed and empty.
    pub async fn take(&self) -> Option<Vec<u8>> {
        loop {
            {
                let mut buffer = self.lock();
                if !buffer.bytes.is_empty() {
                    self.0.drained.notify_one();
                    return Some(std::mem::take(&mut buffer.bytes));
                }
                if buffer.closed {
                    return None;
                }
            }
            self.0.notify.notified().await;
        }
    }

    /// Writes everything to `output` until the outbox is closed. Blocks: call it on a thread of its
    /// own.
    ///
    /// # Errors
    /// Where the output cannot be written, or was closed by its reader. The outbox is
    /// [broken](Self::broken) then.
    pub fn write_to(&self, output: impl Write) -> io::Result<()> {
        let written = self.write_all_to(output);
        if written.is_err() {
            let mut buffer = self.lock();
            (buffer.broken, buffer.writing) = (true, 0);
            buffer.bytes = Vec::new();
            drop(buffer);
            self.0.broke.notify_one();
        }
        written
    }

    fn write_all_to(&self, mut output: impl Write) -> io::Result<()> {
        let mut taken = Vec::new();
        loop {
            {
                let mut buffer = self.lock();
                buffer.writing = 0;
                self.0.drained.notify_one();
                while buffer.bytes.is_empty() {
                    if buffer.closed {
                        return Ok(());
                    }
                    buffer = self.0.filled.wait(buffer).unwrap_or_else(PoisonError::into_inner);
                }
                taken.clear();
                std::mem::swap(&mut taken, &mut buffer.bytes);
                buffer.writing = taken.len();
            }
            output.write_all(&taken)?;
            output.flush()?;
            // A burst should not pin its size for good.
            taken.shrink_to(1024 * 1024);
        }
    }
}
