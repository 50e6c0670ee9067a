//! A long table in pieces of time, so that a day of a thousand processes does not need all memory at once.

use crate::{Error, Frame, Query, Timeline};

/// Rows of a table in pieces: each a span of time, in order. Rows of the same time are always in the same piece.
#[derive(Debug)]
pub struct Chunks<'a> {
    timeline: &'a Timeline,
    table: String,
    query: Query,
    begin: i64,
    next: i64,
    end: i64,
    step: i64,
}

impl Timeline {
    /// The rows that are asked for, in pieces of about so many rows. At least one piece comes, if need be an empty one: it has the columns.
    pub fn chunks(&self, table: &str, query: &Query, rows: u64) -> Result<Chunks<'_>, Error> {
        // By the monotonic clock: rows of one piece are then all earlier than those of the next, whatever became of UTC.
        let (found, range) = self.extent(table, query)?;
        let (begin, end) = range.unwrap_or((0, 0));
        let (begin, end) = query.monotonic.map_or((begin, end), |(from, to)| (begin.max(from), end.min(to)));
        let pieces = i64::try_from(found / rows.max(1)).unwrap_or(i64::MAX).saturating_add(1);
        let step = (end.saturating_sub(begin) / pieces).saturating_add(1);
        Ok(Chunks { timeline: self, table: table.to_owned(), query: query.clone(), begin, next: begin, end, step })
    }
}

impl Chunks<'_> {
    /// How much of the time has been read, 0 to 1.
    pub fn progress(&self) -> f64 {
        if self.next > self.end { 1.0 } else { (self.next - self.begin) as f64 / (self.end - self.begin).max(1) as f64 }
    }
}

impl Iterator for Chunks<'_> {
    type Item = Result<Frame, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next > self.end {
            return None;
        }
        let to = self.next.saturating_add(self.step - 1).min(self.end);
        let query = self.query.clone().monotonic(self.next, to);
        self.next = to.saturating_add(1);
        Some(self.timeline.frame(&self.table, &query))
    }
}

#[cfg(test)]
mod tests {
    use barograph_model::{Count, Counter, Described, Gauge, Id, Moment, Rows, Sink, table};

    use crate::{Extent, Facts, Options, Query, Recording, Tally, Timeline};

    table! {
        /// Birds at the window.
        Birds = "birds" in "the window" {
            key {
                /// Which bird.
                bird: Id = "its ring",
            }
            /// Seeds that it has eaten.
            seeds: Counter<Count> = "counted",
            /// Feathers that it has.
            feathers: Gauge<Count> = "counted",
        }
    }

    fn recording(folder: &std::path::Path, ticks: u64) -> Timeline {
        let path = folder.join("run.baro");
        let mut recording = Recording::create(&path, Facts::default(), Options::default()).unwrap();
        let mut rows = Rows::<Birds>::new();
        for tick in 0..ticks {
            let nanos = i64::try_from(tick * tick).unwrap();
            for bird in 0..3 {
                let at = Moment { utc_nanos: nanos, monotonic_nanos: nanos };
                rows.row(at).set(Birds::bird, bird).set(Birds::seeds, (bird > 0).then_some(tick * bird)).set(Birds::feathers, 100 - tick % 7);
            }
        }
        recording.take(&rows).unwrap();
        recording.publish().unwrap();
        drop(recording);
        Timeline::open(&path).unwrap()
    }

    #[test]
    fn pieces_together_are_the_whole_however_uneven_the_ticks() {
        let folder = tempfile::tempdir().unwrap();
        let timeline = recording(folder.path(), 100);
        for (rows, from, to) in [(1, None, None), (7, None, None), (1000, None, None), (10, Some(100), Some(3000)), (10, Some(-5), Some(1 << 40))] {
            let query = Query::all().between(from, to);
            let whole = timeline.frame(Birds::TABLE.name, &query).unwrap();
            let pieces: Vec<_> = timeline.chunks(Birds::TABLE.name, &query, rows).unwrap().map(Result::unwrap).collect();
            let column = Birds::TABLE.metrics[Birds::seeds.index()].column();
            assert_eq!(pieces.iter().flat_map(|piece| piece.ints(&column)).collect::<Vec<_>>(), whole.ints(&column), "{rows} {from:?}");
            assert!(rows == 1000 || pieces.len() > 1);
        }
    }

    #[test]
    fn a_tally_of_pieces_knows_each_subject() {
        let folder = tempfile::tempdir().unwrap();
        let timeline = recording(folder.path(), 50);
        let mut tally = Tally::of::<Birds>();
        let (seeds, feathers) = (tally.watch(Birds::seeds), tally.watch(Birds::feathers));
        for piece in timeline.chunks(Birds::TABLE.name, &Query::all().columns(tally.columns()), 20).unwrap() {
            tally.add(&piece.unwrap());
        }
        let birds = tally.finish();
        assert_eq!(
            birds.iter().map(|bird| (bird.key[0], bird.rows, bird.last.utc_nanos)).collect::<Vec<_>>(),
            [(0, 50, 2401), (1, 50, 2401), (2, 50, 2401)]
        );
        assert_eq!(birds[2].extents[seeds], Extent { first: Some(0.0), last: Some(98.0), highest: Some(98.0) });
        assert_eq!(birds[0].extents[seeds], Extent::default());
        assert_eq!(birds[0].extents[feathers].highest, Some(100.0));
    }
}
