//! [`StoreError`].

use crate::sqlite::Damaged;

/// Why the store could not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The database refused or failed.
    #[error("the database failed: {0}")]
    Database(String),
    /// A commit or a write to disk failed: what is on disk is not known to be whole, and nothing
    /// more is taken.
    #[error("writing to disk failed, the store takes no more messages: {0}")]
    Broken(String),
    /// What was said about the database cannot work.
    #[error("{0}")]
    Settings(String),
    /// The database is away; the store tries again by itself, and nothing of what was asked is
    /// kept.
    #[error("the database cannot be reached: {0}")]
    Unreachable(String),
    /// The connection broke off while the database committed. Whether the work is on disk is not
    /// known; a message that is sent again is answered as what it then is.
    #[error("the database did not say whether it committed: {0}")]
    Unknown(String),
    /// Another server sends to this destination by now: what this one says of it does not count.
    #[error("another server has taken over the destination")]
    LaneLost,
    /// The disk is full; room makes it work again.
    #[error("the disk is full")]
    Full,
    /// A stored row does not match its checksum, or a message its digest. Other rows can still
    /// be read; the row is in the last good backup, or `hl7-server replay` makes it anew.
    #[error("row {id} of {table} does not match its checksum and is not given out")]
    Corrupt {
        /// In which table.
        table: &'static str,
        /// Which one: the number of an entry of the log, as far as the row can still tell.
        id: i64,
    },
    /// Another server has the data directory open.
    #[error("the data directory is in use by another server")]
    InUse,
    /// The database was made by a later version.
    #[error("the database cannot be brought to this version: {0}")]
    Migration(String),
    /// The database and the keys that were given do not fit together.
    #[error(transparent)]
    Encryption(#[from] crate::vault::VaultError),
    /// A file could not be opened or made.
    #[error("{path}: {message}")]
    File {
        /// Which one.
        path: String,
        /// What the system says.
        message: String,
    },
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        if let rusqlite::Error::FromSqlConversionFailure(_, _, cause) = &error
            && let Some(damaged) = cause.downcast_ref::<Damaged>()
        {
            return Self::Corrupt {
                table: damaged.table,
                id: damaged.row,
            };
        }
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => Self::Full,
            Some(rusqlite::ErrorCode::SystemIoFailure | rusqlite::ErrorCode::DatabaseCorrupt) => {
                Self::Broken(error.to_string())
            }
            // Values are bound, never part of the text: it holds no patient data.
            _ => Self::Database(error.to_string()),
        }
    }
}
