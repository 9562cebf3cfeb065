//! Requests that the calculators answer.

use super::body::Body;
use super::{Decoded, Result, invalid};
use crate::listeners::maelstrom::calculators::{self, CalculatorError};

pub(super) fn calculate_session_timeout(body: &Body<'_>) -> Result<Decoded> {
    let safety_margin = body.0.get("safety_margin").is_some().then(|| body.number("safety_margin"));
    let timeout = calculators::session_timeout_ms(
        body.number("processing_time_ms")?,
        body.count("num_partitions")?,
        safety_margin.transpose()?.unwrap_or(2.0),
    );
    computed(
        timeout.map(|ms| ("calculate_session_timeout_ok", format!("\"session_timeout_ms\":{ms}"))),
    )
}

pub(super) fn estimate_consumer_throughput(body: &Body<'_>) -> Result<Decoded> {
    let throughput = calculators::throughput(
        body.count("max_poll_records")?,
        body.number("processing_time_per_record_ms")?,
        body.count("num_consumers")?,
        body.count("num_partitions")?,
    );
    let fields = |t: calculators::Throughput| {
        format!(
            "\"records_per_sec_per_consumer\":{:?},\"total_records_per_sec\":{:?},\
             \"partitions_per_consumer\":{:?},\"recommended_consumers\":{}",
            t.records_per_sec_per_consumer,
            t.total_records_per_sec,
            t.partitions_per_consumer,
            t.recommended_consumers
        )
    };
    computed(throughput.map(|t| ("estimate_consumer_throughput_ok", fields(t))))
}

fn computed(
    result: std::result::Result<(&'static str, String), CalculatorError>,
) -> Result<Decoded> {
    match result {
        Ok((ok, fields)) => Ok(Decoded::Computed(ok, fields)),
        Err(error) => invalid(error.to_string()),
    }
}
