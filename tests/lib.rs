//! The harness of the end-to-end tests lives in `e2e/`; this crate has no code of its own.
