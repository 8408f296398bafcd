//! A site and its settings, which both services read: see [`isitup_shared::site`].

pub use isitup_shared::site::*;
