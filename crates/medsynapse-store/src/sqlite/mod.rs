//! [`SqliteStore`]: one writer, group commit, readers on their own connections.

mod apply;
mod backup;
mod checkpoint;
mod convert;
mod desk;
mod events;
#[cfg(feature = "postgres")]
mod export;
mod filter;
mod hidden;
mod log;
#[cfg(test)]
mod migration_tests;
mod orders;
mod outbox;
mod procedure;
mod read;
mod rebuild;
mod retention;
mod rows;
mod seal;
mod search;
mod tables;
mod tombstones;
mod unlock;

use std::fs::File;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use medsynapse::{AccessionNumber, PatientId};
use rusqlite::{Connection, OpenFlags};

use crate::Store;
use crate::error::StoreError;
use crate::event::Event;
use crate::outbox::{Next, OutboxEntry, OutboxItem, OutboxQuery, QueueDepth};
use crate::query::{MessageQuery, MessageSearch, OrderQuery, Page, PatientQuery, Slice, StepQuery};
use crate::record::{
    MessageSummary, OrderHistory, OrderRecord, PatientHistory, PatientRecord, ProcedureRecord,
    ReportRecord, ScheduledStep, StoredMessage,
};
use crate::vault::{Keys, Vault};
use crate::work::{Done, Work};
use apply::Writer;
pub use backup::{BackupSummary, backup};
use checkpoint::Checkpointer;
pub use convert::{Converted, Encryption, decrypt, encrypt, encryption, rekey};
#[cfg(feature = "postgres")]
pub(crate) use export::Export;
pub use log::Log;
use read::Readers;
pub use rebuild::{Comparison, Difference, Rebuild};
pub use retention::{Purge, Purged};
pub(crate) use seal::Damaged;
#[cfg(feature = "testing")]
pub(crate) use seal::reseal;
pub use unlock::check_keys;

mod embedded {
    #![allow(clippy::pedantic, missing_docs, reason = "written by a macro")]
    refinery::embed_migrations!("migrations/sqlite");
}

/// Most connections that read at a time.
const READERS: usize = 4;

/// How a [`SqliteStore`] is opened.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct SqliteOptions {
    /// The largest database, in pages of 4 KiB; what does not fit is refused as on a full disk.
    /// `None`: as large as the disk.
    pub pages_max: Option<u32>,
    /// What the database is encrypted with; a new one is encrypted from its first row. `None`: it
    /// is not encrypted.
    pub keys: Option<Keys>,
    /// `synchronous=NORMAL`: a power cut takes acknowledged messages away. There to show that it
    /// does, never to run with.
    #[doc(hidden)]
    pub commits_unsynced: bool,
}

/// A store in one SQLite database, `medsynapse.db` in a data directory.
///
/// WAL mode with `synchronous=FULL`: a commit is on disk when it returns. The
/// write-ahead log is moved into the database by a thread of its own, never by
/// the writer. One server at a time opens a data directory.
///
/// ```
/// use medsynapse_store::{SqliteStore, Store};
///
/// let directory = tempfile::tempdir()?;
/// let store = SqliteStore::open(directory.path())?;
/// assert_eq!(store.order_count()?, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct SqliteStore {
    writer: Mutex<Writer>,
    readers: Readers,
    path: PathBuf,
    // Dropped last: its thread has the database open, the lock guards the directory.
    _checkpointer: Checkpointer,
    _lock: File,
}

impl SqliteStore {
    /// Opens the database in `directory`, making both where they are not there and bringing an
    /// older database to this version.
    ///
    /// # Errors
    ///
    /// The directory cannot be written, another server uses it, or the database is damaged or
    /// of a later version.
    pub fn open(directory: &Path) -> Result<Self, StoreError> {
        Self::open_with(directory, &SqliteOptions::default())
    }

    /// As [`open`](Self::open), with settings.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn open_with(directory: &Path, options: &SqliteOptions) -> Result<Self, StoreError> {
        make_directory(directory)?;
        let lock = lock(&directory.join("lock"))?;
        let path = directory.join("medsynapse.db");
        make_private(&path)?;
        let mut connection = connect(&path, false)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        migrate(&mut connection)?;
        let vault = unlock::for_writing(&connection, options.keys.as_ref())?;
        // The checkpointer does this, off the writer's thread.
        connection.pragma_update(None, "wal_autocheckpoint", 0)?;
        if let Some(pages) = options.pages_max {
            connection.pragma_update(None, "max_page_count", pages)?;
        }
        if options.commits_unsynced {
            connection.pragma_update(None, "synchronous", "NORMAL")?;
        }
        Ok(Self {
            writer: Mutex::new(Writer::new(connection, vault.clone())?),
            readers: Readers::open(&path, READERS, vault.as_ref())?,
            _checkpointer: Checkpointer::start(connect(&path, false)?)?,
            path,
            _lock: lock,
        })
    }

    fn with_writer(
        &self,
        write: impl FnOnce(&mut Connection) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut writer = self
            .writer
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        writer.between(write)
    }

    /// The database file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Store for SqliteStore {
    fn apply(&self, batch: &[Work]) -> Vec<Result<Done, StoreError>> {
        let mut writer = self
            .writer
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        writer.apply(batch)
    }

    fn messages(&self, query: &MessageQuery) -> Result<Page<MessageSummary>, StoreError> {
        self.readers
            .read(|connection| read::messages(connection, query))
    }

    fn message(&self, id: i64) -> Result<Option<StoredMessage>, StoreError> {
        self.readers
            .read(|connection| read::message(connection, id))
    }

    fn message_types(&self) -> Result<Vec<(String, u64)>, StoreError> {
        self.readers.read(read::message_types)
    }

    fn order(&self, accession_number: &AccessionNumber) -> Result<Option<OrderRecord>, StoreError> {
        self.readers
            .read(|connection| rows::order(connection, accession_number))
    }

    fn orders_of(&self, patient_id: &PatientId) -> Result<Vec<OrderRecord>, StoreError> {
        self.readers
            .read(|connection| rows::orders_of(connection, patient_id))
    }

    fn report(
        &self,
        accession_number: &AccessionNumber,
    ) -> Result<Option<ReportRecord>, StoreError> {
        self.readers
            .read(|connection| rows::report(connection, accession_number))
    }

    fn order_count(&self) -> Result<u64, StoreError> {
        self.readers.read(|connection| {
            Ok(connection.query_row("SELECT count(*) FROM orders", [], |row| row.get(0))?)
        })
    }

    fn search(&self, search: &MessageSearch) -> Result<Slice<MessageSummary>, StoreError> {
        self.readers
            .read(|connection| search::search(connection, search))
    }

    fn orders(&self, query: &OrderQuery) -> Result<Slice<OrderRecord>, StoreError> {
        self.readers
            .read(|connection| orders::orders(connection, query))
    }

    fn order_history(
        &self,
        accession_number: &AccessionNumber,
    ) -> Result<Option<OrderHistory>, StoreError> {
        self.readers
            .read(|connection| orders::history(connection, accession_number))
    }

    fn scheduled_steps(
        &self,
        query: &StepQuery,
        each: &mut dyn FnMut(&ScheduledStep<'_>) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        self.readers
            .read(|connection| orders::scheduled_steps(connection, query, each))
    }

    fn patient(&self, patient_id: &PatientId) -> Result<Option<PatientHistory>, StoreError> {
        self.readers
            .read(|connection| orders::patient(connection, patient_id))
    }

    fn patients(&self, query: &PatientQuery) -> Result<Slice<PatientRecord, String>, StoreError> {
        self.readers
            .read(|connection| orders::patients(connection, query))
    }

    fn procedure(&self, sop_instance_uid: &str) -> Result<Option<ProcedureRecord>, StoreError> {
        self.readers
            .read(|connection| procedure::read(connection, sop_instance_uid))
            .map(|row| row.map(|row| row.record))
    }

    fn next_outgoing(&self, destination: &str) -> Result<Option<Next>, StoreError> {
        self.readers
            .read(|connection| outbox::next_outgoing(connection, destination))
    }

    fn outbox(&self, query: &OutboxQuery) -> Result<Slice<OutboxItem>, StoreError> {
        self.readers
            .read(|connection| outbox::list(connection, query))
    }

    fn outbox_entry(&self, message_id: i64) -> Result<Option<OutboxEntry>, StoreError> {
        self.readers
            .read(|connection| outbox::entry(connection, message_id))
    }

    fn queue_depths(&self) -> Result<Vec<QueueDepth>, StoreError> {
        self.readers.read(outbox::depths)
    }

    fn events_after(&self, id: i64, limit: u32) -> Result<Vec<Event>, StoreError> {
        self.readers
            .read(|connection| events::after(connection, id, limit))
    }

    fn last_event(&self) -> Result<i64, StoreError> {
        self.readers.read(events::last)
    }
}

pub(crate) fn connect(path: &Path, read_only: bool) -> Result<Connection, StoreError> {
    let access = if read_only {
        OpenFlags::SQLITE_OPEN_READ_ONLY
    } else {
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE
    };
    let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", "ON")?;
    connection.pragma_update(None, "cache_size", -32_768)?;
    // A page whose structure is broken is an error rather than rows.
    connection.pragma_update(None, "cell_size_check", "ON")?;
    seal::register(&connection)?;
    hidden::register_plain(&connection)?;
    connection.set_prepared_statement_cache_capacity(128);
    Ok(connection)
}

/// A connection that reads what a vault has sealed, if there is one.
fn connect_with(
    path: &Path,
    read_only: bool,
    vault: Option<&Arc<Vault>>,
) -> Result<Connection, StoreError> {
    let connection = connect(path, read_only)?;
    if let Some(vault) = vault {
        hidden::register(&connection, vault)?;
    }
    Ok(connection)
}

/// Brings a database to this version.
fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    // One transaction for all steps and for the record of them: by itself each step and its
    // record are two, and between them the database could not be opened any more.
    let runner = embedded::migrations::runner().set_grouped(true);
    let known = runner.get_migrations();
    let known = known
        .iter()
        .map(|m| (i64::from(m.version()), m.checksum().to_string()));
    if history(connection)? == known.collect::<Vec<_>>() {
        return Ok(());
    }
    let report = runner
        .run(connection)
        .map_err(|error| StoreError::Migration(error.to_string()))?;
    for migration in report.applied_migrations() {
        tracing::info!(%migration, "database brought to a new version");
    }
    Ok(())
}

/// The steps that a database has made. Refinery panics over what it cannot read of them, so it is
/// read here first.
fn history(connection: &Connection) -> Result<Vec<(i64, String)>, StoreError> {
    let exists = "SELECT 1 FROM sqlite_schema WHERE name = 'refinery_schema_history'";
    if !connection.prepare(exists)?.exists([])? {
        return Ok(Vec::new());
    }
    let sql = "SELECT version, checksum, applied_on, name FROM refinery_schema_history \
               ORDER BY version";
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    let mut steps = Vec::new();
    while let Some(row) = rows.next()? {
        let step = || -> Option<(i64, String)> {
            let version: i32 = row.get(0).ok()?;
            let checksum: String = row.get(1).ok()?;
            checksum.parse::<u64>().ok()?;
            let applied_on: String = row.get(2).ok()?;
            let plain = |byte: u8| byte.is_ascii_digit() || b"-:.TZ+".contains(&byte);
            chrono::DateTime::parse_from_rfc3339(&applied_on).ok()?;
            row.get::<_, String>(3).ok()?;
            applied_on
                .bytes()
                .all(plain)
                .then(|| (version.into(), checksum))
        };
        let damaged = "the record of its versions is damaged";
        steps.push(step().ok_or_else(|| StoreError::Migration(damaged.into()))?);
    }
    Ok(steps)
}

pub(crate) fn make_directory(directory: &Path) -> Result<(), StoreError> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    let new = !directory.exists();
    builder
        .create(directory)
        .map_err(|error| file_error(directory, &error))?;
    if new && let Some(parent) = directory.parent() {
        sync_directory(parent);
    }
    Ok(())
}

/// Makes the names in a directory safe from a power cut. SQLite does so for its own files; not
/// every file system can.
fn sync_directory(directory: &Path) {
    let here = Path::new(".");
    let directory = if directory.as_os_str().is_empty() {
        here
    } else {
        directory
    };
    if let Err(error) = File::open(directory).and_then(|opened| opened.sync_all()) {
        tracing::debug!(%error, "a new name in a directory could not be synced");
    }
}

/// Makes the database file, readable by its owner alone; SQLite gives its companions the same
/// permissions.
pub(crate) fn make_private(path: &Path) -> Result<(), StoreError> {
    let mut options = File::options();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
        .open(path)
        .map(drop)
        .map_err(|error| file_error(path, &error))
}

fn lock(path: &Path) -> Result<File, StoreError> {
    make_private(path)?;
    let file = File::options()
        .append(true)
        .open(path)
        .map_err(|error| file_error(path, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(StoreError::InUse),
        Err(std::fs::TryLockError::Error(error)) => Err(file_error(path, &error)),
    }
}

fn file_error(path: &Path, error: &std::io::Error) -> StoreError {
    StoreError::File {
        path: path.display().to_string(),
        message: error.to_string(),
    }
}
