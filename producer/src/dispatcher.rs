//! The thread of the schedule: hands due checks to the workers, declares what was missed, says that the producer lives.

#[cfg(test)]
mod tests;

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use isitup_shared::event::{Body, ClockStep, Gap, GapReason, Name, ProducerReport, ProducerState, SiteNames};
use isitup_shared::heartbeat::Heartbeat;
use isitup_shared::shutdown::Shutdown;
use isitup_shared::time::UtcTime;

use crate::clock::Clock;
use crate::metrics::Metrics;
use crate::schedule::{Due, Schedule, Slots};
use crate::site::Site;
use crate::spool::{Intake, Ledger, SpoolGauge};
use crate::workers::{SiteState, Workers};

/// Slots due within this time begin together: one wake-up for them all, at most this much late. Far below the lateness
/// that matters, and long enough to spare a busy schedule most of its wake-ups.
const GRAIN: Duration = Duration::from_millis(4);
/// How often the clock is compared and missed slots are declared.
const TICK: Duration = Duration::from_secs(1);
/// How long checks in flight may go on after the end of the schedule.
const GRACE: Duration = Duration::from_secs(5);

/// What the producer says of itself.
#[derive(Clone, Debug)]
pub struct Identification {
    /// Hash of the whole set of sites.
    pub config_hash: String,
    /// How many sites there are.
    pub site_count: u64,
}

/// What is known of the run before this one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Before {
    /// Every slot before this moment has ended as an event.
    pub settled: Option<UtcTime>,
    /// Its clock stood here at least.
    pub last: Option<UtcTime>,
}

/// Runs the schedule until the shutdown.
pub struct Dispatcher {
    identification: Identification,
    sites: Vec<Arc<SiteState>>,
    /// Sites that are no longer configured, as long as a check of theirs is in flight.
    leaving: Vec<Arc<SiteState>>,
    reloads: Receiver<Reload>,
    schedule: Schedule,
    /// Every slot until this moment has been begun or missed.
    frontier: UtcTime,
    /// When the schedule was last looked at.
    looked: Instant,
    clock: Clock,
    missed: BTreeMap<GapReason, Missed>,
    workers: Workers,
    ledger: Arc<Ledger>,
    intake: Intake,
    spool: SpoolGauge,
    metrics: Metrics,
}

/// Missed slots that no event tells yet.
#[derive(Debug)]
struct Missed {
    from: UtcTime,
    to: UtcTime,
    /// The sites, each with its slot that is open in the ledger.
    sites: BTreeMap<Arc<str>, UtcTime>,
}

/// A set of sites in place of the one before.
#[derive(Debug)]
pub struct Reload {
    /// The sites.
    pub sites: Vec<Site>,
    /// Hash of the whole set.
    pub config_hash: String,
    /// The most workers that fit for them.
    pub workers: usize,
}

impl Dispatcher {
    /// A schedule for `sites` that begins now, and says so: after a gap since the end of the one before.
    #[expect(clippy::too_many_arguments, reason = "the one place where all parts of the producer meet")]
    pub fn begin(
        identification: Identification,
        sites: Vec<Arc<SiteState>>,
        reloads: Receiver<Reload>,
        before: Before,
        workers: Workers,
        ledger: Arc<Ledger>,
        intake: Intake,
        spool: SpoolGauge,
        metrics: Metrics,
    ) -> Self {
        let clock = Clock::new();
        let begin = clock.now();
        let schedule = schedule(&sites, begin);
        let dispatcher = Self {
            identification,
            sites,
            leaving: Vec::new(),
            reloads,
            schedule,
            frontier: begin,
            looked: Instant::now(),
            clock,
            missed: BTreeMap::new(),
            workers,
            ledger,
            intake,
            spool,
            metrics,
        };
        dispatcher.declare_time_since(before, begin);
        dispatcher.ledger.advance(begin);
        // The schedule began then; slots since are due.
        dispatcher.report_at(ProducerState::Started, begin);
        dispatcher
    }

    /// Declares what went by between two runs: also what the clock had shown already, when it was put back meanwhile. That
    /// time comes again.
    fn declare_time_since(&self, before: Before, begin: UtcTime) {
        let Some(settled) = before.settled else { return };
        let last = before.last.unwrap_or(settled).max(settled);
        if settled < begin.max(last) {
            // Until the spool has the gap, the next start must find this time open.
            self.ledger.open(settled);
            self.declare(Gap::of_span(GapReason::ProducerDown, settled, begin.max(last), None), vec![settled]);
        }
        if last.since(begin) >= ClockStep::SMALLEST {
            self.tell(ClockStep { at: begin, step_us: begin.as_micros() - last.as_micros() }, Vec::new());
        }
    }

    /// Runs until `shutdown`, then lets checks in flight end and declares those that do not.
    pub fn run(mut self, shutdown: &Shutdown, heart: &Heartbeat) {
        let _pulse = heart.begin();
        let (mut next_tick, mut next_heartbeat) = (Instant::now() + TICK, Instant::now() + ProducerReport::HEARTBEAT);
        while !shutdown.is_triggered() {
            heart.beat();
            self.begin_due();
            let now = Instant::now();
            if now >= next_tick {
                next_tick = now + TICK;
                self.tick();
            }
            if now >= next_heartbeat {
                next_heartbeat += ProducerReport::HEARTBEAT;
                self.report(ProducerState::Heartbeat);
            }
            let to_tick = next_tick.min(next_heartbeat).saturating_duration_since(now);
            let to_slot = self.schedule.next_slot().map_or(TICK, |slot| slot.since(self.clock.now()));
            shutdown.wait(to_slot.min(to_tick).max(GRAIN));
        }
        self.finish(Instant::now() + GRACE);
    }

    /// Hands over what is due.
    fn begin_due(&mut self) {
        self.begin_due_until(self.clock.now());
    }

    /// Hands over what is due at `now`.
    fn begin_due_until(&mut self, now: UtcTime) {
        let looked = Instant::now();
        while let Some(due) = self.schedule.pop(now) {
            match due {
                Due::Check { site, slot } => {
                    self.ledger.open(slot);
                    match self.workers.begin(&self.sites[site], slot) {
                        Ok(()) => {}
                        Err(_) => {
                            self.metrics.count_missed(self.reason(), 1);
                            self.miss(self.reason(), self.name(site), slot, slot);
                        }
                    }
                }
                Due::Missed { site, first, last } => {
                    self.ledger.open(first);
                    let interval = self.sites[site].site.settings.interval.as_micros().max(1);
                    let slots = last.since(first).as_micros() / interval + 1;
                    self.metrics.count_missed(self.reason(), u64::try_from(slots).unwrap_or(u64::MAX));
                    self.miss(self.reason(), self.name(site), first, last);
                }
            }
        }
        self.ledger.advance(now);
        self.frontier = now;
        self.looked = looked;
    }

    fn name(&self, site: usize) -> Arc<str> {
        Arc::clone(&self.sites[site].site.name)
    }

    /// Takes up another set of sites. What was due until now is begun or missed by the old set; everything later belongs to
    /// the new one. An unchanged site keeps its state, and its phase in any case.
    fn reload(&mut self, reload: Reload) {
        self.begin_due();
        self.workers.bound(reload.workers);
        self.metrics.workers_limit.set(i64::try_from(reload.workers).unwrap_or(i64::MAX));
        let mut known: HashMap<Arc<str>, Arc<SiteState>> =
            self.sites.drain(..).map(|state| (Arc::clone(&state.site.name), state)).collect();
        let taken_up = |site: Site| match known.remove(&site.name) {
            Some(state) if state.site.is_same(&site) => state,
            Some(state) => Arc::new(state.changed(site)),
            None => Arc::new(SiteState::new(site)),
        };
        self.sites = reload.sites.into_iter().map(taken_up).collect();
        self.leaving.extend(known.into_values());
        // All slots until the last look at the schedule have been begun or missed.
        self.schedule = schedule(&self.sites, self.frontier.after(Duration::from_micros(1)));
        self.identification = Identification { config_hash: reload.config_hash, site_count: self.sites.len() as u64 };
        log::info!("the configuration was read anew: {} sites", self.sites.len());
        self.report(ProducerState::Heartbeat);
    }

    /// Why slots are missed at the moment: checks that wait for a full disk keep their sites busy, and when very many wait,
    /// this thread too.
    fn reason(&self) -> GapReason {
        if self.spool.was_blocked_since(self.looked) { GapReason::SpoolFull } else { GapReason::Overrun }
    }

    /// Notes that the slots of `site` from `first` to `last` stay unchecked. `first` must be open in the ledger.
    fn miss(&mut self, reason: GapReason, site: Arc<str>, first: UtcTime, last: UtcTime) {
        let missed =
            self.missed.entry(reason).or_insert_with(|| Missed { from: first, to: last, sites: BTreeMap::new() });
        missed.from = missed.from.min(first);
        missed.to = missed.to.max(last);
        match missed.sites.entry(site) {
            Entry::Vacant(entry) => {
                entry.insert(first);
            }
            // The site's earlier slot stays open until the gap is told, and holds the settled time for this one too.
            Entry::Occupied(_) => self.ledger.close(first),
        }
    }

    fn tick(&mut self) {
        self.leaving.retain(|state| state.is_in_flight());
        while let Ok(reload) = self.reloads.try_recv() {
            self.reload(reload);
        }
        if let Some(step) = self.clock.follow() {
            self.step(step);
        }
        self.declare_missed();
    }

    /// The wall clock jumped: the slots are those of the new time from here on, and until here those of the old time.
    fn step(&mut self, step: ClockStep) {
        let old = UtcTime::from_micros(step.at.as_micros() - step.step_us);
        self.begin_due_until(old);
        self.metrics.clock_steps.inc();
        self.declare_missed();
        // Until the spool has the step, no time after it is settled: nobody would know why nothing was checked up to there.
        let open = old.min(step.at);
        self.ledger.open(open);
        self.ledger.advance(step.at);
        self.tell(step, vec![open]);
        self.schedule.restart(step.at);
        self.frontier = step.at;
    }

    fn tell(&self, step: ClockStep, closes: Vec<UtcTime>) {
        log::warn!("the wall clock jumped by {} ms; the schedule follows it", step.step_us / 1000);
        self.intake.put_step(step, closes);
    }

    fn declare_missed(&mut self) {
        for (reason, missed) in std::mem::take(&mut self.missed) {
            log::warn!("{} sites had slots that were not checked ({reason}); they are declared", missed.sites.len());
            let sites: Vec<(Arc<str>, UtcTime)> = missed.sites.into_iter().collect();
            for chunk in sites.chunks(SiteNames::MOST) {
                let names = chunk.iter().map(|(site, _)| Name::from(&**site)).collect::<Vec<_>>().try_into().ok();
                let closes = chunk.iter().map(|(_, slot)| *slot).collect();
                self.declare(Gap::of_span(reason, missed.from, missed.to, names), closes);
            }
        }
    }

    fn declare(&self, gap: Gap, closes: Vec<UtcTime>) {
        self.metrics.count_gap(gap.reason);
        self.intake.put(self.intake.draft(&Body::Gap(gap)), closes);
    }

    fn report(&self, state: ProducerState) {
        self.report_at(state, self.clock.now());
    }

    fn report_at(&self, state: ProducerState, at: UtcTime) {
        let Identification { config_hash, site_count } = self.identification.clone();
        let (config_hash, version) = (config_hash.into(), env!("CARGO_PKG_VERSION").into());
        let report = ProducerReport { state, at, site_count, config_hash, version };
        self.intake.put(self.intake.draft(&Body::Producer(report)), Vec::new());
    }

    /// No new checks; those in flight end or are cut off; the last events go to the spool.
    fn finish(mut self, deadline: Instant) {
        let never = Shutdown::new();
        let states: Vec<Arc<SiteState>> = self.sites.iter().chain(&self.leaving).map(Arc::clone).collect();
        while states.iter().any(|state| state.is_in_flight()) && Instant::now() < deadline {
            never.wait(Duration::from_millis(5));
        }
        for state in &states {
            if let Some(slot) = state.cut_off() {
                self.metrics.count_missed(GapReason::Shutdown, 1);
                self.miss(GapReason::Shutdown, Arc::clone(&state.site.name), slot, slot);
            }
        }
        self.declare_missed();
        // The settled time stays at the last look at the schedule: slots since then belong to the gap of the next start.
        self.report(ProducerState::Stopping);
        self.workers.finish(Instant::now() + Duration::from_millis(100));
    }
}

/// The slots of `sites` from `begin` on.
fn schedule(sites: &[Arc<SiteState>], begin: UtcTime) -> Schedule {
    let slots = sites.iter().map(|state| Slots::new(&state.site.name, state.site.settings.interval)).collect();
    Schedule::new(slots, begin)
}
