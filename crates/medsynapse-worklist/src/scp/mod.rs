//! The DICOM service: Verification, worklist, performed procedure steps, and the recorder.

mod association;
mod department;
mod find;
mod lengths;
pub(crate) mod message;
mod mpps;
mod negotiate;
mod recorder;
mod server;
pub(crate) mod wire;

pub use association::End;
pub use department::{
    Department, FindError, Future, Occurrence, ProcedureOutcome, ProcedureStep, Reference, Station,
    StepStatus, StoredObject, Unavailable,
};
pub use message::MessageError;
pub use mpps::{merge, procedure_json};
pub use negotiate::{
    Access, IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME, Refusal, Services,
};
pub use server::{ScpConfig, ScpLimits, ScpSummary, serve};
pub use wire::{Deadlines, WireError};

/// What fuzzing calls: bytes of a stranger, first as PDUs and messages, then as an identifier.
#[doc(hidden)]
pub mod fuzz {
    use bytes::BytesMut;
    use dicom_object::InMemDicomObject;
    use dicom_ul::pdu::Pdu;

    use super::{Access, Services, lengths, message, negotiate, wire};
    use crate::{Item, Query, QueryOptions, ResponseCharset, dataset};

    /// PDUs in pieces of `step` bytes; gives how many came before the first thing that is wrong.
    pub fn pdus(bytes: &[u8], step: usize) -> usize {
        let mut buffer = BytesMut::new();
        let mut assembler = message::Assembler::default();
        let mut count = 0;
        for piece in bytes.chunks(step.max(1)) {
            buffer.extend_from_slice(piece);
            loop {
                match wire::parse(&mut buffer) {
                    Ok(None) => break,
                    Ok(Some(pdu)) => count += 1 + usize::from(!used(pdu, &mut assembler)),
                    Err(_) => return count,
                }
            }
        }
        count
    }

    fn used(pdu: Pdu, assembler: &mut message::Assembler) -> bool {
        let access = Access {
            ae_title: "MEDSYNAPSE".into(),
            any_called: true,
            allowed_calling: Vec::new(),
        };
        match pdu {
            Pdu::AssociationRQ(request) => {
                negotiate::negotiate(request, &access, Services::Worklist).is_ok()
            }
            Pdu::PData { data } => assembler.take(&data).is_ok(),
            _ => true,
        }
    }

    /// An identifier in either transfer syntax: read, matched against `item`, answered, and the
    /// answer read again.
    pub fn identifier(bytes: &[u8], item: &Item) {
        for uid in ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1"] {
            let syntax = message::transfer_syntax(uid);
            let Some(object) = lengths::read(bytes, uid) else {
                continue;
            };
            let Ok(query) = Query::read(&object, QueryOptions::default()) else {
                continue;
            };
            let _ = query.matches(item);
            let answer = dataset(item, &query, ResponseCharset::Auto);
            let mut written = Vec::new();
            if answer.write_dataset_with_ts(&mut written, &syntax).is_ok() {
                let _ = InMemDicomObject::read_dataset_with_ts(&written[..], &syntax);
            }
        }
    }
}
