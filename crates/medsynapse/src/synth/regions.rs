//! [`Region`]: what is asked, seen and concluded of one part of a person.

/// A part of the body with the sentences that are written about it.
#[derive(Debug)]
pub(super) struct Region {
    /// Why the examination is asked for.
    pub(super) reasons: &'static [&'static str],
    /// Findings where all is well; the last two hold where something else is wrong, too.
    pub(super) normal: &'static [&'static str],
    /// Findings where it is not, each with its impression.
    pub(super) abnormal: &'static [(&'static str, &'static str)],
    /// The impression where all is well.
    pub(super) unremarkable: &'static str,
}

macro_rules! regions {
    ($($name:ident {
        asks $($reason:literal)+
        fine $($normal:literal)+
        ill $($finding:literal => $impression:literal)+
        says $unremarkable:literal
    })*) => {
        $(pub(super) static $name: Region = Region {
            reasons: &[$($reason),+],
            normal: &[$($normal),+],
            abnormal: &[$(($finding, $impression)),+],
            unremarkable: $unremarkable,
        };)*

        #[cfg(test)]
        pub(super) static ALL: &[&Region] = &[$(&$name),*];
    };
}

regions! {
    CHEST {
        asks "Cough and fever" "Dyspnoea, pneumonia?" "Chest pain" "Follow-up of a nodule" "Preoperative"
        fine "The lungs are clear." "No pleural effusion or pneumothorax."
            "The cardiomediastinal silhouette is within normal limits."
            "No enlarged mediastinal or hilar lymph nodes." "The visible bones are intact."
        ill "Consolidation of the right lower lobe with air bronchograms."
            => "Right lower lobe pneumonia; a control after treatment is advised."
            "Small bilateral pleural effusions with adjacent atelectasis."
            => "Bilateral effusions & mild congestion."
            "Nodule of ~6 mm in the left upper lobe."
            => "Solitary pulmonary nodule of ~6 mm; follow-up CT in 6 to 12 months."
            "Hyperinflated lungs with flattened diaphragms."
            => "Signs of chronic obstructive lung disease, no acute infiltrate."
        says "No acute cardiopulmonary disease."
    }
    BRAIN {
        asks "Headache" "Fall with head injury" "Acute hemiparesis, stroke?" "Seizure" "Dizziness"
        fine "No intracranial haemorrhage, mass or midline shift."
            "Grey-white matter differentiation is preserved."
            "No early sign of infarction."
            "The ventricles and sulci are of normal width for the age."
            "Paranasal sinuses and mastoid cells are well aerated."
        ill "Confluent periventricular white matter changes (Fazekas 2|3)."
            => "Chronic small vessel disease."
            "Hypodense area in the territory of the left middle cerebral artery, ASPECTS 8."
            => "Early ischaemic changes on the left; stroke team informed by phone."
            "Extra-axial mass at the falx of 18 x 14 mm with a dural tail."
            => "Meningioma of the falx, 18 x 14 mm, without oedema."
            "Thin subdural collection on the right, up to 5 mm."
            => "Small right subdural haematoma; control in 6 h."
        says "No acute intracranial abnormality."
    }
    ABDOMEN {
        asks "Abdominal pain" "Elevated liver enzymes" "Suspected appendicitis" "Staging"
            "Fever, leucocytes 14.2 x 10^9/L" "Weight loss"
        fine "The liver is of normal size and texture without a focal lesion."
            "Gallbladder without stones, bile ducts not dilated."
            "Pancreas, spleen and adrenal glands are normal."
            "Both kidneys are of normal size without hydronephrosis."
            "No free fluid and no enlarged lymph nodes."
        ill "Several gallstones up to 11 mm, wall of the gallbladder 2 mm."
            => "Cholecystolithiasis without cholecystitis."
            "Appendix of 11 mm with wall enhancement & fat stranding."
            => "Acute uncomplicated appendicitis; the surgeon on call was informed."
            "Diffuse fatty change of the enlarged liver, 17 cm in the midclavicular line."
            => "Hepatic steatosis."
            "Simple cyst of the left kidney, 32 mm, Bosniak I."
            => "Renal cyst (Bosniak I), no follow-up needed."
        says "No abnormality of the abdominal organs."
    }
    BOWEL {
        asks "Abdominal distension" "Constipation" "Suspected ileus" "Ingested foreign body"
        fine "Unremarkable distribution of bowel gas." "No air-fluid levels."
            "No free air." "No pathological calcification."
        ill "Dilated loops of small bowel up to 4.2 cm, paucity of gas in the colon."
            => "Small bowel obstruction; CT is advised."
            "Marked faecal load of the colon." => "Coprostasis."
        says "No obstruction and no free air."
    }
    SPINE {
        asks "Low back pain" "Radiculopathy L5" "Trauma, fracture?" "Claudication, stenosis?"
        fine "No disc herniation and no stenosis." "Vertebral heights are preserved."
            "The conus ends at L1 and is of normal signal." "No spondylolisthesis."
            "The sacroiliac joints are unremarkable."
        ill "Disc herniation L5|S1 to the left, 7 mm, touching the nerve root S1."
            => "Disc herniation L5|S1 with compression of the left root S1."
            "Facet arthrosis & thickened ligaments at L4|L5, canal of ~8 mm."
            => "Spinal canal stenosis L4|L5."
            "Wedge deformity of L1 with loss of a third of its height, marrow oedema."
            => "Recent osteoporotic compression fracture of L1."
        says "No fracture and no relevant disc disease."
    }
    SPINE_PLAIN {
        asks "Low back pain" "Trauma, fracture?" "Scoliosis"
        fine "Vertebral heights are preserved." "Normal lordosis." "Pedicles are complete."
            "The sacroiliac joints are unremarkable."
        ill "Narrowed disc spaces L4|L5 and L5|S1 with osteophytes."
            => "Osteochondrosis & spondylosis of the lower lumbar spine."
            "Wedge deformity of L1 with loss of ~30 % of its height."
            => "Compression fracture of L1 of unknown age; MRI is advised."
        says "No fracture."
    }
    BONE {
        asks "Pain after a fall" "Chronic pain, arthrosis?" "Follow-up of a fracture" "Swelling"
        fine "No fracture and no dislocation." "The joint spaces are preserved."
            "Bone density is normal for the age." "No radiopaque foreign body."
        ill "Narrowed joint space with osteophytes, Kellgren & Lawrence 3."
            => "Moderate arthrosis."
            "Transverse fracture without displacement."
            => "Fracture without displacement; immobilisation and control in ~10 days."
        says "No fracture."
    }
    KNEE {
        asks "Locking of the knee" "Twisted on the pitch" "Swelling" "Pain on the inner side"
        fine "Both menisci are intact." "Cruciate & collateral ligaments are continuous."
            "Cartilage of normal thickness." "No Baker cyst."
        ill "Effusion and oblique signal of the posterior horn of the medial meniscus."
            => "Tear of the medial meniscus & effusion."
            "Discontinuous anterior cruciate ligament, bone bruise of the lateral condyle."
            => "Complete rupture of the anterior cruciate ligament."
        says "No internal derangement."
    }
    BREAST {
        asks "Screening" "Palpable lump" "Follow-up of calcifications" "Family history"
        fine "No mass and no architectural distortion." "No suspicious calcifications."
            "Scattered fibroglandular tissue (ACR b)." "Skin and axillae are unremarkable."
        ill "Oval circumscribed mass of ~9 mm at 10 o'clock, unchanged."
            => "Benign finding, BI-RADS 2|2 (R|L)."
            "Group of fine pleomorphic calcifications over 12 mm, upper outer quadrant."
            => "Suspicious calcifications, BI-RADS 4b: stereotactic biopsy is advised."
        says "No sign of malignancy, BI-RADS 1|1 (R|L)."
    }
    CORONARIES {
        asks "Atypical chest pain" "Known coronary disease" "Before valve surgery" "Troponin rise"
        fine "No stenosis of the three vessels." "Right dominant supply."
            "The left main artery is without stenosis." "No pericardial effusion."
        ill "Calcified & mixed plaque of the proximal LAD, stenosis of ~60 %."
            => "Single vessel disease (LAD); functional testing is advised."
            "Stenosis of the mid RCA of ~90 % and of the first diagonal branch of ~50 %."
            => "Significant stenosis of the RCA; heart team was informed."
        says "No obstructive coronary artery disease."
    }
    HEART {
        asks "Cardiomyopathy?" "Myocarditis?" "Old infarction, viability?" "Palpitations"
        fine "Ejection fraction 61 %." "No wall motion abnormality." "No late enhancement."
            "The valves open normally." "No pericardial effusion."
        ill "Subendocardial late enhancement of the inferior wall, below 50 % of its depth."
            => "Old inferior infarction with viable myocardium."
            "Ejection fraction 38 % with global hypokinesia, LV|RV 240|180 mL."
            => "Dilated cardiomyopathy, moderately reduced function."
        says "Normal heart."
    }
    VEINS {
        asks "Swollen leg, thrombosis?" "Pulmonary embolism, source?" "Control of a thrombosis"
        fine "Complete compressibility from groin to calf." "Flow is phasic with breathing."
            "The superficial veins are competent." "No Baker cyst."
        ill "Non-compressible popliteal and fibular veins with echogenic content."
            => "Deep vein thrombosis, popliteal & distal; the ward was informed."
        says "No thrombosis."
    }
    LEG_ARTERIES {
        asks "Claudication, walking distance ~80 m" "Ulcer of the foot" "Bypass, control"
        fine "All segments are patent." "Three-vessel runoff." "No aneurysm of the popliteal artery."
            "Iliac arteries without relevant plaque."
        ill "Occlusion of the superficial femoral artery over ~7 cm, refilled by collaterals."
            => "Occlusion of the superficial femoral artery (TASC B), balloon & stent in one session."
        says "No relevant stenosis."
    }
    THYROID {
        asks "Palpable nodule" "Hyperthyroidism" "Goitre" "TSH 0.02 mU/L"
        fine "Homogeneous texture." "Normal perfusion." "The thyroid is of normal size, R|L 8|7 mL."
            "No enlarged nodes."
        ill "Hypoechoic nodule of the left lobe, 14 x 11 x 9 mm, with microcalcifications."
            => "Nodule of the left lobe, TI-RADS 5: fine needle aspiration is advised."
            "Coarse texture with diffusely increased perfusion." => "Pattern of thyroiditis."
        says "Normal thyroid."
    }
    THYROID_UPTAKE {
        asks "Hyperthyroidism" "Nodule, hot|cold?" "TSH 0.02 mU/L"
        fine "Even uptake of both lobes." "Uptake R|L 1.1|1.0 %." "No ectopic tissue."
            "Salivary glands are symmetrical."
        ill "Intense uptake of a nodule of the right lobe, the rest is suppressed."
            => "Autonomous adenoma on the right."
            "Diffusely increased uptake of both lobes, 14 %." => "Pattern of Graves' disease."
        says "Normal scintigram."
    }
    FETUS {
        asks "Anatomy scan" "Size smaller than dates" "Reduced movements" "Gestational diabetes"
        fine "Biometry corresponds to the dates." "Placenta at the posterior wall, clear of the os."
            "Single live fetus in cephalic presentation."
            "Four-chamber view, outflow tracts & spine are normal." "Normal amount of amniotic fluid."
        ill "Abdominal circumference at the 8th centile, PI of the umbilical artery 1.4."
            => "Small for dates; Doppler control in ~7 days."
            "Placenta reaches the internal os." => "Low-lying placenta; control at 32 weeks."
        says "Normal development for the gestational age."
    }
    PROSTATE {
        asks "PSA 7.4 ng/mL" "Rising PSA after negative biopsy" "Active surveillance"
        fine "Volume of ~38 mL, nodules of the transition zone." "The capsule is intact."
            "Seminal vesicles are symmetrical." "No suspicious nodes or bone lesions."
        ill "Focus of 12 mm in the left peripheral zone, mid gland, dark on T2 & ADC."
            => "PI-RADS 4 lesion on the left; targeted biopsy is advised."
        says "No significant lesion, PI-RADS 2."
    }
    SKELETON {
        asks "Prostate cancer, staging" "Bone pain" "Loosening of a prosthesis?"
        fine "Symmetrical uptake of the axial skeleton." "Physiological uptake of kidneys & bladder."
            "No focal lesion of the long bones."
        ill "Intense foci in Th8, L2 and the right iliac bone." => "Multiple bone metastases."
            "Increased uptake of both knees and the base of the thumb." => "Degenerative changes only."
        says "No scintigraphic sign of metastases."
    }
    KIDNEYS {
        asks "Hydronephrosis" "Split function" "Before nephrectomy"
        fine "Split function L|R 51|49 %." "Prompt excretion after furosemide."
            "The bladder fills regularly." "No extrarenal activity."
        ill "Delayed excretion on the left, T1/2 of ~24 min, split function L|R 38|62 %."
            => "Obstruction of the left kidney with reduced function."
        says "No obstruction, equal function."
    }
    BLADDER {
        asks "Recurrent urinary infection" "Reflux?" "Antenatal dilatation"
        fine "No reflux on filling or voiding." "Regular urethra." "Smooth wall of the bladder."
            "Voiding is complete."
        ill "Reflux into the right ureter and pelvis without dilatation."
            => "Vesicoureteral reflux grade II on the right."
        says "No reflux."
    }
    WHOLE_BODY {
        asks "Lymphoma, staging" "Lung cancer, restaging" "Unknown primary" "Response to treatment"
        fine "Physiological uptake of brain, heart & urinary tract." "No pathological nodes."
            "Liver background SUVmean 2.1." "No focal uptake of the skeleton."
        ill "Nodes of the left supraclavicular and mediastinal regions, SUVmax 11.8."
            => "Active nodal disease above the diaphragm (Deauville 5)."
            "Mass of the right upper lobe of 34 mm, SUVmax 14.2, node 4R SUVmax 6.0."
            => "Lung tumour with an ipsilateral node, cT2a|cN2 by imaging."
        says "No sign of metabolically active disease."
    }
    SWALLOWING {
        asks "Dysphagia" "Reflux" "After fundoplication" "Aspiration?"
        fine "Prompt passage of contrast." "The cardia opens normally."
            "No penetration or aspiration." "Normal mucosal relief."
        ill "Sliding hernia of ~3 cm with reflux to the middle third." => "Hiatus hernia & reflux."
            "Tertiary contractions and delayed clearance." => "Motility disorder of the oesophagus."
        says "Normal swallow."
    }
    TEETH {
        asks "Caries?" "Before orthodontics" "Impacted third molars" "Toothache 36|46"
        fine "Complete dentition." "No apical lesion." "Horizontal bone level is preserved."
            "Maxillary sinuses are clear."
        ill "Apical radiolucency at 36 with widened ligament." => "Apical periodontitis 36."
            "Teeth 38 & 48 are impacted, close to the canal." => "Impacted 38|48."
        says "No pathological finding."
    }
    STOMACH {
        asks "Epigastric pain" "Anaemia, Hb 8.1 g/dL" "Barrett surveillance"
        fine "Gastric mucosa without ulcer." "Oesophagus with a regular Z line at 39 cm."
            "Duodenum inspected to the descending part."
        ill "Ulcer of 8 mm at the antrum, Forrest III, biopsies taken."
            => "Gastric ulcer (Forrest III); histology follows."
            "Patchy erythema of the antrum, urease test positive." => "Gastritis, H. pylori positive."
        says "Normal upper endoscopy."
    }
    TISSUE {
        asks "Biopsy of the left breast" "Skin excision" "Colon polyp" "Node, lymphoma?"
        fine "Regular architecture." "No atypia." "Margins are free." "The material is representative."
        ill "Tubular adenoma with low grade dysplasia." => "Adenoma, removed completely (R0)."
            "Infiltrating glands in a desmoplastic stroma, Ki-67 ~25 %, ER|PR 90|70 %."
            => "Invasive carcinoma, G2."
        says "No malignancy."
    }
    SKIN {
        asks "Changing mole" "Wound control" "Rash" "Burn, day 3"
        fine "Regular pigment network." "No satellite lesion." "Scale 1 cm in the picture."
        ill "Asymmetrical lesion of 9 mm with an irregular border." => "Excision is advised."
            "Wound of 4 x 3 cm, ~60 % granulation." => "Healing as expected."
        says "No suspicious change."
    }
    OUTSIDE {
        asks "Second opinion" "Tumour board" "Comparison"
        fine "Images are complete and of diagnostic quality."
            "Path on the disc: \\DICOM\\PAT1\\STUDY2." "No change against the outside report."
        ill "Series 3 of the disc \\DICOM\\SER3 could not be read."
            => "Import incomplete; a new disc was asked for."
        says "Imported for comparison."
    }
    DENSITY {
        asks "Osteoporosis?" "Long-term steroids" "Fragility fracture" "Follow-up under therapy"
        fine "Lumbar spine L1-L4: T-score -0.4." "Femoral neck: T-score -0.7."
            "No change beyond the least significant difference."
            "Position & regions of interest are correct."
        ill "Lumbar spine T-score -2.9, femoral neck -2.6|-2.4 (R|L)." => "Osteoporosis (WHO)."
            "Lumbar spine T-score -1.8." => "Osteopenia; control in 2 years."
        says "Bone density within the normal range."
    }
    RHYTHM {
        asks "Palpitations" "Syncope" "Preoperative" "Chest pain"
        fine "Sinus rhythm." "No ST or T wave change." "PQ 162 ms, QRS 94 ms, QTc 418 ms."
            "Normal axis." "Calibration is correct."
        ill "Absent P waves, irregular R-R intervals, rate of 96|min."
            => "Atrial fibrillation."
            "ST elevation in II, III & aVF of up to 3 mm."
            => "Acute inferior infarction; cath lab alarmed."
        says "Normal ECG."
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_are_plain_and_end_as_sentences() {
        for region in ALL {
            let ill = region
                .abnormal
                .iter()
                .flat_map(|(finding, impression)| [finding, impression]);
            for text in region
                .normal
                .iter()
                .chain(ill)
                .chain([&region.unremarkable])
            {
                assert!(text.ends_with('.') && text.is_ascii(), "{text}");
                assert!(!text.contains(char::is_control), "{text}");
            }
            assert!(region.reasons.len() > 2 && region.normal.len() > 2);
        }
    }
}
