//! What is passed on of what programs write to a terminal.

use super::*;

/// What is passed on of these bytes, read at once and byte by byte.
fn shown(bytes: &[u8]) -> String {
    let pass_on = |chunks: &mut dyn Iterator<Item = &[u8]>| {
        let mut filter = TerminalFilter::default();
        let mut text = Vec::new();
        chunks.for_each(|chunk| text.extend_from_slice(filter.push(chunk)));
        text.extend_from_slice(filter.finish());
        String::from_utf8_lossy(&text).into_owned()
    };
    let at_once = pass_on(&mut std::iter::once(bytes));
    assert_eq!(pass_on(&mut bytes.chunks(1)), at_once, "however it is read");
    at_once
}

#[test]
fn text_is_passed_on_as_it_is() {
    let text = "plain\n\ttabbed  \n\nümläut 日本 🦀\nlast";
    assert_eq!(shown(text.as_bytes()), text);
    assert_eq!(shown(b"\xe9t\xe9 in Latin-1\n"), "\u{fffd}t\u{fffd} in Latin-1\n");
}

#[test]
fn colours_stay_and_are_reset_at_the_end_of_the_line() {
    assert_eq!(shown(b"\x1b[1;32mok\x1b[0m done\n"), "\x1b[1m\x1b[32mok\x1b[0m done\n");
    assert_eq!(shown(b"is \x1b[31mred\x1b[39m again\n"), "is \x1b[31mred\x1b[39m again\n");
    let spans_lines = shown(b"a \x1b[31mred\nstill\n\x1b[mplain\n");
    assert_eq!(spans_lines, "a \x1b[31mred\x1b[0m\n\x1b[31mstill\x1b[0m\nplain\n");
    let colour = shown(b"\x1b[38;5;208;4mx\x1b[24m\n\x1b[38:2::1:2:3my\n");
    assert_eq!(colour, "\x1b[4m\x1b[38;5;208mx\x1b[24m\x1b[0m\n\x1b[38:2::1:2:3my\x1b[0m\n");
    assert_eq!(shown(b"unfinished \x1b[7mx"), "unfinished \x1b[7mx\x1b[0m");
}

#[test]
fn of_a_progress_bar_the_last_state_is_shown() {
    // tqdm
    let tqdm =
        b"\r  0%|          | 0/3 [00:00<?, ?it/s]\r 67%|######6   | 2/3 [00:00<00:00, 9.9it/s]\
                 \r100%|##########| 3/3 [00:00<00:00, 9.9it/s]\ndone\n";
    assert_eq!(shown(tqdm), "100%|##########| 3/3 [00:00<00:00, 9.9it/s]\ndone\n");
    // A download as by curl or cargo: the bar is erased at its end.
    let download =
        b"\x1b[?25lget a\n\r\x1b[K[==>   ] 30%\r\x1b[K[=====>] 99%\r\x1b[Kgot a\r\n\x1b[?25h";
    assert_eq!(shown(download), "get a\ngot a\n");
    // A spinner as by ora: to column 1, erase, write.
    let spinner = b"\x1b[2K\x1b[1G\x1b[36m-\x1b[39m build\x1b[2K\x1b[1G\x1b[36m\\\x1b[39m build\x1b[2K\x1b[1G\x1b[32mok\x1b[39m build\n";
    assert_eq!(shown(spinner), "\x1b[32mok\x1b[39m build\n");
    // tqdm with two bars: from the outer bar a line feed leads to the inner one, and the cursor goes back up.
    let bars = b"\router 1\n\rinner 10%\x1b[A\n\rinner 50%\x1b[A\n\rinner 99%\x1b[A\router 2\n\rinner 5%\x1b[A\n\rlast\n";
    assert_eq!(shown(bars), "outer 1\nouter 2\nlast\n");
    assert_eq!(shown(b"a\x1b[2A\n\nb\n"), "b\n");
    assert_eq!(shown(b"a\x1b[A\n"), "a");
    assert_eq!(shown(b"|\x08/\x08-\x08done\n"), "done\n");
    assert_eq!(shown(b"50%\r100%"), "100%", "without a newline at the end");
    assert_eq!(shown(b"100%\r\x1b[0m\n"), "100%\n", "only text replaces text");
}

#[test]
fn the_blank_lines_of_a_cleared_screen_are_left_out_and_others_stay() {
    let mut vite = vec![b'\n'; 45];
    vite.extend_from_slice(
        b"\x1b[1;1H\x1b[0J\n  \x1b[32m\x1b[1mVITE\x1b[22m v7.1.0\x1b[39m  ready in \x1b[1m312\x1b[22m ms\n\n  \
          Local: http://localhost:5173/\n",
    );
    let expected = "\n  \x1b[32m\x1b[1mVITE\x1b[22m v7.1.0\x1b[39m  ready in \x1b[1m312\x1b[22m ms\n\n  \
                    Local: http://localhost:5173/\n";
    assert_eq!(shown(&vite), expected);
    assert_eq!(shown(b"a\n\n\n\nb\n\n"), "a\n\n\n\nb\n\n");
    assert_eq!(shown(b"a\n\n\x1bcb\n\n\x1b[2J\x1b[3J\x1b[Hc\n"), "a\nb\nc\n");
    assert_eq!(shown(&[b'\n'; 1_000]).len(), 1_000);
}

#[test]
fn what_moves_the_cursor_or_sets_the_terminal_is_left_out() {
    let sequences: [&[u8]; 14] = [
        b"\x1b[10;20r",
        b"\x1b[?1049h",
        b"\x1b[?1000h",
        b"\x1b[4;2S",
        b"\x1b7",
        b"\x1b8",
        b"\x1b(0",
        b"\x1b]0;title\x07",
        b"\x1b]52;c;cHduZWQ=\x1b\\",
        b"\x1bPq#0;2;0\x1b\\",
        b"\x1b_Ga=T;AAAA\x1b\\",
        b"\x1b[>4;2m",
        b"\x07\x0e\x0f\x00\x7f",
        "\u{9b}".as_bytes(),
    ];
    for sequence in sequences {
        let bytes = [b"be", sequence, b"fore\nafter\n"].concat();
        assert_eq!(shown(&bytes), "before\nafter\n", "{:?}", String::from_utf8_lossy(sequence));
    }
    assert_eq!(shown(b"one\x1b[5;1Htwo\x1b[6;1Hthree\n"), "one\ntwo\nthree\n");
    assert_eq!(shown(b"one\x1b[3Atwo\x1b[2Bthree\n"), "one\ntwo\nthree\n");
}

#[test]
fn a_sequence_that_does_not_end_swallows_no_line() {
    for start in ["\x1b]0;title", "\x1bPq", "\x1b[38;5", "\x1b", "\x1b_x", "\u{20}\x1b]8;;"] {
        let text = shown(format!("{start}\nnext\n").as_bytes());
        assert!(text.ends_with("\nnext\n"), "{start:?}: {text:?}");
    }
}

#[test]
fn a_line_without_an_end_is_passed_on_and_its_colour_is_reset() {
    let mut filter = TerminalFilter::default();
    let mut bytes = b"\x1b[41m".to_vec();
    bytes.resize(LINE_BYTES_MAX + 10, b'x');
    let piece = filter.push(&bytes).to_vec();
    assert!(piece.len() >= LINE_BYTES_MAX && piece.ends_with(b"x\x1b[0m"));
    assert!(filter.push(b"y\n").ends_with(b"y\x1b[0m\n"));
}

#[test]
fn colours_without_text_are_passed_on_as_a_long_line_is() {
    let mut filter = TerminalFilter::default();
    filter.push(b"x");
    let colours = b"\x1b[31m".repeat(4_000);
    let passed_on: usize = (0..20).map(|_| filter.push(&colours).len()).sum();
    assert!(passed_on > 300_000, "{passed_on}");
    assert!(filter.finish().len() < LINE_BYTES_MAX + 100);
}

#[test]
fn columns_that_are_skipped_are_blanks() {
    assert_eq!(shown(b"a\x1b[4Cb\x1b[Cc\n"), "a    b c\n");
    assert_eq!(shown("näme\x1b[10Gvalue\n".as_bytes()), "näme     value\n");
    assert_eq!(shown(b"name\r\x1b[10Gvalue\x1b[2Gx\n"), "name     valuex\n");
    assert_eq!(shown(b"\tname\x1b[16G|\x1b[3C\x1b[31mred\n"), "\tname   |   \x1b[31mred\x1b[0m\n");
    assert_eq!(shown(b"a\x1b[4C\x08\x08b\n"), "a  b\n");
    assert_eq!(shown(b"a\x1b[4C\nb\x1b[999Cc\n"), "a\nbc\n", "to the edge of the screen");
}

#[test]
fn a_character_that_is_repeated_is_written_so_often() {
    assert_eq!(shown("a\x1b[4b é\x1b[b\n".as_bytes()), "aaaaa éé\n");
    assert_eq!(
        shown(b"\x1b[4b\x1b[31m\x1b[2bx\x1b[9999999999999999999bx\n"),
        "\x1b[31mxx\x1b[0m\n"
    );
}

#[test]
fn a_title_of_screen_is_left_out() {
    assert_eq!(shown(b"\x1bktitle\x1b\\hello\n"), "hello\n");
    assert_eq!(shown(b"\x1bktitle\nhello\n"), "\nhello\n");
}

#[test]
fn whatever_is_written_only_text_and_colours_are_passed_on() {
    let mut random = fastrand::Rng::with_seed(7);
    let parts: [&[u8]; 14] = [
        b"text", b"\x1b[", b"31", b";", b"m", b"\r", b"\n", b"\x1b]", b"\x07", b"H", b"\xc2",
        b"\x9b", b"\x1bP", b"\x08",
    ];
    for _ in 0..20_000 {
        let count = random.usize(0..12);
        let mut bytes: Vec<u8> =
            (0..count).flat_map(|_| *random.choice(&parts).unwrap()).copied().collect();
        bytes.push(random.u8(..));
        let mut filter = TerminalFilter::default();
        let mut text = filter.push(&bytes).to_vec();
        text.extend_from_slice(filter.finish());
        let text = String::from_utf8_lossy(&text).into_owned();
        let mut parts = text.split("\x1b[");
        let first = parts.next().unwrap();
        let is_text =
            |text: &str| !text.contains(|c: char| c.is_control() && c != '\n' && c != '\t');
        assert!(is_text(first), "{bytes:?}: {text:?}");
        for part in parts {
            let (code, rest) = part.split_once('m').expect("a colour");
            assert!(
                code.bytes().all(|b| b.is_ascii_digit() || b == b';') && is_text(rest),
                "{text:?}"
            );
        }
    }
}
