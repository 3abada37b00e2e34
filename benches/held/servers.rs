//! The servers: each as it is, with the least that makes it answer. None knows that its port is held.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::Anything;

pub struct Server {
    pub name: &'static str,
    /// Looked for in the folders of this project, then on PATH.
    pub program: &'static str,
    /// What makes it print its version.
    version: &'static [&'static str],
    /// Writes its files into a folder of its own, and returns its command.
    set_up: fn(&Setting<'_>) -> Anything<Vec<String>>,
}

pub struct Setting<'a> {
    program: &'a Path,
    folder: &'a Path,
    port: u16,
}

pub const ALL: [Server; 11] = [
    Server::new("Deno", "deno", &["--version"], deno),
    Server::new("Node", "node", &["--version"], node),
    Server::new("Bun", "bun", &["--version"], node),
    Server::new("Python http.server", "python", &["--version"], python),
    Server::new("gunicorn", "gunicorn", &["--version"], gunicorn),
    Server::new("uvicorn", "uvicorn", &["--version"], uvicorn),
    Server::new("WEBrick", "ruby", &["--version"], webrick),
    Server::new("Go", "go", &["version"], go),
    Server::new("Rust", "rustc", &["--version"], rust),
    Server::new("nginx", "nginx", &["-v"], nginx),
    Server::new("JVM", "javac", &["-version"], java),
];

impl Server {
    const fn new(
        name: &'static str,
        program: &'static str,
        version: &'static [&'static str],
        set_up: fn(&Setting<'_>) -> Anything<Vec<String>>,
    ) -> Self {
        Self { name, program, version, set_up }
    }

    pub fn named(name: &str) -> &'static Self {
        ALL.iter().find(|server| server.name == name).expect("it is in the list")
    }

    pub fn find(&self) -> Anything<Option<PathBuf>> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = own_folders()?.into_iter().chain(std::env::split_paths(&path));
        Ok(folders.map(|folder| folder.join(self.program)).find(|it| it.is_file()))
    }

    /// Its command on this port. `folder` is its own.
    pub fn command(&self, folder: &Path, port: u16) -> Anything<Vec<String>> {
        let program = self.find()?.ok_or("it is not installed")?;
        (self.set_up)(&Setting { program: &program, folder, port })
    }

    /// The first line of what it prints as its version.
    pub fn version(&self, program: &Path) -> Anything<String> {
        let output = Command::new(program).args(self.version).stdin(Stdio::null()).output()?;
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        Ok(text.lines().next().unwrap_or("of unknown version").trim().into())
    }
}

/// Deno, and the Python that `.ci/run` has installed gunicorn and uvicorn for.
fn own_folders() -> Anything<Vec<PathBuf>> {
    let built = Path::new(env!("CARGO_BIN_EXE_pm"));
    let target = built.ancestors().nth(2).ok_or("no target folder")?;
    Ok(vec![project().join(".deno/bin"), target.join("venv/bin")])
}

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

impl Setting<'_> {
    fn source(name: &str) -> PathBuf {
        project().join("benches/held/programs").join(name)
    }

    fn argv(&self, arguments: &[&str]) -> Vec<String> {
        let program = self.program.display().to_string();
        [program].into_iter().chain(arguments.iter().map(|text| (*text).into())).collect()
    }

    fn page(&self) -> Anything<String> {
        std::fs::write(self.folder.join("index.html"), "ok\n")?;
        Ok(self.folder.display().to_string())
    }

    /// Runs a compiler in the folder.
    fn compile(&self, arguments: &[&str], source: &str) -> Anything<PathBuf> {
        let mut command = Command::new(self.program);
        command.args(arguments).arg(Self::source(source)).current_dir(self.folder);
        let output = command.stdin(Stdio::null()).output()?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
        }
        Ok(self.folder.join("server"))
    }
}

/// The web server of the lab, without its chaos monkey.
fn deno(to: &Setting<'_>) -> Anything<Vec<String>> {
    let script = project().join("web.ts").display().to_string();
    let port = to.port.to_string();
    Ok(to.argv(&["run", "--allow-read", "--allow-net", &script, &port, "0"]))
}

fn node(to: &Setting<'_>) -> Anything<Vec<String>> {
    Ok(to.argv(&[&Setting::source("server.js").display().to_string()]))
}

fn python(to: &Setting<'_>) -> Anything<Vec<String>> {
    let (page, port) = (to.page()?, to.port.to_string());
    Ok(to.argv(&["-m", "http.server", &port, "--bind", "127.0.0.1", "--directory", &page]))
}

fn gunicorn(to: &Setting<'_>) -> Anything<Vec<String>> {
    std::fs::copy(Setting::source("applications.py"), to.folder.join("applications.py"))?;
    let address = format!("127.0.0.1:{}", to.port);
    Ok(to.argv(&["--bind", &address, "applications:wsgi"]))
}

fn uvicorn(to: &Setting<'_>) -> Anything<Vec<String>> {
    std::fs::copy(Setting::source("applications.py"), to.folder.join("applications.py"))?;
    let port = to.port.to_string();
    Ok(to.argv(&["--port", &port, "--no-access-log", "applications:asgi"]))
}

fn webrick(to: &Setting<'_>) -> Anything<Vec<String>> {
    let (page, port) = (to.page()?, format!("--port={}", to.port));
    Ok(to.argv(&["-run", "-e", "httpd", "--", &page, &port, "--bind-address=127.0.0.1"]))
}

fn go(to: &Setting<'_>) -> Anything<Vec<String>> {
    let program = to.compile(&["build", "-o", "server"], "server.go")?;
    Ok(vec![program.display().to_string()])
}

fn rust(to: &Setting<'_>) -> Anything<Vec<String>> {
    let program = to.compile(&["-O", "--edition", "2024", "-o", "server"], "server.rs")?;
    Ok(vec![program.display().to_string()])
}

fn nginx(to: &Setting<'_>) -> Anything<Vec<String>> {
    let text = std::fs::read_to_string(Setting::source("nginx.conf"))?;
    let file = to.folder.join("nginx.conf");
    std::fs::write(&file, text.replace("PORT", &to.port.to_string()))?;
    let (folder, file) = (to.folder.display().to_string(), file.display().to_string());
    Ok(to.argv(&["-e", "stderr", "-p", &folder, "-c", &file]))
}

fn java(to: &Setting<'_>) -> Anything<Vec<String>> {
    let folder = to.folder.display().to_string();
    to.compile(&["-d", &folder], "Server.java")?;
    let program = to.program.with_file_name("java").display().to_string();
    Ok(vec![program, "-cp".into(), folder, "Server".into()])
}
