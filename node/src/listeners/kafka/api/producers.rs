//! InitProducerId (22): an id for an idempotent producer. Transactions are not served.

use state_machine::producers::command::ProducerCommand;
use state_machine::producers::reply::ProducerReply;
use state_machine::reply::Reply;
use wire::errors;
use wire::kafka_protocol::messages::init_producer_id_request::InitProducerIdRequest;
use wire::kafka_protocol::messages::init_producer_id_response::InitProducerIdResponse;

use super::super::errors::About;
use super::{Context, wire_offset};

/// From here on who has an id may say so.
const ID_FROM: i16 = 3;

pub(super) async fn init(cx: &Context, asked: &InitProducerIdRequest) -> InitProducerIdResponse {
    let refused = |code| {
        InitProducerIdResponse::default()
            .with_error_code(code)
            .with_producer_id((-1).into())
            .with_producer_epoch(-1)
    };
    // Either both are there or none.
    let (id, epoch) = (asked.producer_id.0, asked.producer_epoch);
    let is_whole = (id, epoch) == (-1, -1) || (id >= 0 && epoch >= 0);
    let is_nameless = asked.transactional_id.as_ref().is_some_and(|id| id.is_empty());
    if is_nameless || cx.version >= ID_FROM && !is_whole {
        return refused(errors::INVALID_REQUEST);
    }
    if asked.transactional_id.is_some() {
        // UNSUPPORTED_VERSION would say more, but librdkafka asks again and again after it.
        return refused(errors::TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
    }
    match cx.asker.command(ProducerCommand::Make).await {
        Ok(Reply::Producer(ProducerReply::Made { id })) => InitProducerIdResponse::default()
            .with_producer_id(wire_offset(id).into())
            .with_producer_epoch(0),
        Ok(_) => refused(errors::UNKNOWN_SERVER_ERROR),
        Err(failure) => refused(About::Group.code(&failure)),
    }
}
