//! [`Member`]: one value of the domain JSON, an attribute of an order or a [`Detail`].

use hl7_message::{Location, loc};

use super::{Attribute, Kind};

macro_rules! details {
    ($($variant:ident $json:literal $at:literal;)*) => {
        /// A value of the domain JSON that is no attribute of an order.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Detail {
            $(#[doc = concat!("`", $json, "`, ", $at)] $variant,)*
        }

        impl Detail {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Its member below `order`, `report`, `merge` or `acknowledgement`.
            pub const fn json(self) -> &'static str {
                match self { $(Self::$variant => $json,)* }
            }

            /// Where it stands.
            pub const fn location(self) -> Location {
                match self { $(Self::$variant => loc!($at),)* }
            }
        }
    };
}

details! {
    OrderControl "orderControl" "ORC-1";
    PatientClass "visit.patientClass" "PV1-2";
    ResultStatus "result.status" "OBX-11";
    ResultContent "result.content" "OBX-5";
    ResultFormat "result.format" "OBX-2";
    ResultDate "result.date" "OBX-14";
    RadiologistId "result.radiologist.id" "OBX-16.1";
    RadiologistName "result.radiologist.name" "OBX-16.2";
    FromPatientId "fromPatientId" "MRG-1.1";
    IntoPatientId "intoPatientId" "PID-3.1";
    AckCode "code" "MSA-1";
    AckControlId "controlId" "MSA-2";
    AckText "text" "MSA-3";
}

/// One value of the domain JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Member {
    /// An attribute of an order.
    Attribute(Attribute),
    /// Something else.
    Detail(Detail),
}

impl Member {
    /// Where it is written.
    pub fn location(self) -> Location {
        match self {
            Self::Attribute(attribute) => attribute.row().location(),
            Self::Detail(detail) => detail.location(),
        }
    }

    /// How it is read.
    pub fn kind(self) -> Kind {
        match self {
            Self::Attribute(attribute) => attribute.row().kind,
            Self::Detail(Detail::ResultDate) => Kind::DateTime,
            Self::Detail(_) => Kind::Text,
        }
    }

    /// Whether it names an order or a patient: such an identifier has no control characters.
    pub const fn is_key(self) -> bool {
        matches!(
            self,
            Self::Attribute(Attribute::AccessionNumber | Attribute::PatientId)
                | Self::Detail(Detail::FromPatientId | Detail::IntoPatientId)
        )
    }

    /// Most characters, where there is a limit. What has one is an identifier.
    pub fn characters_max(self) -> Option<usize> {
        match self {
            Self::Attribute(attribute) => attribute.row().characters_max,
            Self::Detail(Detail::FromPatientId | Detail::IntoPatientId) => {
                Attribute::PatientId.row().characters_max
            }
            Self::Detail(_) => None,
        }
    }
}

impl From<Attribute> for Member {
    fn from(attribute: Attribute) -> Self {
        Self::Attribute(attribute)
    }
}

impl From<Detail> for Member {
    fn from(detail: Detail) -> Self {
        Self::Detail(detail)
    }
}
