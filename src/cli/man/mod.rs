//! `pm man`: the pages of the manual, made of the command line, of its notes and of the schema of `pm.toml`.
//!
//! [`commands`] has pm(1) and a page for each command, [`file`] has pm.toml(5); [`sections`] are the sections of pm(1)
//! that no option has, and [`text`] turns our texts into roff.

mod commands;
mod file;
mod sections;
mod text;

use std::fs;
use std::io;
use std::path::Path;

use super::args::{ManArgs, PM_TOML_PAGE};
use super::{Ending, PrintError, args, say};

/// One page.
struct Page {
    /// As `pm man` takes it: `run`.
    name: String,
    /// Where it is among the pages of a system: `man1/pm-run.1`.
    path: String,
    /// roff, as man(7) has it.
    text: String,
}

/// Prints a page, or writes them all.
pub fn man(args: &ManArgs) -> Ending {
    let pages = match pages() {
        Ok(pages) => pages,
        Err(error) => return Ending::CannotPrint(PrintError::Stdout(error)),
    };
    if let Some(folder) = &args.out {
        return match write(&pages, folder) {
            Ok(()) => Ending::Done,
            Err(error) => Ending::CannotPrint(error),
        };
    }
    let name = args.page.as_deref().unwrap_or(commands::PM);
    let page = pages.iter().find(|page| page.name == name);
    say(&page.expect("the command line takes the names of pages only").text)
}

fn pages() -> io::Result<Vec<Page>> {
    let mut pm = args::command();
    pm.build();
    let mut pages = vec![Page {
        name: commands::PM.to_owned(),
        path: "man1/pm.1".to_owned(),
        text: commands::pm(&pm),
    }];
    for command in commands::own(&pm) {
        let name = command.get_name().to_owned();
        let path = format!("man1/pm-{name}.1");
        pages.push(Page { name, path, text: commands::command(command)? });
    }
    pages.push(Page {
        name: PM_TOML_PAGE.to_owned(),
        path: "man5/pm.toml.5".to_owned(),
        text: file::pm_toml(),
    });
    Ok(pages)
}

/// Writes the pages where man(1) looks for them below a folder.
fn write(pages: &[Page], folder: &Path) -> Result<(), PrintError> {
    for page in pages {
        let path = folder.join(&page.path);
        let parent = path.parent().expect("a page is in the folder of its section");
        fs::create_dir_all(parent)
            .map_err(|error| PrintError::Folder { path: parent.to_owned(), error })?;
        fs::write(&path, &page.text).map_err(|error| PrintError::File { path, error })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pm_man_takes_the_name_of_each_page_and_no_other() {
        let pm = args::command();
        let man = pm.find_subcommand("man").unwrap();
        let page = man.get_arguments().find(|arg| arg.get_id() == "page").unwrap();
        let taken = page.get_possible_values();
        let taken: Vec<_> = taken.iter().map(|value| value.get_name().to_owned()).collect();
        let pages: Vec<_> = pages().unwrap().into_iter().map(|page| page.name).collect();
        assert_eq!(taken, pages);
    }

    #[test]
    fn no_page_has_an_escape_sequence_or_a_left_over_placeholder() {
        for page in pages().unwrap() {
            assert!(!page.text.contains('\x1b'), "{}", page.path);
            assert!(page.text.is_ascii(), "{}", page.path);
        }
    }
}
