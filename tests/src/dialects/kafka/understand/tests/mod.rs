//! Requests and answers as they are on the wire, in the oldest and the newest version, and what
//! they tell.

mod groups;
mod members;
mod offsets;
mod records;
mod topics;

use serde_json::{Value, json};
use wire::frame;
use wire::kafka_protocol::messages::{RequestKind, ResponseKind};
use wire::kafka_protocol::protocol::StrBytes;
use wire::versions;

use super::{TopicNames, asked, understand};
use crate::dialects::Answer;
use crate::dialects::kafka::Told;

fn s(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

/// The oldest and the newest version of a request.
fn ends(key: i16) -> [i16; 2] {
    let api = versions::find(key).expect("a request that is understood");
    let oldest = (0..=api.max).find(|version| api.serves(*version)).expect("one version at least");
    [oldest, api.max]
}

/// A request as a broker reads it.
fn over_the_wire(key: i16, version: i16, request: &RequestKind) -> RequestKind {
    let frame = frame::request(key, version, 7, Some("client"), request)
        .unwrap_or_else(|error| panic!("version {version} of {request:?}: {error}"));
    let head = frame::head(frame.slice(4..)).expect("a header");
    frame::decode(head).expect("a body")
}

/// What a request tells in that version, and what it tells with its answer.
fn told(
    names: &mut TopicNames,
    (key, version): (i16, i16),
    request: RequestKind,
    reply: ResponseKind,
) -> Vec<Told> {
    let request = over_the_wire(key, version, &request);
    let frame = frame::encode(key, version, 7, &reply)
        .unwrap_or_else(|error| panic!("version {version} of {reply:?}: {error}"));
    let (id, reply) = frame::reply(key, version, frame.slice(4..)).expect("an answer");
    assert_eq!(id, 7);
    understand(names, &request, &reply, version)
}

/// The operations as one value each: name, fields, answer.
fn plain(told: &[Told]) -> Vec<Value> {
    let answer = |answer: &Answer| match answer {
        Answer::Ok(fields) => fields.clone(),
        Answer::Error { code, error } => json!([code, error]),
    };
    told.iter().map(|told| json!([told.f, told.args, answer(&told.answer)])).collect()
}

/// The operations of a request without an answer, in the same form.
fn unanswered(names: &mut TopicNames, request: &RequestKind) -> Vec<Value> {
    asked(names, request).into_iter().map(|(f, args)| json!([f, args])).collect()
}

#[test]
fn an_answer_of_another_kind_says_nothing() {
    let request = RequestKind::DeleteGroups(<_>::default());
    let reply = ResponseKind::Heartbeat(<_>::default());
    assert!(understand(&mut TopicNames::default(), &request, &reply, 0).is_empty());
    let one = wire::kafka_protocol::messages::DeleteGroupsRequest::default()
        .with_groups_names(vec![s("g").into()]);
    let request = RequestKind::DeleteGroups(one);
    let found = understand(&mut TopicNames::default(), &request, &reply, 0);
    assert_eq!(plain(&found), [json!(["delete_group", { "group": "g" }, [0, null]])]);
}
