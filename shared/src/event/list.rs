//! The lists of events: each has a largest number of items.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::slice;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de};

/// A list of at most `MAX` items.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct List<T, const MAX: usize>(Vec<T>);

/// A list has more items than its field takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("more than {most} items")]
pub struct TooManyItems {
    /// How many it takes.
    pub most: usize,
}

impl<T, const MAX: usize> List<T, MAX> {
    /// The most items.
    pub const MOST: usize = MAX;

    /// Returns true for a list without items.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds `item` where there is room.
    ///
    /// # Errors
    /// When the list is full.
    pub fn push(&mut self, item: T) -> Result<(), TooManyItems> {
        if self.0.len() >= MAX {
            return Err(TooManyItems { most: MAX });
        }
        self.0.push(item);
        Ok(())
    }

    /// Adds `item`; in a full list it takes the place of the last one.
    pub fn push_or_replace_last(&mut self, item: T) {
        if self.0.len() >= MAX {
            self.0.pop();
        }
        self.0.push(item);
    }
}

impl<T, const MAX: usize> Default for List<T, MAX> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T, const MAX: usize> TryFrom<Vec<T>> for List<T, MAX> {
    type Error = TooManyItems;

    fn try_from(items: Vec<T>) -> Result<Self, TooManyItems> {
        if items.len() > MAX { Err(TooManyItems { most: MAX }) } else { Ok(Self(items)) }
    }
}

/// An array that is too long for the list does not compile.
impl<T, const N: usize, const MAX: usize> From<[T; N]> for List<T, MAX> {
    fn from(items: [T; N]) -> Self {
        const { assert!(N <= MAX, "more items than the list takes") };
        Self(items.into())
    }
}

impl<T, const MAX: usize> From<List<T, MAX>> for Vec<T> {
    fn from(list: List<T, MAX>) -> Self {
        list.0
    }
}

impl<T, const MAX: usize> Deref for List<T, MAX> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<'a, T, const MAX: usize> IntoIterator for &'a List<T, MAX> {
    type Item = &'a T;
    type IntoIter = slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl<T: fmt::Debug, const MAX: usize> fmt::Debug for List<T, MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl<'de, T: Deserialize<'de>, const MAX: usize> Deserialize<'de> for List<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor<T, const MAX: usize>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>, const MAX: usize> de::Visitor<'de> for Visitor<T, MAX> {
            type Value = List<T, MAX>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
                let mut list = List::default();
                while let Some(item) = items.next_element()? {
                    list.push(item).map_err(de::Error::custom)?;
                }
                Ok(list)
            }
        }
        deserializer.deserialize_seq(Visitor(PhantomData))
    }
}

impl<T: JsonSchema, const MAX: usize> JsonSchema for List<T, MAX> {
    fn schema_name() -> Cow<'static, str> {
        format!("List{MAX}Of{}", T::schema_name()).into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "array", "maxItems": MAX, "items": generator.subschema_for::<T>()})
    }
}
