//! What somebody meant who wrote something else.

/// The word among `words` that is nearest to `written`, if one is near enough to be meant.
pub fn nearest<'a>(written: &str, words: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A third of it may be wrong. Beyond a screen's width nobody has written one of our words.
    const LENGTH_MAX: usize = 64;
    if written.len() > LENGTH_MAX {
        return None;
    }
    let lower = written.to_lowercase();
    let distance = |word: &&str| strsim::damerau_levenshtein(&lower, &word.to_lowercase());
    let nearest = words.into_iter().min_by_key(distance)?;
    let letters = nearest.chars().count();
    let may_be_wrong = (letters / 3).max(1).min(letters.saturating_sub(1));
    (distance(&nearest) <= may_be_wrong).then_some(nearest)
}

/// `a`, `b` and `c`, each in backticks.
pub fn listed<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let words: Vec<_> = words.into_iter().map(|word| format!("`{word}`")).collect();
    match words.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [several @ .., last] => format!("{} and {last}", several.join(", ")),
    }
}

/// "did you mean" the nearest of these words, or else which there are.
pub fn advice<'a>(written: &str, words: impl IntoIterator<Item = &'a str> + Clone) -> String {
    match nearest(written, words.clone()) {
        Some(word) => format!("did you mean `{word}`?"),
        None => format!("there is {}", listed(words)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_near_and_another_word_is_not() {
        let words = ["restart", "ready", "rest", "cwd"];
        assert_eq!(nearest("restrat", words), Some("restart"));
        assert_eq!(nearest("Restart", words), Some("restart"));
        assert_eq!(nearest("cdw", words), Some("cwd"));
        assert_eq!(nearest("colour", words), None);
        assert_eq!(nearest("r", words), None);
        assert_eq!((nearest("N", ["n"]), nearest("x", ["n"])), (Some("n"), None));
    }

    #[test]
    fn words_are_listed_with_an_and() {
        assert_eq!(listed(["a", "b", "c"]), "`a`, `b` and `c`");
        assert_eq!(advice("x", ["pool"]), "there is `pool`");
    }
}
