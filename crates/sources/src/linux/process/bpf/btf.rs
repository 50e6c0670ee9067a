//! The kernel's description of its own types (BTF), as far as it takes to find where a field of a struct lies. Pure: bytes in, offsets out.
//!
//! The bytes are the kernel's, yet nothing here trusts them: what does not add up is `None`, and then there is no fast path.

const MAGIC: u16 = 0xeb9f;

// Kinds of types, from the kernel's uapi/linux/btf.h.
const INT: u32 = 1;
const PTR: u32 = 2;
const ARRAY: u32 = 3;
const STRUCT: u32 = 4;
const UNION: u32 = 5;
const ENUM: u32 = 6;
const TYPEDEF: u32 = 8;
const VOLATILE: u32 = 9;
const CONST: u32 = 10;
const RESTRICT: u32 = 11;
const FUNC: u32 = 12;
const FUNC_PROTO: u32 = 13;
const VAR: u32 = 14;
const DATASEC: u32 = 15;
const DECL_TAG: u32 = 17;
const TYPE_TAG: u32 = 18;
const ENUM64: u32 = 19;
/// The last kind whose length is known: nothing behind a later one could be found.
const LAST_KIND: u32 = ENUM64;

/// How deep names are looked for in structs without names, and how many typedefs and qualifiers may stand before a type.
const DEPTH: usize = 16;

/// A place within a struct, and the type that lies there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) offset: u32,
    pub(super) kind: u32,
}

/// All types of a kernel.
pub(super) struct Btf<'a> {
    types: &'a [u8],
    strings: &'a [u8],
    /// Where every so many types one begins. Number 0 is `void`, so the first has number 1.
    starts: Vec<u32>,
    count: u32,
}

/// An index of all types would take more memory than everything else that we do.
const INDEXED: u32 = 64;

/// A type, without what follows its head.
#[derive(Clone, Copy)]
struct Head<'a> {
    name: u32,
    kind: u32,
    count: usize,
    /// A member's offset holds the size of a bit field too.
    bit_fields: bool,
    size_or_type: u32,
    rest: &'a [u8],
}

impl<'a> Btf<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Btf<'a>> {
        if u16::from_ne_bytes(bytes.get(..2)?.try_into().ok()?) != MAGIC || *bytes.get(2)? != 1 {
            return None;
        }
        let field = |index: usize| usize::try_from(word(bytes, index)?).ok();
        let section = |offset: usize, length: usize| bytes.get(field(1)?.checked_add(offset)?..)?.get(..length);
        let (types, strings) = (section(field(2)?, field(3)?)?, section(field(4)?, field(5)?)?);
        let (mut starts, mut count, mut at) = (Vec::new(), 0, 0);
        while at < types.len() {
            if count % INDEXED == 0 {
                starts.push(u32::try_from(at).ok()?);
            }
            count += 1;
            at = next(types, at)?;
        }
        Some(Btf { types, strings, starts, count })
    }

    fn head(&self, id: u32) -> Option<Head<'a>> {
        let index = id.checked_sub(1).filter(|index| *index < self.count)?;
        let start = *self.starts.get(usize::try_from(index / INDEXED).ok()?)?;
        let at = (0..index % INDEXED).try_fold(usize::try_from(start).ok()?, |at, _| next(self.types, at))?;
        head_at(self.types, at)
    }

    fn is_named(&self, head: Head<'_>, name: &str) -> bool {
        let text = usize::try_from(head.name).ok().and_then(|start| self.strings.get(start..));
        text.and_then(|text| text.strip_prefix(name.as_bytes())).is_some_and(|rest| rest.first() == Some(&0))
    }

    /// The number of a function, and the types of its parameters.
    pub(super) fn function(&self, name: &str) -> Option<(u32, Vec<u32>)> {
        let heads = std::iter::successors(Some(0), |&at| next(self.types, at)).map_while(|at| head_at(self.types, at));
        let (id, function) = (1..=self.count).zip(heads).find(|(_, head)| head.kind == FUNC && self.is_named(*head, name))?;
        let prototype = self.head(function.size_or_type).filter(|head| head.kind == FUNC_PROTO)?;
        let parameters: Option<Vec<u32>> = (0..prototype.count).map(|index| word(prototype.rest, 2 * index + 1)).collect();
        Some((id, parameters?))
    }

    /// The type without the typedefs and qualifiers before it.
    fn plain(&self, mut id: u32) -> Option<(u32, Head<'a>)> {
        for _ in 0..DEPTH {
            let head = self.head(id)?;
            match head.kind {
                TYPEDEF | VOLATILE | CONST | RESTRICT | TYPE_TAG => id = head.size_or_type,
                _ => return Some((id, head)),
            }
        }
        None
    }

    /// The type that a pointer points to.
    pub(super) fn target(&self, pointer: u32) -> Option<u32> {
        let (_, head) = self.plain(pointer)?;
        if head.kind == PTR { Some(self.plain(head.size_or_type)?.0) } else { None }
    }

    /// How many bytes a value of this type takes, if it is one that a register holds.
    pub(super) fn width(&self, id: u32) -> Option<u32> {
        let (_, head) = self.plain(id)?;
        match head.kind {
            PTR => Some(8),
            INT | ENUM | ENUM64 => Some(head.size_or_type),
            _ => None,
        }
    }

    /// Where the end of a path such as `stats_lock.seqcount.sequence` or `rss_stat.1.count` lies in this struct. A number is an index of an array.
    pub(super) fn place(&self, structure: u32, path: &str) -> Option<Place> {
        path.split('.').try_fold(Place { offset: 0, kind: structure }, |place, step| {
            let within = match step.parse() {
                Ok(index) => self.element(place.kind, index)?,
                Err(_) => self.member(place.kind, step, DEPTH)?,
            };
            Some(Place { offset: place.offset.checked_add(within.offset)?, kind: within.kind })
        })
    }

    fn element(&self, array: u32, index: u32) -> Option<Place> {
        let (_, head) = self.plain(array)?;
        let (kind, count) = (word(head.rest, 0)?, word(head.rest, 2)?);
        // An array at the end of a struct may have any length, which then reads 0.
        if head.kind != ARRAY || (count > 0 && index >= count) {
            return None;
        }
        let (_, element) = self.plain(kind)?;
        let size = match element.kind {
            STRUCT | UNION => element.size_or_type,
            _ => self.width(kind)?,
        };
        Some(Place { offset: size.checked_mul(index)?, kind })
    }

    /// A member by name, also of structs and unions in it that have no name.
    fn member(&self, structure: u32, name: &str, depth: usize) -> Option<Place> {
        let (_, head) = self.plain(structure)?;
        if !matches!(head.kind, STRUCT | UNION) {
            return None;
        }
        (0..head.count).find_map(|index| {
            let member = Head { name: word(head.rest, 3 * index)?, ..head };
            let (kind, bits) = (word(head.rest, 3 * index + 1)?, word(head.rest, 3 * index + 2)?);
            let (bits, bit_field) = if head.bit_fields { (bits & 0xff_ffff, bits >> 24 != 0) } else { (bits, false) };
            let place = Place { offset: bits / 8, kind };
            if self.is_named(member, name) {
                return (!bit_field && bits % 8 == 0).then_some(place);
            }
            let nameless = self.is_named(member, "") && depth > 0;
            let within = nameless.then(|| self.member(kind, name, depth - 1))??;
            Some(Place { offset: place.offset.checked_add(within.offset)?, kind: within.kind })
        })
    }
}

impl Head<'_> {
    /// Bytes between this head and the next.
    fn length(&self) -> Option<usize> {
        match self.kind {
            INT | VAR | DECL_TAG => Some(4),
            ARRAY => Some(12),
            STRUCT | UNION | DATASEC | ENUM64 => self.count.checked_mul(12),
            ENUM | FUNC_PROTO => self.count.checked_mul(8),
            1..=LAST_KIND => Some(0),
            _ => None,
        }
    }
}

fn head_at(types: &[u8], at: usize) -> Option<Head<'_>> {
    let text = types.get(at..)?;
    let info = word(text, 1)?;
    Some(Head {
        name: word(text, 0)?,
        kind: (info >> 24) & 0x1f,
        count: usize::try_from(info & 0xffff).ok()?,
        bit_fields: info >> 31 != 0,
        size_or_type: word(text, 2)?,
        rest: &text[12..],
    })
}

/// Where the type after this one begins.
fn next(types: &[u8], at: usize) -> Option<usize> {
    at.checked_add(12)?.checked_add(head_at(types, at)?.length()?)
}

/// The number at this index of an array of 32-bit numbers.
fn word(bytes: &[u8], index: usize) -> Option<u32> {
    let start = index.checked_mul(4)?;
    Some(u32::from_ne_bytes(bytes.get(start..start.checked_add(4)?)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `typedef int number; struct inner { int a; }; struct outer { number first; union { struct inner in[3]; }; struct outer *next; bits:3 };
    /// int f(struct outer *);`
    fn small() -> Vec<u8> {
        let strings = b"\0int\0number\0inner\0a\0outer\0first\0in\0next\0bits\0f\0";
        let name = |text: &str| {
            let text = [b"\0", text.as_bytes(), b"\0"].concat();
            u32::try_from(strings.windows(text.len()).position(|window| window == text).unwrap() + 1).unwrap()
        };
        let info = |kind: u32, count: u32| kind << 24 | count;
        let types: Vec<u32> = [
            &[name("int"), info(INT, 0), 4, 32][..],
            &[name("number"), info(TYPEDEF, 0), 1],
            &[name("inner"), info(STRUCT, 1), 4, name("a"), 1, 0],
            &[0, info(ARRAY, 0), 0, 3, 1, 3],
            &[0, info(UNION, 1), 12, name("in"), 4, 0],
            &[name("outer"), info(STRUCT, 4) | 1 << 31, 32, name("first"), 2, 0, 0, 5, 32, name("next"), 7, 128, name("bits"), 1, 3 << 24 | 192],
            &[0, info(PTR, 0), 6],
            &[0, info(FUNC_PROTO, 1), 1, 0, 7],
            &[name("f"), info(FUNC, 0), 8],
        ]
        .concat();
        let mut bytes = Vec::new();
        bytes.extend(MAGIC.to_ne_bytes());
        bytes.extend([1, 0]);
        let lengths = (u32::try_from(types.len() * 4).unwrap(), u32::try_from(strings.len()).unwrap());
        for number in [24, 0, lengths.0, lengths.0, lengths.1] {
            bytes.extend(number.to_ne_bytes());
        }
        types.iter().for_each(|number| bytes.extend(number.to_ne_bytes()));
        bytes.extend(strings);
        bytes
    }

    #[test]
    fn places_are_found_by_path() {
        let bytes = small();
        let btf = Btf::parse(&bytes).unwrap();
        let (id, parameters) = btf.function("f").unwrap();
        assert_eq!((id, parameters.len()), (9, 1));
        let outer = btf.target(parameters[0]).unwrap();
        let offset = |path: &str| btf.place(outer, path).map(|place| (place.offset, btf.width(place.kind)));
        assert_eq!(offset("first"), Some((0, Some(4))));
        assert_eq!(offset("in.2.a"), Some((12, Some(4))));
        assert_eq!(offset("next"), Some((16, Some(8))));
        assert_eq!(btf.target(btf.place(outer, "next").unwrap().kind), Some(outer));
        for wrong in ["bits", "in.3.a", "in.a", "none", "first.a"] {
            assert_eq!(offset(wrong), None, "{wrong}");
        }
        assert!(btf.function("g").is_none());
    }

    #[test]
    fn torn_and_hostile_types_are_refused_or_harmless() {
        let bytes = small();
        let walk = |bytes: &[u8]| {
            let btf = Btf::parse(bytes)?;
            let (_, parameters) = btf.function("f")?;
            let outer = btf.target(*parameters.first()?)?;
            btf.place(outer, "in.2.a").and_then(|place| btf.width(place.kind))
        };
        assert_eq!(walk(&bytes), Some(4));
        for end in 0..bytes.len() {
            assert_eq!(walk(&bytes[..end]), None, "{end}");
        }
        // Every byte made wrong, one after another: any answer will do, and there must be one.
        for index in 0..bytes.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut wrong = bytes.clone();
                wrong[index] = value;
                walk(&wrong);
            }
        }
    }

    #[test]
    fn types_between_those_of_the_index_are_found() {
        let mut bytes = small();
        let extra: Vec<u8> = (0..100u32).flat_map(|_| [0, PTR << 24, 6]).flat_map(u32::to_ne_bytes).collect();
        let end = bytes.windows(4).position(|window| window == b"\0int").unwrap();
        let types = u32::try_from(end - 24 + extra.len()).unwrap();
        bytes.splice(end..end, extra);
        bytes[12..16].copy_from_slice(&types.to_ne_bytes());
        bytes[16..20].copy_from_slice(&types.to_ne_bytes());
        let btf = Btf::parse(&bytes).unwrap();
        assert_eq!(btf.count, 109);
        assert!((10..=109).all(|id| btf.target(id) == Some(6)) && btf.target(110).is_none() && btf.target(0).is_none());
    }

    #[test]
    fn a_typedef_of_itself_ends() {
        let mut bytes = small();
        // The typedef `number`, whose type is the 3rd word of the 2nd type.
        bytes[24 + 16 + 8] = 2;
        let btf = Btf::parse(&bytes).unwrap();
        assert_eq!(btf.width(2), None);
    }
}
