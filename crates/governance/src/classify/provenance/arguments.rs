//! The arguments of a call: who named what they act on, and what the agent sends of its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use evidence::record::{Origin, TargetOrigin, TargetRole};

use super::endorsed::Endorsed;
use super::leaves::{self, Reader};
use super::results::is_field_name;
use super::spelling::normal;
use super::store::{Form, Mark, SourceNumber, Store};
use crate::classify::facet::{WHOLE, read_object};
use crate::limits::{ARGUMENTS_MAX, SEEN_BYTES_MAX, SEEN_FOLDERS_MAX, SEEN_LINKS_MAX};
use crate::mission::{Role, Targets, addresses, argument_path, child_path, hides};

impl Store {
    /// Who named a value, by what was seen so far; and where it was seen first.
    pub(super) fn origin(&self, value: &str) -> (Origin, SourceNumber) {
        let normal = normal(value);
        let hides = hides(value);
        let found = self.origin_of_normal(&normal, hides);
        // The best way holds, so that none gets better by another one's getting worse.
        if found.0 > Origin::Initiator && normal.contains('/') && !hides {
            let in_folder = self.origin_in_folder(&normal, SEEN_FOLDERS_MAX);
            if let Some(in_folder) = in_folder.filter(|in_folder| in_folder.0 < found.0) {
                return in_folder;
            }
        }
        if found.0 == Origin::Initiator || !normal.contains('@') {
            return found;
        }
        // `Ann <ann@corp.example>` goes where its address says, several addresses wherever one does.
        let addresses = addresses(value).unwrap_or_default();
        let is_other = addresses.len() > 1 || addresses.first().is_some_and(|address| **address != *normal);
        let worst = addresses.iter().map(|address| self.origin_of_normal(address, false)).max();
        match worst.filter(|_| is_other) {
            Some(worst) if found.0 > Origin::Trusted || worst.0 < found.0 => worst,
            _ => found,
        }
    }

    /// Who named a path as a folder and a name in it, where somebody did: `/srv/in/a.txt`, of which the initiator named `/srv/in` and a service lists `a.txt`.
    fn origin_in_folder(&self, path: &str, left: usize) -> Option<(Origin, SourceNumber)> {
        let (folder, name) = path.rsplit_once('/')?;
        let is_web =
            folder.contains([':', '@', '?', '#', '%', '\\']) || (!folder.starts_with('/') && folder.contains('.'));
        if left == 0 || is_web || folder.ends_with('/') || matches!(name, "" | "." | "..") {
            return None;
        }
        let named =
            |text: &str| Some(self.origin_of_normal(text, false)).filter(|(origin, _)| *origin <= Origin::Trusted);
        let folder = [named(folder), self.origin_in_folder(folder, left - 1)].into_iter().flatten().min()?;
        named(name).map(|name| name.max(folder))
    }

    fn origin_of_normal(&self, normal: &str, hides: bool) -> (Origin, SourceNumber) {
        if !hides {
            if self.names(normal) {
                return (Origin::Initiator, 0);
            }
            let compact = super::spelling::compact(normal);
            let exact = [self.find(Form::Leaf, normal), compact.and_then(|compact| self.find(Form::Compact, &compact))];
            let exact = exact.into_iter().flatten().filter(|(mark, _)| mark.is_trusted());
            // Of two spellings that were trusted the better one holds.
            if let Some((mark, source)) = exact.max_by_key(|(mark, _)| *mark == Mark::Selected) {
                return (if mark == Mark::Selected { Origin::Selected } else { Origin::Trusted }, source);
            }
        }
        match self.find(Form::Leaf, normal).filter(|(mark, _)| !mark.is_trusted()).or_else(|| self.doubt(normal)) {
            Some((Mark::Sent, source)) => (Origin::Sent, source),
            Some((_, source)) => (Origin::Untrusted, source),
            None => (Origin::Unknown, 0),
        }
    }
}

/// Whether a name of a member is a value: an address, a path, a number.
fn is_value(name: &str) -> bool {
    !is_field_name(name)
}

/// Keeps what the agent sends. Says whether all of it could be read.
pub(super) fn send(store: &mut Store, arguments: &[u8]) -> bool {
    let text = String::from_utf8_lossy(arguments);
    if text.len() > SEEN_BYTES_MAX {
        return false;
    }
    let is_read = leaves::read(&text, (), &mut Sending { store }).is_ok();
    if !is_read {
        Sending { store }.value(&text);
    }
    is_read
}

struct Sending<'s> {
    store: &'s mut Store,
}

impl Sending<'_> {
    fn value(&mut self, value: &str) {
        let is_named = |store: &Store, value: &str| store.origin(value).0 <= Origin::Trusted;
        if is_named(self.store, value) {
            return self.store.note_pieces(value, true);
        }
        for word in value.split_whitespace().filter(|word| word.len() < value.len()) {
            if is_named(self.store, word) {
                self.store.note_pieces(word, true);
            }
        }
        self.store.note_pieces(value, false);
        // What was seen before it was sent stays what it was, and where.
        let seen = self.store.doubt(&normal(value)).filter(|(mark, _)| *mark == Mark::Untrusted);
        let (mark, source) = seen.unwrap_or((Mark::Sent, 0));
        self.store.note(value, mark, source);
    }
}

impl Reader for Sending<'_> {
    type Place = ();

    fn enter(&mut self, (): (), name: &str) {
        if is_value(name) {
            self.value(name);
        }
    }

    fn leave(&mut self) {}

    fn text(&mut self, (): (), text: &str) {
        self.value(text);
    }

    fn number(&mut self, (): (), spelt: &str) {
        self.value(spelt);
    }

    fn vast_number(&mut self, (): ()) {}

    fn position(&self) -> usize {
        0
    }

    fn twice(&mut self, _: usize) {}

    fn is_full(&self) -> bool {
        false
    }
}

/// Traces what a call acts on.
struct Tracing<'s> {
    endorsed: &'s [Endorsed],
    store: &'s Store,
    targets: &'s Targets,
    /// The argument, as rules name it, and those that it is in.
    path: Vec<Arc<str>>,
    found: BTreeMap<(Arc<str>, TargetRole), (Origin, SourceNumber)>,
    is_full: bool,
}

/// Who named what each argument holds, sorted by argument.
pub(super) fn trace(store: &Store, arguments: &[u8], targets: &Targets, endorsed: &[Endorsed]) -> Vec<TargetOrigin> {
    if arguments.is_empty() {
        return Vec::new();
    }
    let mut tracing = Tracing { endorsed, store, targets, path: Vec::new(), found: BTreeMap::new(), is_full: false };
    let is_read = read_object(arguments).is_ok()
        && std::str::from_utf8(arguments).is_ok_and(|text| leaves::read(text, (), &mut tracing).is_ok());
    if !is_read || tracing.is_full {
        let (argument, origin, role) = (Arc::from(WHOLE), Origin::Unknown, TargetRole::Target);
        return vec![TargetOrigin { argument, origin, role, source: None }];
    }
    let source = |origin, number: SourceNumber| match origin {
        Origin::Endorsed => endorsed.get(usize::from(number)).map(|endorsed| endorsed.source().clone()),
        _ => store.source(number).cloned(),
    };
    let one = |((argument, role), (origin, number))| {
        let source = source(origin, number);
        TargetOrigin { argument, origin, role, source }
    };
    tracing.found.into_iter().map(one).collect()
}

impl Tracing<'_> {
    fn argument(&self) -> Arc<str> {
        self.path.last().cloned().unwrap_or_else(|| WHOLE.into())
    }

    fn keep(&mut self, role: TargetRole, origin: (Origin, SourceNumber)) {
        let argument = self.argument();
        if self.found.len() >= ARGUMENTS_MAX && !self.found.contains_key(&(argument.clone(), role)) {
            self.is_full = true;
            return;
        }
        let worst = self.found.entry((argument, role)).or_insert(origin);
        if origin.0 > worst.0 {
            *worst = origin;
        }
    }

    /// Who named a value, unless people have endorsed it, which is as good as few.
    fn named(&self, argument: &str, value: &str) -> (Origin, SourceNumber) {
        let found = self.store.origin(value);
        if found.0 < Origin::Endorsed {
            return found;
        }
        let place = self.endorsed.iter().position(|endorsed| endorsed.is(argument, value));
        place.and_then(|place| Some((Origin::Endorsed, place.try_into().ok()?))).unwrap_or(found)
    }

    fn value(&mut self, value: &str, is_number: bool) {
        let argument = self.argument();
        let is_listed = match is_number {
            true => self.targets.lists_number(&argument, value),
            false => self.targets.lists_text(&argument, value),
        };
        match self.targets.role(&argument, is_number) {
            _ if value.is_empty() => {}
            Role::Target if is_listed => self.keep(TargetRole::Target, (Origin::Mission, 0)),
            Role::Target => self.keep(TargetRole::Target, self.named(&argument, value)),
            Role::Content if is_listed || !self.targets.watches_payload() => {}
            Role::Content => {
                let mut count = 0;
                for link in links(value) {
                    count += 1;
                    let is_last = count > SEEN_LINKS_MAX;
                    let origin = if is_last { (Origin::Unknown, 0) } else { self.store.origin(link) };
                    self.keep(TargetRole::Payload, origin);
                    if is_last {
                        break;
                    }
                }
            }
        }
    }
}

/// The links in a text, as people and programs find them that make them ones to follow.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let is_end = |character: char| {
        character.is_whitespace()
            || matches!(character, '"' | '\'' | '`' | '<' | '>' | '(' | ')' | '[' | ']' | '{' | '}' | '|' | ',')
    };
    let words = text.split(is_end).map(|word| word.trim_end_matches(['.', ';', ':', '!', '?', '*']));
    words.filter_map(|word| {
        let lower = word.to_ascii_lowercase();
        let at = lower.find("://").map(|at| {
            let scheme = lower.get(..at).unwrap_or_default();
            at - scheme.bytes().rev().take_while(u8::is_ascii_alphanumeric).count()
        });
        at.or_else(|| lower.find("www.")).and_then(|at| word.get(at..))
    })
}

impl Reader for Tracing<'_> {
    type Place = ();

    fn enter(&mut self, (): (), name: &str) {
        let path = match self.path.last() {
            None => argument_path(name),
            Some(argument) => {
                let (argument, child) = (argument.clone(), child_path(argument, name));
                if is_value(name) && !self.targets.speaks_of(&child) {
                    // The name is a value of the argument, and so is what it has.
                    self.value(name, false);
                    argument
                } else {
                    child
                }
            }
        };
        self.path.push(path);
    }

    fn leave(&mut self) {
        self.path.pop();
    }

    fn text(&mut self, (): (), text: &str) {
        self.value(text, false);
    }

    fn number(&mut self, (): (), spelt: &str) {
        self.value(spelt, true);
    }

    fn vast_number(&mut self, (): ()) {
        if self.targets.role(&self.argument(), true) == Role::Target {
            self.keep(TargetRole::Target, (Origin::Unknown, 0));
        }
    }

    fn position(&self) -> usize {
        0
    }

    fn twice(&mut self, _: usize) {
        self.is_full = true;
    }

    fn is_full(&self) -> bool {
        self.is_full
    }
}
