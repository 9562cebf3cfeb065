//! Two calculators for people who plan consumers. Pure arithmetic on 64-bit floats, evaluated left
//! to right.

use thiserror::Error;

/// Numbers that no consumer can have.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum CalculatorError {
    /// A number below what is possible.
    #[error("`{field}` is {value}, expected {expected}")]
    Impossible {
        /// Which.
        field: &'static str,
        /// Its value.
        value: f64,
        /// What it may be.
        expected: &'static str,
    },
    /// The result is beyond what can be said.
    #[error("the result is too large to be a number")]
    Overflow,
}

fn at_least(
    field: &'static str,
    value: f64,
    least: f64,
    expected: &'static str,
) -> Result<(), CalculatorError> {
    if value.is_finite() && value >= least {
        Ok(())
    } else {
        Err(CalculatorError::Impossible { field, value, expected })
    }
}

/// The least session time-out that is ever advised, in ms.
const MIN_SESSION_TIMEOUT_MS: i64 = 30_000;

/// A session time-out, in ms, for a consumer that takes `processing_time_ms` for what a poll gives
/// from `num_partitions` partitions: a tenth more for each, times `safety_margin`, at least 30,000.
///
/// # Errors
/// Where a number is negative, or the result does not fit an `i64`.
pub fn session_timeout_ms(
    processing_time_ms: f64,
    num_partitions: u32,
    safety_margin: f64,
) -> Result<i64, CalculatorError> {
    at_least("processing_time_ms", processing_time_ms, 0.0, "a number from 0")?;
    at_least("safety_margin", safety_margin, 0.0, "a number from 0")?;
    let timeout = processing_time_ms * (1.0 + f64::from(num_partitions) * 0.1) * safety_margin;
    // From 2^63 on an i64 cannot hold it.
    if !timeout.is_finite() || timeout >= 9_223_372_036_854_775_808.0 {
        return Err(CalculatorError::Overflow);
    }
    Ok((timeout as i64).max(MIN_SESSION_TIMEOUT_MS))
}

/// What a group of consumers can take.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Throughput {
    /// Records a second that one consumer takes.
    pub records_per_sec_per_consumer: f64,
    /// Records a second that all take.
    pub total_records_per_sec: f64,
    /// Partitions that each reads, on average.
    pub partitions_per_consumer: f64,
    /// As many consumers as there are partitions to read, and no more.
    pub recommended_consumers: u32,
}

/// Estimates what `num_consumers` consumers of `num_partitions` partitions can take, when each poll
/// gives `max_poll_records` records of which each takes `processing_time_per_record_ms`.
///
/// # Errors
/// Where there is nobody, nothing, or negative time, or the result is too large.
pub fn throughput(
    max_poll_records: u32,
    processing_time_per_record_ms: f64,
    num_consumers: u32,
    num_partitions: u32,
) -> Result<Throughput, CalculatorError> {
    at_least("max_poll_records", max_poll_records.into(), 1.0, "an integer from 1")?;
    at_least(
        "processing_time_per_record_ms",
        processing_time_per_record_ms,
        0.0,
        "a number from 0",
    )?;
    at_least("num_consumers", num_consumers.into(), 1.0, "an integer from 1")?;
    at_least("num_partitions", num_partitions.into(), 1.0, "an integer from 1")?;
    let batch_time_ms = processing_time_per_record_ms * f64::from(max_poll_records);
    if !batch_time_ms.is_finite() {
        return Err(CalculatorError::Overflow);
    }
    let per_consumer = f64::from(max_poll_records) * 1000.0 / batch_time_ms.max(1.0);
    Ok(Throughput {
        records_per_sec_per_consumer: per_consumer,
        total_records_per_sec: per_consumer * f64::from(num_consumers),
        partitions_per_consumer: f64::from(num_partitions) / f64::from(num_consumers),
        recommended_consumers: num_partitions.min(num_consumers),
    })
}

#[cfg(test)]
mod tests {
    use super::{CalculatorError, Throughput, session_timeout_ms, throughput};

    #[test]
    fn a_session_lasts_at_least_30_seconds() {
        assert_eq!(session_timeout_ms(5_000.0, 10, 2.0), Ok(30_000));
        assert_eq!(session_timeout_ms(20_000.0, 10, 2.0), Ok(80_000));
        assert_eq!(session_timeout_ms(0.0, 0, 0.0), Ok(30_000));
    }

    #[test]
    fn a_throughput_is_that_of_one_times_the_number() {
        let expected = Throughput {
            records_per_sec_per_consumer: 1000.0,
            total_records_per_sec: 6000.0,
            partitions_per_consumer: 2.0,
            recommended_consumers: 6,
        };
        assert_eq!(throughput(500, 1.0, 6, 12), Ok(expected));
        assert_eq!(throughput(10, 0.0, 1, 1).map(|t| t.records_per_sec_per_consumer), Ok(10_000.0));
        assert_eq!(throughput(10, 1.0, 9, 4).map(|t| t.recommended_consumers), Ok(4));
    }

    #[test]
    fn impossible_numbers_are_refused() {
        assert!(matches!(
            throughput(1, 1.0, 0, 1),
            Err(CalculatorError::Impossible { field: "num_consumers", .. })
        ));
        assert!(matches!(
            session_timeout_ms(-1.0, 1, 2.0),
            Err(CalculatorError::Impossible { .. })
        ));
        assert_eq!(session_timeout_ms(1e300, 1, 1e300), Err(CalculatorError::Overflow));
        assert_eq!(session_timeout_ms(1e19, 1, 1.0), Err(CalculatorError::Overflow));
        assert_eq!(throughput(4_000_000_000, 1e308, 1, 1), Err(CalculatorError::Overflow));
    }
}
