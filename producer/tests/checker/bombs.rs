//! Bodies that swell when they are decompressed: no more of them is taken than is allowed.

use isitup_producer::site::{Expect, Pattern, SiteSettings};

use crate::server::{answering, check, failure, ok, patient};

const BOMBS: [(&str, &[u8]); 4] = [
    ("gzip", include_bytes!("zeros-4MiB.gz")),
    ("deflate", include_bytes!("zeros-4MiB.zz")),
    ("br", include_bytes!("zeros-256MiB.br")),
    // Asks for a window of 128 MiB as well.
    ("zstd", include_bytes!("zeros-256MiB.zst")),
];

#[test]
fn a_body_that_swells_is_cut_off_at_the_size_allowed() {
    for (encoding, bomb) in BOMBS {
        let address = answering(ok(&format!("Content-Encoding: {encoding}\r\n"), bomb));
        let body = Some(Pattern::new("x").unwrap());
        let settings = SiteSettings { expect: Expect { body, ..Expect::default() }, ..patient() };
        let check = check(&format!("http://{address}"), settings);
        assert_eq!(failure(&check), "body_too_large: the body is larger than 1 MiB", "{encoding}");
        assert!(check.body_bytes.unwrap() < 2 << 20, "{encoding}: {check:?}");
    }
}

#[test]
fn a_compressed_body_that_is_none_says_so() {
    for (encoding, _) in BOMBS {
        let address = answering(ok(&format!("Content-Encoding: {encoding}\r\n"), "this is not compressed at all"));
        let told = failure(&check(&format!("http://{address}"), patient()));
        assert_eq!(told, "protocol: the body's compression is broken", "{encoding}");
    }
}
