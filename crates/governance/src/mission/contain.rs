//! Whether everything that one rule allows is allowed by another: exact where sets can be compared, and never a yes on a guess.

use evidence::decimal::Number;

use super::command::words;
use super::domain::domain_of;
use super::email::{EmailPattern, addresses};
use super::identifier::identifier;
use super::moment::moments;
use super::path::normal_path;
use super::rule::{Constraint, Danger, DomainPattern, Scalar, ToolPattern, UriPattern};
use super::spelling::ambiguity;
use super::sql::kinds;
use super::uri::is_plain;
use super::url::WebUrl;

/// Whether one set holds another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holds {
    No,
    /// It cannot be told: neither may be built upon.
    Unknown,
    Yes,
}

impl From<bool> for Holds {
    fn from(holds: bool) -> Self {
        if holds { Self::Yes } else { Self::No }
    }
}

/// Whether `wide` allows every value that `narrow` allows.
pub(crate) fn holds(wide: &Constraint, narrow: &Constraint) -> Holds {
    match (wide, narrow) {
        (Constraint::Free, _) => Holds::Yes,
        (_, Constraint::Free) => Holds::No,
        (Constraint::From(wide), Constraint::From(narrow)) if wide == narrow => Holds::Yes,
        // What a server returns, nobody knows before.
        (Constraint::From(_), _) | (_, Constraint::From(_)) => Holds::Unknown,
        (Constraint::Fields, Constraint::Fields) => Holds::Yes,
        (Constraint::Fields, _) | (_, Constraint::Fields) => Holds::No,
        (Constraint::Identifier(wide), Constraint::Identifier(narrow)) => {
            narrow.iter().all(|name| wide.contains(name)).into()
        }
        (Constraint::Sql(wide), Constraint::Sql(narrow)) => narrow.iter().all(|kind| wide.contains(kind)).into(),
        (Constraint::Email(wide), Constraint::Email(narrow)) => {
            narrow.iter().all(|email| wide.iter().any(|wide| wide.holds(email))).into()
        }
        (Constraint::Command(wide), Constraint::Command(narrow)) => {
            let is_held = narrow.iter().all(|command| wide.iter().any(|wide| wide.holds(command)));
            // Several together may hold what none does alone.
            if is_held { Holds::Yes } else { Holds::Unknown }
        }
        (Constraint::Time { max, min }, Constraint::Time { max: last, min: first }) => {
            (min <= first && last <= max).into()
        }
        (wide, Constraint::In(values)) => values.iter().all(|value| accepts(wide, value)).into(),
        (Constraint::In(_), Constraint::Range { max, min }) if max == min => {
            accepts(wide, &Scalar::Number(*max)).into()
        }
        (Constraint::Range { max, min }, Constraint::Range { max: high, min: low }) => {
            (min <= low && high <= max).into()
        }
        (Constraint::Length { max, min }, Constraint::Length { max: most, min: least }) => {
            (min <= least && most <= max).into()
        }
        (Constraint::Path(wide), Constraint::Path(narrow)) => {
            narrow.iter().all(|folder| wide.iter().any(|root| is_below(folder, root))).into()
        }
        (Constraint::Domain(wide), Constraint::Domain(narrow)) => {
            narrow.iter().all(|domain| wide.iter().any(|wide| holds_domain(wide, domain))).into()
        }
        (Constraint::Url(wide), Constraint::Url(narrow)) => {
            narrow.iter().all(|url| wide.iter().any(|wide| wide.holds(url))).into()
        }
        (Constraint::Pattern(wide), Constraint::Pattern(narrow)) if wide == narrow => Holds::Yes,
        // A list of values, and numbers against texts, hold little of anything else. The rest would take more than a comparison.
        (Constraint::In(_) | Constraint::Range { .. }, _) | (_, Constraint::Range { .. }) => Holds::No,
        (
            Constraint::Command(_)
            | Constraint::Domain(_)
            | Constraint::Email(_)
            | Constraint::Identifier(_)
            | Constraint::Length { .. }
            | Constraint::Path(_)
            | Constraint::Pattern(_)
            | Constraint::Sql(_)
            | Constraint::Time { .. }
            | Constraint::Url(_),
            _,
        ) => Holds::Unknown,
    }
}

/// Whether `constraint` allows `value`, as the path would decide it.
pub(crate) fn accepts(constraint: &Constraint, value: &Scalar) -> bool {
    match (constraint, value) {
        (Constraint::Free, _) => true,
        (Constraint::In(values), value) => values.contains(value),
        (Constraint::Range { max, min }, Scalar::Number(number)) => min <= number && number <= max,
        (Constraint::Domain(domains), Scalar::Text(text)) => domain_of(text).is_ok_and(|found| {
            domains.iter().any(|domain| holds_domain(domain, &DomainPattern::Exact(found.as_str().into())))
        }),
        (Constraint::Length { max, min }, Scalar::Text(text)) => {
            let count = text.chars().count();
            (*min as usize..=*max as usize).contains(&count)
        }
        (Constraint::Path(roots), Scalar::Text(text)) => {
            normal_path(text).is_ok_and(|path| roots.iter().any(|root| is_below(&path, root)))
        }
        (Constraint::Pattern(pattern), Scalar::Text(text)) => ambiguity(text).is_none() && pattern.matches(text),
        (Constraint::Url(urls), Scalar::Text(text)) => {
            WebUrl::parse(text).is_ok_and(|url| urls.iter().any(|pattern| pattern.covers(&url)))
        }
        (Constraint::Command(commands), Scalar::Text(text)) => {
            words(text).is_ok_and(|words| commands.iter().any(|command| command.matches(&words)))
        }
        (Constraint::Email(emails), Scalar::Text(text)) => addresses(text).is_ok_and(|found| {
            found.iter().all(|address| {
                EmailPattern::parse(address).is_ok_and(|address| emails.iter().any(|email| email.holds(&address)))
            })
        }),
        (Constraint::Identifier(names), Scalar::Text(text)) => {
            identifier(text).is_ok_and(|name| names.iter().any(|known| **known == *name))
        }
        (Constraint::Sql(allowed), Scalar::Text(text)) => {
            kinds(text).is_ok_and(|found| found.iter().all(|kind| allowed.iter().any(|known| **known == **kind)))
        }
        (Constraint::Time { max, min }, Scalar::Text(text)) => {
            moments(text).is_ok_and(|(first, last)| *min <= first && last <= *max)
        }
        // What is not one value by itself, and values of another kind.
        (
            Constraint::Command(_)
            | Constraint::Domain(_)
            | Constraint::Email(_)
            | Constraint::Fields
            | Constraint::From(_)
            | Constraint::Identifier(_)
            | Constraint::Length { .. }
            | Constraint::Path(_)
            | Constraint::Pattern(_)
            | Constraint::Range { .. }
            | Constraint::Sql(_)
            | Constraint::Time { .. }
            | Constraint::Url(_),
            Scalar::Bool(_) | Scalar::Number(_) | Scalar::Text(_),
        ) => false,
    }
}

/// Whether `path` is `root` or lies below it.
fn is_below(path: &str, root: &str) -> bool {
    root == "/" || path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

pub(super) fn holds_domain(wide: &DomainPattern, narrow: &DomainPattern) -> bool {
    let below = |name: &str, domain: &str| name.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'));
    match (wide, narrow) {
        (DomainPattern::Exact(wide), DomainPattern::Exact(narrow)) => wide == narrow,
        (DomainPattern::Exact(_), DomainPattern::Subdomains(_)) => false,
        (DomainPattern::Subdomains(wide), DomainPattern::Exact(narrow)) => below(narrow, wide),
        (DomainPattern::Subdomains(wide), DomainPattern::Subdomains(narrow)) => wide == narrow || below(narrow, wide),
    }
}

/// Whether `wide` matches every URI that `narrow` matches. Wildcards match plain URIs alone.
pub(crate) fn holds_uri(wide: &UriPattern, narrow: &UriPattern) -> Holds {
    let (wide, narrow) = (wide.as_str(), narrow.as_str());
    let is_open = |text: &str| text.contains('*');
    if wide == narrow {
        return Holds::Yes;
    }
    match wide.strip_suffix('*') {
        _ if !is_open(wide) => Holds::No,
        Some(start) if !is_open(start) => {
            let fixed = narrow.split('*').next().unwrap_or_default();
            (fixed.starts_with(start) && (is_open(narrow) || is_plain(narrow))).into()
        }
        Some(_) | None => Holds::Unknown,
    }
}

fn holds_tools(wide: &ToolPattern, narrow: &ToolPattern) -> bool {
    let is_name = match (wide.open, narrow.open) {
        (true, _) => narrow.name.starts_with(&*wide.name),
        (false, true) => false,
        (false, false) => wide.name == narrow.name,
    };
    wide.is_of(narrow.surface, &narrow.upstream) && is_name
}

/// Whether every call of `pattern` that is in `narrow` is in `wide` too.
pub(crate) fn holds_zone(wide: &Danger, narrow: &Danger, pattern: &ToolPattern) -> bool {
    let is_size = |(argument, (size, _)): (&std::sync::Arc<str>, &(Number, u32))| {
        wide.over.get(argument).is_some_and(|(other, _)| other <= size)
    };
    let is_sum =
        |sum: &super::rule::Limit| wide.sums.iter().any(|other| other.period == sum.period && other.most <= sum.most);
    let sizes = wide.over.is_empty()
        || (!narrow.over.is_empty() && narrow.over.iter().all(is_size) && narrow.sums.iter().all(is_sum));
    sizes && wide.when.iter().any(|wide| holds_tools(wide, pattern))
}
