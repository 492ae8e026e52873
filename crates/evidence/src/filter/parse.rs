//! Reads the filter language. Every refusal says where, what, and where it can what was probably meant.

use std::fmt;
use std::str::FromStr;

use super::moment::{self, NoTime};
use super::{Along, Argument, Field, Filter, IdRange, Join, Pattern, SeqRange, Span, Term};
use crate::limits::{FILTER_BYTES_MAX, FILTER_DEPTH_MAX, FILTER_JOINS_MAX};
use crate::record::{ExceptionKind, RecordType, VersionedKind};
use crate::time::Timestamp;

/// Why a text is not a filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct FilterError {
    /// The byte of the text, from 0, where the trouble starts.
    pub at: usize,
    /// What is wrong.
    pub what: String,
    /// What was probably meant, to be put in its place.
    pub suggestion: Option<String>,
}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "filter, byte {}: {}", self.at, self.what)?;
        self.suggestion.iter().try_for_each(|suggestion| write!(f, "; did you mean `{suggestion}`?"))
    }
}

/// Whether `c` may stand in a value without quotes.
pub(super) fn is_bare(c: char) -> bool {
    !c.is_whitespace() && !c.is_control() && !matches!(c, '"' | '(' | ')' | ',' | '\\' | '*')
}

impl FromStr for Filter {
    type Err = FilterError;

    /// Reads a filter that is kept and has no now: times like `7d` are refused.
    fn from_str(text: &str) -> Result<Self, FilterError> {
        Self::read(text, None)
    }
}

impl Filter {
    /// Reads a filter that is asked at `now`: `after:7d` begins seven days before.
    ///
    /// # Errors
    /// [`FilterError`] says where the trouble is.
    pub fn parse_at(text: &str, now: Timestamp) -> Result<Self, FilterError> {
        Self::read(text, Some(now))
    }

    /// The field, with its value, that somebody may have meant who wrote a bare word: `deny` is a `decision`.
    #[must_use]
    pub fn field_of(word: &str) -> Option<String> {
        let of = |field: &&Field| field.words().is_some_and(|words| words.contains(&word));
        Field::ALL.iter().find(of).map(|field| format!("{}:{word}", field.name()))
    }

    fn read(text: &str, now: Option<Timestamp>) -> Result<Self, FilterError> {
        let mut reader = Reader { text, at: 0, depth: 0, joins: 0, now };
        if text.len() > FILTER_BYTES_MAX {
            return reader.refuse(0, format!("a filter has at most {FILTER_BYTES_MAX} bytes"));
        }
        reader.skip_space();
        if reader.is_done() {
            return Ok(Self::everything());
        }
        let filter = reader.any()?;
        if !reader.is_done() {
            return reader.refuse(reader.at, "`)` without a `(` before it");
        }
        Ok(filter)
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    joins: usize,
    now: Option<Timestamp>,
}

impl<'a> Reader<'a> {
    fn refuse<T>(&self, at: usize, what: impl Into<String>) -> Result<T, FilterError> {
        Err(FilterError { at, what: what.into(), suggestion: None })
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn is_done(&self) -> bool {
        self.rest().is_empty()
    }

    fn skip_space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    /// Takes characters while `keep` says so.
    fn take(&mut self, keep: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c| !keep(c)).unwrap_or(rest.len());
        self.at += end;
        rest.get(..end).unwrap_or_default()
    }

    /// Takes `word` if it stands here as a whole word, and the space after it.
    fn word(&mut self, word: &str) -> bool {
        let Some(after) = self.rest().strip_prefix(word) else { return false };
        if !after.chars().next().is_none_or(|c| c.is_whitespace() || matches!(c, '(' | ')')) {
            return false;
        }
        self.at += word.len();
        self.skip_space();
        true
    }

    /// `all or all ...`
    fn any(&mut self) -> Result<Filter, FilterError> {
        let mut any = Vec::new();
        loop {
            match self.all()? {
                Filter::Or(more) => any.extend(more),
                one => any.push(one),
            }
            if !self.word("or") {
                return Ok(one_or(any, Filter::Or));
            }
        }
    }

    /// `one and one one ...`
    fn all(&mut self) -> Result<Filter, FilterError> {
        let mut all = Vec::new();
        loop {
            match self.one()? {
                Filter::And(more) => all.extend(more),
                one => all.push(one),
            }
            let joined = self.word("and");
            let ends = self.is_done() || self.peek() == Some(')') || self.rest_starts_with_or();
            if ends && !joined {
                return Ok(one_or(all, Filter::And));
            }
        }
    }

    fn rest_starts_with_or(&self) -> bool {
        Reader { depth: 0, ..*self }.word("or")
    }

    /// `not one`, `( any )` or a term.
    fn one(&mut self) -> Result<Filter, FilterError> {
        let start = self.at;
        if self.depth >= FILTER_DEPTH_MAX {
            return self.refuse(start, format!("more than {FILTER_DEPTH_MAX} `not` and `(` within each other"));
        }
        self.depth += 1;
        let one = if self.word("not") {
            Filter::Not(Box::new(self.one()?))
        } else if self.peek() == Some('(') {
            self.group(start)?
        } else if let Some(along) = self.join() {
            self.joins += 1;
            if self.joins > FILTER_JOINS_MAX {
                return self.refuse(start, format!("more than {FILTER_JOINS_MAX} `call(...)` and the like"));
            }
            Filter::Join(Join { along, inner: Box::new(self.group(start)?) })
        } else {
            Filter::Term(self.term()?)
        };
        self.depth -= 1;
        Ok(one)
    }

    /// `( any )`, which stands here.
    fn group(&mut self, start: usize) -> Result<Filter, FilterError> {
        self.at += 1;
        self.skip_space();
        let inner = self.any()?;
        if self.peek() != Some(')') {
            return self.refuse(start, "`(` without a `)` after it");
        }
        self.at += 1;
        self.skip_space();
        Ok(inner)
    }

    /// Takes the word of a join that stands here, up to its `(`.
    fn join(&mut self) -> Option<Along> {
        let starts = |along: &Along| self.rest().strip_prefix(along.as_str()).is_some_and(|rest| rest.starts_with('('));
        let along = Along::ALL.iter().copied().find(starts)?;
        self.at += along.as_str().len();
        Some(along)
    }

    fn term(&mut self) -> Result<Term, FilterError> {
        let start = self.at;
        let name = self.take(|c| is_bare(c) && c != ':');
        if self.peek() != Some(':') {
            if let Some(error) = self.not_a_term(start, name) {
                return Err(error);
            }
            self.at = start;
            return self.text();
        }
        let Some(field) = Field::named(name) else {
            let names = || Field::ALL.iter().map(|field| field.name());
            let known = names().collect::<Vec<_>>().join(", ");
            let what = format!(
                "there is no field `{}`; the fields are {known}; to look for the text, put it in quotes",
                shortened(name)
            );
            return Err(FilterError { at: start, what, suggestion: nearest(name, names()) });
        };
        self.at += 1;
        if field == Field::Text {
            return self.text();
        }
        let values = self.values(field.name())?;
        self.skip_space();
        typed(field, values, self.now)
    }

    /// Text that sentences are to hold.
    fn text(&mut self) -> Result<Term, FilterError> {
        let values = self.values(Field::Text.name())?;
        if let Some((at, _)) = values.iter().find(|(_, pattern)| pattern.segments.iter().all(String::is_empty)) {
            return self.refuse(*at, "a text to look for has at least one letter");
        }
        self.skip_space();
        let lower = |pattern: Pattern| Pattern {
            segments: pattern.segments.iter().map(|segment| segment.to_lowercase()).collect(),
        };
        Ok(Term::Text(values.into_iter().map(|(_, pattern)| lower(pattern).anywhere()).collect()))
    }

    /// Whether what stands at `start` is neither a term nor a text to look for, and what it could have been.
    fn not_a_term(&self, start: usize, name: &str) -> Option<FilterError> {
        let lower = name.to_lowercase();
        let next = self.rest().chars().next();
        let (what, suggestion) = match (next, lower.as_str()) {
            (None, "") => ("a term is missing at the end".into(), None),
            (Some('"' | '*' | '\\'), "") => return None,
            (Some(c), "") => {
                (format!("`{}` cannot start a term; a term is field:value, or text", c.escape_debug()), None)
            }
            (_, "and" | "or" | "not") if lower != name => (format!("`{name}` is not a term"), Some(lower)),
            (_, "and" | "or" | "not") => (format!("a term is missing before `{name}`"), None),
            (Some('('), _) => {
                let names = || Along::ALL.iter().map(|along| along.as_str());
                let known: Vec<String> = names().map(|along| format!("`{along}(`")).collect();
                let what = format!("there is no `{}(`; {} ask about other records", shortened(name), known.join(", "));
                (what, nearest(name, names()).map(|along| along + "("))
            }
            _ => {
                let (field, value) = name.split_once(['=', '<', '>'])?;
                Field::named(field)?;
                let what = format!("`{}` is not a term; a term is field:value", shortened(name));
                (what, Some(format!("{field}:{value}")).filter(|_| !value.is_empty()))
            }
        };
        Some(FilterError { at: start, what, suggestion })
    }

    /// The values after the colon, with the bytes where they start.
    fn values(&mut self, field: &str) -> Result<Vec<(usize, Pattern)>, FilterError> {
        let mut values = Vec::new();
        loop {
            let start = self.at;
            let segments = if self.peek() == Some('"') { self.quoted()? } else { self.bare() };
            if self.at == start {
                return self.refuse(start, format!("`{field}:` has no value here; a value follows without a space"));
            }
            values.push((start, Pattern { segments }.collapsed()));
            match self.peek() {
                Some(',') => self.at += 1,
                None | Some('(' | ')') => return Ok(values),
                Some(c) if c.is_whitespace() => return Ok(values),
                Some(c) => {
                    let what = format!("`{}` cannot stand here; put the value in quotes", c.escape_debug());
                    return self.refuse(self.at, what);
                }
            }
        }
    }

    fn bare(&mut self) -> Vec<String> {
        self.take(|c| is_bare(c) || matches!(c, '*' | '\\')).split('*').map(str::to_owned).collect()
    }

    fn quoted(&mut self) -> Result<Vec<String>, FilterError> {
        let start = self.at;
        let (mut segments, mut segment, mut escaped) = (Vec::new(), String::new(), false);
        for (offset, c) in self.rest().char_indices().skip(1) {
            match c {
                '"' | '\\' | '*' if escaped => {
                    segment.push(c);
                    escaped = false;
                }
                _ if escaped => return self.refuse(start + offset, "after `\\` comes `\"`, `*` or `\\`"),
                '\\' => escaped = true,
                '*' => segments.push(std::mem::take(&mut segment)),
                '"' => {
                    self.at += offset + 1;
                    segments.push(segment);
                    return Ok(segments);
                }
                _ => segment.push(c),
            }
        }
        self.refuse(start, "a quote without its end")
    }
}

/// The only element, or `several` of them.
fn one_or(mut filters: Vec<Filter>, several: fn(Vec<Filter>) -> Filter) -> Filter {
    match filters.pop() {
        Some(only) if filters.is_empty() => only,
        last => {
            filters.extend(last);
            several(filters)
        }
    }
}

type Values = Vec<(usize, Pattern)>;

/// Gives the values the type of their field.
fn typed(field: Field, values: Values, now: Option<Timestamp>) -> Result<Term, FilterError> {
    Ok(match field {
        Field::Type => Term::Type(words(field, &values, RecordType::ALL, RecordType::as_str)?),
        Field::Kind => Term::Kind(words(field, &values, ExceptionKind::ALL, ExceptionKind::as_str)?),
        Field::Argument => Term::Argument(arguments(&values)?),
        Field::Tool => Term::Value(field, tools(values)?),
        Field::Version => Term::Value(field, digests(values)),
        Field::Object => Term::Value(field, objects(values)?),
        Field::Call => Term::Call(ids(field, &values)?),
        Field::Run => Term::Run(ids(field, &values)?),
        Field::Session => Term::Session(ids(field, &values)?),
        Field::Approval => Term::Approval(ids(field, &values)?),
        Field::Exception => Term::Exception(ids(field, &values)?),
        Field::After => Term::After(time(field, &values, now)?),
        Field::Before => Term::Before(time(field, &values, now)?),
        Field::On => Term::On(spans(field, &values, now)?),
        Field::Seq => Term::Seq(ranges(&values)?),
        Field::Decision
        | Field::Would
        | Field::Origin
        | Field::Answer
        | Field::Resolution
        | Field::Event
        | Field::Status
        | Field::EffectClass
        | Field::Direction => {
            let picked = words(field, &values, &field.words().unwrap_or_default(), |word| word)?;
            Term::Value(field, picked.into_iter().map(Pattern::exactly).collect())
        }
        Field::Mission
        | Field::Agent
        | Field::Initiator
        | Field::Person
        | Field::Reason
        | Field::Gate
        | Field::Approver
        | Field::Class
        | Field::Text => Term::Value(field, patterns(values)),
    })
}

fn arguments(values: &Values) -> Result<Vec<Argument>, FilterError> {
    let read = |(at, pattern): &(usize, Pattern)| {
        Argument::read(pattern).map_err(|what| FilterError { at: *at, what, suggestion: None })
    };
    values.iter().map(read).collect()
}

fn patterns(values: Values) -> Vec<Pattern> {
    values.into_iter().map(|(_, pattern)| pattern).collect()
}

/// The start of a digest is enough.
fn digests(values: Values) -> Vec<Pattern> {
    let start = |pattern: Pattern| Pattern {
        segments: pattern.segments.into_iter().chain(std::iter::once(String::new())).collect(),
    };
    patterns(values).into_iter().map(|pattern| start(pattern).collapsed()).collect()
}

fn objects(values: Values) -> Result<Vec<Pattern>, FilterError> {
    for (at, pattern) in &values {
        if let Some(text) = pattern.exact()
            && !text.contains(':')
        {
            let kinds = VersionedKind::ALL.iter().map(|kind| kind.as_str()).collect::<Vec<_>>();
            let what = format!("`{}` is not kind:name; kinds are {}", shortened(text), kinds.join(", "));
            let meant = if kinds.contains(&text) { format!("{text}:*") } else { format!("*:{text}") };
            return Err(FilterError { at: *at, what, suggestion: typable(meant) });
        }
    }
    Ok(patterns(values))
}

/// The words of a closed set that the values match, in the order of the set.
fn words<T: Copy>(
    field: Field,
    values: &Values,
    all: &[T],
    spell: fn(T) -> &'static str,
) -> Result<Vec<T>, FilterError> {
    let known = || all.iter().map(|word| spell(*word));
    for (at, pattern) in values {
        if !known().any(|word| pattern.matches(word)) {
            let known_words = known().collect::<Vec<_>>().join(", ");
            let what = format!("`{}` is not {}; known are {known_words}", shown(pattern), article(field));
            let suggestion = nearest(&pattern.segments.concat(), known());
            return Err(FilterError { at: *at, what, suggestion });
        }
    }
    let picked = all.iter().copied().filter(|word| values.iter().any(|(_, pattern)| pattern.matches(spell(*word))));
    Ok(picked.collect())
}

/// A suggestion is to be typed, and must not carry what a terminal would obey.
fn typable(meant: String) -> Option<String> {
    Some(meant).filter(|meant| !meant.contains(char::is_control))
}

fn tools(values: Values) -> Result<Vec<Pattern>, FilterError> {
    for (at, pattern) in &values {
        if let Some(text) = pattern.exact()
            && !text.split_once(':').is_some_and(|(_, rest)| rest.contains('/'))
        {
            let what = format!("`{}` is not a tool; tools are written like mcp:bank/send_money", shortened(text));
            let meant = if text.contains('/') { format!("*:{text}") } else { format!("*/{text}") };
            return Err(FilterError { at: *at, what, suggestion: typable(meant) });
        }
    }
    Ok(patterns(values))
}

fn ids<T: FromStr>(field: Field, values: &Values) -> Result<Vec<IdRange<T>>, FilterError> {
    let read = |(at, pattern): &(usize, Pattern)| {
        let range = match pattern.segments.as_slice() {
            [text] => id_range(text, text),
            [prefix, rest] if rest.is_empty() => {
                let fill =
                    |fill: &str| prefix.chars().chain(fill.chars().skip(prefix.chars().count())).collect::<String>();
                let (low, high) = ("00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff");
                id_range(&fill(low), &fill(high))
            }
            _ => None,
        };
        range.ok_or_else(|| FilterError {
            at: *at,
            what: format!(
                "`{}` is not {}; want a UUID in lower case, or its start and `*`",
                shown(pattern),
                article(field)
            ),
            suggestion: None,
        })
    };
    values.iter().map(read).collect()
}

fn id_range<T: FromStr>(low: &str, high: &str) -> Option<IdRange<T>> {
    Some(IdRange { low: low.parse().ok()?, high: high.parse().ok()? })
}

/// The field's name in prose, with its article.
fn article(field: Field) -> String {
    let article = if field.name().starts_with(['a', 'e', 'o']) { "an" } else { "a" };
    format!("{article} {}", field.name().replace('_', " "))
}

fn time(field: Field, values: &Values, now: Option<Timestamp>) -> Result<Timestamp, FilterError> {
    let [(at, pattern)] = values.as_slice() else {
        let at = values.get(1).map_or(0, |(at, _)| *at);
        return Err(FilterError { at, what: format!("`{}:` takes one time", field.name()), suggestion: None });
    };
    let read = moment::read(pattern.exact().unwrap_or_default(), now);
    read.map(|span| span.from).map_err(|why| no_time(*at, pattern, why))
}

fn spans(field: Field, values: &Values, now: Option<Timestamp>) -> Result<Vec<Span>, FilterError> {
    let read = |(at, pattern): &(usize, Pattern)| {
        moment::read_span(pattern.exact().unwrap_or_default(), now).map_err(|why| {
            let mut error = no_time(*at, pattern, why);
            if why == NoTime::Unknown && pattern.exact().is_some_and(|text| text.contains("..")) {
                error.what = format!(
                    "`{}` is no span for `{}:`; want from..until, each of them {}",
                    shown(pattern),
                    field.name(),
                    moment::WANTED
                );
            }
            error
        })
    };
    values.iter().map(read).collect()
}

fn no_time(at: usize, pattern: &Pattern, why: NoTime) -> FilterError {
    let what = match why {
        NoTime::Unknown => format!("`{}` is not a time; want {}", shown(pattern), moment::WANTED),
        NoTime::Relative => {
            format!("`{}` counts from now, which a filter that is kept does not have; write a date", shown(pattern))
        }
    };
    FilterError { at, what, suggestion: None }
}

fn ranges(values: &Values) -> Result<Vec<SeqRange>, FilterError> {
    let number = |text: &str, open: u64| match text {
        "" => Some(open),
        _ => text.parse().ok().filter(|_| text.bytes().all(|c| c.is_ascii_digit())),
    };
    let read = |(at, pattern): &(usize, Pattern)| {
        let range = pattern.exact().filter(|text| !text.is_empty() && *text != "..").and_then(|text| {
            let (low, high) = text.split_once("..").unwrap_or((text, text));
            let range = SeqRange { low: number(low, 0)?, high: number(high, u64::MAX)? };
            (range.low <= range.high).then_some(range)
        });
        range.ok_or_else(|| FilterError {
            at: *at,
            what: format!("`{}` is not a record number; want 7, 7..9, 7.. or ..9", shown(pattern)),
            suggestion: None,
        })
    };
    values.iter().map(read).collect()
}

/// A pattern for a message.
fn shown(pattern: &Pattern) -> String {
    shortened(&pattern.segments.join("*"))
}

/// User text for a message: bounded and without control characters.
fn shortened(text: &str) -> String {
    text.chars().take(64).flat_map(char::escape_debug).collect()
}

/// The known word that takes the fewest edits to get to, of those that are near: a third of its letters and one, or the same first three letters.
fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    if word.len() > 64 {
        return None;
    }
    let word = word.to_lowercase();
    let near = |edits: usize, known: &str| {
        edits <= known.len() / 3 + 1 || known.get(..3).is_some_and(|start| word.starts_with(start))
    };
    let close = known.map(|known| (edits(&word, known), known)).filter(|(edits, known)| near(*edits, known));
    close.min_by_key(|(edits, _)| *edits).map(|(_, known)| known.to_owned())
}

/// Insertions, deletions and substitutions from one word to the other (Levenshtein).
fn edits(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (above, have) in from.chars().enumerate() {
        let mut left = above + 1;
        let mut next = vec![left];
        for (want, pair) in to.iter().zip(row.windows(2)) {
            let [diagonal, up] = pair else { continue };
            left = (diagonal + usize::from(have != *want)).min(up + 1).min(left + 1);
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}
