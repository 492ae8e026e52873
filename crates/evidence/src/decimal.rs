//! Exact decimals: what a limit compares and a counter adds up, without the rounding of floating point.

use std::fmt;

/// Units of the fraction in one whole: 10^18, so that both parts fit a 64-bit integer.
const ATTO: i128 = 1_000_000_000_000_000_000;

/// The largest fraction.
const ATTO_MAX: u64 = 999_999_999_999_999_999;

/// The most decimal places that a [`Number`] holds.
const PLACES: i64 = 18;

/// An exact decimal: `whole + atto / 10^18`, with `atto` below 10^18. So -0.5 is whole -1 and atto 5 * 10^17, and numbers order by whole, then atto.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Number {
    // INVARIANT (floor): the derived order compares `whole` first, so the fraction is never negative.
    whole: i64,
    atto: u64,
}

/// Why a text is not a [`Number`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NumberError {
    /// It does not follow the grammar of numbers in JSON (RFC 8259, section 6).
    #[error("not a number")]
    NotANumber,
    /// It has more than 18 decimal places.
    #[error("a number with more than 18 decimal places")]
    TooFine,
    /// It does not fit 64 bits.
    #[error("a number beyond 64 bits")]
    TooLarge,
}

impl Number {
    /// Reads a number as JSON writes it, exponents included; the value counts, not the spelling, so `1.50` and `15e-1` are the same.
    ///
    /// # Errors
    /// [`NumberError`] where the text is no number or its exact value does not fit.
    pub fn parse(text: &str) -> Result<Self, NumberError> {
        let (negative, magnitude) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, exponent) = match magnitude.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, parse_exponent(exponent)?),
            None => (magnitude, 0),
        };
        let (whole, fraction) = match mantissa.split_once('.') {
            Some((whole, fraction)) if is_digits(fraction) => (whole, fraction),
            Some(_) => return Err(NumberError::NotANumber),
            None => (mantissa, ""),
        };
        if !is_digits(whole) || (whole.len() > 1 && whole.starts_with('0')) {
            return Err(NumberError::NotANumber);
        }
        let digits = format!("{whole}{fraction}");
        let significant = digits.trim_start_matches('0');
        let significant_end = significant.trim_end_matches('0');
        if significant_end.is_empty() {
            return Ok(Self { whole: 0, atto: 0 });
        }
        // The value is `significant_end * 10^scale`.
        let dropped = significant.len() - significant_end.len();
        let scale = exponent.saturating_add(count(dropped)).saturating_sub(count(fraction.len()));
        // More than 19 digits before the point exceed 2^63; this also bounds the arithmetic below to 19 + 18 = 37 digits, and 10^37 < 2^127.
        if count(significant_end.len()).saturating_add(scale) > 19 {
            return Err(NumberError::TooLarge);
        }
        let shift = u32::try_from(scale.saturating_add(PLACES)).map_err(|_| NumberError::TooFine)?;
        let unscaled: i128 = significant_end.parse().map_err(|_| NumberError::TooLarge)?;
        let factor = 10_i128.checked_pow(shift).ok_or(NumberError::TooLarge)?;
        let scaled = unscaled.checked_mul(factor).ok_or(NumberError::TooLarge)?;
        Self::from_scaled(if negative { -scaled } else { scaled })
    }

    /// Nothing.
    pub const ZERO: Self = Self { whole: 0, atto: 0 };

    /// The largest of all.
    pub const MAX: Self = Self { whole: i64::MAX, atto: ATTO_MAX };

    /// The sum, exactly.
    ///
    /// # Errors
    /// [`NumberError::TooLarge`] where it does not fit 64 bits.
    pub fn plus(self, other: Self) -> Result<Self, NumberError> {
        Self::from_scaled(self.scaled() + other.scaled())
    }

    /// The size, without its sign.
    ///
    /// # Errors
    /// [`NumberError::TooLarge`] for -2^63 alone.
    pub fn magnitude(self) -> Result<Self, NumberError> {
        Self::from_scaled(self.scaled().abs())
    }

    /// The largest integer that is not above this number.
    #[must_use]
    pub const fn whole(self) -> i64 {
        self.whole
    }

    /// What is left above [`Self::whole`], in units of 10^-18.
    #[must_use]
    pub const fn atto(self) -> u64 {
        self.atto
    }

    /// This number with the other sign.
    ///
    /// # Errors
    /// [`NumberError::TooLarge`] for -2^63 alone.
    pub fn negated(self) -> Result<Self, NumberError> {
        Self::from_scaled(-self.scaled())
    }

    fn scaled(self) -> i128 {
        i128::from(self.whole) * ATTO + i128::from(self.atto)
    }

    fn from_scaled(scaled: i128) -> Result<Self, NumberError> {
        let whole = i64::try_from(scaled.div_euclid(ATTO)).map_err(|_| NumberError::TooLarge)?;
        let atto = u64::try_from(scaled.rem_euclid(ATTO)).map_err(|_| NumberError::TooLarge)?;
        Ok(Self { whole, atto })
    }
}

impl From<i64> for Number {
    fn from(whole: i64) -> Self {
        Self { whole, atto: 0 }
    }
}

impl fmt::Display for Number {
    /// The shortest exact decimal, without an exponent: `-0.5`, `5000`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scaled = self.scaled();
        let magnitude = scaled.unsigned_abs();
        let (whole, fraction) = (magnitude / ATTO.unsigned_abs(), magnitude % ATTO.unsigned_abs());
        let sign = if scaled < 0 { "-" } else { "" };
        if fraction == 0 {
            return write!(f, "{sign}{whole}");
        }
        let digits = format!("{fraction:018}");
        write!(f, "{sign}{whole}.{}", digits.trim_end_matches('0'))
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn count(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

/// Reads an exponent; one beyond any representable number is held to a value that still is beyond.
fn parse_exponent(text: &str) -> Result<i64, NumberError> {
    const BEYOND: i64 = 1_000_000_000_000;
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if !is_digits(digits) {
        return Err(NumberError::NotANumber);
    }
    let magnitude = digits.parse::<i64>().unwrap_or(BEYOND).min(BEYOND);
    Ok(if negative { -magnitude } else { magnitude })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn exact_values_survive_every_spelling() {
        for (text, expected) in [
            ("0", "0"),
            ("-0", "0"),
            ("-0.0e999999999999999999999", "0"),
            ("1.50", "1.5"),
            ("15e-1", "1.5"),
            ("0.00000015E+7", "1.5"),
            ("-0.5", "-0.5"),
            ("-1.000000000000000001", "-1.000000000000000001"),
            ("9007199254740993", "9007199254740993"),
            ("9223372036854775807.999999999999999999", "9223372036854775807.999999999999999999"),
            ("-9223372036854775808", "-9223372036854775808"),
            ("1.000000000000000000000000000000", "1"),
            ("1000000000000000000000000000000e-30", "1"),
        ] {
            assert_eq!(Number::parse(text).unwrap().to_string(), expected, "{text}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        use NumberError::{NotANumber, TooFine, TooLarge};
        for (text, expected) in [
            ("", NotANumber),
            ("-", NotANumber),
            ("+1", NotANumber),
            ("01", NotANumber),
            (".5", NotANumber),
            ("5.", NotANumber),
            ("1e", NotANumber),
            ("1e+", NotANumber),
            ("0x10", NotANumber),
            ("1_000", NotANumber),
            ("NaN", NotANumber),
            ("Infinity", NotANumber),
            ("١", NotANumber),
            ("1 ", NotANumber),
            ("0.1000000000000000001", TooFine),
            ("1e-19", TooFine),
            ("1e-99999999999999999999", TooFine),
            ("1e400", TooLarge),
            ("1e99999999999999999999", TooLarge),
            ("9223372036854775808", TooLarge),
            ("-9223372036854775808.000000000000000001", TooLarge),
        ] {
            assert_eq!(Number::parse(text), Err(expected), "{text}");
        }
    }

    proptest! {
        #[test]
        fn order_is_the_order_of_values(a in -5_000_000_i64..5_000_000, b in -5_000_000_i64..5_000_000, places in 0_u32..6) {
            let number = |mantissa: i64| Number::parse(&format!("{mantissa}e-{places}")).unwrap();
            prop_assert_eq!(a.cmp(&b), number(a).cmp(&number(b)));
            prop_assert_eq!(number(a).negated().unwrap(), number(-a));
            prop_assert_eq!(number(a).plus(number(b)).unwrap(), number(a + b));
            prop_assert_eq!(number(a).magnitude().unwrap(), number(a.abs()));
        }

        #[test]
        fn text_reads_back_as_the_same_number(whole in any::<i64>(), atto in 0_u64..1_000_000_000_000_000_000) {
            let number = Number { whole, atto };
            prop_assert_eq!(Number::parse(&number.to_string()), Ok(number));
        }

        #[test]
        fn any_text_is_read_without_panic(text in "[-+0-9.eE]{0,40}") {
            let _ = Number::parse(&text);
        }
    }
}
