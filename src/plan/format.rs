//! Whether a file is a `pm.toml` or a Procfile: by its name, or by its text where the name does not tell.

use std::fmt;
use std::path::Path;

use toml::de::DeTable;

use super::is_name;

/// How a file is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    PmToml,
    Procfile,
}

/// A format that the name of the file does not tell. Its `Display` is a note that stands after the file's faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guess {
    pub format: Format,
    why: Why,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    /// It can be read as TOML.
    IsToml,
    /// More lines look like this format than like the other.
    MostLines,
    /// No line looks like the other format.
    NoOther,
}

impl Format {
    /// What the name tells: `x.toml`, `Procfile`, `Procfile.dev`, `dev.procfile`, in any case.
    pub fn by_name(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?.to_ascii_lowercase();
        let (first, last) = (name.split('.').next()?, name.rsplit('.').next()?);
        if last == "toml" {
            return Some(Self::PmToml);
        }
        [first, last].contains(&"procfile").then_some(Self::Procfile)
    }
}

impl Guess {
    /// What a text most likely is.
    pub fn of(text: &str) -> Self {
        if DeTable::parse(text).is_ok() {
            return Self { format: Format::PmToml, why: Why::IsToml };
        }
        let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
        let count = |is: fn(&str) -> bool| lines.clone().filter(|line| is(line)).count();
        let (toml, procfile) = (count(is_of_toml), count(is_of_procfile));
        let format = if toml > procfile { Format::PmToml } else { Format::Procfile };
        let why = if toml.min(procfile) == 0 { Why::NoOther } else { Why::MostLines };
        Self { format, why }
    }
}

/// `[pool.web]`, `command = "x"`.
fn is_of_toml(line: &str) -> bool {
    let key = line.split('=').next().filter(|key| key.len() < line.len());
    let is_key = |key: &str| {
        let key = key.trim();
        !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || "-_.'\"".contains(c))
    };
    (line.starts_with('[') && line.ends_with(']')) || key.is_some_and(is_key)
}

/// `web: ./server`.
fn is_of_procfile(line: &str) -> bool {
    line.split_once(':').is_some_and(|(name, _)| is_name(name))
}

impl fmt::Display for Guess {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = match (self.format, self.why) {
            (_, Why::IsToml) => "it is TOML",
            (Format::PmToml, Why::MostLines) => "most of its lines are like `key = value`",
            (Format::PmToml, Why::NoOther) => "no line of it is like `name: command`",
            (Format::Procfile, Why::MostLines) => "most of its lines are like `name: command`",
            (Format::Procfile, Why::NoOther) => "no line of it is like `key = value`",
        };
        match self.format {
            Format::PmToml => write!(
                out,
                "it was read as a pm.toml because {why}; the name of a Procfile begins with `Procfile`"
            ),
            Format::Procfile => {
                write!(
                    out,
                    "it was read as a Procfile because {why}; the name of a pm.toml ends in `.toml`"
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_the_format_or_does_not() {
        for (name, format) in [
            ("a/P.TOML", Some(Format::PmToml)),
            ("Procfile.toml", Some(Format::PmToml)),
            ("Procfile", Some(Format::Procfile)),
            ("Procfile.dev", Some(Format::Procfile)),
            ("dev.procfile", Some(Format::Procfile)),
            ("pm.toml.bak", None),
            ("/dev/stdin", None),
        ] {
            assert_eq!(Format::by_name(Path::new(name)), format, "{name}");
        }
    }

    #[test]
    fn a_text_is_what_most_of_its_lines_are() {
        for (text, format) in [
            ("pool.w.command = 'x'\n", Format::PmToml),
            ("pool = { w = { command = 'x' } }\n", Format::PmToml),
            ("[pool.w]\ncommand = 'x'\nports = 022\n", Format::PmToml),
            ("[pool.w\ncommand = x\n", Format::PmToml),
            ("web: serve\n[ -f x ]\n", Format::Procfile),
            ("web: serve\nworker: A=1 work\n# a = 1\n", Format::Procfile),
            ("web serve\n", Format::Procfile),
            ("serve\n", Format::Procfile),
            ("web: serve\nif $A = 1\n$A = 2\n", Format::Procfile),
            ("web: serve\n[ -f x ] && y\n[ -f y ] && z\n", Format::Procfile),
        ] {
            assert_eq!(Guess::of(text).format, format, "{text}");
        }
    }

    #[test]
    fn a_guess_says_why() {
        for (text, said) in [
            ("pool.w.command = 'x'\n", "as a pm.toml because it is TOML; "),
            ("a = x\n", "as a pm.toml because no line of it is like `name: command`; "),
            ("a = x\nb = x\nc: x\n", "because most of its lines are like `key = value`; "),
            ("a: x\n", "as a Procfile because no line of it is like `key = value`; "),
            ("a: x\nb: x\nc = x\n", "because most of its lines are like `name: command`; "),
        ] {
            let guess = Guess::of(text).to_string();
            assert!(guess.contains(said), "{text}: {guess}");
        }
    }
}
