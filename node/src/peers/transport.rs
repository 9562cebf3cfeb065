//! What carries messages between nodes.

use state_machine::ids::NodeId;

use super::message::Message;

/// Carries messages to peers. Sending never waits and may fail silently, as networks do.
pub trait Transport: Send + Sync + 'static {
    /// Sends a message, or drops it.
    fn send(&self, to: NodeId, message: &Message);
}
