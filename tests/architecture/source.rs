//! Reads a file of Rust: its syntax tree, and every path in it. Items under `#[cfg(test)]` are left out.

use std::path::Path;

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use syn::Item;

/// A file of Rust, without what is compiled for tests only.
pub struct Source {
    /// From the root of the crate.
    pub path: String,
    pub text: String,
    /// The path of its module: `["sys", "spawn"]`. The module of `main.rs` is `main`, that of `lib.rs` is empty.
    pub module: Vec<String>,
    pub syntax: syn::File,
    /// Each path with its line, lists in braces taken apart; also `name!` and `.name`.
    pub names: Vec<(usize, String)>,
    /// The files that are declared by `#[cfg(test)] mod NAME;`, without their ending.
    tests: Vec<String>,
}

/// Every file of the program in a folder, or the one file.
pub fn sources(root: &str) -> Vec<Source> {
    let mut sources: Vec<_> =
        texts(root).into_iter().map(|(path, text)| Source::of(&path, &text)).collect();
    let tests: Vec<_> = sources.iter().flat_map(|source| source.tests.clone()).collect();
    sources.retain(|source| !tests.iter().any(|test| source.path.starts_with(test)));
    sources
}

/// The path and the text of every file in a folder, or of the one file; unit tests are among them.
pub fn texts(root: &str) -> Vec<(String, String)> {
    let mut paths = vec![root.to_owned()];
    let mut texts = Vec::new();
    while let Some(path) = paths.pop() {
        let full = Path::new(env!("CARGO_MANIFEST_DIR")).join(&path);
        if full.is_dir() {
            let entries = full
                .read_dir()
                .expect("a folder")
                .map(|entry| entry.expect("an entry").file_name());
            paths.extend(entries.map(|name| format!("{path}/{}", name.to_str().expect("UTF-8"))));
        } else if path.ends_with(".rs") {
            texts.push((path, std::fs::read_to_string(full).expect("UTF-8")));
        }
    }
    assert!(!texts.is_empty(), "there is no file in {root}: the rule would always hold");
    texts
}

impl Source {
    pub fn of(path: &str, text: &str) -> Self {
        let parts = path.trim_start_matches("src/").trim_end_matches(".rs").split('/');
        let module: Vec<_> =
            parts.filter(|part| !["mod", "lib"].contains(part)).map(Into::into).collect();
        let folder = path.trim_end_matches("mod.rs").trim_end_matches(".rs").trim_end_matches('/');
        let mut tests = Vec::new();
        let tokens = text.parse().unwrap_or_else(|error| panic!("{path}: {error}"));
        let tokens = without_tests(tokens, &mut tests);
        let tests = tests.into_iter().map(|name| format!("{folder}/{name}")).collect();
        let mut names = Vec::new();
        read_names(tokens.clone(), None, &mut names);
        let syntax = syn::parse2(tokens).unwrap_or_else(|error| panic!("{path}: {error}"));
        Self { path: path.into(), text: text.into(), module, syntax, names, tests }
    }

    /// This path from the root of the crate, unless it begins with a name that this file does not declare.
    pub fn absolute(&self, name: &str) -> Option<Vec<String>> {
        let (first, _) = name.split_once("::")?;
        let declares = |item: &Item| matches!(item, Item::Mod(module) if module.ident == first);
        let mut path = match first {
            "crate" | "pm" => Vec::new(),
            "self" | "super" => self.module.clone(),
            _ if self.syntax.items.iter().any(declares) => self.module.clone(),
            _ => return None,
        };
        for part in name.split("::") {
            match part {
                "crate" | "pm" | "self" | "*" => {}
                "super" => drop(path.pop()),
                part => path.push(part.to_owned()),
            }
        }
        Some(path)
    }
}

/// Leaves out each item under `#[cfg(test)]`, up to its braces or its semicolon. Notes the modules in other files.
fn without_tests(tokens: TokenStream, modules: &mut Vec<String>) -> TokenStream {
    let is_mark = |tree: Option<&TokenTree>| {
        tree.is_some_and(|tree| tree.to_string().replace(' ', "") == "[cfg(test)]")
    };
    let mut kept = Vec::new();
    let mut trees = tokens.into_iter().peekable();
    while let Some(tree) = trees.next() {
        if is_punct(Some(&tree), '#') && is_mark(trees.peek()) {
            let is_end = |tree: &TokenTree| {
                is_punct(Some(tree), ';')
                    || matches!(tree, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace)
            };
            // Its other attributes, doc comments among them, may come first.
            while let [.., mark, TokenTree::Group(_)] = kept.as_slice()
                && is_punct(Some(mark), '#')
            {
                kept.truncate(kept.len() - 2);
            }
            let mut item = Vec::new();
            while item.last().is_none_or(|tree| !is_end(tree)) {
                item.extend(trees.next());
            }
            if let [.., TokenTree::Ident(keyword), TokenTree::Ident(name), TokenTree::Punct(_)] =
                item.as_slice()
                && keyword == "mod"
            {
                modules.push(name.to_string());
            }
            if is_punct(trees.peek(), ';') {
                trees.next();
            }
        } else if let TokenTree::Group(group) = &tree {
            let mut inner = Group::new(group.delimiter(), without_tests(group.stream(), modules));
            inner.set_span(group.span());
            kept.push(inner.into());
        } else {
            kept.push(tree);
        }
    }
    kept.into_iter().collect()
}

/// Reads the paths in these tokens. `list` is the path before the braces of a `use` list.
fn read_names(tokens: TokenStream, list: Option<&str>, names: &mut Vec<(usize, String)>) {
    let trees: Vec<_> = tokens.into_iter().collect();
    let is = |at: usize, c: char| is_punct(trees.get(at), c);
    let mut at = 0;
    while at < trees.len() {
        let start = at;
        at += 1;
        match &trees[start] {
            TokenTree::Group(group) => read_names(group.stream(), None, names),
            TokenTree::Ident(ident) if list.is_none() || start == 0 || is(start - 1, ',') => {
                let line = ident.span().start().line;
                let mut name =
                    list.map_or(String::new(), |list| format!("{list}::")) + &ident.to_string();
                if start > 0 && is(start - 1, '.') {
                    name.insert(0, '.');
                }
                while is(at, ':') && is(at + 1, ':') {
                    match trees.get(at + 2) {
                        Some(TokenTree::Ident(next)) => name += &format!("::{next}"),
                        Some(TokenTree::Group(group)) => {
                            read_names(group.stream(), Some(&name), names)
                        }
                        Some(tree) if is_punct(Some(tree), '*') => name += "::*",
                        _ => break,
                    }
                    at += 3;
                }
                match trees.get(at) {
                    // `pub(super)` uses nothing.
                    Some(TokenTree::Group(_)) if name == "pub" => at += 1,
                    Some(TokenTree::Ident(next)) if name == "static" && next == "mut" => {
                        name += "_mut"
                    }
                    Some(tree) if is_punct(Some(tree), '!') => name.push('!'),
                    _ => {}
                }
                names.push((line, name));
            }
            _ => {}
        }
    }
}

fn is_punct(tree: Option<&TokenTree>, c: char) -> bool {
    matches!(tree, Some(TokenTree::Punct(punct)) if punct.as_char() == c)
}
