//! A program under callgrind (valgrind(1)), which counts the instructions that it executes.

use std::io::ErrorKind;
use std::path::Path;
use std::process::{Command, Stdio};

use super::support::Anything;

/// The command that counts the instructions of each process of this program until it executes another one. The counts
/// are written to `folder`.
pub fn command(program: &Path, folder: &Path) -> Command {
    let mut out = folder.as_os_str().to_owned();
    out.push("/callgrind.%p");
    let mut option = std::ffi::OsString::from("--callgrind-out-file=");
    option.push(out);
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--quiet"]).arg(option).arg(program);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command
}

/// The instructions of a program that ends by itself.
pub fn run(program: &Path, arguments: &[String], folder: &Path) -> Anything<u64> {
    let mut command = command(program, folder);
    let output = command.args(arguments).output().map_err(|error| match error.kind() {
        ErrorKind::NotFound => {
            "there is no valgrind; install it with `apt install valgrind`".into()
        }
        _ => Box::<dyn std::error::Error>::from(error),
    })?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    take(folder)
}

/// What the process that has executed the most instructions has executed. Its files are removed.
pub fn take(folder: &Path) -> Anything<u64> {
    let mut most = 0;
    for file in std::fs::read_dir(folder)? {
        let file = file?.path();
        let is_count = file.file_stem().is_some_and(|stem| stem == "callgrind");
        if !is_count {
            continue;
        }
        let text = std::fs::read_to_string(&file)?;
        let totals = text.lines().filter_map(|line| {
            line.strip_prefix("totals: ").or_else(|| line.strip_prefix("summary: "))
        });
        most = totals.filter_map(|total| total.trim().parse().ok()).fold(most, u64::max);
        std::fs::remove_file(file)?;
    }
    if most == 0 { Err("callgrind has counted nothing".into()) } else { Ok(most) }
}
