//! From the messages of a topic to rows: the one transaction in which offsets, rows, statuses, incidents, marks and
//! rejects move together.

pub mod batch;
mod certificates;
mod checks;
mod dates;
pub mod decode;
mod directory;
mod status_change;
mod statuses;
mod verdict;
mod words;
mod write;

pub use batch::{Batch, Run};
pub use dates::first_kept;
pub use directory::Directory;
pub use write::{Scope, WriteError, Written, write, write_again};
