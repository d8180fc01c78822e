//! The writer: a batch of work, one transaction, under the lock that makes one log of all servers.
//!
//! A transaction first takes the lock, then reads. So the numbers of the log are in the order of
//! commits, whoever follows events by their numbers skips none, a duplicate is seen whichever
//! server took the first one, and no change overwrites a later one. PostgreSQL gives the lock back
//! with the end of the transaction, after its commit can be seen. A server that is stopped with
//! the lock in its hands loses its session after two seconds, and with it the lock.

use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio_postgres::Client;

use super::block;
use super::connect::Target;
use super::desk::Desk;
use super::flush::{Ended, flush};
use super::sql::LOCK;
use super::statements::Statements;
use super::wanted::{Found, Wanted};
use super::written::Head;
use crate::action::ActionKind;
use crate::decide;
use crate::error::StoreError;
use crate::work::{Done, Work};

/// How long a step may take before the connection is given up. PostgreSQL gives up earlier by
/// itself; this is for a network that says nothing.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between two tries to connect, at first and at most.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// The connection that writes.
struct Session {
    client: Client,
    statements: Statements,
}

/// The one that writes on this server.
pub(super) struct Writer {
    target: Target,
    runtime: Handle,
    session: Option<Session>,
    /// When the next try to connect is due, the pause after it, and why the last one failed.
    away: Option<(Instant, Duration, String)>,
    /// Names this server to those who listen.
    node: String,
}

/// A failure, and whether the same may be tried on a new connection: nothing was sent that
/// could have been committed.
struct Failure {
    error: StoreError,
    again: bool,
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self {
            error,
            again: false,
        }
    }
}

impl Writer {
    pub(super) const fn new(target: Target, runtime: Handle, node: String) -> Self {
        Self {
            target,
            runtime,
            session: None,
            away: None,
            node,
        }
    }

    pub(super) fn apply(&mut self, batch: &[Work]) -> Vec<Result<Done, StoreError>> {
        match self.commit(batch) {
            Ok(done) => done.into_iter().map(Ok).collect(),
            // One piece of work must not take the others down: each gets a transaction of its
            // own.
            Err(StoreError::Database(_) | StoreError::Corrupt { .. } | StoreError::LaneLost)
                if batch.len() > 1 =>
            {
                batch.iter().map(|work| self.apply_alone(work)).collect()
            }
            Err(error) => batch.iter().map(|_| Err(error.clone())).collect(),
        }
    }

    fn apply_alone(&mut self, work: &Work) -> Result<Done, StoreError> {
        let mut done = self.commit(std::slice::from_ref(work))?;
        done.pop()
            .ok_or_else(|| StoreError::Database("nothing was applied".into()))
    }

    fn commit(&mut self, batch: &[Work]) -> Result<Vec<Done>, StoreError> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        match self.try_commit(batch) {
            // The connection may have been dead since the last batch.
            Err(failure) if failure.again => self.try_commit(batch),
            result => result,
        }
        .map_err(|failure| failure.error)
    }

    /// The connection, a new one where there is none.
    fn session(&mut self) -> Result<Session, StoreError> {
        if let Some(session) = self.session.take()
            && !session.client.is_closed()
        {
            return Ok(session);
        }
        if let Some((due, _, reason)) = &self.away
            && Instant::now() < *due
        {
            return Err(StoreError::Unreachable(reason.clone()));
        }
        let opened = block::on(&self.runtime, async {
            let client = self.target.connect_writer().await?;
            let statements = Statements::prepare(&client).await?;
            Ok::<_, StoreError>(Session { client, statements })
        });
        match opened {
            Ok(session) => {
                if self.away.take().is_some() {
                    tracing::info!("the database can be reached again");
                }
                Ok(session)
            }
            Err(error) => {
                if self.away.is_none() {
                    tracing::error!(%error, "the database cannot be reached; it is tried again");
                }
                let pause = self.away.as_ref().map_or(PAUSE.0, |(_, pause, _)| *pause);
                let due = Instant::now() + pause;
                let reason = match &error {
                    StoreError::Unreachable(reason) => reason.clone(),
                    error => error.to_string(),
                };
                self.away = Some((due, (pause * 2).min(PAUSE.1), reason));
                Err(error)
            }
        }
    }

    fn try_commit(&mut self, batch: &[Work]) -> Result<Vec<Done>, Failure> {
        let session = self.session()?;
        let wanted = Wanted::by(batch);
        let opened = block::on(&self.runtime, patient(begin(&session, &wanted)));
        let (head, found) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                let again = session.client.is_closed();
                self.rolled_back(session);
                return Err(Failure { error, again });
            }
        };
        let fetch = |wanted: &Wanted| block::on(&self.runtime, patient(find(&session, wanted)));
        let mut desk = Desk::new(head, &fetch);
        desk.put(&wanted, found);
        let decided = decide_all(&mut desk, batch);
        let done = match decided {
            Ok(done) => done,
            Err(error) => {
                drop(desk);
                self.rolled_back(session);
                return Err(error.into());
            }
        };
        let told = told(&self.node, &desk.head, batch);
        let flushing = flush(&session.client, &session.statements, &desk, &told);
        let ended = block::on(&self.runtime, async {
            match tokio::time::timeout(PATIENCE, flushing).await {
                Ok(ended) => ended,
                Err(_) => Ended::Unknown("no answer came in time".into()),
            }
        });
        drop(desk);
        match ended {
            Ended::Committed => {
                self.session = Some(session);
                Ok(done)
            }
            Ended::RolledBack(error) => {
                self.session = Some(session);
                Err(error.into())
            }
            Ended::Unknown(reason) => {
                tracing::warn!(%reason, "the database did not say whether it committed");
                Err(StoreError::Unknown(reason).into())
            }
        }
    }

    /// Ends a transaction in which nothing was written, and keeps the connection if it is whole.
    fn rolled_back(&mut self, session: Session) {
        if session.client.is_closed() {
            return;
        }
        let ended = block::on(&self.runtime, async {
            tokio::time::timeout(PATIENCE, session.client.batch_execute("ROLLBACK")).await
        });
        if matches!(ended, Ok(Ok(()))) {
            self.session = Some(session);
        }
    }
}

async fn patient<T>(step: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    match tokio::time::timeout(PATIENCE, step).await {
        Ok(result) => result,
        Err(_) => Err(StoreError::Unreachable("no answer came in time".into())),
    }
}

async fn find(session: &Session, wanted: &Wanted) -> Result<Found, StoreError> {
    wanted.find(&session.client, &session.statements).await
}

/// Begins a transaction, takes the lock and reads what the batch can touch: one round trip. Each
/// statement sees what was committed before it began, so that what is read behind the lock is all
/// there is.
async fn begin(session: &Session, wanted: &Wanted) -> Result<(Head, Found), StoreError> {
    let lock = format!("BEGIN; SELECT {LOCK}");
    let found = wanted.find_behind(&session.client, &session.statements, &lock);
    let mut found = found.await?;
    let head = found.head.take();
    let head = head.ok_or_else(|| StoreError::Database("the log has no head".into()))?;
    Ok((head, found))
}

fn decide_all(desk: &mut Desk<'_>, batch: &[Work]) -> Result<Vec<Done>, StoreError> {
    desk.fetch_patients()?;
    batch
        .iter()
        .map(|work| {
            if let Work::Delivery(delivery) = work
                && !desk.may_settle(delivery)?
            {
                return Err(StoreError::LaneLost);
            }
            decide::apply(desk, work)
        })
        .collect()
}

/// What those who listen are told: the last entry, whether something may wait now, whether a
/// person has asked for something, and who says so.
fn told(node: &str, head: &Head, batch: &[Work]) -> String {
    let kinds = || {
        batch.iter().filter_map(|work| match work {
            Work::Action(action) => Some(&action.kind),
            Work::Message(_) | Work::Delivery(_) => None,
        })
    };
    let commands = kinds().any(|kind| matches!(kind, ActionKind::Outbox { .. }));
    let queued = kinds().any(|kind| !matches!(kind, ActionKind::Outbox { .. }));
    format!(
        "{} {}{} {node}",
        head.entry,
        if queued { 'q' } else { '-' },
        if commands { 'c' } else { '-' },
    )
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer")
            .field("node", &self.node)
            .finish_non_exhaustive()
    }
}
