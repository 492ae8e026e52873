//! Arrays of messages (JSON-RPC 2.0, section 6), which only MCP revision 2025-03-26 has.
//!
//! An array is read as strictly as a message, and then each of its elements as a message of its own, with its own bytes. What is wrong with one element is no
//! business of the others; an array that is no JSON is refused as a whole. Start at [`split`].

use bytes::Bytes;

use super::envelope::{Envelope, EnvelopeError, EnvelopeFault, Meant, locate};
use super::raw::Raw;
use super::strict::{StrictError, StrictFault, StrictReader, skip_space};
use crate::limits::BATCH_ELEMENTS_MAX;

/// Whether `text` is an array, if it is JSON at all.
pub fn is_batch(text: &[u8]) -> bool {
    text.get(skip_space(text, 0)) == Some(&b'[')
}

/// The messages of the array `bytes`, in order, each read or refused by itself.
///
/// # Errors
/// When the array cannot be read, is empty, or has more than [`BATCH_ELEMENTS_MAX`] elements: then none of it is taken.
pub fn split(bytes: &Bytes, reader: &mut StrictReader) -> Result<Vec<Result<Envelope, EnvelopeError>>, EnvelopeError> {
    let refuse = |fault| Err(EnvelopeError { meant: Meant::Unclear, fault });
    match reader.scan(bytes) {
        // It is JSON all the same; the element that it is in is refused below.
        Ok(()) | Err(StrictError { fault: StrictFault::DuplicateKey, .. }) => {}
        Err(error) => return refuse(EnvelopeFault::Unreadable(error)),
    }
    let Some(array) = Raw::read_before(bytes.trim_ascii()).array() else { return refuse(EnvelopeFault::NotAnObject) };
    match array.elements().take(BATCH_ELEMENTS_MAX + 1).count() {
        0 => return refuse(EnvelopeFault::EmptyBatch),
        1..=BATCH_ELEMENTS_MAX => {}
        _ => return refuse(EnvelopeFault::LongBatch),
    }
    let part = |element: Raw<'_>| locate(bytes, element.bytes()).map(|at| bytes.slice(at)).unwrap_or_default();
    Ok(array.elements().map(|element| Envelope::read(part(element), reader)).collect())
}

/// Whether an array of messages is taken apart, or refused as no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrays {
    /// Only single messages are taken.
    Refused,
    /// Arrays are taken apart.
    Taken,
}

/// What one text brings: a message, or the elements of an array.
#[derive(Debug)]
pub enum Messages {
    /// At most one.
    One(Option<Result<Envelope, EnvelopeError>>),
    /// The elements that are left.
    Many(std::vec::IntoIter<Result<Envelope, EnvelopeError>>),
}

impl Messages {
    /// Reads `bytes`. An array that is refused as a whole counts as one message that cannot be read.
    pub fn read(bytes: Bytes, reader: &mut StrictReader, arrays: Arrays) -> Self {
        if arrays == Arrays::Refused || !is_batch(&bytes) {
            return Self::One(Some(Envelope::read(bytes, reader)));
        }
        match split(&bytes, reader) {
            Ok(elements) => Self::Many(elements.into_iter()),
            Err(error) => Self::One(Some(Err(error))),
        }
    }
}

impl Iterator for Messages {
    type Item = Result<Envelope, EnvelopeError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::One(message) => message.take(),
            Self::Many(elements) => elements.next(),
        }
    }
}

/// Messages that were written by themselves, as one array.
pub fn joined(messages: &[Bytes]) -> Bytes {
    let mut array = Vec::with_capacity(messages.iter().map(|message| message.len() + 1).sum::<usize>() + 1);
    array.push(b'[');
    for (at, message) in messages.iter().enumerate() {
        if at > 0 {
            array.push(b',');
        }
        array.extend_from_slice(message);
    }
    array.push(b']');
    array.into()
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::path::Path;

    use super::*;
    use crate::limits::ReadLimits;
    use crate::mcp::codec::EnvelopeKind;

    fn read(text: impl Into<Bytes>) -> Result<Vec<Result<Envelope, EnvelopeError>>, EnvelopeError> {
        split(&text.into(), &mut StrictReader::new(ReadLimits::REQUEST))
    }

    /// One line that says how an array was taken.
    fn outcome(text: Vec<u8>) -> String {
        let element = |element: Result<Envelope, EnvelopeError>| match element {
            Ok(envelope) => match envelope.kind() {
                EnvelopeKind::Request { id, method } => format!("request {id} {method}"),
                EnvelopeKind::Notification { method } => format!("notification {method}"),
                EnvelopeKind::Response { id } => format!("response {id}"),
                EnvelopeKind::ErrorResponse { id } => format!("error response {id:?}"),
            },
            Err(error) => format!("refused {} {:?}", error.fault.code(), error.meant),
        };
        match read(text) {
            Ok(elements) => elements.into_iter().map(element).collect::<Vec<_>>().join("; "),
            Err(error) => format!("refused {} {error}", error.fault.code()),
        }
    }

    #[test]
    fn every_array_of_the_corpus_is_taken_as_expected() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../corpus/mcp");
        let entries = std::fs::read_dir(corpus.join("batch")).unwrap();
        let mut names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect::<Vec<_>>();
        names.sort();
        let mut found = String::new();
        for name in names {
            let text = std::fs::read(corpus.join("batch").join(&name)).unwrap();
            assert!(is_batch(&text), "{name}");
            writeln!(found, "{}: {}", name.trim_end_matches(".json"), outcome(text)).unwrap();
        }
        let expected = std::fs::read_to_string(corpus.join("batch.expected")).unwrap_or_default();
        assert!(found == expected, "batch.expected differs; found:\n{found}");
    }

    #[test]
    fn elements_keep_their_bytes_and_share_the_memory_of_the_array() {
        let array = Bytes::from(
            " [ {\"jsonrpc\" : \"2.0\", \"method\":\"m\",\"x\":1.0} ,\n{\"id\":1,\"jsonrpc\":\"2.0\",\"result\":{}}]",
        );
        let elements = split(&array, &mut StrictReader::new(ReadLimits::REQUEST)).unwrap();
        let [Ok(first), Ok(second)] = &elements[..] else { panic!("{elements:?}") };
        assert_eq!(first.bytes(), "{\"jsonrpc\" : \"2.0\", \"method\":\"m\",\"x\":1.0}");
        assert_eq!(first.bytes().as_ptr(), array[3..].as_ptr());
        assert_eq!(joined(&[]), "[]");
        let again = joined(&[first.bytes().clone(), second.bytes().clone()]);
        assert_eq!(
            again,
            "[{\"jsonrpc\" : \"2.0\", \"method\":\"m\",\"x\":1.0},{\"id\":1,\"jsonrpc\":\"2.0\",\"result\":{}}]"
        );
    }

    #[test]
    fn an_array_has_at_most_so_many_elements() {
        let array = |count: usize| format!("[{}]", vec![r#"{"jsonrpc":"2.0","method":"m"}"#; count].join(","));
        assert_eq!(read(array(BATCH_ELEMENTS_MAX)).unwrap().len(), BATCH_ELEMENTS_MAX);
        assert_eq!(read(array(BATCH_ELEMENTS_MAX + 1)).unwrap_err().fault, EnvelopeFault::LongBatch);
    }
}
