//! Finds comparisons with text of words: a program that decides by them breaks when a sentence is reworded.

use std::collections::HashSet;

use proc_macro2::TokenStream;
use syn::punctuated::Punctuated;
use syn::visit::{self, Visit};
use syn::{BinOp, Expr, ExprBinary, ExprMethodCall, Item, Lit, Macro, Pat, Token};

use crate::Finding;
use crate::source::Source;

/// Methods that compare text or search in it.
const METHODS: &str = "contains starts_with ends_with find rfind strip_prefix strip_suffix split_once rsplit_once split \
                       matches trim_start_matches trim_end_matches eq eq_ignore_ascii_case";

/// Each comparison with a text that has a space, and with what `to_string` or `format!` has made.
pub fn find(source: &Source) -> Vec<Finding> {
    struct Comparisons(HashSet<String>, Vec<Finding>);
    impl Comparisons {
        fn note(&mut self, line: usize) {
            self.1.push((line, "compare a kind (an enum, an errno), not a text".into()));
        }
    }
    impl<'ast> Visit<'ast> for Comparisons {
        fn visit_expr_method_call(&mut self, call: &'ast ExprMethodCall) {
            if METHODS.split_whitespace().any(|method| call.method == method) {
                let mut sides = std::iter::once(&*call.receiver).chain(&call.args);
                if is_rendered(&call.receiver) || sides.any(|side| is_english(side, &self.0)) {
                    self.note(call.method.span().start().line);
                }
            }
            visit::visit_expr_method_call(self, call);
        }
        fn visit_expr_binary(&mut self, binary: &'ast ExprBinary) {
            if let BinOp::Eq(syn::token::EqEq { spans }) | BinOp::Ne(syn::token::Ne { spans }) =
                &binary.op
            {
                let sides = [&*binary.left, &*binary.right];
                if sides.iter().any(|side| is_rendered(side) || is_english(side, &self.0)) {
                    self.note(spans[0].start().line);
                }
            }
            visit::visit_expr_binary(self, binary);
        }
        fn visit_pat(&mut self, pattern: &'ast Pat) {
            if let Pat::Lit(literal) = pattern
                && has_words(&literal.lit)
            {
                self.note(literal.lit.span().start().line);
            }
            visit::visit_pat(self, pattern);
        }
        fn visit_macro(&mut self, found: &'ast Macro) {
            if found.path.is_ident("matches") {
                let parts = |input: syn::parse::ParseStream| {
                    let (value, _): (Expr, Token![,]) = (input.parse()?, input.parse()?);
                    Ok((
                        value,
                        Pat::parse_multi_with_leading_vert(input)?,
                        input.parse::<TokenStream>()?,
                    ))
                };
                if let Ok((value, pattern, _)) = found.parse_body_with(parts) {
                    self.visit_expr(&value);
                    self.visit_pat(&pattern);
                }
            } else if let Ok(values) =
                found.parse_body_with(Punctuated::<Expr, Token![,]>::parse_terminated)
            {
                values.iter().for_each(|value| self.visit_expr(value));
            }
        }
    }
    let constant = |item: &Item| match item {
        Item::Const(item) if is_english(&item.expr, &HashSet::new()) => {
            Some(item.ident.to_string())
        }
        Item::Static(item) if is_english(&item.expr, &HashSet::new()) => {
            Some(item.ident.to_string())
        }
        _ => None,
    };
    let constants = source.syntax.items.iter().filter_map(constant).collect();
    let mut comparisons = Comparisons(constants, Vec::new());
    comparisons.visit_file(&source.syntax);
    comparisons.1
}

/// True for a text of words: it has a space and at least two letters.
fn has_words(literal: &Lit) -> bool {
    let text = match literal {
        Lit::Str(text) => text.value(),
        Lit::ByteStr(text) => String::from_utf8_lossy(&text.value()).into_owned(),
        _ => return false,
    };
    text.contains(' ') && text.chars().filter(|c| c.is_alphabetic()).count() >= 2
}

/// True for a text of words, a list with one, or a constant that is one.
fn is_english(expression: &Expr, constants: &HashSet<String>) -> bool {
    match expression {
        Expr::Lit(literal) => has_words(&literal.lit),
        Expr::Reference(inner) => is_english(&inner.expr, constants),
        Expr::Paren(inner) => is_english(&inner.expr, constants),
        Expr::Array(array) => array.elems.iter().any(|element| is_english(element, constants)),
        Expr::Path(path) => path
            .path
            .segments
            .last()
            .is_some_and(|name| constants.contains(&name.ident.to_string())),
        _ => false,
    }
}

/// True for what was made with `to_string` or `format!`, directly or through other methods.
fn is_rendered(expression: &Expr) -> bool {
    match expression {
        Expr::MethodCall(call) => call.method == "to_string" || is_rendered(&call.receiver),
        Expr::Macro(made) => made.mac.path.is_ident("format"),
        Expr::Reference(inner) => is_rendered(&inner.expr),
        Expr::Paren(inner) => is_rendered(&inner.expr),
        _ => false,
    }
}
