//! What a command under `--init` inherits: streams, descriptors, the signal mask and dispositions.

use super::*;

#[test]
fn stdin_and_stdout_are_passed_on_byte_by_byte() {
    let bytes: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..)).take(1 << 20).collect();
    let (_, mut command) = command(&[], &[], &["cat"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("pm");
    let mut stdin = child.stdin.take().expect("a pipe");
    let mut stdout = child.stdout.take().expect("a pipe");
    let mut echoed = Vec::new();
    thread::scope(|scope| {
        let bytes = &bytes;
        scope.spawn(move || stdin.write_all(bytes).expect("a reader"));
        stdout.read_to_end(&mut echoed).expect("an end");
    });
    assert!(child.wait().expect("a child").success());
    assert!(echoed == bytes, "{} bytes came back", echoed.len());
}

#[test]
fn an_inherited_descriptor_is_passed_on() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), "from nine\n").expect("a file");
    let open = format!("exec 9< {}; exec \"$0\" \"$@\"", file.path().display());
    let mut init = Init::after(&["sh", "-c", &open], &["sh", "-c", "cat <&9"]);
    init.wait_silent_exit(0);
    assert_eq!(init.prints.all_to_the_end(), ["from nine"]);
}

#[test]
fn the_command_has_the_signal_mask_and_dispositions_that_pm_was_started_with() {
    let env = ["env", "--block-signal=USR1,HUP", "--ignore-signal=USR2,PIPE,TTOU"];
    let show = ["grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"];
    for env in [&env[..], &env[..1], &["env", "--default-signal"]] {
        let without = Command::new(env[0]).args(&env[1..]).args(show).output().expect("env");
        let mut init = Init::after(env, &show);
        init.wait_silent_exit(0);
        let without = String::from_utf8(without.stdout).expect("text");
        assert_eq!(init.prints.all_to_the_end(), without.lines().collect::<Vec<_>>(), "{env:?}");
    }
}
