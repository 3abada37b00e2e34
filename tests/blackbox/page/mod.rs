//! The page over TCP: where it is served, which requests are refused, what it tells, and what a browser makes of it.

mod address;
mod browser;
mod refused;
mod stream;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::support::api::Api;
use crate::support::pm::Pm;
use crate::support::pool::Pool;
use crate::support::waiting::DEADLINE;

/// A pm with a page and a control socket, in a folder of its own.
pub struct Served {
    pub folder: TempDir,
    pub pm: Pm,
    pub api: Api,
    pub at: SocketAddr,
}

/// The pool `POOL` with this command, and these options.
pub fn serve(command: &str, options: &[&str]) -> Served {
    serve_file(&format!("[pool.POOL]\ncommand = {command}\nready = {{ after = '0s' }}\n"), options)
}

/// The pools of a file. `--http 127.0.0.1:0` is added.
pub fn serve_file(text: &str, options: &[&str]) -> Served {
    let folder = tempfile::tempdir().unwrap();
    let pool = Pool::of_file(folder.path(), "pm.toml", 0, text).option("--http", "127.0.0.1:0");
    start(folder, options.iter().fold(pool, |pool, option| pool.flag(option)))
}

/// Starts a pool that says where its page is.
pub fn start(folder: TempDir, pool: Pool) -> Served {
    let socket = folder.path().join(".pm.sock");
    let pm = pool.with("PM_SOCKET", socket.to_str().unwrap()).start();
    let at = address(&pm.says.wait_for("the page is at http://"));
    Served { folder, pm, api: Api::at(&socket), at }
}

/// The address in what pm says of its page.
pub fn address(line: &str) -> SocketAddr {
    let (_, url) = line.split_once("http://").expect("an address");
    url.trim_end_matches('/').parse().unwrap_or_else(|_| panic!("{line}"))
}

impl Served {
    pub fn url(&self) -> String {
        format!("http://{}/", self.at)
    }

    /// The whole answer to a request: its head, and its body as it came.
    pub fn ask(&self, request: &str) -> String {
        ask(self.at, request)
    }

    /// The answer to a GET of this path with these headers.
    pub fn get(&self, path: &str, headers: &str) -> String {
        self.ask(&request("GET", path, &format!("Host: {}\n{headers}", self.at)))
    }

    /// The lines of a stream, as they come.
    pub fn follow(&self, path: &str) -> impl Iterator<Item = String> + use<> {
        self.follow_with(path, "")
    }

    /// The same with more headers.
    pub fn follow_with(&self, path: &str, headers: &str) -> impl Iterator<Item = String> + use<> {
        let mut stream = connect(self.at);
        // An HTTP/1.0 client gets no chunks.
        let headers = headers.replace('\n', "\r\n");
        let request = format!("GET {path} HTTP/1.0\r\nHost: {}\r\n{headers}\r\n", self.at);
        stream.write_all(request.as_bytes()).unwrap();
        BufReader::new(stream).lines().map_while(Result::ok)
    }
}

fn connect(at: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(at).expect("a page that is served");
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream
}

pub fn ask(at: SocketAddr, request: &str) -> String {
    let mut stream = connect(at);
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// The text of a request that closes its connection.
pub fn request(method: &str, path: &str, headers: &str) -> String {
    let text = format!("{method} {path} HTTP/1.1\n{headers}Connection: close\n\n");
    text.replace('\n', "\r\n")
}

/// The status of an answer.
pub fn status(answer: &str) -> u16 {
    let code = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
    code.unwrap_or_else(|| panic!("no answer: {answer}"))
}

/// The status of a GET of this path by another user of the machine.
pub fn status_for_user(user: u32, at: SocketAddr, path: &str) -> u16 {
    let script = format!(
        "exec 3<>/dev/tcp/{}/{} && printf 'GET {path} HTTP/1.1\\r\\nHost: {at}\\r\\nConnection: close\\r\\n\\r\\n' >&3 \
         && cat <&3",
        at.ip(),
        at.port()
    );
    let mut client = Command::new("setpriv");
    client.args([&format!("--reuid={user}"), "--clear-groups", "bash", "-c", &script]);
    let output = client.stderr(Stdio::inherit()).output().expect("setpriv(1)");
    status(&String::from_utf8_lossy(&output.stdout))
}

/// nobody
pub const USER: u32 = 65534;

pub const SOON: Duration = Duration::from_millis(200);
