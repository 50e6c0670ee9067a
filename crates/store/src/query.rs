//! What to read of a table: which time, which columns, which subjects.

/// Restricts what [`Timeline::frame`](crate::Timeline::frame) reads. The default is everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// Rows at or after this UTC time, in nanoseconds since 1970.
    pub from: Option<i64>,
    /// Rows at or before this UTC time, in nanoseconds since 1970.
    pub to: Option<i64>,
    /// Rows at or after, and at or before, these times of the monotonic clock. UTC may have been set, and have come twice.
    pub(crate) monotonic: Option<(i64, i64)>,
    /// Only these columns, in this order; both times always come with them. A column that no part has is left out.
    pub columns: Option<Vec<String>>,
    /// Only rows in which these whole-number columns have these values, such as `pid` and `start_ticks`.
    pub equal: Vec<(String, i64)>,
    /// Only rows in which these text columns have these values, such as `device`.
    pub equal_text: Vec<(String, String)>,
}

impl Query {
    /// Everything.
    pub fn all() -> Query {
        Query::default()
    }

    /// Only the rows of this time, both ends included.
    #[must_use]
    pub fn between(mut self, from: Option<i64>, to: Option<i64>) -> Query {
        (self.from, self.to) = (from, to);
        self
    }

    /// Of those, only the rows between these times of the monotonic clock, both ends included.
    #[must_use]
    pub fn monotonic(mut self, from: i64, to: i64) -> Query {
        self.monotonic = Some((from, to));
        self
    }

    /// Only these columns.
    #[must_use]
    pub fn columns<S: Into<String>>(mut self, columns: impl IntoIterator<Item = S>) -> Query {
        self.columns = Some(columns.into_iter().map(Into::into).collect());
        self
    }

    /// Only rows in which this whole-number column has this value.
    #[must_use]
    pub fn equal(mut self, column: impl Into<String>, value: i64) -> Query {
        self.equal.push((column.into(), value));
        self
    }

    /// Only rows in which this text column has this value.
    #[must_use]
    pub fn equal_text(mut self, column: impl Into<String>, value: impl Into<String>) -> Query {
        self.equal_text.push((column.into(), value.into()));
        self
    }
}
