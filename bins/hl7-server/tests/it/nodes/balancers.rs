//! `HAProxy` and NGINX with the files of `docs/deploy`, in front of three servers that are killed,
//! cut off from their database, stopped and started.

use std::io::Write as _;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use medsynapse_store::testing::Cluster;
use medsynapse_worklist::scu::{Modality, Offer};
use tokio::net::TcpStream;

use super::group::{compare, load};
use super::house::{Balancer, House, is_installed, until};
use crate::senders::{Shared, resend};

/// Says why a test does nothing, to whoever reads the log.
fn skipped(test: &str, why: &str) {
    let _ = writeln!(std::io::stderr(), "skipped: {test}: {why}");
}

/// The module for TCP: inside the program, or a file that is to be loaded.
fn stream_module() -> Option<String> {
    let output = Command::new("nginx").arg("-V").output().ok()?;
    let built = String::from_utf8_lossy(&output.stderr).into_owned();
    if built.split_whitespace().any(|word| word == "--with-stream") {
        return Some(String::new());
    }
    let folders = ["/usr/lib/nginx/modules", "/usr/lib64/nginx/modules"];
    let mut files = folders
        .map(|folder| format!("{folder}/ngx_stream_module.so"))
        .into_iter();
    files
        .find(|file| std::fs::exists(file).unwrap_or(false))
        .map(|file| format!("load_module {file};\n"))
}

fn haproxy(house: &House) -> Balancer {
    let file = house.path("haproxy.cfg");
    std::fs::write(&file, house.place.file("haproxy.cfg")).unwrap();
    let mut command = Command::new("haproxy");
    // In the foreground it says who is up and who is down.
    command.arg("-db").arg("-f").arg(file);
    Balancer::start(command, house.path("haproxy.log"))
}

fn nginx(house: &House, module: &str) -> Balancer {
    let stream = house.place.file("nginx-stream.conf");
    let (pid, errors) = (house.path("nginx.pid"), house.path("nginx.error"));
    let text = format!(
        "{module}pid {};\nerror_log {};\ndaemon off;\nevents {{}}\n{stream}",
        pid.display(),
        errors.display()
    );
    let file = house.path("nginx.conf");
    std::fs::write(&file, text).unwrap();
    let mut command = Command::new("nginx");
    command.arg("-c").arg(file).arg("-e").arg(errors);
    Balancer::start(command, house.path("nginx.log"))
}

/// C-ECHO through the balancer, over associations of their own.
async fn echo(house: &House, count: usize) {
    let front = house.place.at(None, house.place.dicom);
    for _ in 0..count {
        let offer = Offer::modality("CT1", "MEDSYNAPSE");
        let mut modality = Modality::connect(front, &offer).await.unwrap();
        assert!(modality.echo().await.unwrap().is_success());
        modality.release().await.unwrap();
    }
    if !is_installed("echoscu", "--version") {
        skipped(
            "C-ECHO by DCMTK",
            "echoscu is not installed (Debian: apt-get install dcmtk)",
        );
        return;
    }
    let (host, port) = (front.ip().to_string(), front.port().to_string());
    let arguments = ["-to", "10", "-aec", "MEDSYNAPSE", &host, &port];
    let status = Command::new("echoscu").args(arguments).status().unwrap();
    assert!(status.success(), "C-ECHO by DCMTK");
}

/// Connections are spread: with as many as servers each has one.
async fn spread(house: &House) -> Vec<hl7_mllp::Client> {
    until("nobody is connected", async || {
        let mut open = 0;
        for number in 0..3 {
            open += house.connections(number).await.0;
        }
        open == 0
    })
    .await;
    let mut clients = Vec::new();
    for _ in 0..3 {
        let mut client = house.client().await.unwrap();
        assert_eq!(house.say(&mut client).await.as_deref(), Some("AA"));
        clients.push(client);
    }
    for number in 0..3 {
        assert_eq!(house.connections(number).await.0, 1, "of server {number}");
    }
    clients
}

/// Whether a server gets new connections.
async fn is_asked(house: &House, number: usize) -> bool {
    let before = house.connections(number).await.1;
    house.all_are_taken(3, "after a server came back").await;
    house.connections(number).await.1 > before
}

/// A server is killed under load and comes back; `seen` waits until the balancer says so.
async fn a_kill(house: &mut House, mut seen: impl FnMut(&str) -> bool) {
    let front = house.place.at(None, house.place.mllp);
    let (shared, stop) = (Shared::default(), Arc::new(AtomicBool::new(false)));
    let tasks = load(front, &shared, &stop);
    let more = async |count: u64, when: &str| {
        let wanted = shared.accepted() + count;
        until(when, async || shared.accepted() >= wanted).await
    };
    more(100, "messages are taken").await;
    house.servers[1].take().unwrap().kill();
    let longest = house
        .all_are_taken(20, "right after a server was killed")
        .await;
    println!("killed: the longest of 20 new connections took {longest:?} to its answer");
    more(100, "the others go on").await;
    echo(house, 4).await;
    let out = until("it is taken out", async || seen("DOWN")).await;
    house.up(1);
    let back = until("it is taken in again", async || seen("UP")).await;
    let asked = until("it is asked again", async || is_asked(house, 1).await).await;
    println!("taken out {out:?} later; after its start taken in {back:?}, asked {asked:?} later");
    more(100, "all of them take messages").await;
    stop.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await.unwrap();
    }
    resend(front, &shared).await;
    compare(&house.store, &shared);
    println!(
        "killed: {} acknowledged, all of them stored once",
        shared.accepted()
    );
}

/// A server that is told to stop gets nothing new, and answers what it has.
async fn a_drain(house: &mut House) {
    let clients = spread(house).await;
    // Messages in hand, and no way to commit them yet.
    let url = house.url.clone();
    let held =
        tokio::task::spawn_blocking(move || Cluster::hold_log(&url, Duration::from_millis(1_500)));
    let locks = |granted: &str| {
        let sql = format!("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND {granted}");
        house.cluster.run(&house.url, &sql).unwrap()
    };
    until("the lock is held", async || locks("granted") == 1).await;
    let waiting: Vec<_> = clients
        .into_iter()
        .map(|mut client| {
            let (id, message) = house.message();
            tokio::spawn(async move { (id, client.exchange(message.as_bytes()).await) })
        })
        .collect();
    until("three servers wait for it", async || {
        locks("NOT granted") == 3
    })
    .await;
    let server = house.servers[0].take().unwrap();
    server.signal("TERM");
    until("it takes no connections", async || {
        TcpStream::connect(server.mllp).await.is_err()
    })
    .await;
    let ending = tokio::task::spawn_blocking(move || {
        let began = Instant::now();
        (server.ended(), began.elapsed())
    });
    let mut sent = 0;
    while !ending.is_finished() {
        house.all_are_taken(1, "while a server goes down").await;
        sent += 1;
    }
    let (status, took) = ending.await.unwrap();
    assert!(status.success());
    for answer in waiting {
        let (id, answer) = answer.await.unwrap();
        let answer = answer.expect("an answer to what was in hand");
        assert!(String::from_utf8_lossy(&answer).contains("|AA|"));
        house.taken.lock().unwrap().push(id);
    }
    held.await.unwrap().unwrap();
    house.all_are_taken(6, "after a server went down").await;
    println!("told to stop: ended {took:?} later, {sent} new connections meanwhile, all taken");
    house.up(0);
    until("it is asked again", async || is_asked(house, 0).await).await;
}

async fn begun(house: &House, balancer: &Balancer) {
    let took = until("the balancer passes messages on", async || {
        house.send().await.as_deref() == Some("AA")
    })
    .await;
    println!("{took:?} until the first message; {}", balancer.said());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes a minute; .ci/interop-postgres runs it"]
async fn haproxy_passes_over_whoever_is_not_ready() {
    let test = "haproxy_passes_over_whoever_is_not_ready";
    if !is_installed("haproxy", "-v") {
        return skipped(
            test,
            "haproxy is not installed (Debian: apt-get install haproxy)",
        );
    }
    let Some(cluster) = Cluster::or_skip(test) else {
        return;
    };
    let mut house = House::build(cluster).await;
    let balancer = haproxy(&house);
    begun(&house, &balancer).await;
    echo(&house, 6).await;
    let seen = |server: &str, state: &str| {
        let said = balancer.said();
        let last = |backend: &str| {
            let lines = said.lines().rev();
            let name = format!("{backend}/{server} is ");
            let mut of_it = lines.filter_map(|line| line.split_once(&name));
            of_it
                .next()
                .is_some_and(|(_, rest)| rest.starts_with(state))
        };
        last("mllp") && last("dicom")
    };
    a_kill(&mut house, |state| seen("b", state)).await;

    // One loses its database: it is there, and not ready. Its senders are moved to the others.
    let mut clients = spread(&house).await;
    house.cut(2);
    let out = until("it is taken out", async || seen("c", "DOWN")).await;
    until("its senders are moved", async || {
        house.connections(2).await.0 == 0
    })
    .await;
    assert!(!house.ready(2).await);
    let opened = house.connections(2).await.1;
    house
        .all_are_taken(12, "without the one that has no database")
        .await;
    assert_eq!(house.connections(2).await.1, opened, "it is not asked");
    let mut moved = 0;
    for client in &mut clients {
        match house.say(client).await.as_deref() {
            Some("AA") => {}
            None => moved += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(moved, 1, "the sender of that server alone");
    drop(clients);
    echo(&house, 3).await;
    house.mend(2);
    let back = until("it is taken in again", async || seen("c", "UP")).await;
    until("it is asked again", async || is_asked(&house, 2).await).await;
    println!("no database: taken out {out:?} later; taken in {back:?} after it was back");

    a_drain(&mut house).await;
    echo(&house, 3).await;
    house.nothing_is_lost();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes half a minute; .ci/interop-postgres runs it"]
async fn nginx_passes_over_whoever_does_not_listen() {
    let test = "nginx_passes_over_whoever_does_not_listen";
    let Some(module) = stream_module() else {
        let why = "NGINX with its stream module is not installed \
                   (Debian: apt-get install nginx-light libnginx-mod-stream)";
        return skipped(test, why);
    };
    let Some(cluster) = Cluster::or_skip(test) else {
        return;
    };
    let mut house = House::build(cluster).await;
    let balancer = nginx(&house, &module);
    begun(&house, &balancer).await;
    echo(&house, 6).await;
    // It asks nobody: it finds out by trying.
    a_kill(&mut house, |_| true).await;

    // It does not ask whether a server is ready: one without its database says AE.
    let mut clients = spread(&house).await;
    house.cut(2);
    until("it is not ready", async || !house.ready(2).await).await;
    let mut codes = Vec::new();
    for client in &mut clients {
        codes.push(house.say(client).await.unwrap_or_default());
    }
    codes.sort_unstable();
    assert_eq!(codes, ["AA", "AA", "AE"]);
    drop(clients);
    house.mend(2);
    until("it is ready", async || house.ready(2).await).await;

    a_drain(&mut house).await;
    echo(&house, 3).await;
    house.nothing_is_lost();
}
