//! From the messages of a topic to rows: the one transaction in which offsets, rows, statuses, incidents, marks and
//! rejects move together.

pub mod batch;
mod certificates;
mod checks;
mod control;
mod dates;
pub mod decode;
mod directory;
mod plausible;
mod status_change;
mod statuses;
mod verdict;
mod words;
mod write;

pub use batch::{Batch, Run, days_of};
pub use control::{ControlFailed, try_control};
pub use dates::first_kept;
pub use directory::Directory;
pub use write::{Scope, WriteError, Written, move_offsets, write, write_again};
