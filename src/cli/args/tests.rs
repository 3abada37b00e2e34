use super::*;

fn read(argv: &[&str]) -> Result<Command, clap::Error> {
    super::read(argv.iter().map(Into::into))
}

fn refused(argv: &[&str]) -> String {
    read(argv).unwrap_err().to_string()
}

#[test]
fn the_command_line_is_consistent() {
    command().debug_assert();
}

#[test]
fn pm_without_a_command_is_pm_run() {
    for argv in [["pm", "--grace=2s"].as_slice(), &["pm", "run", "--grace=2s"]] {
        let Command::Run(run) = read(argv).unwrap() else { panic!("{argv:?}") };
        assert_eq!(run.grace, Some(Duration::from_secs(2)));
    }
}

#[test]
fn a_wrong_option_is_refused_with_the_right_one() {
    let backwards = refused(&["pm", "run", "--ports", "8082-8080", "--", "job"]);
    assert!(backwards.contains("did you mean `8080-8082`?"), "{backwards}");
    let no_unit = refused(&["pm", "--grace", "5"]);
    assert!(no_unit.contains("did you mean `5s`?"), "{no_unit}");
    let typo = refused(&["pm", "run", "--port", "8080", "--", "job"]);
    assert!(typo.contains("did you mean `--ports 8080`?"), "{typo}");
    let both = refused(&["pm", "run", "--ports", "1", "--workers", "2", "--", "job"]);
    assert!(both.contains("cannot be used with"), "{both}");
    let init = refused(&["pm", "run", "--init", "--workers", "2", "--", "job"]);
    assert!(init.contains("cannot be used with"), "{init}");
    let file = refused(&["pm", "run", "-f", "Procfile", "--", "job"]);
    assert!(file.contains("cannot be used with"), "{file}");
    let no_command = refused(&["pm", "run", "--ports", "8080"]);
    assert!(no_command.contains("<CMD>"), "{no_command}");
    let page = refused(&["pm", "man", "chek"]);
    assert!(page.contains("a similar value exists: 'check'"), "{page}");
}

#[test]
fn help_has_a_command_of_its_own() {
    for argv in [["pm", "help", "run"].as_slice(), &["pm", "run", "--help"]] {
        let help = read(argv).unwrap_err();
        assert_eq!(help.kind(), ErrorKind::DisplayHelp);
        assert!(help.to_string().contains("Usage: pm run"), "{help}");
    }
    assert!(read(&["pm", "help"]).unwrap_err().to_string().contains("  check "));
}

#[test]
fn each_help_fits_a_screen_and_shows_what_to_type() {
    let mut pm = command();
    pm.build();
    for mut command in std::iter::once(pm.clone()).chain(pm.get_subcommands().cloned()) {
        let help = command.render_help().to_string();
        assert!(help.lines().count() <= 47, "{help}");
        assert!(help.lines().all(|line| line.chars().count() <= 100), "{help}");
    }
    assert!(pm.render_help().to_string().contains("{n}"));
}

#[test]
fn a_help_names_the_defaults_that_hold() {
    let mut pm = command();
    let help = pm.find_subcommand_mut("run").unwrap().render_help().to_string();
    for default in ["[default: 5s]", "[default: always]", "[default: never]", "or 5000]"] {
        assert!(help.contains(default), "{default}\n{help}");
    }
}

#[test]
fn a_help_names_each_value_that_an_option_takes() {
    for command in command().get_subcommands() {
        // The pages of the manual are the commands: their list is the help of pm.
        for arg in command.get_arguments().filter(|arg| arg.get_id() != "page") {
            let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
            for value in arg.get_possible_values() {
                let is_flag = !arg.get_action().takes_values();
                assert!(is_flag || help.contains(value.get_name()), "{arg}: {help}");
            }
        }
    }
}

#[test]
fn the_readme_has_each_command_and_each_option_of_pm_run() {
    let readme = include_str!("../../../README.md");
    let pm = command();
    for command in pm.get_subcommands().map(clap::Command::get_name) {
        assert!(readme.contains(&format!("pm {command} ")), "pm {command}");
    }
    let run = pm.find_subcommand("run").unwrap();
    for long in run.get_arguments().filter_map(clap::Arg::get_long) {
        assert!(readme.contains(&format!("`--{long}")), "--{long}");
    }
}

#[test]
fn each_command_has_its_notes() {
    for command in command().get_subcommands() {
        let after_help = command.get_after_help().map(ToString::to_string);
        let notes = notes::of(command.get_name()).after_help().replace("\x1b[0m", "");
        assert_eq!(after_help.unwrap_or_default(), notes, "{}", command.get_name());
        assert!(!notes.is_empty(), "{}", command.get_name());
    }
}
