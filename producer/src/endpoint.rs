//! What can be checked, by the scheme of its URL: see [`isitup_shared::site::endpoint`].

pub use isitup_shared::site::endpoint::*;
