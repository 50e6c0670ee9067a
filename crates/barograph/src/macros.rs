//! The macros, and what they need from here.

use std::fmt::{Debug, Display};

use barograph_beacon::Value;

/// Names this moment: `mark!("epoch 3")`, `mark!("epoch", number = 3, loss = 0.31)`.
///
/// The name is a text, or anything that is one. Attributes are `key = value` for texts, numbers and truth values (and options of them), `key = %value` for
/// what has [`Display`], `key = ?value` for what has [`Debug`], and `value` alone for a variable of that name. Nothing of it is looked at if nobody listens.
///
/// ```
/// let path = std::path::Path::new("a.csv");
/// let (rows, done) = (12, true);
/// barograph::mark!("loaded", file = %path.display(), rows, done, "with a space" = 0.5, http.status = 200, shape = ?[1, 2]);
/// ```
#[macro_export]
macro_rules! mark {
    ($name:expr $(, $($attributes:tt)*)?) => {
        if $crate::is_on() {
            $crate::__with_attributes!({ $crate::macro_support::mark, &$name } [] $($($attributes)*)?);
        }
    };
}

/// Says what a number of the program's own is now: `gauge!("loss", 0.31)`.
///
/// ```
/// let losses = [0.5_f32, 0.31];
/// for loss in losses {
///     barograph::gauge!("loss", loss);
/// }
/// barograph::gauge!("queue length", losses.len() as u32);
/// ```
#[macro_export]
macro_rules! gauge {
    ($name:expr, $value:expr $(,)?) => {
        if $crate::is_on() {
            $crate::macro_support::gauge(&$name, $value);
        }
    };
}

/// Begins a block of code, which ends when the [`Span`](crate::Span) that comes back is dropped: `let _span = span!("load", file = path);`.
///
/// It lies within the innermost span that is open on this thread, or within another one: `span!(parent: id, "load")`, where the id may be an option.
/// Attributes are as in [`mark!`].
///
/// ```
/// fn load(path: &str) {
///     let _span = barograph::span!("load", file = path);
///     // …
/// }
///
/// let outer = barograph::span!("all");
/// load("a.csv");
/// let id = outer.id();
/// std::thread::scope(|scope| {
///     scope.spawn(|| {
///         let _span = barograph::span!(parent: id, "on another thread");
///     });
/// });
/// ```
#[macro_export]
macro_rules! span {
    (parent: $parent:expr, $name:expr $(, $($attributes:tt)*)?) => {
        if $crate::is_on() {
            $crate::__with_attributes!({ $crate::Span::begin, &$name, ::core::option::Option::from($parent) } [] $($($attributes)*)?)
        } else {
            $crate::Span::off()
        }
    };
    ($name:expr $(, $($attributes:tt)*)?) => {
        $crate::span!(parent: ::core::option::Option::None, $name $(, $($attributes)*)?)
    };
}

/// Begins a span of something that runs in turns, such as an asynchronous task: `task!("fetch", url = url).run(async { … }).await`.
///
/// It lies within the span in which this stands, wherever the future runs later. Grammar as in [`span!`], and what comes back is a [`Task`](crate::Task).
///
/// ```
/// # let _ = async {
/// let page = barograph::task!("fetch", url = "https://example.org").run(async { "…" }).await;
/// # };
/// ```
#[macro_export]
macro_rules! task {
    (parent: $parent:expr, $name:expr $(, $($attributes:tt)*)?) => {
        if $crate::is_on() {
            $crate::__with_attributes!({ $crate::Task::begin, &$name, ::core::option::Option::from($parent) } [] $($($attributes)*)?)
        } else {
            $crate::Task::off()
        }
    };
    ($name:expr $(, $($attributes:tt)*)?) => {
        $crate::task!(parent: ::core::option::Option::None, $name $(, $($attributes)*)?)
    };
}

/// Calls a function with some arguments and, as the last one, what the attributes say.
#[doc(hidden)]
#[macro_export]
macro_rules! __with_attributes {
    ({ $call:path $(, $argument:expr)* } [$($done:tt)*]) => {
        $call($($argument,)* &[$($done)*])
    };
    ($call:tt [$($done:tt)*] $($key:ident).+ = % $value:expr $(, $($rest:tt)*)?) => {
        $crate::__with_attributes!($call [$($done)* ($crate::__key!($($key).+), $crate::Attribute::value(&::std::format!("{}", $value))),] $($($rest)*)?)
    };
    ($call:tt [$($done:tt)*] $($key:ident).+ = ? $value:expr $(, $($rest:tt)*)?) => {
        $crate::__with_attributes!($call [$($done)* ($crate::__key!($($key).+), $crate::Attribute::value(&::std::format!("{:?}", $value))),] $($($rest)*)?)
    };
    ($call:tt [$($done:tt)*] $($key:ident).+ = $value:expr $(, $($rest:tt)*)?) => {
        $crate::__with_attributes!($call [$($done)* ($crate::__key!($($key).+), $crate::Attribute::value(&$value)),] $($($rest)*)?)
    };
    ($call:tt [$($done:tt)*] $key:literal = % $value:expr $(, $($rest:tt)*)?) => {
        $crate::__with_attributes!($call [$($done)* ($key, $crate::Attribute::value(&::std::format!("{}", $value))),] $($($rest)*)?)
    };
    ($call:tt [$($done:tt)*] $key:literal = ? $value:expr $(, $($rest:tt)*)?) => {
        $crate::__with_attributes!($call [$($done)* ($key, $crate::Attribute::value(&::std::format!("{:?}", $value))),] $($($rest)*)?)
    };
    ($call:tt [$($done:tt)*] $key:literal = $value:expr $(, $($rest:tt)*)?) => {
        $crate::__with_attributes!($call [$($done)* ($key, $crate::Attribute::value(&$value)),] $($($rest)*)?)
    };
    ($call:tt [$($done:tt)*] $key:ident $(, $($rest:tt)*)?) => {
        $crate::__with_attributes!($call [$($done)* (::core::stringify!($key), $crate::Attribute::value(&$key)),] $($($rest)*)?)
    };
}

/// `http.status` as a text, without the blanks that the compiler may put between.
#[doc(hidden)]
#[macro_export]
macro_rules! __key {
    ($first:ident $(. $more:ident)*) => {
        ::core::concat!(::core::stringify!($first) $(, ".", ::core::stringify!($more))*)
    };
}

/// Why a call failed, if what it returned is a `Result` and an error.
#[doc(hidden)]
#[macro_export]
macro_rules! why_it_failed {
    ($result:expr) => {{
        #[allow(unused_imports, reason = "which of them is needed depends on the type")]
        use $crate::macro_support::{OfAnything, OfDebug, OfDisplay, OfResult};
        (&&&&$crate::macro_support::Returned($result)).why_it_failed()
    }};
}

/// What can be the value of an attribute.
pub trait Attribute {
    /// As it is told.
    fn value(&self) -> Value<'_>;
}

impl Attribute for str {
    fn value(&self) -> Value<'_> {
        Value::Str(self)
    }
}

impl Attribute for String {
    fn value(&self) -> Value<'_> {
        Value::Str(self)
    }
}

impl<T: Attribute + ?Sized> Attribute for &T {
    fn value(&self) -> Value<'_> {
        (**self).value()
    }
}

/// What is not there is told as `null`.
impl<T: Attribute> Attribute for Option<T> {
    fn value(&self) -> Value<'_> {
        self.as_ref().map_or(Value::Float(f64::NAN), Attribute::value)
    }
}

macro_rules! numbers {
    ($($Type:ty)*) => {$(
        impl Attribute for $Type {
            fn value(&self) -> Value<'_> {
                Value::from(*self)
            }
        }
    )*};
}

numbers! { i8 i16 i32 i64 u8 u16 u32 u64 usize f32 f64 bool }

impl Attribute for isize {
    fn value(&self) -> Value<'_> {
        Value::Int(*self as i64)
    }
}

/// What the macros call, and nobody else.
#[doc(hidden)]
pub mod support {
    use super::{Debug, Display, Value};

    pub fn mark(name: &(impl AsRef<str> + ?Sized), attributes: &[(&str, Value<'_>)]) {
        barograph_beacon::mark(name.as_ref(), attributes);
    }

    pub fn gauge(name: &(impl AsRef<str> + ?Sized), value: impl Into<f64>) {
        barograph_beacon::gauge(name.as_ref(), value.into());
    }

    /// Says what the body of a function returns, and that it is called once.
    pub fn call<T, F: FnOnce() -> T>(body: F) -> T {
        body()
    }

    /// The same of an asynchronous one.
    pub fn future<T, F: Future<Output = T>>(body: F) -> F {
        body
    }

    /// What a function has returned. Of the traits that it has, a call finds the first that fits: they are so many references away.
    pub struct Returned<'a, T>(pub &'a T);

    pub trait OfDisplay {
        fn why_it_failed(&self) -> Option<String>;
    }

    impl<T, E: Display> OfDisplay for &&&Returned<'_, Result<T, E>> {
        fn why_it_failed(&self) -> Option<String> {
            self.0.as_ref().err().map(ToString::to_string)
        }
    }

    pub trait OfDebug {
        fn why_it_failed(&self) -> Option<String>;
    }

    impl<T, E: Debug> OfDebug for &&Returned<'_, Result<T, E>> {
        fn why_it_failed(&self) -> Option<String> {
            self.0.as_ref().err().map(|error| format!("{error:?}"))
        }
    }

    pub trait OfResult {
        fn why_it_failed(&self) -> Option<String>;
    }

    impl<T, E> OfResult for &Returned<'_, Result<T, E>> {
        fn why_it_failed(&self) -> Option<String> {
            self.0.as_ref().err().map(|_| "failed".to_owned())
        }
    }

    pub trait OfAnything {
        fn why_it_failed(&self) -> Option<String>;
    }

    impl<T> OfAnything for Returned<'_, T> {
        fn why_it_failed(&self) -> Option<String> {
            None
        }
    }
}
