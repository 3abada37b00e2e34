//! Real sockets in folders of their own.

use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::sync::Barrier;
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, FdFlag, Flock, FlockArg, OFlag, fcntl};
use nix::sched::{CloneFlags, unshare};
use nix::sys::socket::connect as connect_to;
use nix::unistd::{Uid, getegid, geteuid, getpid};

use super::client::{ConnectError, connect};
use super::*;

pub(super) const OTHER_USER: u32 = 65_534;

/// A socket on which no process listens, as a pm that was killed leaves it.
pub(super) fn leave_stale(path: &Path) {
    drop(UnixListener::bind(path).unwrap());
    // A child that another test is just starting may have it open until it has exec'd.
    let until = Instant::now() + Duration::from_secs(20);
    while std::os::unix::net::UnixStream::connect(path).is_ok() {
        assert!(Instant::now() < until, "{} is still open", path.display());
        std::thread::yield_now();
    }
}

/// A folder in which each user may make a socket.
pub(super) fn open_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o777)).unwrap();
    folder
}

/// Does this as another user, in a thread that ends then. `None` if only root could.
pub(super) fn as_other_user<T: Send>(act: impl FnOnce() -> T + Send) -> Option<T> {
    if !geteuid().is_root() {
        skip("only root can act as another user");
        return None;
    }
    let act = || {
        // SAFETY: it takes numbers only.
        // WHY: setresuid(3) of libc, which nix calls, changes the user of all threads.
        let changed =
            unsafe { libc::syscall(libc::SYS_setresuid, OTHER_USER, OTHER_USER, OTHER_USER) };
        assert_eq!((changed, geteuid()), (0, Uid::from_raw(OTHER_USER)));
        act()
    };
    Some(std::thread::scope(|scope| scope.spawn(act).join().unwrap()))
}

/// With `PM_SKIP_NOTHING` set, as in continuous integration, a test that cannot run here fails.
#[track_caller]
pub(super) fn skip(reason: &str) {
    assert!(std::env::var_os("PM_SKIP_NOTHING").is_none(), "skipped: {reason}");
    eprintln!("skipped: {reason}");
}

/// A client in the backlog of a socket whose backlog holds no more.
pub(super) fn fill_backlog(listener: &UnixListener, path: &Path) -> OwnedFd {
    // A later listen(2) only changes the backlog.
    listen(listener, Backlog::new(0).unwrap()).unwrap();
    let address = nix::sys::socket::UnixAddr::new(path).unwrap();
    let client = || {
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        socket(AddressFamily::Unix, SockType::Stream, flags, None).unwrap()
    };
    let waiting = client();
    connect_to(waiting.as_raw_fd(), &address).unwrap();
    assert_eq!(connect_to(client().as_raw_fd(), &address), Err(Errno::EAGAIN));
    waiting
}

#[test]
fn a_client_is_accepted_with_its_peer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(".pm.sock");
    let socket = ControlSocket::bind(&path).unwrap();
    assert_eq!(socket.path(), path);
    assert!(socket.accept().unwrap().is_none());
    let mut client = connect(&path).unwrap();
    let (mut connection, peer) = socket.accept().unwrap().unwrap();
    let me = Peer { uid: geteuid().as_raw(), gid: getegid().as_raw(), pid: Some(getpid()) };
    assert_eq!(peer, me);
    assert!(socket.accept().unwrap().is_none());
    client.write_all(b"over there").unwrap();
    let mut bytes = [0; 10];
    connection.read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"over there");
    // The client waits for an answer, and for room, as long as it takes.
    assert_eq!((client.read_timeout().unwrap(), client.write_timeout().unwrap()), (None, None));
    assert!(!is_nonblocking(&client));
    assert!(is_nonblocking(&socket) && is_nonblocking(&connection));
    assert!(ends_at_exec(&socket) && ends_at_exec(&connection) && ends_at_exec(&client));
}

fn is_nonblocking(file: &impl AsFd) -> bool {
    let flags = fcntl(file, FcntlArg::F_GETFL).unwrap();
    OFlag::from_bits_truncate(flags).contains(OFlag::O_NONBLOCK)
}

fn ends_at_exec(file: &impl AsFd) -> bool {
    let flags = fcntl(file, FcntlArg::F_GETFD).unwrap();
    FdFlag::from_bits_truncate(flags).contains(FdFlag::FD_CLOEXEC)
}

#[test]
fn a_stale_socket_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(".pm.sock");
    leave_stale(&path);
    assert!(matches!(connect(&path), Err(ConnectError::Stale(_))));
    let _socket = ControlSocket::bind(&path).unwrap();
    connect(&path).unwrap();
}

#[test]
fn a_live_socket_is_left_and_its_pid_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(".pm.sock");
    let first = ControlSocket::bind(&path).unwrap();
    let error = ControlSocket::bind(&path).unwrap_err();
    let is_live =
        |error: &_| matches!(error, ControlSocketError::Live { pid, .. } if *pid == Some(getpid()));
    assert!(is_live(&error), "{error}");
    let begin = format!("{}: pid {} listens on it; stop that pm", path.display(), getpid());
    assert!(error.to_string().starts_with(&begin), "{error}");
    drop(first);
    ControlSocket::bind(&path).unwrap();
}

#[test]
fn a_socket_with_a_full_backlog_is_live() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(".pm.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let _waiting = fill_backlog(&listener, &path);
    let error = ControlSocket::bind(&path).unwrap_err();
    assert!(matches!(error, ControlSocketError::Live { pid: None, .. }), "{error}");
    let found = search::find(folder.path());
    assert_eq!(found.live, [path.canonicalize().unwrap()]);
}

#[test]
fn a_folder_may_have_a_long_path() {
    let top = tempfile::tempdir().unwrap();
    let folder = top.path().join("d".repeat(135));
    std::fs::create_dir(&folder).unwrap();
    let path = folder.join(".web.pm.sock");
    leave_stale_beyond_108_bytes(&folder);
    let socket = ControlSocket::bind(&path).unwrap();
    connect(&path).unwrap();
    assert!(matches!(ControlSocket::bind(&path), Err(ControlSocketError::Live { .. })));
    drop(socket);
    assert!(!path.exists());
}

/// By a symlink that is short.
fn leave_stale_beyond_108_bytes(folder: &Path) {
    let link = folder.parent().unwrap().join("short");
    symlink(folder, &link).unwrap();
    leave_stale(&link.join(".web.pm.sock"));
}

#[test]
fn a_path_without_a_folder_is_in_the_working_folder() {
    let top = tempfile::tempdir().unwrap();
    // A thread with a working folder of its own.
    let in_folder = || {
        unshare(CloneFlags::CLONE_FS).unwrap();
        std::env::set_current_dir(top.path()).unwrap();
        let socket = ControlSocket::bind(Path::new(".pm.sock")).unwrap();
        assert_eq!(socket.path(), top.path().canonicalize().unwrap().join(".pm.sock"));
        connect(Path::new(".pm.sock")).unwrap();
    };
    std::thread::scope(|scope| scope.spawn(in_folder).join().unwrap());
}

#[test]
fn only_the_owner_may_connect_whatever_the_umask() {
    let folder = tempfile::tempdir().unwrap();
    let mode_under = |umask| {
        // A thread with an umask of its own.
        unshare(CloneFlags::CLONE_FS).unwrap();
        nix::sys::stat::umask(Mode::from_bits_truncate(umask));
        let path = folder.path().join(format!(".{umask}.pm.sock"));
        let _socket = ControlSocket::bind(&path).unwrap();
        path.metadata().unwrap().mode() & 0o7777
    };
    for umask in [0, 0o022, 0o077] {
        let mode = std::thread::scope(|scope| scope.spawn(|| mode_under(umask)).join().unwrap());
        assert_eq!(mode, 0o600, "{umask:o}");
    }
}

#[test]
fn of_two_that_start_at_once_one_listens_and_the_other_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(".pm.sock");
    for round in 0..200 {
        // In every other round, a killed one has left its socket.
        if round % 2 == 0 {
            leave_stale(&path);
        }
        let barrier = Barrier::new(2);
        let start = || {
            barrier.wait();
            ControlSocket::bind(&path)
        };
        let both = std::thread::scope(|scope| {
            let both = [scope.spawn(start), scope.spawn(start)];
            both.map(|one| one.join().unwrap())
        });
        let (socket, error) = match both {
            [Ok(socket), Err(error)] | [Err(error), Ok(socket)] => (socket, error),
            both => panic!("round {round}: {both:?}"),
        };
        assert!(matches!(error, ControlSocketError::Live { pid: Some(_), .. }), "{error}");
        connect(&path).unwrap();
        // The probe of the other one, and this client.
        assert!(socket.accept().unwrap().is_some() && socket.accept().unwrap().is_some());
        assert!(socket.accept().unwrap().is_none());
        drop(socket);
        assert!(!path.exists(), "round {round}");
    }
}

#[test]
fn what_is_not_a_stream_socket_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("file"), "text").unwrap();
    std::fs::create_dir(path("folder")).unwrap();
    let _datagrams = UnixDatagram::bind(path("datagrams")).unwrap();
    leave_stale(&path("stale"));
    symlink("stale", path("link")).unwrap();
    symlink("nothing", path("dangling")).unwrap();
    for name in ["file", "folder", "datagrams", "link", "dangling"] {
        let before = path(name).symlink_metadata().unwrap();
        let error = ControlSocket::bind(&path(name)).unwrap_err();
        assert!(matches!(error, ControlSocketError::NotASocket(_)), "{name}: {error}");
        let after = path(name).symlink_metadata().unwrap();
        assert_eq!((before.ino(), before.len()), (after.ino(), after.len()), "{name}");
    }
    assert!(path("stale").symlink_metadata().is_ok());
    for name in ["file", "folder", "datagrams"] {
        let error = connect(&path(name)).unwrap_err();
        assert!(matches!(error, ConnectError::NotASocket(_)), "{name}: {error}");
    }
}

#[test]
fn a_socket_removes_its_own_file_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(".pm.sock");
    let first = ControlSocket::bind(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let second = ControlSocket::bind(&path).unwrap();
    first.close();
    connect(&path).unwrap();
    second.close();
    assert!(!path.exists());
    let third = ControlSocket::bind(&path).unwrap();
    std::fs::rename(&path, folder.path().join("moved")).unwrap();
    std::fs::write(&path, "text").unwrap();
    drop(third);
    assert_eq!(std::fs::read(&path).unwrap(), b"text");
}

#[test]
fn a_socket_removes_its_file_in_a_folder_that_was_renamed() {
    let top = tempfile::tempdir().unwrap();
    let (old, new) = (top.path().join("old"), top.path().join("new"));
    std::fs::create_dir(&old).unwrap();
    let socket = ControlSocket::bind(&old.join(".pm.sock")).unwrap();
    std::fs::rename(&old, &new).unwrap();
    connect(&new.join(".pm.sock")).unwrap();
    drop(socket);
    assert_eq!(new.read_dir().unwrap().count(), 0);
}

#[test]
fn a_folder_that_stays_locked_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let opened = std::fs::File::open(folder.path()).unwrap();
    let lock = Flock::lock(opened, FlockArg::LockExclusive).map_err(|(_, errno)| errno).unwrap();
    let path = folder.path().join(".pm.sock");
    let error = ControlSocket::bind(&path).unwrap_err();
    assert!(matches!(error, ControlSocketError::Locked(_)), "{error}");
    assert!(!path.exists());
    drop(lock);
    let _socket = ControlSocket::bind(&path).unwrap();
    // It is locked at birth only.
    let opened = std::fs::File::open(folder.path()).unwrap();
    assert!(Flock::lock(opened, FlockArg::LockExclusiveNonblock).is_ok());
}

#[test]
fn a_folder_that_is_unlocked_in_time_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let opened = std::fs::File::open(folder.path()).unwrap();
    let lock = Flock::lock(opened, FlockArg::LockExclusive).map_err(|(_, errno)| errno).unwrap();
    let path = folder.path().join(".pm.sock");
    let real = folder.path().canonicalize().unwrap();
    // By this test, and twice by the birth, which then asks for the lock.
    let times_open = || {
        let links = Path::new("/proc/self/fd").read_dir().unwrap();
        let targets = links.filter_map(|link| link.unwrap().path().read_link().ok());
        targets.filter(|target| *target == real).count()
    };
    std::thread::scope(|scope| {
        let born = scope.spawn(|| ControlSocket::bind(&path));
        let until = Instant::now() + Duration::from_secs(20);
        while times_open() < 3 {
            assert!(Instant::now() < until, "the folder was not opened");
            std::thread::yield_now();
        }
        drop(lock);
        born.join().unwrap().unwrap();
    });
}

#[test]
fn a_folder_that_allows_no_socket_is_told_from_other_errors() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "").unwrap();
    let refused = |path: &str| ControlSocket::bind(&folder.path().join(path)).unwrap_err();
    for path in ["missing/.pm.sock", "file/.pm.sock"] {
        let error = refused(path);
        assert!(matches!(error, ControlSocketError::NoFolder(_)), "{error}");
    }
    let error = refused(&name_for(Some(&"n".repeat(100))));
    let is_too_long =
        |error: &_| matches!(error, ControlSocketError::Os { errno: Errno::ENAMETOOLONG, .. });
    assert!(is_too_long(&error), "{error}");
    // What each user may see and none may write.
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let Some(error) = as_other_user(|| refused(".pm.sock")) else { return };
    let is_denied =
        |error: &_| matches!(error, ControlSocketError::NotWritable { errno: Errno::EACCES, .. });
    assert!(is_denied(&error), "{error}");
    // What they may not even read.
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o711)).unwrap();
    let error = as_other_user(|| refused(".pm.sock")).unwrap();
    assert!(is_denied(&error), "{error}");
    // Only its owner may remove a socket there.
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o1777)).unwrap();
    leave_stale(&folder.path().join(".pm.sock"));
    std::fs::set_permissions(folder.path().join(".pm.sock"), PermissionsExt::from_mode(0o777))
        .unwrap();
    let error = as_other_user(|| refused(".pm.sock")).unwrap();
    let is_denied =
        |error: &_| matches!(error, ControlSocketError::NotWritable { errno: Errno::EPERM, .. });
    assert!(is_denied(&error), "{error}");
}

#[test]
fn an_accept_without_a_free_descriptor_is_an_error() {
    // In a process of its own, whose limit this is: another test may need files meanwhile.
    const MARK: &str = "PM_TEST_ACCEPT_WITHOUT_DESCRIPTORS";
    if std::env::var_os(MARK).is_none() {
        let name = "sys::control_socket::tests::an_accept_without_a_free_descriptor_is_an_error";
        let mut again = std::process::Command::new(std::env::current_exe().unwrap());
        let output = again.args(["--exact", name]).env(MARK, "").output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        return;
    }
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(".pm.sock");
    let socket = ControlSocket::bind(&path).unwrap();
    let _client = connect(&path).unwrap();
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, 0, hard).unwrap();
    let errors = [socket.accept().unwrap_err(), ControlSocket::bind(&path).unwrap_err()];
    setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
    assert!(socket.accept().unwrap().is_some());
    // Both name the limit, and how to lift it.
    for error in errors.map(|error| error.to_string()) {
        let (_, limit) = error.split_once(": too many open files").expect(&error);
        assert!(limit.contains("raise the hard limit, `ulimit -Hn`"), "{error}");
    }
}

#[test]
fn a_name_has_the_stem_of_its_plan() {
    assert_eq!(name_for(None), ".pm.sock");
    assert_eq!(name_for(Some("staging")), ".staging.pm.sock");
}
