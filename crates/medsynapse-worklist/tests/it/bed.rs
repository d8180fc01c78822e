//! A listener over a fixed board, and what it hears.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use dicom_core::dictionary::{DataDictionary as _, DataDictionaryEntry as _};
use dicom_core::value::PrimitiveValue;
use dicom_core::{DataElement, VR};
use dicom_dictionary_std::{StandardDataDictionary, tags};
use dicom_object::InMemDicomObject;
use hl7_message::{Message, chunks};
use medsynapse::{Attribute, Attributes, Change, Order, OrderState, Profile, interpret};
use medsynapse_worklist::scp::{
    Department, FindError, Future, Occurrence, ProcedureOutcome, ProcedureStep, ScpConfig,
    ScpSummary, Services, Station, StepStatus, StoredObject, Unavailable, serve,
};
use medsynapse_worklist::scu::{Modality, Offer, sequence};
use medsynapse_worklist::{Board, Element, Found, MappingSettings, Query, View, map};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The orders of the matching cases, as they come over MLLP.
pub(crate) const ORDERS: &str = include_str!("../cases/orders.hl7");

/// A department with a board that does not change.
#[derive(Default)]
pub(crate) struct Fixed {
    pub(crate) board: Board,
    pub(crate) heard: Mutex<Vec<Occurrence>>,
    pub(crate) steps: Mutex<Vec<(ProcedureStep, StepStatus)>>,
    pub(crate) stored: Mutex<Vec<StoredObject>>,
}

impl Department for Fixed {
    fn find(&self, query: &Query, view: &View) -> Result<Found, FindError> {
        Ok(self.board.find(query, view)?)
    }

    fn station(&self, ae_title: &str) -> Station {
        if self.board.has_station(ae_title) {
            return Station::Known;
        }
        let mut stations = self.board.stations().into_iter();
        match stations.find(|title| title.eq_ignore_ascii_case(ae_title)) {
            Some(title) => Station::Differs(title.to_owned()),
            None => Station::Unknown,
        }
    }

    fn procedure(&self, step: ProcedureStep) -> Future<'_, Result<ProcedureOutcome, Unavailable>> {
        let mut steps = self.steps.lock().unwrap();
        let known = steps
            .iter_mut()
            .find(|(other, _)| other.sop_instance_uid == step.sop_instance_uid);
        let outcome = match known {
            Some(_) if step.create => ProcedureOutcome::Duplicate,
            None if !step.create => ProcedureOutcome::Unknown,
            None => {
                steps.push((step, StepStatus::InProgress));
                ProcedureOutcome::Done
            }
            Some((_, StepStatus::InProgress)) if step.status.is_none() => ProcedureOutcome::Done,
            Some((_, status @ StepStatus::InProgress)) => {
                *status = step.status.unwrap();
                ProcedureOutcome::Done
            }
            Some(_) => ProcedureOutcome::Final,
        };
        Box::pin(std::future::ready(Ok(outcome)))
    }

    fn stored(&self, object: StoredObject) -> Future<'_, Result<(), Unavailable>> {
        self.stored.lock().unwrap().push(object);
        Box::pin(std::future::ready(Ok(())))
    }

    fn heard(&self, occurrence: Occurrence) {
        self.heard.lock().unwrap().push(occurrence);
    }
}

/// A running listener.
pub(crate) struct Bed {
    pub(crate) address: SocketAddr,
    pub(crate) department: Arc<Fixed>,
    pub(crate) stop: CancellationToken,
    pub(crate) task: JoinHandle<std::io::Result<ScpSummary>>,
}

impl Bed {
    pub(crate) async fn start(board: Board) -> Self {
        Self::with(board, ScpConfig::new("MEDSYNAPSE", Services::Worklist)).await
    }

    pub(crate) async fn with(board: Board, config: ScpConfig) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let department = Arc::new(Fixed {
            board,
            ..Fixed::default()
        });
        let stop = CancellationToken::new();
        let task = tokio::spawn(serve(
            listener,
            Arc::clone(&department),
            config,
            stop.clone(),
        ));
        Self {
            address,
            department,
            stop,
            task,
        }
    }

    pub(crate) async fn modality(&self) -> Modality<TcpStream> {
        let offer = Offer::modality("CT1", "MEDSYNAPSE");
        Modality::connect(self.address, &offer).await.unwrap()
    }

    pub(crate) fn heard(&self) -> Vec<Occurrence> {
        self.department.heard.lock().unwrap().clone()
    }

    /// Waits until something was heard.
    pub(crate) async fn hears(&self, wanted: impl Fn(&Occurrence) -> bool) {
        for _ in 0..500 {
            if self.heard().iter().any(&wanted) {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("not heard: {:?}", self.heard());
    }

    pub(crate) async fn end(self) -> ScpSummary {
        self.stop.cancel();
        self.task.await.unwrap().unwrap()
    }
}

/// An order as the broker makes it of a message.
pub(crate) fn order(message: &[u8]) -> Order {
    let message = Message::parse(message).unwrap();
    let read = interpret(&message, &Profile::default());
    let Ok(Change::RegisterOrder(register)) = read.outcome else {
        panic!("not an order: {:?}", read.outcome);
    };
    let mut attributes = Attributes::default();
    attributes.set(Attribute::StudyInstanceUid, &register.derived_uid);
    attributes.apply(&register.patches);
    Order {
        accession_number: register.accession_number,
        state: OrderState::Scheduled,
        attributes,
        segments: register.segments,
    }
}

/// The board of the matching cases.
pub(crate) fn board() -> Board {
    let mut board = Board::default();
    for chunk in chunks(ORDERS.as_bytes()) {
        board.put(map(&order(chunk.bytes), &MappingSettings::default()).0);
    }
    board
}

/// A board of many steps of one station, in the order of their accession numbers.
pub(crate) fn many(count: usize) -> Board {
    let mut board = Board::default();
    for n in 0..count {
        let mut item = medsynapse_worklist::Item::default();
        for (element, value) in [
            (Element::AccessionNumber, format!("A{n:07}")),
            (Element::PatientName, format!("DOE^JOHN{n}")),
            (Element::ScheduledStationAETitle, "CT1".into()),
            (Element::ScheduledProcedureStepStartDate, "20230614".into()),
            (Element::ScheduledProcedureStepStartTime, "080000".into()),
        ] {
            item.set(element, &value);
        }
        board.put(item);
    }
    board
}

/// An element by its keyword.
pub(crate) fn element(keyword: &str, value: &str) -> DataElement<InMemDicomObject> {
    let entry = StandardDataDictionary
        .by_name(keyword)
        .unwrap_or_else(|| panic!("no attribute {keyword}"));
    let (tag, vr) = (entry.tag(), entry.vr().relaxed());
    if vr == VR::SQ {
        return sequence(tag, Vec::new());
    }
    if value.is_empty() {
        return DataElement::empty(tag, vr);
    }
    if value.contains('\\') {
        let values = value.split('\\').map(str::to_owned).collect();
        return DataElement::new(tag, vr, PrimitiveValue::Strs(values));
    }
    DataElement::new(tag, vr, PrimitiveValue::from(value))
}

/// An identifier from keys like `PatientName=SMITH*; SPS.Modality=CT`; `SPS` alone is an empty
/// sequence, `SPS.` one with an empty item.
pub(crate) fn identifier(keys: &str) -> InMemDicomObject {
    let mut root = Vec::new();
    let mut step: Option<Vec<_>> = None;
    let mut protocol: Option<Vec<_>> = None;
    let mut empty = false;
    for key in keys.split(';').map(str::trim).filter(|key| !key.is_empty()) {
        let (name, value) = key.split_once('=').unwrap_or((key, ""));
        match name.trim() {
            "SPS" => empty = true,
            "SPS." => drop(step.get_or_insert_default()),
            name => match name.strip_prefix("SPS.") {
                None => root.push(element(name, value)),
                Some(inner) => match inner.strip_prefix("Protocol.") {
                    None => step.get_or_insert_default().push(element(inner, value)),
                    Some(code) => {
                        protocol.get_or_insert_default().push(element(code, value));
                        step.get_or_insert_default();
                    }
                },
            },
        }
    }
    if let (Some(step), Some(protocol)) = (&mut step, protocol) {
        step.push(sequence(
            tags::SCHEDULED_PROTOCOL_CODE_SEQUENCE,
            vec![protocol],
        ));
    }
    if empty || step.is_some() {
        let items = step.into_iter().collect();
        root.push(sequence(tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE, items));
    }
    if keys.is_ascii() {
        return InMemDicomObject::from_element_iter(root);
    }
    root.push(element("SpecificCharacterSet", "ISO_IR 192"));
    InMemDicomObject::from_element_iter(root)
}

/// The text at a tag.
pub(crate) fn text(object: &InMemDicomObject, tag: dicom_core::Tag) -> String {
    object
        .get(tag)
        .map(|element| element.to_str().unwrap().into_owned())
        .unwrap_or_default()
}
