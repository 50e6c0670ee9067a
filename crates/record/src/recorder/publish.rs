//! How often what was read is published, and what goes with it.

use std::time::Duration;

use barograph_model::Sink;

use super::Recorder;
use crate::clock::{deadline_nanos, nanos};
use crate::writer::Writer;

/// Once somebody has asked for the end, what is read is published so often: whoever asks may not wait for long before he kills.
const LAST_WRITE_INTERVAL: Duration = Duration::from_secs(1);

/// While somebody looks, it is published so often.
const WATCHED_WRITE_INTERVAL: Duration = Duration::from_secs(1);

/// What each source has cost is told so often, and at the end: a table more to publish costs as much as reading most sources ten times.
const COSTS_TOLD: i64 = 60_000_000_000;

/// Rows of ticks that come faster are gathered together: for one row of a table all of its columns are touched, and for ten of them no more.
pub(super) const LONGEST_GATHERING: i64 = 1_000_000_000;

/// But no more than so many rows of processes: they would only take memory.
const MOST_LEFT_ROWS: usize = 256;

impl Recorder {
    /// Whether somebody looks at what is published.
    pub(super) fn is_watched(&self) -> bool {
        deadline_nanos() < self.watched_until
    }

    fn write_interval(&self) -> i64 {
        let interval = self.options.write_interval;
        let interval = if self.asked.is_some() { interval.min(LAST_WRITE_INTERVAL) } else { interval };
        nanos(if self.is_watched() { interval.min(WATCHED_WRITE_INTERVAL) } else { interval })
    }

    pub(super) fn publish_due(&self) -> i64 {
        self.published.saturating_add(self.write_interval())
    }

    /// Gathers the rows of this tick, or leaves them to be gathered with the next ones. Not where they are looked at one tick after the other.
    pub(super) fn gather_now_and_then<S: Sink + Send + 'static>(&mut self, writer: &mut Writer<S>, now: i64) {
        let may_wait = self.conditions.is_empty() && now < self.gathered.saturating_add(LONGEST_GATHERING);
        if may_wait && self.panel.processes().rows() < MOST_LEFT_ROWS {
            self.gather_words(writer);
        } else {
            self.gathered = now;
            self.gather(writer);
        }
    }

    pub(super) fn gather<S: Sink + Send + 'static>(&mut self, writer: &mut Writer<S>) {
        self.panel.each_batch(&mut |batch| writer.gather(batch));
        self.gather_words(writer);
    }

    /// Gathers what was said of the recording, by us and by programs, and takes what the sink says of itself.
    fn gather_words<S: Sink + Send + 'static>(&mut self, writer: &mut Writer<S>) {
        writer.gather(&mut self.events);
        self.said.each_batch(&mut |batch| writer.gather(batch));
        writer.relieve();
        let progress = writer.progress();
        self.cost.written_bytes = progress.written_bytes;
        self.cost.rows_lost = progress.rows_lost;
        self.sink_cpu = progress.thread_cpu_nanos;
    }

    pub(super) fn publish<S: Sink + Send + 'static>(&mut self, writer: &mut Writer<S>) {
        self.publish_now = false;
        self.read_for.drain(..).for_each(|who| writer.tell(who));
        if std::mem::take(&mut self.is_changed) {
            writer.set_up(self.setup());
        }
        if deadline_nanos() >= self.costs_due {
            self.costs_due = deadline_nanos().saturating_add(COSTS_TOLD);
            self.panel.read_own_sources(self.last_tick);
        }
        self.panel.each_batch(&mut |batch| writer.gather(batch));
        writer.publish();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use barograph_model::{Batch, Described};
    use barograph_sources::{Own, OwnSources};

    use super::super::Options;
    use super::super::test::{Kept, options, panel};
    use super::*;
    use crate::control::Process;

    #[test]
    fn a_publish_comes_at_the_last_tick_within_the_write_interval() {
        let interval = Duration::from_millis(20);
        let mut recorder = Recorder::new(panel(), options(interval, interval * 5 / 2)).unwrap();
        let (kept, mut asked) = (Kept::default(), 0);
        recorder.run(kept.clone(), || {
            asked += 1;
            (asked == 30).then(|| "enough".to_owned())
        });
        let batches = kept.0.lock().unwrap();
        let mut ticks: Vec<usize> = batches.iter().filter(|batch| batch.table().is(Own::TABLE)).map(Batch::len).collect();
        ticks.sort_unstable();
        // The median, as a busy machine may hold up the thread of the sink; a third tick would be more than the interval.
        assert!(ticks[ticks.len() / 2] <= 2, "{ticks:?}");
    }

    #[test]
    fn once_nobody_looks_any_more_it_is_published_as_before() {
        let hour = Duration::from_secs(3600);
        let options = Options { duration: Some(Duration::from_millis(2_600)), ..options(Duration::from_millis(50), hour) };
        let (mut recorder, _handle) = Recorder::within(panel(), options).unwrap();
        recorder.watched_until = deadline_nanos() + 1_300_000_000;
        let kept = Kept::default();
        recorder.run(kept.clone(), || None);
        let publishes = kept.1.load(Ordering::Relaxed);
        assert!(publishes <= 1, "{publishes}");
    }

    #[test]
    fn rows_of_fast_ticks_are_gathered_together_but_where_each_tick_is_looked_at() {
        let (mut recorder, _handle) = Recorder::within(panel(), options(Duration::from_millis(10), Duration::from_secs(3600))).unwrap();
        let mut writer = Writer::new(Kept::default(), Process::Theirs);
        let mut is_left = |recorder: &mut Recorder, milli: i64| {
            recorder.tick();
            recorder.gather_now_and_then(&mut writer, milli * 1_000_000);
            recorder.panel.has_rows()
        };
        assert_eq!([0, 10, 999, 1000, 1010, 2000].map(|milli| is_left(&mut recorder, milli)), [false, true, true, false, true, false]);
        recorder.mark_when(&["memory > 1 TiB".parse().unwrap()]).unwrap();
        assert_eq!([2010, 2020].map(|milli| is_left(&mut recorder, milli)), [false; 2]);
    }

    #[test]
    fn what_sources_cost_is_told_at_the_first_publish_and_then_seldom() {
        let second = Duration::from_secs(1);
        let (mut recorder, _handle) = Recorder::within(panel(), options(second, second)).unwrap();
        let kept = Kept::default();
        let mut writer = Writer::new(kept.clone(), Process::Theirs);
        for publish in 0..4 {
            // A minute passes before the last.
            recorder.costs_due -= if publish == 3 { COSTS_TOLD } else { 0 };
            recorder.last_tick.monotonic_nanos = publish;
            recorder.publish(&mut writer);
        }
        writer.finish();
        let mut told = kept.of::<OwnSources>().monotonic_nanos().to_vec();
        told.dedup();
        assert_eq!(told, [0, 3]);
    }
}
