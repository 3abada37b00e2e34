//! `pm schema`, `pm completions` and `pm man`: what is made of the command line and of the types of `pm.toml`.

use std::io;

use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;

use super::args::Args;
use super::{Ending, say};
use crate::plan::pm_toml;

/// The JSON schema of `pm.toml`.
pub fn schema() -> Ending {
    say(&format!("{:#}\n", pm_toml::schema()))
}

/// A script that lets a shell complete pm's command line.
pub fn completions(shell: Shell) -> Ending {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "pm", &mut script);
    say(&String::from_utf8_lossy(&script))
}

/// The manual page, with all commands on it.
pub fn man() -> Ending {
    match page() {
        Ok(page) => say(&String::from_utf8_lossy(&page)),
        Err(error) => Ending::Unsaid(error),
    }
}

fn page() -> io::Result<Vec<u8>> {
    let mut pm = Args::command();
    pm.build();
    let mut page = Vec::new();
    let main = Man::new(pm.clone());
    main.render_title(&mut page)?;
    main.render_name_section(&mut page)?;
    main.render_synopsis_section(&mut page)?;
    main.render_description_section(&mut page)?;
    // Its options are those of `pm run`, which come next.
    for command in pm.get_subcommands().filter(|command| command.get_name() != "help") {
        render_command(command, &mut page)?;
    }
    main.render_extra_section(&mut page)?;
    main.render_version_section(&mut page)?;
    // clap needs an escape sequence where a help text has `{n}`.
    Ok(String::from_utf8_lossy(&page).replace("\x1b[0m", "").into_bytes())
}

/// A section for one command: what has sections of its own on a page of its own has subsections here.
fn render_command(command: &Command, page: &mut Vec<u8>) -> io::Result<()> {
    let man = Man::new(command.clone());
    let mut section = Vec::new();
    man.render_synopsis_section(&mut section)?;
    man.render_description_section(&mut section)?;
    man.render_options_section(&mut section)?;
    man.render_extra_section(&mut section)?;
    let section = String::from_utf8_lossy(&section).replace("\n.SH ", "\n.SS ");
    let section = section.strip_prefix(".SH ").map(|rest| format!(".SS {rest}")).unwrap_or(section);
    page.extend(format!(".SH PM {}\n", command.get_name().to_uppercase()).into_bytes());
    page.extend(section.into_bytes());
    Ok(())
}
