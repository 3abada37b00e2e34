//! Words of a unit file: what systemd takes for its own is escaped (systemd.service(5), "COMMAND LINES";
//! systemd.syntax(7), "QUOTING").
//!
//! `%` begins a specifier, `$` a variable, a backslash an escape; words end at blanks unless they are quoted.

use crate::export::filled::Names;
use crate::plan::text::placeholders::Template;
use crate::plan::text::signal;

/// A word whose text is escaped and that is not yet quoted.
#[derive(Clone, Debug)]
pub struct Word {
    /// For a command, where `$` is doubled.
    command: String,
    /// For `Environment=`, where `$` means nothing.
    environment: String,
}

impl Word {
    pub fn text(text: &str) -> Self {
        Self { command: escaped(text).replace('$', "$$"), environment: escaped(text) }
    }

    /// With a specifier of systemd after it.
    pub fn and_raw(mut self, specifier: &str) -> Self {
        self.command += specifier;
        self.environment += specifier;
        self
    }

    /// With a text after it.
    pub fn and(self, text: &str) -> Self {
        let Self { command, environment } = Self::text(text);
        Self { command: self.command + &command, environment: self.environment + &environment }
    }

    /// With a template after it.
    pub fn and_value(mut self, template: &Template, names: &Names) -> Self {
        self.command += &names.fill(template, |text| Self::text(text).command);
        self.environment += &names.fill(template, escaped);
        self
    }

    /// Without quotes, for a part of a word of a command.
    pub fn inner(self) -> String {
        self.command
    }

    pub fn for_command(&self) -> String {
        quoted(&self.command)
    }

    pub fn for_environment(&self) -> String {
        quoted(&self.environment)
    }
}

/// The words of a command. systemd wants the program by its absolute path, or by a name that it searches: a relative
/// path starts in the folder that the command runs in.
pub fn program(command: &[Template], names: &Names, cwd: Option<&str>) -> Vec<String> {
    let inner = |template: &Template| Word::text("").and_value(template, names).inner();
    let mut words: Vec<_> = command.iter().map(inner).collect();
    let Some(first) = words.first_mut() else { return words };
    if let Some(cwd) = cwd.filter(|_| first.contains('/') && !first.starts_with('/')) {
        *first = format!("{cwd}/{}", first.trim_start_matches("./"));
    }
    // systemd takes these for its own at the start of a program.
    let is_prefixed = first.starts_with(['@', '-', ':', '+', '!', '|']);
    let mut words: Vec<_> = words.iter().map(|word| quoted(word)).collect();
    if is_prefixed {
        words.insert(0, "/usr/bin/env".to_owned());
    }
    words
}

/// A text on a line of its own, which is not taken apart: a path, a description.
pub fn in_line(text: &str) -> String {
    text.replace('%', "%%").replace('\n', " ")
}

/// The name of a signal, or its number (signal(7), real-time signals).
pub fn signal(number: i32) -> String {
    let name = signal::name(number);
    if name.starts_with("SIG") { name } else { number.to_string() }
}

fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '%' => escaped += "%%",
            '\\' => escaped += r"\\",
            '"' => escaped += "\\\"",
            '\n' => escaped += r"\n",
            '\t' => escaped += r"\t",
            c if c.is_ascii_control() => escaped += &format!("\\x{:02x}", u32::from(c)),
            c => escaped.push(c),
        }
    }
    escaped
}

/// In quotes unless it is one word without them.
fn quoted(escaped: &str) -> String {
    let is_plain = |c: char| !c.is_whitespace() && !matches!(c, '"' | '\'' | '\\' | ';');
    if !escaped.is_empty() && escaped.chars().all(is_plain) {
        escaped.to_owned()
    } else {
        format!("\"{escaped}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_systemd_takes_for_its_own_is_escaped() {
        for (text, command, environment) in [
            ("plain-1/a=b", "plain-1/a=b", "plain-1/a=b"),
            ("", "\"\"", "\"\""),
            ("a b", "\"a b\"", "\"a b\""),
            ("100%", "100%%", "100%%"),
            ("$HOME ${A}", "\"$$HOME $${A}\"", "\"$HOME ${A}\""),
            ("it's", "\"it's\"", "\"it's\""),
            ("say \"x\"", r#""say \"x\"""#, r#""say \"x\"""#),
            (r"a\nb", r#""a\\nb""#, r#""a\\nb""#),
            ("a\nb\x07", r#""a\nb\x07""#, r#""a\nb\x07""#),
            (";", "\";\"", "\";\""),
        ] {
            let word = Word::text(text);
            assert_eq!(
                (word.for_command().as_str(), word.for_environment().as_str()),
                (command, environment)
            );
        }
    }

    #[test]
    fn a_relative_program_starts_in_its_folder() {
        let names = Names {
            port: "%i".into(),
            slot: "web.%i".into(),
            n: "%i".into(),
            pool: "web".into(),
            dir: "/srv".into(),
        };
        let words =
            |text: &str| program(&[Template::literal(text)], &names, Some("/srv/app")).join(" ");
        assert_eq!(words("./serve"), "/srv/app/serve");
        assert_eq!(words("bin/serve"), "/srv/app/bin/serve");
        assert_eq!(words("serve"), "serve");
        assert_eq!(words("/bin/sh"), "/bin/sh");
        assert_eq!(words("-odd"), "/usr/bin/env -odd");
    }

    #[test]
    fn a_real_time_signal_has_a_number() {
        assert_eq!((signal(2), signal(34)), ("SIGINT".into(), "34".into()));
    }
}
