//! Finds a `_` in a match on an enum of pm: a new variant would not be decided anywhere.

use std::collections::HashSet;

use syn::visit::{self, Visit};
use syn::{Arm, ExprMatch, Item, Pat};

use crate::Finding;
use crate::source::Source;

/// The names of the enums that these files declare.
pub fn enums(sources: &[Source]) -> HashSet<String> {
    let items = sources.iter().flat_map(|source| &source.syntax.items);
    let name =
        |item: &Item| if let Item::Enum(own) = item { Some(own.ident.to_string()) } else { None };
    items.filter_map(name).collect()
}

/// Each arm that is only `_`, with or without a guard, beside arms that name variants of these enums.
pub fn find_wildcards(source: &Source, enums: &HashSet<String>) -> Vec<Finding> {
    let mut matches = Matches(enums, Vec::new());
    matches.visit_file(&source.syntax);
    matches.1
}

struct Matches<'a>(&'a HashSet<String>, Vec<Finding>);

impl<'ast> Visit<'ast> for Matches<'_> {
    fn visit_expr_match(&mut self, found: &'ast ExprMatch) {
        if found.arms.iter().any(|arm| is_of(&arm.pat, self.0)) {
            let advice = "name each variant, so that a new one has to be decided";
            let lines = found.arms.iter().filter_map(wildcard);
            self.1.extend(lines.map(|line| (line, advice.into())));
        }
        visit::visit_expr_match(self, found);
    }
}

/// The line of an arm's `_`.
fn wildcard(arm: &Arm) -> Option<usize> {
    let pattern = if let Pat::Guard(guarded) = &arm.pat { &*guarded.pat } else { &arm.pat };
    let Pat::Wild(wild) = pattern else { return None };
    Some(wild.underscore_token.spans[0].start().line)
}

/// True for a pattern of a variant of one of these enums, or of several of them.
fn is_of(pattern: &Pat, enums: &HashSet<String>) -> bool {
    let path = match pattern {
        Pat::Or(or) => return or.cases.iter().any(|case| is_of(case, enums)),
        Pat::Tuple(tuple) => return tuple.elems.iter().any(|element| is_of(element, enums)),
        Pat::Guard(guarded) => return is_of(&guarded.pat, enums),
        Pat::Reference(reference) => return is_of(&reference.pat, enums),
        Pat::Path(path) => &path.path,
        Pat::TupleStruct(variant) => &variant.path,
        Pat::Struct(variant) => &variant.path,
        _ => return false,
    };
    let owner = path.segments.iter().rev().nth(1).map(|segment| segment.ident.to_string());
    owner.is_some_and(|owner| owner == "Self" || enums.contains(&owner))
}
