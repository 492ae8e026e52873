//! Which name of a member follows which: objects of a list have the same ones in the same order, so that most names are known by one comparison.

use super::words::Interest;

/// How many bytes are compared: a name of thirteen, its quotes, and the `:` behind them.
pub(super) const AS_FAR: usize = 16;

/// The most names that are kept: a power of two.
const MEMBERS_MAX: usize = 128;

/// How many bytes of a text there are for each name, or more.
const MEMBER_EVERY_BYTES: usize = 64;

/// The shortest text whose names are kept.
const TEXT_BYTES_MIN: usize = 2 * 1024;

/// How many places one may be kept at.
const NEAR: u8 = 4;

/// A name whose values are passed over, as it stands in a text.
#[derive(Clone, Copy, Debug)]
struct Member {
    /// What stands up to its `:`, with ones for what is not of it. Zeros where no name is kept: no `:` is one.
    bytes: u128,
    /// Ones for what is not of it.
    others: u128,
    interest: Interest,
    length: u8,
    /// The number of the one that followed it last.
    next: u8,
}

/// The names that followed each other in this text.
#[derive(Debug)]
pub(super) struct Followers {
    /// A power of two of them.
    members: Vec<Member>,
    last: u8,
}

impl Followers {
    /// For a text, or a part of one, that is so long. Short ones have few names twice, so that none is kept.
    pub(super) fn new(bytes: usize) -> Self {
        const NOBODY: Member = Member { bytes: 0, others: 0, interest: Interest::NONE, length: 0, next: 0 };
        let members = match bytes {
            ..TEXT_BYTES_MIN => 0,
            _ => (bytes / MEMBER_EVERY_BYTES).next_power_of_two().min(MEMBERS_MAX),
        };
        Self { members: vec![NOBODY; members], last: 0 }
    }

    /// Whether names are kept.
    pub(super) const fn are_kept(&self) -> bool {
        !self.members.is_empty()
    }

    /// The place of the member of this number.
    #[inline(always)]
    fn place(&self, number: u8) -> usize {
        usize::from(number) & (self.members.len().wrapping_sub(1))
    }

    /// How long the name is that ends with `before`, up to its `:`, and whom it interests, if it is the one that followed the last one before.
    #[inline(always)]
    pub(super) fn next(&mut self, before: [u8; AS_FAR]) -> Option<(usize, Interest)> {
        let next = self.members.get(self.place(self.last))?.next;
        let Member { bytes, others, interest, length, .. } = self.members.get(self.place(next))?;
        if u128::from_le_bytes(before) | *others != *bytes {
            return None;
        }
        self.last = next;
        Some((usize::from(*length), *interest))
    }

    /// Takes note that a name of `length`, up to whose `:` stands `before`, followed the last one. Its values are passed over.
    pub(super) fn follow(&mut self, before: [u8; AS_FAR], length: usize, interest: Interest) {
        let Some(other) = AS_FAR.checked_sub(length + 3).filter(|_| self.are_kept()) else { return };
        let others = !(u128::MAX << (8 * other));
        let bytes = u128::from_le_bytes(before) | others;
        let mixed = (bytes as u64 ^ ((bytes >> 64) as u64).rotate_left(23)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let first = (mixed >> 56) as u8;
        let mut near = (0..NEAR).map(|step| first.wrapping_add(step));
        let is =
            |number: u8, known: u128| self.members.get(self.place(number)).is_some_and(|member| member.bytes == known);
        let number = near.clone().find(|number| is(*number, bytes)).or_else(|| near.find(|number| is(*number, 0)));
        let number = number.unwrap_or(first);
        let (last, place) = (self.place(self.last), self.place(number));
        if let Some(last) = self.members.get_mut(last) {
            last.next = number;
        }
        if let Some(member) = self.members.get_mut(place)
            && (member.bytes, member.others) != (bytes, others)
        {
            *member = Member { bytes, others, interest, length: u8::try_from(length).unwrap_or(0), next: 0 };
        }
        self.last = number;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn before(name: &str) -> [u8; AS_FAR] {
        *format!("{:15}\"{name}\":", "{").as_bytes().last_chunk().unwrap()
    }

    #[test]
    fn a_name_is_known_where_it_follows_as_before() {
        let heard = Interest::NONE.unknown();
        let mut followers = Followers::new(10_000);
        assert_eq!(followers.next(before("id")), None);
        for name in ["id", "title", "a_longer_name", "id"] {
            followers.follow(before(name), name.len(), if name == "id" { heard } else { Interest::NONE });
        }
        for name in ["title", "a_longer_name", "id", "title"] {
            let interest = if name == "id" { heard } else { Interest::NONE };
            assert_eq!(followers.next(before(name)), Some((name.len(), interest)));
        }
        for name in ["title", "longer_name", "the_longer_name", "a-longer_name", ""] {
            assert_eq!(followers.next(before(name)), None, "{name}");
        }
        followers.follow(before("a_name_of_many_letters"), 22, heard);
        assert_eq!(followers.next(before("a_longer_name")), Some((13, Interest::NONE)));
        let mut none = Followers::new(100);
        none.follow(before("id"), 2, heard);
        none.follow(before("id"), 2, heard);
        assert_eq!(none.next(before("id")), None);
    }
}
