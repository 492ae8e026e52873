//! What kinds of statement a text of SQL holds, told so that no database reads another.
//!
//! No parser: databases differ, and what one takes for a text is a statement to another. The words outside of quotes are looked at, and whatever any dialect could read
//! differently (comments, backslashes, dollar quotes, a second statement, quotes inside of other quotes) has no kind. Every word that begins a statement somewhere
//! counts, wherever it stands: a `WITH` that deletes is a `delete`, and so is a column of that name outside of quotes.

use std::collections::BTreeSet;

/// Kinds of statements, each by the word that begins it. These count wherever they stand: some databases take statements without anything between them.
const ANYWHERE: [&str; 12] = [
    "alter", "create", "delete", "drop", "execute", "grant", "insert", "merge", "revoke", "select", "truncate",
    "update",
];

/// These count as the first word alone: elsewhere they are parts of other statements, and functions.
const FIRST: [&str; 17] = [
    "analyze", "begin", "call", "comment", "commit", "copy", "describe", "do", "explain", "load", "lock", "replace",
    "rollback", "set", "show", "vacuum", "values",
];

/// Words that begin what no rule can allow: they reach files and sessions, or run what is in a text.
const NEVER: [&str; 18] = [
    "attach", "backup", "bulk", "dbcc", "declare", "deny", "detach", "dumpfile", "exec", "handler", "kill", "outfile",
    "pragma", "prepare", "restore", "shutdown", "use", "waitfor",
];

/// Every kind, sorted.
pub(crate) fn all_kinds() -> Vec<&'static str> {
    let mut all: Vec<&str> = ANYWHERE.into_iter().chain(FIRST).collect();
    all.sort_unstable();
    all
}

/// Characters that some databases turn into an apostrophe where a text is narrowed to one of their older encodings.
const APOSTROPHES: [char; 5] = ['\u{2b9}', '\u{2bc}', '\u{2c8}', '\u{2032}', '\u{ff07}'];

/// The kinds of the one statement in `text`, sorted; at least one.
pub(crate) fn kinds(text: &str) -> Result<BTreeSet<&'static str>, &'static str> {
    let words = words(text)?;
    let mut found = BTreeSet::new();
    let mut before = "";
    for word in words.iter().map(String::as_str) {
        if NEVER.contains(&word) {
            return Err("a word that reaches beyond one statement");
        }
        found.extend(ANYWHERE.iter().find(|kind| **kind == word));
        // Where rows are put is part of these; anywhere else it makes a table.
        if word == "into" && !matches!(before, "insert" | "merge" | "replace" | "ignore" | "overwrite") {
            found.insert("create");
        }
        before = word;
    }
    let first = words.first().map(String::as_str).ok_or("no statement")?;
    found.extend(FIRST.iter().find(|kind| **kind == first));
    // `with` names what the statement after it reads; the kinds are that one's.
    let is_known = first == "with" || ANYWHERE.contains(&first) || FIRST.contains(&first);
    if is_known && !found.is_empty() { Ok(found) } else { Err("no statement that is known") }
}

/// The words outside of quotes, in lower case.
fn words(text: &str) -> Result<Vec<String>, &'static str> {
    if text.chars().any(|character| {
        (character.is_control() && !matches!(character, '\n' | '\r' | '\t')) || APOSTROPHES.contains(&character)
    }) {
        return Err("a control character, or one that some databases take for an apostrophe");
    }
    let text = text.trim();
    let text = text.strip_suffix(';').unwrap_or(text);
    let (mut words, mut word) = (Vec::new(), String::new());
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        let is_word = character.is_ascii_alphanumeric() || character == '_' || character == '@';
        if is_word {
            word.push(character.to_ascii_lowercase());
            continue;
        }
        let is_adjacent = !word.is_empty();
        if is_adjacent {
            words.push(std::mem::take(&mut word));
        }
        match character {
            '\'' | '"' | '`' if is_adjacent => return Err("a letter before a quote"),
            '\'' | '"' | '`' => quoted(character, &mut rest)?,
            '[' => bracketed(&mut rest)?,
            '-' if rest.peek() == Some(&'-') => return Err("a comment"),
            '/' if rest.peek() == Some(&'*') => return Err("a comment"),
            '#' => return Err("a comment"),
            '\\' => return Err("a backslash"),
            ';' => return Err("more than one statement"),
            '$' if !rest.peek().is_some_and(char::is_ascii_digit) => return Err("a quote between dollar signs"),
            '{' | '}' => return Err("an escape in braces"),
            _ if !character.is_ascii() => return Err("a character beyond ASCII outside of quotes"),
            _ => {}
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    Ok(words)
}

/// Reads to the end of what stands in quotes; a doubled one is part of it.
fn quoted(quote: char, rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<(), &'static str> {
    while let Some(character) = rest.next() {
        match character {
            '\\' => return Err("a backslash"),
            // To databases without this kind of quote its content is words and other quotes.
            '\'' | '"' | ';' | '-' | '/' | '#' if quote == '`' => return Err("a quote inside of other quotes"),
            '\'' if quote == '"' => return Err("a quote inside of other quotes"),
            _ if character != quote => {}
            _ if rest.peek() == Some(&quote) => drop(rest.next()),
            _ => return Ok(()),
        }
    }
    Err("a quote that does not end")
}

/// An index of an array to some, a quoted name to others: only what is harmless as both.
fn bracketed(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<(), &'static str> {
    for character in rest.by_ref() {
        match character {
            ']' => return Ok(()),
            _ if character.is_ascii_digit() || matches!(character, ' ' | ',' | ':') => {}
            _ => return Err("a name in square brackets"),
        }
    }
    Err("a quote that does not end")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_have_kinds() {
        for (text, expected) in [
            ("SELECT 1", "select"),
            ("  select name from customers where city = 'Ulm; DROP TABLE x' ;", "select"),
            ("SELECT \"delete\" FROM \"drop\"", "select"),
            ("SELECT a[1], b FROM t WHERE c = $1 AND d LIKE '%''%'", "select"),
            ("WITH t AS (SELECT 1) SELECT * FROM t", "select"),
            ("WITH gone AS (DELETE FROM t RETURNING *) SELECT * FROM gone", "delete,select"),
            ("SELECT * INTO copy_of_t FROM t", "create,select"),
            ("SELECT * FROM t FOR UPDATE", "select,update"),
            ("INSERT INTO t (a) VALUES (1)", "insert"),
            ("INSERT INTO t SELECT * FROM u", "insert,select"),
            ("EXPLAIN ANALYZE DELETE FROM t", "delete,explain"),
            ("drop\ttable\nt", "drop"),
            ("SELECT 1 DROP TABLE t", "drop,select"),
            ("UPDATE t SET a = replace(b, 'x', 'y')", "update"),
            ("set role admin", "set"),
        ] {
            let found: Vec<&str> = kinds(text).unwrap_or_else(|why| panic!("{text}: {why}")).into_iter().collect();
            assert_eq!(found.join(","), expected, "{text}");
        }
    }

    #[test]
    fn what_a_database_may_read_differently_has_no_kind() {
        for text in [
            "",
            ";",
            "SELECT 1; DROP TABLE t",
            "SELECT 1;;",
            "SELECT 1 -- '\n; DROP TABLE t",
            "SELECT /*! 1; DROP TABLE t */ 1",
            "SELECT 1 # '",
            "SELECT '\\'; DROP TABLE t; --'",
            "SELECT \"\\\"; DROP TABLE t\"",
            "SELECT $$'$$; DROP TABLE t; $$'$$",
            "SELECT $a$'$a$",
            "SELECT q'[it's]'",
            "SELECT E'a'",
            "SELECT [a'] FROM t WHERE b = '] ; DROP TABLE t'",
            "SELECT `a'` FROM t WHERE b = '`'",
            "SELECT \"a'\" FROM t",
            "SELECT 'open",
            "SELECT '\u{2bc} OR 1=1'",
            "SELECT 1\u{0}",
            "SELECT\u{a0}1",
            "PRAGMA writable_schema = 1",
            "ATTACH 'x' AS y",
            "EXEC xp_cmdshell 'dir'",
            "SELECT 1 INTO OUTFILE '/tmp/x'",
            "{call f()}",
            "hello",
            "INTO x",
            "WITH x",
        ] {
            assert!(kinds(text).is_err(), "{text:?} gives {:?}", kinds(text));
        }
    }
}
