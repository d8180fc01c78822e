//! [`PROCEDURES`]: what the department does, on whom, and how long it takes.

use super::people::Sex;
use super::regions::{self, Region};

/// Who comes for a procedure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    Anyone,
    Women,
    Men,
}

impl Who {
    pub(super) fn admits(self, sex: Sex) -> bool {
        match self {
            Self::Anyone => true,
            Self::Women => sex == Sex::Female,
            Self::Men => sex == Sex::Male,
        }
    }
}

/// One procedure of the catalogue.
#[derive(Debug)]
pub(super) struct Procedure {
    /// How often, against the others.
    pub(super) weight: u32,
    pub(super) modality: &'static str,
    /// Scheduled Procedure Step ID: a code of the department.
    pub(super) code: &'static str,
    /// Scheduled Procedure Step Description.
    pub(super) step: &'static str,
    /// Requested Procedure Description.
    pub(super) requested: &'static str,
    pub(super) who: Who,
    /// Youngest and oldest, in years.
    pub(super) ages: (u32, u32),
    /// From the first image to the last.
    pub(super) minutes: u32,
    /// The sentence of the report that says what was done.
    pub(super) technique: &'static str,
    /// What is looked at.
    pub(super) region: &'static Region,
}

macro_rules! procedures {
    ($($weight:literal $modality:literal $code:literal $step:literal $requested:literal
       $who:ident $first:literal..$last:literal $minutes:literal min $region:ident
       $technique:literal;)*) => {
        /// The catalogue of the department.
        pub(super) static PROCEDURES: &[Procedure] = &[$(Procedure {
            weight: $weight,
            modality: $modality,
            code: $code,
            step: $step,
            requested: $requested,
            who: Who::$who,
            ages: ($first, $last),
            minutes: $minutes,
            technique: $technique,
            region: &regions::$region,
        },)*];
    };
}

procedures! {
    9 "CR" "CRCHEST" "CR CHEST PA AND LATERAL" "Chest X-ray, two views" Anyone 1..95 8 min CHEST
        "Frontal and lateral views of the chest.";
    4 "CR" "CRHAND" "CR HAND" "Hand X-ray, two views" Anyone 4..90 8 min BONE
        "Two views, dorsopalmar and oblique.";
    3 "CR" "CRABDOMEN" "CR ABDOMEN SUPINE" "Abdominal X-ray" Anyone 1..92 7 min BOWEL
        "Supine view of the abdomen.";
    8 "DX" "DXCHEST1V" "DX CHEST PORTABLE" "Chest X-ray, bedside" Anyone 0..97 6 min CHEST
        "Portable supine view of the chest at the bedside.";
    5 "DX" "DXKNEE" "DX KNEE 3 VIEWS" "Knee X-ray" Anyone 6..90 9 min BONE
        "Standing frontal, lateral and skyline views.";
    4 "DX" "DXHIP" "DX HIP 2 VIEWS" "Hip X-ray" Anyone 18..98 9 min BONE
        "Pelvis overview and axial view of the hip.";
    3 "DX" "DXLSPINE" "DX LUMBAR SPINE" "Lumbar spine X-ray" Anyone 14..88 10 min SPINE_PLAIN
        "Frontal and lateral views of the lumbar spine.";
    7 "CT" "CTHEAD" "CT HEAD WO CONTRAST" "CT of the head" Anyone 2..96 10 min BRAIN
        "Helical acquisition without contrast, 0.6 mm slices, bone & soft tissue kernel.";
    7 "CT" "CTCHEST" "CT CHEST W CONTRAST" "CT of the chest" Anyone 16..92 15 min CHEST
        "Helical acquisition after 70 mL of iodinated contrast, lung | soft tissue windows.";
    7 "CT" "CTABDPEL" "CT ABDOMEN AND PELVIS W CONTRAST" "CT of abdomen and pelvis" Anyone 12..92
        20 min ABDOMEN "Portal venous phase after oral and intravenous contrast.";
    3 "CT" "CTPE" "CT PULMONARY ANGIOGRAM" "CT angiography, pulmonary arteries" Anyone 18..92
        15 min CHEST "Bolus-tracked acquisition of the pulmonary arteries, 1 mm slices.";
    2 "CT" "CTACORO" "CT CORONARY ANGIOGRAM" "CT angiography, coronary arteries" Anyone 35..82
        30 min CORONARIES "Prospectively gated acquisition at 62 bpm after sublingual nitrate.";
    6 "MR" "MRBRAIN" "MR BRAIN W WO CONTRAST" "MRI of the brain" Anyone 3..88 35 min BRAIN
        "T1 & T2 weighted, FLAIR, DWI (b=0|1000) and T1 after gadolinium.";
    5 "MR" "MRLSPINE" "MR LUMBAR SPINE" "MRI of the lumbar spine" Anyone 16..86 30 min SPINE
        "Sagittal T1 & T2, sagittal STIR, axial T2 through L3-S1.";
    4 "MR" "MRKNEE" "MR KNEE" "MRI of the knee" Anyone 12..75 30 min KNEE
        "Proton density with fat suppression in three planes, coronal T1.";
    2 "MR" "MRPROST" "MR PROSTATE" "Multiparametric MRI of the prostate" Men 45..82 40 min PROSTATE
        "T2 in three planes, DWI (b=50|400|1400) & dynamic contrast, no endorectal coil.";
    2 "MR" "MRCARD" "MR HEART" "MRI of the heart" Anyone 16..78 50 min HEART
        "Cine SSFP, T1 & T2 mapping, late enhancement ~10 min after contrast.";
    6 "US" "USABD" "US ABDOMEN COMPLETE" "Ultrasound of the abdomen" Anyone 1..90 20 min ABDOMEN
        "Curved array, B-mode and colour Doppler.";
    4 "US" "USOB2" "US OBSTETRIC 2ND TRIMESTER" "Obstetric ultrasound" Women 17..44 30 min FETUS
        "Transabdominal scan, biometry & anatomy.";
    3 "US" "USTHYROID" "US THYROID" "Ultrasound of the thyroid" Anyone 14..85 15 min THYROID
        "Linear array, 12 MHz, both lobes in two planes.";
    3 "US" "USVEINLEG" "US LOWER EXTREMITY VEINS" "Duplex of the leg veins" Anyone 18..92 20 min
        VEINS "Compression ultrasound & colour duplex from groin to calf.";
    5 "MG" "MGSCREEN" "MG SCREENING BILATERAL" "Screening mammography" Women 40..76 12 min BREAST
        "Craniocaudal and mediolateral oblique views of both breasts.";
    2 "MG" "MGDIAG" "MG DIAGNOSTIC LEFT" "Diagnostic mammography" Women 30..84 20 min BREAST
        "Two views and a spot magnification view.";
    2 "NM" "NMBONE" "NM BONE SCAN WHOLE BODY" "Bone scintigraphy" Anyone 18..86 40 min SKELETON
        "Planar whole body images 3 h after 620 MBq Tc-99m DPD.";
    2 "NM" "NMRENAL" "NM RENOGRAM MAG3" "Renal scintigraphy" Anyone 1..80 45 min KIDNEYS
        "Dynamic study over 30 min after 90 MBq Tc-99m MAG3, furosemide at F+10.";
    1 "NM" "NMTHYROID" "NM THYROID SCAN" "Thyroid scintigraphy" Anyone 16..84 25 min THYROID_UPTAKE
        "Planar images 20 min after 55 MBq Tc-99m pertechnetate.";
    3 "PT" "PTWB" "PT CT WHOLE BODY FDG" "FDG PET/CT" Anyone 18..85 60 min WHOLE_BODY
        "Skull base to thigh, 62 min after 248 MBq F-18 FDG, low dose CT.";
    2 "XA" "XACORO" "XA CORONARY ANGIOGRAPHY" "Coronary angiography" Anyone 35..86 50 min CORONARIES
        "Right radial access, 6F, 85 mL of contrast.";
    2 "XA" "XALEG" "XA LOWER EXTREMITY RUNOFF" "Angiography of the leg" Anyone 45..90 60 min LEG_ARTERIES
        "Contralateral femoral access, digital subtraction in stations.";
    2 "RF" "RFSWALLOW" "RF ESOPHAGRAM" "Barium swallow" Anyone 1..90 20 min SWALLOWING
        "Upright and prone swallows of thin & thick barium.";
    1 "RF" "RFVCUG" "RF VOIDING CYSTOURETHROGRAM" "Voiding cystourethrography" Anyone 0..12 30 min
        BLADDER "Bladder filled by gravity, pulsed fluoroscopy at 3 frames/s.";
    1 "IO" "IOBITEWING" "IO BITEWING 4 FILMS" "Intraoral dental X-ray" Anyone 8..80 8 min TEETH
        "Four bitewing images.";
    2 "PX" "PXPANO" "PX PANORAMIC" "Panoramic dental X-ray" Anyone 7..85 6 min TEETH
        "Orthopantomogram.";
    1 "ES" "ESGASTRO" "ES UPPER GI ENDOSCOPY" "Gastroscopy" Anyone 18..85 25 min STOMACH
        "Video endoscopy to the descending duodenum under light sedation.";
    1 "GM" "GMBIOPSY" "GM BIOPSY MICROSCOPY" "General microscopy" Anyone 18..85 15 min TISSUE
        "H&E at 4x, 10x and 40x.";
    1 "SM" "SMSLIDE" "SM SLIDE MICROSCOPY" "Whole slide imaging" Anyone 18..85 15 min TISSUE
        "Slides scanned at 40x, 0.25 um a pixel.";
    1 "XC" "XCDERMA" "XC SKIN PHOTOGRAPHY" "Clinical photography" Anyone 10..90 10 min SKIN
        "Overview and close-up photographs with a scale.";
    1 "SC" "SCOUTSIDE" "SC OUTSIDE IMAGES" "Import of outside images" Anyone 1..92 10 min OUTSIDE
        "Images on a disc were imported without change.";
    1 "OT" "OTDEXA" "OT BONE DENSITOMETRY" "Bone densitometry" Anyone 45..88 15 min DENSITY
        "Dual energy absorptiometry of lumbar spine and hip.";
    2 "ECG" "ECGREST" "ECG 12 LEAD REST" "Resting ECG" Anyone 12..95 6 min RHYTHM
        "12 leads, 25 mm/s, 10 mm/mV.";
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::map::MODALITIES;

    #[test]
    fn every_modality_of_the_statement_has_work() {
        for modality in MODALITIES {
            assert!(
                PROCEDURES.iter().any(|p| p.modality == modality),
                "{modality}"
            );
        }
    }

    #[test]
    fn codes_fit_and_name_one_procedure_each() {
        for (n, procedure) in PROCEDURES.iter().enumerate() {
            assert!(procedure.code.len() <= 13, "{}", procedure.code);
            assert!(procedure.step.starts_with(procedure.modality));
            assert!(procedure.weight > 0 && procedure.ages.0 < procedure.ages.1);
            assert!(
                PROCEDURES
                    .iter()
                    .skip(n + 1)
                    .all(|other| other.code != procedure.code)
            );
        }
    }
}
