//! Single values: text as typed, parsed into types with units.

use std::time::Duration;

/// A value written as one scalar.
pub trait Scalar: Sized {
    /// What is allowed; completes the sentence "… is not".
    const WHAT: &'static str;

    /// Whether a message may show what was written in its place: numbers, durations, sizes and words of which there are
    /// a few. Where any text may stand, so may a password, which is not shown.
    const HARMLESS: bool = false;

    /// The value of `text`, unless it is none.
    fn parse(text: &str) -> Option<Self>;
}

impl Scalar for String {
    const WHAT: &'static str = "a text";

    fn parse(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }
}

impl Scalar for bool {
    const WHAT: &'static str = "true or false";
    const HARMLESS: bool = true;

    fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

macro_rules! whole_numbers {
    ($($number:ty),+) => {$(
        impl Scalar for $number {
            const WHAT: &'static str = "a whole number";
            const HARMLESS: bool = true;

            fn parse(text: &str) -> Option<Self> {
                text.parse().ok()
            }
        }
    )+};
}
whole_numbers!(u16, u32, usize);

impl Scalar for Duration {
    const WHAT: &'static str = "a duration: write a number with its unit, such as 500ms, 30s, 5m, 12h or 14d";
    const HARMLESS: bool = true;

    fn parse(text: &str) -> Option<Self> {
        humantime::parse_duration(text).ok()
    }
}

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

impl Scalar for ByteSize {
    const WHAT: &'static str = "a size: write a number with its unit, such as 512KiB, 1MiB or 1GiB";
    const HARMLESS: bool = true;

    fn parse(text: &str) -> Option<Self> {
        // A bare number is refused: whether it means bytes or mebibytes is anyone's guess.
        let has_unit = text.ends_with(|last: char| last.is_ascii_alphabetic());
        text.parse::<bytesize::ByteSize>().ok().filter(|_| has_unit).map(|size| Self(size.as_u64()))
    }
}
