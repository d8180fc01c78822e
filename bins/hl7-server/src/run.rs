//! Puts the broker together, runs it, and takes it down in order.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use hl7_mllp::server::Plain;
use medsynapse_broker::{
    Broker, BrokerConfig, Clock, FaultyHandler, FaultyUpgrade, MllpHandler, SystemClock,
};
use medsynapse_http::{AllowedHosts, ApiKeys, App, Limits};
use medsynapse_store::{MessageQuery, SqliteStore, StoreError};
use medsynapse_web::{WebApp, WebLimits};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::banner::{Ports, banner};
use crate::cli::Options;
use crate::config::Config;
use crate::metrics::Metrics;
use crate::signals::Signals;
use crate::{demo, http, log, observe};

/// How long MLLP messages in hand may take after the signal to stop.
const MLLP_DRAIN: Duration = Duration::from_secs(4);
/// Stopped at the second signal.
const INTERRUPTED: i32 = 130;

/// Runs the broker until it is told to stop.
///
/// # Errors
///
/// What kept it from starting, or what broke while it ran.
pub(crate) fn run(config: &Config, options: &Options) -> Result<()> {
    log::start(config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("starting the runtime")?;
    runtime.block_on(serve(config, options))
}

#[expect(clippy::print_stdout, reason = "--print-ports asks for data")]
async fn serve(config: &Config, options: &Options) -> Result<()> {
    let mut signals = Signals::listen().context("listening for signals")?;
    // Before anything that counts.
    let metrics = Metrics::install()?;
    // Ports first: a second start must not touch the data of the first.
    let mllp = bind(config.mllp, "MLLP", "--mllp or mllp.listen").await?;
    let rest = bind(config.rest, "REST", "--rest or rest.listen").await?;
    let web = bind(config.web, "web", "--web or web.listen").await?;
    let ports = Ports {
        mllp: mllp.local_addr()?,
        rest: rest.local_addr()?,
        web: web.local_addr()?,
    };

    let store = open(config)?;
    let data_dir = data_dir(config);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let settings = BrokerConfig {
        profile: config.profile.clone(),
        ..BrokerConfig::default()
    };
    let broker = Broker::start(store, settings, clock.clone()).context("starting the broker")?;
    if let Some(count) = options.demo {
        tokio::select! {
            filled = demo::fill(&broker, count, clock.as_ref()) => filled?,
            signal = signals.next() => {
                tracing::info!(signal, "stopped while the demo messages came in");
                return close(&broker).await;
            }
        }
    }

    let stop = CancellationToken::new();
    let faults = config.faults.start()?;
    let app = App {
        metrics: Some(metrics.page(&broker, &faults)),
        ..gateway(config, &broker, clock, &ports)
    };
    let (going_down, told) = watch::channel(false);
    let pages = pages(&app, told);
    let rest = http::serve(rest, medsynapse_http::router(app), stop.clone());
    let web = http::serve(web, medsynapse_web::router(pages), stop.clone());
    if !ports.mllp.ip().is_loopback() {
        tracing::warn!(address = %ports.mllp, "messages travel in the clear beyond this machine");
    }
    let handler = FaultyHandler::new(MllpHandler::new(Arc::clone(&broker)), faults.clone());
    let mllp = tokio::spawn(hl7_mllp::server::serve_on(
        mllp,
        FaultyUpgrade::new(Plain, faults),
        Arc::new(handler),
        hl7_mllp::ServerConfig {
            drain_deadline: MLLP_DRAIN,
            ..config.mllp_server.clone()
        },
        Arc::new(observe::Links::new(Arc::clone(&broker))),
        stop.clone(),
    ));

    if !options.quiet {
        let (messages, orders) = counts(&broker).await?;
        eprint!("{}", banner(config, &ports, &data_dir, messages, orders));
    }
    if options.print_ports {
        println!("{}", ports.json());
    }

    let reason = wait(&broker, &mut signals).await?;
    going_down.send_replace(true);
    stop.cancel();
    let down = async {
        let summary = mllp.await.context("the MLLP server")?;
        tracing::info!(%summary, "MLLP closed");
        rest.await.context("the REST server")?;
        web.await.context("the web server")?;
        close(&broker).await
    };
    tokio::select! {
        result = down => result?,
        signal = signals.next() => {
            tracing::warn!(signal, "stopped at the second signal");
            std::process::exit(INTERRUPTED);
        }
    }
    match reason {
        Reason::Signal(signal) => {
            tracing::info!(signal, "stopped");
            Ok(())
        }
        Reason::StoreFailed(reason) => bail!(
            "the database can no longer be written ({reason}). Messages that were acknowledged \
             are on disk. Look at the disk, then start again"
        ),
    }
}

/// The REST gateway as it is configured.
fn gateway(config: &Config, broker: &Arc<Broker>, clock: Arc<dyn Clock>, ports: &Ports) -> App {
    App {
        broker: Arc::clone(broker),
        clock,
        rest_url: format!("http://{}", ports.rest),
        mllp_address: ports.mllp.to_string(),
        api_keys: ApiKeys::new(&config.api_keys),
        hosts: AllowedHosts::new(config.allowed_hosts.iter().cloned()),
        limits: Limits {
            message_bytes_max: config.mllp_server.limits.frame_bytes_max,
            ..Limits::default()
        },
        metrics: None,
        version: env!("CARGO_PKG_VERSION").into(),
    }
}

/// The web pages, beside the gateway.
fn pages(app: &App, told: watch::Receiver<bool>) -> WebApp {
    WebApp {
        broker: Arc::clone(&app.broker),
        clock: Arc::clone(&app.clock),
        hosts: app.hosts.clone(),
        mllp_address: app.mllp_address.clone(),
        rest_url: app.rest_url.clone(),
        version: app.version.clone(),
        limits: WebLimits::default(),
        stop: told,
    }
}

/// Waits until everything in hand is on disk.
async fn close(broker: &Arc<Broker>) -> Result<()> {
    let broker = Arc::clone(broker);
    tokio::task::spawn_blocking(move || broker.close())
        .await
        .context("the writer")
}

/// Why the broker stops.
enum Reason {
    Signal(&'static str),
    StoreFailed(String),
}

async fn wait(broker: &Broker, signals: &mut Signals) -> Result<Reason> {
    let mut failure = broker.store_failure();
    tokio::select! {
        signal = signals.next() => Ok(Reason::Signal(signal)),
        failed = failure.wait_for(Option::is_some) => {
            let reason = failed.context("the writer ended unasked")?.clone();
            Ok(Reason::StoreFailed(reason.unwrap_or_default()))
        }
    }
}

async fn bind(address: SocketAddr, name: &str, setting: &str) -> Result<TcpListener> {
    match TcpListener::bind(address).await {
        Ok(listener) => Ok(listener),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => bail!(
            "{name}: {address} is in use by another program (is the broker running already?); \
             choose another address with {setting}"
        ),
        Err(error) => Err(error).with_context(|| {
            format!("{name}: cannot listen on {address}; choose another address with {setting}")
        }),
    }
}

fn open(config: &Config) -> Result<Arc<SqliteStore>> {
    let directory = config.data_dir.display();
    match SqliteStore::open(&config.data_dir) {
        Ok(store) => Ok(Arc::new(store)),
        Err(StoreError::InUse) => bail!(
            "the data directory {directory} is in use by another broker; stop that one or choose \
             another directory with --data-dir"
        ),
        Err(error) => Err(error).with_context(|| {
            format!("cannot open the data directory {directory} (--data-dir or data_dir)")
        }),
    }
}

/// The data directory as a person finds it.
fn data_dir(config: &Config) -> PathBuf {
    std::fs::canonicalize(&config.data_dir).unwrap_or_else(|_| config.data_dir.clone())
}

async fn counts(broker: &Arc<Broker>) -> Result<(u64, u64)> {
    let store = Arc::clone(broker.store());
    let counted = tokio::task::spawn_blocking(move || {
        let none = MessageQuery {
            limit: 0,
            ..MessageQuery::default()
        };
        Ok::<_, StoreError>((store.messages(&none)?.total, store.order_count()?))
    });
    counted
        .await
        .context("counting")?
        .context("reading the database")
}
