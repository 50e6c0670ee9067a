//! What Python says, as the beacon takes it. Nothing here raises: what can't be said in full is said as well as can be.

use barograph_beacon::Value;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyString};

/// An attribute's value, out of Python's hands.
pub(crate) enum Said {
    Text(String),
    Int(i64),
    Float(f64),
    Bool(bool),
}

impl Said {
    fn of(value: &Bound<'_, PyAny>) -> Said {
        if let Ok(value) = value.cast::<PyBool>() {
            return Said::Bool(value.is_true());
        }
        if let Ok(text) = value.cast::<PyString>() {
            return Said::Text(text.to_string_lossy().into_owned());
        }
        if let Ok(value) = value.cast::<PyFloat>() {
            return Said::Float(value.value());
        }
        // Integers of numpy say so by `__index__`. What does not fit is told as text.
        if let Ok(value) = value.extract::<i64>() {
            return Said::Int(value);
        }
        if !value.is_instance_of::<PyInt>()
            && let Ok(value) = value.extract::<f64>()
        {
            return Said::Float(value);
        }
        Said::Text(text(value))
    }

    fn value(&self) -> Value<'_> {
        match self {
            Said::Text(text) => Value::Str(text),
            Said::Int(value) => Value::Int(*value),
            Said::Float(value) => Value::Float(*value),
            Said::Bool(value) => Value::Bool(*value),
        }
    }
}

/// `str(value)`, or what can be said of it where that raises.
pub(crate) fn text(value: &Bound<'_, PyAny>) -> String {
    match value.str() {
        Ok(text) => text.to_string_lossy().into_owned(),
        Err(_) => value.get_type().name().map_or_else(|_| "?".to_owned(), |name| format!("<{}>", name.to_string_lossy())),
    }
}

/// Attributes, with their names.
#[derive(Default)]
pub(crate) struct Attributes(Vec<(String, Said)>);

impl Attributes {
    pub(crate) fn of(said: Option<&Bound<'_, PyDict>>) -> Attributes {
        let Some(said) = said.filter(|said| !said.is_empty()) else { return Attributes::default() };
        // A copy: `str` of a value may change the dictionary, and iteration over one that changes ends the program.
        let items: Vec<_> = said.copy().map(|copy| copy.iter().collect()).unwrap_or_default();
        Attributes(items.iter().map(|(name, value)| (text(name), Said::of(value))).collect())
    }

    /// What is borrowed of them for a message.
    pub(crate) fn values(&self) -> Vec<(&str, Value<'_>)> {
        self.0.iter().map(|(name, said)| (name.as_str(), said.value())).collect()
    }
}

/// Why a block was left by an exception: `ValueError: no such file`. `None` if it came to its end, or was left in an orderly way.
pub(crate) fn why(kind: &Bound<'_, PyAny>, exception: &Bound<'_, PyAny>) -> Option<String> {
    if kind.is_none() {
        return None;
    }
    let name = kind.getattr(pyo3::intern!(kind.py(), "__name__")).map_or_else(|_| text(kind), |name| text(&name));
    // `sys.exit()` and `sys.exit(0)` are how a program ends well, and GeneratorExit is how a generator does.
    let leaves_well = match name.as_str() {
        "GeneratorExit" => true,
        "SystemExit" => exception.getattr("code").is_ok_and(|code| code.is_none() || code.extract::<i64>().is_ok_and(|code| code == 0)),
        _ => false,
    };
    if leaves_well {
        return None;
    }
    let said = if exception.is_none() { String::new() } else { text(exception) };
    Some(if said.is_empty() { name } else { format!("{name}: {said}") })
}
