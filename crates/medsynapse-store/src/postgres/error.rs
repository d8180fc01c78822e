//! What PostgreSQL says, as errors of the store.

use deadpool_postgres::PoolError;
use tokio_postgres::error::SqlState;

use crate::error::StoreError;

/// An error of a statement. Values are bound, never part of the text; what PostgreSQL says about
/// a value is left out, since the value is a person.
pub(super) fn failed(error: &tokio_postgres::Error) -> StoreError {
    let Some(told) = error.as_db_error() else {
        return StoreError::Unreachable(plain(error));
    };
    let code = told.code();
    let text = told.message();
    let class = code.code().get(..2).unwrap_or_default();
    if *code == SqlState::DISK_FULL {
        return StoreError::Full;
    }
    let away = [
        SqlState::ADMIN_SHUTDOWN,
        SqlState::CRASH_SHUTDOWN,
        SqlState::CANNOT_CONNECT_NOW,
        SqlState::TOO_MANY_CONNECTIONS,
        SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
        SqlState::LOCK_NOT_AVAILABLE,
        SqlState::QUERY_CANCELED,
        SqlState::READ_ONLY_SQL_TRANSACTION,
        SqlState::T_R_SERIALIZATION_FAILURE,
        SqlState::T_R_DEADLOCK_DETECTED,
    ];
    if away.contains(code) || class == "08" {
        return StoreError::Unreachable(format!("{text} ({})", code.code()));
    }
    // Wrong statements, rights, resources and the like say nothing of a patient.
    if ["28", "3D", "3F", "42", "53", "54", "55", "57", "58", "XX"].contains(&class) {
        return StoreError::Database(format!("{text} ({})", code.code()));
    }
    let place = told.constraint().or(told.table()).unwrap_or("a statement");
    StoreError::Database(format!("{place}: {}", code.code()))
}

/// An error and what caused it, in one line.
pub(super) fn plain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}

impl From<tokio_postgres::Error> for StoreError {
    fn from(error: tokio_postgres::Error) -> Self {
        failed(&error)
    }
}

impl From<PoolError> for StoreError {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Backend(error) => failed(&error),
            PoolError::Timeout(_) => Self::Unreachable("no connection became free in time".into()),
            error => Self::Unreachable(plain(&error)),
        }
    }
}
