//! One walk over JSON, for everybody who looks at its leaves: what tools return, what an agent sends.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

/// Integers beyond this do not have one spelling each as binary fractions.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// Looks at the leaves of a JSON value.
pub(super) trait Reader {
    /// Where a leaf stands. A list stands where its elements do.
    type Place: Copy;

    /// Goes to the member `name` of the object at `place`. The name is the sender's, like any value.
    fn enter(&mut self, place: Self::Place, name: &str) -> Self::Place;

    /// Goes back.
    fn leave(&mut self);

    fn text(&mut self, place: Self::Place, text: &str);

    /// A number in its one spelling.
    fn number(&mut self, place: Self::Place, spelt: &str);

    /// A number that has no one spelling here.
    fn vast_number(&mut self, place: Self::Place);

    /// A record begins: the object that a text is, or one in a list. Objects that are members belong to the record that they stand in.
    fn open_record(&mut self) {}

    /// It ends.
    fn close_record(&mut self) {}

    /// How much was read so far, for [`Self::twice`].
    fn position(&self) -> usize;

    /// An object that began at `position` names a member twice: readers see different values in it.
    fn twice(&mut self, position: usize);

    /// Whether no more is looked at.
    fn is_full(&self) -> bool;
}

/// The text is not one JSON value, or nests too deeply, or the reader is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unreadable;

/// Has `reader` look at every leaf of `json`, which stands at `place`. What it has seen before it gives up, it has seen.
pub(super) fn read<R: Reader>(json: &str, place: R::Place, reader: &mut R) -> Result<(), Unreadable> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    Leaf { is_member: false, place, reader }
        .deserialize(&mut deserializer)
        .and_then(|()| deserializer.end())
        .map_err(|_| Unreadable)
}

/// Whether `text` is one JSON object or list.
pub(super) fn is_document(text: &str) -> bool {
    text.trim_start().starts_with(['{', '[']) && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

struct Leaf<'r, R: Reader> {
    is_member: bool,
    place: R::Place,
    reader: &'r mut R,
}

impl<'de, R: Reader> DeserializeSeed<'de> for Leaf<'_, R> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

/// A text that borrows where it holds no escapes.
#[derive(serde::Deserialize)]
pub(super) struct Name<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

impl<'de, R: Reader> Visitor<'de> for Leaf<'_, R> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, number: u64) -> Result<(), E> {
        self.reader.number(self.place, &number.to_string());
        Ok(())
    }

    fn visit_i64<E>(self, number: i64) -> Result<(), E> {
        self.reader.number(self.place, &number.to_string());
        Ok(())
    }

    fn visit_f64<E>(self, number: f64) -> Result<(), E> {
        if number.abs() < EXACT_MAX {
            // Without a sign on zero, which has one spelling too.
            self.reader.number(self.place, &(number + 0.0).to_string());
        } else {
            self.reader.vast_number(self.place);
        }
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.reader.text(self.place, text);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(Leaf { is_member: false, place: self.place, reader: &mut *self.reader })?.is_some()
        {
            if self.reader.is_full() {
                return Err(A::Error::custom("full"));
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
        if !self.is_member {
            self.reader.open_record();
        }
        let position = self.reader.position();
        let mut names: Vec<Cow<'_, str>> = Vec::new();
        while let Some(Name(name)) = object.next_key()? {
            let place = self.reader.enter(self.place, &name);
            names.push(name);
            let read = object.next_value_seed(Leaf { is_member: true, place, reader: &mut *self.reader });
            self.reader.leave();
            read?;
            if self.reader.is_full() {
                return Err(A::Error::custom("full"));
            }
        }
        names.sort_unstable();
        if names.windows(2).any(|pair| pair.first() == pair.last()) {
            self.reader.twice(position);
        }
        if !self.is_member {
            self.reader.close_record();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct List {
        path: Vec<String>,
        leaves: Vec<String>,
        twice: Vec<usize>,
    }

    impl Reader for List {
        type Place = ();

        fn enter(&mut self, (): (), name: &str) {
            self.path.push(name.to_owned());
        }

        fn leave(&mut self) {
            self.path.pop();
        }

        fn text(&mut self, (): (), text: &str) {
            self.leaves.push(format!("{}={text}", self.path.join(".")));
        }

        fn number(&mut self, (): (), spelt: &str) {
            self.leaves.push(format!("{}#{spelt}", self.path.join(".")));
        }

        fn vast_number(&mut self, (): ()) {
            self.leaves.push(format!("{}#?", self.path.join(".")));
        }

        fn position(&self) -> usize {
            self.leaves.len()
        }

        fn twice(&mut self, position: usize) {
            self.twice.push(position);
        }

        fn is_full(&self) -> bool {
            self.leaves.len() > 8
        }
    }

    #[test]
    fn every_leaf_is_read_once() {
        let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
        let many = format!("[{}1]", "1,".repeat(20));
        for (json, leaves, twice, is_read) in [
            (
                r#"{"a":[{"b":"x"},"y"],"c":{"d":1.50,"e":5.0,"f":-0.0,"g":true,"h":null}}"#,
                vec!["a.b=x", "a=y", "c.d#1.5", "c.e#5", "c.f#0"],
                vec![],
                true,
            ),
            (
                r#"[1e300, 18446744073709551615, -7, 18446744073709551616, 0.1]"#,
                vec!["#?", "#18446744073709551615", "#-7", "#?", "#0.1"],
                vec![],
                true,
            ),
            (r#"{"x":"0","y":{"a":"1","\u0061":"2"}}"#, vec!["x=0", "y.a=1", "y.a=2"], vec![1], true),
            (r#""\u0065vil""#, vec!["=evil"], vec![], true),
            (r#"{"a":"x"} more"#, vec!["a=x"], vec![], false),
            (r#"{"a":"x""#, vec!["a=x"], vec![], false),
            ("", vec![], vec![], false),
            (deep.as_str(), vec![], vec![], false),
            (many.as_str(), vec!["#1"; 9], vec![], false),
        ] {
            let mut list = List::default();
            assert_eq!(read(json, (), &mut list).is_ok(), is_read, "{json}");
            assert_eq!((list.leaves, list.twice), (leaves.into_iter().map(String::from).collect(), twice), "{json}");
            assert_eq!(list.path.len(), 0);
        }
    }
}
