//! The users and groups of the machine (passwd(5), group(5)), and whether pm may run a worker as another user.
//!
//! A lookup may take time where the database is on a network. Nothing is kept: each call reads the database.

use std::ffi::CString;

use nix::unistd::{Gid, Group, Uid, User, geteuid, getgrouplist};

use crate::plan::Identity;

/// The user of this name, or of this number if no user has that name. Its groups are all that it is in
/// (getgrouplist(3)), its own included.
///
/// `None` too if the database cannot be read.
pub fn identity(name: &str) -> Option<Identity> {
    let by_name = User::from_name(name).ok().flatten();
    let user = by_name.or_else(|| User::from_uid(Uid::from_raw(name.parse().ok()?)).ok()?)?;
    let groups = getgrouplist(&CString::new(user.name.clone()).ok()?, user.gid).ok()?;
    Some(Identity {
        user: name.to_owned(),
        login: user.name,
        home: user.dir.to_string_lossy().into_owned(),
        shell: user.shell.to_string_lossy().into_owned(),
        uid: user.uid.as_raw(),
        gid: user.gid.as_raw(),
        groups: groups.into_iter().map(Gid::as_raw).collect(),
    })
}

/// The number of the group of this name, or of this number if no group has that name.
pub fn group(name: &str) -> Option<u32> {
    let by_name = Group::from_name(name).ok().flatten();
    let group = by_name.or_else(|| Group::from_gid(Gid::from_raw(name.parse().ok()?)).ok()?)?;
    Some(group.gid.as_raw())
}

/// True if pm may run a worker as any user.
pub fn may_change_user() -> bool {
    geteuid().is_root()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_found_by_name_and_by_number() {
        let root = identity("root").unwrap();
        assert_eq!((root.uid, root.gid), (0, 0));
        assert!(root.groups.contains(&0));
        assert_eq!((root.login.as_str(), root.home.starts_with('/')), ("root", true));
        assert_eq!(identity("0").map(|by_number| by_number.groups), Some(root.groups));
        assert_eq!((group("root"), group("0")), (Some(0), Some(0)));
    }

    #[test]
    fn a_name_that_is_not_in_the_database_is_none() {
        assert_eq!(identity("no such user"), None);
        assert_eq!(identity("nul\0"), None);
        assert_eq!(group("no such group"), None);
    }
}
