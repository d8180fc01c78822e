//! The answer to an association request.

use dicom_dictionary_std::uids;
use dicom_ul::pdu::{
    AssociationAC, AssociationRJ, AssociationRJResult,
    AssociationRJServiceProviderPresentationReason, AssociationRJServiceUserReason,
    AssociationRJSource, AssociationRQ, Pdu, PresentationContextNegotiated,
    PresentationContextResult, PresentationContextResultReason, UserVariableItem,
};

use super::wire::PDU_BYTES_MAX;

/// The DICOM application context.
const APPLICATION_CONTEXT: &str = "1.2.840.10008.3.1.1.1";
/// Names this implementation: `2.25.` and a UUID, PS3.5 annex B.2.
pub const IMPLEMENTATION_CLASS_UID: &str = "2.25.213817872375178521359817746512863768772";
/// Its version, at most 16 characters.
pub const IMPLEMENTATION_VERSION_NAME: &str = "MEDSYNAPSE_0_1";
/// Longest piece that is sent where the peer names no limit, or a larger one.
const PIECE_MAX: u32 = 65_536;

/// What a listener speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Services {
    /// Verification, worklist and performed procedure steps.
    Worklist,
    /// Verification and the storage of anything.
    Recorder,
}

/// Who is let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// The AE title of the listener.
    pub ae_title: String,
    /// Whether it answers to any other AE title as well.
    pub any_called: bool,
    /// Who may call; empty is everybody.
    pub allowed_calling: Vec<String>,
}

/// An association that was agreed on.
#[derive(Debug, Clone)]
pub(crate) struct Agreed {
    pub(crate) calling: String,
    pub(crate) contexts: Vec<PresentationContextNegotiated>,
    /// Longest PDU that the peer takes, without its header.
    pub(crate) pdu_bytes_max: u32,
}

/// Why an association is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It asks for another protocol.
    Protocol,
    /// It asks for another application context.
    ApplicationContext,
    /// Nobody here has the called AE title.
    CalledAeTitle,
    /// The calling AE title is not on the list.
    CallingAeTitle,
    /// A maximum length in which no message fits.
    PduSize,
    /// There are too many associations.
    TooMany,
}

impl Refusal {
    /// Its name in logs and events.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Protocol => "protocol version not supported",
            Self::ApplicationContext => "application context not supported",
            Self::CalledAeTitle => "called AE title not recognized",
            Self::CallingAeTitle => "calling AE title not recognized",
            Self::PduSize => "maximum PDU length too small",
            Self::TooMany => "too many associations",
        }
    }

    /// The PDU that says so.
    pub(crate) fn pdu(self) -> Pdu {
        use AssociationRJServiceUserReason as User;
        let user = |reason| {
            (
                AssociationRJResult::Permanent,
                AssociationRJSource::ServiceUser(reason),
            )
        };
        let (result, source) = match self {
            Self::Protocol => (
                AssociationRJResult::Permanent,
                AssociationRJSource::ServiceProviderASCE(
                    dicom_ul::pdu::AssociationRJServiceProviderASCEReason::ProtocolVersionNotSupported,
                ),
            ),
            Self::ApplicationContext => user(User::ApplicationContextNameNotSupported),
            Self::CalledAeTitle => user(User::CalledAETitleNotRecognized),
            Self::CallingAeTitle => user(User::CallingAETitleNotRecognized),
            Self::PduSize => user(User::NoReasonGiven),
            Self::TooMany => (
                AssociationRJResult::Transient,
                AssociationRJSource::ServiceProviderPresentation(
                    AssociationRJServiceProviderPresentationReason::LocalLimitExceeded,
                ),
            ),
        };
        Pdu::AssociationRJ(AssociationRJ { result, source })
    }
}

/// Decides on a request: what was agreed on with the PDU that says so, or why not.
pub(crate) fn negotiate(
    request: AssociationRQ,
    access: &Access,
    services: Services,
) -> Result<(Agreed, Pdu), Refusal> {
    // Each version is one bit; a peer may speak others besides.
    if request.protocol_version & 1 == 0 {
        return Err(Refusal::Protocol);
    }
    if uid(&request.application_context_name) != APPLICATION_CONTEXT {
        return Err(Refusal::ApplicationContext);
    }
    let called = request.called_ae_title.trim_matches([' ', '\0']);
    if !access.any_called && called != access.ae_title {
        return Err(Refusal::CalledAeTitle);
    }
    let calling = request.calling_ae_title.trim_matches([' ', '\0']);
    let allowed = &access.allowed_calling;
    if !allowed.is_empty() && !allowed.iter().any(|title| title == calling) {
        return Err(Refusal::CallingAeTitle);
    }
    let length = request.user_variables.iter().find_map(|item| match item {
        UserVariableItem::MaxLength(length) => Some(*length),
        _ => None,
    });
    let pdu_bytes_max = match length.unwrap_or(PIECE_MAX) {
        0 => PIECE_MAX,
        // A value header takes 6, and values are of even length.
        1..=7 => return Err(Refusal::PduSize),
        length => length.min(PIECE_MAX),
    };
    let contexts: Vec<_> = request
        .presentation_contexts
        .into_iter()
        .map(|proposed| {
            let abstract_syntax = uid(&proposed.abstract_syntax).to_owned();
            let (reason, transfer_syntax) = if services.speak(&abstract_syntax) {
                match services.choose(&abstract_syntax, &proposed.transfer_syntaxes) {
                    Some(chosen) => (PresentationContextResultReason::Acceptance, chosen),
                    None => (
                        PresentationContextResultReason::TransferSyntaxesNotSupported,
                        uids::IMPLICIT_VR_LITTLE_ENDIAN.into(),
                    ),
                }
            } else {
                (
                    PresentationContextResultReason::AbstractSyntaxNotSupported,
                    uids::IMPLICIT_VR_LITTLE_ENDIAN.into(),
                )
            };
            PresentationContextNegotiated {
                id: proposed.id,
                reason,
                transfer_syntax,
                abstract_syntax,
            }
        })
        .collect();
    let answer = Pdu::AssociationAC(AssociationAC {
        protocol_version: 1,
        application_context_name: APPLICATION_CONTEXT.into(),
        called_ae_title: request.called_ae_title.clone(),
        calling_ae_title: request.calling_ae_title.clone(),
        presentation_contexts: contexts
            .iter()
            .map(|context| PresentationContextResult {
                id: context.id,
                reason: context.reason.clone(),
                transfer_syntax: context.transfer_syntax.clone(),
            })
            .collect(),
        user_variables: vec![
            UserVariableItem::MaxLength(PDU_BYTES_MAX),
            UserVariableItem::ImplementationClassUID(IMPLEMENTATION_CLASS_UID.into()),
            UserVariableItem::ImplementationVersionName(IMPLEMENTATION_VERSION_NAME.into()),
        ],
    });
    let agreed = Agreed {
        calling: calling.to_owned(),
        contexts,
        pdu_bytes_max,
    };
    Ok((agreed, answer))
}

/// A UID without its padding.
pub(crate) fn uid(text: &str) -> &str {
    text.trim_matches([' ', '\0'])
}

/// Transfer syntaxes whose head cannot be read without unpacking, or that nobody uses any more.
const UNREADABLE: [&str; 3] = [
    "1.2.840.10008.1.2.1.99",
    "1.2.840.10008.1.2.2",
    "1.2.840.113619.5.2",
];

impl Services {
    fn speak(self, abstract_syntax: &str) -> bool {
        let ours = [
            uids::MODALITY_WORKLIST_INFORMATION_MODEL_FIND,
            uids::MODALITY_PERFORMED_PROCEDURE_STEP,
        ];
        match self {
            _ if abstract_syntax == uids::VERIFICATION => true,
            Self::Worklist => ours.contains(&abstract_syntax),
            // Storage classes: those of the standard, and private ones.
            Self::Recorder => {
                abstract_syntax.starts_with("1.2.840.10008.5.1.4.1.1.")
                    || !abstract_syntax.starts_with("1.2.840.10008.")
            }
        }
    }

    fn choose(self, abstract_syntax: &str, proposed: &[String]) -> Option<String> {
        let known = [
            uids::EXPLICIT_VR_LITTLE_ENDIAN,
            uids::IMPLICIT_VR_LITTLE_ENDIAN,
        ];
        let of = |wanted: &str| proposed.iter().any(|one| uid(one) == wanted);
        if self == Self::Recorder && abstract_syntax != uids::VERIFICATION {
            return proposed
                .iter()
                .map(|one| uid(one))
                .find(|one| one.starts_with("1.2.840.10008.1.2") && !UNREADABLE.contains(one))
                .map(str::to_owned);
        }
        known.into_iter().find(|one| of(one)).map(str::to_owned)
    }
}
