//! The admin listener: what people, probes and Prometheus ask of a node, over HTTP.
//!
//! - `/livez`: the process answers.
//! - `/readyz`: the node serves clients, or why it does not.
//! - `/metrics`: for Prometheus (`metrics`).
//! - `/v1/topics`, `/v1/groups`: what there is, as JSON (`pages`).
//!
//! - `/v1/dev/…`: hands on time, for tests (`dev`); only with `--dev`.
//!
//! Everything is read as a client's read is (`look`), so nothing here is stale. Without `--dev` it
//! changes nothing. It asks nobody who it is, and knows no Raft.

use std::io;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use runtime::net::Listener;

use accepting::Accepting;
use dev::Dev;

use super::kafka::counters::Counters;
use super::kafka::{Owed, Settings};
use crate::connections::Connections;
use crate::limits;
use crate::service::api::Failure;
use crate::service::handle::Handle;

mod accepting;
pub mod dev;
mod look;
mod metrics;
mod pages;

/// What the pages tell of.
#[derive(Debug)]
pub struct Admin {
    /// What Kafka's listener was told.
    pub settings: Settings,
    /// The way to the service.
    pub handle: Handle,
    /// How many answers Kafka's clients are owed.
    pub owed: Owed,
    /// What Kafka's listener counts.
    pub counters: Counters,
    /// Those of this listener.
    pub connections: Connections,
    /// Those of peers, if the node has any.
    pub peers: Option<Connections>,
    /// What tests may do; `None`: this is no test.
    pub dev: Option<Arc<Dev>>,
}

/// Serves, for ever.
///
/// # Errors
/// None as long as the runtime lives.
pub async fn serve(listener: Listener, admin: Admin) -> io::Result<()> {
    let connections = admin.connections.clone();
    // A test waits for a group for as long as it wants to.
    let idle = admin.dev.is_none().then_some(limits::ADMIN_IDLE);
    let tests = if admin.dev.is_some() { dev::pages() } else { Router::new() };
    let pages = Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route("/v1/topics", get(topics))
        .route("/v1/groups", get(groups))
        .nest("/v1/dev", tests)
        .with_state(Arc::new(admin));
    axum::serve(Accepting { listener, connections, idle }, pages).await
}

impl Admin {
    /// Who leads, as this node knows.
    fn leader(&self) -> Option<u64> {
        self.handle.leadership().borrow().leader
    }
}

/// A page that cannot be told now.
struct Unavailable(Failure);

impl From<Failure> for Unavailable {
    fn from(failure: Failure) -> Self {
        Self(failure)
    }
}

impl IntoResponse for Unavailable {
    fn into_response(self) -> Response {
        (StatusCode::SERVICE_UNAVAILABLE, format!("{}\n", self.0)).into_response()
    }
}

async fn ready(State(admin): State<Arc<Admin>>) -> Response {
    match admin.leader() {
        Some(_) => "ok\n".into_response(),
        None => (StatusCode::SERVICE_UNAVAILABLE, "nobody leads\n").into_response(),
    }
}

async fn metrics(State(admin): State<Arc<Admin>>) -> Result<Response, Unavailable> {
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let text = metrics::text(&admin).await?;
    Ok(([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response())
}

async fn topics(State(admin): State<Arc<Admin>>) -> Result<Response, Unavailable> {
    Ok(json(pages::topics(&look::topics(&admin.handle).await?)))
}

async fn groups(State(admin): State<Arc<Admin>>) -> Result<Response, Unavailable> {
    Ok(json(pages::groups(&look::groups(&admin.handle).await?)))
}

fn json(page: serde_json::Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], format!("{page}\n")).into_response()
}
