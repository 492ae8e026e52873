//! Wallets of crypto currencies, by the check sums that they end in.

use sha2::{Digest, Sha256};

use super::super::judge::{Class, Context, Judged, Kind};
use super::sort::{Speaks, speaks};

const WALLET: Kind = Kind { class: Class::Financial, name: "crypto_wallet" };

pub(super) const WORDS: &[&str] =
    &["wallet", "btc", "bitcoin", "eth", "ethereum", "crypto", "ltc", "litecoin", "address"];

/// Whether `value` is an address that money can be sent to.
pub(super) fn judge(value: &str, context: &Context<'_>) -> Option<Judged> {
    let is_alphanumeric = value.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !is_alphanumeric || !(25..=62).contains(&value.len()) {
        return None;
    }
    let score = if value.starts_with(['1', '3', 'L', 'M']) && value.len() <= 35 && base_58_check(value) {
        92
    } else if ["bc1", "tb1", "ltc1"].iter().any(|start| value.starts_with(start)) && bech_32(value) {
        94
    } else if value.len() == 42 && value.starts_with("0x") && value.bytes().skip(2).all(|byte| byte.is_ascii_hexdigit())
    {
        let is_mixed = value.bytes().skip(2).any(|byte| byte.is_ascii_uppercase())
            && value.bytes().skip(2).any(|byte| byte.is_ascii_lowercase());
        // The address of a contract is no wallet.
        if context.name.iter().any(|word| matches!(*word, "contract" | "token")) {
            return None;
        }
        match (speaks(context, WORDS), is_mixed) {
            (Speaks::Nothing, false) => return None,
            (Speaks::Nothing, true) => 60,
            _ => 84,
        }
    } else {
        return None;
    };
    Some(Judged { end: value.len(), kind: &WALLET, score, start: 0 })
}

/// Base58Check: 25 bytes of which the last four are of the hash of a hash.
fn base_58_check(text: &str) -> bool {
    const ALPHABET: &str = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    let mut bytes = [0_u8; 25];
    for letter in text.chars() {
        let Some(place) = ALPHABET.find(letter) else { return false };
        let mut carry = place;
        for byte in bytes.iter_mut().rev() {
            carry += 58 * usize::from(*byte);
            *byte = u8::try_from(carry % 256).unwrap_or_default();
            carry /= 256;
        }
        if carry > 0 {
            return false;
        }
    }
    let Some((body, check)) = bytes.split_at_checked(21) else { return false };
    let hash = Sha256::digest(Sha256::digest(body));
    hash.get(..4) == Some(check)
}

/// Bech32 (BIP 173) and Bech32m (BIP 350).
fn bech_32(text: &str) -> bool {
    const ALPHABET: &str = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    const STEPS: [u32; 5] = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
    let Some((head, data)) = text.rsplit_once('1') else { return false };
    let high = head.bytes().map(|byte| u32::from(byte) >> 5);
    let low = head.bytes().map(|byte| u32::from(byte) & 31);
    let data: Option<Vec<u32>> =
        data.chars().map(|letter| ALPHABET.find(letter).and_then(|place| u32::try_from(place).ok())).collect();
    let Some(data) = data else { return false };
    let check = high.chain([0]).chain(low).chain(data).fold(1_u32, |check, value| {
        let top = check >> 25;
        let next = (check & 0x01ff_ffff) << 5 ^ value;
        STEPS.iter().enumerate().filter(|(bit, _)| top >> bit & 1 == 1).fold(next, |next, (_, step)| next ^ step)
    });
    matches!(check, 1 | 0x2bc8_30a3)
}
