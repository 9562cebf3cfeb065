//! Requests of one connection to the service, each with its own answer.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Mutex, PoisonError};

use runtime::Instant;
use state_machine::command::{Command, Query};
use tokio::sync::oneshot;

use crate::service::api::{Completion, Request, Response, ServiceError};
use crate::service::handle::Connection;

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Asker {
    connection: Connection,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    /// The number of the last request.
    last: u64,
    waiting: BTreeMap<u64, oneshot::Sender<Response>>,
}

impl Asker {
    pub(super) fn new(connection: Connection) -> Self {
        Self { connection, open: Mutex::default() }
    }

    /// Submits a command, now; the answer comes with the future.
    pub(super) fn command<C: Into<Command>>(
        &self,
        command: C,
    ) -> impl Future<Output = Response> + use<C> {
        self.submit(Request::Command(command.into()))
    }

    /// Submits a query, now; the answer comes with the future.
    pub(super) fn query<Q: Into<Query>>(
        &self,
        query: Q,
    ) -> impl Future<Output = Response> + use<Q> {
        self.submit(Request::Query(query.into()))
    }

    fn submit(&self, request: Request) -> impl Future<Output = Response> + use<> {
        let (sender, receiver) = oneshot::channel();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.last += 1;
        let number = open.last;
        open.waiting.insert(number, sender);
        // Under the lock: numbers are submitted in their order.
        self.connection.submit(0, number, request, Instant::now());
        drop(open);
        async move { receiver.await.unwrap_or(Err(ServiceError::Closed.into())) }
    }

    /// Whether nothing is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).waiting.is_empty()
    }

    /// Waits until there are answers. Cancelling it loses nothing.
    pub(super) async fn replied(&self) {
        self.connection.replied().await;
    }

    /// Hands over the answers that have come.
    pub(super) fn hand_over(&self) {
        let replies = self.connection.take_replies();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        for replied in replies {
            if let Completion::Done(response) = replied.completion
                && let Some(waiting) = open.waiting.remove(&replied.number)
            {
                // Who does not wait any more does not miss it.
                let _gone = waiting.send(response);
            }
        }
    }
}

impl Drop for Asker {
    fn drop(&mut self) {
        self.connection.close();
    }
}
