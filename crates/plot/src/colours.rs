//! Colours belong to identities (a process, a device, a span's name) and are the same in every panel and figure. The rule and the hues are those of the
//! page, `crates/web/page/src/colours.ts`: FNV-1a over the name's UTF-16 chooses a hue, and names that are seen together get different ones while there
//! are any. Red is kept for faults and limits.

use std::collections::BTreeMap;

/// A colour without transparency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rgb(pub u8, pub u8, pub u8);

impl Rgb {
    const fn hex(value: u32) -> Rgb {
        Rgb((value >> 16) as u8, (value >> 8) as u8, value as u8)
    }

    /// This colour, with so much of it, over another.
    pub fn over(self, ground: Rgb, part: f64) -> Rgb {
        let mix = |mine: u8, other: u8| (f64::from(mine) * part + f64::from(other) * (1.0 - part)).round() as u8;
        Rgb(mix(self.0, ground.0), mix(self.1, ground.1), mix(self.2, ground.2))
    }

    /// How light it is: 0 to 1, as in WCAG.
    pub fn luminance(self) -> f64 {
        let linear = |part: u8| {
            let part = f64::from(part) / 255.0;
            if part <= 0.040_45 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * linear(self.0) + 0.7152 * linear(self.1) + 0.0722 * linear(self.2)
    }

    /// WCAG's ratio of contrast, 1 to 21.
    pub fn contrast(self, other: Rgb) -> f64 {
        let (a, b) = (self.luminance() + 0.05, other.luminance() + 0.05);
        if a > b { a / b } else { b / a }
    }
}

/// What a figure is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Theme {
    /// For light screens.
    #[default]
    Light,
    /// For dark screens.
    Dark,
    /// For paper: black on what lies below.
    Print,
}

/// The colours of a theme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ink {
    /// What is drawn on; on paper it is not painted.
    pub ground: Rgb,
    /// Text and what matters.
    pub ink: Rgb,
    /// What explains.
    pub dim: Rgb,
    /// Axes.
    pub axis: Rgb,
    /// Lines that guide the eye.
    pub grid: Rgb,
    /// Limits and faults.
    pub alarm: Rgb,
    /// What is not told apart.
    pub others: Rgb,
    hues: [Rgb; 8],
    heat: [Rgb; 5],
}

const LIGHT_HUES: [Rgb; 8] = [
    Rgb::hex(0x2655b3),
    Rgb::hex(0xe38e15),
    Rgb::hex(0x35aa8e),
    Rgb::hex(0x8f78d1),
    Rgb::hex(0xe199e6),
    Rgb::hex(0x916e31),
    Rgb::hex(0x1c4f15),
    Rgb::hex(0x8f2667),
];

const DARK_HUES: [Rgb; 8] = [
    Rgb::hex(0x406eca),
    Rgb::hex(0xee9d39),
    Rgb::hex(0x4db79b),
    Rgb::hex(0xa38ee4),
    Rgb::hex(0xf5b0fa),
    Rgb::hex(0x99773f),
    Rgb::hex(0xaee2a6),
    Rgb::hex(0xa8447f),
];

const LIGHT_HEAT: [Rgb; 5] = [Rgb(240, 244, 248), Rgb(190, 215, 234), Rgb(107, 170, 214), Rgb(43, 110, 178), Rgb(16, 54, 112)];
const DARK_HEAT: [Rgb; 5] = [Rgb(24, 29, 38), Rgb(25, 60, 110), Rgb(38, 104, 173), Rgb(94, 164, 222), Rgb(214, 236, 250)];

const LIGHT: Ink = Ink {
    ground: Rgb::hex(0xffffff),
    ink: Rgb::hex(0x1c2126),
    dim: Rgb::hex(0x5f6770),
    axis: Rgb::hex(0x9aa1a9),
    grid: Rgb::hex(0xe7e9ec),
    alarm: Rgb::hex(0xc2352b),
    others: Rgb::hex(0xcdd1d7),
    hues: LIGHT_HUES,
    heat: LIGHT_HEAT,
};

const DARK: Ink = Ink {
    ground: Rgb::hex(0x14181d),
    ink: Rgb::hex(0xe6e9ec),
    dim: Rgb::hex(0x9aa3ad),
    axis: Rgb::hex(0x68717b),
    grid: Rgb::hex(0x272d34),
    alarm: Rgb::hex(0xf0685c),
    others: Rgb::hex(0x474d57),
    hues: DARK_HUES,
    heat: DARK_HEAT,
};

const PRINT: Ink = Ink { ink: Rgb::hex(0x000000), dim: Rgb::hex(0x444444), axis: Rgb::hex(0x777777), grid: Rgb::hex(0xdddddd), ..LIGHT };

impl Theme {
    /// Its colours.
    pub const fn ink(self) -> &'static Ink {
        match self {
            Theme::Light => &LIGHT,
            Theme::Dark => &DARK,
            Theme::Print => &PRINT,
        }
    }
}

impl Ink {
    /// The hue of this place.
    pub fn hue(&self, place: usize) -> Rgb {
        self.hues[place % self.hues.len()]
    }

    /// For cells of a heat map: by lightness, so that it is alike for all eyes. 0 to 1.
    pub fn heat(&self, value: f64) -> Rgb {
        let at = value.clamp(0.0, 1.0) * (self.heat.len() - 1) as f64;
        let low = (at as usize).min(self.heat.len() - 2);
        self.heat[low + 1].over(self.heat[low], at - low as f64)
    }

    /// Black or white, whichever is read on this colour.
    pub fn on(&self, colour: Rgb) -> Rgb {
        let (dark, light) = (Rgb::hex(0x101418), Rgb::hex(0xffffff));
        if colour.contrast(dark) > colour.contrast(light) { dark } else { light }
    }
}

/// FNV-1a with 32 bits, over UTF-16 as the page has it.
fn hash(text: &str) -> u32 {
    let value = text.encode_utf16().fold(0x811c_9dc5_u32, |value, unit| (value ^ u32::from(unit)).wrapping_mul(0x0100_0193));
    value ^ (value >> 15)
}

/// Words that are seen often have hues that are far from each other, whatever they are seen with.
const USUAL: [&[&str]; 5] = [
    &["user", "read", "received", "processes", "used", "CPU", "all"],
    &["system", "written", "sent", "threads", "I/O", "largest process"],
    &["nice", "cached", "running"],
    &["memory", "interrupts", "blocked", "iowait"],
    &["free", "stolen", "steal"],
];

/// Which identity has which hue.
#[derive(Clone, Debug)]
pub(crate) struct Hues {
    places: BTreeMap<String, usize>,
}

impl Default for Hues {
    fn default() -> Hues {
        let usual = USUAL.iter().enumerate().flat_map(|(place, words)| words.iter().map(move |word| ((*word).to_owned(), place)));
        Hues { places: usual.collect() }
    }
}

impl Hues {
    /// Gives hues to what is seen together: different ones, as far as there are enough. Who has one keeps it.
    pub(crate) fn introduce<'a>(&mut self, identities: impl Iterator<Item = &'a str> + Clone) {
        let mut used = [0_usize; LIGHT_HUES.len()];
        for place in identities.clone().filter_map(|identity| self.places.get(identity)) {
            used[*place] += 1;
        }
        for identity in identities {
            if self.places.contains_key(identity) {
                continue;
            }
            let least = used.iter().min().copied().unwrap_or(0);
            let mut candidate = hash(identity) as usize % used.len();
            while used[candidate] > least {
                candidate = (candidate + 1) % used.len();
            }
            self.places.insert(identity.to_owned(), candidate);
            used[candidate] += 1;
        }
    }

    /// The hue of an identity.
    pub(crate) fn of(&self, identity: &str, ink: &Ink) -> Rgb {
        ink.hue(self.places.get(identity).copied().unwrap_or_else(|| hash(identity) as usize % LIGHT_HUES.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How far apart two colours are, in OKLab, as somebody sees them who lacks cones of one kind (Machado et al. 2009).
    fn distance(a: Rgb, b: Rgb, eyes: &[[f64; 3]; 3]) -> f64 {
        let linear = |part: u8| (f64::from(part) / 255.0).powf(2.2);
        let seen = |colour: Rgb| {
            let rgb = [linear(colour.0), linear(colour.1), linear(colour.2)];
            eyes.map(|row| row.iter().zip(rgb).map(|(weight, part)| weight * part).sum::<f64>().clamp(0.0, 1.0))
        };
        let lab = |[r, g, b]: [f64; 3]| {
            let l = (0.412_221_47 * r + 0.536_332_54 * g + 0.051_445_99 * b).cbrt();
            let m = (0.211_903_5 * r + 0.680_699_55 * g + 0.107_396_96 * b).cbrt();
            let s = (0.088_302_46 * r + 0.281_718_84 * g + 0.629_978_7 * b).cbrt();
            [
                0.210_454_26 * l + 0.793_617_78 * m - 0.004_072_05 * s,
                1.977_998_5 * l - 2.428_592_2 * m + 0.450_593_71 * s,
                0.025_904_04 * l + 0.782_771_77 * m - 0.808_675_77 * s,
            ]
        };
        let (a, b) = (lab(seen(a)), lab(seen(b)));
        a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
    }

    const EYES: [(&str, [[f64; 3]; 3]); 4] = [
        ("all cones", [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]),
        ("no red", [[0.152_286, 1.052_583, -0.204_868], [0.114_503, 0.786_281, 0.099_216], [-0.003_882, -0.048_116, 1.051_998]]),
        ("no green", [[0.367_322, 0.860_646, -0.227_968], [0.280_085, 0.672_501, 0.047_413], [-0.011_820, 0.042_940, 0.968_881]]),
        ("no blue", [[1.255_528, -0.076_749, -0.178_779], [-0.078_411, 0.930_809, 0.147_602], [0.004_733, 0.691_367, 0.303_900]]),
    ];

    #[test]
    fn every_eye_tells_the_hues_apart() {
        for (name, eyes) in EYES {
            for hues in [LIGHT_HUES, DARK_HUES] {
                for (place, a) in hues.iter().enumerate() {
                    for b in &hues[..place] {
                        assert!(distance(*a, *b, &eyes) > 0.08, "{name}: {a:?} and {b:?} are {:.3} apart", distance(*a, *b, &eyes));
                    }
                }
            }
        }
    }

    #[test]
    fn text_is_read_on_every_hue() {
        for theme in [Theme::Light, Theme::Dark, Theme::Print] {
            let ink = theme.ink();
            assert!(ink.ink.contrast(ink.ground) > 12.0 && ink.dim.contrast(ink.ground) > 4.5 && ink.alarm.contrast(ink.ground) > 4.5);
            for hue in ink.hues {
                assert!(ink.on(hue).contrast(hue) > 4.0, "{hue:?}");
                assert!(hue.contrast(ink.ground) > 1.9, "{hue:?} on {:?}", ink.ground);
            }
        }
    }

    #[test]
    fn the_hues_are_the_pages() {
        let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../web/page/src/colours.ts");
        let page = std::fs::read_to_string(page).unwrap();
        for (name, hues) in [("light", LIGHT_HUES), ("dark", DARK_HUES)] {
            let list = hues.map(|Rgb(r, g, b)| format!("'#{r:02x}{g:02x}{b:02x}'")).join(", ");
            assert!(page.contains(&format!("{name}: [{list}]")), "the page has other hues than {name}: [{list}]");
        }
        for words in USUAL {
            let list = words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(", ");
            assert!(page.contains(&format!("[{list}]")), "the page has not [{list}]");
        }
        let hex = |Rgb(r, g, b): Rgb| format!("'#{r:02x}{g:02x}{b:02x}'");
        assert!(page.contains(&format!("OTHERS = {{ light: {}, dark: {} }}", hex(LIGHT.others), hex(DARK.others))));
    }

    #[test]
    fn the_rule_is_the_pages() {
        // As the page's `hash` gives them.
        assert_eq!([hash(""), hash("python3 (4312)"), hash("größe")], [2_166_202_364, 924_966_870, 637_749_316]);
        let mut hues = Hues::default();
        let names: Vec<String> = (0..8).map(|number| format!("worker ({number})")).collect();
        hues.introduce(names.iter().map(String::as_str));
        let mut seen: Vec<Rgb> = names.iter().map(|name| hues.of(name, &LIGHT)).collect();
        let before = seen.clone();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 8, "eight that are seen together have eight hues");
        hues.introduce(["another"].into_iter().chain(names.iter().map(String::as_str)));
        assert_eq!(before, names.iter().map(|name| hues.of(name, &LIGHT)).collect::<Vec<_>>(), "who has one keeps it");
    }
}
