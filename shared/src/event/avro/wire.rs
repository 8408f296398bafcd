//! A datum's bytes, read with every length checked: what comes from the topic may be anything.

use super::Layout;

/// Why bytes are no datum of an event: where it was noticed, and what is wrong.
#[derive(Debug, thiserror::Error)]
#[error("{}{what}", if path.is_empty() { String::new() } else { format!("{path}: ") })]
pub struct AvroError {
    path: String,
    what: String,
}

impl AvroError {
    #[cold]
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self { path: String::new(), what: what.into() }
    }

    /// The same error, noticed inside `field`.
    #[cold]
    pub(super) fn of(self, field: &str) -> Self {
        let path = if self.path.is_empty() { field.to_owned() } else { format!("{field}.{}", self.path) };
        Self { path, ..self }
    }
}

/// What is left of a datum.
pub(super) struct Input<'a> {
    rest: &'a [u8],
    /// The schema that it was written in.
    pub(super) layout: &'a Layout,
}

impl<'a> Input<'a> {
    pub(super) fn new(datum: &'a [u8], layout: &'a Layout) -> Self {
        Self { rest: datum, layout }
    }

    /// How many bytes are left.
    pub(super) fn left(&self) -> usize {
        self.rest.len()
    }

    /// The next `count` bytes.
    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], AvroError> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or_else(ends_early)?;
        self.rest = rest;
        Ok(taken)
    }

    /// The next number: zigzag, seven bits a byte, the lowest first.
    pub(super) fn long(&mut self) -> Result<i64, AvroError> {
        let mut bits = 0_u64;
        for (index, byte) in self.rest.iter().take(10).enumerate() {
            let low = u64::from(byte & 0x7f);
            if index == 9 && low > 1 {
                break;
            }
            bits |= low << (7 * index);
            if byte & 0x80 == 0 {
                self.rest = self.rest.get(index + 1..).unwrap_or_default();
                return Ok((bits >> 1) as i64 ^ -((bits & 1) as i64));
            }
        }
        Err(if self.rest.len() < 10 { ends_early() } else { AvroError::new("a number of more than 64 bits") })
    }

    /// The next number, which counts something.
    pub(super) fn length(&mut self) -> Result<usize, AvroError> {
        let length = self.long()?;
        usize::try_from(length).map_err(|_| AvroError::new(format!("a length of {length}")))
    }

    /// That nothing is left.
    pub(super) fn finish(self) -> Result<(), AvroError> {
        match self.left() {
            0 => Ok(()),
            1 => Err(AvroError::new("one byte follows the event")),
            more => Err(AvroError::new(format!("{more} bytes follow the event"))),
        }
    }
}

#[cold]
fn ends_early() -> AvroError {
    AvroError::new("it ends too early")
}
