//! [`backup`]: the database of a data directory in one file, while a server uses it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use super::hidden::{self, RAW};
use super::tables::{MESSAGES, TABLES};
use super::unlock::{self, State};
use super::{connect, file_error, make_private, sync_directory};
use crate::error::StoreError;
use crate::record::digest;
use crate::vault::{Keys, Vault};

/// Pages copied between two reports of progress.
const PAGES: i32 = 4_096;
/// Pause before a step is tried again.
const PAUSE: Duration = Duration::from_millis(10);

/// What a backup holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackupSummary {
    /// Messages, each checked against its checksum; so was every other row.
    pub messages: u64,
    /// Whether encrypted rows were opened as well: without a key it is seen that they are what was
    /// written, but not what they say.
    pub opened: bool,
    /// The size of the file.
    pub bytes: u64,
}

/// Copies the database in `directory` to `target`, as it is at this moment, and checks the copy.
///
/// A server may use the directory meanwhile: it is read like by any other reader, without its
/// lock, and the server goes on taking messages. What is encrypted is so in the copy; with its keys
/// the check opens it, without them it looks at the checksums alone. The copy is made under another name, checked,
/// synced, and only then called `target`. To restore it, put it into an empty directory as
/// `medsynapse.db`.
///
/// `progress` hears how many pages of how many are copied.
///
/// ```
/// use medsynapse_store::{SqliteStore, Store, backup};
///
/// let directory = tempfile::tempdir()?;
/// let store = SqliteStore::open(directory.path())?;
/// let target = directory.path().join("copy.db");
/// let summary = backup(directory.path(), &target, None, |_, _| {})?;
/// assert_eq!(summary.messages, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// `target` is there already or cannot be written, there is no database, or what is in it is
/// damaged; nothing is left under the name of `target` then.
pub fn backup(
    directory: &Path,
    target: &Path,
    keys: Option<&Keys>,
    mut progress: impl FnMut(u64, u64),
) -> Result<BackupSummary, StoreError> {
    if target.exists() {
        return Err(StoreError::File {
            path: target.display().to_string(),
            message: "is there already; choose another name".into(),
        });
    }
    let path = directory.join("medsynapse.db");
    if !path.exists() {
        return Err(StoreError::File {
            path: path.display().to_string(),
            message: "no database is there".into(),
        });
    }
    let partial = partial(target);
    make_private(&partial)?;
    let done = copy(&path, &partial, &mut progress)
        .and_then(|()| check(&partial, |database| form(database, keys)))
        .and_then(|checked| publish(&partial, target, checked));
    if done.is_err() {
        // What is left of it is of no use to anybody.
        let _ = std::fs::remove_file(&partial);
    }
    done
}

fn partial(target: &Path) -> PathBuf {
    let mut name = target.file_name().unwrap_or_default().to_owned();
    name.push(".partial");
    target.with_file_name(name)
}

fn copy(
    path: &Path,
    partial: &Path,
    progress: &mut impl FnMut(u64, u64),
) -> Result<(), StoreError> {
    let source = connect(path, true)?;
    let mut copy = Connection::open(partial)?;
    // One snapshot for all steps: what comes in meanwhile neither gets in nor starts it over.
    let snapshot = source.unchecked_transaction()?;
    snapshot.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    {
        let backup = Backup::new(&snapshot, &mut copy)?;
        loop {
            let step = backup.step(PAGES)?;
            let pages = backup.progress();
            let count = |pages: i32| u64::try_from(pages).unwrap_or_default();
            progress(
                count(pages.pagecount).saturating_sub(count(pages.remaining)),
                count(pages.pagecount),
            );
            match step {
                StepResult::Done => break,
                StepResult::More => {}
                _ => std::thread::sleep(PAUSE),
            }
        }
    }
    snapshot.finish()?;
    // One file, without a log beside it.
    copy.pragma_update(None, "journal_mode", "DELETE")?;
    copy.close().map_err(|(_, error)| StoreError::from(error))
}

/// How many messages a database holds, and whether they were opened.
#[derive(Debug, Clone, Copy)]
pub(super) struct Checked {
    messages: u64,
    opened: bool,
}

/// Checks the structure, what refers to what, and the checksum of every row; with keys, also that
/// what is encrypted opens.
pub(super) fn check(
    path: &Path,
    form: impl FnOnce(&Connection) -> Result<Form, StoreError>,
) -> Result<Checked, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let database = Connection::open_with_flags(path, flags)?;
    hidden::register_plain(&database)?;
    let form = form(&database)?;
    if let Form::Opened(vault) = &form {
        hidden::register(&database, vault)?;
    }
    let whole: String = database.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if whole != "ok" {
        return Err(StoreError::Database(format!(
            "the database is damaged: {whole}"
        )));
    }
    let mut dangling = database.prepare("PRAGMA foreign_key_check")?;
    if dangling.exists([])? {
        let text = "the database is damaged: rows refer to what is not there";
        return Err(StoreError::Database(text.into()));
    }
    for table in TABLES {
        // A database of an older version has none yet.
        let mut column =
            database.prepare("SELECT 1 FROM pragma_table_info(?1) WHERE name = 'checksum'")?;
        if !column.exists([table.name])? {
            continue;
        }
        let columns = match form {
            Form::Opened(_) => table.select(""),
            Form::Plain | Form::Closed => table.stored(""),
        };
        let sql = format!("SELECT {columns} FROM {}", table.name);
        let mut statement = database.prepare(&sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            table.check(row, 0)?;
        }
    }
    let digests = match form {
        Form::Plain => "SELECT id, raw, digest FROM messages".into(),
        Form::Opened(_) => format!(
            "SELECT id, {RAW}, {} FROM messages",
            MESSAGES.column("", "digest")
        ),
        Form::Closed => {
            let sql = "SELECT count(*) FROM messages";
            return Ok(Checked {
                messages: database.query_row(sql, [], |row| row.get(0))?,
                opened: false,
            });
        }
    };
    let mut statement = database.prepare(&digests)?;
    let mut rows = statement.query([])?;
    let mut messages = 0;
    while let Some(row) = rows.next()? {
        let (raw, kept) = (row.get_ref(1)?.as_blob(), row.get_ref(2)?.as_blob());
        if !matches!((raw, kept), (Ok(raw), Ok(kept)) if digest(raw) == kept) {
            return Err(MESSAGES.damaged(row.get(0)?).into());
        }
        messages += 1;
    }
    Ok(Checked {
        messages,
        opened: true,
    })
}

/// How the rows of a database are read.
#[derive(Debug)]
pub(super) enum Form {
    /// As they stand.
    Plain,
    /// With their keys.
    Opened(Arc<Vault>),
    /// Their checksums alone.
    Closed,
}

fn form(database: &Connection, keys: Option<&Keys>) -> Result<Form, StoreError> {
    let Some(lock) = unlock::lock(database)? else {
        return Ok(Form::Plain);
    };
    match (keys, lock.state) {
        (Some(keys), State::Encrypted) => Ok(Form::Opened(Arc::new(lock.open(keys)?))),
        _ => Ok(Form::Closed),
    }
}

fn publish(partial: &Path, target: &Path, checked: Checked) -> Result<BackupSummary, StoreError> {
    let failed = |error: std::io::Error| file_error(target, &error);
    let file = File::options()
        .read(true)
        .write(true)
        .open(partial)
        .map_err(failed)?;
    file.sync_all().map_err(failed)?;
    let bytes = file.metadata().map_err(failed)?.len();
    // Two backups to one name at a time: the second one finds it taken.
    std::fs::hard_link(partial, target).map_err(failed)?;
    std::fs::remove_file(partial).map_err(failed)?;
    if let Some(parent) = target.parent() {
        sync_directory(parent);
    }
    Ok(BackupSummary {
        messages: checked.messages,
        opened: checked.opened,
        bytes,
    })
}
