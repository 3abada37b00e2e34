//! Which requests over TCP are answered. A port is reached by every web page that a browser shows, by each user of the
//! machine and, if it is not one of loopback, by other machines. So a request has to be a GET, for a host that is pm's,
//! of no foreign page, and of a user or with a token that may read. What is refused learns nothing of the run.
//!
//! [`host`] is how a host is written, [`credentials`] how a token is sent. Nothing is answered here.

mod credentials;
mod host;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;

use nix::unistd::geteuid;

use self::host::Host;
use super::call::{PATHS, Refused};
use super::http::{Method, Request};
use super::problems;
use crate::plan::{Http, Token};
use crate::sys::{Owner, owner_of_peer};

/// What clients may call the page, and what they have to know.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Access {
    hosts: Vec<String>,
    token: Option<Token>,
    /// Whether the machine's own users may read counts and health without a token.
    is_loopback: bool,
}

impl Access {
    pub fn of(http: &Http) -> Self {
        let is_loopback = http.address.ip().is_loopback();
        Self { hosts: http.hosts.clone(), token: http.token.clone(), is_loopback }
    }
}

/// A client of TCP.
#[derive(Debug)]
pub struct Visit {
    own: SocketAddr,
    peer: SocketAddr,
    /// Asked of the kernel once, when it matters.
    owner: Option<Owner>,
}

/// On every answer. No script, style or picture comes from elsewhere or stands in the page itself; no other page shows
/// or reads this one; nothing is kept but the files whose name has their hash.
pub const HEADERS: &[(&str, &str)] = &[
    (
        "Content-Security-Policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
         trusted-types 'none'",
    ),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cache-Control", "no-store"),
];

/// What a browser is told that has no token. It asks for a password, and sends it from then on, with its events too.
const CHALLENGE: &str = "Basic realm=\"pm\", charset=\"UTF-8\"";

impl Visit {
    pub fn new(own: SocketAddr, peer: SocketAddr) -> Self {
        Self { own, peer, owner: None }
    }

    /// Refuses a request that may not be answered.
    ///
    /// # Errors
    /// What the client is answered.
    pub fn check(&mut self, request: &Request, access: &Access) -> Result<(), Refused> {
        check_method(request)?;
        self.check_host(request, access)?;
        check_origin(request)?;
        let is_for_all = matches!(request.path.as_str(), "/metrics" | "/healthz");
        if access.is_loopback && is_for_all {
            return Ok(());
        }
        match &access.token {
            Some(token) => check_token(request, token)?,
            None => self.check_owner()?,
        }
        check_path(request)
    }

    /// A name that leads to this machine by a record of a foreign domain is not one of its own (DNS rebinding).
    fn check_host(&self, request: &Request, access: &Access) -> Result<(), Refused> {
        let host = Host::of(&request.host).ok_or_else(|| {
            problems::bad_request("the request needs one Host, with the name of this page")
        })?;
        let is_own = match host.ip() {
            Some(ip) => ip.is_loopback() || ip == self.own.ip().to_canonical(),
            None => host.name == "localhost",
        };
        let is_own = is_own && host.port.unwrap_or(80) == self.own.port();
        if is_own || access.hosts.iter().any(|known| host.is(known)) {
            return Ok(());
        }
        let mut problem = forbidden("this Host is not a name of this page");
        problem.hint = Some("`pm run --http-host NAME`, if it is to be one".into());
        Err(problem.into())
    }

    /// Every user of the machine reaches its loopback.
    fn check_owner(&mut self) -> Result<(), Refused> {
        let owner = *self.owner.get_or_insert_with(|| owner_of_peer(self.own, self.peer));
        let is_allowed = match owner {
            Owner::User(uid) => uid == 0 || uid == geteuid().as_raw(),
            Owner::Unknown => false,
        };
        if is_allowed {
            return Ok(());
        }
        Err(forbidden("only the user of this pm and root may read this").into())
    }
}

fn check_method(request: &Request) -> Result<(), Refused> {
    if matches!(request.method, Method::Get | Method::Head) {
        return Ok(());
    }
    let detail = "over TCP there is only GET and HEAD; commands go over the control socket";
    let problem = problems::new(405, "method-not-allowed", "Method not allowed", detail);
    Err(Refused { problem, header: Some(("Allow", "GET, HEAD")) })
}

/// A path for commands has no GET: over TCP there is no such path.
fn check_path(request: &Request) -> Result<(), Refused> {
    let is_command = |(path, methods, _): &(&str, &str, &[&str])| {
        *path == request.path && !methods.starts_with("GET")
    };
    if PATHS.iter().any(is_command) {
        let detail = format!("there is no `{}` over TCP", request.path);
        return Err(problems::new(404, "no-such-path", "No such path", detail).into());
    }
    Ok(())
}

/// What browsers say of the page that has caused a request (Fetch Standard, sections 3.1 and 3.2; Fetch Metadata).
fn check_origin(request: &Request) -> Result<(), Refused> {
    let header = |name| request.headers.get(name);
    let is_own = |origin: &str| {
        let host = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        host.is_some_and(|host| host.eq_ignore_ascii_case(&request.host))
    };
    let is_foreign = header("origin").is_some_and(|origin| !is_own(origin));
    // A link elsewhere may lead to the page.
    let is_visit = request.path == "/" && header("sec-fetch-mode") == Some("navigate");
    let is_cross_site = header("sec-fetch-site")
        .is_some_and(|site| !matches!(site, "same-origin" | "none") && !is_visit);
    let wants_websocket =
        header("upgrade").is_some_and(|upgrade| upgrade.to_ascii_lowercase().contains("websocket"));
    if is_foreign || is_cross_site || wants_websocket {
        return Err(forbidden("this request comes from another page").into());
    }
    Ok(())
}

fn check_token(request: &Request, token: &Token) -> Result<(), Refused> {
    let given = request.headers.get("authorization").and_then(credentials::secret);
    if given.is_some_and(|given| credentials::is_same(&given, token.bytes())) {
        return Ok(());
    }
    let detail = "the token of this page is missing or wrong";
    let problem = problems::new(401, "unauthorized", "Unauthorized", detail);
    Err(Refused { problem, header: Some(("WWW-Authenticate", CHALLENGE)) })
}

fn forbidden(detail: &str) -> Box<crate::wire::Problem> {
    problems::new(403, "forbidden", "Forbidden", detail)
}
