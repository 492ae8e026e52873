//! Views and changes agree with a tree: what is filtered, removed, set or replaced is, and nothing else changes.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use surfaces::limits::ReadLimits;
use surfaces::mcp::codec::{Raw, Splice, strict_scan};

fuzz_target!(|text: &[u8]| {
    let original = Bytes::copy_from_slice(text);
    let Ok(root) = Raw::parse(&original, &ReadLimits::REQUEST) else { return };
    let mut values = Vec::new();
    collect(root, &mut values);
    // The text itself chooses what is changed.
    let mut choice = text
        .iter()
        .fold(0xCBF2_9CE4_8422_2325, |hash: u64, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3));
    for _ in 0..4 {
        choice = (choice ^ choice >> 29).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let part = values[(choice >> 32) as usize % values.len()];
        check_change(&original, part, choice);
    }
});

fn check_change(original: &Bytes, part: Raw<'_>, choice: u64) {
    let tree = serde_json::from_slice::<Value>(part.bytes()).expect("a view is a value");
    let with = Raw::parse(br#"{"new" : [1.0, "\u0061"]}"#, &ReadLimits::REQUEST).expect("a value");
    let stays = |index: usize| choice >> (index % 8) & 1 == 1;

    let mut splice = Splice::new(original);
    let (expected, unchanged) = match (tree, part.object(), part.array()) {
        (Value::Object(mut members), Some(object), _) => {
            let keys = object.members().map(|member| member.key.text().expect("a key is text").into_owned());
            let keys = keys.collect::<Vec<_>>();
            if choice & 3 == 0 {
                let key = keys.get(usize::from(choice & 4 == 4)).cloned().unwrap_or("new\n".to_owned());
                splice.set_member(object, &key, with).expect("one change fits");
                members.insert(key, serde_json::from_slice(with.bytes()).expect("a value"));
                (Value::Object(members), false)
            } else {
                let mut index = 0;
                let keep = |_: &str, _: Raw<'_>| {
                    index += 1;
                    stays(index)
                };
                splice.retain_members(object, keep).expect("one change fits");
                let gone = keys.iter().enumerate().filter(|(index, _)| !stays(index + 1)).map(|(_, key)| key);
                let gone = gone.collect::<Vec<_>>();
                members.retain(|key, _| !gone.contains(&key));
                (Value::Object(members), gone.is_empty())
            }
        }
        (Value::Array(elements), _, Some(array)) => {
            let count = elements.len();
            let mut index = 0;
            let keep = |_: Raw<'_>| {
                index += 1;
                stays(index)
            };
            splice.retain_elements(array, keep).expect("one change fits");
            let kept =
                elements.into_iter().enumerate().filter(|(index, _)| stays(index + 1)).map(|(_, element)| element);
            let kept = kept.collect::<Vec<_>>();
            let unchanged = kept.len() == count;
            (Value::Array(kept), unchanged)
        }
        _ => {
            splice.replace(part, with).expect("one change fits");
            (serde_json::from_slice(with.bytes()).expect("a value"), false)
        }
    };
    let changed = splice.finish().expect("one change fits");
    if unchanged {
        assert_eq!(&changed, original);
    }

    // Around the part that changed, every byte is as it was.
    let start = part.bytes().as_ptr().addr() - original.as_ptr().addr();
    let after = original.len() - start - part.bytes().len();
    assert_eq!(changed[..start], original[..start]);
    assert_eq!(changed[changed.len() - after..], original[original.len() - after..]);
    let found = &changed[start..changed.len() - after];
    strict_scan(found, &ReadLimits { depth_max: 80, ..ReadLimits::RESPONSE }).expect("still strict");
    assert_eq!(serde_json::from_slice::<Value>(found).expect("still valid"), expected);
}

fn collect<'a>(raw: Raw<'a>, values: &mut Vec<Raw<'a>>) {
    values.push(raw);
    for member in raw.object().into_iter().flat_map(|object| object.members()) {
        collect(member.value, values);
    }
    for element in raw.array().into_iter().flat_map(|array| array.elements()) {
        collect(element, values);
    }
}
