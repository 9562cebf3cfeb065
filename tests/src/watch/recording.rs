//! A recording under way: the proxy on the caller's thread, and a thread that keeps the traffic.
//!
//! Owns how the two begin and end. Listeners and connections are tasks of the [`LocalSet`] in which
//! it was started. They have to be gone before [`Recording::finish`], or it waits for ever.
//!
//! [`LocalSet`]: tokio::task::LocalSet

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::thread::JoinHandle;
use std::time::Instant;

use tokio::net::TcpListener;

use super::proxy::{self, Counts, Proxy, Tell};
use super::recorder::{Recorded, Recorder};
use super::rewrite::Address;
use super::spool::Spool;
use super::{Bounds, WatchError, broker};

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Recording {
    proxy: Rc<Proxy>,
    recorder: JoinHandle<Spool>,
    most: usize,
}

impl Recording {
    /// Nothing is recorded yet. Times count from `began`. Listeners are bound to `host`. `routes`
    /// says where a broker is reached, if that is not the address that it tells.
    ///
    /// # Errors
    /// Where there is no thread, or no file to keep traffic in.
    pub(crate) fn start(
        began: Instant,
        host: IpAddr,
        routes: HashMap<Address, SocketAddr>,
        bounds: &Bounds,
    ) -> Result<Self, WatchError> {
        let (tell, mut events, room) = Tell::new();
        let spool = Spool::create(&bounds.spool, bounds.spool_bytes);
        let mut spool = spool.map_err(|source| {
            let folder = bounds.spool.display().to_string();
            WatchError::Spool { folder, source }
        })?;
        let recorder =
            std::thread::Builder::new().name("recorder".to_owned()).spawn(move || {
                while let Some(event) = events.blocking_recv() {
                    spool.take(&event);
                    room.add_permits(event.size().min(proxy::WAITING));
                }
                spool
            })?;
        let proxy = Proxy::new(began, host, routes, tell);
        Ok(Self { proxy, recorder, most: bounds.most })
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
    /// Where the recorder has failed, or what was kept cannot be read again.
    pub(crate) fn finish(self) -> Result<Recorded, WatchError> {
        // With the proxy the way to the recorder ends.
        drop(self.proxy);
        let spool = self.recorder.join().map_err(|_| WatchError::Recorder)?;
        let mut recorder = Recorder::new(self.most);
        let full = spool.replay(|event| recorder.take(event)).map_err(WatchError::Recording)?;
        let mut recorded = recorder.finish();
        recorded.full = recorded.full.or(full);
        Ok(recorded)
    }
}
