//! [`AckFiles`]: `--save-acks`, one file for each answer.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::Context;

/// A directory that takes answers.
#[derive(Debug)]
pub(crate) struct AckFiles {
    directory: PathBuf,
}

impl AckFiles {
    /// Makes the directory if it is not there.
    pub(crate) fn new(directory: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(directory).with_context(|| {
            format!(
                "cannot make the directory {}; check --save-acks",
                directory.display()
            )
        })?;
        Ok(Self {
            directory: directory.to_owned(),
        })
    }

    /// Writes one answer as it came, as `000001-MSG1-AA.hl7`.
    pub(crate) fn save(&self, number: u64, id: &[u8], code: &str, answer: &[u8]) -> io::Result<()> {
        let name = format!("{number:06}-{}-{code}.hl7", file_name(id));
        fs::write(self.directory.join(name), answer)
    }
}

/// A control id as a part of a file name: other characters than letters, digits, `.`, `_` and `-`
/// become `_`.
pub(crate) fn file_name(id: &[u8]) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    id.iter()
        .take(60)
        .map(|byte| if plain(*byte) { char::from(*byte) } else { '_' })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_cannot_leave_the_directory() {
        assert_eq!(file_name(b"../etc/M 1\x00"), ".._etc_M_1_");
        assert_eq!(file_name(&[b'x'; 200]).len(), 60);
    }
}
