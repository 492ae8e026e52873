//! The organisation's own classes: what it finds by patterns, by keywords and by exact data match with the values of its own tables.
//!
//! [`parse_classes`] reads the file, [`IndexBuilder`] makes an index of a table, [`OwnClasses::compile`] puts both together, and the detector hands over every text that
//! it looks at, those that were hidden or encoded too. No value of a table is here: an index holds keyed hashes. Each class is a kind of the class `org`.

mod file;
mod index;
mod kinds;
mod pattern;
mod search;
mod words;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use self::file::{ClassFile, ClassesError, parse_classes};
pub use self::index::{Built, Index, IndexBuilder, IndexError, IndexKey};
use self::pattern::Pattern;
pub(super) use self::search::Match;
use self::search::Phrases;
use super::detect::Kind;

/// Own classes, compiled.
#[derive(Debug)]
pub struct OwnClasses {
    classes: Vec<Own>,
    indexes: Vec<Searched>,
    phrases: Phrases,
}

/// One class.
#[derive(Debug)]
struct Own {
    check: Option<fn(&str) -> bool>,
    /// Whether a word of `near` must stand near.
    has_near: bool,
    kind: &'static Kind,
    pattern: Option<Pattern>,
}

/// An index, and the classes that are found by it.
#[derive(Debug)]
struct Searched {
    classes: Vec<ByValues>,
    index: Arc<Index>,
}

#[derive(Debug)]
struct ByValues {
    class: usize,
    /// A bit for each column that counts.
    columns: u32,
    /// How many values of one row must stand near each other.
    needs: usize,
}

impl OwnClasses {
    /// The classes of `file`, with the indexes that it names.
    ///
    /// # Errors
    /// [`ClassesError`] with every index that is not there or has not the columns that count.
    pub fn compile(file: &ClassFile, indexes: &BTreeMap<Arc<str>, Arc<Index>>) -> Result<Self, ClassesError> {
        let mut problems = Vec::new();
        let mut own = Self { classes: Vec::new(), indexes: Vec::new(), phrases: Phrases::default() };
        let mut searched = BTreeMap::<&Arc<str>, Searched>::new();
        for (number, (name, class)) in file.classes.iter().enumerate() {
            let Some(kind) = kinds::kind(name) else {
                problems.push("too many names of classes since the start; start anew".to_owned());
                break;
            };
            class.keywords.iter().for_each(|keyword| own.phrases.keyword(keyword, number));
            class.near.iter().for_each(|word| own.phrases.near(word, number));
            let pattern = class.pattern.clone();
            own.classes.push(Own { check: class.check, has_near: !class.near.is_empty(), kind, pattern });
            let Some(values) = &class.values else { continue };
            let Some(index) = indexes.get(&values.index) else {
                problems.push(format!("`[class.{name}]` has the `values` `{}`, which are not there", values.index));
                continue;
            };
            let mut columns = if values.columns.is_empty() { u32::MAX } else { 0 };
            for column in &values.columns {
                match index.columns().iter().position(|known| known == column) {
                    Some(place) => columns |= 1 << place,
                    None => problems.push(format!(
                        "`[class.{name}]` has the column `{column}`, which `{}` has not; it has `{}`",
                        values.index,
                        index.columns().join("`, `")
                    )),
                }
            }
            if values.needs > index.columns().len() {
                problems.push(format!(
                    "`[class.{name}]` has `match = {}`, and `{}` has {} columns",
                    values.needs,
                    values.index,
                    index.columns().len()
                ));
            }
            let fresh = || Searched { classes: Vec::new(), index: index.clone() };
            let by_values = ByValues { class: number, columns, needs: values.needs };
            searched.entry(&values.index).or_insert_with(fresh).classes.push(by_values);
        }
        own.indexes = searched.into_values().collect();
        if problems.is_empty() { Ok(own) } else { Err(ClassesError(problems.join("\n"))) }
    }

    /// Whether there is a class of this name.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.classes.iter().any(|own| *own.kind.name == *name)
    }
}

#[cfg(test)]
mod tests;
