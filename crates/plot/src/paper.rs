//! PNG, from the SVG and set in the fonts that this program carries: the same figure gives the same bytes on every machine.

use std::sync::Arc;

use resvg::tiny_skia::{Color, Pixmap, Transform};
use resvg::usvg::{Options, Tree, fontdb};

use crate::font;
use crate::shape::{Figure, Shape};

/// It could not be drawn.
#[derive(Debug, thiserror::Error)]
pub enum PaperError {
    /// Our own SVG was not understood.
    #[error("the figure can't be drawn: {0}")]
    Svg(#[from] resvg::usvg::Error),
    /// There is no such picture.
    #[error("a picture of {0} by {1} pixels is too large")]
    Large(u32, u32),
    /// PNG.
    #[error("the PNG can't be written: {0}")]
    Png(String),
    /// PDF.
    #[error("the PDF can't be written: {0}")]
    Pdf(String),
}

impl Figure {
    /// The figure as PNG, with so many pixels for an inch.
    pub fn png(&self, dpi: f64) -> Result<Vec<u8>, PaperError> {
        let tree = self.tree()?;
        let scale = dpi / 96.0;
        let (width, height) = ((self.width * scale).round().max(1.0) as u32, (self.height * scale).round().max(1.0) as u32);
        let too_large = PaperError::Large(width, height);
        if u64::from(width) * u64::from(height) > 200_000_000 {
            return Err(too_large);
        }
        let mut pixels = Pixmap::new(width, height).ok_or(too_large)?;
        // Paper is white: a PNG without ground is unreadable on dark.
        pixels.fill(Color::WHITE);
        let transform = Transform::from_scale(width as f32 / tree.size().width(), height as f32 / tree.size().height());
        resvg::render(&tree, transform, &mut pixels.as_mut());
        pixels.encode_png().map_err(|error| PaperError::Png(error.to_string()))
    }

    fn tree(&self) -> Result<Tree, PaperError> {
        let mut fonts = fontdb::Database::new();
        for file in font::FILES {
            fonts.load_font_source(fontdb::Source::Binary(Arc::new(file)));
        }
        let is_ours = |shape: &Shape| if let Shape::Text(text) = shape { font::has_all(&text.content) } else { true };
        if !self.shapes.iter().all(|(_, shape)| is_ours(shape)) {
            // Letters that we do not carry come from the machine, if it has them.
            fonts.load_system_fonts();
        }
        fonts.set_sans_serif_family("Noto Sans");
        let options = Options { fontdb: Arc::new(fonts), font_family: "Noto Sans".to_owned(), dpi: 96.0, ..Options::default() };
        Ok(Tree::from_str(&self.svg(), &options)?)
    }
}
