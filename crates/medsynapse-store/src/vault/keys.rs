//! [`Keys`]: the secrets that a database is sealed with, from a file or the environment.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::{Sealer, Shut, VaultError, mac};

/// Most bytes of a key file.
const FILE_BYTES_MAX: u64 = 16 * 1024;
/// Most keys at a time: one that writes, and those from before.
const KEYS_MAX: usize = 16;
/// Most characters of the name of a key.
const NAME_MAX: usize = 32;

/// What a sealed value calls its key by.
pub(crate) type Fingerprint = [u8; 4];

/// One secret with the name that people call it by.
pub(crate) struct Key {
    pub(crate) name: String,
    pub(crate) fingerprint: Fingerprint,
    pub(super) secret: Zeroizing<[u8; 32]>,
}

/// The keys that a database is encrypted with: the first one writes, all of them read.
///
/// As text, a key is a line `name:secret`, the secret being 32 bytes in base64. Empty lines and
/// lines that begin with `#` are skipped; in place of a new line there may be a comma, so that all
/// of it fits an environment variable.
///
/// The keys are wiped from memory when the last copy goes. Nothing shows them: `Debug` says their
/// names.
///
/// ```
/// use medsynapse_store::Keys;
///
/// let keys: Keys = "\
/// ## made on the first of May
/// may:xR0CYkqM1JbYyXnV8dV9b0sPzW0cQk1o2v3x4y5z6A8=
/// april:Zm9yIHRoZSBleGFtcGxlIG9mIHRoZSBtYW51YWwhIT8="
///     .parse()?;
/// assert_eq!(keys.names().collect::<Vec<_>>(), ["may", "april"]);
/// # Ok::<(), medsynapse_store::KeysError>(())
/// ```
#[derive(Clone)]
pub struct Keys(Arc<[Key]>);

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Keys")
            .field(&self.names().collect::<Vec<_>>())
            .finish()
    }
}

/// Why there are no keys. What is wrong is said by line, never by what it says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeysError {
    /// The file cannot be read.
    #[error("{path}: {message}")]
    File {
        /// Which one.
        path: String,
        /// What the system says.
        message: String,
    },
    /// Others than its owner can read or change the file.
    #[error("{path} is open to others than its owner (mode {mode:03o}); run: chmod 600 {path}")]
    Open {
        /// Which one.
        path: String,
        /// Its permissions.
        mode: u32,
    },
    /// The file is too large to be one of keys.
    #[error("the key file has more than {FILE_BYTES_MAX} bytes; it is not one of keys")]
    TooLarge,
    /// A line is no key.
    #[error("line {line} of the keys: {problem}")]
    Line {
        /// Which one, from 1.
        line: usize,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// There is no key.
    #[error("there is no key; write a line `name:secret`, or run hl7-server encryption new-key")]
    Empty,
}

impl Keys {
    /// Reads a key file, which nobody but its owner may read or change.
    ///
    /// # Errors
    ///
    /// It cannot be read, others can, or what it says is not keys.
    pub fn read(path: &Path) -> Result<Self, KeysError> {
        let failed = |error: std::io::Error| KeysError::File {
            path: path.display().to_string(),
            message: error.to_string(),
        };
        let mut file = File::open(path).map_err(failed)?;
        let about = file.metadata().map_err(failed)?;
        if !about.is_file() {
            return Err(KeysError::File {
                path: path.display().to_string(),
                message: "is no file".into(),
            });
        }
        // Of the file that is open: nobody can put another one in its place in between.
        #[cfg(unix)]
        {
            let mode = std::os::unix::fs::PermissionsExt::mode(&about.permissions()) & 0o777;
            if mode & 0o077 != 0 {
                return Err(KeysError::Open {
                    path: path.display().to_string(),
                    mode,
                });
            }
        }
        let mut text = Zeroizing::new(String::new());
        file.by_ref()
            .take(FILE_BYTES_MAX + 1)
            .read_to_string(&mut text)
            .map_err(failed)?;
        if text.len() as u64 > FILE_BYTES_MAX {
            return Err(KeysError::TooLarge);
        }
        text.parse()
    }

    /// The names of the keys; the first one writes.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|key| key.name.as_str())
    }

    /// The line of a new key; `secret` is random and used for nothing else.
    ///
    /// # Errors
    ///
    /// The name is none.
    pub fn line(name: &str, secret: &[u8; 32]) -> Result<Zeroizing<String>, KeysError> {
        let text = Zeroizing::new(STANDARD.encode(secret));
        let line = Zeroizing::new(format!("{name}:{}", text.as_str()));
        key(&line, 1)?;
        Ok(line)
    }

    /// Seals a small secret of another file, under the first key.
    ///
    /// # Errors
    ///
    /// The system gives no random bytes.
    pub fn seal(&self, purpose: &str, secret: &[u8]) -> Result<Vec<u8>, VaultError> {
        Sealer::new(self)?.seal(purpose.as_bytes(), secret)
    }

    /// Opens what [`seal`](Self::seal) gave for this purpose.
    ///
    /// # Errors
    ///
    /// It is something else, or was sealed with another key.
    pub fn open(&self, purpose: &str, sealed: &[u8]) -> Result<Vec<u8>, VaultError> {
        let opened = Sealer::new(self)?.open(purpose.as_bytes(), sealed);
        opened.map_err(|Shut| VaultError::Shut)
    }

    /// The key that writes.
    pub(crate) fn first(&self) -> &Key {
        self.0
            .first()
            .unwrap_or_else(|| unreachable!("keys are never empty"))
    }

    /// The key of this fingerprint.
    pub(crate) fn find(&self, fingerprint: Fingerprint) -> Option<&Key> {
        self.0.iter().find(|key| key.fingerprint == fingerprint)
    }
}

impl std::str::FromStr for Keys {
    type Err = KeysError;

    fn from_str(text: &str) -> Result<Self, KeysError> {
        let mut keys: Vec<Key> = Vec::new();
        for (number, line) in text.split(['\n', ',']).enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (line, number) = (key(line, number + 1)?, number + 1);
            let problem = if keys.iter().any(|known| known.name == line.name) {
                "another key has this name"
            } else if keys.iter().any(|k| k.fingerprint == line.fingerprint) {
                "the same secret was there already"
            } else if keys.len() == KEYS_MAX {
                "there are more than 16 keys"
            } else {
                keys.push(line);
                continue;
            };
            return Err(KeysError::Line {
                line: number,
                problem,
            });
        }
        if keys.is_empty() {
            return Err(KeysError::Empty);
        }
        Ok(Self(keys.into()))
    }
}

fn key(text: &str, line: usize) -> Result<Key, KeysError> {
    let wrong = |problem| KeysError::Line { line, problem };
    let (name, secret) = text
        .split_once(':')
        .ok_or_else(|| wrong("write it as name:secret"))?;
    let sign = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if name.is_empty() || name.len() > NAME_MAX || !name.bytes().all(sign) {
        return Err(wrong(
            "a name has 1 to 32 letters, digits, hyphens, underscores and full stops",
        ));
    }
    let bytes = STANDARD
        .decode(secret.trim())
        .map(Zeroizing::new)
        .map_err(|_| wrong("the secret is not base64"))?;
    let bytes: [u8; 32] = bytes
        .as_slice()
        .try_into()
        .map_err(|_| wrong("the secret does not have 32 bytes"))?;
    let secret = Zeroizing::new(bytes);
    // The zeros of an example, or of a random source that gave nothing.
    if secret.iter().all(|byte| Some(byte) == secret.first()) {
        return Err(wrong("the secret is one byte again and again"));
    }
    let [a, b, c, d, ..] = *mac(&secret, &[b"fingerprint"]);
    Ok(Key {
        name: name.into(),
        fingerprint: [a, b, c, d],
        secret,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "a:xR0CYkqM1JbYyXnV8dV9b0sPzW0cQk1o2v3x4y5z6A8=";
    const B: &str = "b:Zm9yIHRoZSBleGFtcGxlIG9mIHRoZSBtYW51YWwhIT8=";

    #[track_caller]
    fn refused(text: &str, told: &str) {
        let error = text.parse::<Keys>().unwrap_err().to_string();
        assert!(error.contains(told), "{error}");
        assert!(!error.contains("xR0C"), "a secret is in {error}");
    }

    #[test]
    fn keys_are_lines_or_stand_between_commas() {
        for text in [
            format!("{A}\n{B}\n"),
            format!("# a comment\r\n\r\n {A} \r\n{B}\r\n"),
            format!("{A},{B}"),
            format!("{A} , {B},"),
        ] {
            let keys: Keys = text.parse().unwrap();
            assert_eq!(keys.names().collect::<Vec<_>>(), ["a", "b"]);
            assert_ne!(keys.first().fingerprint, [0; 4]);
        }
    }

    #[test]
    fn what_is_no_key_is_refused_by_line() {
        refused("", "no key");
        refused("# nothing\n", "no key");
        refused("nocolon", "line 1");
        refused(&format!("{A}\n\nbad name:xR0C"), "line 3");
        refused("a:not base64!", "base64");
        refused("a:c2hvcnQ=", "32 bytes");
        refused("a:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "again");
        refused(&format!("{A}\n{A}"), "name");
        refused(&format!("{A}\n{}", A.replacen('a', "c", 1)), "secret");
        let many: String = (0..17)
            .map(|n| {
                Keys::line(&format!("k{n}"), &secret(n))
                    .unwrap()
                    .to_string()
                    + "\n"
            })
            .collect();
        refused(&many, "line 17");
        assert!(Keys::line("white space", &secret(1)).is_err());
    }

    fn secret(n: u8) -> [u8; 32] {
        std::array::from_fn(|place| n.wrapping_mul(31) ^ u8::try_from(place).unwrap())
    }

    #[test]
    fn a_new_line_is_read_again_and_shows_nothing() {
        let line = Keys::line("2026", &secret(7)).unwrap();
        let keys: Keys = line.parse().unwrap();
        assert_eq!(*keys.first().secret, secret(7));
        assert_eq!(format!("{keys:?}"), "Keys([\"2026\"])");
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        std::fs::write(&path, A).unwrap();
        let mode = |mode| std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        for bad in [0o640, 0o604, 0o620, 0o644, 0o660] {
            mode(bad);
            let error = Keys::read(&path).unwrap_err();
            assert!(matches!(error, KeysError::Open { .. }), "{error}");
            assert!(error.to_string().contains("chmod 600"), "{error}");
        }
        for good in [0o600, 0o400] {
            mode(good);
            assert_eq!(Keys::read(&path).unwrap().names().count(), 1);
        }
        assert!(Keys::read(directory.path()).is_err());
        assert!(Keys::read(&directory.path().join("none")).is_err());
        mode(0o600);
        std::fs::write(&path, "#".repeat(20_000)).unwrap();
        assert_eq!(Keys::read(&path).unwrap_err(), KeysError::TooLarge);
    }
}
