//! PDF, written from the same shapes as the SVG: text as text, in subsets of the fonts that this program carries, and the same bytes for the same figure.

use std::collections::BTreeMap;
use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use pdf_writer::types::{CidFontType, FontFlags, LineCapStyle, LineJoinStyle, SystemInfo, UnicodeCmap};
use pdf_writer::{Content, Filter, Finish, Name, Pdf, Rect, Ref, Str, TextStr};
use resvg::usvg::fontdb;
use subsetter::GlyphRemapper;
use ttf_parser::{Face, GlyphId};

use crate::colours::Rgb;
use crate::font;
use crate::paper::PaperError;
use crate::shape::{Anchor, Figure, Shape, Stroke, Text};

/// Points for a 96th of an inch.
const POINTS: f32 = 0.75;

impl Figure {
    /// The figure as PDF.
    pub fn pdf(&self) -> Result<Vec<u8>, PaperError> {
        let mut fonts = Fonts::new(self);
        let mut opacities: Vec<u32> = Vec::new();
        let mut content = Content::new();
        let height = self.height as f32 * POINTS;
        content.save_state().transform([POINTS, 0.0, 0.0, -POINTS, 0.0, height]);
        if let Some(ground) = self.ground {
            fill(&mut content, ground);
            content.rect(0.0, 0.0, self.width as f32, self.height as f32).fill_nonzero();
        }
        for (_, shape) in &self.shapes {
            draw(&mut content, shape, &mut fonts, &mut opacities);
        }
        content.restore_state();
        Ok(self.document(&deflated(&content.finish())?, &fonts, &opacities)?.finish())
    }

    fn document(&self, content: &[u8], fonts: &Fonts, opacities: &[u32]) -> Result<Pdf, PaperError> {
        let mut next = 0;
        let mut reference = || {
            next += 1;
            Ref::new(next)
        };
        let [catalog, tree, sheet, stream, info] = std::array::from_fn(|_| reference());
        let used: Vec<&Loaded> = fonts.loaded.iter().filter(|font| !font.letters.is_empty()).collect();
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
        for (font, refs) in used.into_iter().zip(font_refs) {
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

fn draw(content: &mut Content, shape: &Shape, fonts: &mut Fonts, opacities: &mut Vec<u32>) {
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
        Shape::Text(text) => write_text(content, text, fonts),
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

fn write_text(content: &mut Content, text: &Text, fonts: &mut Fonts) {
    let width = font::width(&text.content, text.size, text.bold);
    let mut x = match text.anchor {
        Anchor::Start => text.x,
        Anchor::Middle => text.x - width / 2.0,
        Anchor::End => text.x - width,
    };
    fill(content, text.colour);
    content.begin_text();
    for (number, piece, glyphs) in fonts.pieces(&text.content, text.bold) {
        content.set_font(Name(fonts.loaded[number].name.as_bytes()), short(text.size));
        content.set_text_matrix([1.0, 0.0, 0.0, -1.0, short(x), short(text.y)]);
        content.show(Str(&glyphs));
        x += font::width(&piece, text.size, text.bold);
    }
    content.end_text();
}

fn deflated(bytes: &[u8]) -> Result<Vec<u8>, PaperError> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).map_err(|error| PaperError::Pdf(error.to_string()))
}

/// The fonts of a document: ours, and after them those of the machine that have letters that ours lack.
struct Fonts {
    loaded: Vec<Loaded>,
}

struct Loaded {
    /// Its name among the page's resources.
    name: String,
    data: Vec<u8>,
    index: u32,
    remapper: GlyphRemapper,
    /// Which glyph stands for which letter.
    letters: BTreeMap<u16, char>,
}

impl Loaded {
    fn new(number: usize, data: Vec<u8>, index: u32) -> Loaded {
        Loaded { name: format!("F{number}"), data, index, remapper: GlyphRemapper::new(), letters: BTreeMap::new() }
    }

    fn face(&self) -> Option<Face<'_>> {
        Face::parse(&self.data, self.index).ok()
    }

    fn glyph(&self, char: char) -> Option<u16> {
        self.face()?.glyph_index(char).map(|glyph| glyph.0)
    }

    fn write(&self, pdf: &mut Pdf, [whole, cid, descriptor, cmap, file]: [Ref; 5]) -> Result<(), PaperError> {
        let wrong = |why: &str| PaperError::Pdf(format!("a font can't be used: {why}"));
        let face = self.face().ok_or_else(|| wrong("it can't be read"))?;
        let subset = subsetter::subset(&self.data, self.index, &self.remapper).map_err(|error| wrong(&error.to_string()))?;
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

impl Fonts {
    fn new(figure: &Figure) -> Fonts {
        let mut loaded: Vec<Loaded> = font::FILES.iter().enumerate().map(|(number, file)| Loaded::new(number, file.to_vec(), 0)).collect();
        let mut missing: Vec<char> = figure
            .shapes
            .iter()
            .filter_map(|(_, shape)| if let Shape::Text(text) = shape { Some(text.content.chars()) } else { None })
            .flatten()
            .filter(|char| !font::has_all(char.encode_utf8(&mut [0; 4])))
            .collect();
        missing.sort_unstable();
        missing.dedup();
        if !missing.is_empty() {
            let mut system = fontdb::Database::new();
            system.load_system_fonts();
            let mut faces: Vec<(String, fontdb::ID)> = system.faces().map(|face| (face.post_script_name.clone(), face.id)).collect();
            faces.sort();
            for char in missing {
                if loaded.iter().any(|font| font.glyph(char).is_some()) {
                    continue;
                }
                let has =
                    |data: &[u8], index: u32| Face::parse(data, index).ok().and_then(|face| face.glyph_index(char)).map(|_| (data.to_vec(), index));
                if let Some((data, index)) = faces.iter().find_map(|(_, id)| system.with_face_data(*id, has).flatten()) {
                    loaded.push(Loaded::new(loaded.len(), data, index));
                }
            }
        }
        Fonts { loaded }
    }

    /// The text in pieces of one font each: the font, the piece, and its glyphs as bytes.
    fn pieces(&mut self, text: &str, bold: bool) -> Vec<(usize, String, Vec<u8>)> {
        let first = usize::from(bold);
        let mut pieces: Vec<(usize, String, Vec<u8>)> = Vec::new();
        for char in text.chars() {
            let order = [first].into_iter().chain((0..self.loaded.len()).filter(|number| *number != first));
            let found = order.into_iter().find_map(|number| Some((number, self.loaded[number].glyph(char)?)));
            // What nobody has is the sign for a missing letter.
            let (number, glyph) = found.unwrap_or((first, 0));
            let font = &mut self.loaded[number];
            let mapped = font.remapper.remap(glyph);
            font.letters.entry(mapped).or_insert(char);
            match pieces.last_mut() {
                Some((last, piece, glyphs)) if *last == number => {
                    piece.push(char);
                    glyphs.extend(mapped.to_be_bytes());
                }
                _ => pieces.push((number, char.to_string(), mapped.to_be_bytes().to_vec())),
            }
        }
        pieces
    }
}
