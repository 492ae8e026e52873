//! Every path that a Rust file names, `use` trees unfolded and `self` and `super` resolved.

use super::lex::Token;

/// One path, `["std", "time", "Instant"]` or `["crate", "decide", "Facet"]`. A glob ends in `*`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) path: Vec<String>,
    pub(super) line: u32,
    pub(super) test: bool,
}

/// The paths of two parts or more in `tokens`, the source of module `here`.
pub(super) fn paths(tokens: &[Token], here: &[&str]) -> Vec<Named> {
    let (mut found, mut inline, mut at) = (Vec::new(), InlineModules::default(), 0);
    while let Some(token) = tokens.get(at) {
        inline.see(tokens, at);
        let starts =
            token.is_name() && tokens.get(at + 1).is_some_and(|next| next.is("::")) && !follows_path(tokens, at);
        if !starts {
            at += 1;
            continue;
        }
        let mut unfolded = Vec::new();
        at = unfold(tokens, at, &mut Vec::new(), &mut unfolded);
        for named in &mut unfolded {
            if matches!(named.path.first().map(String::as_str), Some("self" | "super")) {
                named.path = resolve(&named.path, here, &inline.names());
            }
        }
        found.extend(unfolded.into_iter().filter(|named| named.path.len() > 1));
    }
    found
}

/// Whether the name at `at` continues a path or a `pub(in ...)`.
fn follows_path(tokens: &[Token], at: usize) -> bool {
    at.checked_sub(1).and_then(|before| tokens.get(before)).is_some_and(|before| before.is("::") || before.is("."))
}

/// Collects the paths of the tree that starts at `at` below `prefix`; returns one past its end.
fn unfold(tokens: &[Token], at: usize, prefix: &mut Vec<String>, found: &mut Vec<Named>) -> usize {
    let Some(token) = tokens.get(at) else { return at };
    if token.is("{") {
        return unfold_group(tokens, at + 1, prefix, found);
    }
    if !token.is_name() && !token.is("*") {
        return at;
    }
    prefix.push(token.text.clone());
    let end = if tokens.get(at + 1).is_some_and(|next| next.is("::")) && tokens.get(at + 2).is_some_and(continues) {
        unfold(tokens, at + 2, prefix, found)
    } else {
        found.push(Named { path: without_self(prefix), line: token.line, test: token.test });
        at + 1
    };
    prefix.pop();
    end
}

fn continues(token: &Token) -> bool {
    token.is_name() || token.is("*") || token.is("{")
}

fn unfold_group(tokens: &[Token], mut at: usize, prefix: &mut Vec<String>, found: &mut Vec<Named>) -> usize {
    while let Some(token) = tokens.get(at) {
        if token.is("}") {
            return at + 1;
        }
        let end = if continues(token) { unfold(tokens, at, prefix, found) } else { at + 1 };
        // `name as other` inside a group: the other name is no path.
        at = if tokens.get(end).is_some_and(|next| next.is("as")) { end + 2 } else { end.max(at + 1) };
    }
    at
}

/// `a::{self}` names `a`.
fn without_self(path: &[String]) -> Vec<String> {
    match path {
        [kept @ .., last] if last == "self" && !kept.is_empty() => kept.to_vec(),
        _ => path.to_vec(),
    }
}

fn resolve(path: &[String], here: &[&str], inline: &[String]) -> Vec<String> {
    let mut base: Vec<String> = here.iter().map(|part| (*part).to_owned()).chain(inline.iter().cloned()).collect();
    let mut rest = path;
    while let [first, after @ ..] = rest {
        match first.as_str() {
            "self" => {}
            "super" => {
                base.pop();
            }
            _ => break,
        }
        rest = after;
    }
    std::iter::once("crate".to_owned()).chain(base).chain(rest.iter().cloned()).collect()
}

/// The `mod name { ... }` blocks around the token at hand.
#[derive(Default)]
struct InlineModules {
    depth: i32,
    open: Vec<(String, i32)>,
}

impl InlineModules {
    fn see(&mut self, tokens: &[Token], at: usize) {
        let Some(token) = tokens.get(at) else { return };
        if token.is("{") {
            self.depth += 1;
            let before = at.checked_sub(2).and_then(|start| tokens.get(start..at));
            if let Some([keyword, name]) = before
                && keyword.is("mod")
            {
                self.open.push((name.text.clone(), self.depth));
            }
        } else if token.is("}") {
            self.open.retain(|(_, depth)| *depth < self.depth);
            self.depth -= 1;
        }
    }

    fn names(&self) -> Vec<String> {
        self.open.iter().map(|(name, _)| name.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::lex::lex;
    use super::*;

    fn check(text: &str, want: &[&str]) {
        let found: Vec<String> =
            paths(&lex(text), &["decide", "facets"]).into_iter().map(|named| named.path.join("::")).collect();
        assert_eq!(found, want, "{text}");
    }

    #[test]
    fn use_trees_unfold() {
        check(
            "use std::{fs, time::{Duration, Instant as Now}, io::{self, Read}};",
            &["std::fs", "std::time::Duration", "std::time::Instant", "std::io", "std::io::Read"],
        );
    }

    #[test]
    fn self_and_super_are_resolved_against_the_module() {
        check(
            "use super::Cedar; fn a() { self::b(); super::super::record::draft() } use crate::call::*;",
            &["crate::decide::Cedar", "crate::decide::facets::b", "crate::record::draft", "crate::call::*"],
        );
    }

    #[test]
    fn an_inline_module_is_one_level_deeper() {
        check(
            "mod tests { use super::*; fn a() { super::super::b() } } use super::c;",
            &["crate::decide::facets::*", "crate::decide::b", "crate::decide::c"],
        );
    }

    #[test]
    fn calls_and_generics_end_a_path() {
        check("Vec::<std::fs::File>::new(); a.b::<u8>(); x::Y { z: w::V }", &["std::fs::File", "x::Y", "w::V"]);
    }
}
