//! Requests of Maelstrom's `lin-kv` workload.

use state_machine::registers::command::{RegisterCommand, RegisterQuery};

use super::body::Body;
use super::{Decoded, Result, command, query};

pub(super) fn read(body: &Body<'_>) -> Result<Decoded> {
    query("read_ok", RegisterQuery::Read { key: body.canonical("key")? })
}

pub(super) fn write(body: &Body<'_>) -> Result<Decoded> {
    let (key, value) = (body.canonical("key")?, body.register_value("value")?);
    command("write_ok", RegisterCommand::Write { key, value })
}

pub(super) fn cas(body: &Body<'_>) -> Result<Decoded> {
    let cas = RegisterCommand::Cas {
        key: body.canonical("key")?,
        from: body.canonical("from")?,
        to: body.register_value("to")?,
        create_if_not_exists: body.flag("create_if_not_exists")?,
    };
    command("cas_ok", cas)
}
