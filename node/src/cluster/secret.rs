//! What the nodes of a cluster know and nobody else: the secret of `--cluster-secret-file`.
//!
//! It is never said. Who has it makes codes of what was said (HMAC-SHA-256), and who has it too can
//! tell whether they are right.

use hmac::{Hmac, Mac};
use sha2::Sha256;
use thiserror::Error;

/// A secret has at least so many bytes: as many as a random number of 128 bits.
pub const LEAST: usize = 16;

/// A secret has at most so many bytes.
pub const MOST: usize = 4_096;

/// A code that only who has the secret can make.
pub type Code = [u8; 32];

/// Why bytes are no secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NoSecret {
    /// There is nothing but white space.
    #[error("it is empty")]
    Empty,
    /// It could be guessed.
    #[error("it has {0} bytes, and a secret has at least {LEAST}")]
    Short(usize),
}

/// See the [module](self).
#[derive(Clone)]
pub struct Secret(Hmac<Sha256>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Secret {
    /// A secret of the bytes of a file. White space at their end does not count: some editors and
    /// tools add a line feed.
    ///
    /// # Errors
    /// Where there are too few.
    pub fn new(bytes: &[u8]) -> Result<Self, NoSecret> {
        match bytes.trim_ascii_end() {
            [] => Err(NoSecret::Empty),
            short if short.len() < LEAST => Err(NoSecret::Short(short.len())),
            key => Ok(Self(Hmac::new_from_slice(key).expect("HMAC takes keys of any length"))),
        }
    }

    /// The code of what was said. `label` is what the code is for: one for something else is never
    /// the same.
    pub fn code(&self, label: &str, said: &[&[u8]]) -> Code {
        self.of(label, said).finalize().into_bytes().into()
    }

    /// Whether a code is the one of what was said. It takes as long for a wrong one as for the
    /// right one.
    pub fn is_code(&self, label: &str, said: &[&[u8]], code: &[u8]) -> bool {
        self.of(label, said).verify_slice(code).is_ok()
    }

    fn of(&self, label: &str, said: &[&[u8]]) -> Hmac<Sha256> {
        let mut hmac = self.0.clone();
        for part in [label.as_bytes()].iter().chain(said) {
            // Its length before each part: no two lists of parts are the same bytes.
            hmac.update(&(part.len() as u64).to_be_bytes());
            hmac.update(part);
        }
        hmac
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_be_guessed_is_no_secret() {
        let problem = |bytes: &[u8]| Secret::new(bytes).err();
        assert_eq!(problem(b""), Some(NoSecret::Empty));
        assert_eq!(problem(b" \n"), Some(NoSecret::Empty));
        assert_eq!(problem(b"123456789012345\n"), Some(NoSecret::Short(15)));
        assert_eq!(problem(b"1234567890123456"), None);
    }

    #[test]
    fn a_code_is_of_its_secret_its_label_and_what_was_said() {
        let secret = |text: &str| Secret::new(text.as_bytes()).expect("long enough");
        let (one, two) = (secret("a secret of somebody"), secret("a secret of nobody"));
        let code = one.code("a", &[b"bc", b"d"]);
        assert!(secret("a secret of somebody\r\n").is_code("a", &[b"bc", b"d"], &code));
        assert!(!two.is_code("a", &[b"bc", b"d"], &code));
        assert!(!one.is_code("b", &[b"bc", b"d"], &code));
        assert!(!one.is_code("a", &[b"b", b"cd"], &code));
        assert!(!one.is_code("a", &[b"bc", b"d"], &code[..31]));
    }

    #[test]
    fn nobody_reads_a_secret_in_a_log() {
        let secret = Secret::new(b"a secret of somebody").expect("long enough");
        assert_eq!(format!("{secret:?}"), "Secret(…)");
    }
}
