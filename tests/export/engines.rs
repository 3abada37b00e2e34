//! systemd runs the units that pm has written. It is process 1 of a container that has /usr of this machine and its
//! network, and else nothing: no service of the machine is started or seen.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use procfs::process::all_processes;

use crate::export;
use crate::support::ports::{Port, is_free};
use crate::support::processes::{children_of, is_alive, name, send};
use crate::support::programs::worker_binary;
use crate::support::run_mode::{proof, size, skip, skip_without};
use crate::support::waiting::eventually;

/// The longest that a request goes from worker to worker.
const PATIENCE: Duration = Duration::from_secs(5);

/// A container with systemd in it.
struct Machine {
    nspawn: Child,
    /// Its process 1, as this machine numbers it.
    systemd: Pid,
}

impl Machine {
    /// Starts systemd with `target` as all that it is to reach. None if it does not start here, with what it said.
    fn boot(folder: &Path, target: &str) -> Result<Self, String> {
        let log = folder.join("log");
        let printed = fs::File::create(&log).unwrap();
        let mut nspawn = Command::new("systemd-nspawn");
        nspawn.args(["--quiet", "--register=no", "--keep-unit", "--bind-ro=/usr"]);
        nspawn.arg(format!("--directory={}", folder.join("root").display()));
        nspawn.args(["--boot", "--", &format!("--unit={target}")]);
        nspawn.stdin(Stdio::null()).stdout(printed.try_clone().unwrap()).stderr(printed);
        let mut nspawn = nspawn.spawn().unwrap();
        let of_nspawn = Pid::from_raw(nspawn.id().cast_signed());
        // It starts systemd through others, which end.
        let systemd = eventually("systemd starts", || {
            if nspawn.try_wait().unwrap().is_some() {
                return Some(None);
            }
            let is_systemd = |pid: &Pid| name(*pid).is_some_and(|name| name == "systemd");
            children_of(of_nspawn).into_iter().find(is_systemd).map(Some)
        });
        systemd
            .map(|systemd| Self { nspawn, systemd })
            .ok_or_else(|| fs::read_to_string(&log).unwrap())
    }

    /// What systemctl(1) prints in the container.
    fn systemctl(&self, arguments: &[&str]) -> String {
        let mut enter = Command::new("nsenter");
        enter.args(["--target", &self.systemd.to_string()]);
        enter.args(["--mount", "--pid", "--uts", "--ipc", "--cgroup", "systemctl"]);
        let said = enter.args(arguments).output().unwrap();
        assert!(said.status.success(), "systemctl {arguments:?}: {said:?}");
        String::from_utf8(said.stdout).unwrap()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // All of the container ends with its process 1, and then nspawn. A test that fails may not wait for ever.
        let _ = kill(self.systemd, Signal::SIGKILL);
        let until = Instant::now() + PATIENCE;
        while matches!(self.nspawn.try_wait(), Ok(None)) && Instant::now() < until {
            thread::park_timeout(Duration::from_millis(10));
        }
        let _ = self.nspawn.kill();
        let _ = self.nspawn.wait();
    }
}

/// Ends the client when a test ends, also when it fails: a scope waits for its threads.
struct EndsClient<'a>(&'a AtomicBool);

impl Drop for EndsClient<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The folders of a machine without any service.
fn make_root(root: &Path) {
    for folder in ["usr", "etc/systemd", "srv", "var", "tmp", "root", "proc", "sys", "dev", "run"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    for folder in ["bin", "sbin", "lib", "lib64"] {
        symlink(Path::new("usr").join(folder), root.join(folder)).unwrap();
    }
    for file in ["passwd", "group", "os-release"] {
        fs::copy(Path::new("/etc").join(file), root.join("etc").join(file)).unwrap();
    }
    // Without one systemd would ask at the first start how to set up the machine.
    fs::write(root.join("etc/machine-id"), format!("{}\n", "0123456789abcdef".repeat(2))).unwrap();
}

/// The living worker of this port.
fn worker_of(port: u16) -> Option<Pid> {
    let arguments = ["/srv/worker", "listen", &port.to_string(), "stay"].map(str::to_owned);
    let is_it = |process: &procfs::process::Process| {
        process.cmdline().is_ok_and(|line| line == arguments)
            && is_alive(Pid::from_raw(process.pid))
    };
    let found = all_processes().unwrap().flatten().find(is_it)?;
    Some(Pid::from_raw(found.pid))
}

/// True if a worker has answered a request at this port.
fn is_answered(port: u16) -> bool {
    let ask = || -> std::io::Result<String> {
        let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        server.set_read_timeout(Some(PATIENCE))?;
        server.write_all(b"GET\n")?;
        server.shutdown(std::net::Shutdown::Write)?;
        let mut answer = String::new();
        server.read_to_string(&mut answer)?;
        Ok(answer)
    };
    ask().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200 OK"))
}

/// How many requests went well, and how many found no worker in time. Each goes from port to port, as a proxy sends it.
fn ask_until(is_over: &AtomicBool, ports: &[u16]) -> (usize, usize) {
    let (mut answered, mut failed) = (0, 0);
    while !is_over.load(Ordering::Relaxed) {
        let until = Instant::now() + PATIENCE;
        let mut turn = ports.iter().cycle().skip(answered % ports.len());
        while !is_answered(*turn.next().expect("without end")) && Instant::now() < until {}
        if Instant::now() < until {
            answered += 1
        } else {
            failed += 1
        }
        thread::park_timeout(Duration::from_millis(2));
    }
    (answered, failed)
}

#[test]
fn systemd_keeps_the_pools_and_leaves_no_process() {
    if !geteuid().is_root() {
        return skip("only root can start a container");
    }
    if skip_without(&["systemd-nspawn".into(), "nsenter".into(), "/usr/lib/systemd/systemd".into()])
    {
        return;
    }
    let taken = Port::take_consecutive(3);
    let ports: Vec<_> = taken.iter().map(|port| port.number).collect();
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    make_root(&root);
    fs::copy(worker_binary(), root.join("srv/worker")).unwrap();
    // The folder is there only if `db` has ended; it fails if it is run twice.
    let plan = format!(
        "[pool.db]\ncommand = 'mkdir /srv/data'\nready = {{ exit = true }}\nrestart = 'never'\n\
         [pool.web]\ncommand = 'test -d /srv/data && exec /srv/worker listen $PORT stay'\n\
         ports = '{}-{}'\nafter = ['db']\nready = {{ tcp = true }}\nbackoff = {{ first = '100ms' }}\n",
        ports[0], ports[2]
    );
    fs::write(folder.path().join("pm.toml"), plan).unwrap();
    let units = root.join("etc/systemd/system");
    let options = ["systemd", "--name", "app", "--dir", "/srv", "--out", units.to_str().unwrap()];
    let said = export(folder.path(), &options);
    assert_eq!(said.status, Some(0), "{}", said.stderr);

    let machine = match Machine::boot(folder.path(), "app.target") {
        Ok(machine) => machine,
        // What a container needs, a machine may refuse that can do all else.
        Err(why) => {
            let skipped = format!("skipped: systemd does not start in a container: {why}\n");
            return std::io::stderr().write_all(skipped.as_bytes()).unwrap();
        }
    };
    for port in &ports {
        eventually("a worker answers", || is_answered(*port).then_some(()));
    }
    let kills = size("PM_KILLS", 20, 100) as usize;
    let is_over = AtomicBool::new(false);
    let (answered, failed) = thread::scope(|scope| {
        let client = scope.spawn(|| ask_until(&is_over, &ports));
        let at_end = EndsClient(&is_over);
        for port in ports.iter().cycle().take(kills) {
            let worker = eventually("the worker is there", || worker_of(*port));
            send(Signal::SIGKILL, worker);
            eventually("another one answers", || {
                (worker_of(*port).is_some_and(|next| next != worker) && is_answered(*port))
                    .then_some(())
            });
        }
        drop(at_end);
        client.join().unwrap()
    });
    let figure = format!("{kills} kills, {answered} requests answered, {failed} failed");
    proof("units on systemd", &figure);
    assert!(answered > kills && failed == 0, "{figure}");

    // Each death was one restart: no worker came before the job, and none failed.
    let units = ports.iter().map(|port| format!("web@{port}.service"));
    let restarts: usize = units
        .map(|unit| machine.systemctl(&["show", "--property=NRestarts", "--value", &unit]))
        .map(|count| count.trim().parse::<usize>().unwrap())
        .sum();
    assert_eq!(restarts, kills);
    let job = machine.systemctl(&["show", "--property=Result,ExecMainStatus", "db@1.service"]);
    assert!(job.contains("Result=success\n") && job.contains("ExecMainStatus=0\n"), "{job}");

    machine.systemctl(&["stop", "app.target"]);
    for port in &ports {
        eventually("no worker is left", || {
            (worker_of(*port).is_none() && is_free(*port)).then_some(())
        });
    }
    // systemd hears of the end of a worker a moment later.
    let states = ["list-units", "--plain", "--no-legend", "--state=active,failed", "web@*"];
    eventually("no unit is left", || machine.systemctl(&states).is_empty().then_some(()));
}
