//! Which exits are followed by a new worker, as it is written in a `pm.toml` and on the command line.

use clap::ValueEnum;
use schemars::JsonSchema;

use crate::supervisor::Restart;

/// `always`, `on-failure` or `never`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, ValueEnum)]
#[schemars(rename_all = "kebab-case", inline)]
pub enum RestartWord {
    Always,
    OnFailure,
    Never,
}

impl RestartWord {
    /// All words, as they are written.
    pub const WRITTEN: [&str; 3] =
        [Self::Always.written(), Self::OnFailure.written(), Self::Never.written()];

    /// As it is written.
    pub const fn written(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::OnFailure => "on-failure",
            Self::Never => "never",
        }
    }

    /// The word that is written like this.
    pub fn read(written: &str) -> Option<Self> {
        Self::value_variants().iter().copied().find(|word| word.written() == written)
    }
}

impl From<RestartWord> for Restart {
    fn from(word: RestartWord) -> Self {
        match word {
            RestartWord::Always => Self::Always,
            RestartWord::OnFailure => Self::OnFailure,
            RestartWord::Never => Self::Never,
        }
    }
}

impl From<Restart> for RestartWord {
    fn from(restart: Restart) -> Self {
        match restart {
            Restart::Always => Self::Always,
            Restart::OnFailure => Self::OnFailure,
            Restart::Never => Self::Never,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_and_the_file_have_the_same_words() {
        let words = RestartWord::value_variants();
        assert_eq!(words.len(), RestartWord::WRITTEN.len());
        for (word, written) in words.iter().zip(RestartWord::WRITTEN) {
            assert_eq!(word.to_possible_value().unwrap().get_name(), written);
            assert_eq!(RestartWord::read(written), Some(*word));
            assert_eq!(RestartWord::from(Restart::from(*word)), *word);
        }
    }
}
