//! The script and the style sheet. A browser keeps them for as long as their text is the same: their addresses have its
//! hash.

use std::sync::LazyLock;

use crate::reactor::control::http::{Reply, Status};

const SCRIPT: &str = include_str!("../../../../templates/page.js");
const STYLE: &str = include_str!("../../../../templates/page.css");

/// A file of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asset {
    content_type: &'static str,
    text: &'static str,
    /// It was asked for by its hash.
    is_fixed: bool,
}

impl Asset {
    pub const SCRIPT_PATH: &str = "/page.js";
    pub const STYLE_PATH: &str = "/page.css";

    /// The script, which was asked for by this hash.
    pub fn script(hash: Option<&str>) -> Self {
        let is_fixed = hash == Some(hash_of(script_url()));
        Self { content_type: "text/javascript; charset=utf-8", text: SCRIPT, is_fixed }
    }

    /// The style sheet, which was asked for by this hash.
    pub fn style(hash: Option<&str>) -> Self {
        let is_fixed = hash == Some(hash_of(style_url()));
        Self { content_type: "text/css; charset=utf-8", text: STYLE, is_fixed }
    }

    pub fn reply(self) -> Reply {
        let reply = Reply::new(Status::Ok, self.content_type, self.text.as_bytes());
        // One of an earlier pm has asked for another text.
        let keep = if self.is_fixed { "private, max-age=31536000, immutable" } else { "no-store" };
        reply.with("Cache-Control", keep)
    }
}

pub fn script_url() -> &'static str {
    static URL: LazyLock<String> = LazyLock::new(|| url(Asset::SCRIPT_PATH, SCRIPT));
    &URL
}

pub fn style_url() -> &'static str {
    static URL: LazyLock<String> = LazyLock::new(|| url(Asset::STYLE_PATH, STYLE));
    &URL
}

fn hash_of(url: &str) -> &str {
    url.split_once("?v=").map_or("", |(_, hash)| hash)
}

/// With FNV-1a of the text.
fn url(path: &str, text: &str) -> String {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325, step);
    format!("{path}?v={hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_kept_only_by_the_hash_of_its_text() {
        let url = script_url();
        assert!(url.starts_with("/page.js?v=") && url != style_url(), "{url}");
        assert!(Asset::script(Some(hash_of(url))).is_fixed);
        assert!(!Asset::script(Some("0")).is_fixed && !Asset::script(None).is_fixed);
        assert!(Asset::style(Some(hash_of(style_url()))).is_fixed);
    }
}
