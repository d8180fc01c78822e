//! [`Live`]: the worklist over the broker's orders, kept up to date by its log of events.

mod callers;
mod department;
mod studies;

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use medsynapse::{AccessionNumber, Order, PatientId};
use medsynapse_broker::{Broker, EventKind};
use medsynapse_store::{OrderRecord, StepQuery, Store, StoreError};

use crate::board::{Board, Found};
use crate::convert::{MappingSettings, map};
use crate::explain::{Mismatch, Origin, mismatches, origins};
use crate::query::Query;
use crate::scp::{FindError, Unavailable};
use crate::view::View;

pub use callers::{Caller, Seen};
pub use department::LiveDepartment;
pub use studies::StudyCount;

/// Most events that are read at a time.
const EVENTS: u32 = 1_000;

/// What of the workflow can be configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkflowSettings {
    /// A study whose objects have stopped to come is completed, as by a procedure step.
    pub complete_on_study: bool,
    /// For how long no object may come until that is so.
    pub study_idle: Duration,
    /// A step that is given up is scheduled again.
    pub reschedule_discontinued: bool,
}

impl Default for WorkflowSettings {
    fn default() -> Self {
        Self {
            complete_on_study: true,
            study_idle: Duration::from_mins(1),
            reschedule_discontinued: false,
        }
    }
}

/// The worklist of a broker: all open orders in memory, found by index.
///
/// Each query first catches up with the log, so that what was acknowledged before the query is
/// in its answer. One lock is held while that happens and while items are collected, never while
/// they are sent.
#[derive(Debug)]
pub struct Live {
    broker: Arc<Broker>,
    mapping: MappingSettings,
    workflow: WorkflowSettings,
    caught: Mutex<Caught>,
    studies: studies::Studies,
    callers: callers::Callers,
}

#[derive(Debug, Default)]
struct Caught {
    board: Board,
    /// The last event that is in the board; `None` before the first look.
    event: Option<i64>,
}

impl Live {
    /// A worklist over a broker. Nothing is read yet.
    pub fn new(
        broker: Arc<Broker>,
        mapping: MappingSettings,
        workflow: WorkflowSettings,
    ) -> Arc<Self> {
        Arc::new(Self {
            broker,
            mapping,
            workflow,
            caught: Mutex::default(),
            studies: studies::Studies::default(),
            callers: callers::Callers::default(),
        })
    }

    /// How orders become items.
    pub const fn mapping(&self) -> &MappingSettings {
        &self.mapping
    }

    fn store(&self) -> &dyn Store {
        &**self.broker.store()
    }

    /// The board as it is after everything that is on disk. Blocks.
    fn board(&self) -> Result<MutexGuard<'_, Caught>, StoreError> {
        let mut caught = self.caught.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = self.catch_up(&mut caught) {
            // What is half read is read again.
            *caught = Caught::default();
            return Err(error);
        }
        Ok(caught)
    }

    fn catch_up(&self, caught: &mut Caught) -> Result<(), StoreError> {
        let store = self.store();
        let mut last = if let Some(event) = caught.event {
            event
        } else {
            let event = store.last_event()?;
            self.read_all(&mut caught.board)?;
            event
        };
        loop {
            let events = store.events_after(last, EVENTS)?;
            let mut changed = BTreeSet::new();
            for event in &events {
                self.concerned(&event.kind, &mut changed)?;
                last = event.id.unwrap_or(last).max(last);
            }
            for accession_number in &changed {
                self.refresh(&mut caught.board, accession_number)?;
            }
            caught.event = Some(last);
            if events.is_empty() {
                return Ok(());
            }
        }
    }

    /// Every open order.
    fn read_all(&self, board: &mut Board) -> Result<(), StoreError> {
        let mut open = Vec::new();
        self.store()
            .scheduled_steps(&StepQuery::default(), &mut |step| {
                open.extend(step.accession_number());
                ControlFlow::Continue(())
            })?;
        for accession_number in &open {
            let record = self.refresh(board, accession_number)?;
            // Its objects came before this process began, and nobody said that they are all.
            if self.workflow.complete_on_study
                && record.is_some_and(|record| record.study_seen_at.is_some())
            {
                self.studies.resume(accession_number.as_str());
            }
        }
        Ok(())
    }

    /// The orders that an event may have changed.
    fn concerned(
        &self,
        event: &EventKind,
        changed: &mut BTreeSet<AccessionNumber>,
    ) -> Result<(), StoreError> {
        match event {
            EventKind::Order {
                accession_number, ..
            } => changed.extend(AccessionNumber::try_from(accession_number.as_str())),
            EventKind::PatientUpdated { message_id } | EventKind::PatientMerged { message_id } => {
                let message = self.store().message(*message_id)?;
                let patient = message
                    .and_then(|message| message.summary.patient_id)
                    .and_then(|id| PatientId::try_from(id.as_str()).ok());
                if let Some(patient) = patient {
                    let orders = self.store().orders_of(&patient)?;
                    changed.extend(
                        orders
                            .into_iter()
                            .map(|record| record.order.accession_number),
                    );
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Puts an order on the board, if it is open, or takes it off; gives the order that is open.
    fn refresh(
        &self,
        board: &mut Board,
        accession_number: &AccessionNumber,
    ) -> Result<Option<OrderRecord>, StoreError> {
        let record = self.store().order(accession_number)?;
        let open = record.filter(|record| record.order.state.is_open());
        match &open {
            Some(record) => board.put(map(&record.order, &self.mapping).0),
            None => board.remove(accession_number.as_str()),
        }
        Ok(open)
    }

    /// Who called the DICOM service since this process began, by AE title; at most some hundred.
    pub fn callers(&self) -> Vec<Caller> {
        self.callers.list()
    }

    /// When a modality was first and last given an order, since this process began.
    pub fn seen(&self, accession_number: &str) -> Option<Seen> {
        self.callers.seen(accession_number)
    }

    /// Reads all open orders, so that the first query need not. Blocks.
    ///
    /// # Errors
    ///
    /// The database cannot be read.
    pub fn warm(&self) -> Result<usize, StoreError> {
        Ok(self.board()?.board.len())
    }

    /// The items that a query finds. Blocks.
    ///
    /// # Errors
    ///
    /// Too many, or the database cannot be read.
    pub fn find(&self, query: &Query, view: &View) -> Result<Found, FindError> {
        let caught = self.board().map_err(|error| unavailable(&error))?;
        Ok(caught.board.find(query, view)?)
    }

    /// Why a query does or does not find an order: nothing where it does; `None` where there is
    /// no such order. Blocks.
    ///
    /// # Errors
    ///
    /// The database cannot be read.
    pub fn why(
        &self,
        query: &Query,
        view: &View,
        accession_number: &AccessionNumber,
    ) -> Result<Option<Vec<Mismatch>>, StoreError> {
        let order = self.order(accession_number)?;
        Ok(order.map(|order| mismatches(query, view, &map(&order, &self.mapping).0)))
    }

    /// Where each attribute of an order's item comes from. Blocks.
    ///
    /// # Errors
    ///
    /// The database cannot be read.
    pub fn origins(
        &self,
        accession_number: &AccessionNumber,
    ) -> Result<Option<Vec<Origin>>, StoreError> {
        let order = self.order(accession_number)?;
        Ok(order.map(|order| origins(&order, &self.mapping)))
    }

    fn order(&self, accession_number: &AccessionNumber) -> Result<Option<Order>, StoreError> {
        let record = self.store().order(accession_number)?;
        Ok(record.map(|record| record.order))
    }

    /// The accession numbers of all open orders that a query does not find, each with why; at
    /// most `limit`. Blocks.
    ///
    /// # Errors
    ///
    /// The database cannot be read.
    pub fn missed(
        &self,
        query: &Query,
        view: &View,
        limit: usize,
    ) -> Result<Vec<(String, Vec<Mismatch>)>, StoreError> {
        use crate::table::Element;
        let caught = self.board()?;
        let mut missed: Vec<_> = caught
            .board
            .iter()
            .filter_map(|item| {
                let why = mismatches(query, view, item);
                let accession_number = item.get(Element::AccessionNumber).to_owned();
                (!why.is_empty()).then_some((accession_number, why))
            })
            .collect();
        // Those that nearly match first.
        missed.sort_by(|a, b| (a.1.len(), &a.0).cmp(&(b.1.len(), &b.0)));
        missed.truncate(limit);
        Ok(missed)
    }
}

fn unavailable(error: &StoreError) -> FindError {
    tracing::error!(%error, "the worklist cannot be read");
    FindError::Unavailable(Unavailable(error.to_string()))
}
