//! ApiVersions (18): what is served, and in which versions.

use wire::kafka_protocol::messages::api_versions_request::ApiVersionsRequest;
use wire::kafka_protocol::messages::api_versions_response::{ApiVersion, ApiVersionsResponse};
use wire::{errors, versions};

use super::Context;

pub(super) fn answer(cx: &Context, asked: &ApiVersionsRequest) -> ApiVersionsResponse {
    let names = [&asked.client_software_name, &asked.client_software_version];
    if cx.version >= 3 && !names.iter().all(|name| is_software_name(name)) {
        return ApiVersionsResponse::default().with_error_code(errors::INVALID_REQUEST);
    }
    let version = |api: &versions::Api| {
        ApiVersion::default()
            .with_api_key(api.key)
            .with_min_version(api.min)
            .with_max_version(api.max)
    };
    ApiVersionsResponse::default().with_api_keys(versions::ALL.iter().map(version).collect())
}

/// In the form of version 0, which every client reads.
pub(super) fn unsupported() -> ApiVersionsResponse {
    let own = versions::find(versions::API_VERSIONS).map(|api| {
        ApiVersion::default()
            .with_api_key(api.key)
            .with_min_version(api.min)
            .with_max_version(api.max)
    });
    ApiVersionsResponse::default()
        .with_error_code(errors::UNSUPPORTED_VERSION)
        .with_api_keys(own.into_iter().collect())
}

/// Letters and digits, with dots and dashes between them.
fn is_software_name(name: &str) -> bool {
    let ends = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = name.as_bytes();
    ends(bytes.first())
        && ends(bytes.last())
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'))
}
