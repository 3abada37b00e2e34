//! Options: which are refused, beside each other or beside the file, and which win over it.

use crate::{Folder, RIGHT};

#[test]
fn only_pools_and_slots_that_are_there_can_be_shown() {
    let folder = Folder::with(&[("pm.toml", RIGHT)]);
    folder
        .pm(&["run", "--log", "wbe"])
        .refuses("`--log wbe`: there is no pool or slot `wbe`; did you mean `web`?");
    folder.pm(&["--log", "web.1,web.3"]).refuses("no pool or slot `web.3`; did you mean `web.");
    folder.pm(&["--log", "jobs"]).refuses("use `web`, `web.1` or `web.2`");
    folder.pm(&["--json", "--timestamps"]).refuses("cannot be used with");
    folder.pm(&["run", "--init", "-q", "--", "true"]).refuses("cannot be used with");
}

#[test]
fn a_command_line_that_is_wrong_is_refused_in_words_of_pm() {
    let folder = Folder::with(&[]);
    folder.pm(&["chekc"]).refuses("there is no command `chekc`; did you mean `check`?");
    folder.pm(&["--grace", "-5s"]).refuses("`-5s` is not a duration; write it like `5s`");
    let zero = ["run", "--give-up-after", "0", "--", "x"];
    folder.pm(&zero).refuses("give 1 or more; without the option pm never gives up");
}

#[test]
fn an_option_that_makes_a_key_of_the_file_useless_is_refused() {
    let text = "[pool.job]\ncommand = 'true'\nrestart = 'on-failure'\nready = { exit = true }\n\
                [pool.web]\ncommand = 'true'\nrestart = 'never'\nstop = { signal = 'INT' }\n\
                [pool.app]\ncommand = 'true'\nbackoff = { first = '1s' }\n";
    let folder = Folder::with(&[("pm.toml", text)]);
    folder.pm(&["--restart", "always"]).refuses("would run the job `job` again and again");
    folder.pm(&["--restart", "never"]).refuses("`backoff` of `app` has no effect");
    folder.pm(&["--grace", "0s"]).refuses("the stop signal of `web` is never sent");
    let both =
        ["run", "--restart", "never", "--give-up-after", "2", "--workers", "1", "--", "true"];
    folder.pm(&both).refuses("`--give-up-after` has no effect");
}

#[test]
fn a_run_exits_with_a_pool_that_there_is_and_that_is_not_always_restarted() {
    let text = "[pool.tests]\ncommand = 'exit 3'\n[pool.web]\ncommand = 'exec sleep 60'\n\
                [pool.tried]\ncommand = 'exit 5'\nbackoff = { first = '1s' }\n";
    let folder =
        Folder::with(&[("pm.toml", text), ("Procfile", "job: exit 4\nweb: exec sleep 60\n")]);
    folder.pm(&["--exit-with", "test"]).refuses("there is no such pool; did you mean `tests`?");
    folder.pm(&["--exit-with", "x"]).refuses("use `tests`, `web` or `tried`");
    let always = ["--exit-with", "tests", "--restart", "always"];
    folder.pm(&always).refuses("`--restart always` would run `tests` again and again");
    folder
        .pm(&["--exit-with", "tried"])
        .refuses("`tried` is not restarted, and its `backoff` has no effect");
    let none = ["-f", "Procfile", "-m", "web=1", "--exit-with", "job"];
    folder.pm(&none).refuses("`--exit-with job`: there is no such pool; use `web`");
    assert_eq!(folder.pm(&["--exit-with", "tests"]).status, Some(3));
    assert_eq!(folder.pm(&["-f", "Procfile", "--exit-with", "job"]).status, Some(4));
    let command = [
        "run",
        "--exit-with",
        "job",
        "--name",
        "job",
        "--workers",
        "1",
        "--",
        "sh",
        "-c",
        "exit 6",
    ];
    assert_eq!(folder.pm(&command).status, Some(6));
}

#[test]
fn options_win_over_the_file() {
    let text = "[pool.a]\ncommand = 'exit 7'\nrestart = 'always'\n";
    let folder =
        Folder::with(&[("pm.toml", text), ("Procfile", "a: exit $((PORT - 6000))\nb: true\n")]);
    assert_eq!(folder.pm(&["--restart", "never"]).status, Some(7));
    let scaled = ["-f", "Procfile", "-m", "a=1", "--port", "6003", "--restart", "never"];
    assert_eq!(folder.pm(&scaled).status, Some(3));
    assert_eq!(folder.pm(&["--give-up-after", "2"]).status, Some(1));
}
