//! Starts child processes, always from the main thread.
//!
//! The kernel sends a child its parent-death signal when the *thread* that started it ends, not the process
//! (`PR_SET_PDEATHSIG`, prctl(2)). So the main thread does nothing but start processes for the others, and lives as
//! long as the work does.

use std::io;
use std::panic::resume_unwind;
use std::process::{Child, Command};
use std::sync::mpsc::{Sender, channel};
use std::thread;

type Job = (Command, Sender<io::Result<Child>>);

/// Hands commands to the main thread.
#[derive(Clone)]
pub(crate) struct Spawner(Sender<Job>);

impl Spawner {
    /// Starts `command` in the main thread.
    pub(crate) fn spawn(&self, command: Command) -> io::Result<Child> {
        let (reply, answer) = channel();
        let gone = |_| io::Error::other("the thread that starts processes has ended");
        self.0.send((command, reply)).map_err(|_| gone(()))?;
        answer.recv().map_err(|_| gone(()))?
    }
}

/// Does `work` in a thread of its own while the caller, which must be the main thread, starts processes for it.
pub(crate) fn with_spawner<T: Send>(work: impl FnOnce(Spawner) -> T + Send) -> T {
    let (jobs, queue) = channel::<Job>();
    thread::scope(|scope| {
        let worker = scope.spawn(move || work(Spawner(jobs)));
        for (mut command, reply) in queue {
            // Nobody waiting for the answer any more only happens when the worker panicked; the child dies with us.
            let _ = reply.send(command.spawn());
        }
        worker.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}
