//! The folders and log files of all pools: each log file is a file of one slot, and no other file of the plan.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Component, Path, PathBuf};

use super::faults::{PoolFault, PoolsFault};
use super::pool::{NamedTable, Reader};
use super::types::Text;
use crate::plan::host::{FileId, FileState, FolderState};
use crate::plan::{LogFile, Pool};

/// The longest name of a file, and the longest path without its final zero (limits.h, NAME_MAX and PATH_MAX).
const NAME_BYTES_MAX: usize = 255;
const PATH_BYTES_MAX: usize = 4_095;

/// The slot that writes to a file, and where the file is named.
type Writer<'a> = (&'a str, Range<usize>);

/// What identifies a file: its path, or what is there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Identity {
    Path(PathBuf),
    Id(FileId),
}

impl Reader<'_> {
    /// Adds what is wrong with the log files, and with the folders as far as that can be known.
    pub fn check_paths(&mut self, entries: &[NamedTable<'_>], pools: &[Pool]) {
        let own = Path::new(&self.document.name).file_name();
        let own = own.map(|name| self.document.dir.join(name));
        for (entry, pool) in entries.iter().zip(pools) {
            self.check_log(entry, pool, own.as_deref());
            self.check_cwd(entry, pool);
        }
        self.check_writers(entries, pools);
    }

    /// A log file is a file, and none that pm reads.
    fn check_log(&mut self, entry: &NamedTable<'_>, pool: &Pool, own: Option<&Path>) {
        let log = entry.table.log.value().and_then(|log| log.file.usable());
        let Some((Text(written), given)) = log else { return };
        let own: Vec<_> = own.into_iter().flat_map(|path| self.identities(path)).collect();
        let files = entry.table.env_file.value().into_iter().flat_map(|files| files.usable());
        let read: Vec<_> = files
            .flat_map(|(Text(file), _)| self.identities(&self.document.resolve(Path::new(file))))
            .collect();
        for LogFile { path, keep, .. } in pool.slots.iter().filter_map(|slot| slot.log.as_ref()) {
            let identities = self.identities(path);
            let is_one_of = |others: &[Identity]| identities.iter().any(|one| others.contains(one));
            // A path that the folder of this file is in is a folder.
            let is_folder = written.ends_with(['/', '.'])
                && self.document.dir.starts_with(without_parents(path));
            let name = path.file_name().map_or(0, |name| name.len());
            let suffix = if *keep == 0 { 0 } else { format!(".{keep}").len() };
            let state = self.host.file(path);
            let fault = if is_folder || written.ends_with('/') || state == FileState::Folder {
                PoolFault::LogFolder(written.clone())
            } else if is_one_of(&own) {
                PoolFault::LogIsThisFile(written.clone())
            } else if is_one_of(&read) {
                PoolFault::LogIsEnvFile(written.clone())
            } else if name + suffix > NAME_BYTES_MAX || path.as_os_str().len() > PATH_BYTES_MAX {
                PoolFault::PathTooLong
            } else if state == FileState::NotRegular {
                PoolFault::LogNotRegular(written.clone())
            } else if state == FileState::BelowFile {
                PoolFault::LogBelowFile(written.clone())
            } else {
                continue;
            };
            self.add_fault(given.at.clone(), fault);
            return;
        }
    }

    /// Each worker finds its folder.
    fn check_cwd(&mut self, entry: &NamedTable<'_>, pool: &Pool) {
        let Some((_, given)) = entry.table.cwd.usable() else { return };
        for path in pool.slots.iter().filter_map(|slot| slot.exec.cwd.as_ref()) {
            let shown = || path.display().to_string();
            if path.as_os_str().len() > PATH_BYTES_MAX {
                self.add_fault(given.at.clone(), PoolFault::PathTooLong);
                return;
            }
            let fault = match self.host.folder(path) {
                // What it comes after may create it.
                FolderState::Missing if !pool.after.is_empty() => continue,
                FolderState::Missing => PoolFault::NoFolder(shown()),
                FolderState::NotAFolder => PoolFault::NotAFolder(shown()),
                FolderState::There | FolderState::Unknown => continue,
            };
            self.add_fault(given.at.clone(), fault);
            return;
        }
    }

    /// No two slots write to one file.
    fn check_writers(&mut self, entries: &[NamedTable<'_>], pools: &[Pool]) {
        let mut writers: BTreeMap<Identity, Writer<'_>> = BTreeMap::new();
        for (entry, pool) in entries.iter().zip(pools) {
            let log = entry.table.log.value();
            let Some(given) = log.and_then(|log| log.file.given()) else { continue };
            for slot in &pool.slots {
                let Some(log) = &slot.log else { continue };
                let writer = (slot.name.as_str(), given.at.clone());
                let mut files = self.identities(&log.path);
                files.extend(numbered(log).map(|path| Identity::Path(without_parents(&path))));
                let Some((first, at)) = files.iter().find_map(|file| writers.get(file)) else {
                    writers.extend(files.into_iter().map(|file| (file, writer.clone())));
                    continue;
                };
                let (first, second) = ((*first).to_owned(), slot.name.clone());
                let fault = PoolsFault::OneLogFile { first, second };
                if *at == given.at {
                    self.add_fault(given.at.clone(), fault);
                } else {
                    self.add_related_fault(given.at.clone(), fault, at.clone(), "the first");
                }
                break;
            }
        }
    }

    /// Its path, and what is there if that is known: a hard link or a symlink is another path of the same file.
    fn identities(&self, path: &Path) -> Vec<Identity> {
        let mut identities = vec![Identity::Path(without_parents(path))];
        if let FileState::Regular(id) = self.host.file(path) {
            identities.push(Identity::Id(id));
        }
        identities
    }
}

/// The path without `..`: as if no folder in it were a symlink.
fn without_parents(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => {
                plain.pop();
            }
            Component::Prefix(_)
            | Component::RootDir
            | Component::CurDir
            | Component::Normal(_) => {
                plain.push(component);
            }
        }
    }
    plain
}

/// The files that a log file is rotated to.
fn numbered(log: &LogFile) -> impl Iterator<Item = PathBuf> {
    // A higher number is not a name that another log file has by accident.
    const NUMBERED_MAX: u32 = 100;
    (1..=log.keep.min(NUMBERED_MAX)).map(|n| {
        let mut path = log.path.clone().into_os_string();
        path.push(format!(".{n}"));
        path.into()
    })
}
