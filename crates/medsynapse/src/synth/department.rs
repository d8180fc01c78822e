//! The department: its stations, the wards that send patients, and how urgent they are.

/// A machine with its AE title, its name and its room.
#[derive(Debug)]
pub(super) struct Station {
    pub(super) modality: &'static str,
    pub(super) ae_title: &'static str,
    pub(super) name: &'static str,
    pub(super) room: &'static str,
}

macro_rules! stations {
    ($($modality:literal $ae_title:literal $name:literal $room:literal;)*) => {
        /// The machines, those of one modality beside each other.
        static STATIONS: &[Station] = &[$(Station {
            modality: $modality,
            ae_title: $ae_title,
            name: $name,
            room: $room,
        },)*];
    };
}

stations! {
    "CR" "CR1" "CR READER A" "RAD 1.01";
    "CR" "CR2" "CR READER ED" "ED 0.14";
    "CT" "CT1" "CT MAIN" "RAD 0.12";
    "CT" "CT2" "CT ONCOLOGY" "ONC 0.03";
    "CT" "CT_ED" "CT EMERGENCY" "ED 0.10";
    "DX" "DX1" "DX BUCKY 1" "RAD 1.03";
    "DX" "DX2" "DX BUCKY 2" "RAD 1.04";
    "DX" "DX_MOBILE1" "DX MOBILE 1" "WARDS";
    "ECG" "ECG1" "ECG CART 1" "CARD 2.02";
    "ES" "ES1" "ENDOSCOPY 1" "GI 2.11";
    "GM" "GM1" "MICROSCOPE 1" "PATH 3.01";
    "IO" "IO1" "DENTAL CHAIR 1" "DENT 1.21";
    "MG" "MG1" "MAMMO 1" "BREAST 1.08";
    "MG" "MG2" "MAMMO 2" "BREAST 1.09";
    "MR" "MR1" "MR 1.5T A" "RAD 0.20";
    "MR" "MR2" "MR 1.5T B" "RAD 0.21";
    "MR" "MR3T" "MR 3T" "RAD 0.24";
    "NM" "NM1" "GAMMA CAMERA 1" "NUC U1.05";
    "OT" "DEXA1" "DENSITOMETER 1" "RAD 1.11";
    "PT" "PETCT1" "PET CT 1" "NUC U1.10";
    "PX" "PX1" "PANORAMIC 1" "DENT 1.20";
    "RF" "RF1" "FLUORO 1" "RAD 1.06";
    "SC" "IMPORT1" "IMPORT DESK" "FILM LIBRARY";
    "SM" "SM1" "SLIDE SCANNER 1" "PATH 3.04";
    "US" "US1" "US ROOM 1" "RAD 1.12";
    "US" "US2" "US ROOM 2" "RAD 1.13";
    "US" "US_OB" "US OBSTETRICS" "GYN 2.05";
    "XA" "XA1" "CATH LAB 1" "CARD 2.20";
    "XA" "XA2" "ANGIO SUITE" "RAD 0.30";
    "XC" "XC1" "CLINIC CAMERA 1" "DERM 1.30";
}

/// The stations of a modality.
pub(super) fn stations(modality: &str) -> &'static [Station] {
    let first = STATIONS
        .iter()
        .take_while(|s| s.modality != modality)
        .count();
    let rest = STATIONS.get(first..).unwrap_or_default();
    let count = rest.iter().take_while(|s| s.modality == modality).count();
    rest.get(..count).unwrap_or_default()
}

/// How urgent an order is: OBR-5, and the minutes until the examination begins.
#[derive(Debug)]
pub(super) struct Priority {
    pub(super) weight: u32,
    pub(super) code: &'static str,
    pub(super) minutes: (u32, u32),
}

/// Most urgent first.
pub(super) static PRIORITIES: [Priority; 4] = [
    Priority {
        weight: 8,
        code: "STAT",
        minutes: (3, 20),
    },
    Priority {
        weight: 10,
        code: "ASAP",
        minutes: (15, 60),
    },
    Priority {
        weight: 14,
        code: "URGENT",
        minutes: (20, 90),
    },
    Priority {
        weight: 68,
        code: "ROUTINE",
        minutes: (30, 180),
    },
];

/// Which of [`PRIORITIES`] has no hurry.
pub(super) const ROUTINE: usize = 3;

/// ORC-17.2: who asks for the examination.
pub(super) static INSTITUTIONS: [&str; 8] = [
    "CITY GENERAL HOSPITAL",
    "EMERGENCY DEPARTMENT",
    "RIVERSIDE CLINIC",
    "ORTHOPAEDICS & TRAUMA",
    "DEPARTMENT OF MEDICINE",
    "WOMEN'S HEALTH CENTRE",
    "ONCOLOGY DAY UNIT",
    "PRACTICE AT THE OLD MILL",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::map::MODALITIES;

    #[test]
    fn every_modality_has_a_station_of_its_own() {
        for modality in MODALITIES {
            let found = stations(modality);
            assert!(!found.is_empty(), "{modality}");
            let all = STATIONS.iter().filter(|s| s.modality == modality).count();
            assert_eq!(found.len(), all, "the stations of {modality} stand apart");
        }
        assert!(stations("XYZ").is_empty());
        assert!(STATIONS.iter().all(|station| station.ae_title.len() <= 16));
    }
}
