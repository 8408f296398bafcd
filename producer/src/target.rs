//! What a site's URL stands for: see [`isitup_shared::site::target`].

pub use isitup_shared::site::target::*;
