//! Whether the output is coloured.

use std::io::{IsTerminal, stderr, stdout};

use super::args::ColourChoice;
use crate::reactor::Colour;

/// `--color` decides first, then NO_COLOR, CLICOLOR_FORCE and CLICOLOR, then whether it is a terminal with colours.
pub fn decide(choice: ColourChoice) -> Colour {
    let decide = |is_terminal: bool| match choice {
        ColourChoice::Always => true,
        ColourChoice::Never => false,
        ColourChoice::Auto if anstyle_query::no_color() => false,
        ColourChoice::Auto if anstyle_query::clicolor_force() => true,
        ColourChoice::Auto => {
            is_terminal
                && anstyle_query::clicolor().unwrap_or(true)
                && anstyle_query::term_supports_color()
        }
    };
    Colour { stdout: decide(stdout().is_terminal()), stderr: decide(stderr().is_terminal()) }
}
