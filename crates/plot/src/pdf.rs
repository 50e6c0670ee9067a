//! PDF, written from the same shapes as the SVG: text as text, in subsets of the fonts that this program carries, and the same bytes for the same figure.

use std::collections::BTreeMap;
use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use pdf_writer::types::{CidFontType, FontFlags, LineCapStyle, LineJoinStyle, SystemInfo, UnicodeCmap};
use pdf_writer::{Content, Filter, Finish, Name, Pdf, Rect, Ref, Str, TextStr};
use subsetter::GlyphRemapper;
use ttf_parser::{Face, GlyphId};

use crate::PaperError;
use crate::colours::Rgb;
use crate::font::{self, Source};
use crate::shape::{Figure, Shape, Stroke, Text};

/// Points for a 96th of an inch.
const POINTS: f32 = 0.75;

impl Figure {
    /// The figure as PDF.
    pub fn pdf(&self) -> Result<Vec<u8>, PaperError> {
        let sources = font::sources(self);
        let faces: Vec<Option<Face<'_>>> = sources.iter().map(Source::face).collect();
        let used = |(number, source)| Used { name: format!("F{number}"), source, remapper: GlyphRemapper::new(), letters: BTreeMap::new() };
        let mut used: Vec<Used<'_>> = sources.iter().enumerate().map(used).collect();
        let mut opacities: Vec<u32> = Vec::new();
        let mut content = Content::new();
        let height = self.height as f32 * POINTS;
        content.save_state().transform([POINTS, 0.0, 0.0, -POINTS, 0.0, height]);
        if let Some(ground) = self.ground {
            fill(&mut content, ground);
            content.rect(0.0, 0.0, self.width as f32, self.height as f32).fill_nonzero();
        }
        for (_, shape) in &self.shapes {
            match shape {
                Shape::Text(text) => write_text(&mut content, text, &faces, &mut used),
                shape => draw(&mut content, shape, &mut opacities),
            }
        }
        content.restore_state();
        used.retain(|font| !font.letters.is_empty());
        Ok(self.document(&deflated(&content.finish())?, &used, &opacities)?.finish())
    }

    fn document(&self, content: &[u8], used: &[Used<'_>], opacities: &[u32]) -> Result<Pdf, PaperError> {
        let mut next = 0;
        let mut reference = || {
            next += 1;
            Ref::new(next)
        };
        let [catalog, tree, sheet, stream, info] = std::array::from_fn(|_| reference());
        let font_refs: Vec<[Ref; 5]> = used.iter().map(|_| std::array::from_fn(|_| reference())).collect();
        let state_refs: Vec<Ref> = opacities.iter().map(|_| reference()).collect();

        let mut pdf = Pdf::new();
        pdf.catalog(catalog).pages(tree);
        pdf.document_info(info).title(TextStr(&barograph_view::text::clean(&self.title))).producer(TextStr("Barograph"));
        pdf.pages(tree).kids([sheet]).count(1);
        let mut page = pdf.page(sheet);
        page.parent(tree).media_box(Rect::new(0.0, 0.0, self.width as f32 * POINTS, self.height as f32 * POINTS)).contents(stream);
        let mut resources = page.resources();
        let mut names = resources.fonts();
        for (font, refs) in used.iter().zip(&font_refs) {
            names.pair(Name(font.name.as_bytes()), refs[0]);
        }
        names.finish();
        let mut states = resources.ext_g_states();
        for (opacity, reference) in opacities.iter().zip(&state_refs) {
            states.pair(Name(state_name(*opacity).as_bytes()), *reference);
        }
        states.finish();
        resources.finish();
        page.finish();
        pdf.stream(stream, content).filter(Filter::FlateDecode);
        for (opacity, reference) in opacities.iter().zip(&state_refs) {
            pdf.ext_graphics(*reference).non_stroking_alpha(*opacity as f32 / 1000.0);
        }
        for (font, refs) in used.iter().zip(font_refs) {
            font.write(&mut pdf, refs)?;
        }
        Ok(pdf)
    }
}

fn state_name(opacity: u32) -> String {
    format!("G{opacity}")
}

fn fill(content: &mut Content, colour: Rgb) {
    let [r, g, b] = parts(colour);
    content.set_fill_rgb(r, g, b);
}

fn parts(colour: Rgb) -> [f32; 3] {
    [colour.0, colour.1, colour.2].map(|part| (f32::from(part) / 255.0 * 1000.0).round() / 1000.0)
}

/// To a hundredth, as in the SVG.
fn short(value: f64) -> f32 {
    ((value * 100.0).round() / 100.0) as f32
}

fn draw(content: &mut Content, shape: &Shape, opacities: &mut Vec<u32>) {
    match shape {
        Shape::Rect { area, fill: colour, opacity } => {
            let [x, y, width, height] = [area.x, area.y, area.width, area.height].map(short);
            painted(content, *colour, *opacity, opacities, |content| {
                content.rect(x, y, width, height).fill_nonzero();
            });
        }
        Shape::Fill { outlines, fill: colour, opacity } => painted(content, *colour, *opacity, opacities, |content| {
            for outline in outlines {
                trace(content, outline);
                content.close_path();
            }
            content.fill_nonzero();
        }),
        Shape::Lines { lines, stroke } => {
            set_stroke(content, stroke);
            for line in lines {
                trace(content, line);
            }
            content.stroke();
        }
        Shape::Text(_) => {}
    }
}

fn painted(content: &mut Content, colour: Rgb, opacity: f64, opacities: &mut Vec<u32>, paint: impl FnOnce(&mut Content)) {
    fill(content, colour);
    if opacity >= 1.0 {
        paint(content);
        return;
    }
    let thousandths = (opacity * 1000.0).round() as u32;
    if !opacities.contains(&thousandths) {
        opacities.push(thousandths);
    }
    content.save_state().set_parameters(Name(state_name(thousandths).as_bytes()));
    paint(content);
    content.restore_state();
}

fn set_stroke(content: &mut Content, stroke: &Stroke) {
    let [r, g, b] = parts(stroke.colour);
    let is_whole = stroke.dash.is_empty();
    content.set_stroke_rgb(r, g, b).set_line_width(short(stroke.width));
    content.set_line_cap(if is_whole { LineCapStyle::RoundCap } else { LineCapStyle::ButtCap }).set_line_join(LineJoinStyle::RoundJoin);
    content.set_dash_pattern(stroke.dash.iter().map(|length| *length as f32), 0.0);
}

fn trace(content: &mut Content, points: &[(f64, f64)]) {
    let mut last = None;
    for (x, y) in points.iter().map(|(x, y)| (short(*x), short(*y))) {
        match last {
            None => drop(content.move_to(x, y)),
            Some(before) if before == (x, y) && points.len() > 1 => {}
            Some(_) => drop(content.line_to(x, y)),
        }
        last = Some((x, y));
    }
    // A line of no length is a dot, by its round ends.
    if let (1, Some((x, y))) = (points.len(), last) {
        content.line_to(x, y);
    }
}

fn write_text(content: &mut Content, text: &Text, faces: &[Option<Face<'_>>], used: &mut [Used<'_>]) {
    let mut x = text.area().x;
    fill(content, text.colour);
    content.begin_text();
    let glyphs = font::glyphs(faces, &text.content, text.bold);
    // A piece for each stretch of letters of one face.
    for piece in glyphs.chunk_by(|(one, ..), (other, ..)| one == other) {
        let font = &mut used[piece[0].0];
        let mut shown = Vec::with_capacity(piece.len() * 2);
        for (_, char, glyph) in piece {
            let mapped = font.remapper.remap(*glyph);
            // The sign for a letter that nobody has stands for none.
            font.letters.entry(mapped).or_insert(if *glyph == 0 { '\u{fffd}' } else { *char });
            shown.extend(mapped.to_be_bytes());
        }
        content.set_font(Name(font.name.as_bytes()), short(text.size));
        content.set_text_matrix([1.0, 0.0, 0.0, -1.0, short(x), short(text.y)]);
        content.show(Str(&shown));
        x += piece.iter().map(|(_, char, _)| font::width(char.encode_utf8(&mut [0; 4]), text.size, text.bold)).sum::<f64>();
    }
    content.end_text();
}

fn deflated(bytes: &[u8]) -> Result<Vec<u8>, PaperError> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).map_err(|error| PaperError::Pdf(error.to_string()))
}

/// A face, and what of it is used.
struct Used<'a> {
    /// Its name among the page's resources.
    name: String,
    source: &'a Source,
    remapper: GlyphRemapper,
    /// Which glyph stands for which letter.
    letters: BTreeMap<u16, char>,
}

impl Used<'_> {
    fn write(&self, pdf: &mut Pdf, [whole, cid, descriptor, cmap, file]: [Ref; 5]) -> Result<(), PaperError> {
        let wrong = |why: &str| PaperError::Pdf(format!("a font can't be used: {why}"));
        let face = self.source.face().ok_or_else(|| wrong("it can't be read"))?;
        let subset = subsetter::subset(&self.source.data, self.source.index, &self.remapper).map_err(|error| wrong(&error.to_string()))?;
        let is_cff = face.raw_face().table(ttf_parser::Tag::from_bytes(b"CFF ")).is_some();
        let scale = |value: f32| (value / f32::from(face.units_per_em()) * 1000.0).round();
        // Six letters name a subset: those of the font's place are as good as any.
        let own: String = face
            .names()
            .into_iter()
            .find(|name| name.name_id == ttf_parser::name_id::POST_SCRIPT_NAME)
            .and_then(|name| name.to_string())
            .unwrap_or_default();
        let own: String = own.chars().filter(|char| char.is_ascii_alphanumeric() || *char == '-').collect();
        let base = format!("BARO{}+{own}", if self.name == "F0" { "GR" } else { "GS" });
        let system = SystemInfo { registry: Str(b"Adobe"), ordering: Str(b"Identity"), supplement: 0 };
        pdf.type0_font(whole).base_font(Name(base.as_bytes())).encoding_predefined(Name(b"Identity-H")).descendant_font(cid).to_unicode(cmap);
        let mut font = pdf.cid_font(cid);
        font.subtype(if is_cff { CidFontType::Type0 } else { CidFontType::Type2 });
        font.base_font(Name(base.as_bytes())).system_info(system).font_descriptor(descriptor).default_width(0.0);
        if !is_cff {
            font.cid_to_gid_map_predefined(Name(b"Identity"));
        }
        let widths = self.remapper.remapped_gids().map(|glyph| scale(f32::from(face.glyph_hor_advance(GlyphId(glyph)).unwrap_or(0))));
        font.widths().consecutive(0, widths);
        font.finish();
        let bounds = face.global_bounding_box();
        let mut about = pdf.font_descriptor(descriptor);
        about.name(Name(base.as_bytes())).flags(FontFlags::SYMBOLIC);
        about.bbox(Rect::new(
            scale(f32::from(bounds.x_min)),
            scale(f32::from(bounds.y_min)),
            scale(f32::from(bounds.x_max)),
            scale(f32::from(bounds.y_max)),
        ));
        about.italic_angle(0.0).ascent(scale(f32::from(face.ascender()))).descent(scale(f32::from(face.descender())));
        about.cap_height(scale(f32::from(face.capital_height().unwrap_or(face.ascender())))).stem_v(80.0);
        if is_cff {
            about.font_file3(file)
        } else {
            about.font_file2(file)
        };
        about.finish();
        let mut letters = UnicodeCmap::new(Name(b"Barograph"), system);
        for (glyph, letter) in &self.letters {
            letters.pair(*glyph, *letter);
        }
        pdf.cmap(cmap, &letters.finish());
        let packed = deflated(&subset)?;
        let mut stream = pdf.stream(file, &packed);
        stream.filter(Filter::FlateDecode);
        if is_cff {
            stream.pair(Name(b"Subtype"), Name(b"CIDFontType0C"));
        }
        Ok(())
    }
}
