//! The words of a command line, as every POSIX shell reads them; and patterns that they are held to.
//!
//! What a shell expands, redirects, joins or comments (RFC: POSIX.1-2024, Shell Command Language, 2.2 to 2.6) has no words: whoever runs the text without a shell and
//! whoever runs it with one must do the same.

use std::fmt::{self, Display};
use std::sync::Arc;

use super::spelling::ambiguity;
use crate::limits::LIST_ELEMENTS_MAX;

/// A command line whose words are given, but for some.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct CommandPattern {
    words: Vec<Word>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Word {
    /// Any one word that is no option.
    Any,
    /// This word.
    Exact(Arc<str>),
    /// Any further words, none an option. The last one.
    Rest,
}

impl CommandPattern {
    /// Reads `git log * --oneline **`.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let mut read = Vec::new();
        for word in text.split(' ') {
            read.push(match word {
                "" => return Err("more than one space between words"),
                "*" => Word::Any,
                "**" => Word::Rest,
                word if word.contains('*') => return Err("a wildcard stands for whole words"),
                word if words(&format!("x {word}"))? == ["x", word] => Word::Exact(word.into()),
                _ => return Err("a word in quotes"),
            });
        }
        match read.split_last() {
            Some((_, before)) if before.contains(&Word::Rest) => {
                Err("`**` stands for all further words, so it is the last one")
            }
            _ if !matches!(read.first(), Some(Word::Exact(program)) if !program.contains('=')) => {
                Err("it does not begin with a program")
            }
            _ => Ok(Self { words: read }),
        }
    }

    pub(crate) fn matches(&self, words: &[String]) -> bool {
        let mut left = words.iter();
        for word in &self.words {
            let is_it = match word {
                Word::Rest => return left.all(|word| !is_option(word)),
                Word::Any => left.next().is_some_and(|word| !is_option(word)),
                Word::Exact(exact) => left.next().is_some_and(|word| **word == **exact),
            };
            if !is_it {
                return false;
            }
        }
        left.next().is_none()
    }

    /// Whether every command line of `narrow` is one of this.
    pub(crate) fn holds(&self, narrow: &Self) -> bool {
        let mut left = narrow.words.iter();
        let is_plain = |word: &Word| match word {
            Word::Any | Word::Rest => true,
            Word::Exact(exact) => !is_option(exact),
        };
        for word in &self.words {
            let is_held = match (word, left.as_slice().first()) {
                (Word::Rest, _) => return left.all(is_plain),
                (Word::Any, Some(Word::Rest)) => false,
                (Word::Any, Some(other)) => is_plain(other),
                (Word::Exact(_), Some(other)) => word == other,
                (Word::Any | Word::Exact(_), None) => false,
            };
            if !is_held {
                return false;
            }
            left.next();
        }
        left.next().is_none()
    }

    /// A command line that it allows.
    pub(crate) fn example(&self) -> String {
        let words = self.words.iter().filter_map(|word| match word {
            Word::Any => Some("example"),
            Word::Exact(word) => Some(&**word),
            Word::Rest => None,
        });
        words.collect::<Vec<_>>().join(" ")
    }
}

impl Display for CommandPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, word) in self.words.iter().enumerate() {
            let before = if at == 0 { "" } else { " " };
            match word {
                Word::Any => write!(f, "{before}*")?,
                Word::Exact(word) => write!(f, "{before}{word}")?,
                Word::Rest => write!(f, "{before}**")?,
            }
        }
        Ok(())
    }
}

fn is_option(word: &str) -> bool {
    word.starts_with('-') || word.is_empty()
}

/// The words of `text`; at least one.
pub(crate) fn words(text: &str) -> Result<Vec<String>, &'static str> {
    if ambiguity(text).is_some() {
        return Err("a line break, or a control, invisible or look-alike character");
    }
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for character in text.chars() {
        match (quote, character) {
            (Some(open), _) if character == open => quote = None,
            (Some('"'), '$' | '`' | '\\' | '!') => return Err("something that a shell expands"),
            (Some(_), _) => word.get_or_insert_default().push(character),
            (None, '\'' | '"') => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (None, ' ') => words.extend(word.take()),
            (None, '-' | '_' | '.' | '/' | ',' | ':' | '@' | '%' | '+' | '=') => {
                word.get_or_insert_default().push(character)
            }
            (None, _) if character.is_alphanumeric() => word.get_or_insert_default().push(character),
            (None, _) => return Err("something that a shell expands, redirects or joins"),
        }
        if words.len() > LIST_ELEMENTS_MAX {
            return Err("more words than the rules look at");
        }
    }
    if quote.is_some() {
        return Err("a quote that does not end");
    }
    words.extend(word);
    match words.first() {
        None => Err("no command"),
        Some(program) if program.contains('=') || program.is_empty() => Err("a variable where the program belongs"),
        Some(_) => Ok(words),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_what_every_shell_reads() {
        for (text, expected) in [
            ("git status", vec!["git", "status"]),
            ("  git   log --oneline  ", vec!["git", "log", "--oneline"]),
            ("grep 'a b;c' \"d e\"f", vec!["grep", "a b;c", "d ef"]),
            ("touch ''", vec!["touch", ""]),
        ] {
            assert_eq!(words(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn what_a_shell_acts_on_has_no_words() {
        for text in [
            "",
            " ",
            "ls; rm -rf /",
            "ls && rm x",
            "ls | sh",
            "ls > x",
            "ls < x",
            "ls &",
            "$(rm x)",
            "`rm x`",
            "ls $HOME",
            "ls \"$HOME\"",
            "ls \"`x`\"",
            "ls ~",
            "ls *",
            "ls ?",
            "ls [a]",
            "ls {a,b}",
            "ls # x",
            "ls \\; rm",
            "A=b ls",
            "ls\nrm x",
            "ls 'open",
            "ls \"a!b\"",
            "ls (a)",
            "ls\u{200b}",
            "ls ^x",
            "''",
        ] {
            assert!(words(text).is_err(), "{text:?} gives {:?}", words(text));
        }
    }

    #[test]
    fn patterns_match_whole_lines_and_never_options() {
        for (pattern, line, matches) in [
            ("git status", "git status", true),
            ("git status", "git status .", false),
            ("git log *", "git log main", true),
            ("git log *", "git log --output=x", false),
            ("git log *", "git log", false),
            ("git log --oneline **", "git log --oneline a b", true),
            ("git log --oneline **", "git log --oneline", true),
            ("git log --oneline **", "git log --oneline a --output=x", false),
            ("ls **", "ls ''", false),
            ("git log *", "git -c core.pager=x log", false),
        ] {
            let pattern = CommandPattern::parse(pattern).unwrap();
            assert_eq!(pattern.matches(&words(line).unwrap()), matches, "{pattern} {line}");
        }
        for pattern in ["", "*", "** x", "ls ** x", "ls a*", "ls $x", "ls;rm"] {
            assert!(CommandPattern::parse(pattern).is_err(), "{pattern}");
        }
    }

    #[test]
    fn patterns_hold_what_they_say() {
        for (wide, narrow, holds) in [
            ("ls **", "ls", true),
            ("ls **", "ls a", true),
            ("ls **", "ls * **", true),
            ("ls **", "ls -l", false),
            ("ls *", "ls a", true),
            ("ls *", "ls **", false),
            ("ls *", "ls", false),
            ("ls a", "ls *", false),
            ("ls a", "ls a", true),
            ("ls", "ls a", false),
        ] {
            let [wide, narrow] = [wide, narrow].map(|text| CommandPattern::parse(text).unwrap());
            assert_eq!(wide.holds(&narrow), holds, "{wide} {narrow}");
        }
    }
}
