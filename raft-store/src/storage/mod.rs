//! What a node keeps, and where: log, state and incarnation.

mod disk;

pub use disk::{Disk, Storage};
pub(crate) use disk::{Snapshot, Write};
