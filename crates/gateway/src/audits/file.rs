//! Files of audit tests: TOML, strict, with the line of what is wrong.

use std::collections::BTreeSet;
use std::path::Path;

use evidence::filter::{Along, Field, Filter, duration_us};
use evidence::leaf::sha256_hex;
use evidence::time::Timestamp;
use serde::Deserialize;
use toml::Spanned;

use super::library::LIBRARY;
use crate::config::bounded;
use crate::limits::{AUDIT_TESTS_MAX, AUDIT_WORD_BYTES_MAX};

/// A file of audit tests, as of one moment: times like `90d` in its filters count from then.
#[derive(Clone, Debug)]
pub struct AuditFile {
    /// What it is about.
    pub about: String,
    /// Its name.
    pub audit: String,
    /// Who sees to what fails.
    pub owner: String,
    /// SHA-256 of its text.
    pub sha256: String,
    /// Its tests, in order.
    pub tests: Vec<AuditTest>,
}

/// One audit test.
#[derive(Clone, Debug)]
pub struct AuditTest {
    /// The controls that it is evidence for.
    pub controls: Vec<String>,
    /// What must be so.
    pub expectation: Expectation,
    /// Its name in the file.
    pub name: String,
    /// What must be so, in a sentence.
    pub title: String,
}

/// What must be so of the records.
#[derive(Clone, Debug)]
pub enum Expectation {
    /// No record matches.
    None(Filter),
    /// So many records match.
    Some {
        /// Which.
        of: Filter,
        /// How many at least.
        at_least: u64,
    },
    /// Each of them matches too.
    Match {
        /// Which.
        all: Filter,
        /// What.
        matching: Filter,
    },
    /// After each of them, and in time, comes another of the same call, run, approval or exception.
    Followed {
        /// Which.
        all: Filter,
        /// What comes.
        by: Filter,
        /// Of the same what.
        along: Along,
        /// Within so many microseconds.
        within_us: i64,
    },
    /// Before each of them there is another of the same call, run, approval or exception.
    Preceded {
        /// Which.
        all: Filter,
        /// What is there.
        by: Filter,
        /// Of the same what.
        along: Along,
    },
    /// Before each of them, others of the same call, run, approval or exception have so many different values.
    Distinct {
        /// Which.
        all: Filter,
        /// Of which field.
        field: Field,
        /// Which others.
        among: Filter,
        /// Of the same what.
        along: Along,
        /// How many at least.
        at_least: u64,
    },
    /// In each of them the fields have no value in common.
    Differ {
        /// Which.
        all: Filter,
        /// One field.
        one: Field,
        /// The other.
        other: Field,
    },
}

/// Why a file of audit tests is none.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be read.
    #[error("audit tests `{path}`: {source}")]
    Read {
        /// Which.
        path: String,
        /// Why not.
        source: std::io::Error,
    },
    /// It is no file of tests.
    #[error("audit tests `{name}`: {text}")]
    Form {
        /// Which.
        name: String,
        /// What is wrong, and where.
        text: String,
    },
    /// It is neither a file nor one of those that come with the program.
    #[error("there are no audit tests `{name}`: name a file (NAME.toml), or one of {}", known())]
    Unknown {
        /// What was asked for.
        name: String,
    },
}

fn known() -> String {
    LIBRARY.iter().map(|shipped| shipped.name).collect::<Vec<_>>().join(", ")
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    audit: String,
    about: String,
    owner: Option<String>,
    #[serde(default)]
    test: Vec<WrittenTest>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenTest {
    name: Spanned<String>,
    title: String,
    #[serde(default)]
    controls: Vec<String>,
    none: Option<Spanned<String>>,
    some: Option<Spanned<String>>,
    all: Option<Spanned<String>>,
    #[serde(rename = "match")]
    matching: Option<Spanned<String>>,
    followed_by: Option<Spanned<String>>,
    preceded_by: Option<Spanned<String>>,
    within: Option<Spanned<String>>,
    along: Option<Spanned<String>>,
    distinct: Option<Spanned<String>>,
    among: Option<Spanned<String>>,
    at_least: Option<Spanned<u64>>,
    differ: Option<Spanned<Vec<String>>>,
}

/// What keys go together.
const FORMS: &str = "a test has `none`; or `some`, with `at_least`; or `all` with one of `match`, `followed_by` (with `along` and `within`), `preceded_by` (with `along`), `distinct` \
                     (with `among`, `along` and `at_least`), `differ`";

impl AuditFile {
    /// Those that `wanted` names: a file, or the name of one that comes with the program.
    ///
    /// # Errors
    /// [`FileError`] says what and where.
    pub fn find(wanted: &str, now: Timestamp) -> Result<Self, FileError> {
        let shipped = LIBRARY.iter().find(|shipped| shipped.name == wanted);
        let path = Path::new(wanted);
        match shipped {
            Some(shipped) => Self::read(shipped.name, shipped.text, now),
            None if path.extension().is_some() || path.exists() => {
                let text = bounded(path).map_err(|source| FileError::Read { path: wanted.to_owned(), source })?;
                Self::read(wanted, &text, now)
            }
            None => Err(FileError::Unknown { name: wanted.to_owned() }),
        }
    }

    /// Reads the text of a file, which messages call `name`.
    ///
    /// # Errors
    /// [`FileError::Form`].
    pub fn read(name: &str, text: &str, now: Timestamp) -> Result<Self, FileError> {
        let form = |text: String| FileError::Form { name: name.to_owned(), text };
        let written: Written = toml::from_str(text).map_err(|error| form(error.to_string()))?;
        if !is_word(&written.audit) {
            return Err(form(format!("audit = \"{}\": {WORD}", written.audit.escape_debug())));
        }
        if written.test.is_empty() || written.test.len() > AUDIT_TESTS_MAX {
            return Err(form(format!(
                "it has {} tests; want 1 to {AUDIT_TESTS_MAX}, each as [[test]]",
                written.test.len()
            )));
        }
        let (mut tests, mut names) = (Vec::new(), BTreeSet::new());
        for test in written.test {
            let at = test.name.span().start;
            let said = test.name.get_ref().clone();
            let wrong = |(at, what): (usize, String)| {
                form(format!("line {}, test `{}`: {what}", line(text, at), said.escape_debug()))
            };
            if !is_word(&said) {
                return Err(wrong((at, WORD.to_owned())));
            }
            if !names.insert(said.clone()) {
                return Err(wrong((at, "another test has this name".to_owned())));
            }
            tests.push(test.fit(now).map_err(wrong)?);
        }
        Ok(Self {
            about: written.about,
            audit: written.audit,
            owner: written.owner.unwrap_or_else(|| "operator".to_owned()),
            sha256: sha256_hex(text.as_bytes()),
            tests,
        })
    }
}

const WORD: &str = "a name has small letters, digits and hyphens";

fn is_word(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !text.is_empty() && text.len() <= AUDIT_WORD_BYTES_MAX && text.chars().all(fits)
}

/// The line of a byte, from 1.
fn line(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}

type Wrong = (usize, String);

impl WrittenTest {
    fn fit(mut self, now: Timestamp) -> Result<AuditTest, Wrong> {
        let at = self.name.span().start;
        if self.title.trim().is_empty() {
            return Err((at, "`title` says in a sentence what must be so".to_owned()));
        }
        let expectation = self.expectation(now)?;
        if let Some((name, at)) = self.left() {
            return Err((at, format!("`{name}` does not go with the rest; {FORMS}")));
        }
        Ok(AuditTest { controls: self.controls, expectation, name: self.name.into_inner(), title: self.title })
    }

    fn expectation(&mut self, now: Timestamp) -> Result<Expectation, Wrong> {
        let at = self.name.span().start;
        let read = |text: Spanned<String>| filter(&text, now);
        if let Some(none) = self.none.take() {
            return read(none).map(Expectation::None);
        }
        if let Some(some) = self.some.take() {
            let at_least = self.at_least.take().map_or(1, Spanned::into_inner);
            return Ok(Expectation::Some { of: read(some)?, at_least });
        }
        let Some(all) = self.all.take() else { return Err((at, FORMS.to_owned())) };
        let all = read(all)?;
        if let Some(matching) = self.matching.take() {
            return Ok(Expectation::Match { all, matching: read(matching)? });
        }
        if let Some(differ) = self.differ.take() {
            let at = differ.span().start;
            return match differ.get_ref().as_slice() {
                [one, other] => {
                    Ok(Expectation::Differ { all, one: comparable(one, at)?, other: comparable(other, at)? })
                }
                _ => Err((at, "`differ` names two fields, as in [\"approver\", \"initiator\"]".to_owned())),
            };
        }
        if let Some(by) = self.followed_by.take() {
            let within_us = self.within_us(at)?;
            return Ok(Expectation::Followed { all, by: read(by)?, along: self.along(at)?, within_us });
        }
        if let Some(by) = self.preceded_by.take() {
            return Ok(Expectation::Preceded { all, by: read(by)?, along: self.along(at)? });
        }
        if let Some(field) = self.distinct.take() {
            let missing = |what: &str| (at, format!("`distinct` needs `{what}`"));
            let among = self.among.take().ok_or_else(|| missing("among"))?;
            let at_least = self.at_least.take().ok_or_else(|| missing("at_least"))?.into_inner();
            let field = comparable(field.get_ref(), field.span().start)?;
            return Ok(Expectation::Distinct { all, field, among: read(among)?, along: self.along(at)?, at_least });
        }
        Err((at, FORMS.to_owned()))
    }

    fn within_us(&mut self, at: usize) -> Result<i64, Wrong> {
        let within =
            self.within.take().ok_or_else(|| (at, "`followed_by` needs `within`, as in \"24h\"".to_owned()))?;
        let us = duration_us(within.get_ref()).filter(|us| *us > 0);
        us.ok_or_else(|| (within.span().start, "`within` is a time like 90s, 30m, 24h, 7d or 2w".to_owned()))
    }

    fn along(&mut self, at: usize) -> Result<Along, Wrong> {
        let known = || Along::ALL.iter().map(|along| along.as_str()).collect::<Vec<_>>().join(", ");
        let Some(along) = self.along.take() else {
            return Err((at, format!("`along` is missing: of the same what? one of {}", known())));
        };
        let found = Along::ALL.iter().copied().find(|known| known.as_str() == along.get_ref());
        found.ok_or_else(|| (along.span().start, format!("`along` is one of {}", known())))
    }

    /// A key that nothing took.
    fn left(&self) -> Option<(&'static str, usize)> {
        let texts = [
            ("none", &self.none),
            ("some", &self.some),
            ("all", &self.all),
            ("match", &self.matching),
            ("followed_by", &self.followed_by),
            ("preceded_by", &self.preceded_by),
            ("within", &self.within),
            ("along", &self.along),
            ("distinct", &self.distinct),
            ("among", &self.among),
        ];
        let text = texts.into_iter().find_map(|(name, text)| Some((name, text.as_ref()?.span().start)));
        let number = self.at_least.as_ref().map(|number| ("at_least", number.span().start));
        text.or(number).or_else(|| self.differ.as_ref().map(|fields| ("differ", fields.span().start)))
    }
}

fn filter(text: &Spanned<String>, now: Timestamp) -> Result<Filter, Wrong> {
    Filter::parse_at(text.get_ref(), now)
        .map_err(|error| (text.span().start, format!("{error}, in `{}`", text.get_ref())))
}

/// A field whose values can be told apart.
fn comparable(name: &str, at: usize) -> Result<Field, Wrong> {
    let fits = |field: &Field| !matches!(field, Field::After | Field::Before | Field::On | Field::Seq | Field::Text);
    Field::named(name).filter(fits).ok_or_else(|| {
        let known: Vec<&str> = Field::ALL.iter().filter(|field| fits(field)).map(|field| field.name()).collect();
        (at, format!("`{}` is no field to compare by; known are {}", name.escape_debug(), known.join(", ")))
    })
}

impl Expectation {
    /// The records that it is about.
    #[must_use]
    pub const fn population(&self) -> &Filter {
        match self {
            Self::None(all)
            | Self::Some { of: all, .. }
            | Self::Match { all, .. }
            | Self::Followed { all, .. }
            | Self::Preceded { all, .. }
            | Self::Distinct { all, .. }
            | Self::Differ { all, .. } => all,
        }
    }

    /// What it asks of them, in words around its filters.
    #[must_use]
    pub fn told(&self) -> String {
        match self {
            Self::None(_) => "there is none".to_owned(),
            Self::Some { at_least, .. } => format!("there are at least {at_least}"),
            Self::Match { matching, .. } => format!("each matches `{matching}`"),
            Self::Followed { by, along, within_us, .. } => {
                format!("each is followed within {} by `{by}` of the same {}", spelled(*within_us), along.as_str())
            }
            Self::Preceded { by, along, .. } => format!("each is preceded by `{by}` of the same {}", along.as_str()),
            Self::Distinct { field, among, along, at_least, .. } => format!(
                "before each there are at least {at_least} different values of {} in `{among}` of the same {}",
                field.name(),
                along.as_str()
            ),
            Self::Differ { one, other, .. } => format!("in each, {} is nobody of {}", one.name(), other.name()),
        }
    }
}

/// A time as it is written in files.
pub(super) fn spelled(us: i64) -> String {
    let seconds = us / 1_000_000;
    let units = [(7 * 24 * 3600, "w"), (24 * 3600, "d"), (3600, "h"), (60, "m")];
    let whole = units.into_iter().find(|(unit, _)| seconds % unit == 0);
    whole.map_or_else(|| format!("{seconds}s"), |(unit, name)| format!("{}{name}", seconds / unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-11-27T00:00:00Z".parse().unwrap()
    }

    fn with(test: &str) -> Result<AuditFile, FileError> {
        let text =
            format!("audit = \"own\"\nabout = \"Ours.\"\n\n[[test]]\nname = \"one\"\ntitle = \"It is so.\"\n{test}");
        AuditFile::read("own.toml", &text, now())
    }

    #[test]
    fn what_comes_with_the_program_reads_and_names_its_controls() {
        for shipped in LIBRARY {
            let file = AuditFile::read(shipped.name, shipped.text, now()).unwrap();
            assert_eq!(file.audit, shipped.name);
            assert!(file.tests.iter().all(|test| !test.controls.is_empty()), "{}", shipped.name);
        }
        assert!(matches!(AuditFile::find("sox", now()), Err(FileError::Unknown { .. })));
    }

    #[test]
    fn each_form_is_read() {
        for (test, told) in [
            ("none = 'decision:deny after:7d'", "there is none"),
            ("some = 'type:ledger_state'", "there are at least 1"),
            ("some = 'type:ledger_state'\nat_least = 3", "there are at least 3"),
            ("all = 'event:intent'\nmatch = 'call(decision:allow)'", "each matches `call(decision:allow)`"),
            (
                "all = 'event:opened'\nfollowed_by = 'event:closed'\nalong = 'exception'\nwithin = '24h'",
                "each is followed within 1d by `event:closed` of the same exception",
            ),
            (
                "all = 'event:consumed'\npreceded_by = 'event:resolved'\nalong = 'approval'",
                "each is preceded by `event:resolved` of the same approval",
            ),
            (
                "all = 'event:consumed'\ndistinct = 'approver'\namong = 'answer:approve'\nalong = 'approval'\nat_least = 2",
                "before each there are at least 2 different values of approver in `answer:approve` of the same approval",
            ),
            ("all = 'event:review'\ndiffer = ['approver', 'initiator']", "in each, approver is nobody of initiator"),
        ] {
            let file = with(test).unwrap();
            let [test] = file.tests.as_slice() else { panic!("{:?}", file.tests) };
            assert_eq!(test.expectation.told(), told);
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        for (test, says) in [
            ("", "line 5, test `one`: a test has `none`"),
            ("none = 'decision:denied'", "line 7, test `one`: filter, byte 9: `denied` is not a decision"),
            ("none = 'decision:deny'\nwithin = '1d'", "line 8, test `one`: `within` does not go with the rest"),
            ("all = 'event:intent'", "a test has `none`"),
            ("all = 'event:intent'\nfollowed_by = 'event:outcome'\nalong = 'call'", "needs `within`"),
            (
                "all = 'event:intent'\nfollowed_by = 'event:outcome'\nwithin = '1y'\nalong = 'call'",
                "line 9, test `one`: `within` is a time",
            ),
            ("all = 'event:intent'\npreceded_by = 'event:outcome'", "`along` is missing"),
            (
                "all = 'event:intent'\npreceded_by = 'event:outcome'\nalong = 'mission'",
                "`along` is one of call, run, approval, exception",
            ),
            ("all = 'event:review'\ndiffer = ['approver']", "two fields"),
            ("all = 'event:review'\ndiffer = ['approver', 'owner']", "`owner` is no field to compare by"),
            ("all = 'event:review'\ndistinct = 'approver'\nalong = 'approval'\nat_least = 2", "needs `among`"),
            ("non = 'decision:deny'", "unknown field `non`"),
            (
                "none = 'decision:deny'\n[[test]]\nname = 'one'\ntitle = 'Again.'\nnone = ''",
                "another test has this name",
            ),
            ("none = 'decision:deny'\n[[test]]\nname = 'Two'\ntitle = 'Again.'\nnone = ''", "small letters"),
        ] {
            let error = with(test).unwrap_err().to_string();
            assert!(error.contains(says), "{test}: {error}");
        }
        let none = AuditFile::read("none.toml", "audit = 'own'\nabout = ''\n", now()).unwrap_err().to_string();
        assert!(none.contains("it has 0 tests"), "{none}");
    }

    #[test]
    fn times_are_spelled_as_they_are_written() {
        for text in ["1s", "90s", "5m", "24h", "36h", "7d", "2w"] {
            let us = duration_us(text).unwrap();
            assert_eq!(duration_us(&spelled(us)), Some(us), "{text}");
        }
    }
}
