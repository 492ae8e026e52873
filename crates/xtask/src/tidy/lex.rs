//! Rust source as tokens, without comments and with string contents set apart, so that a rule does not trip over prose.
//!
//! Not a parser: it knows just enough of the language to tell code from text and test code from the rest. Start at [`lex`].

use std::iter::Peekable;
use std::str::Chars;

/// One token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    /// The name, the mark, or what the literal holds.
    pub(super) text: String,
    /// From 1.
    pub(super) line: u32,
    /// Whether it is compiled for tests only.
    pub(super) test: bool,
}

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A name or keyword.
    Name,
    /// One mark; `::` is one token.
    Mark,
    /// A string, character, number or lifetime.
    Literal,
}

impl Token {
    /// Whether this is the name or mark `text`.
    pub(super) fn is(&self, text: &str) -> bool {
        self.kind != Kind::Literal && self.text == text
    }

    pub(super) fn is_name(&self) -> bool {
        self.kind == Kind::Name
    }
}

/// The tokens of `text`, with test code marked.
pub(super) fn lex(text: &str) -> Vec<Token> {
    let mut lexer = Lexer { rest: text.chars().peekable(), line: 1, tokens: Vec::new() };
    while lexer.step() {}
    let mut tokens = lexer.tokens;
    mark_tests(&mut tokens);
    tokens
}

struct Lexer<'t> {
    rest: Peekable<Chars<'t>>,
    line: u32,
    tokens: Vec<Token>,
}

impl Lexer<'_> {
    fn step(&mut self) -> bool {
        let Some(first) = self.take() else { return false };
        let line = self.line;
        match first {
            '\n' => {}
            '/' if self.rest.peek() == Some(&'/') => self.skip_line(),
            '/' if self.rest.peek() == Some(&'*') => self.skip_block(),
            '"' => {
                let text = self.string();
                self.push(Kind::Literal, text, line);
            }
            '\'' => self.quote(line),
            ':' if self.rest.peek() == Some(&':') => {
                self.take();
                self.push(Kind::Mark, "::".to_owned(), line);
            }
            _ if first.is_alphabetic() || first == '_' => self.word(first, line),
            _ if first.is_ascii_digit() => {
                let text = self.while_word(first);
                self.push(Kind::Literal, text, line);
            }
            _ if first.is_whitespace() => {}
            _ => self.push(Kind::Mark, first.to_string(), line),
        }
        true
    }

    fn take(&mut self) -> Option<char> {
        let next = self.rest.next()?;
        self.line += u32::from(next == '\n');
        Some(next)
    }

    fn push(&mut self, kind: Kind, text: String, line: u32) {
        self.tokens.push(Token { kind, text, line, test: false });
    }

    fn skip_line(&mut self) {
        while self.rest.peek().is_some_and(|next| *next != '\n') {
            self.take();
        }
    }

    fn skip_block(&mut self) {
        let (mut depth, mut before) = (0u32, ' ');
        self.take();
        depth += 1;
        while depth > 0 {
            let Some(next) = self.take() else { return };
            match (before, next) {
                ('/', '*') => depth += 1,
                ('*', '/') => depth -= 1,
                _ => {
                    before = next;
                    continue;
                }
            }
            before = ' ';
        }
    }

    /// After the opening quote; escapes stay as written.
    fn string(&mut self) -> String {
        let mut text = String::new();
        while let Some(next) = self.take() {
            match next {
                '"' => break,
                '\\' => {
                    text.push(next);
                    text.extend(self.take());
                }
                _ => text.push(next),
            }
        }
        text
    }

    /// After the hashes and the opening quote of `r##"`.
    fn raw_string(&mut self, hashes: usize) -> String {
        let end: String = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
        let mut text = String::new();
        while let Some(next) = self.take() {
            text.push(next);
            if let Some(whole) = text.strip_suffix(&end) {
                return whole.to_owned();
            }
        }
        text
    }

    /// A character literal or a lifetime.
    fn quote(&mut self, line: u32) {
        let first = self.take();
        if first == Some('\\') {
            self.take();
            while self.rest.peek().is_some_and(|next| *next != '\'') {
                self.take();
            }
            self.take();
        } else if self.rest.peek() == Some(&'\'') {
            self.take();
        } else {
            self.while_word(' ');
        }
        self.push(Kind::Literal, first.unwrap_or(' ').to_string(), line);
    }

    fn word(&mut self, first: char, line: u32) {
        let word = self.while_word(first);
        let prefix = matches!(word.as_str(), "r" | "b" | "br" | "c" | "cr");
        match self.rest.peek() {
            Some('"') if prefix => {
                self.take();
                let text = if word.contains('r') { self.raw_string(0) } else { self.string() };
                self.push(Kind::Literal, text, line);
            }
            Some('#') if prefix && word.contains('r') => self.raw(line),
            Some('\'') if word == "b" => {
                self.take();
                self.quote(line);
            }
            _ => self.push(Kind::Name, word, line),
        }
    }

    /// `r#"text"#` or the raw name `r#type`.
    fn raw(&mut self, line: u32) {
        let mut hashes = 0;
        while self.rest.peek() == Some(&'#') {
            self.take();
            hashes += 1;
        }
        if self.rest.peek() == Some(&'"') {
            self.take();
            let text = self.raw_string(hashes);
            self.push(Kind::Literal, text, line);
        } else if let Some(first) = self.take() {
            let word = self.while_word(first);
            self.push(Kind::Name, word, line);
        }
    }

    fn while_word(&mut self, first: char) -> String {
        let mut word = String::from(first);
        while let Some(next) = self.rest.peek().copied().filter(|next| next.is_alphanumeric() || *next == '_') {
            word.push(next);
            self.take();
        }
        word
    }
}

/// Marks each item behind an attribute that names `test`: `#[cfg(test)]`, `#[test]`, `#[tokio::test]`.
fn mark_tests(tokens: &mut [Token]) {
    let mut at = 0;
    while at < tokens.len() {
        let Some(end) = attribute_end(tokens, at) else {
            at += 1;
            continue;
        };
        let attribute = tokens.get(at..end).unwrap_or_default();
        let names_test =
            attribute.iter().any(|token| token.is("test")) && !attribute.iter().any(|token| token.is("not"));
        if !names_test {
            at = end;
            continue;
        }
        let item = item_end(tokens, end);
        for token in tokens.get_mut(at..item).unwrap_or_default() {
            token.test = true;
        }
        at = item;
    }
}

/// One past the `]` of the outer attribute that starts at `at`.
fn attribute_end(tokens: &[Token], at: usize) -> Option<usize> {
    let starts = tokens.get(at)?.is("#") && tokens.get(at + 1)?.is("[");
    starts.then(|| closing(tokens, at + 1))
}

/// One past the end of the item that starts at `at`, further attributes included.
fn item_end(tokens: &[Token], mut at: usize) -> usize {
    while let Some(end) = attribute_end(tokens, at) {
        at = end;
    }
    while let Some(token) = tokens.get(at) {
        match token.text.as_str() {
            _ if token.kind != Kind::Mark => at += 1,
            "{" => return closing(tokens, at),
            ";" => return at + 1,
            "(" | "[" => at = closing(tokens, at),
            _ => at += 1,
        }
    }
    at
}

/// One past the bracket that closes the one at `at`.
pub(super) fn closing(tokens: &[Token], at: usize) -> usize {
    let mut depth = 0i32;
    for (n, token) in tokens.iter().enumerate().skip(at) {
        if token.kind != Kind::Mark {
            continue;
        }
        match token.text.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return n + 1;
        }
    }
    tokens.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        lex(text).into_iter().filter(Token::is_name).map(|token| token.text).collect()
    }

    #[test]
    fn comments_and_strings_are_not_code() {
        let text = r##"
            // fs in a comment /* open
            /* nested /* net */ thread */
            let a = "env \" fs"; let b = r#"time " fs"#; let c = b"x"; let d = 'f'; let e = '\''; let r#type = 'static;
        "##;
        assert_eq!(names(text), ["let", "a", "let", "b", "let", "c", "let", "d", "let", "e", "let", "type"]);
    }

    #[test]
    fn a_string_keeps_its_text_and_a_token_its_line() {
        let tokens = lex("fn a() {\n  \"one\ntwo\" ;\n}");
        let told: Vec<(&str, u32)> = tokens.iter().map(|token| (token.text.as_str(), token.line)).collect();
        assert_eq!(told, [("fn", 1), ("a", 1), ("(", 1), (")", 1), ("{", 1), ("one\ntwo", 2), (";", 3), ("}", 4)]);
    }

    #[test]
    fn only_items_behind_a_test_attribute_are_test_code() {
        let text = "fn a() { x } #[cfg(test)] #[expect(y)] mod tests { fn b() {} } #[cfg(not(test))] fn c() {} #[tokio::test] async fn d() {} fn e() {}";
        let test: Vec<String> =
            lex(text).into_iter().filter(|token| token.test && token.is_name()).map(|token| token.text).collect();
        assert!(test.contains(&"b".to_owned()) && test.contains(&"d".to_owned()));
        assert!(!test.iter().any(|name| ["a", "x", "c", "e"].contains(&name.as_str())));
    }

    #[test]
    fn a_test_module_in_its_own_file_ends_at_the_semicolon() {
        let tokens = lex("#[cfg(test)] mod tests; fn a() {}");
        assert!(tokens.iter().any(|token| token.is("tests") && token.test));
        assert!(tokens.iter().any(|token| token.is("a") && !token.test));
    }
}
