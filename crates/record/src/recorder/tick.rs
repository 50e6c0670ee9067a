//! A tick: everything that is due is read, and what that cost.

use std::time::Duration;

use super::Recorder;
use crate::budget::Saving;
use crate::clock::{deadline_nanos, nanos, now, own_cpu_nanos, suspended, thread_cpu_nanos};
use crate::control::Process;

impl Recorder {
    pub(super) fn tick(&mut self) {
        let at = now();
        let begin = deadline_nanos();
        let since_last = at.monotonic_nanos - self.last_tick.monotonic_nanos;
        if since_last > nanos(self.slowest).saturating_mul(3).max(2_000_000_000) {
            self.event(self.last_tick, "gap", Some("no ticks: stopped, suspended or starved"), None, Some(since_last as f64 / 1e9));
        }
        self.slowest = self.options.interval;
        self.cost.ticks += 1;
        self.cost.suspended = suspended();
        self.panel.read(at);
        if self.stop.is_none() {
            self.panel.send_slow(at);
        }
        self.cost.threads_cpu = self.threads_cpu();
        self.panel.read_own(at, self.cost);
        if !self.conditions.is_empty() {
            self.panel.each_batch(&mut |batch| self.conditions.look(batch, &mut self.events));
        }
        self.last_tick = at;
        self.cost.tick_duration = Some(Duration::from_nanos((deadline_nanos() - begin).cast_unsigned()));
    }

    /// Reads everything now, so that nobody who was born a moment ago is missed.
    pub(super) fn tick_with_new_listing(&mut self) {
        self.panel.processes().list_anew();
        self.tick();
    }

    /// Measures ourselves, and does without something if we cost too much.
    pub(super) fn keep_to_budget(&mut self) {
        if self.budget.is_none() {
            return;
        }
        let cpu = self.threads_cpu().map_or_else(own_cpu_nanos, nanos);
        let Some(change) = self.budget.as_mut().and_then(|budget| budget.judge(deadline_nanos(), cpu)) else { return };
        self.panel.save(change.saving);
        let apart = if change.saving == Some(Saving::RareTicks) { 2 } else { 1 };
        self.schedule.set_interval(self.options.interval.saturating_mul(apart));
        let what = change.saving.map_or("everything is read again", Saving::describe);
        let detail = format!("recording cost {:.2} % of a core: {what}", change.share * 100.0);
        self.event(self.last_tick, "overhead", Some(&detail), None, None);
    }

    /// What the threads of a guest have cost: this one, those of slow sources, and that of the sink.
    pub(super) fn threads_cpu(&self) -> Option<Duration> {
        let nanos = || thread_cpu_nanos() + self.panel.threads_cpu_nanos() + self.sink_cpu;
        (self.control.process() == Process::Theirs).then(|| Duration::from_nanos(nanos().cast_unsigned()))
    }
}

#[cfg(test)]
mod tests {
    use barograph_model::Events;
    use barograph_sources::Own;

    use super::super::test::{Kept, options, panel};
    use super::*;
    use crate::clock::test as clocks;

    const HOUR: i64 = 3_600_000_000_000;

    fn steps(times: &[i64]) -> Vec<i64> {
        times.windows(2).map(|pair| pair[1] - pair[0]).collect()
    }

    #[test]
    fn a_clock_that_is_set_and_a_machine_that_sleeps_hold_up_no_tick_and_make_no_burst() {
        let interval = Duration::from_millis(10);
        let mut recorder = Recorder::new(panel(), options(interval, interval * 5)).unwrap();
        let (kept, mut asked) = (Kept::default(), 0);
        let (outcome, _) = recorder.run(kept.clone(), || {
            asked += 1;
            match asked {
                5 => clocks::set_utc(-HOUR),
                10 => clocks::set_utc(2 * HOUR),
                15 => clocks::sleep(HOUR),
                _ => {}
            }
            (asked == 20).then(|| "enough".to_owned())
        });
        let own = kept.of::<Own>();
        // The first reading, twenty ticks, and the end.
        assert_eq!((outcome.ticks, own.len()), (22, 22));
        // A burst to catch up with an hour would be 360,000; what a busy machine holds up is less.
        assert!(outcome.missed_ticks < 10_000, "{}", outcome.missed_ticks);
        let (monotonic, utc) = (steps(own.monotonic_nanos()), steps(own.utc_nanos()));
        assert!(monotonic.iter().all(|step| *step > 0), "{monotonic:?}");
        for (tick, (monotonic, utc)) in monotonic.iter().zip(&utc).enumerate() {
            let (slept, set) =
                (if tick == 15 { HOUR } else { 0 }, [(5, -HOUR), (10, 2 * HOUR)].iter().find(|(at, _)| *at == tick).map_or(0, |set| set.1));
            let tenth = HOUR / 10;
            assert!(*monotonic > slept && *monotonic < slept + tenth, "tick {tick}: {monotonic}");
            assert!((utc - monotonic - set).abs() < tenth, "tick {tick}: {utc} and {monotonic}");
        }
        let suspended = own.column("suspended_seconds").unwrap();
        let slept = suspended.float(21).unwrap() - suspended.float(14).unwrap();
        assert!((3599.9..3960.0).contains(&slept), "{slept}");
        let events = kept.of::<Events>();
        let named = |name: &str| (0..events.len()).filter(|row| events.column("name").unwrap().text(*row) == Some(name)).collect::<Vec<_>>();
        let gaps: Vec<f64> = named("gap").iter().map(|row| events.column("duration_seconds").unwrap().float(*row).unwrap()).collect();
        let long = gaps.iter().filter(|seconds| **seconds > 1800.0).count();
        assert_eq!(long, 1, "{gaps:?}");
        let gap = named("gap").into_iter().find(|row| events.column("duration_seconds").unwrap().float(*row) > Some(1800.0)).unwrap();
        let last_before = own.monotonic_nanos()[14]..own.monotonic_nanos()[15];
        assert!(last_before.contains(&events.monotonic_nanos()[gap]), "it begins with the last tick before");
    }
}
