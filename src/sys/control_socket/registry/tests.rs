use std::os::unix::fs::{PermissionsExt, chown, symlink};

use nix::unistd::getpid;

use super::super::ControlSocket;
use super::super::tests::{OTHER_USER, leave_stale, skip};
use super::*;

/// A folder for what runs, with a registry in it.
fn registry() -> (tempfile::TempDir, Registry) {
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry { runtime: folder.path().into() };
    (folder, registry)
}

fn names(registry: &Registry) -> Vec<String> {
    let entries = registry.folder().read_dir().unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Not a pid of any process: above pid_max.
fn dead(number: i32) -> Pid {
    Pid::from_raw(2_000_000_000 + number)
}

#[test]
fn a_pm_is_listed_for_as_long_as_it_is_registered() {
    let (top, registry) = registry();
    assert_eq!(registry.list().unwrap(), []);
    // A look makes no folder.
    assert!(!registry.folder().exists());
    let path = top.path().join(".pm.sock");
    let _socket = ControlSocket::bind(&path).unwrap();
    let registration = registry.register(getpid(), &path).unwrap();
    assert_eq!(registry.list().unwrap(), [(getpid(), path.clone())]);
    assert_eq!(registry.folder().join(getpid().to_string()).read_link().unwrap(), path);
    assert_eq!(registry.folder().metadata().unwrap().mode() & 0o777, 0o700);
    drop(registration);
    assert_eq!((registry.list().unwrap(), names(&registry)), (vec![], vec![]));
}

#[test]
fn dead_links_are_removed_and_other_files_are_left() {
    let (top, registry) = registry();
    let at = |name: &str| top.path().join(name);
    std::fs::create_dir(registry.folder()).unwrap();
    std::fs::set_permissions(registry.folder(), PermissionsExt::from_mode(0o700)).unwrap();
    leave_stale(&at("stale"));
    std::fs::write(at("file"), "").unwrap();
    let _socket = ControlSocket::bind(&at("live")).unwrap();
    for (name, target) in [("101", "stale"), ("102", "file"), ("103", "missing"), ("104", "live")] {
        symlink(at(target), registry.folder().join(name)).unwrap();
    }
    symlink(at("stale"), registry.folder().join("notes")).unwrap();
    std::fs::write(registry.folder().join("105"), "").unwrap();
    // The kernel knows which process listens.
    assert_eq!(registry.list().unwrap(), [(getpid(), at("live"))]);
    assert_eq!(names(&registry), ["104", "105", "notes"]);
}

#[test]
fn the_successor_of_a_killed_pm_is_listed_once() {
    let (top, registry) = registry();
    let path = top.path().join(".pm.sock");
    let killed = registry.register(dead(1), &path).unwrap();
    let _socket = ControlSocket::bind(&path).unwrap();
    assert_eq!(registry.list().unwrap(), [(getpid(), path.clone())]);
    let registration = registry.register(dead(2), &path).unwrap();
    assert_eq!(names(&registry), [dead(2).to_string()]);
    drop((registration, killed));
    assert_eq!(names(&registry), Vec::<String>::new());
}

#[test]
fn a_pid_that_is_used_again_names_its_new_pm() {
    let (top, registry) = registry();
    let (old, new) = (top.path().join("old"), top.path().join("new"));
    leave_stale(&old);
    let killed = registry.register(dead(1), &old).unwrap();
    let _socket = ControlSocket::bind(&new).unwrap();
    let _registration = registry.register(dead(1), &new).unwrap();
    // Its end does not remove the link of the other.
    drop(killed);
    assert_eq!(registry.list().unwrap(), [(getpid(), new)]);
    // A live one keeps its name.
    let error = registry.register(dead(1), &old).unwrap_err();
    assert!(matches!(error, RegistryError::Os { errno: Errno::EEXIST, .. }), "{error}");
}

#[test]
fn a_folder_that_others_could_have_made_is_not_used() {
    let (top, registry) = registry();
    let path = top.path().join(".pm.sock");
    let is_refused = || {
        let is_not_own = |error: RegistryError| matches!(error, RegistryError::NotOwn(_));
        registry.list().is_err_and(is_not_own)
            && registry.register(getpid(), &path).is_err_and(is_not_own)
    };
    let elsewhere = top.path().join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    symlink(&elsewhere, registry.folder()).unwrap();
    assert!(is_refused());
    assert_eq!(elsewhere.read_dir().unwrap().count(), 0);
    std::fs::remove_file(registry.folder()).unwrap();
    std::fs::write(registry.folder(), "").unwrap();
    assert!(is_refused());
    std::fs::remove_file(registry.folder()).unwrap();
    std::fs::create_dir(registry.folder()).unwrap();
    for (mode, refused) in [(0o770, true), (0o707, true), (0o755, false)] {
        std::fs::set_permissions(registry.folder(), PermissionsExt::from_mode(mode)).unwrap();
        assert_eq!(is_refused(), refused, "{mode:o}");
    }
    if !geteuid().is_root() {
        skip("only root can make a folder of another user");
        return;
    }
    chown(registry.folder(), Some(OTHER_USER), None).unwrap();
    assert!(is_refused());
}

#[test]
fn the_folder_is_that_of_the_user() {
    let top = tempfile::tempdir().unwrap();
    let chosen =
        |runtime: Option<&Path>| Registry::within(runtime).map(|registry| registry.folder());
    assert_eq!(chosen(Some(top.path())), Some(top.path().join("pm")));
    let otherwise = geteuid().is_root().then(|| PathBuf::from("/run/pm"));
    assert_eq!(chosen(None), otherwise);
    assert_eq!(chosen(Some(Path::new("."))), otherwise);
    assert_eq!(chosen(Some(&top.path().join("missing"))), otherwise);
    if !geteuid().is_root() {
        skip("only root can make a folder of another user");
        return;
    }
    chown(top.path(), Some(OTHER_USER), None).unwrap();
    assert_eq!(chosen(Some(top.path())), otherwise);
}
