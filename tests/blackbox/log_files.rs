//! The log files of workers: whole lines under every failure, and every lost line is counted.

use std::fs::read_to_string;
use std::os::unix::fs::{chown, symlink};
use std::path::Path;

use nix::sys::signal::Signal;
use nix::unistd::geteuid;

use crate::support::pm::Pm;
use crate::support::pool::Pool;
use crate::support::run_mode::{skip, skip_without};
use crate::support::small_disk::SmallDisk;
use crate::support::waiting::eventually;

fn start(folder: &Path, text: &str) -> Pm {
    Pool::of_file(folder, "pm.toml", 0, text).start()
}

#[test]
fn lines_go_to_a_file_too_and_the_oldest_files_are_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let text = "
        [pool.POOL]
        command = ['WORKER', 'flood', '2000', 'say', 'done', 'stay']
        workers = 2
        log     = { file = 'log/{n}.log', max_size = '20kB', keep = 2 }
    ";
    let pm = start(folder.path(), text);
    pm.prints.wait_for_many(2, "done");
    let read = |name: &str| read_to_string(folder.path().join("log").join(name)).unwrap();
    eventually("the last line is in the file", || read("1.log").ends_with("done\n").then_some(()));
    let all = [read("1.log.2"), read("1.log.1"), read("1.log")];
    assert!(all.iter().all(|text| text.len() <= 20_000 && text.ends_with('\n')));
    assert!(!folder.path().join("log/1.log.3").exists());
    let numbers: Vec<u64> = all.concat().lines().filter_map(number).collect();
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "none is missing or torn");
    assert_eq!(numbers.last(), Some(&1_999));
    assert_eq!(pm.prints.with(&format!("{}.1 | ", pm.name)).len(), 2_001, "and all to stdout");
    pm.stop();
}

#[test]
fn a_flood_into_many_small_files_is_complete() {
    let folder = tempfile::tempdir().unwrap();
    let text = "
        [pool.POOL]
        command = ['WORKER', 'flood', '8000']
        workers = 2
        restart = 'never'
        log     = { file = '{n}.log', max_size = '4KiB', keep = 1000 }
    ";
    let mut pm = start(folder.path(), text);
    pm.wait_exit(0);
    for n in 1..=2 {
        let file = |name: String| read_to_string(folder.path().join(name)).ok();
        let older = (1..).map_while(|older| file(format!("{n}.log.{older}")));
        let mut files: Vec<_> = older.collect();
        files.reverse();
        files.extend(file(format!("{n}.log")));
        let numbers: Vec<_> = files.concat().lines().map(|line| number(line).unwrap()).collect();
        assert_eq!(numbers, Vec::from_iter(0..8_000));
    }
}

#[test]
fn a_folder_at_the_name_of_an_older_file_loses_no_line_and_is_named_once() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join("log").join(name);
    std::fs::create_dir_all(at("1.log.1").join("full")).unwrap();
    let text = "
        [pool.POOL]
        command = ['WORKER', 'flood', '2000', 'say', 'done', 'stay']
        log     = { file = 'log/{n}.log', max_size = '20kB', keep = 1 }
    ";
    let pm = start(folder.path(), text);
    let line = pm.says.wait_for("log/1.log is not rotated");
    let named = [at("1.log"), at("1.log.1")].map(|path| path.display().to_string());
    assert!(line.contains(&format!("cannot rename {} to {}: ", named[0], named[1])), "{line}");
    assert!(line.contains(&format!("; move the folder {} away", named[1])), "{line}");
    let read = || read_to_string(at("1.log")).unwrap();
    eventually("the last line is in the file", || read().ends_with("done\n").then_some(()));
    let numbers: Vec<u64> = read().lines().filter_map(number).collect();
    assert_eq!(numbers, (0..2_000).collect::<Vec<_>>());
    assert_eq!(pm.says.with("is not rotated").len(), 1);
    pm.stop();
}

fn number(line: &str) -> Option<u64> {
    line.split(' ').next()?.parse().ok()
}

#[test]
fn a_log_file_that_cannot_be_written_blocks_no_worker() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("log"), "in the way").unwrap();
    let text = "
        [pool.POOL]
        command = 'while :; do echo tick; sleep 0.02; done'
        log     = { file = 'log/{slot}.log' }
    ";
    let pm = start(folder.path(), text);
    pm.says.wait_for("cannot write ");
    pm.prints.wait_for_many(5, "tick");
    assert_eq!(pm.says.with("cannot write ").len(), 1);
    std::fs::remove_file(folder.path().join("log")).unwrap();
    pm.says.wait_for_all(&["can be written again; lost ", " line"]);
    pm.stop();
}

#[test]
fn lines_that_do_not_fit_on_a_full_disk_are_counted_at_the_end() {
    let Some(disk) = SmallDisk::mount(65_536) else {
        return skip("only root can mount a small file system");
    };
    let folder = tempfile::tempdir().unwrap();
    let text = "
        [pool.POOL]
        command = ['WORKER', 'flood', '3000']
        restart = 'never'
        log     = { file = 'DISK/{slot}.log' }
    ";
    let mut pm = start(folder.path(), &text.replace("DISK", disk.path().to_str().unwrap()));
    pm.wait_exit(0);
    let file = read_to_string(disk.path().join(format!("{}.log", pm.slot(1)))).unwrap();
    let kept: Vec<_> = file.lines().filter_map(number).collect();
    assert_eq!(kept.len(), file.lines().count(), "whole lines, as many as fit");
    // Where a long line does not fit any more, a later one that is shorter may.
    let (first, last) = kept.split_at(kept.len() - 10);
    assert_eq!(first, Vec::from_iter(0..first.len() as u64));
    assert!(last.is_sorted_by(|a, b| a < b), "{last:?}");
    assert!(file.ends_with('\n') && file.len() > 65_536 - 300, "{}", file.len());
    let lost = format!("could not be written until the end; lost {} lines", 3_000 - kept.len());
    assert_eq!(pm.says.with(&lost).len(), 1);
}

#[test]
fn a_log_file_that_no_worker_writes_to_after_a_reload_is_closed() {
    let folder = tempfile::tempdir().unwrap();
    let text = |name: &str| {
        format!(
            "[pool.POOL]\ncommand = ['WORKER', 'drain', '0', 'say', '{name}', 'stay']\n\
             ready = {{ line = '{name}' }}\nlog = {{ file = '{name}.log' }}\n"
        )
    };
    let pm = start(folder.path(), &text("old"));
    pm.wait_slot_ready(".1", 1);
    let is_open = |name: &str| {
        let links = std::fs::read_dir(format!("/proc/{}/fd", pm.reactor())).unwrap();
        let mut targets = links.filter_map(|link| std::fs::read_link(link.ok()?.path()).ok());
        targets.any(|target| target.ends_with(name))
    };
    eventually("the log file is open", || is_open("old.log").then_some(()));
    pm.reload(&text("new"));
    pm.wait_slot_ready(".1", 2);
    eventually("the new log file is open", || is_open("new.log").then_some(()));
    let written = read_to_string(folder.path().join("old.log")).unwrap();
    assert_eq!(written, "old\ndrained\n", "it was written to after the reload");
    eventually("the old log file is closed", || (!is_open("old.log")).then_some(()));
    pm.stop();
}

#[test]
fn a_link_that_the_user_of_a_worker_makes_leads_no_log_file_away() {
    if !geteuid().is_root() {
        return skip("only root can run a worker as another user");
    }
    let folder = tempfile::tempdir().unwrap();
    let app = folder.path().join("app");
    let target = folder.path().join("target");
    std::fs::create_dir(&app).unwrap();
    std::fs::create_dir(&target).unwrap();
    let nobody = nix::unistd::User::from_name("nobody").unwrap().expect("a user nobody");
    chown(&app, Some(nobody.uid.as_raw()), Some(nobody.gid.as_raw())).unwrap();
    let text = "
        [pool.POOL]
        command = 'while :; do echo $(seq 300) tick; sleep 0.02; done'
        user    = 'nobody'
        log     = { file = 'app/log/{slot}.log', max_size = '4KiB' }
    ";
    let pm = start(folder.path(), text);
    let rotated = app.join(format!("log/{}.log.2", pm.slot(1)));
    eventually("files are written and rotated", || rotated.exists().then_some(()));
    std::fs::rename(app.join("log"), app.join("former")).unwrap();
    symlink(&target, app.join("log")).unwrap();
    pm.signal(Signal::SIGUSR1);
    let link = app.canonicalize().unwrap().join("log");
    let refused = format!("{} is a symlink that another user could change", link.display());
    pm.says.wait_for_all(&["cannot write ", &refused]);
    pm.prints.wait_for_many(50, "tick");
    assert_eq!(std::fs::read_dir(&target).unwrap().count(), 0, "nothing is written there");
    pm.stop();
}

#[test]
fn a_file_goes_on_while_too_many_files_are_open_to_rotate_it() {
    if skip_without(&["prlimit".into()]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let text = "
        [pool.POOL]
        command = '''echo first; until [ -e more ]; do sleep 0.1; done; seq 1 2000
                     until [ -e last ]; do sleep 0.1; done; seq 2001 4000; exec sleep 1000'''
        log     = { file = 'log/jobs.log', max_size = '4KiB', keep = 100 }
    ";
    let pm = start(folder.path(), text);
    let log = folder.path().join("log");
    let lines = |name: &str| read_to_string(log.join(name)).unwrap_or_default().lines().count();
    eventually("the file is open", || (lines("jobs.log") == 1).then_some(()));
    pm.limit_files("4");
    std::fs::write(folder.path().join("more"), "").unwrap();
    let said = pm.says.wait_for("jobs.log is not rotated and grows: cannot rename ");
    assert!(said.contains("jobs.log.1: too many open files; no line is lost"), "{said}");
    eventually("it goes on", || (lines("jobs.log") == 2_001).then_some(()));
    pm.limit_files("256");
    std::fs::write(folder.path().join("last"), "").unwrap();
    let all = || std::fs::read_dir(&log).unwrap().map(|file| file.unwrap().file_name());
    let count = || all().map(|name| lines(name.to_str().unwrap())).sum::<usize>();
    eventually("no line is lost", || (count() == 4_001).then_some(()));
    assert!(all().count() > 2, "it is rotated again");
    pm.stop();
}
