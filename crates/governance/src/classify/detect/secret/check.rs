//! What a token proves of itself: check digits and headers that decode.

/// Whether the last six characters are the CRC-32 of those between the prefix and them, in base 62 as GitHub and npm write it.
pub(super) fn crc62(body: &str) -> bool {
    let Some((text, check)) = body.len().checked_sub(6).and_then(|at| body.split_at_checked(at)) else { return false };
    let mut left = crc32(text.as_bytes());
    let mut digits = [b'0'; 6];
    for digit in digits.iter_mut().rev() {
        *digit = match u8::try_from(left % 62).unwrap_or(0) {
            low @ 0..=9 => b'0' + low,
            upper @ 10..=35 => b'A' + upper - 10,
            lower => b'a' + lower - 36,
        };
        left /= 62;
    }
    check.as_bytes() == digits
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg());
        }
    }
    !crc
}

/// The first bytes of what base64 (of either alphabet) decodes to, 96 at most; none if another character stands among those.
pub(super) fn base64_start(text: &str) -> Option<([u8; 96], usize)> {
    let mut decoded = [0; 96];
    let mut slots = decoded.iter_mut();
    let (mut held, mut bits) = (0u32, 0u32);
    for byte in text.bytes() {
        let six = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            b'=' => break,
            _ => return None,
        };
        held = (held << 6) | u32::from(six);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            let Some(slot) = slots.next() else { break };
            *slot = u8::try_from((held >> bits) & 0xFF).unwrap_or(0);
        }
    }
    let filled = 96 - slots.len();
    Some((decoded, filled))
}

/// Whether the first part of a web token decodes to the start of a JSON object with a member that such a header has.
pub(super) fn token_header(token: &str) -> bool {
    let header = token.split('.').next().unwrap_or("");
    let Some((decoded, filled)) = base64_start(header) else { return false };
    let Some(start) = decoded.get(..filled) else { return false };
    let closed = filled == decoded.len() || start.trim_ascii_end().ends_with(b"}");
    closed
        && start.starts_with(b"{\"")
        && ["\"alg\"", "\"typ\"", "\"kid\"", "\"enc\""].iter().any(|member| contains(start, member.as_bytes()))
}

/// Whether the bytes hold the others.
pub(super) fn contains(bytes: &[u8], sought: &[u8]) -> bool {
    bytes.windows(sought.len()).any(|window| window == sought)
}

/// Where the text first holds the other, which is in lower case, in either case of its letters.
pub(super) fn find(text: &str, sought: &str) -> Option<usize> {
    text.as_bytes().windows(sought.len()).position(|window| window.eq_ignore_ascii_case(sought.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc_is_that_of_the_standard() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        assert!(!crc62("short"));
    }

    #[test]
    fn headers_decode_or_do_not() {
        assert!(token_header("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.e30.x"));
        assert!(!token_header("eyJub3QiOiJhIn0.e30.x"), "no member of a header");
        assert!(!token_header("eyJ!bGci.e30"), "not base64");
        assert_eq!(base64_start("aGk="), Some((*b"hi\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 2)));
    }
}
