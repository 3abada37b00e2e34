//! The name that was probably meant by a name that does not exist.

use std::fmt;

use super::phrase::list_or;

/// What to write instead of a name that does not exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Suggestion {
    /// This name: it is spelled almost the same.
    Meant(String),
    /// One of these names, or of as many `more`.
    OneOf { names: Vec<String>, more: usize },
}

impl Suggestion {
    /// The nearest of these names, or else all of them.
    pub fn of<'a>(written: &str, names: impl IntoIterator<Item = &'a str> + Clone) -> Self {
        // More than the keys of a pool, and not more than a few lines of a terminal.
        const NAMES_MAX: usize = 25;
        if let Some(name) = nearest(written, names.clone()) {
            return Self::Meant(name.to_owned());
        }
        let all = names.clone().into_iter().count();
        let names = names.into_iter().take(NAMES_MAX).map(str::to_owned).collect();
        Self::OneOf { names, more: all.saturating_sub(NAMES_MAX) }
    }
}

impl fmt::Display for Suggestion {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Meant(name) => write!(out, "did you mean `{name}`?"),
            Self::OneOf { names, more: 0 } => write!(out, "use {}", list_or(&quoted(names))),
            Self::OneOf { names, more } => {
                write!(out, "use {} or one of {more} others", quoted(names).join(", "))
            }
        }
    }
}

/// Each name in backticks.
pub fn quoted(names: &[impl AsRef<str>]) -> Vec<String> {
    names.iter().map(|name| format!("`{}`", name.as_ref())).collect()
}

/// The word among `words` that is nearest to `written`, if it is near enough to be meant.
pub fn nearest<'a>(written: &str, words: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Longer than every name of pm.
    const LENGTH_MAX: usize = 64;
    if written.len() > LENGTH_MAX {
        return None;
    }
    let lower = written.to_lowercase();
    let distance = |word: &&str| strsim::damerau_levenshtein(&lower, &word.to_lowercase());
    let nearest = words.into_iter().min_by_key(distance)?;
    // A third of the letters may differ, one in a short word, and never all of them.
    let letters = nearest.chars().count();
    let differing_max = (letters / 3).max(1).min(letters.saturating_sub(1));
    (distance(&nearest) <= differing_max).then_some(nearest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_word_is_near_and_another_word_is_not() {
        let words = ["restart", "ready", "rest", "cwd"];
        assert_eq!(nearest("restrat", words), Some("restart"));
        assert_eq!(nearest("Restart", words), Some("restart"));
        assert_eq!(nearest("cdw", words), Some("cwd"));
        assert_eq!(nearest("colour", words), None);
        assert_eq!(nearest("r", words), None);
        assert_eq!((nearest("N", ["n"]), nearest("x", ["n"])), (Some("n"), None));
        assert_eq!(nearest("rstrt", words), Some("restart"), "a third of the letters");
        let [long, longer] = [64, 65].map(|length| "a".repeat(length));
        assert_eq!((nearest(&long, [&*long]), nearest(&longer, [&*longer])), (Some(&*long), None));
    }

    #[test]
    fn the_nearest_name_is_suggested_or_else_all_names_up_to_a_bound() {
        let suggest =
            |written, names: &[&str]| Suggestion::of(written, names.iter().copied()).to_string();
        assert_eq!(suggest("pol", &["pool"]), "did you mean `pool`?");
        assert_eq!(suggest("x", &["web", "db"]), "use `web` or `db`");
        let many = suggest("x", &["web"; 30]);
        assert!(many.ends_with("`web` or one of 5 others"), "{many}");
    }
}
