//! The target of a request: its path and query without percent-encoding, and a host if it names one.

use super::Refusal;

#[derive(Debug, PartialEq, Eq)]
pub struct Target {
    /// Only a target with `http://` has one.
    pub host: Option<String>,
    pub path: String,
    pub query: Vec<(String, String)>,
}

/// Reads `/v1/status?slots=web` or `http://pm/v1/status?slots=web`.
///
/// # Errors
/// For any other form (`*`, `pm:80`), a fragment, or a percent-encoding that is not one of UTF-8.
pub fn read(target: &str) -> Result<Target, Refusal> {
    if target.contains('#') {
        return Err(Refusal::Target);
    }
    let (host, rest) = if target.starts_with('/') {
        (None, target)
    } else {
        let (scheme, rest) = target.split_once("://").ok_or(Refusal::Target)?;
        let (host, rest) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if !scheme.eq_ignore_ascii_case("http") || host.is_empty() || !is_host(host) {
            return Err(Refusal::Target);
        }
        (Some(host.to_owned()), rest)
    };
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let path = decode(if path.is_empty() { "/" } else { path })?;
    if path.contains(char::is_control) {
        return Err(Refusal::Encoding);
    }
    let pairs = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        // Forms write a space as `+`.
        Ok((decode(&name.replace('+', " "))?, decode(&value.replace('+', " "))?))
    });
    Ok(Target { host, path, query: pairs.collect::<Result<_, _>>()? })
}

/// Whether this is a host with at most a port (RFC 3986, section 3.2). It may be empty.
pub fn is_host(text: &str) -> bool {
    let is_address = |byte: u8| byte.is_ascii_alphanumeric() || b":.%-".contains(&byte);
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+;=".contains(&byte);
    let (is_right, port) = if let Some(rest) = text.strip_prefix('[') {
        let Some((address, port)) = rest.split_once(']') else { return false };
        (!address.is_empty() && address.bytes().all(is_address), port)
    } else {
        let (name, port) = text.split_at(text.find(':').unwrap_or(text.len()));
        (name.bytes().all(is_name), port)
    };
    let digits = if port.is_empty() { Some("") } else { port.strip_prefix(':') };
    is_right && digits.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
}

fn decode(text: &str) -> Result<String, Refusal> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let (byte, after) = match (first, after) {
            (b'%', [high, low, after @ ..]) => {
                let value = digit(*high).zip(digit(*low)).ok_or(Refusal::Encoding)?;
                (value.0 * 16 + value.1, after)
            }
            (b'%', _) => return Err(Refusal::Encoding),
            (byte, after) => (*byte, after),
        };
        decoded.push(byte);
        rest = after;
    }
    String::from_utf8(decoded).ok().ok_or(Refusal::Encoding)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path_and_query(target: &str) -> (String, Vec<(String, String)>) {
        let target = read(target).unwrap();
        (target.path, target.query)
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_path_and_its_query_are_decoded() {
        let (path, query) =
            path_and_query("/v1/slots/w%65b.1?slots=web,%3A8081&grep=a+b%2Bc&stats&&n=1=2&=x");
        assert_eq!(path, "/v1/slots/web.1");
        let expected =
            [("slots", "web,:8081"), ("grep", "a b+c"), ("stats", ""), ("n", "1=2"), ("", "x")];
        assert_eq!(query, pairs(&expected));
        assert_eq!(path_and_query("/a+b?%C3%BC=ü").0, "/a+b");
        assert_eq!(path_and_query("/?%C3%BC=ü").1, pairs(&[("ü", "ü")]));
    }

    #[test]
    fn an_absolute_target_names_the_host() {
        for (target, host, path) in [
            ("http://pm/v1/status", "pm", "/v1/status"),
            ("HTTP://pm:80", "pm:80", "/"),
            ("http://[::1]:80?a=b", "[::1]:80", "/"),
        ] {
            let read = read(target).unwrap();
            assert_eq!((read.host.as_deref(), read.path.as_str()), (Some(host), path));
        }
        assert_eq!(read("/http://pm/").unwrap().host, None);
    }

    #[test]
    fn other_targets_are_refused() {
        for target in ["*", "pm:80", "v1", "https://pm/", "http:///v1", "http://u@pm/", "/a#b", "?"]
        {
            assert_eq!(read(target), Err(Refusal::Target), "{target}");
        }
        for target in ["/%", "/%4", "/%zz", "/%+1", "/%ff", "/%00", "/%0a", "/?a=%", "/?%c3=a"] {
            assert_eq!(read(target), Err(Refusal::Encoding), "{target}");
        }
    }

    #[test]
    fn a_host_has_at_most_a_port() {
        for host in ["", "pm", "pm:", "localhost:8080", "127.0.0.1:1", "[::1]", "[fe80::1%25a]:1"] {
            assert!(is_host(host), "{host}");
        }
        for host in ["a:b", "a:1:2", "a b", "a/b", "a,b", "a@b", "[::1", "[]", "[::1]1", "ü", "a?"]
        {
            assert!(!is_host(host), "{host}");
        }
    }
}
