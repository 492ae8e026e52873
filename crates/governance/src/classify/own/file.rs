//! `classes.toml`: the organisation's own classes as they are written, strict and bounded.

use std::collections::BTreeMap;
use std::sync::Arc;

use evidence::leaf::sha256_hex;
use serde::Deserialize;

use super::pattern::Pattern;
use super::words::{letters, plain};
use crate::classify::detect::{NAMED_CHECKS, named_check};
use crate::limits::{
    CLASSES_BYTES_MAX, INDEX_COLUMNS_MAX, OWN_CLASSES_MAX, OWN_KEYWORDS_MAX, OWN_NAME_BYTES_MAX, OWN_VALUE_BYTES_MAX,
    SENTENCE_BYTES_MAX,
};

/// The own classes as a file says them.
#[derive(Clone, Debug)]
pub struct ClassFile {
    pub(super) classes: BTreeMap<Arc<str>, Own>,
    sha256: Arc<str>,
    why: Arc<str>,
}

/// One class.
#[derive(Clone, Debug)]
pub(super) struct Own {
    pub(super) check: Option<fn(&str) -> bool>,
    /// In the one spelling.
    pub(super) keywords: Vec<Vec<u8>>,
    /// In the one spelling.
    pub(super) near: Vec<Vec<u8>>,
    pub(super) pattern: Option<Pattern>,
    said: FileClass,
    pub(super) values: Option<Values>,
}

/// What a class says of an index.
#[derive(Clone, Debug)]
pub(super) struct Values {
    /// The columns that count; all where there are none.
    pub(super) columns: Vec<Arc<str>>,
    pub(super) index: Arc<str>,
    /// How many values of one row must stand near each other.
    pub(super) needs: usize,
}

/// Why a text is no file of own classes; each line says what and how to mend it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ClassesError(pub(super) String);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    class: BTreeMap<Arc<str>, FileClass>,
    why: Arc<str>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileClass {
    check: Option<Arc<str>>,
    #[serde(default)]
    columns: Vec<Arc<str>>,
    #[serde(default)]
    keywords: Vec<Arc<str>>,
    #[serde(rename = "match")]
    needs: Option<usize>,
    #[serde(default)]
    near: Vec<Arc<str>>,
    pattern: Option<Arc<str>>,
    values: Option<Arc<str>>,
    why: Arc<str>,
}

/// Reads the text of a file of own classes.
///
/// # Errors
/// [`ClassesError`] with every problem.
pub fn parse_classes(source: &str) -> Result<ClassFile, ClassesError> {
    if source.len() > CLASSES_BYTES_MAX {
        return Err(ClassesError(format!("the file is larger than {CLASSES_BYTES_MAX} bytes")));
    }
    let file: File = toml::from_str(source).map_err(|error| ClassesError(error.to_string().trim_end().to_owned()))?;
    let mut problems = Vec::new();
    if !is_sentence(&file.why) {
        problems.push("`why` is empty or too long; say what this version of the file is for".to_owned());
    }
    if file.class.len() > OWN_CLASSES_MAX {
        problems.push(format!("there are more than {OWN_CLASSES_MAX} classes"));
    }
    let said: usize = file.class.values().map(|class| class.keywords.len() + class.near.len()).sum();
    if said > OWN_KEYWORDS_MAX {
        problems.push(format!("there are more than {OWN_KEYWORDS_MAX} keywords and words of `near`; make an index"));
    }
    if !problems.is_empty() {
        return Err(ClassesError(problems.join("\n")));
    }
    let mut classes = BTreeMap::new();
    for (name, said) in file.class {
        let mut told = Vec::new();
        if !is_name(&name) {
            told.push(format!("is no name; use 1 to {OWN_NAME_BYTES_MAX} of `a-z`, `0-9` and `_`"));
        }
        let own = class(said, &mut told);
        problems.extend(told.into_iter().map(|problem| format!("`[class.{name}]` {problem}")));
        classes.insert(name, own);
    }
    if !problems.is_empty() {
        return Err(ClassesError(problems.join("\n")));
    }
    Ok(ClassFile { classes, sha256: sha256_hex(source.as_bytes()).into(), why: file.why })
}

fn class(said: FileClass, told: &mut Vec<String>) -> Own {
    if !is_sentence(&said.why) {
        told.push("has an empty `why`, or one that is too long; say what the class is".to_owned());
    }
    let ways = usize::from(said.pattern.is_some())
        + usize::from(!said.keywords.is_empty())
        + usize::from(said.values.is_some());
    if ways != 1 {
        told.push("needs one of `pattern`, `keywords` and `values`; make a class of its own of each".to_owned());
    }
    let pattern = said.pattern.as_ref().and_then(|text| {
        let parsed = Pattern::parse(text);
        parsed.map_err(|problem| told.push(format!("has a `pattern` that {problem}"))).ok()
    });
    let check = said.check.as_ref().and_then(|name| {
        let check = named_check(name);
        if check.is_none() {
            told.push(format!(
                "has the `check` `{name}`, which there is not; there are `{}`",
                NAMED_CHECKS.join("`, `")
            ));
        }
        check
    });
    if said.check.is_some() && said.pattern.is_none() {
        told.push("has a `check` without a `pattern`; nothing would be checked".to_owned());
    }
    let keywords = phrases(&said.keywords, "keywords", told);
    let near = phrases(&said.near, "near", told);
    let values = said.values.as_ref().map(|index| {
        if !is_file_name(index) {
            told.push(format!("has the `values` `{index}`; name a file in the home, as in `customers.edm`"));
        }
        let needs = said.needs.unwrap_or(1);
        if !(1..=INDEX_COLUMNS_MAX).contains(&needs) || !said.columns.is_empty() && needs > said.columns.len() {
            told.push(format!("has `match = {needs}`; that is how many of its columns must be there"));
        }
        Values { columns: said.columns.clone(), index: index.clone(), needs }
    });
    if values.is_none() && (said.needs.is_some() || !said.columns.is_empty()) {
        told.push("has `match` or `columns` without `values`".to_owned());
    }
    Own { check, keywords, near, pattern, said, values }
}

/// Keywords in the one spelling.
fn phrases(texts: &[Arc<str>], of: &str, told: &mut Vec<String>) -> Vec<Vec<u8>> {
    let mut phrases = Vec::with_capacity(texts.len());
    for text in texts {
        let phrase = plain(text);
        if letters(&phrase) < 2 || phrase.len() > OWN_VALUE_BYTES_MAX {
            told.push(format!(
                "has `{text}` in `{of}`; write 2 letters or digits at least, and {OWN_VALUE_BYTES_MAX} bytes at the most"
            ));
        }
        phrases.push(phrase);
    }
    phrases
}

fn is_sentence(text: &str) -> bool {
    !text.trim().is_empty() && text.len() <= SENTENCE_BYTES_MAX
}

/// Whether `text` can name an own class.
fn is_name(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    !text.is_empty() && text.len() <= OWN_NAME_BYTES_MAX && text.bytes().all(is_plain)
}

/// Whether `text` names a file in a folder, and no other place.
fn is_file_name(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    text.ends_with(".edm") && text.len() <= 128 && !text.starts_with('.') && text.bytes().all(is_plain)
}

impl ClassFile {
    /// SHA-256 of the file's bytes.
    #[must_use]
    pub const fn sha256(&self) -> &Arc<str> {
        &self.sha256
    }

    /// The reason for this version of the file.
    #[must_use]
    pub const fn why(&self) -> &Arc<str> {
        &self.why
    }

    /// The names of the indexes, sorted, each once.
    #[must_use]
    pub fn indexes(&self) -> Vec<Arc<str>> {
        let values = self.classes.values().filter_map(|class| class.values.as_ref());
        let mut names: Vec<Arc<str>> = values.map(|values| values.index.clone()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The classes in the order of their names: the name, what it is, and how it is found, in words.
    pub fn classes(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<str>, String)> {
        self.classes.iter().map(|(name, class)| (name, &class.said.why, class.said.sentence()))
    }

    /// What differs from `old`, in sentences.
    #[must_use]
    pub fn difference(&self, old: Option<&Self>) -> Vec<String> {
        let none = BTreeMap::new();
        let before = old.map_or(&none, |old| &old.classes);
        let fresh = self.classes.iter().filter_map(|(name, class)| match before.get(name) {
            None => Some(format!("class `org.{name}`: {}", class.said.sentence())),
            Some(old) if old.said != class.said => {
                Some(format!("class `org.{name}` changed: {}", class.said.sentence()))
            }
            Some(_) => None,
        });
        let gone = before.keys().filter(|name| !self.classes.contains_key(*name));
        fresh.chain(gone.map(|name| format!("no class `org.{name}` any more"))).collect()
    }
}

impl FileClass {
    fn sentence(&self) -> String {
        let mut sentence = match (&self.pattern, &self.values) {
            (Some(pattern), _) => format!("what matches `{pattern}`"),
            (None, Some(values)) => {
                let columns = self.columns.iter().map(|column| format!("`{column}`")).collect::<Vec<_>>().join(", ");
                let of = if columns.is_empty() { String::new() } else { format!(", columns {columns}") };
                match self.needs.unwrap_or(1) {
                    1 => format!("values of `{values}`{of}"),
                    needs => format!("{needs} values of one row of `{values}`{of}"),
                }
            }
            (None, None) => format!("{} keywords", self.keywords.len()),
        };
        if let Some(check) = &self.check {
            sentence.push_str(&format!(", with the check `{check}`"));
        }
        if !self.near.is_empty() {
            let words = self.near.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
            sentence.push_str(&format!(", near {words}"));
        }
        sentence
    }
}
