use super::*;

const S: i64 = 1_000_000_000;

/// A minute of ticks, a second apart, with a pause of ten seconds after 0:30.
fn minute(is_live: bool) -> Timetable {
    let ticks = (0..=60).filter(|second| !(31..40).contains(second)).map(|second| second * S).collect();
    Timetable { ticks, events: vec![5 * S + 1, 20 * S, 45 * S], is_live, interval: S, stale: 3 * S }
}

fn shown() -> Shown {
    Shown { processes: (1..=10).map(|pid| (pid, 0)).collect(), rows: 4, window: 50 * S }
}

fn understand(words: &str, (begin, end): (i64, i64)) -> Result<i64, String> {
    match words {
        "begin" => Ok(begin),
        "late" => Ok(end + S),
        _ => words.parse::<i64>().map(|seconds| seconds * S).map_err(|_| format!("{words} is no time")),
    }
}

fn key(code: KeyCode) -> KeyEvent {
    KeyEvent::new(code, KeyModifiers::NONE)
}

/// Types each letter; `<` and `>` stand for the arrows left and right where that is asked for.
fn press(app: &mut App, times: &Timetable, keys: &str) -> Effect {
    let mut effect = Effect::Nothing;
    for char in keys.chars() {
        let code = match char {
            '\n' => KeyCode::Enter,
            '\x1b' => KeyCode::Esc,
            '\x08' => KeyCode::Backspace,
            '↑' => KeyCode::Up,
            '↓' => KeyCode::Down,
            '←' => KeyCode::Left,
            '→' => KeyCode::Right,
            char => KeyCode::Char(char),
        };
        effect = app.press(key(code), times, &shown(), &understand);
    }
    effect
}

fn at(app: &App, times: &Timetable) -> i64 {
    app.cursor(times) / S
}

#[test]
fn it_begins_at_the_present_of_what_goes_on_and_at_the_first_rates_of_what_has_ended() {
    assert_eq!(App::new(&minute(true)).place, Place::Follow);
    assert_eq!(App::new(&minute(false)).place, Place::At(S));
    assert_eq!(App::new(&Timetable::default()).cursor(&Timetable::default()), 0);
}

#[test]
fn steps_go_sample_by_sample_and_stop_at_the_ends() {
    let times = minute(false);
    let mut app = App::new(&times);
    let mut seen = Vec::new();
    for keys in ["t", "→", "T", "G", "t", "←", "g", "←"] {
        press(&mut app, &times, keys);
        seen.push(at(&app, &times));
    }
    assert_eq!(seen, [2, 3, 2, 60, 60, 59, 0, 0]);
    press(&mut app, &times, "d");
    assert_eq!(at(&app, &times), 5, "a tenth of the window");
}

#[test]
fn who_steps_to_the_end_of_what_goes_on_is_live_again() {
    let mut times = minute(true);
    let mut app = App::new(&times);
    press(&mut app, &times, "TT");
    assert_eq!(app.place, Place::At(58 * S));
    times.ticks.push(61 * S);
    assert_eq!(at(&app, &times), 58, "what comes in does not move who looks back");
    press(&mut app, &times, "tttt");
    assert_eq!(app.place, Place::Follow);
    press(&mut app, &times, "T ");
    assert!(app.is_playing());
    press(&mut app, &times, "G");
    assert_eq!((app.place, app.is_playing()), (Place::Follow, false));
}

#[test]
fn space_holds_the_present_still() {
    let mut times = minute(true);
    let mut app = App::new(&times);
    press(&mut app, &times, " ");
    assert_eq!((app.place, app.is_playing()), (Place::At(60 * S), false));
    times.ticks.push(61 * S);
    press(&mut app, &times, " ");
    assert!(app.is_playing());
    assert!(app.elapse(Duration::from_secs(2), &times));
    assert_eq!((app.place, app.is_playing()), (Place::Follow, false), "it has caught up");
}

#[test]
fn it_plays_as_fast_as_is_asked_for_and_stops_at_the_end() {
    let times = minute(false);
    let mut app = App::new(&times);
    press(&mut app, &times, " ");
    assert_eq!(app.until_next(&times), Some(Duration::from_secs(1)));
    assert!(!app.elapse(Duration::from_millis(900), &times));
    assert!(app.elapse(Duration::from_millis(100), &times));
    assert_eq!(at(&app, &times), 2);
    press(&mut app, &times, ">>");
    assert_eq!(app.speed(), 5);
    app.elapse(Duration::from_secs(2), &times);
    assert_eq!(at(&app, &times), 12);
    press(&mut app, &times, ">>>>>>>><");
    assert_eq!(app.speed(), 50);
    app.elapse(Duration::from_secs(2), &times);
    assert_eq!((at(&app, &times), app.is_playing()), (60, false));
    press(&mut app, &times, " ");
    assert_eq!((at(&app, &times), app.is_playing()), (0, true), "once more from the begin");
}

#[test]
fn nobody_waits_for_a_time_of_which_nothing_is_known() {
    let times = minute(false);
    let mut app = App::new(&times);
    app.place = Place::At(30 * S);
    press(&mut app, &times, " ");
    assert!(app.elapse(Duration::from_millis(10), &times));
    assert_eq!(at(&app, &times), 40);
}

#[test]
fn events_are_gone_to_and_their_end_is_told() {
    let times = minute(false);
    let mut app = App::new(&times);
    let mut seen = Vec::new();
    for keys in ["]", "]", "]", "]", "[", "[", "["] {
        press(&mut app, &times, keys);
        seen.push((at(&app, &times), app.message.is_some()));
    }
    assert_eq!(seen, [(6, false), (20, false), (45, false), (45, true), (20, false), (6, false), (6, true)]);
}

#[test]
fn times_are_typed_and_what_is_none_can_be_mended() {
    let times = minute(false);
    let mut app = App::new(&times);
    press(&mut app, &times, "b42\n");
    assert_eq!((at(&app, &times), &app.prompt, &app.message), (42, &None, &None));
    press(&mut app, &times, "bx7\n");
    assert_eq!((at(&app, &times), app.message.as_deref()), (42, Some("x7 is no time")));
    press(&mut app, &times, "\x08\x087\n");
    assert_eq!((at(&app, &times), &app.prompt), (7, &None));
    press(&mut app, &times, "blate\n");
    assert!(at(&app, &times) == 60 && app.message.is_some());
    press(&mut app, &times, "b9\x1b");
    assert_eq!((at(&app, &times), &app.prompt), (60, &None));
    assert_eq!(press(&mut app, &times, "bq"), Effect::Nothing, "a letter is a letter there");
}

#[test]
fn a_filter_works_while_it_is_typed_and_can_be_taken_back() {
    let times = minute(false);
    let mut app = App::new(&times);
    press(&mut app, &times, "/py");
    assert_eq!(app.order.filter, "py");
    press(&mut app, &times, "\n/thon\x1b");
    assert_eq!((app.order.filter.as_str(), &app.prompt), ("py", &None));
    press(&mut app, &times, "\x1b");
    assert_eq!(app.order.filter, "");
}

#[test]
fn the_chosen_process_stays_in_sight() {
    let times = minute(false);
    let mut app = App::new(&times);
    press(&mut app, &times, "↓");
    assert_eq!((app.selected, app.scroll), (Some((1, 0)), 0), "the first key only shows the mark");
    press(&mut app, &times, "↓↓↓↓↓");
    assert_eq!((app.selected, app.scroll), (Some((6, 0)), 2));
    app.press(key(KeyCode::PageDown), &times, &shown(), &understand);
    assert_eq!((app.selected, app.scroll), (Some((10, 0)), 6));
    press(&mut app, &times, "↑↑↑↑↑↑↑↑");
    assert_eq!((app.selected, app.scroll), (Some((2, 0)), 1));
    let fewer = Shown { processes: vec![(2, 0)], ..shown() };
    app.keep_in_sight(&fewer);
    assert_eq!(app.scroll, 0);
}

#[test]
fn the_life_of_a_process_is_opened_moved_and_closed() {
    let times = minute(false);
    let mut app = App::new(&times);
    press(&mut app, &times, "\n");
    assert_eq!(app.overlay, Some(Overlay::Details((1, 0))));
    press(&mut app, &times, "↓↓");
    assert_eq!(app.overlay, Some(Overlay::Details((2, 0))));
    press(&mut app, &times, "\x1b");
    assert_eq!((app.overlay, app.selected), (None, Some((2, 0))));
    press(&mut app, &times, "?");
    assert_eq!(app.overlay, Some(Overlay::Help(0)));
    press(&mut app, &times, "↓?");
    assert_eq!(app.overlay, None);
}

#[test]
fn the_table_is_ordered_by_what_is_asked_for() {
    let times = minute(false);
    let mut app = App::new(&times);
    let mut seen = Vec::new();
    for keys in ["P", "M", "r", "M", "o", "v"] {
        press(&mut app, &times, keys);
        seen.push((app.order.by, app.order.reversed, app.order.tree));
    }
    let (memory, io) = (Column::Memory, Column::Io);
    assert_eq!(
        seen,
        [(Column::Cpu, false, false), (memory, false, false), (memory, true, false), (memory, false, false), (io, false, false), (io, false, true)]
    );
}

#[test]
fn quitting_and_stopping_are_left_to_who_owns_the_terminal() {
    let times = minute(false);
    let mut app = App::new(&times);
    assert_eq!(press(&mut app, &times, "q"), Effect::Quit);
    let control = |char| KeyEvent::new(KeyCode::Char(char), KeyModifiers::CONTROL);
    press(&mut app, &times, "/");
    let effects = ['z', 'l', 'c'].map(|char| app.press(control(char), &times, &shown(), &understand));
    assert_eq!(effects, [Effect::Suspend, Effect::Redraw, Effect::Quit], "while something is typed, too");
}
