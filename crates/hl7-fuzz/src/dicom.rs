//! What a modality may send: PDUs, and the identifier of a query.

use medsynapse_worklist::scp::fuzz;
use medsynapse_worklist::{Element, Item};

use crate::Target;

/// The ways in.
pub const TARGETS: [Target; 2] = [("dicom-pdu", pdu), ("dicom-identifier", identifier)];

/// PDUs: the first byte says how the rest is cut into reads; every cut gives the same.
pub fn pdu(data: &[u8]) {
    let Some((&step, stream)) = data.split_first() else {
        return;
    };
    let whole = fuzz::pdus(stream, stream.len());
    assert_eq!(fuzz::pdus(stream, usize::from(step)), whole);
}

/// Identifiers: whatever can be read is matched and answered, and the answer can be read.
pub fn identifier(data: &[u8]) {
    let mut item = Item::default();
    item.set(Element::PatientName, "MÜLLER^EVA");
    item.set(Element::AccessionNumber, "ACC1");
    item.set(Element::ScheduledStationAETitle, "CT1\\CT2");
    item.set(Element::ScheduledProcedureStepStartDate, "20230614");
    item.set(Element::ScheduledProcedureStepStartTime, "131500");
    fuzz::identifier(data, &item);
}
