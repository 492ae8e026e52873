//! Arguments of calls in filters: `argument:amount>1000`.

use std::cmp::Ordering;
use std::fmt;

use super::Pattern;
use crate::decimal::Number;
use crate::record::Facet;

/// The kind of facets that are exact decimals.
const NUMBER: &str = "number";

/// An argument that the rules of a decision saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Argument {
    /// Its name. Has none of the characters that begin a comparison.
    pub name: Pattern,
    /// What one of its values must be; anything without one.
    pub test: Option<Test>,
}

/// What a value is compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Test {
    /// Its text is like this.
    Is(Pattern),
    /// It is a number, and stands so to this one. The text is a number.
    Compares(Comparison, String),
}

/// How one number stands to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// It is less.
    Less,
    /// It is less, or the same.
    AtMost,
    /// It is more.
    More,
    /// It is more, or the same.
    AtLeast,
}

impl Comparison {
    /// All of them; one that begins with another comes before it.
    pub(super) const ALL: &'static [Self] = &[Self::AtMost, Self::Less, Self::AtLeast, Self::More];

    /// How it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Less => "<",
            Self::AtMost => "<=",
            Self::More => ">",
            Self::AtLeast => ">=",
        }
    }

    fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::Less => ordering.is_lt(),
            Self::AtMost => ordering.is_le(),
            Self::More => ordering.is_gt(),
            Self::AtLeast => ordering.is_ge(),
        }
    }
}

impl Argument {
    /// Reads what a pattern of a filter says: a name, or a name, `=`, `<`, `<=`, `>` or `>=`, and a value.
    ///
    /// # Errors
    /// What is wrong, in a sentence.
    pub(super) fn read(pattern: &Pattern) -> Result<Self, String> {
        let segments = pattern.segments();
        let found = segments.iter().enumerate().find_map(|(at, text)| Some((at, text.split_once(['=', '<', '>'])?)));
        let Some((at, (before, _))) = found else {
            return Ok(Self { name: pattern.clone(), test: None });
        };
        let named = segments.iter().take(at).cloned().chain(std::iter::once(before.to_owned())).collect();
        let name = Pattern { segments: named }.collapsed();
        if name.exact() == Some("") {
            return Err("an argument has a name, as in amount>1000; `*` stands for any".to_owned());
        }
        let rest = segments.get(at).and_then(|text| text.strip_prefix(before)).unwrap_or_default();
        let compares =
            Comparison::ALL.iter().find_map(|comparison| Some((comparison, rest.strip_prefix(comparison.as_str())?)));
        let test = match compares {
            Some((comparison, text)) if at + 1 == segments.len() && Number::parse(text).is_ok() => {
                Test::Compares(*comparison, text.to_owned())
            }
            Some((comparison, _)) => {
                return Err(format!(
                    "after `{}` comes a number, as in amount{}1000.50",
                    comparison.as_str(),
                    comparison.as_str()
                ));
            }
            None => {
                let first = rest.strip_prefix('=').unwrap_or(rest).to_owned();
                let value = std::iter::once(first).chain(segments.iter().skip(at + 1).cloned()).collect();
                Test::Is(Pattern { segments: value }.collapsed())
            }
        };
        Ok(Self { name, test: Some(test) })
    }

    /// Whether this is about `facet`, and one of its values is as it must be.
    #[must_use]
    pub fn matches(&self, facet: &Facet) -> bool {
        // The fact about the arguments as a whole is none of an argument.
        if facet.argument.is_empty() || !self.name.matches(&facet.argument) {
            return false;
        }
        match &self.test {
            None => true,
            Some(Test::Is(pattern)) => facet.values.iter().any(|value| pattern.matches(&value.text)),
            Some(Test::Compares(comparison, text)) => {
                let Ok(want) = Number::parse(text) else { return false };
                let numbers = facet.values.iter().filter(|value| &*value.kind == NUMBER);
                numbers
                    .filter_map(|value| Number::parse(&value.text).ok())
                    .any(|have| comparison.holds(have.cmp(&want)))
            }
        }
    }
}

impl fmt::Display for Argument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (begin, value) = match &self.test {
            None => return self.name.fmt(f),
            Some(Test::Is(value)) => ("=", value.clone()),
            Some(Test::Compares(comparison, text)) => (comparison.as_str(), Pattern::exactly(text)),
        };
        // One pattern: its last segment of the name goes on with the first of the value.
        let mut segments = self.name.segments().to_vec();
        let mut values = value.segments().iter();
        if let (Some(last), Some(first)) = (segments.last_mut(), values.next()) {
            last.push_str(begin);
            last.push_str(first);
        }
        segments.extend(values.cloned());
        Pattern { segments }.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::filter::Filter;
    use crate::record::FacetValue;

    fn facet(argument: &str, kind: &str, texts: &[&str]) -> Facet {
        let value = |text: &&str| FacetValue { kind: kind.into(), text: Arc::from(*text) };
        Facet { argument: argument.into(), values: texts.iter().map(value).collect() }
    }

    fn read(text: &str) -> Argument {
        match format!("argument:{text}").parse::<Filter>() {
            Ok(Filter::Term(crate::filter::Term::Argument(mut arguments))) => arguments.pop().unwrap(),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn numbers_compare_as_numbers_and_texts_as_patterns() {
        let amount = facet("amount", NUMBER, &["1000.00"]);
        for (argument, matches) in [
            ("amount", true),
            ("am*", true),
            ("*", true),
            ("payee", false),
            ("amount>999.99", true),
            ("amount>1000", false),
            ("amount>=1000", true),
            ("amount<=1000", true),
            ("amount<1000", false),
            ("amount<1e4", true),
            ("amount=1000.00", true),
            ("amount=1000", false),
            ("amount=10*", true),
            ("a*t>=1000", true),
        ] {
            assert_eq!(read(argument).matches(&amount), matches, "{argument}");
        }
        assert!(!read("amount>1").matches(&facet("amount", "text", &["1000"])), "a text is no number");
        assert!(read("to=*@corp.example").matches(&facet("to", "email", &["x@else.example", "ana@corp.example"])));
        assert!(!read("*").matches(&facet("", "length", &["7"])), "that is about all arguments");
    }

    #[test]
    fn what_is_no_comparison_is_refused_with_its_place() {
        for (filter, at, says) in [
            ("argument:amount>", 9, "comes a number"),
            ("argument:amount>lots", 9, "as in amount>1000.50"),
            ("argument:amount>=1*", 9, "comes a number"),
            ("argument:>5", 9, "has a name"),
            ("status:done argument:a,=5", 23, "has a name"),
        ] {
            let error = filter.parse::<Filter>().unwrap_err();
            assert!(error.at == at && error.what.contains(says), "{filter}: {error}");
        }
    }
}
