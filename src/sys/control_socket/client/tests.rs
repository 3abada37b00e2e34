use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;

use nix::unistd::getpid;

use super::super::tests::{OTHER_USER, as_other_user, fill_backlog, open_folder};
use super::super::{ControlSocket, ControlSocketError};
use super::*;

#[test]
fn a_client_of_a_pm_that_accepts_none_gives_up() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(".pm.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let _waiting = fill_backlog(&listener, &path);
    let error = connect_within(&path, TimeVal::milliseconds(50)).unwrap_err();
    assert!(matches!(error, ConnectError::Busy(_)), "{error}");
}

#[test]
fn a_client_is_told_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    for path in ["missing", "missing/.pm.sock"] {
        let error = connect(&folder.path().join(path)).unwrap_err();
        assert!(matches!(error, ConnectError::Missing(_)), "{error}");
    }
}

#[test]
fn a_socket_of_another_user_is_not_trusted() {
    let folder = open_folder();
    let path = folder.path().join(".pm.sock");
    let Some(_theirs) = as_other_user(|| ControlSocket::bind(&path).unwrap()) else { return };
    let error = connect(&path).unwrap_err();
    let is_theirs = |error: &_| matches!(error, ConnectError::NotYours { uid: OTHER_USER, .. });
    assert!(is_theirs(&error), "{error}");
    // It is live all the same.
    let error = ControlSocket::bind(&path).unwrap_err();
    assert!(matches!(error, ControlSocketError::Live { pid: Some(_), .. }), "{error}");
}

#[test]
fn another_user_may_not_connect_and_is_told_whom_to_ask() {
    let folder = open_folder();
    let path = folder.path().join(".pm.sock");
    let socket = ControlSocket::bind(&path).unwrap();
    let Some(error) = as_other_user(|| connect(&path).unwrap_err()) else { return };
    assert!(matches!(error, ConnectError::NotYours { uid: 0, .. }), "{error}");
    assert!(error.to_string().ends_with("user root; try `sudo -u 'root' pm ...`"), "{error}");
    let error = as_other_user(|| ControlSocket::bind(&path).unwrap_err()).unwrap();
    assert!(matches!(error, ControlSocketError::NotYours { uid: 0, .. }), "{error}");
    assert!(socket.accept().unwrap().is_none());
    // If root lets them, they trust it, and are known for who they are.
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o666)).unwrap();
    as_other_user(|| connect(&path).unwrap());
    let (_, peer) = socket.accept().unwrap().unwrap();
    assert_eq!((peer.uid, peer.pid), (OTHER_USER, Some(getpid())));
}
