//! PNG, drawn from the same shapes as the SVG and set in the fonts that this program carries.

use tiny_skia::{Color, FillRule, LineCap, LineJoin, Mask, Paint, Path, PathBuilder, Pixmap, StrokeDash, Transform};
use ttf_parser::{Face, GlyphId, OutlineBuilder};

use crate::PaperError;
use crate::colours::Rgb;
use crate::font::{self, Source};
use crate::shape::{Figure, Shape, Text};

/// A picture of more pixels is no figure.
const MOST_PIXELS: u64 = 200_000_000;

impl Figure {
    /// The figure as PNG, with so many pixels for an inch.
    pub fn png(&self, dpi: f64) -> Result<Vec<u8>, PaperError> {
        let scale = dpi / 96.0;
        let [width, height] = [self.width, self.height].map(|length| (length * scale).round().max(1.0) as u32);
        let too_large = PaperError::Large(width, height);
        if u64::from(width) * u64::from(height) > MOST_PIXELS {
            return Err(too_large);
        }
        let mut pixels = Pixmap::new(width, height).ok_or(too_large)?;
        let Rgb(r, g, b) = self.ground.unwrap_or(Rgb(255, 255, 255));
        // Paper is white: a PNG without a ground can't be read on a dark one.
        pixels.fill(Color::from_rgba8(r, g, b, 255));
        let sources = font::sources(self);
        let mut canvas = Canvas {
            pixels,
            faces: sources.iter().map(Source::face).collect(),
            transform: Transform::from_scale((f64::from(width) / self.width) as f32, (f64::from(height) / self.height) as f32),
        };
        self.shapes.iter().for_each(|(_, shape)| canvas.draw(shape));
        canvas.pixels.encode_png().map_err(|error| PaperError::Png(error.to_string()))
    }
}

struct Canvas<'a> {
    pixels: Pixmap,
    faces: Vec<Option<Face<'a>>>,
    transform: Transform,
}

const NO_MASK: Option<&Mask> = None;

impl Canvas<'_> {
    fn draw(&mut self, shape: &Shape) {
        match shape {
            Shape::Rect { area, fill, opacity } => {
                let corners = [(area.x, area.y), (area.right(), area.y), (area.right(), area.bottom()), (area.x, area.bottom())];
                self.fill(path(&[corners.to_vec()], true), *fill, *opacity);
            }
            Shape::Fill { outlines, fill, opacity } => self.fill(path(outlines, true), *fill, *opacity),
            Shape::Lines { lines, stroke } => {
                let is_whole = stroke.dash.is_empty();
                let drawn = tiny_skia::Stroke {
                    width: stroke.width as f32,
                    line_cap: if is_whole { LineCap::Round } else { LineCap::Butt },
                    line_join: LineJoin::Round,
                    dash: if is_whole { None } else { StrokeDash::new(stroke.dash.iter().map(|length| *length as f32).collect(), 0.0) },
                    ..tiny_skia::Stroke::default()
                };
                if let Some(path) = path(lines, false) {
                    self.pixels.stroke_path(&path, &paint(stroke.colour, 1.0), &drawn, self.transform, NO_MASK);
                }
            }
            Shape::Text(text) => {
                let path = self.letters(text);
                self.fill(path, text.colour, 1.0);
            }
        }
    }

    fn fill(&mut self, path: Option<Path>, colour: Rgb, opacity: f64) {
        if let Some(path) = path {
            self.pixels.fill_path(&path, &paint(colour, opacity), FillRule::Winding, self.transform, NO_MASK);
        }
    }

    /// The outlines of a line of text.
    fn letters(&self, text: &Text) -> Option<Path> {
        let mut x = text.area().x;
        let mut letters = Letters { path: PathBuilder::new(), x: 0.0, y: text.y as f32, scale: 0.0 };
        for (place, char, glyph) in font::glyphs(&self.faces, &text.content, text.bold) {
            if let Some(face) = &self.faces[place] {
                (letters.x, letters.scale) = (x as f32, text.size as f32 / f32::from(face.units_per_em()));
                face.outline_glyph(GlyphId(glyph), &mut letters);
            }
            x += font::width(char.encode_utf8(&mut [0; 4]), text.size, text.bold);
        }
        letters.path.finish()
    }
}

fn paint(colour: Rgb, opacity: f64) -> Paint<'static> {
    let mut paint = Paint::default();
    paint.set_color_rgba8(colour.0, colour.1, colour.2, (opacity * 255.0).round() as u8);
    paint
}

fn path(lines: &[Vec<(f64, f64)>], closed: bool) -> Option<Path> {
    let mut path = PathBuilder::new();
    for line in lines {
        for (place, (x, y)) in line.iter().map(|(x, y)| (*x as f32, *y as f32)).enumerate() {
            if place == 0 { path.move_to(x, y) } else { path.line_to(x, y) }
        }
        match line.as_slice() {
            _ if closed => path.close(),
            // A line of no length is a dot, by its round ends.
            [(x, y)] => path.line_to(*x as f32, *y as f32),
            _ => {}
        }
    }
    path.finish()
}

/// Takes a glyph's outline to its place on the sheet, where y grows downwards.
struct Letters {
    path: PathBuilder,
    x: f32,
    y: f32,
    scale: f32,
}

impl Letters {
    fn at(&self, x: f32, y: f32) -> (f32, f32) {
        (self.x + x * self.scale, self.y - y * self.scale)
    }
}

impl OutlineBuilder for Letters {
    fn move_to(&mut self, x: f32, y: f32) {
        let (x, y) = self.at(x, y);
        self.path.move_to(x, y);
    }

    fn line_to(&mut self, x: f32, y: f32) {
        let (x, y) = self.at(x, y);
        self.path.line_to(x, y);
    }

    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        let ((x1, y1), (x, y)) = (self.at(x1, y1), self.at(x, y));
        self.path.quad_to(x1, y1, x, y);
    }

    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        let ((x1, y1), (x2, y2), (x, y)) = (self.at(x1, y1), self.at(x2, y2), self.at(x, y));
        self.path.cubic_to(x1, y1, x2, y2, x, y);
    }

    fn close(&mut self) {
        self.path.close();
    }
}
