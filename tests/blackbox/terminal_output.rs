//! Workers with `pty = true`: their colours and the last state of their progress bars arrive, and they disturb no line
//! of another worker. Seen as bytes, and on the screen of a real terminal emulator (tmux).

use std::path::Path;

use crate::support::pool::{Pool, filled_in};
use crate::support::programs::pm_binary;
use crate::support::run_mode::skip_without;
use crate::support::screen::Screen;
use crate::support::waiting::eventually;

/// What programs write to a terminal, in the parts in which they write it, and the lines that are left of it.
struct Stream {
    name: &'static str,
    parts: &'static [&'static str],
    lines: &'static [&'static str],
}

const STREAMS: [Stream; 4] = [
    Stream {
        name: "vite",
        parts: &[
            "\x1b[33mstarting\x1b[39m\n",
            "\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n",
            "\x1b[1;1H\x1b[0J",
            "  \x1b[32m\x1b[1mVITE\x1b[22m v7.1.0\x1b[39m  ready\n",
            "  \x1b[32mLocal\x1b[39m: http://localhost:5173/\n",
            "\x1b[2J\x1b[3J\x1b[Hpage reload\n",
        ],
        lines: &[
            "starting",
            "  VITE v7.1.0  ready",
            "  Local: http://localhost:5173/",
            "page reload",
        ],
    },
    Stream {
        name: "tqdm",
        parts: &[
            "\r  0%|          | 0/3 [00:00<?, ?it/s]",
            "\r 33%|###3      | 1/3 [00:00<00:00, 9.9it/s]",
            "\r 67%|######6   | 2/3 [00:00<00:00, 9.9it/s]",
            "\r100%|##########| 3/3 [00:00<00:00, 9.9it/s]\n",
            "\x1b[31mred without an end\n",
        ],
        lines: &["100%|##########| 3/3 [00:00<00:00, 9.9it/s]", "red without an end"],
    },
    Stream {
        name: "download",
        parts: &[
            "\x1b[?25lget a\r\n",
            "\x1b[36m[==>   ]\x1b[0m 30%\x1b[K",
            "\r\x1b[36m[=====>]\x1b[0m 99%\x1b[K",
            "\r\x1b[2K\x1b[1Ggot a\r\n",
            "\x1b[?25h",
        ],
        lines: &["get a", "got a"],
    },
    Stream {
        name: "full-screen",
        parts: &[
            "\x1b]0;a title\x07\x1b[?1049h\x1b[2;5r",
            "\x1b[3Aone\x1b[1;1Htwo",
            "\x1b]52;c;cHduZWQ=\x07\x1b(0",
            "\x1b[999B\x1bM\x1b[10Lthree\x1bc",
            "\x1b[?1049l",
        ],
        lines: &["one", "two", "three"],
    },
];

/// A worker that writes this stream in its parts, and another that writes lines meanwhile.
fn text(folder: &Path, stream: &Stream, lines: &str) -> String {
    for (n, part) in stream.parts.iter().enumerate() {
        std::fs::write(folder.join(format!("part{n}")), part).unwrap();
    }
    format!(
        "[pool.POOL]\ncommand = 'for part in part?; do cat $part; sleep 0.05; done'\nrestart = 'never'\n{lines}\n\
         [pool.POOL-other]\nrestart = 'never'\n\
         command = 'for n in 1 2 3 4 5 6 7 8; do echo other line $n; sleep 0.04; done'\n"
    )
}

#[test]
fn what_a_worker_does_to_its_terminal_is_left_out_and_its_lines_stay() {
    for stream in &STREAMS {
        let folder = tempfile::tempdir().unwrap();
        let text = text(folder.path(), stream, "pty = true");
        let mut pm = Pool::of_file(folder.path(), "pm.toml", 0, &text).start();
        pm.wait_exit(0);
        let label = format!("{}.1       | ", pm.name);
        let lines = pm.prints.all_to_the_end();
        let own = lines.iter().filter_map(|line| line.strip_prefix(&label));
        assert_eq!(own.map(without_colours).collect::<Vec<_>>(), stream.lines, "{}", stream.name);
        for line in lines.iter().filter(|line| line.contains('\x1b')) {
            assert!(line.ends_with("\x1b[0m") || line.contains("\x1b[39m"), "{line:?}");
        }
    }
}

/// The text without colours. Any other sequence stays.
fn without_colours(text: &str) -> String {
    let mut parts = text.split("\x1b[");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once('m') {
            Some((code, rest)) if code.bytes().all(|byte| byte.is_ascii_digit()) => {
                plain.push_str(rest);
            }
            _ => plain.push_str(part),
        }
    }
    plain
}

#[test]
fn raw_passes_on_all_that_a_worker_writes() {
    let folder = tempfile::tempdir().unwrap();
    let text = text(folder.path(), &STREAMS[2], "pty = true\nraw = true");
    let mut pm = Pool::of_file(folder.path(), "pm.toml", 0, &text).start();
    pm.wait_exit(0);
    let label = format!("{}.1       | ", pm.name);
    let lines = pm.prints.all_to_the_end();
    assert!(lines.contains(&format!("{label}\x1b[?25lget a")), "{lines:?}");
}

/// Runs this pm.toml on a screen, and waits until pm has ended.
fn screen_of(folder: &Path, text: &str) -> Screen {
    let screen = Screen::new();
    let file = folder.join("pm.toml");
    std::fs::write(&file, filled_in(text, &screen.name, &[])).unwrap();
    let (pm, file) = (pm_binary(), file.display());
    let script = format!("'{}' run -f '{file}'; echo ended $?; exec sleep 1000", pm.display());
    screen.start(100, folder, &["/bin/sh", "-c", &script]);
    eventually("pm has ended", || screen.shows().contains("ended 0").then_some(()));
    screen
}

#[test]
fn on_a_screen_no_line_of_another_worker_is_disturbed() {
    if skip_without(&["tmux".into()]) {
        return;
    }
    for stream in &STREAMS {
        let folder = tempfile::tempdir().unwrap();
        let screen = screen_of(folder.path(), &text(folder.path(), stream, "pty = true"));
        let shown = screen.shows();
        let of = |label: &str| -> Vec<String> {
            let lines = shown.lines().filter_map(|line| line.strip_prefix(label));
            lines.map(|line| line.trim_end().to_owned()).collect()
        };
        let name = &screen.name;
        let others = (1..=8).map(|n| format!("other line {n}"));
        let other = of(&format!("{name}-other.1 | "));
        assert_eq!(other, Vec::from_iter(others), "{}:\n{shown}", stream.name);
        assert_eq!(of(&format!("{name}.1       | ")), stream.lines, "{}:\n{shown}", stream.name);
    }
}
