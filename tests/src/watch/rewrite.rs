//! What a watch changes in answers: where brokers are, and which versions they understand.
//!
//! Everything else passes as it is. A function here says what changes in one answer; it knows no
//! connection. Addresses are in the answers to Metadata, FindCoordinator and DescribeCluster, and
//! in those to newer versions of Produce and Fetch. Versions are capped to those that [`wire`]
//! reads, for the requests that it knows. Requests that it does not know keep theirs, but for
//! [`NAME_BROKERS`].

use bytes::{BufMut, Bytes, BytesMut};
use wire::errors;
use wire::frame;
use wire::kafka_protocol::messages::ResponseKind;
use wire::kafka_protocol::messages::api_versions_response::{ApiVersion, ApiVersionsResponse};
use wire::kafka_protocol::protocol::StrBytes;
use wire::versions::{
    self, API_VERSIONS, DESCRIBE_CLUSTER, FETCH, FIND_COORDINATOR, METADATA, PRODUCE,
};

/// ShareFetch and ShareAcknowledge: their answers name brokers in a form that nobody reads here.
/// They are not offered, so that nothing goes past the watch.
const NAME_BROKERS: [i16; 2] = [78, 79];

/// Where a broker is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Address {
    pub(super) host: String,
    pub(super) port: u16,
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// Whether the answer to this request may name brokers.
pub(super) fn names_brokers(key: i16, version: i16) -> bool {
    match key {
        METADATA | FIND_COORDINATOR | DESCRIBE_CLUSTER => true,
        PRODUCE => version >= 10,
        FETCH => version >= 16,
        _ => false,
    }
}

/// Shows every address in an answer: host and port.
pub(super) fn each_address(
    reply: &mut ResponseKind,
    each: &mut dyn FnMut(&mut StrBytes, &mut i32),
) {
    match reply {
        ResponseKind::Metadata(reply) => {
            reply.brokers.iter_mut().for_each(|broker| each(&mut broker.host, &mut broker.port));
        }
        ResponseKind::FindCoordinator(reply) => {
            each(&mut reply.host, &mut reply.port);
            for coordinator in &mut reply.coordinators {
                each(&mut coordinator.host, &mut coordinator.port);
            }
        }
        ResponseKind::DescribeCluster(reply) => {
            reply.brokers.iter_mut().for_each(|broker| each(&mut broker.host, &mut broker.port));
        }
        ResponseKind::Produce(reply) => {
            reply.node_endpoints.iter_mut().for_each(|node| each(&mut node.host, &mut node.port));
        }
        ResponseKind::Fetch(reply) => {
            reply.node_endpoints.iter_mut().for_each(|node| each(&mut node.host, &mut node.port));
        }
        _ => {}
    }
}

/// The address that host and port say, if they say one: where there is no coordinator, the host is
/// empty and the port -1.
pub(super) fn address(host: &StrBytes, port: i32) -> Option<Address> {
    let port = u16::try_from(port).ok().filter(|port| *port != 0)?;
    (!host.is_empty()).then(|| Address { host: host.to_string(), port })
}

/// Caps the versions that a broker offers to those that are understood.
fn cap(reply: &mut ApiVersionsResponse) {
    reply.api_keys.retain_mut(|offered| {
        let Some(api) = versions::find(offered.api_key) else {
            return !NAME_BROKERS.contains(&offered.api_key);
        };
        offered.max_version = offered.max_version.min(api.max);
        offered.min_version = offered.min_version.max(api.min);
        offered.min_version <= offered.max_version
    });
}

/// The frame of an answer to ApiVersions, with versions capped; none if it cannot be read.
///
/// A broker that does not understand the version answers in version 0. `too_new` says that the
/// client's version is one that only the broker understands: then it is told so.
pub(super) fn api_versions(version: i16, too_new: bool, frame: &Bytes) -> Option<Bytes> {
    let code = frame.get(8..10).and_then(|code| code.first_chunk().copied());
    let refused = code.map(i16::from_be_bytes) == Some(errors::UNSUPPORTED_VERSION);
    let version = if refused { 0 } else { version };
    let (id, reply) = frame::reply(API_VERSIONS, version, frame.slice(4..)).ok()?;
    let ResponseKind::ApiVersions(mut reply) = reply else { return None };
    if too_new {
        let own = versions::find(API_VERSIONS)?;
        reply.error_code = errors::UNSUPPORTED_VERSION;
        reply.api_keys = vec![
            ApiVersion::default()
                .with_api_key(API_VERSIONS)
                .with_min_version(own.min)
                .with_max_version(own.max),
        ];
    } else {
        cap(&mut reply);
    }
    frame::encode(API_VERSIONS, version, id, &ResponseKind::ApiVersions(reply)).ok()
}

/// A request for ApiVersions in version 0 instead of one that is too new, with the same correlation
/// id and client id; none if it is cut.
pub(super) fn older_api_versions(frame: &Bytes) -> Option<Bytes> {
    let client = frame.get(12..14)?.first_chunk().copied().map(i16::from_be_bytes)?;
    let header = frame.get(8..14 + usize::try_from(client).unwrap_or(0))?;
    let mut older = BytesMut::new();
    older.put_i32(i32::try_from(4 + header.len()).ok()?);
    older.put_i16(API_VERSIONS);
    older.put_i16(0);
    older.put_slice(header);
    Some(older.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::kafka_protocol::messages::{ApiVersionsRequest, RequestKind};

    fn offered(key: i16, min: i16, max: i16) -> ApiVersion {
        ApiVersion::default().with_api_key(key).with_min_version(min).with_max_version(max)
    }

    fn ranges(frame: &Bytes, version: i16) -> (i16, Vec<(i16, i16, i16)>) {
        let (id, reply) = frame::reply(API_VERSIONS, version, frame.slice(4..)).expect("an answer");
        assert_eq!(id, 5);
        let ResponseKind::ApiVersions(reply) = reply else { panic!("another answer: {reply:?}") };
        let range = |api: &ApiVersion| (api.api_key, api.min_version, api.max_version);
        (reply.error_code, reply.api_keys.iter().map(range).collect())
    }

    #[test]
    fn versions_are_capped_to_what_is_understood() {
        let all = vec![
            offered(FETCH, 0, 18),
            offered(METADATA, 0, 9),
            offered(PRODUCE, 12, 13),
            offered(68, 0, 1),
            offered(78, 0, 1),
        ];
        let reply = ApiVersionsResponse::default().with_api_keys(all);
        for version in [0, 3] {
            let reply = ResponseKind::ApiVersions(reply.clone());
            let frame = frame::encode(API_VERSIONS, version, 5, &reply).expect("an answer");
            let capped = api_versions(version, false, &frame).expect("it is understood");
            let expected = vec![(FETCH, 4, 17), (METADATA, 0, 9), (68, 0, 1)];
            assert_eq!(ranges(&capped, version), (0, expected));
        }
    }

    #[test]
    fn a_broker_that_refuses_the_version_answers_in_version_0() {
        let reply = ApiVersionsResponse::default()
            .with_error_code(errors::UNSUPPORTED_VERSION)
            .with_api_keys(vec![offered(API_VERSIONS, 0, 2)]);
        let reply = ResponseKind::ApiVersions(reply);
        let frame = frame::encode(API_VERSIONS, 0, 5, &reply).expect("an answer");
        let capped = api_versions(4, false, &frame).expect("it is understood");
        assert_eq!(ranges(&capped, 0), (35, vec![(API_VERSIONS, 0, 2)]));
    }

    #[test]
    fn a_version_that_only_the_broker_understands_is_refused() {
        let request = RequestKind::ApiVersions(ApiVersionsRequest::default());
        let mut frame =
            frame::request(API_VERSIONS, 3, 5, Some("me"), &request).expect("a request").to_vec();
        frame[7] = 5;
        let older = older_api_versions(&Bytes::from(frame)).expect("it has a header");
        let head = frame::head(older.slice(4..)).expect("a header");
        assert_eq!((head.version, head.correlation_id), (0, 5));
        assert_eq!(head.client_id.as_deref(), Some("me"));
        assert!(frame::decode(head).is_ok());
        let reply = ApiVersionsResponse::default().with_api_keys(vec![offered(FETCH, 0, 18)]);
        let reply = ResponseKind::ApiVersions(reply);
        let frame = frame::encode(API_VERSIONS, 0, 5, &reply).expect("an answer");
        let told = api_versions(0, true, &frame).expect("it is understood");
        assert_eq!(ranges(&told, 0), (35, vec![(API_VERSIONS, 0, 4)]));
    }

    #[test]
    fn only_an_address_is_one() {
        let host = StrBytes::from_static_str("b");
        assert_eq!(address(&host, 9092).map(|a| a.to_string()), Some("b:9092".to_owned()));
        for (host, port) in [("", 9092), ("b", -1), ("b", 0), ("b", 70_000)] {
            assert_eq!(address(&StrBytes::from_string(host.to_owned()), port), None);
        }
    }
}
