//! [`PostgresStore`]: several servers on one PostgreSQL.

mod access;
mod apply;
mod ask;
mod block;
mod connect;
mod copy;
mod desk;
mod error;
mod events;
mod filter;
mod flush;
mod listen;
mod log;
mod messages;
mod migrate;
mod orders;
mod outbox;
mod put;
mod retention;
mod rows;
mod search;
mod sql;
mod statements;
mod turn;
mod wanted;
mod written;

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use deadpool_postgres::{Hook, HookError, Manager, ManagerConfig, Object, Pool, RecyclingMethod};
use medsynapse::{AccessionNumber, PatientId};
use tokio::runtime::Runtime;
use tokio_postgres::IsolationLevel;
use tokio_util::sync::CancellationToken;

use crate::Store;
use crate::error::StoreError;
use crate::event::Event;
use crate::outbox::{Next, OutboxEntry, OutboxItem, OutboxQuery, QueueDepth};
use crate::query::{MessageQuery, MessageSearch, OrderQuery, Page, PatientQuery, Slice, StepQuery};
use crate::record::{
    MessageSummary, OrderHistory, OrderRecord, PatientHistory, PatientRecord, ProcedureRecord,
    ReportRecord, ScheduledStep, StoredMessage,
};
use crate::shared::{Heard, Shared};
use crate::work::{Done, Work};
pub(crate) use access::PostgresAccess;
use apply::{Batch, Writer};
use connect::{Target, reader_session};
pub use copy::{CopiedTable, CopyOptions, copy_to_postgres};
use listen::Board;
pub use log::SharedLog;
pub use retention::SharedPurge;

/// How long one who reads waits for a connection.
const POOL_WAIT: Duration = Duration::from_secs(5);
/// Connections for lanes alone, so that reading never keeps one from being renewed.
const LANE_CONNECTIONS: usize = 2;

/// How a [`PostgresStore`] is opened.
#[derive(Clone)]
pub struct PostgresOptions {
    /// `postgres://user@host:port/database`, with `sslmode` (`disable`, `prefer`, `require`) and
    /// `sslrootcert` where the defaults will not do: beyond this machine TLS is required, and
    /// certificates are checked.
    pub url: String,
    /// The password, so that it need not stand in the URL.
    pub password: Option<String>,
    /// Most connections that read at a time; one more writes, one listens, two keep lanes.
    pub readers_max: usize,
    /// Names this server among those that share the database: no two may have the same.
    pub node: String,
}

impl PostgresOptions {
    /// With eight readers.
    pub fn new(url: impl Into<String>, node: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            password: None,
            readers_max: 8,
            node: node.into(),
        }
    }

    fn target(&self) -> Result<Target, StoreError> {
        Target::read(&self.url, self.password.as_deref(), &self.node)
    }

    /// Where the database is, as a person may read it.
    ///
    /// # Errors
    ///
    /// The URL is none.
    pub fn shown(&self) -> Result<String, StoreError> {
        Ok(self.target()?.shown())
    }

    /// Tries to connect, and looks whether the database can be used, without changing anything.
    ///
    /// # Errors
    ///
    /// What is wrong with the URL, the way to the database, the user, or the database.
    pub fn check(&self) -> Result<(), StoreError> {
        let (target, runtime) = (self.target()?, runtime()?);
        let checked = block::on(runtime.handle(), async {
            let client = target.connect_reader().await?;
            migrate::usable(&client).await?;
            migrate::version(&client).await.map(drop)
        });
        runtime.shutdown_background();
        checked
    }
}

#[cfg(feature = "testing")]
impl PostgresOptions {
    /// Runs a statement; gives how many rows it gave.
    pub(crate) fn ask(&self, sql: &str) -> Result<u64, StoreError> {
        let (target, runtime) = (self.target()?, runtime()?);
        let asked = block::on(runtime.handle(), async {
            let client = target.connect_reader().await?;
            Ok(client.query(sql, &[]).await?.len() as u64)
        });
        runtime.shutdown_background();
        asked
    }

    /// Runs statements.
    pub(crate) fn run_all(&self, sql: &str) -> Result<(), StoreError> {
        let (target, runtime) = (self.target()?, runtime()?);
        let done = block::on(runtime.handle(), async {
            let client = target.connect_reader().await?;
            Ok(client.batch_execute(sql).await?)
        });
        runtime.shutdown_background();
        done
    }

    /// Brings the database along as a later version of this program does.
    pub(crate) fn migrate_later(&self, name: &str, sql: &str) -> Result<(), StoreError> {
        let (target, runtime) = (self.target()?, runtime()?);
        let done = block::on(runtime.handle(), async {
            let mut client = target.connect_reader().await?;
            migrate::migrate_later(&mut client, name, sql).await
        });
        runtime.shutdown_background();
        done
    }

    /// Takes the lock of the log and does nothing more, as a server does that is stopped; gives
    /// whether PostgreSQL has ended the session before `life` was over.
    pub(crate) fn hold_log(&self, life: Duration) -> Result<bool, StoreError> {
        let (target, runtime) = (self.target()?, runtime()?);
        let ended = block::on(runtime.handle(), async {
            let client = target.connect_writer().await?;
            let begin = format!("BEGIN; SELECT {}", sql::LOCK);
            client.batch_execute(&begin).await?;
            tokio::time::sleep(life).await;
            Ok(client.is_closed())
        });
        runtime.shutdown_background();
        ended
    }
}

impl std::fmt::Debug for PostgresOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresOptions")
            .field("node", &self.node)
            .field("readers_max", &self.readers_max)
            .finish_non_exhaustive()
    }
}

fn runtime() -> Result<Runtime, StoreError> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("postgres")
        .enable_all()
        .build()
        .map_err(|error| StoreError::Unreachable(format!("starting a runtime: {error}")))
}

/// A store on PostgreSQL, which any number of servers have at a time.
///
/// One connection writes: a batch of work is one transaction, which runs beside those of other
/// servers and commits in its turn, so that all of them have one log. Others read, each call one
/// snapshot. The database may go
/// away and come back: what is asked meanwhile fails, and nothing has to be started again.
pub struct PostgresStore {
    target: Target,
    writer: Mutex<Writer>,
    readers: Pool,
    keepers: Pool,
    board: Arc<Board>,
    node: String,
    stop: CancellationToken,
    /// Ended in the background: connections close with it.
    runtime: Option<Runtime>,
    handle: tokio::runtime::Handle,
}

impl std::fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresStore")
            .field("node", &self.node)
            .finish_non_exhaustive()
    }
}

impl PostgresStore {
    /// Opens a database, bringing it to this version where it is older or empty.
    ///
    /// # Errors
    ///
    /// It cannot be reached or used, or a later program has brought it along.
    pub fn open(options: &PostgresOptions) -> Result<Self, StoreError> {
        let target = options.target()?;
        let runtime = runtime()?;
        let handle = runtime.handle().clone();
        let pools = block::on(&handle, async {
            let mut client = target.connect_reader().await?;
            migrate::migrate(&mut client).await?;
            let readers = pool(&target, options.readers_max.max(1))?;
            Ok::<_, StoreError>((readers, pool(&target, LANE_CONNECTIONS)?))
        });
        let (readers, keepers) = match pools {
            Ok(pools) => pools,
            Err(error) => {
                runtime.shutdown_background();
                return Err(error);
            }
        };
        let (board, stop) = (Arc::<Board>::default(), CancellationToken::new());
        let (heard, stopped) = (Arc::clone(&board), stop.clone());
        handle.spawn(listen::listen(target.clone(), heard, stopped));
        let writer = Writer::new(target.clone(), handle.clone(), options.node.clone());
        Ok(Self {
            target,
            writer: Mutex::new(writer),
            readers,
            keepers,
            board,
            node: options.node.clone(),
            stop,
            runtime: Some(runtime),
            handle,
        })
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks something that is one statement, and so sees one moment.
    fn ask<T>(
        &self,
        pool: &Pool,
        question: impl AsyncFnOnce(&Object) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        block::on(&self.handle, async {
            let client = pool.get().await?;
            question(&client).await
        })
    }

    /// Asks several things of one moment.
    fn read<T>(
        &self,
        question: impl AsyncFnOnce(&deadpool_postgres::Transaction<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        block::on(&self.handle, async {
            let mut client = self.readers.get().await?;
            let transaction = client
                .build_transaction()
                .isolation_level(IsolationLevel::RepeatableRead)
                .read_only(true)
                .start()
                .await?;
            let answer = question(&transaction).await?;
            transaction.commit().await?;
            Ok(answer)
        })
    }
}

/// Whether this thread runs tasks.
fn in_runtime() -> bool {
    tokio::runtime::Handle::try_current().is_ok()
}

/// Connections whose sessions begin as those of readers do.
fn pool(target: &Target, connections: usize) -> Result<Pool, StoreError> {
    let settings = ManagerConfig {
        recycling_method: RecyclingMethod::Fast,
    };
    let manager = Manager::from_config(target.config.clone(), target.tls.clone(), settings);
    Pool::builder(manager)
        .max_size(connections)
        .wait_timeout(Some(POOL_WAIT))
        .create_timeout(Some(POOL_WAIT))
        .recycle_timeout(Some(POOL_WAIT))
        .runtime(deadpool_postgres::Runtime::Tokio1)
        .post_create(Hook::async_fn(|client, _| {
            Box::pin(async move {
                let begun = client.batch_execute(&reader_session()).await;
                begun.map_err(HookError::Backend)
            })
        }))
        .build()
        .map_err(|error| StoreError::Settings(error.to_string()))
}

impl Drop for PostgresStore {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Store for PostgresStore {
    fn apply(&self, batch: &[Work]) -> Vec<Result<Done, StoreError>> {
        let apply = || self.writer().apply(&mut Batch::Whole(batch));
        if !in_runtime() {
            return apply();
        }
        // A thread of another runtime may not run this one's.
        std::thread::scope(|scope| match scope.spawn(apply).join() {
            Ok(outcomes) => outcomes,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    }

    fn apply_with(
        &self,
        batch: &mut Vec<Work>,
        more: &mut dyn FnMut(&mut Vec<Work>),
    ) -> Vec<Result<Done, StoreError>> {
        if in_runtime() {
            return self.apply(batch);
        }
        self.writer().apply(&mut Batch::Growing(batch, more))
    }

    fn messages(&self, query: &MessageQuery) -> Result<Page<MessageSummary>, StoreError> {
        self.read(async |transaction| messages::messages(transaction, query).await)
    }

    fn search(&self, search: &MessageSearch) -> Result<Slice<MessageSummary>, StoreError> {
        self.read(async |transaction| search::search(transaction, search).await)
    }

    fn message(&self, id: i64) -> Result<Option<StoredMessage>, StoreError> {
        self.ask(&self.readers, async |client| {
            messages::message(client, id).await
        })
    }

    fn message_types(&self) -> Result<Vec<(String, u64)>, StoreError> {
        self.ask(&self.readers, async |client| {
            messages::message_types(client).await
        })
    }

    fn order(&self, accession_number: &AccessionNumber) -> Result<Option<OrderRecord>, StoreError> {
        self.ask(&self.readers, async |client| {
            orders::order(client, accession_number).await
        })
    }

    fn orders_of(&self, patient_id: &PatientId) -> Result<Vec<OrderRecord>, StoreError> {
        self.ask(&self.readers, async |client| {
            orders::orders_of(client, patient_id).await
        })
    }

    fn orders(&self, query: &OrderQuery) -> Result<Slice<OrderRecord>, StoreError> {
        self.ask(&self.readers, async |client| {
            orders::orders(client, query).await
        })
    }

    fn order_history(
        &self,
        accession_number: &AccessionNumber,
    ) -> Result<Option<OrderHistory>, StoreError> {
        self.read(async |transaction| orders::history(transaction, accession_number).await)
    }

    fn scheduled_steps(
        &self,
        query: &StepQuery,
        each: &mut dyn FnMut(&ScheduledStep<'_>) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        self.read(async |transaction| orders::scheduled_steps(transaction, query, each).await)
    }

    fn report(
        &self,
        accession_number: &AccessionNumber,
    ) -> Result<Option<ReportRecord>, StoreError> {
        self.ask(&self.readers, async |client| {
            orders::report(client, accession_number).await
        })
    }

    fn order_count(&self) -> Result<u64, StoreError> {
        self.ask(&self.readers, async |client| {
            orders::order_count(client).await
        })
    }

    fn patient(&self, patient_id: &PatientId) -> Result<Option<PatientHistory>, StoreError> {
        self.read(async |transaction| orders::patient(transaction, patient_id).await)
    }

    fn patients(&self, query: &PatientQuery) -> Result<Slice<PatientRecord, String>, StoreError> {
        self.ask(&self.readers, async |client| {
            orders::patients(client, query).await
        })
    }

    fn procedure(&self, sop_instance_uid: &str) -> Result<Option<ProcedureRecord>, StoreError> {
        self.ask(&self.readers, async |client| {
            orders::procedure(client, sop_instance_uid).await
        })
    }

    fn next_outgoing(&self, destination: &str) -> Result<Option<Next>, StoreError> {
        self.ask(&self.readers, async |client| {
            outbox::next_outgoing(client, destination).await
        })
    }

    fn outbox(&self, query: &OutboxQuery) -> Result<Slice<OutboxItem>, StoreError> {
        self.ask(&self.readers, async |client| {
            outbox::list(client, query).await
        })
    }

    fn outbox_entry(&self, message_id: i64) -> Result<Option<OutboxEntry>, StoreError> {
        self.read(async |transaction| outbox::entry(transaction, message_id).await)
    }

    fn queue_depths(&self) -> Result<Vec<QueueDepth>, StoreError> {
        self.ask(&self.readers, async |client| outbox::depths(client).await)
    }

    fn events_after(&self, id: i64, limit: u32) -> Result<Vec<Event>, StoreError> {
        self.ask(&self.readers, async |client| {
            events::after(client, id, limit).await
        })
    }

    fn last_event(&self) -> Result<i64, StoreError> {
        self.ask(&self.readers, async |client| events::last(client).await)
    }

    fn shared(&self) -> Option<&dyn Shared> {
        Some(self)
    }
}

impl Shared for PostgresStore {
    fn probe(&self) -> Result<(), StoreError> {
        // As little as can be, but through the disk as all else.
        let sql = "INSERT INTO servers (node, seen_at) VALUES ($1, now()) \
            ON CONFLICT (node) DO UPDATE SET seen_at = excluded.seen_at";
        self.ask(&self.keepers, async |client| {
            messages::rows(client, sql, &[&self.node]).await.map(drop)
        })
    }

    fn wait(&self, seen: Heard, patience: Duration) -> Heard {
        self.board.wait(seen, patience)
    }

    fn take_lane(&self, destination: &str, life: Duration) -> Result<Option<i64>, StoreError> {
        let seconds = life.as_secs_f64();
        let sql = "INSERT INTO lanes (destination, owner, fence, expires_at) \
            VALUES ($1, $2, 1, clock_timestamp() + make_interval(secs => $3)) \
            ON CONFLICT (destination) DO UPDATE SET owner = excluded.owner, \
            fence = lanes.fence + 1, expires_at = excluded.expires_at \
            WHERE lanes.expires_at <= clock_timestamp() RETURNING fence";
        self.ask(&self.keepers, async |client| {
            let rows = messages::rows(client, sql, &[&destination, &self.node, &seconds]).await?;
            rows.first().map(|row| rows::get(row, 0)).transpose()
        })
    }

    fn keep_lane(&self, destination: &str, fence: i64, life: Duration) -> Result<bool, StoreError> {
        let seconds = life.as_secs_f64();
        let sql = "UPDATE lanes SET \
            expires_at = clock_timestamp() + make_interval(secs => $3) \
            WHERE destination = $1 AND fence = $2 RETURNING fence";
        self.ask(&self.keepers, async |client| {
            let rows = messages::rows(client, sql, &[&destination, &fence, &seconds]).await?;
            Ok(!rows.is_empty())
        })
    }

    fn give_lane(&self, destination: &str, fence: i64) -> Result<(), StoreError> {
        let sql = "UPDATE lanes SET owner = '', expires_at = '-infinity' \
            WHERE destination = $1 AND fence = $2 RETURNING fence";
        self.ask(&self.keepers, async |client| {
            messages::rows(client, sql, &[&destination, &fence])
                .await
                .map(drop)
        })
    }
}
