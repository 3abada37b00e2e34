//! Where the page of a run is served over TCP, and what its clients have to know. Nothing is opened here.

use core::net::SocketAddr;
use std::fmt;

/// The page of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Http {
    /// Port 0: the kernel chooses one.
    pub address: SocketAddr,
    /// Other names by which clients may call it, in lower case; with a port, or for any.
    pub hosts: Vec<String>,
    /// What clients have to know. There is one wherever the address is not of loopback.
    pub token: Option<Token>,
}

/// A secret. It is shown nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

/// Why a text is no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenFault {
    #[error("it is shorter than {TOKEN_BYTES_LEAST} characters; `openssl rand -hex 32` makes one")]
    Short,
    #[error("it is longer than {TOKEN_BYTES_MAX} characters")]
    Long,
    #[error("it is not one line of printable ASCII without spaces")]
    Characters,
}

/// A shorter one could be guessed.
const TOKEN_BYTES_LEAST: usize = 16;

/// It is sent with each request, whose head is limited.
const TOKEN_BYTES_MAX: usize = 1024;

impl Http {
    pub fn at(address: SocketAddr) -> Self {
        Self { address, hosts: Vec::new(), token: None }
    }
}

impl Token {
    /// Reads a token, without the end of its line.
    ///
    /// # Errors
    /// If it could be guessed, or could not be sent in a header.
    pub fn of(text: &str) -> Result<Self, TokenFault> {
        let token = text.trim_end_matches(['\r', '\n']);
        if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            Err(TokenFault::Characters)
        } else if token.len() < TOKEN_BYTES_LEAST {
            Err(TokenFault::Short)
        } else if token.len() > TOKEN_BYTES_MAX {
            Err(TokenFault::Long)
        } else {
            Ok(Self(token.to_owned()))
        }
    }

    pub fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Token(..)")
    }
}

/// Reads an address with its port, as an option has it.
///
/// # Errors
/// What it has to look like.
pub fn address(text: &str) -> Result<SocketAddr, String> {
    let wrong = |_| "write an IP address and a port, as 127.0.0.1:9001 or [::1]:9001".to_owned();
    text.parse().map_err(wrong)
}

/// Reads a name by which clients may call the page: `shop.example` or `shop.example:8443`.
///
/// # Errors
/// What it has to look like.
pub fn host(text: &str) -> Result<String, String> {
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
    if text.is_empty() || !text.chars().all(is_of_name) {
        return Err(
            "write a host as a browser shows it, as shop.example or shop.example:8443".into()
        );
    }
    Ok(text.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_a_line_of_its_own_and_is_never_shown() {
        let token = Token::of("0123456789abcdef\n").unwrap();
        assert_eq!(token.bytes(), b"0123456789abcdef");
        assert_eq!(format!("{token:?}"), "Token(..)");
        assert_eq!(Token::of("0123456789abcde"), Err(TokenFault::Short));
        assert_eq!(Token::of(&"a".repeat(1025)), Err(TokenFault::Long));
        for text in ["0123456789 abcdef", "0123456789abcdef\nb", "0123456789abcdeé"] {
            assert_eq!(Token::of(text), Err(TokenFault::Characters), "{text}");
        }
    }

    #[test]
    fn an_address_has_a_port() {
        for right in ["127.0.0.1:9001", "[::1]:0", "0.0.0.0:80"] {
            assert!(address(right).is_ok(), "{right}");
        }
        for wrong in ["9001", ":9001", "localhost:9001", "127.0.0.1", "::1:9001", "127.0.0.1:99999"]
        {
            assert!(address(wrong).unwrap_err().contains("[::1]:9001"), "{wrong}");
        }
    }
}
