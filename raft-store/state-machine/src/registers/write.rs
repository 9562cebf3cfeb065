//! Writes a register, whatever it had before.

use std::sync::Arc;

use super::event::RegisterEvent;
use super::register::RegisterValue;
use crate::reply::{Outcome, Reply};
use crate::transition::Transition;

pub(super) fn write(tx: &mut Transition<'_>, key: &Arc<str>, value: &RegisterValue) -> Outcome {
    tx.emit(RegisterEvent::Written { key: key.clone(), value: value.clone() });
    Ok(Reply::Done)
}
