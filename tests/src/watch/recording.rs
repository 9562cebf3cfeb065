//! A recording under way: the proxy on the caller's thread, and a thread that writes operations.
//!
//! Owns how the two begin and end. Listeners and connections are tasks of the [`LocalSet`] in which
//! it was started. They have to be gone before [`Recording::finish`], or it waits for ever.
//!
//! [`LocalSet`]: tokio::task::LocalSet

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::thread::JoinHandle;
use std::time::Instant;

use tokio::net::TcpListener;

use super::proxy::{self, Counts, Proxy, Tell};
use super::recorder::{Recorded, Recorder};
use super::rewrite::Address;
use super::{WatchError, broker};

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Recording {
    proxy: Rc<Proxy>,
    recorder: JoinHandle<Result<Recorded, serde_json::Error>>,
}

impl Recording {
    /// Nothing is recorded yet. Times count from `began`. Listeners are bound to `host`. `routes`
    /// says where a broker is reached, if that is not the address that it tells. Of operations and
    /// fetched records `most` are kept.
    ///
    /// # Errors
    /// Where there is no thread.
    pub(crate) fn start(
        began: Instant,
        host: IpAddr,
        routes: HashMap<Address, SocketAddr>,
        most: usize,
    ) -> io::Result<Self> {
        let (tell, mut events, room) = Tell::new();
        let mut recorder = Recorder::new(most);
        let recorder =
            std::thread::Builder::new().name("recorder".to_owned()).spawn(move || {
                while let Some(event) = events.blocking_recv() {
                    let size = event.size().min(proxy::WAITING);
                    recorder.take(event);
                    room.add_permits(size);
                }
                recorder.finish()
            })?;
        Ok(Self { proxy: Proxy::new(began, host, routes, tell), recorder })
    }

    /// The routes to brokers that tell one address and are reached at another.
    ///
    /// # Errors
    /// Where what a broker tells is no host and port.
    pub(crate) fn routes(
        brokers: impl IntoIterator<Item = (String, SocketAddr)>,
    ) -> Result<HashMap<Address, SocketAddr>, WatchError> {
        brokers.into_iter().map(|(told, reached)| Ok((broker(&told)?, reached))).collect()
    }

    /// Passes on to a broker what comes to this listener.
    pub(super) fn serve(&self, listener: TcpListener, broker: Address) {
        tokio::task::spawn_local(Rc::clone(&self.proxy).serve(listener, broker));
    }

    /// Where clients reach a broker through the recording.
    ///
    /// # Errors
    /// Where there is no port, or the broker's address is no host and port.
    pub(crate) async fn address_of(&self, told: &str) -> Result<SocketAddr, WatchError> {
        let port = self.proxy.port_for(broker(told)?).await?;
        Ok(SocketAddr::new(self.proxy.host(), port))
    }

    /// What was seen beside operations.
    pub(super) fn counts(&self) -> Counts {
        self.proxy.counts()
    }

    /// The brokers that have a listener.
    pub(super) fn brokers(&self) -> Vec<String> {
        self.proxy.brokers()
    }

    /// Everything that was recorded.
    ///
    /// # Errors
    /// Where the recorder has failed.
    pub(crate) fn finish(self) -> Result<Recorded, WatchError> {
        // With the proxy the way to the recorder ends.
        drop(self.proxy);
        Ok(self.recorder.join().map_err(|_| WatchError::Recorder)??)
    }
}
