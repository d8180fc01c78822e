//! HL7 v2 messages for tests, benchmarks and fuzz seeds. Every person in them is invented.
//!
//! [`CASES`] stand in the order in which an empty broker of the `medsynapse` profile gives the
//! answers that they expect: they tell one small story.

/// One sample message.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// Its name, that of its file in `data/`.
    pub name: &'static str,
    /// Its bytes.
    pub bytes: &'static [u8],
    /// What becomes of it.
    pub expect: Expect,
}

/// What a broker does with a [`Case`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// AA with this text.
    Accepted(&'static str),
    /// AR with this text.
    Refused(&'static str),
    /// No answer: it is one itself.
    NotAnswered,
}

macro_rules! cases {
    ($($name:ident $expect:expr;)*) => {
        $(
            #[doc = concat!("`data/", stringify!($name), ".hl7`")]
            #[allow(non_upper_case_globals, reason = "named as its file")]
            pub const $name: Case = Case {
                name: stringify!($name),
                bytes: include_bytes!(concat!("../data/", stringify!($name), ".hl7")),
                expect: $expect,
            };
        )*

        /// All of them, in the order of their story.
        pub const CASES: &[Case] = &[$($name),*];
    };
}

use Expect::{Accepted, NotAnswered, Refused};

cases! {
    orm_new Accepted("Order registered.");
    orm_update Accepted("Order updated.");
    orm_change Accepted("Order updated.");
    adt_a08 Accepted("Patient information updated in 1 orders.");
    adt_a40 Accepted("Patient merged, 1 orders moved.");
    orm_complete Accepted("Order completed.");
    oru_report Accepted("Report registered.");
    orm_cancel Accepted("Order cancelled.");
    orm_cancel_unknown Refused("No order has accession number ACC404.");
    orm_missing_four Refused("Missing OBR-19 OBR-21 OBR-24 OBR-36");
    orm_misplaced Refused("Missing OBR-21 OBR-24 OBR-36");
    orm_latin1 Accepted("Order registered.");
    orm_other_delimiters Accepted("Order registered.");
    siu_s12 Refused("Message type SIU is not supported.");
    ack_aa NotAnswered;
    golden_order Accepted("Order registered.");
    golden_report Refused("Missing OBX-14");
    oru_30_obx Refused("OBX may occur once, 30 found.");
}
