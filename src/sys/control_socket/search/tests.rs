use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::geteuid;

use super::super::ControlSocket;
use super::super::tests::{OTHER_USER, as_other_user, leave_stale, open_folder, skip};
use super::*;

fn bind(path: &Path) -> ControlSocket {
    ControlSocket::bind(path).unwrap()
}

/// A path without symlinks.
fn path_of(folder: &tempfile::TempDir) -> PathBuf {
    folder.path().canonicalize().unwrap()
}

#[test]
fn the_nearest_folder_with_a_live_socket_wins() {
    let folder = tempfile::tempdir().unwrap();
    let top = path_of(&folder);
    let (near, deep) = (top.join("a/b"), top.join("a/b/c"));
    std::fs::create_dir_all(&deep).unwrap();
    let _far = bind(&top.join(".pm.sock"));
    leave_stale(&near.join(".pm.sock"));
    leave_stale(&deep.join(".old.pm.sock"));
    let find = || find_up_to(&deep, None);
    let stale = vec![deep.join(".old.pm.sock"), near.join(".pm.sock")];
    let far = Found { live: vec![top.join(".pm.sock")], stale: stale.clone(), foreign: vec![] };
    assert_eq!(find(), far);
    // Not in the order in which they were made.
    let _near = [".b.pm.sock", ".a.pm.sock"].map(|name| bind(&near.join(name)));
    let live = vec![near.join(".a.pm.sock"), near.join(".b.pm.sock")];
    assert_eq!(find(), Found { live, stale, foreign: vec![] });
}

#[test]
fn other_names_and_other_files_are_not_meant() {
    let folder = tempfile::tempdir().unwrap();
    let top = path_of(&folder);
    let _others =
        ["pm.sock", "web.pm.sock", ".pm.socket", ".web.sock"].map(|name| bind(&top.join(name)));
    std::fs::write(top.join(".file.pm.sock"), "").unwrap();
    std::fs::create_dir(top.join(".folder.pm.sock")).unwrap();
    assert_eq!(find_up_to(&top, Some(&top)), Found::default());
    assert_eq!(find_up_to(&top.join("missing"), None), Found::default());
}

#[test]
fn the_search_ends_at_home() {
    let folder = tempfile::tempdir().unwrap();
    let top = path_of(&folder);
    let (home, deep) = (top.join("home"), top.join("home/a"));
    std::fs::create_dir_all(&deep).unwrap();
    let _above = bind(&top.join(".pm.sock"));
    let link = top.join("link");
    std::os::unix::fs::symlink("home", &link).unwrap();
    // By whatever path it is named.
    for home in [&home, &link] {
        assert_eq!(find_up_to(&deep, Some(home)), Found::default());
    }
    let _at_home = bind(&home.join(".pm.sock"));
    assert_eq!(find_up_to(&deep, Some(&home)).live, [home.join(".pm.sock")]);
}

#[test]
fn the_search_ends_where_another_file_system_begins() {
    if !geteuid().is_root() {
        skip("only root can mount a file system");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let top = path_of(&folder);
    let mounted = top.join("mounted");
    std::fs::create_dir(&mounted).unwrap();
    let _above = bind(&top.join(".pm.sock"));
    assert_eq!(find_up_to(&mounted, None).live, [top.join(".pm.sock")]);
    // A thread with mounts of its own, which end with it.
    let search = || {
        unshare(CloneFlags::CLONE_NEWNS).unwrap();
        let none: Option<&str> = None;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
        mount(Some("tmpfs"), &mounted, Some("tmpfs"), MsFlags::empty(), none).unwrap();
        std::fs::create_dir(mounted.join("a")).unwrap();
        find_up_to(&mounted.join("a"), None)
    };
    let found = std::thread::scope(|scope| scope.spawn(search).join().unwrap());
    assert_eq!(found, Found::default());
}

#[test]
fn a_socket_of_another_user_is_noted_and_does_not_end_the_search() {
    let (top, near) = (open_folder(), open_folder());
    let top = path_of(&top);
    let near_path = top.join("near");
    std::fs::rename(near.keep(), &near_path).unwrap();
    let theirs = near_path.join(".pm.sock");
    let Some(_theirs) = as_other_user(|| bind(&theirs)) else { return };
    let _own = bind(&top.join(".pm.sock"));
    let found = find_up_to(&near_path, None);
    let live = vec![top.join(".pm.sock")];
    assert_eq!(found, Found { live, stale: vec![], foreign: vec![(theirs.clone(), OTHER_USER)] });
    // To them, root's is foreign: its mode forbids a connection.
    let found = as_other_user(|| find_up_to(&top, Some(&top))).unwrap();
    assert_eq!(found.foreign, [(top.join(".pm.sock"), 0)]);
}
