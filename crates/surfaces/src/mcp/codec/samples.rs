//! What the tests of the codec share: arbitrary values, and the many ways to write one down.
//!
//! The writer is the opposite of a canonical one: white space wherever it may stand, any character as an escape.

use proptest::prelude::*;
use serde_json::{Map, Value};

/// Any JSON value of moderate size, with strings that need escapes and keys that look alike.
pub(crate) fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        // Exact in few digits: `serde_json` does not round every literal to the nearest binary64.
        any::<i32>().prop_map(|eighths| Value::from(f64::from(eighths) / 8.0)),
        any_text().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 48, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((any_text(), inner), 0..20)
                .prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-c]{0,3}",
        "[\u{0}-\u{1F}\"\\\\/a\u{7F}é\u{2028}\u{FFFF}😀]{0,12}",
        "[a-z_ ,:{}\\[\\]]{0,40}",
        Just("content".to_owned()),
        Just("tools".to_owned()),
    ]
}

/// Writes `value` in one of the ways that mean the same: white space anywhere, any character as an escape.
pub(crate) fn written(value: &Value, seed: u64) -> Vec<u8> {
    let mut pen = Pen { out: String::new(), state: seed | 1 };
    pen.space();
    pen.value(value);
    pen.space();
    pen.out.into_bytes()
}

struct Pen {
    out: String,
    state: u64,
}

impl Pen {
    fn roll(&mut self, sides: u64) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state >> 11) % sides
    }

    fn space(&mut self) {
        while self.roll(4) == 0 {
            let space = [" ", "\n", "\t", "\r", "\r\n", "  "][self.roll(6) as usize];
            self.out.push_str(space);
        }
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::String(text) => self.text(text),
            Value::Array(elements) => {
                self.out.push('[');
                self.space();
                for (index, element) in elements.iter().enumerate() {
                    self.comma(index);
                    self.value(element);
                    self.space();
                }
                self.out.push(']');
            }
            Value::Object(members) => {
                self.out.push('{');
                self.space();
                for (index, (key, member)) in members.iter().enumerate() {
                    self.comma(index);
                    self.text(key);
                    self.space();
                    self.out.push(':');
                    self.space();
                    self.value(member);
                    self.space();
                }
                self.out.push('}');
            }
            plain => self.out.push_str(&plain.to_string()),
        }
    }

    fn comma(&mut self, index: usize) {
        if index > 0 {
            self.out.push(',');
            self.space();
        }
    }

    fn text(&mut self, text: &str) {
        self.out.push('"');
        for character in text.chars() {
            let must = matches!(character, '"' | '\\' | '\0'..='\u{1F}');
            match (character, self.roll(5)) {
                ('"' | '\\', 0..=2) => {
                    self.out.push('\\');
                    self.out.push(character);
                }
                ('\n', 0..=2) => self.out.push_str("\\n"),
                ('/', 0..=2) => self.out.push_str("\\/"),
                (_, 1..) if !must => self.out.push(character),
                _ => {
                    for unit in character.encode_utf16(&mut [0; 2]) {
                        self.out.push_str(&format!("\\u{unit:04x}"));
                    }
                }
            }
        }
        self.out.push('"');
    }
}
