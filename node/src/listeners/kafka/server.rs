//! Takes connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use runtime::net::{Listener, SocketAddr, Stream};

use super::connection::Connection;
use super::{Broker, Owed, Settings};
use crate::limits;
use crate::service::handle::Handle;

/// Takes connections and serves them, for ever. `owed` tells how many answers are under way.
pub async fn serve(listener: Listener, settings: Settings, handle: Handle, owed: Owed) {
    let broker = Arc::new(Broker::new(settings, handle, owed));
    let open = Arc::<AtomicUsize>::default();
    loop {
        match listener.accept().await {
            Ok((stream, from)) => {
                if open.load(Ordering::Relaxed) >= limits::KAFKA_CONNECTIONS {
                    tracing::warn!(%from, "too many connections: this one is closed");
                    continue;
                }
                let open = Counted::new(&open);
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

/// One more open connection, as long as this is held.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(open: &Arc<AtomicUsize>) -> Self {
        open.fetch_add(1, Ordering::Relaxed);
        Self(open.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn connection(broker: Arc<Broker>, stream: Stream, from: SocketAddr, open: Counted) {
    let _open = open;
    // Java writes an address so, and tools print it as it comes.
    let host = format!("/{}", from.ip()).into();
    let ended = Connection::new(broker, stream, host).serve().await;
    match ended {
        Ok(()) => tracing::debug!(%from, "connection closed"),
        Err(problem) => tracing::info!(%from, %problem, "connection closed"),
    }
}
