//! What the recorder may cost: it measures itself, and does without what is dear, the dearest first, for as long as it costs too much.

use std::time::Duration;

/// What is done without. Each step contains those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Saving {
    /// Memory with shared pages told apart is read a quarter as often.
    RarePss,
    /// It is not read.
    NoPss,
    /// Processes outside the job are read at every third tick: readers take rows for neighbours while they lie no farther apart.
    RareOthers,
    /// They are not read.
    NoOthers,
    /// Every second tick is left out.
    RareTicks,
}

impl Saving {
    /// What it means, for people.
    pub(crate) fn describe(self) -> &'static str {
        match self {
            Saving::RarePss => "PSS is read a quarter as often",
            Saving::NoPss => "PSS is not read",
            Saving::RareOthers => "processes outside the job are read at every third tick",
            Saving::NoOthers => "processes outside the job are not read",
            Saving::RareTicks => "ticks are twice as far apart",
        }
    }
}

/// A change of what is done without.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Change {
    /// What the recorder cost since the last look, in cores.
    pub(crate) share: f64,
    /// What it does without from now on.
    pub(crate) saving: Option<Saving>,
}

/// Windows in which the cost must have been well below the limit before a saving is given up.
const CALM_WINDOWS: u32 = 6;

/// The cost that counts as well below: what is then taken up again must fit.
const WELL_BELOW: f64 = 0.4;

/// Keeps the account.
#[derive(Debug)]
pub(crate) struct Budget {
    /// In cores.
    limit: f64,
    /// As long as it takes until everything has happened that happens again and again.
    window: i64,
    /// What can be saved here, in this order; `level` of them are.
    steps: Vec<Saving>,
    level: usize,
    deepest: Option<Saving>,
    calm: u32,
    /// Time and CPU time at the last look, in nanoseconds.
    before: Option<(i64, i64)>,
}

impl Budget {
    /// A limit in cores. The cost is judged over whole write intervals, as writing is part of it.
    pub(crate) fn new(limit: f64, write_interval: Duration, has_pss: bool, has_others: bool) -> Budget {
        let mut budget = Budget { limit, window: 0, steps: Vec::new(), level: 0, deepest: None, calm: 0, before: None };
        budget.begin_anew(write_interval, has_pss, has_others);
        budget
    }

    /// What is recorded has been changed: nothing is done without, and what it costs now is to be seen.
    pub(crate) fn begin_anew(&mut self, write_interval: Duration, has_pss: bool, has_others: bool) {
        let possible = |saving: &Saving| match saving {
            Saving::RarePss | Saving::NoPss => has_pss,
            Saving::RareOthers | Saving::NoOthers => has_others,
            Saving::RareTicks => true,
        };
        let all = [Saving::RarePss, Saving::NoPss, Saving::RareOthers, Saving::NoOthers, Saving::RareTicks];
        self.window = crate::clock::nanos(write_interval).max(2_000_000_000);
        self.steps = all.into_iter().filter(possible).collect();
        (self.level, self.calm, self.before) = (0, 0, None);
    }

    /// What is done without now.
    pub(crate) fn saving(&self) -> Option<Saving> {
        self.steps[..self.level].last().copied()
    }

    /// The most that had to be done without so far.
    pub(crate) fn deepest(&self) -> Option<Saving> {
        self.deepest
    }

    /// Looks at the CPU time that was used up to this moment, and says whether to change something.
    pub(crate) fn judge(&mut self, now: i64, cpu: i64) -> Option<Change> {
        let Some((then, cpu_then)) = self.before else {
            // What the start has cost comes once.
            self.before = Some((now, cpu));
            return None;
        };
        if now - then < self.window {
            return None;
        }
        self.before = Some((now, cpu));
        let share = (cpu - cpu_then) as f64 / (now - then) as f64;
        let level = self.level_after(share);
        let is_new = std::mem::replace(&mut self.level, level) != level;
        self.deepest = self.deepest.max(self.saving());
        is_new.then(|| Change { share, saving: self.saving() })
    }

    fn level_after(&mut self, share: f64) -> usize {
        if share > self.limit {
            self.calm = 0;
            // Far above, one step at a time would take minutes.
            let steps = if share > 3.0 * self.limit { 2 } else { 1 };
            return (self.level + steps).min(self.steps.len());
        }
        self.calm = if share < WELL_BELOW * self.limit { self.calm + 1 } else { 0 };
        if self.calm < CALM_WINDOWS {
            return self.level;
        }
        self.calm = 0;
        self.level.saturating_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    /// What is done without after each window, where each costs so many cores.
    fn savings(budget: &mut Budget, costs: &[f64]) -> Vec<Option<Saving>> {
        let (mut now, mut cpu) = (0, 0);
        budget.judge(now, cpu);
        let mut window = |cost: f64| {
            now += 10 * SECOND;
            cpu += (cost * 10.0 * SECOND as f64) as i64;
            budget.judge(now, cpu);
            budget.saving()
        };
        costs.iter().map(|cost| window(*cost)).collect()
    }

    #[test]
    fn the_dearest_goes_first_and_what_is_not_there_is_passed_over() {
        let mut budget = Budget::new(0.01, Duration::from_secs(10), true, true);
        let expected = [Saving::RarePss, Saving::NoPss, Saving::RareOthers, Saving::NoOthers, Saving::RareTicks, Saving::RareTicks];
        assert_eq!(savings(&mut budget, &[0.02; 6]), expected.map(Some));
        let mut budget = Budget::new(0.01, Duration::from_secs(10), false, false);
        assert_eq!(savings(&mut budget, &[0.009, 0.011]), [None, Some(Saving::RareTicks)]);
        assert_eq!(budget.deepest(), Some(Saving::RareTicks));
    }

    #[test]
    fn far_above_the_limit_it_goes_faster() {
        let mut budget = Budget::new(0.01, Duration::from_secs(10), true, true);
        assert_eq!(savings(&mut budget, &[0.5, 0.5]), [Some(Saving::NoPss), Some(Saving::NoOthers)]);
    }

    #[test]
    fn a_saving_is_given_up_after_a_long_calm_only() {
        let mut budget = Budget::new(0.01, Duration::from_secs(10), true, false);
        let mut costs = vec![0.02];
        costs.extend([0.001; 5]);
        costs.push(0.008);
        costs.extend([0.001; 6]);
        let savings = savings(&mut budget, &costs);
        assert_eq!((savings[11], savings[12]), (Some(Saving::RarePss), None));
        assert_eq!(budget.deepest(), Some(Saving::RarePss));
    }

    #[test]
    fn the_start_and_less_than_a_window_are_not_judged() {
        let mut budget = Budget::new(0.01, Duration::from_secs(10), true, true);
        assert_eq!(budget.judge(0, 9 * SECOND), None);
        assert_eq!(budget.judge(9 * SECOND, 18 * SECOND), None);
        let change = budget.judge(10 * SECOND, 18 * SECOND).unwrap();
        assert!((change.share - 0.9).abs() < 1e-9 && change.saving == Some(Saving::NoPss), "{change:?}");
    }
}
