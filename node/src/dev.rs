//! `cohort dev`: asks a node that runs with `--dev` to do something now, over its admin port.

use axum::body::Body;
use axum::http::{Request, StatusCode, Uri};
use http_body_util::BodyExt;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use runtime::net;
use thiserror::Error;

use crate::config::dev::Dev;

/// Why something was not done.
#[derive(Debug, Error)]
pub enum DevError {
    /// No node answers there.
    #[error("--admin {address}: {problem}")]
    Unreachable {
        /// As it was given.
        address: String,
        /// Why.
        problem: String,
    },
    /// The node says why not.
    #[error("{0}")]
    Refused(String),
}

/// Asks, and gives what the node says, a line of JSON.
///
/// # Errors
/// Where no node answers, or it refuses.
pub async fn run(dev: &Dev) -> Result<String, DevError> {
    let unreachable = |problem: String| {
        let address = dev.admin.clone();
        DevError::Unreachable { address, problem }
    };
    let (page, told) = dev.action.page();
    let query: Vec<String> = told
        .iter()
        .map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC)))
        .collect();
    let uri: Uri = format!("/v1/dev/{page}?{}", query.join("&"))
        .parse()
        .map_err(|error| unreachable(format!("{error}")))?;
    let request = Request::post(uri)
        .header("host", &dev.admin)
        .body(Body::empty())
        .map_err(|error| unreachable(format!("{error}")))?;
    let stream = net::connect(&dev.admin).await.map_err(|error| unreachable(error.to_string()))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| unreachable(error.to_string()))?;
    // It ends with the answer.
    let _connection = runtime::spawn(connection);
    let answer =
        sender.send_request(request).await.map_err(|error| unreachable(error.to_string()))?;
    let status = answer.status();
    let body = answer.into_body().collect().await;
    let body = body.map_err(|error| unreachable(error.to_string()))?.to_bytes();
    let text = String::from_utf8_lossy(&body).into_owned();
    match status {
        StatusCode::OK => Ok(text),
        StatusCode::NOT_FOUND if text.is_empty() => {
            Err(unreachable("a node that runs without --dev".to_owned()))
        }
        _ => Err(DevError::Refused(text.trim_end().to_owned())),
    }
}
