//! DIMSE messages: put together from PDUs, and cut into them.

use dicom_core::value::PrimitiveValue;
use dicom_core::{DataElement, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_encoding::transfer_syntax::TransferSyntax;
use dicom_object::InMemDicomObject;
use dicom_transfer_syntax_registry::entries;
use dicom_ul::pdu::{PDataValue, PDataValueType, Pdu};

use super::lengths;

/// Longest command that is taken.
const COMMAND_BYTES_MAX: usize = 64 * 1_024;
/// Longest data set that is taken.
const DATA_BYTES_MAX: usize = 1_024 * 1_024;
/// How much of a data set is kept where only its head counts.
const HEAD_BYTES_MAX: usize = 64 * 1_024;
/// Command Data Set Type: there is none.
pub(crate) const NO_DATA_SET: u16 = 0x0101;

/// Command Field of a request; its answer has the highest bit as well.
pub(crate) mod field {
    pub(crate) const C_STORE: u16 = 0x0001;
    pub(crate) const C_FIND: u16 = 0x0020;
    pub(crate) const C_ECHO: u16 = 0x0030;
    pub(crate) const N_SET: u16 = 0x0120;
    pub(crate) const N_CREATE: u16 = 0x0140;
    pub(crate) const C_CANCEL: u16 = 0x0FFF;
    pub(crate) const RESPONSE: u16 = 0x8000;
}

/// Status of an answer.
pub(crate) mod status {
    pub(crate) const SUCCESS: u16 = 0x0000;
    pub(crate) const INVALID_ATTRIBUTE_VALUE: u16 = 0x0106;
    pub(crate) const PROCESSING_FAILURE: u16 = 0x0110;
    pub(crate) const DUPLICATE_INSTANCE: u16 = 0x0111;
    pub(crate) const NO_SUCH_INSTANCE: u16 = 0x0112;
    pub(crate) const INVALID_INSTANCE: u16 = 0x0117;
    pub(crate) const MISSING_ATTRIBUTE: u16 = 0x0120;
    pub(crate) const NO_SUCH_SOP_CLASS: u16 = 0x0122;
    pub(crate) const UNKNOWN_OPERATION: u16 = 0x0211;
    pub(crate) const OUT_OF_RESOURCES: u16 = 0xA700;
    pub(crate) const INVALID_IDENTIFIER: u16 = 0xA900;
    pub(crate) const UNABLE_TO_PROCESS: u16 = 0xC001;
    pub(crate) const CANCELLED: u16 = 0xFE00;
    pub(crate) const PENDING: u16 = 0xFF00;
    pub(crate) const PENDING_UNSUPPORTED: u16 = 0xFF01;
}

/// What a peer did that ends the association.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// A command is too long.
    #[error("a command is longer than 64 KiB")]
    CommandTooLong,
    /// A data set is too long.
    #[error("a data set is longer than 1 MiB")]
    DataTooLong,
    /// Bytes of a data set without a command that announces one.
    #[error("a data set came without its command")]
    DataWithoutCommand,
    /// A command inside a data set.
    #[error("a command came inside a data set")]
    CommandInsideData,
    /// A command that cannot be read.
    #[error("a command cannot be read")]
    Unreadable,
    /// Pieces of one message under different contexts.
    #[error("a message changed its presentation context")]
    ContextChanged,
}

/// A message: its command, and its data set in bytes.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) context: u8,
    pub(crate) command: Command,
    pub(crate) data: Option<Vec<u8>>,
}

/// The elements of a command that are asked for.
#[derive(Debug, Clone)]
pub(crate) struct Command {
    pub(crate) object: InMemDicomObject,
    pub(crate) field: u16,
}

impl Command {
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, MessageError> {
        let object = lengths::read(bytes, entries::IMPLICIT_VR_LITTLE_ENDIAN.uid())
            .ok_or(MessageError::Unreadable)?;
        let field = number(&object, tags::COMMAND_FIELD).ok_or(MessageError::Unreadable)?;
        Ok(Self { object, field })
    }

    pub(crate) fn number(&self, tag: Tag) -> Option<u16> {
        number(&self.object, tag)
    }

    /// A UID without its padding; empty where there is none.
    pub(crate) fn uid(&self, tag: Tag) -> String {
        text(&self.object, tag)
    }

    pub(crate) fn message_id(&self) -> u16 {
        self.number(tags::MESSAGE_ID).unwrap_or(0)
    }

    /// The SOP class that it is about.
    pub(crate) fn sop_class(&self) -> String {
        match self.uid(tags::AFFECTED_SOP_CLASS_UID) {
            uid if uid.is_empty() => self.uid(tags::REQUESTED_SOP_CLASS_UID),
            uid => uid,
        }
    }

    fn has_data(&self) -> bool {
        self.number(tags::COMMAND_DATA_SET_TYPE) != Some(NO_DATA_SET)
    }
}

pub(crate) fn number(object: &InMemDicomObject, tag: Tag) -> Option<u16> {
    object.get(tag)?.to_int::<u16>().ok()
}

/// The text of an element without padding; empty where there is none.
pub(crate) fn text(object: &InMemDicomObject, tag: Tag) -> String {
    object
        .get(tag)
        .and_then(|element| element.to_raw_str().ok())
        .map(|text| text.trim_matches([' ', '\0']).to_owned())
        .unwrap_or_default()
}

/// Puts messages together.
#[derive(Debug, Default)]
pub(crate) struct Assembler {
    command: Vec<u8>,
    data: Vec<u8>,
    waiting: Option<(u8, Command)>,
    context: Option<u8>,
}

impl Assembler {
    /// Takes the values of a PDU and gives the messages that they complete.
    pub(crate) fn take(&mut self, values: &[PDataValue]) -> Result<Vec<Message>, MessageError> {
        let mut messages = Vec::new();
        for value in values {
            messages.extend(self.value(value)?);
        }
        Ok(messages)
    }

    fn value(&mut self, value: &PDataValue) -> Result<Option<Message>, MessageError> {
        let context = value.presentation_context_id;
        if *self.context.get_or_insert(context) != context {
            return Err(MessageError::ContextChanged);
        }
        match value.value_type {
            PDataValueType::Command => {
                if self.waiting.is_some() {
                    return Err(MessageError::CommandInsideData);
                }
                if self.command.len() + value.data.len() > COMMAND_BYTES_MAX {
                    return Err(MessageError::CommandTooLong);
                }
                self.command.extend_from_slice(&value.data);
                if !value.is_last {
                    return Ok(None);
                }
                let command = Command::read(&std::mem::take(&mut self.command))?;
                if command.has_data() {
                    self.waiting = Some((context, command));
                    return Ok(None);
                }
                self.context = None;
                Ok(Some(Message {
                    context,
                    command,
                    data: None,
                }))
            }
            PDataValueType::Data => {
                let Some((_, command)) = &self.waiting else {
                    return Err(MessageError::DataWithoutCommand);
                };
                if command.field == field::C_STORE {
                    // Pixels are not kept: the head of the data set is.
                    let room = HEAD_BYTES_MAX.saturating_sub(self.data.len());
                    let head = value.data.get(..room.min(value.data.len()));
                    self.data.extend_from_slice(head.unwrap_or_default());
                } else if self.data.len() + value.data.len() > DATA_BYTES_MAX {
                    return Err(MessageError::DataTooLong);
                } else {
                    self.data.extend_from_slice(&value.data);
                }
                if !value.is_last {
                    return Ok(None);
                }
                self.context = None;
                let data = Some(std::mem::take(&mut self.data));
                Ok(self.waiting.take().map(|(context, command)| Message {
                    context,
                    command,
                    data,
                }))
            }
        }
    }

    /// Whether a message has been begun.
    pub(crate) fn is_inside(&self) -> bool {
        self.context.is_some()
    }
}

/// An answer to a message.
#[derive(Debug, Clone, Default)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) error_comment: Option<String>,
    pub(crate) offending: Vec<Tag>,
    pub(crate) error_id: Option<u16>,
    pub(crate) instance_uid: Option<String>,
}

impl Answer {
    pub(crate) fn status(status: u16) -> Self {
        Self {
            status,
            ..Self::default()
        }
    }

    pub(crate) fn comment(mut self, comment: &str) -> Self {
        // VR LO.
        self.error_comment = Some(comment.chars().filter(char::is_ascii).take(64).collect());
        self
    }

    /// The command of the answer.
    pub(crate) fn command(&self, request: &Command, with_data: bool) -> Vec<u8> {
        let us = |tag, value: u16| DataElement::new(tag, VR::US, PrimitiveValue::from(value));
        let ui = |tag, text: &str| DataElement::new(tag, VR::UI, PrimitiveValue::from(text));
        let class = request.sop_class();
        let data_set = if with_data { 0x0001 } else { NO_DATA_SET };
        let mut elements = vec![
            ui(tags::AFFECTED_SOP_CLASS_UID, &class),
            us(tags::COMMAND_FIELD, request.field | field::RESPONSE),
            us(tags::MESSAGE_ID_BEING_RESPONDED_TO, request.message_id()),
            us(tags::COMMAND_DATA_SET_TYPE, data_set),
            us(tags::STATUS, self.status),
        ];
        if let Some(uid) = &self.instance_uid {
            elements.push(ui(tags::AFFECTED_SOP_INSTANCE_UID, uid));
        }
        if !self.offending.is_empty() {
            let value = PrimitiveValue::Tags(self.offending.iter().copied().collect());
            elements.push(DataElement::new(tags::OFFENDING_ELEMENT, VR::AT, value));
        }
        if let Some(comment) = &self.error_comment {
            let value = PrimitiveValue::from(comment.as_str());
            elements.push(DataElement::new(tags::ERROR_COMMENT, VR::LO, value));
        }
        if let Some(id) = self.error_id {
            elements.push(us(tags::ERROR_ID, id));
        }
        command_bytes(elements)
    }
}

/// A command as bytes; its group length is added.
pub(crate) fn command_bytes(elements: Vec<DataElement<InMemDicomObject>>) -> Vec<u8> {
    let object = InMemDicomObject::command_from_element_iter(elements);
    let mut bytes = Vec::with_capacity(256);
    // A command is short text and numbers: writing it to memory cannot fail.
    let _ = object.write_dataset_with_ts(&mut bytes, &entries::IMPLICIT_VR_LITTLE_ENDIAN.erased());
    bytes
}

/// The transfer syntax of that UID, among those that data sets are read and written in here.
pub(crate) fn transfer_syntax(uid: &str) -> TransferSyntax {
    if uid == entries::IMPLICIT_VR_LITTLE_ENDIAN.uid() {
        entries::IMPLICIT_VR_LITTLE_ENDIAN.erased()
    } else {
        entries::EXPLICIT_VR_LITTLE_ENDIAN.erased()
    }
}

/// Cuts a message into PDUs of at most `pdu_bytes_max` each, its header not counted.
///
/// Where both fit, command and data set travel in one PDU.
pub(crate) fn pdus(
    context: u8,
    command: Vec<u8>,
    data: Option<Vec<u8>>,
    pdu_bytes_max: u32,
) -> Vec<Pdu> {
    let max = pdu_bytes_max as usize;
    let value = |value_type: PDataValueType, is_last, data: Vec<u8>| PDataValue {
        presentation_context_id: context,
        value_type,
        is_last,
        data,
    };
    if let Some(data) = data {
        if 12 + command.len() + data.len() <= max {
            return vec![Pdu::PData {
                data: vec![
                    value(PDataValueType::Command, true, command),
                    value(PDataValueType::Data, true, data),
                ],
            }];
        }
        let mut pdus = pieces(&value, &PDataValueType::Command, &command, max);
        pdus.extend(pieces(&value, &PDataValueType::Data, &data, max));
        return pdus;
    }
    pieces(&value, &PDataValueType::Command, &command, max)
}

fn pieces(
    value: &impl Fn(PDataValueType, bool, Vec<u8>) -> PDataValue,
    kind: &PDataValueType,
    bytes: &[u8],
    max: usize,
) -> Vec<Pdu> {
    let piece = (max.saturating_sub(6) & !1).max(2);
    let count = bytes.len().div_ceil(piece).max(1);
    let mut rest = bytes.chunks(piece);
    (1..=count)
        .map(|n| Pdu::PData {
            data: vec![value(
                kind.clone(),
                n == count,
                rest.next().unwrap_or_default().to_vec(),
            )],
        })
        .collect()
}
