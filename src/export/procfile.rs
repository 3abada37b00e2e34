//! A Procfile: a line for each pool without ports, and one for each port. What a line can say, its shell says.

use super::filled::{Names, asks_for_number, port_of};
use super::{Export, Exported, File, shell};
use crate::plan::environment::PATH;
use crate::plan::text::placeholders::Template;
use crate::plan::{Limits, Pool, SlotsSpec};

/// What `ulimit -f` and `ulimit -c` count in (POSIX).
const BLOCK_BYTES: u64 = 512;
const KIB: u64 = 1024;

/// The file of variables that a runner of Procfiles reads by itself.
const DOTENV: &str = ".env";

pub fn export(export: &Export<'_>) -> Exported {
    let mut text = format!("# Made from {} by `pm export procfile`.\n", export.source);
    let mut files: Vec<&str> = Vec::new();
    for file in export.pools.iter().flat_map(|pool| export.texts(pool, "env_file")) {
        if !files.contains(&file.as_str()) {
            files.push(file);
        }
    }
    if files.iter().any(|file| *file != DOTENV) {
        text += &format!("# foreman start --env {}\n", files.join(","));
    }
    for pool in &export.pools {
        let is_numbered = asks_for_number(&pool.spec);
        let port = |n| match pool.spec.slots {
            SlotsSpec::Ports(_) => port_of(&pool.spec.slots, n),
            SlotsSpec::Workers(_) | SlotsSpec::PortVariable { .. } => None,
        };
        let count = pool.spec.count();
        if count > 1 && port(1).is_none() && !is_numbered {
            text += &format!("# foreman start --formation all=1,{}={count}\n", pool.name);
        }
        let lines = if port(1).is_some() || is_numbered { count } else { 1 };
        for n in 1..=lines {
            let suffix = port(n).map_or(n, usize::from);
            let name = if lines == 1 { pool.name.clone() } else { export.numbered(pool, suffix) };
            text += &format!("{name}: {}\n", line(pool, &Names::of_slot(pool, n), port(n)));
        }
    }
    Exported { files: vec![File { name: "Procfile".to_owned(), text }], ..Exported::default() }
}

/// The command of a worker, with what comes before it.
fn line(pool: &Pool, names: &Names, port: Option<u16>) -> String {
    let spec = &pool.spec;
    let mut steps = Vec::new();
    let cwd = spec.cwd.as_ref().map(|cwd| names.path(cwd, str::to_owned));
    if let Some(cwd) = cwd.filter(|cwd| *cwd != names.dir) {
        let beside = cwd.strip_prefix(&format!("{}/", names.dir)).unwrap_or(&cwd);
        steps.push(format!("cd {}", word(beside)));
    }
    if let Some(umask) = spec.exec.umask {
        steps.push(format!("umask {umask:03o}"));
    }
    steps.extend(limits(&spec.exec.limits));
    let mut variables: Vec<_> = port.map(|port| format!("PORT={port}")).into_iter().collect();
    let folders =
        spec.exec.path.iter().map(|folder| shell::quoted(&folder.to_string_lossy()) + ":");
    let folders: String = folders.collect();
    if !folders.is_empty() && spec.env.iter().all(|(name, _)| name != PATH) {
        variables.push(format!("PATH={folders}\"$PATH\""));
    }
    let of_env = |(name, value): &(String, Template)| {
        format!("{name}={}", word(&names.fill(value, str::to_owned)))
    };
    variables.extend(spec.env.iter().map(of_env));
    if !variables.is_empty() {
        steps.push(format!("export {}", variables.join(" ")));
    }
    let argv: Vec<_> =
        spec.command.iter().map(|argument| names.fill(argument, str::to_owned)).collect();
    let nice = spec.exec.nice.map(|nice| format!("nice -n {nice} ")).unwrap_or_default();
    if steps.is_empty()
        && nice.is_empty()
        && let Some(script) = script(&argv)
    {
        return script.to_owned();
    }
    let argv = argv.iter().map(|argument| word(argument)).collect::<Vec<_>>().join(" ");
    if steps.is_empty() {
        return nice + &argv;
    }
    format!("{} && exec {nice}{argv}", steps.join(" && "))
}

/// What a shell is given, if it can stand in a line as it is.
fn script(argv: &[String]) -> Option<&str> {
    match argv {
        [program, option, script] if program == "/bin/sh" && option == "-c" => {
            let script = script.trim_start();
            (!script.is_empty() && !script.contains('\n')).then_some(script)
        }
        _ => None,
    }
}

/// A word of a shell on one line.
fn word(text: &str) -> String {
    if !text.contains('\n') {
        return shell::quoted(text);
    }
    let escaped = text.replace('\\', r"\\").replace('\n', r"\n");
    format!("\"$(printf %b {})\"", shell::quoted(&escaped))
}

fn limits(limits: &Limits) -> Vec<String> {
    let Limits { open_files, processes, file_bytes, core_bytes, stack_bytes, memory_bytes } =
        limits;
    let all = [
        ("n", open_files, 1),
        ("u", processes, 1),
        ("f", file_bytes, BLOCK_BYTES),
        ("c", core_bytes, BLOCK_BYTES),
        ("s", stack_bytes, KIB),
        ("v", memory_bytes, KIB),
    ];
    let set = all.into_iter().filter_map(|(option, limit, unit)| {
        let count = limit.map(|limit| limit.div_ceil(unit))?;
        Some(match option {
            // As bash and as dash have it.
            "u" => format!("{{ ulimit -u {count} 2>/dev/null || ulimit -p {count}; }}"),
            option => format!("ulimit -{option} {count}"),
        })
    });
    set.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_with_a_line_feed_stands_on_one_line() {
        assert_eq!(word("a b"), "'a b'");
        assert_eq!(word("a\n\\b"), r#""$(printf %b 'a\n\\b')""#);
    }

    #[test]
    fn a_script_that_fits_a_line_is_the_line() {
        let argv = |script: &str| ["/bin/sh", "-c", script].map(str::to_owned);
        assert_eq!(script(&argv("exec ./a")), Some("exec ./a"));
        assert_eq!(script(&argv("a\nb")), None);
        assert_eq!(script(&["a".to_owned()]), None);
    }
}
