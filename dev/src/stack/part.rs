//! One part of the stack: a server with a port and data of its own, which can be started, stopped, killed and paused.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use rustix::process::Signal;

use super::home::Home;
use super::ports::{self, Port};
use super::probe::Probe;
use crate::ending::Ending;
use crate::proc::Identity;
use crate::process::{Launch, Process};
use crate::spawner::Spawner;

/// Kafka starts within 3 s on an idle machine; a busy one with many stacks may take much longer.
const START_LIMIT: Duration = Duration::from_secs(90);
const STOP_LIMIT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(40);

/// What all parts of a stack share.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) home: Arc<Home>,
    pub(crate) spawner: Spawner,
    pub(crate) ending: Ending,
}

impl Context {
    /// Waits a moment between two looks; an error when everything is to end.
    pub(crate) fn pause(&self) -> Result<()> {
        if self.ending.sleep(POLL) { Ok(()) } else { bail!("told to end while starting") }
    }
}

/// What is particular to one kind of server.
pub(crate) trait Program: Send {
    /// Its name: of the part, the log and the data folder.
    fn name(&self) -> &'static str;

    /// What has to be done before each start.
    fn prepare(&self, _context: &Context) -> Result<()> {
        Ok(())
    }

    /// How it is started.
    fn launch(&self, context: &Context, port: &Port) -> Result<Launch>;

    /// Whether it answers on its port.
    fn probe(&self, port: u16) -> Probe;

    /// What makes it end in order.
    fn stop_signal(&self) -> Signal;

    /// What makes it end at once yet cleanly, when its data will not be needed again.
    fn quick_stop_signal(&self) -> Signal {
        Signal::KILL
    }

    /// Words in its log that tell an end which the next try may not meet.
    fn passing_troubles(&self) -> &'static [&'static str] {
        &[]
    }
}

/// A server, running or not.
pub(crate) struct Part {
    program: Box<dyn Program>,
    context: Context,
    port: Port,
    process: Option<Process>,
    /// After the first start others know the port, so it must not change any more.
    was_ready: bool,
}

impl Part {
    /// A part that is not started yet.
    pub(crate) fn new(program: Box<dyn Program>, context: &Context, port: Port) -> Self {
        Self { program, context: context.clone(), port, process: None, was_ready: false }
    }

    /// Its name.
    pub(crate) fn name(&self) -> &'static str {
        self.program.name()
    }

    /// Where it listens.
    pub(crate) fn port(&self) -> &Port {
        &self.port
    }

    /// The process, if it runs.
    pub(crate) fn identity(&self) -> Option<Identity> {
        self.process.as_ref().map(Process::identity)
    }

    /// Starts it and waits until it is ready.
    pub(crate) fn start(&mut self) -> Result<()> {
        if self.has_crashed()?.is_none() && self.process.is_some() {
            bail!("{} runs already", self.name());
        }
        self.process = None;
        let started = Instant::now();
        self.program.prepare(&self.context)?;
        while !self.try_start(started + START_LIMIT)? {
            self.context.pause()?;
        }
        self.was_ready = true;
        log::info!(
            "{} is ready on {} after {:.1} s",
            self.name(),
            self.port.address(),
            started.elapsed().as_secs_f64()
        );
        Ok(())
    }

    /// One try; false when the next one may do better.
    fn try_start(&mut self, until: Instant) -> Result<bool> {
        let number = self.port.number();
        if !ports::is_free(number) && !self.take_other_port(until)? {
            return Ok(false);
        }
        let mut process = self.program.launch(&self.context, &self.port)?.start(&self.context.spawner)?;
        loop {
            if let Some(status) = process.exited()? {
                return self.judge_exit(&process, &status.to_string(), until);
            }
            match self.program.probe(self.port.number()) {
                Ok(()) => {
                    self.process = Some(process);
                    return Ok(true);
                }
                Err(why) if Instant::now() > until => {
                    let limit = START_LIMIT.as_secs();
                    bail!("{} is not ready after {limit} s: {why}{}", self.name(), process.last_words());
                }
                Err(_) => self.context.pause()?,
            }
        }
    }

    fn judge_exit(&self, process: &Process, status: &str, until: Instant) -> Result<bool> {
        let written = process.written();
        let mut passing = self.program.passing_troubles().iter().chain(&["Address already in use"]);
        if Instant::now() < until && passing.any(|words| written.contains(words)) {
            log::info!("{} ended while starting; trying again", self.name());
            return Ok(false);
        }
        bail!("{} ended while starting ({status}){}", self.name(), process.last_words())
    }

    /// Somebody sits on the port. Before anybody was told of it another does as well; later only waiting helps.
    fn take_other_port(&mut self, until: Instant) -> Result<bool> {
        let number = self.port.number();
        if self.was_ready || self.port.is_given() {
            if Instant::now() > until {
                bail!("port {number} of {} is taken by {}", self.name(), ports::holder(number));
            }
            return Ok(false);
        }
        self.port = Port::free()?;
        Ok(true)
    }

    /// Ends it in order. Not running is well.
    pub(crate) fn stop(&mut self) -> Result<()> {
        self.end_by(self.program.stop_signal())
    }

    /// Ends it fast, its data being of no further use.
    pub(crate) fn stop_quickly(&mut self) -> Result<()> {
        self.end_by(self.program.quick_stop_signal())
    }

    fn end_by(&mut self, signal: Signal) -> Result<()> {
        match self.process.take() {
            Some(process) if signal == Signal::KILL => process.kill(),
            Some(process) => process.stop(signal, STOP_LIMIT),
            None => Ok(()),
        }
    }

    /// kill -9, of all its processes.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.running()?;
        self.end_by(Signal::KILL)
    }

    /// Freezes all its processes: connections stay open, nothing answers.
    pub(crate) fn pause(&mut self) -> Result<()> {
        self.running().map(|process| process.signal_all(Signal::STOP))
    }

    /// Lets it go on.
    pub(crate) fn resume(&mut self) -> Result<()> {
        self.running().map(|process| process.signal_all(Signal::CONT))
    }

    fn running(&self) -> Result<&Process> {
        match &self.process {
            Some(process) => Ok(process),
            None => bail!("{} does not run", self.name()),
        }
    }

    /// How it ended, if it did so without being told to.
    pub(crate) fn has_crashed(&mut self) -> Result<Option<String>> {
        let Some(process) = &mut self.process else { return Ok(None) };
        Ok(process
            .exited()?
            .map(|status| format!("{} ended by itself ({status}){}", self.program.name(), process.last_words())))
    }
}

impl Drop for Part {
    /// Ends it fast but, unlike the drop of its process, without leaving anything of it behind.
    fn drop(&mut self) {
        if let Err(error) = self.stop_quickly() {
            log::warn!("{error:#}");
        }
    }
}
