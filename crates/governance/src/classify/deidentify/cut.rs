//! Where in a JSON text the marks lie: inside of a text, in a name, on a number, or in a member that is to go.

use std::ops::Range;

use super::{Mark, NotJson, Treatment};

/// What is replaced for a mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A number, `true`, `false` or `null`, as a whole.
    Literal(Range<usize>),
    /// A member, with its name and one comma.
    Member(Range<usize>),
    /// Something in a member's name; like in a text.
    Name(Range<usize>),
    /// Something in a text; wider than the mark where that cuts an escape or a letter.
    Text(Range<usize>),
}

/// A container that is open.
struct Frame {
    is_object: bool,
    /// Its members so far; the one that is being read is the last.
    members: Vec<Member>,
    /// Whether the next text is a name.
    wants_name: bool,
}

struct Member {
    /// Marks that want it gone.
    dropped: Vec<usize>,
    range: Range<usize>,
}

struct Walk<'w> {
    frames: Vec<Frame>,
    marks: &'w [&'w Mark<'w>],
    next: usize,
    places: Vec<Option<Place>>,
    text: &'w [u8],
    /// What stands between the quotes of texts that are no names.
    texts: Vec<Range<usize>>,
}

/// The place of each of `marks`, which are sorted by their starts.
pub(super) fn places(text: &[u8], marks: &[&Mark<'_>]) -> Result<Vec<Place>, NotJson> {
    walked(text, marks)?.places.into_iter().collect::<Option<Vec<_>>>().ok_or(NotJson)
}

/// Where texts stand that are no names, without their quotes, in their order; `None` where `text` is no JSON.
pub(in crate::classify) fn texts(text: &[u8]) -> Option<Vec<Range<usize>>> {
    walked(text, &[]).ok().map(|walk| walk.texts)
}

fn walked<'w>(text: &'w [u8], marks: &'w [&'w Mark<'w>]) -> Result<Walk<'w>, NotJson> {
    let places = vec![None; marks.len()];
    let mut walk = Walk { frames: Vec::new(), marks, next: 0, places, text, texts: Vec::new() };
    walk.run()?;
    Ok(walk)
}

impl Walk<'_> {
    fn run(&mut self) -> Result<(), NotJson> {
        let mut at = 0;
        while let Some(byte) = self.text.get(at) {
            at = match byte {
                b'"' => self.string(at)?,
                b'{' | b'[' => {
                    let is_object = *byte == b'{';
                    self.frames.push(Frame { is_object, members: Vec::new(), wants_name: is_object });
                    at + 1
                }
                b'}' | b']' => {
                    let frame = self.frames.pop().ok_or(NotJson)?;
                    if frame.is_object != (*byte == b'}') {
                        return Err(NotJson);
                    }
                    self.close(&frame);
                    self.ended(at + 1);
                    at + 1
                }
                b',' => {
                    let frame = self.frames.last_mut().ok_or(NotJson)?;
                    frame.wants_name = frame.is_object;
                    at + 1
                }
                b':' => {
                    let frame = self.frames.last_mut().filter(|frame| frame.wants_name).ok_or(NotJson)?;
                    frame.wants_name = false;
                    at + 1
                }
                b' ' | b'\t' | b'\n' | b'\r' => at + 1,
                _ => self.literal(at)?,
            };
        }
        if self.frames.is_empty() { Ok(()) } else { Err(NotJson) }
    }

    /// The text that starts at `at`; returns where it ends.
    fn string(&mut self, at: usize) -> Result<usize, NotJson> {
        let is_name = self.frames.last().is_some_and(|frame| frame.is_object && frame.wants_name);
        if is_name && let Some(frame) = self.frames.last_mut() {
            frame.members.push(Member { dropped: Vec::new(), range: at..at });
        }
        let mut end = at + 1;
        while self.text.get(end).ok_or(NotJson)? != &b'"' {
            end += self.step(end);
        }
        let mut boundary = at + 1;
        while let Some(mark) = self.marks.get(self.next).filter(|mark| mark.range.start < end) {
            if mark.range.start <= at || mark.range.end > end {
                return Err(NotJson);
            }
            let range = self.widened(&mut boundary, &mark.range);
            let place = if is_name { Place::Name(range) } else { Place::Text(range) };
            self.put(mark.treatment, place, mark.range == (at + 1..end));
        }
        if !is_name {
            self.texts.push(at + 1..end);
            self.ended(end + 1);
        }
        Ok(end + 1)
    }

    /// How many bytes the letter or escape at `at` takes.
    fn step(&self, at: usize) -> usize {
        match (self.text.get(at), self.text.get(at + 1)) {
            (Some(b'\\'), Some(b'u')) => 6,
            (Some(b'\\' | 0xc0..=0xdf), _) => 2,
            (Some(0xe0..=0xef), _) => 3,
            (Some(0xf0..), _) => 4,
            _ => 1,
        }
    }

    /// `range`, as wide as it must be to cut no escape; `boundary` is the end of an escape or letter that is not after its start.
    fn widened(&self, boundary: &mut usize, range: &Range<usize>) -> Range<usize> {
        while *boundary + self.step(*boundary) <= range.start {
            *boundary += self.step(*boundary);
        }
        let mut end = *boundary;
        while end < range.end {
            end += self.step(end);
        }
        *boundary..end
    }

    /// The number or word that starts at `at`; returns where it ends.
    fn literal(&mut self, at: usize) -> Result<usize, NotJson> {
        let rest = self.text.get(at..).unwrap_or_default();
        let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
        let end = at + rest.iter().take_while(|byte| is_part(byte)).count();
        if end == at {
            return Err(NotJson);
        }
        while let Some(mark) = self.marks.get(self.next).filter(|mark| mark.range.start < end) {
            if mark.range.start < at || mark.range.end > end {
                return Err(NotJson);
            }
            self.put(mark.treatment, Place::Literal(at..end), true);
        }
        self.ended(end);
        Ok(end)
    }

    /// Gives the next mark its place, or leaves it to its member.
    fn put(&mut self, treatment: Treatment, place: Place, is_whole: bool) {
        let mark = self.next;
        self.next += 1;
        let member = self.frames.last_mut().filter(|frame| frame.is_object).and_then(|frame| frame.members.last_mut());
        match member {
            Some(member) if treatment == Treatment::Drop && is_whole && !matches!(place, Place::Name(_)) => {
                member.dropped.push(mark);
            }
            _ => {
                if let Some(known) = self.places.get_mut(mark) {
                    *known = Some(place);
                }
            }
        }
    }

    /// A value ended before `end`.
    fn ended(&mut self, end: usize) {
        let member = self.frames.last_mut().filter(|frame| frame.is_object).and_then(|frame| frame.members.last_mut());
        if let Some(member) = member {
            member.range.end = end;
        }
    }

    /// Cuts the members of `frame` that go: each with the comma after it, those at the end with the comma before them.
    fn close(&mut self, frame: &Frame) {
        let members = &frame.members;
        for (place, member) in members.iter().enumerate().filter(|(_, member)| !member.dropped.is_empty()) {
            let rest = members.get(place + 1..).unwrap_or_default();
            let kept_before =
                members.get(..place).unwrap_or_default().iter().rev().find(|before| before.dropped.is_empty());
            let range = match (rest.iter().all(|after| !after.dropped.is_empty()), kept_before) {
                (true, Some(before)) => before.range.end..member.range.end,
                _ => member.range.start..rest.first().map_or(member.range.end, |after| after.range.start),
            };
            for mark in &member.dropped {
                if let Some(known) = self.places.get_mut(*mark) {
                    *known = Some(Place::Member(range.clone()));
                }
            }
        }
    }
}
