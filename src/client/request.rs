//! A request, and how it is written.

use std::time::Duration;

use serde::Serialize;

/// pm answers within a millisecond. If it is suspended, it does not answer at all.
const PATIENCE: Duration = Duration::from_secs(10);

/// The header of a request that is the last one of its connection.
const CLOSE: &str = "Connection: close\r\n";

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Request {
    method: &'static str,
    pub(super) target: String,
    body: Option<Vec<u8>>,
    /// The headers that say what follows the answer.
    connection: String,
    /// How long the answer may take.
    pub(super) patience: Duration,
}

impl Request {
    pub fn get(path: &str) -> Self {
        Self::of("GET", path, None, CLOSE.into())
    }

    /// With this body, as JSON.
    pub fn post(path: &str, body: &impl Serialize) -> Self {
        let body = serde_json::to_vec(body).expect("the types of the wire have names as keys");
        Self::of("POST", path, Some(body), CLOSE.into())
    }

    /// For another protocol than HTTP.
    pub fn upgrade(path: &str, protocol: &str) -> Self {
        let connection = format!("Connection: Upgrade\r\nUpgrade: {protocol}\r\n");
        Self::of("POST", path, None, connection)
    }

    fn of(method: &'static str, path: &str, body: Option<Vec<u8>>, connection: String) -> Self {
        Self { method, target: path.into(), body, connection, patience: PATIENCE }
    }

    /// pm may take this long to answer, and a little more.
    #[must_use]
    pub fn within(mut self, time: Duration) -> Self {
        self.patience = time.saturating_add(PATIENCE);
        self
    }

    /// With this part of a query. It is written so that no byte of the value means something else.
    #[must_use]
    pub fn query(mut self, name: &str, value: &str) -> Self {
        self.target.push(if self.target.contains('?') { '&' } else { '?' });
        self.target.push_str(name);
        self.target.push('=');
        for byte in value.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~:,".contains(&byte) {
                self.target.push(byte.into());
            } else {
                self.target.push_str(&format!("%{byte:02X}"));
            }
        }
        self
    }

    pub(super) fn written(&self) -> Vec<u8> {
        let Self { method, target, body, connection, .. } = self;
        let length = match body {
            Some(body) => {
                format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len())
            }
            None => String::new(),
        };
        let head = format!(
            "{method} {target} HTTP/1.1\r\nHost: pm\r\nAccept: application/json, application/x-ndjson\r\n\
             {connection}{length}\r\n"
        );
        let mut bytes = head.into_bytes();
        bytes.extend(body.iter().flatten());
        bytes
    }
}
