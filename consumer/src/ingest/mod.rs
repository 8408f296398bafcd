//! From the messages of a topic to rows: the one transaction in which offsets, rows, statuses, incidents, marks and
//! rejects move together.

pub mod batch;
mod checks;
pub mod decode;
mod directory;
mod status_change;
mod statuses;
mod words;
mod write;

pub use batch::{Batch, Run};
pub use directory::Directory;
pub use write::{Scope, WriteError, Written, first_kept, write};
