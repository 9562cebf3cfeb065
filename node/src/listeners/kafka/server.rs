//! Takes connections.

use std::sync::Arc;

use runtime::net::{Listener, SocketAddr, Stream};

use super::connection::Connection;
use super::counters::Counters;
use super::{Broker, Owed, Settings};
use crate::connections::Open;
use crate::limits;
use crate::service::handle::Handle;

/// Takes connections and serves them, for ever. `owed` tells how many answers are under way.
pub async fn serve(
    listener: Listener,
    settings: Settings,
    handle: Handle,
    owed: Owed,
    counters: Counters,
) {
    let broker = Arc::new(Broker::new(settings, handle, owed, counters));
    loop {
        match listener.accept().await {
            Ok((stream, from)) => {
                let most = broker.settings.connections;
                let Some(open) = broker.counters.connections().take(most) else {
                    tracing::warn!(%from, "too many connections: this one is closed");
                    continue;
                };
                // It ends with its socket.
                let _task = runtime::spawn(connection(broker.clone(), stream, from, open));
            }
            Err(error) => {
                tracing::warn!(%error, "a connection cannot be taken");
                runtime::sleep(limits::ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(broker: Arc<Broker>, stream: Stream, from: SocketAddr, open: Open) {
    let _open = open;
    // Java writes an address so, and tools print it as it comes.
    let host = format!("/{}", from.ip()).into();
    let ended = Connection::new(broker, stream, host).serve().await;
    match ended {
        Ok(()) => tracing::debug!(%from, "connection closed"),
        Err(problem) => tracing::info!(%from, %problem, "connection closed"),
    }
}
