//! What a plan needs to know of the machine, and the file it is made of. Asked for here, answered by floor 4.

use std::path::{Path, PathBuf};

/// The machine, as far as a plan asks after it.
pub trait Host {
    /// The text of a file, or `None` if there is no such file.
    ///
    /// # Errors
    /// Why it cannot be read, as the end of a sentence.
    fn read(&self, path: &Path) -> Result<Option<String>, String>;

    /// The user of this name, or of this number.
    fn user(&self, name: &str) -> Option<Account>;

    /// The number of the group of this name, or of this number.
    fn group(&self, name: &str) -> Option<u32>;

    /// True if a worker may run as somebody else: pm is root's.
    fn may_change_user(&self) -> bool;

    /// The value of a variable of pm's own environment.
    fn variable(&self, name: &str) -> Option<String>;
}

/// A user of the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    pub uid: u32,
    pub gid: u32,
    /// The supplementary groups.
    pub groups: Vec<u32>,
}

/// A file that describes what to keep alive.
#[derive(Clone, Debug)]
pub struct Document {
    /// As people know it: `pm.toml`, `deploy/Procfile`.
    pub name: String,
    pub text: String,
    /// The folder it is in, absolute: where its relative paths start.
    pub dir: PathBuf,
}

impl Document {
    /// The absolute path of what this file calls `path`.
    pub fn resolve(&self, path: &Path) -> PathBuf {
        // Collecting the components takes the `.` out: `/srv/.` is `/srv` to people.
        self.dir.join(path).components().collect()
    }

    /// How people know the file that this one calls `path`.
    pub fn name_of(&self, path: &Path) -> String {
        Path::new(&self.name).with_file_name("").join(path).display().to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_paths_start_from_the_folder_of_the_file() {
        let dir = PathBuf::from("/srv/app");
        let document = Document { name: "app/pm.toml".into(), text: String::new(), dir };
        assert_eq!(document.resolve(Path::new(".")).as_os_str(), "/srv/app");
        assert_eq!(document.resolve(Path::new("./log/a")).as_os_str(), "/srv/app/log/a");
        assert_eq!(document.resolve(Path::new("/log")).as_os_str(), "/log");
        assert_eq!(document.name_of(Path::new(".env")), "app/.env");
        assert_eq!(document.name_of(Path::new("/etc/env")), "/etc/env");
    }
}
