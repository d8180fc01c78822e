//! C-STORE: identifiers are kept, pixels are not.

use std::io::Cursor;
use std::sync::Arc;

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::{FileMetaTableBuilder, InMemDicomObject, OpenFileOptions};
use dicom_ul::pdu::PresentationContextNegotiated;
use tokio::io::{AsyncRead, AsyncWrite};

use super::End;
use super::association::Association;
use super::department::{Department, StoredObject};
use super::lengths::is_sound;
use super::message::{Answer, Message, status, text};

/// Status of an object that cannot be understood.
const CANNOT_UNDERSTAND: u16 = 0xC000;

/// Answers C-STORE.
pub(crate) async fn answer<S, D>(
    association: &mut Association<S, D>,
    message: Message,
    context: &PresentationContextNegotiated,
) -> Result<(), End>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
    D: Department,
{
    let class = message.command.sop_class();
    let instance = message.command.uid(tags::AFFECTED_SOP_INSTANCE_UID);
    let head = message
        .data
        .as_deref()
        .and_then(|data| head(data, &class, &instance, &context.transfer_syntax));
    let mut answer = match head {
        Some(head) => {
            let object = StoredObject {
                calling: association.agreed.calling.clone(),
                sop_class_uid: class,
                sop_instance_uid: instance.clone(),
                study_instance_uid: text(&head, tags::STUDY_INSTANCE_UID),
                series_instance_uid: text(&head, tags::SERIES_INSTANCE_UID),
                accession_number: text(&head, tags::ACCESSION_NUMBER),
                patient_id: text(&head, tags::PATIENT_ID),
                modality: text(&head, tags::MODALITY),
            };
            let department = Arc::clone(&association.desk.department);
            match department.stored(object).await {
                Ok(()) => Answer::status(status::SUCCESS),
                Err(_) => Answer::status(status::OUT_OF_RESOURCES)
                    .comment("the broker cannot keep it now; send it again later"),
            }
        }
        None => Answer::status(CANNOT_UNDERSTAND).comment("its identifiers cannot be read"),
    };
    answer.instance_uid = Some(instance);
    association.answer(&message, &answer, None).await
}

/// What stands before the attributes of the acquisition's frame: the identifiers.
///
/// Reading ends there, so that a data set of which only the head was kept can be read.
fn head(data: &[u8], class: &str, instance: &str, syntax: &str) -> Option<InMemDicomObject> {
    let until = Tag(0x0020, 0x000F);
    if !is_sound(data, syntax, Some(until)) {
        return None;
    }
    let meta = FileMetaTableBuilder::new()
        .transfer_syntax(syntax)
        .media_storage_sop_class_uid(class)
        .media_storage_sop_instance_uid(instance)
        .build()
        .ok()?;
    let mut file = vec![0; 128];
    file.extend_from_slice(b"DICM");
    meta.write(&mut file).ok()?;
    file.extend_from_slice(data);
    let object = OpenFileOptions::new()
        .read_until(until)
        .from_reader(Cursor::new(file))
        .ok()?;
    Some(object.into_inner())
}
