//! What modalities say, and what it means for orders.

use std::collections::BTreeSet;
use std::sync::Arc;

use medsynapse::AccessionNumber;
use medsynapse_broker::EventKind;
use medsynapse_store::{ActionKind, ActionOutcome, OrderStep, Procedure, ProcedureState};

use super::Live;
use crate::board::{Board, Found};
use crate::query::Query;
use crate::scp::{
    Department, End, FindError, Future, Occurrence, ProcedureOutcome, ProcedureStep, Reference,
    Station, StepStatus, StoredObject, Unavailable, merge,
};
use crate::table::Element;
use crate::view::View;

/// [`Live`] as the DICOM service sees it.
#[derive(Debug, Clone)]
pub struct LiveDepartment(pub Arc<Live>);

impl Department for LiveDepartment {
    fn find(&self, query: &Query, view: &View) -> Result<Found, FindError> {
        self.0.find(query, view)
    }

    fn station(&self, ae_title: &str) -> Station {
        let Ok(caught) = self.0.board() else {
            return Station::Known;
        };
        if caught.board.has_station(ae_title) {
            return Station::Known;
        }
        let stations = caught.board.stations().into_iter();
        stations
            .filter(|title| title.eq_ignore_ascii_case(ae_title))
            .map(|title| Station::Differs(title.to_owned()))
            .next()
            .unwrap_or(Station::Unknown)
    }

    fn procedure(&self, step: ProcedureStep) -> Future<'_, Result<ProcedureOutcome, Unavailable>> {
        let live = Arc::clone(&self.0);
        Box::pin(async move {
            let calling = step.calling.clone();
            let reading = Arc::clone(&live);
            let procedure = tokio::task::spawn_blocking(move || reading.read_procedure(&step))
                .await
                .map_err(|error| Unavailable(error.to_string()))??;
            let kind = ActionKind::Procedure(procedure);
            let acted = live.broker.act(kind, calling, None).await;
            match acted
                .map_err(|error| Unavailable(error.to_string()))?
                .outcome
            {
                ActionOutcome::DuplicateInstance => Ok(ProcedureOutcome::Duplicate),
                ActionOutcome::UnknownInstance => Ok(ProcedureOutcome::Unknown),
                ActionOutcome::FinalInstance => Ok(ProcedureOutcome::Final),
                // The step is kept; what its orders make of it stops nothing.
                _ => Ok(ProcedureOutcome::Done),
            }
        })
    }

    fn stored(&self, object: StoredObject) -> Future<'_, Result<(), Unavailable>> {
        let live = Arc::clone(&self.0);
        Box::pin(async move { live.object_stored(object).await })
    }

    fn heard(&self, occurrence: Occurrence) {
        self.0.heard(&occurrence);
    }
}

impl Live {
    /// A procedure step as the store takes it: linked to orders, merged with what is kept.
    fn read_procedure(&self, step: &ProcedureStep) -> Result<Procedure, Unavailable> {
        let failed = |error: medsynapse_store::StoreError| Unavailable(error.to_string());
        let mut linked = BTreeSet::new();
        {
            let caught = self.board().map_err(failed)?;
            for reference in &step.references {
                linked.extend(self.link(&caught.board, reference));
            }
        }
        let kept = if step.create {
            None
        } else {
            self.store()
                .procedure(&step.sop_instance_uid)
                .map_err(failed)?
        };
        let stored = kept.as_ref().map(|kept| kept.dataset.as_slice());
        let state = match step.status {
            Some(StepStatus::InProgress) => ProcedureState::InProgress,
            Some(StepStatus::Completed) => ProcedureState::Completed,
            Some(StepStatus::Discontinued) => ProcedureState::Discontinued,
            None => kept
                .as_ref()
                .map_or(ProcedureState::InProgress, |kept| kept.state),
        };
        let mut studies = step
            .references
            .iter()
            .map(|one| one.study_instance_uid.as_str());
        Ok(Procedure {
            sop_instance_uid: step.sop_instance_uid.clone(),
            create: step.create,
            state,
            station_ae_title: step.calling.clone(),
            study_instance_uid: studies.find(|uid| !uid.is_empty()).map(str::to_owned),
            accession_numbers: linked.into_iter().collect(),
            dataset: merge(stored.unwrap_or_default(), &step.dataset),
            reschedule_discontinued: self.workflow.reschedule_discontinued,
        })
    }

    /// The orders that a reference means: by accession number, or, where nothing was scheduled,
    /// by study first.
    fn link(&self, board: &Board, reference: &Reference) -> Vec<AccessionNumber> {
        let by_accession = || AccessionNumber::try_from(reference.accession_number.as_str()).ok();
        let by_study = || -> Vec<AccessionNumber> {
            if reference.study_instance_uid.is_empty() {
                return Vec::new();
            }
            let items = board.of_study(&reference.study_instance_uid).iter();
            items
                .filter_map(|item| {
                    AccessionNumber::try_from(item.get(Element::AccessionNumber)).ok()
                })
                .collect()
        };
        let known = |accession_number: &AccessionNumber| {
            board.get(accession_number.as_str()).is_some()
                || matches!(self.store().order(accession_number), Ok(Some(_)))
        };
        let unscheduled = reference.step_id.is_empty();
        if unscheduled {
            let linked = by_study();
            if !linked.is_empty() {
                return linked;
            }
        }
        match by_accession() {
            Some(accession_number) if unscheduled || known(&accession_number) => {
                vec![accession_number]
            }
            other => {
                let linked = by_study();
                if linked.is_empty() {
                    other.into_iter().collect()
                } else {
                    linked
                }
            }
        }
    }

    /// An object of a study came.
    async fn object_stored(self: &Arc<Self>, object: StoredObject) -> Result<(), Unavailable> {
        let live = Arc::clone(self);
        let looked = object.clone();
        let linked = tokio::task::spawn_blocking(move || {
            let caught = live
                .board()
                .map_err(|error| Unavailable(error.to_string()))?;
            // Objects name their study for certain, the accession number often not.
            let reference = Reference {
                accession_number: looked.accession_number,
                study_instance_uid: looked.study_instance_uid,
                ..Reference::default()
            };
            Ok(live.link(&caught.board, &reference))
        });
        let linked = linked
            .await
            .map_err(|error| Unavailable(error.to_string()))??;
        for accession_number in linked {
            let first = self.studies.count(accession_number.as_str(), &object);
            if first {
                self.step(&accession_number, OrderStep::StudyArriving, &object.calling)
                    .await?;
            }
        }
        Ok(())
    }

    async fn step(
        &self,
        accession_number: &AccessionNumber,
        step: OrderStep,
        actor: &str,
    ) -> Result<(), Unavailable> {
        let kind = ActionKind::Order {
            accession_number: accession_number.clone(),
            step,
        };
        match self.broker.act(kind, actor, None).await {
            Ok(_) => Ok(()),
            Err(error) => Err(Unavailable(error.to_string())),
        }
    }

    /// Completes the studies whose objects have stopped to come; until `stop`.
    pub async fn watch_studies(self: Arc<Self>, stop: tokio_util::sync::CancellationToken) {
        let idle = self.workflow.study_idle;
        let every = (idle / 4).clamp(
            std::time::Duration::from_millis(20),
            std::time::Duration::from_secs(1),
        );
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(every) => {}
            }
            for (accession_number, calling) in self.studies.arrived(idle) {
                if !self.workflow.complete_on_study {
                    continue;
                }
                let Ok(accession_number) = AccessionNumber::try_from(accession_number.as_str())
                else {
                    continue;
                };
                let arrived = self
                    .step(&accession_number, OrderStep::StudyArrived, &calling)
                    .await;
                if let Err(error) = arrived {
                    tracing::error!(%error, "a study that arrived could not be completed");
                }
            }
        }
    }

    /// How many objects came of each study, newest last.
    pub fn studies(&self) -> Vec<super::StudyCount> {
        self.studies.list()
    }

    /// Notes who calls, and what they are shown.
    fn remember(&self, occurrence: &Occurrence) {
        let now = self.broker.clock().now();
        match occurrence {
            Occurrence::Opened { peer, calling } => self.callers.note(calling, now, |caller| {
                caller.associations += 1;
                caller.open.push((peer.to_string(), now));
            }),
            Occurrence::Refused {
                calling, refusal, ..
            } => self.callers.note(calling, now, |caller| {
                caller.refused += 1;
                caller.last_refusal = refusal.as_str();
            }),
            Occurrence::Closed { peer, calling, .. } => {
                let peer = peer.to_string();
                self.callers.note(calling, now, |caller| {
                    caller.open.retain(|(open, _)| *open != peer);
                });
            }
            Occurrence::Query { calling, items, .. } => {
                self.callers.note(calling, now, |caller| {
                    caller.queries += 1;
                    caller.items += items.len() as u64;
                });
                self.callers.saw(calling, items, now);
            }
            Occurrence::Procedure { calling, .. } => {
                self.callers
                    .note(calling, now, |caller| caller.procedures += 1);
            }
            Occurrence::Garbage { .. } | Occurrence::NoSuchStation { .. } => {}
        }
    }

    fn heard(&self, occurrence: &Occurrence) {
        self.remember(occurrence);
        let publish = |name: &'static str, peer: &str, calling: &str, detail: String| {
            self.broker.publish(EventKind::Dicom {
                name,
                peer: peer.to_owned(),
                calling: calling.to_owned(),
                detail,
            });
        };
        match occurrence {
            Occurrence::Opened { peer, calling } => {
                tracing::debug!(%peer, calling, "association opened");
                publish(
                    "association.opened",
                    &peer.to_string(),
                    calling,
                    String::new(),
                );
            }
            Occurrence::Refused {
                peer,
                calling,
                refusal,
            } => {
                let reason = refusal.as_str();
                tracing::warn!(%peer, calling, reason, "association refused");
                publish(
                    "association.refused",
                    &peer.to_string(),
                    calling,
                    reason.into(),
                );
            }
            Occurrence::Closed { peer, calling, end } => {
                let detail = match end {
                    End::Failed(what) => {
                        tracing::warn!(%peer, calling, what, "association broken off");
                        what.clone()
                    }
                    other => {
                        tracing::debug!(%peer, calling, end = ?other, "association closed");
                        format!("{other:?}").to_lowercase()
                    }
                };
                publish("association.closed", &peer.to_string(), calling, detail);
            }
            Occurrence::Garbage { peer, what } => {
                tracing::warn!(%peer, what, "no DICOM association");
            }
            Occurrence::Query {
                calling,
                keys,
                items,
                status,
            } => {
                let keys = keys.join(" ");
                let items = items.len();
                tracing::info!(
                    calling,
                    keys,
                    items,
                    status = format!("{status:04X}"),
                    "worklist query"
                );
                let detail = format!("{items} items, status {status:04X}, keys: {keys}");
                publish("worklist.queried", "", calling, detail);
            }
            Occurrence::NoSuchStation {
                calling,
                asked,
                similar,
            } => {
                let detail = match similar {
                    Some(other) => {
                        format!("no order is for AE title {asked}; {other} differs in case alone")
                    }
                    None => format!("no order is for AE title {asked}"),
                };
                tracing::warn!(calling, detail, "worklist query that can find nothing");
                publish("worklist.mismatch", "", calling, detail);
            }
            Occurrence::Procedure {
                calling,
                sop_instance_uid,
                status,
            } => {
                let status = format!("{status:04X}");
                tracing::info!(
                    calling,
                    sop_instance_uid,
                    status,
                    "performed procedure step"
                );
            }
        }
    }
}
