//! SVG, written so that the same figure gives the same bytes: fixed numbers of digits, one order, no ids and no times.

use std::fmt::Write;

use crate::colours::Rgb;
use crate::font;
use crate::shape::{Anchor, Figure, Part, Shape, Stroke, Text};

impl Figure {
    /// The figure as a document of its own.
    pub fn svg(&self) -> String {
        let mut out = String::with_capacity(64 * 1024);
        let (width, height) = self.physical.clone().unwrap_or_else(|| (number(self.width), number(self.height)));
        push(
            &mut out,
            format_args!(
                "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {} {}\" role=\"img\" font-family=\"{}\">\n",
                number(self.width),
                number(self.height),
                font::FAMILIES
            ),
        );
        push(&mut out, format_args!("<title>{}</title>\n<desc>{}</desc>\n", escaped(&self.title), escaped(&self.description)));
        if let Some(ground) = self.ground {
            push(&mut out, format_args!("<rect width=\"{}\" height=\"{}\" fill=\"{}\"/>\n", number(self.width), number(self.height), hex(ground)));
        }
        let mut open: Option<Part> = None;
        for (part, shape) in &self.shapes {
            if open != Some(*part) {
                if open.is_some() {
                    out.push_str("</g>\n");
                }
                push(&mut out, format_args!("<g class=\"{}\">\n", class(*part)));
                open = Some(*part);
            }
            write_shape(&mut out, shape);
        }
        if open.is_some() {
            out.push_str("</g>\n");
        }
        out.push_str("</svg>\n");
        out
    }
}

/// Writing to a string does not fail.
fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(text);
}

fn class(part: Part) -> &'static str {
    match part {
        Part::Title => "title",
        Part::Spans => "spans",
        Part::Marks => "marks",
        Part::Frame(_) => "frame",
        Part::Plot(_) => "plot",
        Part::Legend(_) => "legend",
        Part::Time => "time",
        Part::Note => "note",
    }
}

fn write_shape(out: &mut String, shape: &Shape) {
    match shape {
        Shape::Rect { area, fill, opacity } => {
            let [x, y, width, height] = [area.x, area.y, area.width, area.height].map(number);
            push(
                out,
                format_args!("<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" fill=\"{}\"{}/>\n", hex(*fill), opaque(*opacity)),
            );
        }
        Shape::Lines { lines, stroke } => {
            out.push_str("<path d=\"");
            lines.iter().for_each(|line| write_points(out, line, false));
            push(out, format_args!("\" fill=\"none\"{}/>\n", stroked(stroke)));
        }
        Shape::Fill { outlines, fill, opacity } => {
            out.push_str("<path d=\"");
            outlines.iter().for_each(|outline| write_points(out, outline, true));
            push(out, format_args!("\" fill=\"{}\"{}/>\n", hex(*fill), opaque(*opacity)));
        }
        Shape::Text(text) => write_text(out, text),
    }
}

/// Points, one after the other; those that would be drawn on the last one are left out.
fn write_points(out: &mut String, points: &[(f64, f64)], closed: bool) {
    let mut last: Option<(String, String)> = None;
    let mut drawn = 0;
    for (x, y) in points {
        let here = (fine(*x), fine(*y));
        if last.as_ref() == Some(&here) {
            continue;
        }
        match &last {
            None => push(out, format_args!("M{} {}", here.0, here.1)),
            Some((_, y)) if *y == here.1 => push(out, format_args!("H{}", here.0)),
            Some((x, _)) if *x == here.0 => push(out, format_args!("V{}", here.1)),
            Some(_) => push(out, format_args!("L{} {}", here.0, here.1)),
        }
        last = Some(here);
        drawn += 1;
    }
    // A single point is a dot by its round ends.
    if drawn == 1 && !closed {
        out.push_str("h0");
    }
    if closed && drawn > 0 {
        out.push('Z');
    }
}

fn write_text(out: &mut String, text: &Text) {
    let anchor = match text.anchor {
        Anchor::Start => "",
        Anchor::Middle => " text-anchor=\"middle\"",
        Anchor::End => " text-anchor=\"end\"",
    };
    let bold = if text.bold { " font-weight=\"bold\"" } else { "" };
    let [x, y, size] = [text.x, text.y, text.size].map(number);
    push(
        out,
        format_args!(
            "<text x=\"{x}\" y=\"{y}\" font-size=\"{size}\"{bold}{anchor} fill=\"{}\">{}</text>\n",
            hex(text.colour),
            escaped(&text.content)
        ),
    );
}

fn stroked(stroke: &Stroke) -> String {
    let dash = stroke.dash.iter().map(|length| number(*length)).collect::<Vec<_>>().join(" ");
    let dash =
        if dash.is_empty() { " stroke-linecap=\"round\" stroke-linejoin=\"round\"".to_owned() } else { format!(" stroke-dasharray=\"{dash}\"") };
    format!(" stroke=\"{}\" stroke-width=\"{}\"{dash}", hex(stroke.colour), number(stroke.width))
}

fn opaque(opacity: f64) -> String {
    if opacity >= 1.0 { String::new() } else { format!(" fill-opacity=\"{}\"", number(opacity)) }
}

fn hex(colour: Rgb) -> String {
    format!("#{:02x}{:02x}{:02x}", colour.0, colour.1, colour.2)
}

/// To a hundredth, without zeros at the end.
fn number(value: f64) -> String {
    trimmed(format!("{value:.2}"))
}

/// To a tenth: what a curve needs.
fn fine(value: f64) -> String {
    trimmed(format!("{value:.1}"))
}

fn trimmed(text: String) -> String {
    let kept = text.trim_end_matches('0').trim_end_matches('.');
    if kept == "-0" { "0".to_owned() } else { kept.to_owned() }
}

/// Text that XML takes for text, and that no viewer obeys. What XML can't say at all is replaced.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in barograph_view::text::clean(text).chars() {
        match char {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            char => out.push(char),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_no_needless_digits() {
        assert_eq!([0.0, -0.001, 1.0, 1.25, 10.0, 100.456].map(number), ["0", "0", "1", "1.25", "10", "100.46"]);
    }

    #[test]
    fn strangers_words_are_text() {
        assert_eq!(escaped("<b>&\"\u{0}\u{ffff}\n"), "&lt;b&gt;&amp;&quot;\\x00\u{fffd}\\n");
    }

    #[test]
    fn points_that_are_the_same_on_paper_are_one() {
        let mut out = String::new();
        write_points(&mut out, &[(1.0, 2.0), (1.01, 2.01), (3.0, 2.0), (3.0, 5.0), (4.0, 6.0)], true);
        assert_eq!(out, "M1 2H3V5L4 6Z");
        out.clear();
        write_points(&mut out, &[(1.0, 2.0)], false);
        assert_eq!(out, "M1 2h0");
    }
}
