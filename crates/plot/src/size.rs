//! How large a figure is: in pixels for a screen, in millimetres and their like for paper.

/// A size. Without a height, the figure is as high as it takes.
#[derive(Clone, Debug, PartialEq)]
pub struct Size {
    width: Length,
    height: Option<Length>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Length {
    number: f64,
    unit: &'static str,
}

/// Units and how many 96ths of an inch they are.
const UNITS: [(&str, f64); 5] = [("px", 1.0), ("mm", 96.0 / 25.4), ("cm", 96.0 / 2.54), ("in", 96.0), ("pt", 96.0 / 72.0)];

impl Length {
    fn parse(text: &str) -> Option<Length> {
        let text = text.trim();
        let place = text.find(|char: char| char.is_alphabetic()).unwrap_or(text.len());
        let number: f64 = text[..place].trim().parse().ok()?;
        let unit = if place == text.len() { "px" } else { UNITS.iter().find(|(name, _)| *name == &text[place..])?.0 };
        (number.is_finite() && number > 0.0).then_some(Length { number, unit })
    }

    fn units(self) -> f64 {
        self.number * UNITS.iter().find(|(name, _)| *name == self.unit).map_or(1.0, |(_, units)| *units)
    }
}

impl Default for Size {
    fn default() -> Size {
        Size { width: Length { number: 1200.0, unit: "px" }, height: None }
    }
}

impl std::str::FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Size, String> {
        let wrong = || format!("{text:?} is no size; write 1200x800, 180mmx120mm, or a width alone");
        let lower = text.to_ascii_lowercase().replace('×', "x");
        // `px` has an x of its own.
        let plain = lower.replace("px", "");
        let mut parts = plain.split('x');
        let (width, height) = (parts.next().unwrap_or_default(), parts.next());
        let width = Length::parse(width).ok_or_else(wrong)?;
        let height = height.map(|height| Length::parse(height).ok_or_else(wrong)).transpose()?;
        // `180x120mm` means millimetres both times.
        let width = match height {
            Some(height) if width.unit == "px" && !plain[..plain.find('x').unwrap_or(0)].contains(char::is_alphabetic) => {
                Length { unit: height.unit, ..width }
            }
            _ => width,
        };
        let size = Size { width, height };
        if parts.next().is_some() {
            return Err(wrong());
        }
        if [Some(width), height].into_iter().flatten().any(|length| length.units() > 20_000.0) {
            return Err(format!("{text:?} is more than anybody can look at: no side may be longer than 20000 pixels, or 5 metres"));
        }
        Ok(size)
    }
}

impl Size {
    /// Its width in 96ths of an inch.
    pub fn width(&self) -> f64 {
        self.width.units()
    }

    /// Its height in 96ths of an inch, if it was said.
    pub fn height(&self) -> Option<f64> {
        self.height.map(Length::units)
    }

    /// Whether it is for paper.
    pub fn is_paper(&self) -> bool {
        self.width.unit != "px"
    }

    /// The size of letters: 7.5 points on paper, 12 pixels on a screen.
    pub fn letters(&self) -> f64 {
        if self.is_paper() || self.width() < 480.0 { 10.0 } else { 12.0 }
    }

    /// Width and height in their own unit, where that is not the pixel.
    pub(crate) fn physical(&self, height: f64) -> Option<(String, String)> {
        let scale = UNITS.iter().find(|(name, _)| *name == self.width.unit).map_or(1.0, |(_, units)| *units);
        let said = |number: f64, unit: &str| {
            let text = format!("{number:.3}");
            format!("{}{unit}", text.trim_end_matches('0').trim_end_matches('.'))
        };
        self.is_paper().then(|| {
            let height = self.height.map_or_else(|| said(height / scale, self.width.unit), |height| said(height.number, height.unit));
            (said(self.width.number, self.width.unit), height)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_what_people_write() {
        for (text, width, height) in [
            ("1200x800", 1200.0, Some(800.0)),
            ("1200pxx800px", 1200.0, Some(800.0)),
            ("1200px×800", 1200.0, Some(800.0)),
            ("180mmx120mm", 680.31, Some(453.54)),
            ("180x120mm", 680.31, Some(453.54)),
            ("7in", 672.0, None),
            ("8.5cm x 6cm", 321.26, Some(226.77)),
        ] {
            let size: Size = text.parse().unwrap();
            assert!((size.width() - width).abs() < 0.01, "{text}: {}", size.width());
            assert_eq!(size.height().map(|height| (height * 100.0).round() / 100.0), height, "{text}");
        }
        for text in ["", "x", "-3x4", "12parsecs", "1x2x3", "0x0", "nan"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
        assert!("99999x3".parse::<Size>().unwrap_err().contains("20000"));
        assert_eq!("180mm".parse::<Size>().unwrap().physical(226.771), Some(("180mm".to_owned(), "60mm".to_owned())));
    }
}
