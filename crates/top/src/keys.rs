//! What the keys do: one list, by which keys are understood, and of which the help is made.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use crate::table::Column;

/// What somebody at the keyboard wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Step(i64),
    /// By so many tenths of what the curves show.
    Leap(i64),
    Begin,
    End,
    PlayPause,
    Faster,
    Slower,
    Jump,
    NextEvent,
    PreviousEvent,
    ZoomIn,
    ZoomOut,
    Whole,
    Select(isize),
    /// By so many screens of the table.
    Page(isize),
    Details,
    Tree,
    Filter,
    SortBy(Column),
    NextSort,
    Reverse,
    Help,
    Close,
    Redraw,
    Suspend,
    Quit,
}

/// Keys that do the same, as the help has them; the action is that of the first of them, and may be of the others.
pub(crate) struct Binding {
    /// As the help spells them.
    pub(crate) keys: &'static str,
    /// What they do, in words.
    pub(crate) says: &'static str,
    does: &'static [(Key, Action)],
}

/// A key and its modifiers; those of letters are in the letter.
type Key = (KeyCode, KeyModifiers);

const fn plain(code: KeyCode) -> Key {
    (code, KeyModifiers::NONE)
}

const fn char(char: char) -> Key {
    plain(KeyCode::Char(char))
}

const fn control(char: char) -> Key {
    (KeyCode::Char(char), KeyModifiers::CONTROL)
}

/// All keys, in groups.
pub(crate) const GROUPS: [(&str, &[Binding]); 3] = [
    (
        "Time",
        &[
            Binding {
                keys: "← →  T t",
                says: "one sample back, one on",
                does: &[
                    (plain(KeyCode::Left), Action::Step(-1)),
                    (char('T'), Action::Step(-1)),
                    (plain(KeyCode::Right), Action::Step(1)),
                    (char('t'), Action::Step(1)),
                ],
            },
            Binding {
                keys: "a d",
                says: "a tenth of what is shown (Shift ← →)",
                does: &[
                    (char('a'), Action::Leap(-1)),
                    ((KeyCode::Left, KeyModifiers::SHIFT), Action::Leap(-1)),
                    (char('d'), Action::Leap(1)),
                    ((KeyCode::Right, KeyModifiers::SHIFT), Action::Leap(1)),
                ],
            },
            Binding {
                keys: "Home End",
                says: "begin; end, and back to live (g G)",
                does: &[
                    (plain(KeyCode::Home), Action::Begin),
                    (char('g'), Action::Begin),
                    (plain(KeyCode::End), Action::End),
                    (char('G'), Action::End),
                ],
            },
            Binding { keys: "space", says: "play and pause", does: &[(char(' '), Action::PlayPause)] },
            Binding { keys: "< >", says: "play slower, faster", does: &[(char('<'), Action::Slower), (char('>'), Action::Faster)] },
            Binding { keys: "[ ]", says: "event before, event after", does: &[(char('['), Action::PreviousEvent), (char(']'), Action::NextEvent)] },
            Binding { keys: "b", says: "go to a time: 10:20, +90s, -1m", does: &[(char('b'), Action::Jump)] },
            Binding {
                keys: "w s  0",
                says: "curves of less time, of more, of all (+ -)",
                does: &[
                    (char('w'), Action::ZoomIn),
                    (char('+'), Action::ZoomIn),
                    (char('='), Action::ZoomIn),
                    (char('s'), Action::ZoomOut),
                    (char('-'), Action::ZoomOut),
                    (char('0'), Action::Whole),
                ],
            },
        ],
    ),
    (
        "Processes",
        &[
            Binding {
                keys: "↑ ↓",
                says: "choose one (k j)",
                does: &[
                    (plain(KeyCode::Up), Action::Select(-1)),
                    (char('k'), Action::Select(-1)),
                    (plain(KeyCode::Down), Action::Select(1)),
                    (char('j'), Action::Select(1)),
                ],
            },
            Binding {
                keys: "PgUp PgDn",
                says: "a screen up, a screen down",
                does: &[(plain(KeyCode::PageUp), Action::Page(-1)), (plain(KeyCode::PageDown), Action::Page(1))],
            },
            Binding { keys: "Enter", says: "its life: who it is, what it used", does: &[(plain(KeyCode::Enter), Action::Details)] },
            Binding { keys: "v", says: "as a tree (F5)", does: &[(char('v'), Action::Tree), (plain(KeyCode::F(5)), Action::Tree)] },
            Binding {
                keys: "/",
                says: "only those whose pid, command or user has this",
                does: &[(char('/'), Action::Filter), (plain(KeyCode::F(4)), Action::Filter)],
            },
            Binding {
                keys: "P M I H",
                says: "most CPU, memory, I/O, threads first",
                does: &[
                    (char('P'), Action::SortBy(Column::Cpu)),
                    (char('M'), Action::SortBy(Column::Memory)),
                    (char('I'), Action::SortBy(Column::Io)),
                    (char('H'), Action::SortBy(Column::Threads)),
                ],
            },
            Binding {
                keys: "A N C",
                says: "by age, by pid, by command",
                does: &[
                    (char('A'), Action::SortBy(Column::Age)),
                    (char('N'), Action::SortBy(Column::Pid)),
                    (char('C'), Action::SortBy(Column::Process)),
                ],
            },
            Binding {
                keys: "o r",
                says: "by the next column; the other way round",
                does: &[(char('o'), Action::NextSort), (plain(KeyCode::F(6)), Action::NextSort), (char('r'), Action::Reverse)],
            },
        ],
    ),
    (
        "Screen",
        &[
            Binding {
                keys: "?",
                says: "these keys (F1)",
                does: &[(char('?'), Action::Help), (char('h'), Action::Help), (plain(KeyCode::F(1)), Action::Help)],
            },
            Binding { keys: "Esc", says: "close; show all processes again", does: &[(plain(KeyCode::Esc), Action::Close)] },
            Binding {
                keys: "Ctrl-L Ctrl-Z",
                says: "draw again; put aside until fg",
                does: &[(control('l'), Action::Redraw), (control('z'), Action::Suspend)],
            },
            Binding {
                keys: "q",
                says: "quit",
                does: &[(char('q'), Action::Quit), (control('c'), Action::Quit), (plain(KeyCode::F(10)), Action::Quit)],
            },
        ],
    ),
];

/// What this key does, if it does anything.
pub(crate) fn action(key: KeyEvent) -> Option<Action> {
    // Terminals differ in whether they tell of the Shift that made a capital letter.
    let modifiers = match key.code {
        KeyCode::Char(_) => key.modifiers - KeyModifiers::SHIFT,
        _ => key.modifiers,
    };
    let all = GROUPS.iter().flat_map(|(_, bindings)| bindings.iter()).flat_map(|binding| binding.does);
    all.filter(|((code, with), _)| (*code, *with) == (key.code, modifiers)).map(|(_, action)| *action).next()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_key_does_two_things() {
        let keys: Vec<Key> = GROUPS.iter().flat_map(|(_, bindings)| bindings.iter()).flat_map(|binding| binding.does).map(|(key, _)| *key).collect();
        let different: HashSet<Key> = keys.iter().copied().collect();
        assert_eq!(keys.len(), different.len());
    }

    #[test]
    fn capitals_are_known_with_and_without_shift() {
        let with = |modifiers| action(KeyEvent::new(KeyCode::Char('T'), modifiers));
        assert_eq!([with(KeyModifiers::NONE), with(KeyModifiers::SHIFT)], [Some(Action::Step(-1)); 2]);
        assert_eq!(with(KeyModifiers::ALT), None);
        assert_eq!(action(KeyEvent::new(KeyCode::Right, KeyModifiers::SHIFT)), Some(Action::Leap(1)));
    }
}
