//! `hl7-sender modality`: a pretend modality over DICOM.

mod table;

use std::io::Write as _;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use dicom_core::dictionary::{DataDictionary as _, DataDictionaryEntry as _};
use dicom_core::value::PrimitiveValue;
use dicom_core::{DataElement, VR};
use dicom_dictionary_std::{StandardDataDictionary, tags};
use dicom_object::InMemDicomObject;
use dicom_object::mem::InMemElement;
use hl7_cli::ERROR;
use medsynapse_worklist::scp::{StepStatus, WireError};
use medsynapse_worklist::scu::{
    self, Modality, Moment, Offer, Outcome, ScuError, TINY_OBJECT_CLASS, sequence,
};
use serde_json::json;
use tokio::net::TcpStream;

use crate::{clock, exit::Exit, report};

const EXAMPLES: &str = "\
Examples:
  hl7-sender modality echo
  hl7-sender modality worklist --station CT1 --date today
  hl7-sender modality worklist --key PatientName='SMITH*' --json
  hl7-sender modality start ACC1
  hl7-sender modality complete ACC1
  hl7-sender modality store ACC1 --recorder 127.0.0.1:11113

Exit codes: 0 done, 1 refused or nothing found, 2 wrong options, 3 no connection, 4 no answer in
time, 5 the association was refused, 6 an answer that is none.";

/// Play a modality: ask a worklist over DICOM, start and end what it shows.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ModalityArgs {
    #[command(subcommand)]
    pub(crate) does: Does,
    /// Where the DICOM service is.
    #[arg(
        long,
        global = true,
        value_name = "HOST:PORT",
        default_value = "127.0.0.1:11112"
    )]
    pub(crate) address: String,
    /// The AE title that is called.
    #[arg(long, global = true, value_name = "AE", default_value = "MEDSYNAPSE")]
    pub(crate) called: String,
    /// The AE title of this modality.
    #[arg(long, global = true, value_name = "AE", default_value = "MODALITY")]
    pub(crate) calling: String,
    /// One JSON object a line; worklist items as DICOM JSON.
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// What the modality does.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Does {
    /// Ask whether the service is there (C-ECHO).
    Echo,
    /// Ask for the worklist (C-FIND) and print it.
    Worklist(Keys),
    /// Begin what an accession number asks for (MPPS IN PROGRESS).
    Start(Step),
    /// End it (MPPS COMPLETED).
    Complete(Step),
    /// Give it up (MPPS DISCONTINUED).
    Discontinue(Step),
    /// Send a tiny image of it (C-STORE).
    Store {
        #[command(flatten)]
        step: Step,
        /// Where the recorder is; the worklist is asked at `--address` what the study is.
        #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:11113")]
        recorder: String,
        /// The AE title of the recorder.
        #[arg(long, value_name = "AE", default_value = "MEDSYNAPSE_REC")]
        recorder_title: String,
    },
}

/// What restricts the worklist.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Keys {
    /// Scheduled Station AE Title.
    #[arg(long, value_name = "AE")]
    station: Option<String>,
    /// Scheduled start: `today`, `YYYYMMDD` or a range like `20230705-20230707`.
    #[arg(long, value_name = "DATE")]
    date: Option<String>,
    /// Scheduled time: `HHMM` or a range like `0800-1200`.
    #[arg(long, value_name = "TIME")]
    time: Option<String>,
    /// Modality code.
    #[arg(long, value_name = "CODE")]
    modality: Option<String>,
    /// Any other key, by its DICOM keyword; may be given several times.
    #[arg(long, value_name = "KEYWORD=VALUE")]
    key: Vec<String>,
    /// Tell how many items and no more.
    #[arg(long)]
    count: bool,
}

/// Which step.
#[derive(Debug, Clone, Args)]
pub(crate) struct Step {
    /// The accession number.
    accession_number: String,
    /// The UID of the procedure step or the object; one that is made of AE title and accession
    /// number else, so that `complete` finds what `start` made.
    #[arg(long, value_name = "UID")]
    uid: Option<String>,
}

impl Step {
    fn uid(&self, args: &ModalityArgs, what: &str) -> String {
        self.uid
            .clone()
            .unwrap_or_else(|| scu::derived_uid(&[&args.calling, &self.accession_number, what]))
    }
}

/// Does what is asked; an error is one of usage.
pub(crate) async fn run(args: &ModalityArgs) -> anyhow::Result<Exit> {
    let identifier = match &args.does {
        Does::Worklist(keys) => Some(keys.identifier()?),
        _ => None,
    };
    let done = match (&args.does, &identifier) {
        (Does::Echo, _) => echo(args).await,
        (Does::Worklist(keys), Some(identifier)) => worklist(args, keys, identifier).await,
        (Does::Start(step), _) => start(args, step).await,
        (Does::Complete(step), _) => end(args, step, StepStatus::Completed).await,
        (Does::Discontinue(step), _) => end(args, step, StepStatus::Discontinued).await,
        (
            Does::Store {
                step,
                recorder,
                recorder_title,
            },
            _,
        ) => store(args, step, recorder, recorder_title).await,
        (Does::Worklist(_), None) => bail!("no keys"),
    };
    match done {
        Ok(exit) => Ok(exit),
        Err(error) => {
            anstream::eprintln!("{ERROR}error:{ERROR:#} {error}{}", advice(args, &error));
            Ok(exit(&error))
        }
    }
}

fn exit(error: &ScuError) -> Exit {
    match error {
        ScuError::Connect(_) | ScuError::Aborted => Exit::Connection,
        ScuError::Rejected(_) | ScuError::NotOffered(_) => Exit::Authentication,
        ScuError::Wire(WireError::Idle(_) | WireError::Slow(_) | WireError::Stuck(_)) => {
            Exit::Timeout
        }
        ScuError::Wire(WireError::Closed | WireError::CutOff | WireError::Io(_)) => {
            Exit::Connection
        }
        _ => Exit::Malformed,
    }
}

fn advice(args: &ModalityArgs, error: &ScuError) -> String {
    match error {
        ScuError::Connect(_) => format!("; is a DICOM service at {} (--address)?", args.address),
        ScuError::Rejected(_) => format!(
            "; called {} (--called), calling {} (--calling)",
            args.called, args.calling
        ),
        _ => String::new(),
    }
}

async fn connect(args: &ModalityArgs) -> Result<Modality<TcpStream>, ScuError> {
    let offer = Offer::modality(&args.calling, &args.called);
    Modality::connect(&*args.address, &offer).await
}

/// Prints one object as JSON, or a line for people.
fn say(args: &ModalityArgs, object: &serde_json::Value, line: &str) {
    let mut out = std::io::stdout().lock();
    // A reader that has gone is its own affair.
    let _ = if args.json {
        writeln!(out, "{object}")
    } else {
        writeln!(out, "{line}")
    };
}

/// Tells what became of a request.
fn tell(args: &ModalityArgs, what: &str, more: &serde_json::Value, outcome: &Outcome) -> Exit {
    let status = format!("{:04X}", outcome.status);
    let mut object = json!({"v": 1, "record": what, "status": status});
    if let (Some(object), Some(more)) = (object.as_object_mut(), more.as_object()) {
        object.extend(more.clone());
        if !outcome.comment.is_empty() {
            object.insert("comment".into(), outcome.comment.clone().into());
        }
    }
    let good = if outcome.is_success() {
        "done".to_owned()
    } else {
        format!("refused with status {status} {}", outcome.comment)
    };
    let uid = more.get("uid").and_then(serde_json::Value::as_str);
    let line = format!("{what}: {good} {}", uid.unwrap_or_default());
    say(args, &object, line.trim_end());
    if outcome.is_success() {
        Exit::Accepted
    } else {
        Exit::NotAccepted
    }
}

async fn echo(args: &ModalityArgs) -> Result<Exit, ScuError> {
    let mut modality = connect(args).await?;
    let outcome = modality.echo().await?;
    modality.release().await?;
    Ok(tell(args, "echo", &json!({}), &outcome))
}

async fn worklist(
    args: &ModalityArgs,
    keys: &Keys,
    identifier: &InMemDicomObject,
) -> Result<Exit, ScuError> {
    let mut modality = connect(args).await?;
    let answers = modality.find(identifier).await?;
    modality.release().await?;
    if !answers.outcome.is_success() {
        return Ok(tell(args, "worklist", &json!({}), &answers.outcome));
    }
    let count = answers.items.len();
    if keys.count {
        say(
            args,
            &json!({"v": 1, "record": "count", "items": count}),
            &count.to_string(),
        );
    } else if args.json {
        for (_, item) in &answers.items {
            let item = dicom_json::to_value(item).unwrap_or_default();
            say(args, &json!({"v": 1, "record": "item", "item": item}), "");
        }
    } else {
        let items = answers.items.iter().map(|(_, item)| item);
        say(args, &json!({}), &table::of(items));
        anstream::eprintln!("{}.", report::counted(count as u64, "item"));
    }
    Ok(Exit::Accepted)
}

/// The worklist item of an accession number.
async fn item(
    modality: &mut Modality<TcpStream>,
    accession_number: &str,
) -> Result<Option<InMemDicomObject>, ScuError> {
    let answers = modality
        .find(&scu::keys_of_a_step(accession_number))
        .await?;
    Ok(answers.items.into_iter().next().map(|(_, item)| item))
}

fn nothing(step: &Step) -> Exit {
    let accession_number = &step.accession_number;
    anstream::eprintln!(
        "{ERROR}error:{ERROR:#} the worklist has no step of accession number {accession_number}"
    );
    Exit::NotAccepted
}

async fn start(args: &ModalityArgs, step: &Step) -> Result<Exit, ScuError> {
    let mut modality = connect(args).await?;
    let Some(item) = item(&mut modality, &step.accession_number).await? else {
        modality.release().await?;
        return Ok(nothing(step));
    };
    let uid = step.uid(args, "step");
    let dataset = scu::step_started(&item, &args.calling, &now());
    let outcome = modality.create_step(&uid, &dataset).await?;
    modality.release().await?;
    Ok(tell(args, "start", &json!({"uid": uid}), &outcome))
}

async fn end(args: &ModalityArgs, step: &Step, status: StepStatus) -> Result<Exit, ScuError> {
    let mut modality = connect(args).await?;
    let uid = step.uid(args, "step");
    let outcome = modality
        .set_step(&uid, &scu::step_ended(status, &now()))
        .await?;
    modality.release().await?;
    let what = match status {
        StepStatus::Discontinued => "discontinue",
        StepStatus::Completed | StepStatus::InProgress => "complete",
    };
    Ok(tell(args, what, &json!({"uid": uid}), &outcome))
}

async fn store(
    args: &ModalityArgs,
    step: &Step,
    recorder: &str,
    title: &str,
) -> Result<Exit, ScuError> {
    let mut modality = connect(args).await?;
    let item = item(&mut modality, &step.accession_number).await?;
    modality.release().await?;
    let Some(item) = item else {
        return Ok(nothing(step));
    };
    let offer = Offer::storage(&args.calling, title, TINY_OBJECT_CLASS);
    let mut modality = Modality::connect(recorder, &offer).await?;
    let uid = step.uid(args, "object");
    let series = scu::derived_uid(&[&args.calling, &step.accession_number, "series"]);
    let object = scu::tiny_object(&item, &uid, &series);
    let outcome = modality.store(TINY_OBJECT_CLASS, &uid, &object).await?;
    modality.release().await?;
    Ok(tell(args, "store", &json!({"uid": uid}), &outcome))
}

fn now() -> Moment {
    let now = clock::now();
    Moment {
        date: now.format("%Y%m%d").to_string(),
        time: now.format("%H%M%S").to_string(),
    }
}

impl Keys {
    fn identifier(&self) -> anyhow::Result<InMemDicomObject> {
        let empty = DataElement::empty;
        let text = |tag, vr, value: &Option<String>| match value {
            Some(value) => DataElement::new(tag, vr, PrimitiveValue::from(value.as_str())),
            None => empty(tag, vr),
        };
        let date = match self.date.as_deref() {
            Some("today") => Some(today()),
            other => other.map(str::to_owned),
        };
        let mut step: Vec<InMemElement> = vec![
            text(tags::SCHEDULED_STATION_AE_TITLE, VR::AE, &self.station),
            text(tags::SCHEDULED_PROCEDURE_STEP_START_DATE, VR::DA, &date),
            text(
                tags::SCHEDULED_PROCEDURE_STEP_START_TIME,
                VR::TM,
                &self.time,
            ),
            text(tags::MODALITY, VR::CS, &self.modality),
            empty(tags::SCHEDULED_PERFORMING_PHYSICIAN_NAME, VR::PN),
            empty(tags::SCHEDULED_PROCEDURE_STEP_DESCRIPTION, VR::LO),
            empty(tags::SCHEDULED_STATION_NAME, VR::SH),
            empty(tags::SCHEDULED_PROCEDURE_STEP_ID, VR::SH),
            empty(tags::SCHEDULED_PROCEDURE_STEP_STATUS, VR::CS),
        ];
        let mut root: Vec<InMemElement> = vec![
            DataElement::new(
                tags::SPECIFIC_CHARACTER_SET,
                VR::CS,
                PrimitiveValue::from("ISO_IR 192"),
            ),
            empty(tags::ACCESSION_NUMBER, VR::SH),
            empty(tags::PATIENT_NAME, VR::PN),
            empty(tags::PATIENT_ID, VR::LO),
            empty(tags::PATIENT_BIRTH_DATE, VR::DA),
            empty(tags::PATIENT_SEX, VR::CS),
            empty(tags::STUDY_INSTANCE_UID, VR::UI),
            empty(tags::REQUESTED_PROCEDURE_ID, VR::SH),
            empty(tags::REQUESTED_PROCEDURE_DESCRIPTION, VR::LO),
        ];
        for key in &self.key {
            let (keyword, value) = key
                .split_once('=')
                .with_context(|| format!("--key {key}: write KEYWORD=VALUE"))?;
            let entry = StandardDataDictionary
                .by_name(keyword)
                .with_context(|| format!("--key {key}: DICOM has no attribute {keyword}"))?;
            let (tag, vr) = (entry.tag(), entry.vr().relaxed());
            if vr == VR::SQ {
                bail!("--key {key}: name an attribute in it, not the sequence");
            }
            let element = text(tag, vr, &Some(value.to_owned()));
            let level = if step.iter().any(|other| tag_of(other) == tag) {
                &mut step
            } else {
                &mut root
            };
            level.retain(|other| tag_of(other) != tag);
            level.push(element);
        }
        root.push(sequence(
            tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE,
            vec![step],
        ));
        Ok(InMemDicomObject::from_element_iter(root))
    }
}

fn tag_of(element: &InMemElement) -> dicom_core::Tag {
    use dicom_core::header::Header as _;
    element.tag()
}

/// The day on the walls here: what a modality means by today.
fn today() -> String {
    clock::now()
        .with_timezone(&chrono::Local)
        .format("%Y%m%d")
        .to_string()
}
