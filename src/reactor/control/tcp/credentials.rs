//! A token in a request: as scripts send it (RFC 6750), or as the password that a browser asks for (RFC 7617).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use subtle::ConstantTimeEq as _;

/// The secret of an Authorization header, if it has one.
pub fn secret(header: &str) -> Option<Vec<u8>> {
    let (scheme, rest) = header.split_once(' ')?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.as_bytes().to_vec());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = STANDARD.decode(rest).ok()?;
    // Whatever the name is.
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    Some(decoded[colon + 1..].to_vec())
}

/// Whether it is the token. How long that takes depends on its length alone.
pub fn is_same(given: &[u8], token: &[u8]) -> bool {
    given.ct_eq(token).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_a_bearer_or_a_password() {
        let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
        for header in [
            "Bearer to:ken".to_owned(),
            "bearer  to:ken".into(),
            basic("me:to:ken"),
            basic(":to:ken"),
        ] {
            assert_eq!(secret(&header).as_deref(), Some(&b"to:ken"[..]), "{header}");
        }
        for header in ["", "Bearer", "Digest x", "Basic !", &basic("token")] {
            assert_eq!(secret(header), None, "{header}");
        }
        assert!(is_same(b"token", b"token"));
        assert!(!is_same(b"tokem", b"token") && !is_same(b"toke", b"token") && !is_same(b"", b"t"));
    }
}
