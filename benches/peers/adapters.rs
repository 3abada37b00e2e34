//! How each process manager is told to keep workers alive: the smallest configuration that does so.
//!
//! Each runs in the foreground, in a folder of its own, which is its home too.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;

use crate::support::Anything;

pub struct Peer {
    pub name: &'static str,
    /// Looked for on PATH.
    pub program: &'static str,
    /// What makes it print its version; nothing if it cannot.
    version: &'static [&'static str],
    pub stop: Signal,
    pub replaces: Replaces,
    /// Writes its files into the folder, and adds its arguments.
    set_up: fn(&mut Command, &Setting<'_>) -> std::io::Result<()>,
}

/// Whether a worker that has ended is started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replaces {
    Yes,
    No,
}

struct Setting<'a> {
    folder: &'a Path,
    worker: &'a str,
    count: usize,
}

pub const ALL: [Peer; 12] = [
    Peer::new("supervisord", "supervisord", supervisord).with_version(&["--version"]),
    Peer::new("circus", "circusd", circus).with_version(&["--version"]),
    Peer::new("pm2", "pm2-runtime", pm2).with_version(&["--version"]),
    Peer::new("runit", "runsvdir", runit).stopped_by(Signal::SIGHUP),
    Peer::new("s6", "s6-svscan", s6),
    Peer::new("horust", "horust", horust).with_version(&["--version"]),
    Peer::new("honcho", "honcho", procfile).with_version(&["version"]).that_replaces_nothing(),
    Peer::new("foreman", "foreman", procfile).with_version(&["version"]).that_replaces_nothing(),
    Peer::new("overmind", "overmind", overmind).with_version(&["--version"]),
    Peer::new("process-compose", "process-compose", process_compose).with_version(&["version"]),
    Peer::new("goreman", "goreman", goreman).with_version(&["version"]).that_replaces_nothing(),
    Peer::new("pitchfork", "pitchfork", pitchfork).with_version(&["--version"]),
];

impl Peer {
    const fn new(
        name: &'static str,
        program: &'static str,
        set_up: fn(&mut Command, &Setting<'_>) -> std::io::Result<()>,
    ) -> Self {
        let (stop, replaces) = (Signal::SIGTERM, Replaces::Yes);
        Self { name, program, version: &[], stop, replaces, set_up }
    }

    const fn with_version(mut self, arguments: &'static [&'static str]) -> Self {
        self.version = arguments;
        self
    }

    const fn stopped_by(mut self, signal: Signal) -> Self {
        self.stop = signal;
        self
    }

    const fn that_replaces_nothing(mut self) -> Self {
        self.replaces = Replaces::No;
        self
    }

    pub fn find(&self) -> Option<PathBuf> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).map(|folder| folder.join(self.program)).find(|it| it.is_file())
    }

    pub fn command(
        &self,
        program: &Path,
        worker: &Path,
        folder: &Path,
        count: usize,
    ) -> Anything<Command> {
        let worker = worker.to_str().ok_or("the path of the worker is not text")?;
        let mut command = quiet(program, folder);
        (self.set_up)(&mut command, &Setting { folder, worker, count })?;
        Ok(command)
    }

    /// The first line of what it prints as its version.
    pub fn version(&self, program: &Path) -> String {
        let unknown = || "of unknown version".into();
        let Ok(folder) = tempfile::tempdir() else { return unknown() };
        if self.version.is_empty() {
            return unknown();
        }
        let mut command = quiet(program, folder.path());
        let output = command.args(self.version).stdout(Stdio::piped()).output();
        let text = output.map(|output| output.stdout).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).trim().to_owned();
        let line = text.lines().find(|line| line.contains(|c: char| c.is_ascii_digit()));
        line.map_or_else(unknown, |line| line.trim().into())
    }
}

fn quiet(program: &Path, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder).env("HOME", folder).env("PM2_HOME", folder.join("pm2"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

impl Setting<'_> {
    fn write(&self, name: &str, text: &str) -> std::io::Result<PathBuf> {
        let path = self.folder.join(name);
        std::fs::create_dir_all(path.parent().expect("it is in the folder"))?;
        std::fs::write(&path, text)?;
        Ok(path)
    }

    /// A text for each worker, by its name.
    fn each(&self, text: impl Fn(&str) -> String) -> String {
        (1..=self.count).map(|n| text(&format!("w{n}"))).collect()
    }

    /// A folder with a folder for each worker, as daemontools has it.
    fn service_folders(&self) -> std::io::Result<PathBuf> {
        for n in 1..=self.count {
            let text = format!("#!/bin/sh\nexec {}\n", self.worker);
            let run = self.write(&format!("services/w{n}/run"), &text)?;
            std::fs::set_permissions(run, PermissionsExt::from_mode(0o755))?;
        }
        Ok(self.folder.join("services"))
    }

    fn procfile(&self) -> std::io::Result<PathBuf> {
        self.write("Procfile", &self.each(|name| format!("{name}: {}\n", self.worker)))
    }
}

fn supervisord(command: &mut Command, to: &Setting<'_>) -> std::io::Result<()> {
    let text = format!(
        "[supervisord]\nnodaemon=true\nlogfile=/dev/null\nlogfile_maxbytes=0\npidfile={}\n\
         [program:w]\ncommand={}\nprocess_name=%(program_name)s%(process_num)d\nnumprocs={}\n\
         autorestart=true\nstartsecs=0\n",
        to.folder.join("pid").display(),
        to.worker,
        to.count,
    );
    command.arg("-c").arg(to.write("supervisord.conf", &text)?);
    Ok(())
}

fn circus(command: &mut Command, to: &Setting<'_>) -> std::io::Result<()> {
    let endpoint = |name| format!("ipc://{}", to.folder.join(name).display());
    let text = format!(
        "[circus]\nendpoint = {}\npubsub_endpoint = {}\n[watcher:w]\ncmd = {}\nnumprocesses = {}\n",
        endpoint("endpoint"),
        endpoint("events"),
        to.worker,
        to.count,
    );
    command.arg(to.write("circus.ini", &text)?);
    Ok(())
}

fn pm2(command: &mut Command, to: &Setting<'_>) -> std::io::Result<()> {
    let app =
        |name: &str| serde_json::json!({"name": name, "script": to.worker, "interpreter": "none"});
    let apps: Vec<_> = (1..=to.count).map(|n| app(&format!("w{n}"))).collect();
    let text = serde_json::json!({ "apps": apps }).to_string();
    command.arg("start").arg(to.write("apps.json", &text)?);
    Ok(())
}

fn runit(command: &mut Command, to: &Setting<'_>) -> std::io::Result<()> {
    command.arg("-P").arg(to.service_folders()?);
    Ok(())
}

fn s6(command: &mut Command, to: &Setting<'_>) -> std::io::Result<()> {
    command.arg(to.service_folders()?);
    Ok(())
}

fn horust(command: &mut Command, to: &Setting<'_>) -> std::io::Result<()> {
    for n in 1..=to.count {
        let text = format!("command = {:?}\n[restart]\nstrategy = \"always\"\n", to.worker);
        to.write(&format!("services/w{n}.toml"), &text)?;
    }
    command.arg("--uds-folder-path").arg(to.folder);
    command.arg("--services-path").arg(to.folder.join("services"));
    Ok(())
}

fn procfile(command: &mut Command, to: &Setting<'_>) -> std::io::Result<()> {
    command.args(["start", "-f"]).arg(to.procfile()?);
    Ok(())
}

fn goreman(command: &mut Command, to: &Setting<'_>) -> std::io::Result<()> {
    command.arg("-f").arg(to.procfile()?).args(["-rpc-server=false", "start"]);
    Ok(())
}

fn overmind(command: &mut Command, to: &Setting<'_>) -> std::io::Result<()> {
    let names: Vec<_> = (1..=to.count).map(|n| format!("w{n}")).collect();
    command.arg("start").arg("--procfile").arg(to.procfile()?);
    command
        .arg("--socket")
        .arg(to.folder.join("socket"))
        .args(["--auto-restart", &names.join(",")]);
    Ok(())
}

fn process_compose(command: &mut Command, to: &Setting<'_>) -> std::io::Result<()> {
    let entry = |name: &str| {
        format!(
            "  {name}:\n    command: {:?}\n    availability:\n      restart: always\n",
            to.worker
        )
    };
    let text = format!("version: \"0.5\"\nprocesses:\n{}", to.each(entry));
    command.args(["up", "--tui=false", "--no-server", "-f"]).arg(to.write("compose.yaml", &text)?);
    Ok(())
}

fn pitchfork(command: &mut Command, to: &Setting<'_>) -> std::io::Result<()> {
    let entry = |name: &str| {
        format!("[daemons.{name}]\nrun = {:?}\nretry = true\nboot_start = true\n", to.worker)
    };
    to.write("pitchfork.toml", &to.each(entry))?;
    command.args(["supervisor", "run", "--boot"]);
    Ok(())
}
