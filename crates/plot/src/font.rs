//! The letters of PNG and PDF, and how wide text is in them. Viewers of SVG take what they have of the same width or less, so that labels that are
//! clear of each other here are so there.

use std::borrow::Cow;
use std::sync::LazyLock;

use ttf_parser::Face;

use crate::shape::{Figure, Shape};

/// Families for SVG, none wider than the first, which is what was measured.
pub(crate) const FAMILIES: &str = "'Noto Sans','Open Sans','Segoe UI',Roboto,'Helvetica Neue',Arial,'Liberation Sans',sans-serif";

/// The font files: regular and bold.
const FILES: [&[u8]; 2] = [notosans::REGULAR_TTF, notosans::BOLD_TTF];

static FACES: LazyLock<[Option<Face<'static>>; 2]> = LazyLock::new(|| FILES.map(|file| Face::parse(file, 0).ok()));

/// Height of a line of text above its base line, and below, for a size of 1.
pub(crate) const ASCENT: f64 = 0.76;
pub(crate) const DESCENT: f64 = 0.22;

/// Whether the font has every letter of the text.
pub(crate) fn has_all(text: &str) -> bool {
    FACES[0].as_ref().is_some_and(|face| text.chars().all(|char| char.is_control() || face.glyph_index(char).is_some()))
}

/// The width of the text in this size.
pub(crate) fn width(text: &str, size: f64, bold: bool) -> f64 {
    let face = FACES[usize::from(bold)].as_ref();
    let advance = |char: char| {
        let known = face.and_then(|face| Some(f64::from(face.glyph_hor_advance(face.glyph_index(char)?)?) / f64::from(face.units_per_em())));
        // Letters of other scripts come from whatever font has them: wide ones are square.
        known.unwrap_or(match unicode_width::UnicodeWidthChar::width(char) {
            Some(0) | None => 0.0,
            Some(1) => 0.7,
            Some(_) => 1.05,
        })
    };
    text.chars().map(advance).sum::<f64>() * size
}

/// A face of a file of fonts.
pub(crate) struct Source {
    pub(crate) data: Cow<'static, [u8]>,
    pub(crate) index: u32,
}

impl Source {
    pub(crate) fn face(&self) -> Option<Face<'_>> {
        Face::parse(&self.data, self.index).ok()
    }

    fn has(&self, char: char) -> bool {
        self.face().is_some_and(|face| face.glyph_index(char).is_some())
    }
}

/// The faces that a figure is set in: ours, regular and bold, and after them those of the machine that have letters that ours lack.
pub(crate) fn sources(figure: &Figure) -> Vec<Source> {
    let mut sources: Vec<Source> = FILES.iter().map(|file| Source { data: Cow::Borrowed(*file), index: 0 }).collect();
    let texts = figure.shapes.iter().filter_map(|(_, shape)| if let Shape::Text(text) = shape { Some(text.content.chars()) } else { None });
    let mut missing: Vec<char> = texts.flatten().filter(|char| !has_all(char.encode_utf8(&mut [0; 4]))).collect();
    missing.sort_unstable();
    missing.dedup();
    if missing.is_empty() {
        return sources;
    }
    let mut machine = fontdb::Database::new();
    machine.load_system_fonts();
    let mut known: Vec<(&str, fontdb::ID)> = machine.faces().map(|face| (face.post_script_name.as_str(), face.id)).collect();
    known.sort_unstable();
    for char in missing {
        if sources.iter().any(|source| source.has(char)) {
            continue;
        }
        let has = |data: &[u8], index: u32| {
            let face = Face::parse(data, index).ok()?;
            // A face without outlines draws nothing: pictures of letters are no letters here.
            face.glyph_index(char).filter(|glyph| face.glyph_bounding_box(*glyph).is_some())?;
            Some(Source { data: Cow::Owned(data.to_vec()), index })
        };
        sources.extend(known.iter().find_map(|(_, id)| machine.with_face_data(*id, has).flatten()));
    }
    sources
}

/// For each letter of a text the place of its face, and its glyph there; that of ours for a missing one, if nobody has it.
pub(crate) fn glyphs(faces: &[Option<Face<'_>>], text: &str, bold: bool) -> Vec<(usize, char, u16)> {
    let first = usize::from(bold);
    let glyph = |char: char| {
        let order = [first].into_iter().chain((0..faces.len()).filter(|place| *place != first));
        let found = order.into_iter().find_map(|place| Some((place, faces[place].as_ref()?.glyph_index(char)?.0)));
        let (place, glyph) = found.unwrap_or((first, 0));
        (place, char, glyph)
    };
    text.chars().map(glyph).collect()
}

/// The text in no more than this width; what is too long ends in `…`, and if not even three letters have room there is nothing.
pub(crate) fn cut(text: &str, room: f64, size: f64, bold: bool) -> String {
    if width(text, size, bold) <= room {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut used = width("…", size, bold);
    let mut buffer = [0; 4];
    for char in text.chars() {
        used += width(char.encode_utf8(&mut buffer), size, bold);
        if used > room {
            break;
        }
        kept.push(char);
    }
    let kept = kept.trim_end();
    if kept.chars().count() < 3 { String::new() } else { format!("{kept}…") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_as_wide_as_its_letters() {
        assert_eq!(width("", 10.0, false), 0.0);
        assert!((width("0000", 10.0, false) - 4.0 * width("7", 10.0, false)).abs() < 1e-9, "figures are of one width");
        assert!(width("W", 10.0, true) > width("i", 10.0, true));
        assert!((width("漢", 10.0, false) - 10.5).abs() < 1e-9);
    }

    #[test]
    fn what_is_cut_has_room() {
        let text = "a rather long name of a process";
        for room in 0..300 {
            let cut = cut(text, f64::from(room), 11.0, false);
            assert!(width(&cut, 11.0, false) <= f64::from(room).max(0.0), "{cut} in {room}");
        }
        assert_eq!(cut(text, 1000.0, 11.0, false), text);
        assert_eq!(cut(text, 8.0, 11.0, false), "");
    }

    #[test]
    fn letters_that_are_not_there_are_known() {
        assert!(has_all("µs – größe 12\u{202f}345 · Ωж…") && !has_all("漢字"));
    }
}
