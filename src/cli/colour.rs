//! Whether to colour what is printed.

use std::io::{IsTerminal, stderr, stdout};

use super::args::Colouring;
use crate::reactor::Colour;

/// `--color` first, then NO_COLOR, CLICOLOR_FORCE and CLICOLOR, then whether it is a terminal that can.
pub fn decide(wish: Colouring) -> Colour {
    let decide = |is_terminal: bool| match wish {
        Colouring::Always => true,
        Colouring::Never => false,
        Colouring::Auto if anstyle_query::no_color() => false,
        Colouring::Auto if anstyle_query::clicolor_force() => true,
        Colouring::Auto => {
            is_terminal
                && anstyle_query::clicolor().unwrap_or(true)
                && anstyle_query::term_supports_color()
        }
    };
    Colour { stdout: decide(stdout().is_terminal()), stderr: decide(stderr().is_terminal()) }
}
