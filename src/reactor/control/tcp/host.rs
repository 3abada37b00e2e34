//! The host of a request (RFC 9110, section 7.2), taken apart.

use std::net::IpAddr;

/// A name or an address in lower case, and the port if there is one.
#[derive(Debug, PartialEq, Eq)]
pub struct Host {
    /// Without brackets, and without a dot at its end.
    pub name: String,
    pub port: Option<u16>,
}

impl Host {
    /// Takes a host apart. `None` if it is empty or is none.
    pub fn of(written: &str) -> Option<Self> {
        let written = written.to_ascii_lowercase();
        let (name, rest) = match written.strip_prefix('[') {
            Some(inside) => inside.split_once(']')?,
            None => written.split_at(written.find(':').unwrap_or(written.len())),
        };
        let name = name.strip_suffix('.').unwrap_or(name);
        let port = match rest.strip_prefix(':') {
            None if rest.is_empty() => None,
            None => return None,
            Some("") => None,
            Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
                Some(port.parse().ok()?)
            }
            Some(_) => return None,
        };
        (!name.is_empty()).then(|| Self { name: name.to_owned(), port })
    }

    /// The address, if it is written as one. What only looks like one is a name.
    pub fn ip(&self) -> Option<IpAddr> {
        let address: IpAddr = self.name.parse().ok()?;
        Some(address.to_canonical())
    }

    /// Whether it has this name. A known name without a port stands for any port.
    pub fn is(&self, known: &str) -> bool {
        let Some(known) = Self::of(known) else { return false };
        self.name == known.name && (known.port.is_none() || known.port == self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_and_a_port() {
        for (written, name, port) in [
            ("LocalHost:9001", "localhost", Some(9001)),
            ("localhost.", "localhost", None),
            ("127.0.0.1:80", "127.0.0.1", Some(80)),
            ("[::1]:9001", "::1", Some(9001)),
            ("[::1]", "::1", None),
            ("a:", "a", None),
        ] {
            let host = Host { name: name.to_owned(), port };
            assert_eq!(Host::of(written), Some(host), "{written}");
        }
        for wrong in ["", ".", ":80", "a:b", "a:1:2", "[::1", "[::1]80", "a:99999", "a:+1"] {
            assert_eq!(Host::of(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn only_an_address_is_one() {
        for (written, is_loopback) in [
            ("127.0.0.1", true),
            ("127.9.9.9", true),
            ("[::1]", true),
            ("[::ffff:127.0.0.1]", true),
            ("10.0.0.1", false),
            ("127.evil.example", false),
            ("127.0.0.1.evil.example", false),
            ("2130706433", false),
            ("localhost", false),
        ] {
            let ip = Host::of(written).unwrap().ip();
            assert_eq!(ip.is_some_and(|ip| ip.is_loopback()), is_loopback, "{written}");
        }
    }

    #[test]
    fn a_known_name_without_a_port_stands_for_each() {
        let host = Host::of("Shop.example:8443").unwrap();
        assert!(host.is("shop.example") && host.is("shop.example:8443"));
        assert!(!host.is("shop.example:80") && !host.is("example"));
    }
}
