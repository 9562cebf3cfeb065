//! InitProducerId, and the sequences of idempotent producers.

use wire::batch::Producer;
use wire::kafka_protocol::messages::init_producer_id_request::InitProducerIdRequest;
use wire::versions::{INIT_PRODUCER_ID, LIST_OFFSETS, PRODUCE};

use super::super::play::Play;
use super::requests::{all, batch_of, make, offsets, produce, text, wait};

fn init(id: i64, epoch: i16) -> InitProducerIdRequest {
    InitProducerIdRequest::default()
        .with_transactional_id(None)
        .with_transaction_timeout_ms(60_000)
        .with_producer_id(id.into())
        .with_producer_epoch(epoch)
}

pub fn ids(play: &mut Play) {
    // Kafka's first answers are that it has no ids yet.
    wait(play, INIT_PRODUCER_ID, 4, || init(-1, -1), |answer| answer.code() == 0);
    play.each("good", INIT_PRODUCER_ID, all(INIT_PRODUCER_ID), |_| init(-1, -1));
    let told = play.ask("one more", INIT_PRODUCER_ID, 4, init(-1, -1));
    let id = told.number("/producer_id");
    play.each("an id and no epoch", INIT_PRODUCER_ID, [3, 5], |_| init(id, -1));
    play.each("an epoch and no id", INIT_PRODUCER_ID, [3, 5], |_| init(-1, 0));
    play.each("the next epoch", INIT_PRODUCER_ID, [3, 5], |_| init(id, 0));
    play.ask("an unknown id", INIT_PRODUCER_ID, 4, init(987_654, 0));
    play.ask("epoch -2", INIT_PRODUCER_ID, 4, init(-1, -2));
    let time = init(-1, -1).with_transaction_timeout_ms(-1);
    play.ask("a negative time", INIT_PRODUCER_ID, 4, time);
    play.ask("no name for transactions", INIT_PRODUCER_ID, 4, {
        init(-1, -1).with_transactional_id(Some(text("").into()))
    });
}

pub fn sequences(play: &mut Play) {
    make(play, "sequences", 2);
    let told = play.ask("an id", INIT_PRODUCER_ID, 4, init(-1, -1));
    let id = told.number("/producer_id");
    let from = |partition: i32, epoch: i16, first: i32, count: usize| {
        let values: Vec<&str> = std::iter::repeat_n("x", count).collect();
        let producer = Producer { id, epoch, base_sequence: first };
        produce("sequences", partition, batch_of(&values, Some(producer)))
    };
    let to = |play: &mut Play, what: &str, epoch, first, count| {
        play.ask(what, PRODUCE, 9, from(0, epoch, first, count));
    };
    to(play, "the first three", 0, 0, 3);
    to(play, "the first three again", 0, 0, 3);
    to(play, "the next two", 0, 3, 2);
    to(play, "the first three after the next two", 0, 0, 3);
    to(play, "a gap", 0, 6, 1);
    to(play, "two of three", 0, 0, 2);
    to(play, "one that overlaps", 0, 4, 2);
    for first in 5..11 {
        to(play, &format!("number {first}"), 0, first, 1);
    }
    to(play, "older than five batches", 0, 0, 3);
    to(play, "the oldest of five", 0, 6, 1);
    to(play, "the oldest of five, as two", 0, 6, 2);
    to(play, "a new epoch that does not begin", 1, 11, 1);
    to(play, "a new epoch", 1, 0, 1);
    to(play, "a new epoch again", 1, 0, 1);
    to(play, "the old epoch", 0, 11, 1);
    to(play, "the old epoch's last again", 0, 10, 1);
    to(play, "two epochs later", 3, 0, 2);
    to(play, "the epoch between", 2, 0, 1);
    play.ask("another partition, not from 0", PRODUCE, 9, from(1, 0, 40, 1));
    play.ask("another partition, then a gap", PRODUCE, 9, from(1, 0, 42, 1));
    play.ask("another partition, the old epoch later", PRODUCE, 9, from(1, 0, 41, 1));
    play.ask("where it is at last", LIST_OFFSETS, 7, offsets("sequences", &[0, 1], -1));
    make(play, "wrapping", 1);
    let wraps = |first: i32, count: usize| {
        let values: Vec<&str> = std::iter::repeat_n("x", count).collect();
        let producer = Producer { id, epoch: 0, base_sequence: first };
        produce("wrapping", 0, batch_of(&values, Some(producer)))
    };
    play.ask("before the greatest number", PRODUCE, 9, wraps(i32::MAX - 1, 1));
    play.ask("over the greatest number", PRODUCE, 9, wraps(i32::MAX, 2));
    play.ask("behind the greatest number", PRODUCE, 9, wraps(1, 1));
    play.ask("over it, again", PRODUCE, 9, wraps(i32::MAX, 2));
    make(play, "remade", 1);
    let again = |first: i32| {
        let producer = Producer { id, epoch: 0, base_sequence: first };
        produce("remade", 0, batch_of(&["x"], Some(producer)))
    };
    play.each("each version", PRODUCE, all(PRODUCE), |v| again(i32::from(v) - 3));
    play.each("each version again", PRODUCE, [7, 8, 9, 10, 11], |v| again(i32::from(v) - 3));
    play.each("each version out of order", PRODUCE, all(PRODUCE), |_| again(77));
}
