//! Which processes are watched, and which of those get rows of their own.

use std::fmt;
use std::str::FromStr;

use regex_lite::Regex;

/// Where processes are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Among the job's processes.
    Tree,
    /// Among all processes of the machine.
    Machine,
}

/// Which of them get rows.
#[derive(Clone, Debug)]
pub enum Select {
    /// Each one.
    Everyone,
    /// At each tick the so many that used most CPU time since the one before; of equals those with more memory.
    Busiest(usize),
    /// Those whose name fits.
    Named(Regex),
    /// Those of this user, by name or number.
    User(String),
    /// None. Sums of the job are kept all the same.
    Nobody,
}

/// What is watched: the answer to `--processes`, and the job's roots.
#[derive(Clone, Debug)]
pub struct Watch {
    /// Processes whose trees are the job.
    pub roots: Vec<u32>,
    /// Whether children of ours belong to the job: we started it, or became the parent of its orphans.
    pub adopts: bool,
    /// Where processes are looked for.
    pub scope: Scope,
    /// Which of them get rows.
    pub select: Select,
}

impl Watch {
    /// What this leaves out of the recording, in words; `None` if nothing.
    pub fn left_out(&self) -> Option<String> {
        let scope = match self.scope {
            Scope::Tree => "processes that are not of the job",
            Scope::Machine => "",
        };
        let select = match &self.select {
            Select::Everyone => String::new(),
            Select::Busiest(count) => format!("at each tick all but the {count} busiest processes"),
            Select::Named(regex) => format!("processes whose name does not fit {regex}"),
            Select::User(user) => format!("processes of users other than {user}"),
            Select::Nobody => "the rows of all processes".to_owned(),
        };
        match (scope, select.as_str()) {
            ("", "") => None,
            (text, "") | ("", text) => Some(text.to_owned()),
            (scope, select) => Some(format!("{scope}, and {select}")),
        }
    }
}

/// The argument of `--processes`: `tree`, `all`, `top:N`, `name:REGEX`, `user:NAME` or `none`.
#[derive(Clone, Debug)]
pub struct Choice {
    /// The scope that it names, if it names one.
    pub scope: Option<Scope>,
    /// The selection that it names.
    pub select: Select,
}

impl FromStr for Choice {
    type Err = String;

    fn from_str(text: &str) -> Result<Choice, String> {
        let (word, argument) = text.split_once(':').unwrap_or((text, ""));
        let choice = |scope, select| Ok(Choice { scope, select });
        match word {
            "tree" => choice(Some(Scope::Tree), Select::Everyone),
            "all" => choice(Some(Scope::Machine), Select::Everyone),
            "none" => choice(None, Select::Nobody),
            "top" => match argument.parse() {
                Ok(count) if count > 0 => choice(None, Select::Busiest(count)),
                _ => Err(format!("top: takes how many, as in top:20, not '{argument}'")),
            },
            "name" => match Regex::new(argument) {
                Ok(regex) if !argument.is_empty() => choice(None, Select::Named(regex)),
                Ok(_) => Err("name: takes a regular expression, as in name:^python".to_owned()),
                Err(error) => Err(format!("name: takes a regular expression: {error}")),
            },
            "user" if !argument.is_empty() => choice(None, Select::User(argument.to_owned())),
            _ => Err("expected tree, all, top:N, name:REGEX, user:NAME or none".to_owned()),
        }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.select, self.scope) {
            (Select::Everyone, Some(Scope::Machine)) => f.write_str("all"),
            (Select::Everyone, _) => f.write_str("tree"),
            (Select::Busiest(count), _) => write!(f, "top:{count}"),
            (Select::Named(regex), _) => write!(f, "name:{regex}"),
            (Select::User(user), _) => write!(f, "user:{user}"),
            (Select::Nobody, _) => f.write_str("none"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_read_as_they_are_written() {
        for text in ["tree", "all", "none", "top:20", "name:^py", "user:ada"] {
            assert_eq!(text.parse::<Choice>().unwrap().to_string(), text);
        }
        for text in ["", "top", "top:0", "top:x", "name:", "name:(", "user:", "some"] {
            assert!(text.parse::<Choice>().is_err(), "{text}");
        }
    }
}
