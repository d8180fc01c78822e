//! What the worklist takes for 100,000 scheduled steps:
//! `cargo run --release -p medsynapse-worklist --example figures`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use medsynapse_worklist::scp::{
    Department, FindError, Future, Occurrence, ProcedureOutcome, ProcedureStep, ScpConfig,
    Services, Station, StoredObject, Unavailable, serve,
};
use medsynapse_worklist::scu::{Modality, Offer, keys_of_a_step};
use medsynapse_worklist::{Board, Element, Found, Item, Query, Search, View};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

const STEPS: usize = 100_000;

struct Fixed(Board);

impl Department for Fixed {
    fn find(&self, query: &Query, view: &View) -> Result<Found, FindError> {
        Ok(self.0.find(query, view)?)
    }

    fn station(&self, _: &str) -> Station {
        Station::Known
    }

    fn procedure(&self, _: ProcedureStep) -> Future<'_, Result<ProcedureOutcome, Unavailable>> {
        Box::pin(std::future::ready(Ok(ProcedureOutcome::Done)))
    }

    fn stored(&self, _: StoredObject) -> Future<'_, Result<(), Unavailable>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn heard(&self, _: Occurrence) {}
}

fn item(n: usize) -> Item {
    let mut item = Item::default();
    for (element, value) in [
        (Element::AccessionNumber, format!("ACC{n:08}")),
        (
            Element::PatientName,
            format!("FAMILY{}^GIVEN{n}^M", n % 5_000),
        ),
        (Element::PatientID, format!("PID{:07}", n / 3)),
        (Element::PatientBirthDate, "19700228".into()),
        (Element::PatientSex, "F".into()),
        (
            Element::StudyInstanceUID,
            format!("2.25.3141592653589793238462643383{n:09}"),
        ),
        (Element::RequestedProcedureID, format!("RP{n}")),
        (
            Element::RequestedProcedureDescription,
            "Chest without contrast".into(),
        ),
        (Element::ReferringPhysicianName, "HOUSE^GREGORY^^DR".into()),
        (
            Element::ScheduledStationAETitle,
            format!("STATION{:02}", n % 40),
        ),
        (Element::ScheduledStationName, format!("ROOM{:02}", n % 40)),
        (
            Element::ScheduledProcedureStepStartDate,
            format!("202306{:02}", 1 + n / 40 % 30),
        ),
        (
            Element::ScheduledProcedureStepStartTime,
            format!("{:02}{:02}00", 7 + n % 12, n % 60),
        ),
        (
            Element::Modality,
            if n.is_multiple_of(2) { "CT" } else { "MR" }.into(),
        ),
        (
            Element::ScheduledProcedureStepDescription,
            "CT Chest".into(),
        ),
        (Element::ScheduledProcedureStepID, format!("ST{n}")),
        (Element::ScheduledProcedureStepStatus, "SCHEDULED".into()),
    ] {
        item.set(element, &value);
    }
    item
}

/// The memory of this process in MiB, where the system says so.
fn memory() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.split_whitespace().next()?.parse::<f64>().ok()? / 1_024.0)
}

fn query(pairs: &[(&str, &str)]) -> Result<Query, Box<dyn std::error::Error>> {
    Ok(Search::read(pairs.iter().copied())?.query()?)
}

#[expect(clippy::print_stdout, reason = "its purpose")]
#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let before = memory();
    let mut board = Board::default();
    for n in 0..STEPS {
        board.put(item(n));
    }
    if let (Some(before), Some(after)) = (before, memory()) {
        println!("{STEPS} steps: {:.0} MiB", after - before);
    }
    let view = View {
        max_results: 0,
        ..View::default()
    };
    for (name, pairs) in [
        (
            "AE title and day",
            &[
                ("ScheduledStationAETitle", "STATION07"),
                ("ScheduledProcedureStepStartDate", "20230614"),
            ][..],
        ),
        ("patient id", &[("PatientID", "PID0001234")][..]),
        ("name with a star", &[("PatientName", "family123^*")][..]),
        (
            "every step looked at",
            &[("RequestedProcedureID", "*99999")][..],
        ),
    ] {
        let query = query(pairs)?;
        let began = Instant::now();
        let mut found = 0;
        let rounds = 20_u32;
        for _ in 0..rounds {
            found = board.find(&query, &view)?.items.len();
        }
        println!("{name}: {found} items in {:?}", began.elapsed() / rounds);
    }
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    let address = listener.local_addr()?;
    let mut config = ScpConfig::new("MEDSYNAPSE", Services::Worklist);
    config.view.max_results = 0;
    let stop = CancellationToken::new();
    let task = tokio::spawn(serve(
        listener,
        Arc::new(Fixed(board)),
        config,
        stop.clone(),
    ));
    let mut modality = Modality::connect(address, &Offer::modality("CT", "MEDSYNAPSE")).await?;
    let began = Instant::now();
    let answers = modality.find(&keys_of_a_step("ACC0000*")).await?;
    let (count, took) = (answers.items.len(), began.elapsed());
    println!(
        "{count} responses over a socket, full items, in {took:?}: {:.0} a second",
        f64::from(u32::try_from(count)?) / took.as_secs_f64()
    );
    modality.release().await?;
    stop.cancel();
    task.await??;
    Ok(())
}
