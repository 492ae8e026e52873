//! What a piece of text is, by those who know: the words around it, what they say of it, and how sure they are.
//!
//! The engine finds candidates and what stands around them; [`super::secret`] and [`super::identifier`] judge them. Judges are pure functions of the candidate and
//! its context, look at no other text, and never panic, whatever the bytes.

/// One of the classes that data is labelled with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Numbers of companies and their taxes.
    BusinessId,
    /// Under export control, or controlled unclassified information.
    Export,
    /// Cards, accounts, wallets.
    Financial,
    /// Of patients, plans and prescribers.
    Health,
    /// Marked with a sensitivity label.
    Labelled,
    /// Privileged, sealed, or under a confidentiality agreement.
    Legal,
    /// The organisation's own; each kind is a class that it has named.
    Org,
    /// Of persons and their devices.
    Pii,
    /// Passwords, keys, tokens.
    Secret,
}

impl Class {
    /// Its name in missions, records and findings.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::BusinessId => "business_id",
            Self::Export => "export",
            Self::Financial => "financial",
            Self::Health => "health",
            Self::Labelled => "labelled",
            Self::Legal => "legal",
            Self::Org => "org",
            Self::Pii => "pii",
            Self::Secret => "secret",
        }
    }
}

/// A kind of value within a class: `us_ssn`, `github_token`.
#[derive(Debug, PartialEq, Eq)]
pub struct Kind {
    /// The class that it belongs to.
    pub class: Class,
    /// Its name, in lower case with underscores; a country's code first where it is a country's own.
    pub name: &'static str,
}

/// What stands around a candidate. Words are in lower case and split where spelling changes: `customerTaxID`, `customer-tax-id` and `Customer Tax ID` are three
/// words each. The nearest word comes first.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Context<'c> {
    /// Words after the candidate, in the same sentence or line.
    pub(crate) after: &'c [&'c str],
    /// Words before the candidate, in the same sentence or line.
    pub(crate) before: &'c [&'c str],
    /// The words of the name that it is the value of: of a member of an object, a setting, an attribute, a column of a table. Empty where it has no name.
    pub(crate) name: &'c [&'c str],
    /// The words of the names that stand around that name, innermost first: of `{"bank":{"account":{"no":…}}}`, `account` and `bank`.
    pub(crate) names_around: &'c [&'c str],
}

impl Context<'_> {
    /// Whether there are no words.
    pub(crate) const fn is_empty(&self) -> bool {
        self.after.is_empty() && self.before.is_empty() && self.name.is_empty() && self.names_around.is_empty()
    }
}

/// What a judge says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Judged {
    /// Where in the candidate it ends, in bytes.
    pub(crate) end: usize,
    /// What it is.
    pub(crate) kind: &'static Kind,
    /// How sure, from 1 to 100: 50 and more is a finding at the default threshold. What its check digits prove beyond doubt is 95 and more; a shape with the right name
    /// beside it 80 and more; a shape alone that much else has is below 50.
    pub(crate) score: u8,
    /// Where in the candidate it starts, in bytes.
    pub(crate) start: usize,
}
