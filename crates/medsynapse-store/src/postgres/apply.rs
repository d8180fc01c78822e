//! The writer: a batch of work, one transaction, beside those of other servers.
//!
//! A transaction first takes its locks, then reads. So a duplicate is seen whichever server took
//! the first one, and no change overwrites a later one. It commits in its turn: the numbers of
//! the log are in the order of commits, and whoever follows events by their numbers skips none.
//! PostgreSQL gives locks and turn back with the end of the transaction, after its commit can be
//! seen. A server that is stopped with them in its hands loses its session after two seconds, and
//! with it all of them.

use std::cell::Cell;
use std::time::{Duration, Instant};

use tokio::runtime::{Handle, Runtime};
use tokio_postgres::Client;

use super::block;
use super::connect::Target;
use super::desk::Desk;
use super::flush::{Ended, flush};
use super::sql::ROLLBACK;
use super::statements::Statements;
use super::turn::{Way, open};
use super::wanted::{Found, Wanted};
use crate::action::ActionKind;
use crate::decide;
use crate::error::StoreError;
use crate::work::{Done, Work};

/// How long a step may take before the connection is given up. PostgreSQL gives up earlier by
/// itself; this is for a network that says nothing.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between two tries to connect, at first and at most.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// What a connection gets to say that it ends.
const GOODBYE: Duration = Duration::from_millis(5);
/// From how many messages on a batch is given time to grow.
const SEVERAL: usize = 4;

/// The connection that writes.
struct Session {
    client: Client,
    statements: Statements,
}

/// What the connection that writes runs on: the thread that applies itself, so that a round trip
/// wakes nobody else.
struct Driver {
    own: Option<Runtime>,
    /// Where the system gives no runtime of its own.
    others: Handle,
}

impl Driver {
    fn new(others: Handle) -> Self {
        let own = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        Self {
            own: own.ok(),
            others,
        }
    }

    /// Runs a future to its end. Not for a thread of a runtime.
    fn on<F: Future>(&self, future: F) -> F::Output {
        match &self.own {
            Some(own) => own.block_on(future),
            None => block::on(&self.others, future),
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if let Some(own) = self.own.take() {
            own.shutdown_background();
        }
    }
}

/// The one that writes on this server.
pub(super) struct Writer {
    target: Target,
    runtime: Driver,
    session: Option<Session>,
    /// When the next try to connect is due, the pause after it, and why the last one failed.
    away: Option<(Instant, Duration, String)>,
    /// Names this server to those who listen.
    node: String,
}

/// Work that is applied together.
pub(super) enum Batch<'a> {
    Whole(&'a [Work]),
    /// Whoever gives the second may put more into the first.
    Growing(&'a mut Vec<Work>, &'a mut dyn FnMut(&mut Vec<Work>)),
}

impl Batch<'_> {
    pub(super) fn works(&self) -> &[Work] {
        match self {
            Self::Whole(works) => works,
            Self::Growing(works, _) => works,
        }
    }

    /// Takes what has come meanwhile.
    fn grow(&mut self) {
        if let Self::Growing(works, more) = self {
            more(works);
        }
    }
}

/// Why a batch was not applied.
enum Failure {
    /// The connection had been lost before: nothing was sent that could have been committed.
    Lost(StoreError),
    /// It touches what it does not name.
    Entangled,
    Final(StoreError),
}

impl Writer {
    /// `others` is the runtime of the readers.
    pub(super) fn new(target: Target, others: Handle, node: String) -> Self {
        Self {
            target,
            runtime: Driver::new(others),
            session: None,
            away: None,
            node,
        }
    }

    pub(super) fn apply(&mut self, batch: &mut Batch<'_>) -> Vec<Result<Done, StoreError>> {
        let outcome = self.commit(batch);
        let batch = batch.works();
        match outcome {
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
        let mut done = self.commit(&mut Batch::Whole(std::slice::from_ref(work)))?;
        done.pop()
            .ok_or_else(|| StoreError::Database("nothing was applied".into()))
    }

    fn commit(&mut self, batch: &mut Batch<'_>) -> Result<Vec<Done>, StoreError> {
        if batch.works().is_empty() {
            return Ok(Vec::new());
        }
        let (mut way, mut lost) = (Way::of(batch.works()), false);
        loop {
            match self.try_commit(batch, way) {
                Ok(done) => return Ok(done),
                // The connection may have been dead since the last batch.
                Err(Failure::Lost(_)) if !lost => lost = true,
                Err(Failure::Entangled) if way == Way::Beside => way = Way::Alone,
                Err(Failure::Lost(error) | Failure::Final(error)) => return Err(error),
                Err(Failure::Entangled) => {
                    let text = "a batch that has the log alone cannot be entangled";
                    return Err(StoreError::Database(text.into()));
                }
            }
        }
    }

    /// The connection, a new one where there is none.
    fn session(&mut self) -> Result<Session, StoreError> {
        if let Some(session) = self.session.take() {
            // What has happened to the connection since the last batch is seen now.
            self.runtime.on(async {
                for _ in 0..2 {
                    tokio::task::yield_now().await;
                }
            });
            if !session.client.is_closed() {
                return Ok(session);
            }
        }
        if let Some((due, _, reason)) = &self.away
            && Instant::now() < *due
        {
            return Err(StoreError::Unreachable(reason.clone()));
        }
        let opened = self.runtime.on(async {
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

    fn try_commit(&mut self, batch: &mut Batch<'_>, way: Way) -> Result<Vec<Done>, Failure> {
        let session = self.session().map_err(Failure::Final)?;
        let mut lock = Some(way.lock());
        // Several that came together will come together again: those whose answers have just gone
        // out send their next, and go along if the lock is taken first.
        if batch.works().len() >= SEVERAL
            && let Batch::Growing(..) = batch
        {
            let begun = async { Ok(session.client.batch_execute(way.lock()).await?) };
            if let Err(error) = self.runtime.on(patient(begun)) {
                return Err(self.not_begun(session, error));
            }
            lock = None;
            batch.grow();
            if Way::of(batch.works()) == Way::Alone && way == Way::Beside {
                self.rolled_back(session);
                return Err(Failure::Entangled);
            }
        }
        let batch = batch.works();
        let wanted = Wanted::by(batch);
        let opening = open(
            &session.client,
            &session.statements,
            batch,
            &wanted,
            way,
            lock,
        );
        let opened = match self.runtime.on(patient(opening)) {
            Ok(Some(opened)) => opened,
            Ok(None) => {
                self.rolled_back(session);
                return Err(Failure::Entangled);
            }
            Err(error) => return Err(self.not_begun(session, error)),
        };
        let entangled = Cell::new(false);
        let fetch = |wanted: &Wanted| {
            if way == Way::Beside {
                entangled.set(true);
                return Err(StoreError::Database("rows that were not locked".into()));
            }
            self.runtime.on(patient(find(&session, wanted)))
        };
        let mut desk = Desk::new(opened.entry, &fetch);
        desk.put(&wanted, opened.found);
        let decided = decide_all(&mut desk, batch);
        let over = desk.entry > opened.last;
        let done = match decided {
            Ok(done) if !over => done,
            decided => {
                drop(desk);
                self.rolled_back(session);
                return Err(match decided {
                    Err(error) if !entangled.get() => Failure::Final(error),
                    _ => Failure::Entangled,
                });
            }
        };
        let told = told(&self.node, desk.entry, batch);
        let flushing = flush(
            &session.client,
            &session.statements,
            &desk,
            opened.turn,
            &told,
        );
        let ended = self.runtime.on(async {
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
                self.rolled_back(session);
                Err(Failure::Final(error))
            }
            Ended::Unknown(reason) => {
                tracing::warn!(%reason, "the database did not say whether it committed");
                self.leave(session);
                Err(Failure::Final(StoreError::Unknown(reason)))
            }
        }
    }

    /// A transaction could not begin.
    fn not_begun(&mut self, session: Session, error: StoreError) -> Failure {
        if session.client.is_closed() {
            return Failure::Lost(error);
        }
        self.rolled_back(session);
        Failure::Final(error)
    }

    /// Closes a connection now, and not when there is something to do again: it may hold locks.
    fn leave(&self, session: Session) {
        self.runtime.on(async move {
            drop(session);
            tokio::time::sleep(GOODBYE).await;
        });
    }

    /// Ends a transaction in which nothing was written, and keeps the connection if it is whole.
    fn rolled_back(&mut self, session: Session) {
        if session.client.is_closed() {
            return;
        }
        let ended = self.runtime.on(async {
            tokio::time::timeout(PATIENCE, session.client.batch_execute(ROLLBACK)).await
        });
        if matches!(ended, Ok(Ok(()))) {
            self.session = Some(session);
        } else {
            self.leave(session);
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

fn decide_all(desk: &mut Desk<'_>, batch: &[Work]) -> Result<Vec<Done>, StoreError> {
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
fn told(node: &str, entry: i64, batch: &[Work]) -> String {
    let kinds = || {
        batch.iter().filter_map(|work| match work {
            Work::Action(action) => Some(&action.kind),
            Work::Message(_) | Work::Delivery(_) => None,
        })
    };
    let commands = kinds().any(|kind| matches!(kind, ActionKind::Outbox { .. }));
    let queued = kinds().any(|kind| !matches!(kind, ActionKind::Outbox { .. }));
    format!(
        "{entry} {}{} {node}",
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
