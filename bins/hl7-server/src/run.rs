//! Puts the broker together, runs it, and takes it down in order.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use axum::middleware::from_fn_with_state;
use hl7_mllp::ServerSummary;
use hl7_mllp::server::{Plain, serve_on};
use medsynapse_broker::{
    Broker, BrokerConfig, Clock, Faults, FaultyHandler, FaultyUpgrade, Lanes, MllpHandler,
    SystemClock,
};
use medsynapse_http::{
    Access, AllowedHosts, ApiKeys, App, Connections, Gateway, Guard, Limits, Login, Trail,
};
use medsynapse_store::{MessageQuery, StoreError};
use medsynapse_web::{Modalities, WebApp, WebLimits};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::banner::{Ports, banner};
use crate::cli::Options;
use crate::config::Config;
use crate::metrics::Metrics;
use crate::tls::{Tls, TlsFiles};
use crate::{database, demo, dicom, guarding, http, log, observe, outgoing, retention};
use hl7_cli::Signals;

/// How long MLLP messages in hand may take after the signal to stop.
const MLLP_DRAIN: Duration = Duration::from_secs(4);
/// How long the audit trail may take to be written out at the end.
const TRAIL_DRAIN: Duration = Duration::from_secs(1);
/// Stopped at the second signal.
const INTERRUPTED: i32 = 130;

/// Runs the broker until it is told to stop.
///
/// # Errors
///
/// What kept it from starting, or what broke while it ran.
pub(crate) fn run(config: &Config, options: &Options) -> Result<()> {
    log::start(config)?;
    // Without the right key there is nothing to open ports for. This only reads.
    medsynapse_store::check_keys(&config.data_dir, config.encryption.keys.as_ref())
        .with_context(|| database::opening(config))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("starting the runtime")?;
    runtime.block_on(serve(config, options))
}

async fn serve(config: &Config, options: &Options) -> Result<()> {
    let mut signals = Signals::listen().context("listening for signals")?;
    // Before anything that counts.
    let metrics = Metrics::install()?;
    // Ports first: a second start must not touch the data of the first.
    let mllp = bind(config.mllp, "MLLP", "--mllp or mllp.listen").await?;
    let rest = bind(config.rest, "REST", "--rest or rest.listen").await?;
    let web = bind(config.web, "web", "--web or web.listen").await?;
    let modalities = bind_dicom(config).await?;
    let ports = Ports {
        mllp: mllp.local_addr()?,
        rest: rest.local_addr()?,
        web: web.local_addr()?,
        dicom: modalities.worklist(),
        recorder: modalities.recorder(),
    };

    let stop = CancellationToken::new();
    let config = &demo::with_ris(config, options.demo.is_some(), &stop).await?;
    let opened = database::open(config)?;
    let data_dir = data_dir(config);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let broker = Broker::start(opened.store, broker_config(config), clock.clone())
        .context("starting the broker")?;
    if let Some(count) = options.demo {
        tokio::select! {
            filled = demo::fill(&broker, count, clock.as_ref()) => filled?,
            signal = signals.next() => {
                tracing::info!(signal, "stopped while the demo messages came in");
                return close(&broker).await;
            }
        }
    }

    let faults = config.faults.start()?;
    let retention = retention::start(opened.kept, config.retention_days, &clock, &stop);
    let lanes = outgoing::start(&config.destinations, &broker, &clock, &stop)?;
    let Guards {
        access,
        keys,
        gates,
    } = Guards::of(config, &ports, &stop)?;
    let (trail, has_keys) = (access.trail.clone(), !keys.is_empty());
    let (going_down, told) = watch::channel(false);
    let app = App {
        metrics: Some(metrics.page(&broker, &faults)),
        faults: Some(faults.clone()),
        stop: told.clone(),
        lanes: lanes.lanes(),
        ..gateway(config, &broker, clock, &ports, keys, access)?
    };
    let connections = app.connections.clone();
    let open = app.api_keys.is_empty() && config.guarding.jwt.is_none() && !config.insecure;
    if open && !config.allowed_hosts.is_empty() {
        // A name is for a proxy in front, which reaches 127.0.0.1 for everybody.
        tracing::warn!(
            "others reach REST and the pages by name (rest.allowed_hosts) and no key is asked for: \
             make one with `hl7-server keys add NAME`"
        );
    }
    let live = dicom::live(&broker, &config.dicom);
    let login = login(&app, &ports, config, gates.web.tls.is_some());
    let shown = dicom::shown(&live, &config.dicom, &ports);
    let pages = pages(&app, told, shown, login.clone());
    let pages = guarded(pages, &app, &ports, config.insecure, login);
    let routes = medsynapse_http::router(app).layer(axum::Extension(Arc::clone(&live)));
    let rest = http::serve(rest, routes, gates.rest, stop.clone());
    let web = http::serve(web, pages, gates.web, stop.clone());
    if !ports.mllp.ip().is_loopback() && gates.mllp.is_none() {
        tracing::warn!(address = %ports.mllp, "messages travel in the clear beyond this machine");
    }
    let mllp = take_messages(
        mllp,
        gates.mllp,
        faults,
        (&broker, connections),
        config,
        stop.clone(),
    );
    let modalities = dicom::start(modalities, &live, &config.dicom, &stop)?;

    announce(config, options, &ports, &data_dir, has_keys, &broker).await?;

    let reason = wait(&broker, &mut signals).await?;
    going_down.send_replace(true);
    stop.cancel();
    let down = async {
        let summary = mllp.await.context("the MLLP server")?;
        tracing::info!(%summary, "MLLP closed");
        retention.await.context("retention")?;
        rest.await.context("the REST server")?;
        web.await.context("the web server")?;
        modalities.end().await?;
        // Their last answers are still stored.
        lanes.ended().await;
        close(&broker).await?;
        end(trail).await;
        anyhow::Ok(())
    };
    tokio::select! {
        result = down => result?,
        signal = signals.next() => {
            tracing::warn!(signal, "stopped at the second signal");
            std::process::exit(INTERRUPTED);
        }
    }
    reason.into_result()
}

fn broker_config(config: &Config) -> BrokerConfig {
    BrokerConfig {
        profile: config.profile.clone(),
        destinations: config
            .destinations
            .iter()
            .map(|settings| settings.destination.clone())
            .collect(),
        ..BrokerConfig::default()
    }
}

/// Says where everything is, once all of it is open.
#[expect(clippy::print_stdout, reason = "--print-ports asks for data")]
async fn announce(
    config: &Config,
    options: &Options,
    ports: &Ports,
    data_dir: &Path,
    keys: bool,
    broker: &Arc<Broker>,
) -> Result<()> {
    if !options.quiet {
        let (messages, orders) = counts(broker).await?;
        eprint!(
            "{}",
            banner(config, ports, data_dir, keys, messages, orders)
        );
    }
    if options.print_ports {
        println!("{}", ports.json());
    }
    Ok(())
}

/// Takes messages over MLLP until `stop`.
fn take_messages(
    listener: TcpListener,
    tls: Option<Tls>,
    faults: Faults,
    (broker, connections): (&Arc<Broker>, Connections),
    config: &Config,
    stop: CancellationToken,
) -> JoinHandle<ServerSummary> {
    let handler = FaultyHandler::new(MllpHandler::new(Arc::clone(broker)), faults.clone());
    let handler = Arc::new(handler);
    let settings = hl7_mllp::ServerConfig {
        drain_deadline: MLLP_DRAIN,
        ..config.mllp_server.clone()
    };
    let links = Arc::new(observe::Links::new(Arc::clone(broker), connections));
    match tls {
        None => {
            let plain = FaultyUpgrade::new(Plain, faults);
            tokio::spawn(serve_on(listener, plain, handler, settings, links, stop))
        }
        Some(tls) => {
            let tls = FaultyUpgrade::new(tls.mllp(), faults);
            tokio::spawn(serve_on(listener, tls, handler, settings, links, stop))
        }
    }
}

/// Waits until the audit trail is written.
async fn end(trail: Option<Trail>) {
    if let Some(trail) = trail {
        // Connections that were cut off may still hold on to it: they are not waited for.
        let closing = tokio::task::spawn_blocking(move || trail.close());
        let _ = tokio::time::timeout(TRAIL_DRAIN, closing).await;
    }
}

/// What guards the listeners.
struct Guards {
    access: Access,
    keys: ApiKeys,
    gates: Gates,
}

impl Guards {
    fn of(config: &Config, ports: &Ports, stop: &CancellationToken) -> Result<Self> {
        let access = Access {
            closed: !ports.rest.ip().is_loopback() && !config.insecure,
            ..config.guarding.access(config)?
        };
        let keys = match &access.answers {
            Some(store) => guarding::keys(&config.api_keys, store, stop.clone())?,
            None => ApiKeys::new(&config.api_keys),
        };
        let gates = Gates::of(config, stop)?;
        Ok(Self {
            access,
            keys,
            gates,
        })
    }
}

/// Who may connect to which listener, and how.
#[derive(Debug)]
struct Gates {
    rest: http::Gate,
    web: http::Gate,
    mllp: Option<Tls>,
}

impl Gates {
    fn of(config: &Config, stop: &CancellationToken) -> Result<Self> {
        let guarding = &config.guarding;
        let tls = |files: &Option<TlsFiles>, section, protocol| {
            let start =
                |files: &TlsFiles| Tls::start(files.clone(), section, protocol, stop.clone());
            files.as_ref().map(start).transpose()
        };
        let http11: Option<&'static [u8]> = Some(b"http/1.1");
        Ok(Self {
            rest: http::Gate {
                allow: guarding.rest_allow.clone(),
                tls: tls(&guarding.rest_tls, "rest", http11)?,
            },
            web: http::Gate {
                allow: guarding.web_allow.clone(),
                tls: tls(&guarding.web_tls, "web", http11)?,
            },
            mllp: tls(&guarding.mllp_tls, "mllp", None)?,
        })
    }
}

/// Logs browsers in where there are keys, or others can reach the pages. Keys may come while it runs.
fn login(app: &App, ports: &Ports, config: &Config, tls: bool) -> Login {
    let random = || {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).ok().map(|()| bytes)
    };
    let (keys, rates) = (app.api_keys.clone(), Arc::clone(&app.access.rates));
    let login = Login::new(keys, rates, Arc::new(random), tls);
    if is_closed(ports, config.insecure) {
        login.always()
    } else {
        login
    }
}

/// Whether the pages are shut even while there is no key: others can reach them.
fn is_closed(ports: &Ports, insecure: bool) -> bool {
    !ports.web.ip().is_loopback() && !insecure
}

/// The pages, written down in the audit trail. Where there are keys they want a login, or a key:
/// in a header, or as the password of any name.
fn guarded(pages: WebApp, app: &App, ports: &Ports, insecure: bool, login: Login) -> axum::Router {
    let access = Access {
        tokens: None,
        basic: true,
        closed: is_closed(ports, insecure),
        ..app.access.clone()
    };
    let guard = Guard::by_method(app.api_keys.clone(), access, Arc::clone(&app.clock));
    let guard = Arc::new(guard.with_login(login));
    medsynapse_web::router(pages)
        .layer(from_fn_with_state(Arc::clone(&guard), Guard::check))
        .layer(from_fn_with_state(guard, Guard::write_down))
}

/// The REST gateway as it is configured.
fn gateway(
    config: &Config,
    broker: &Arc<Broker>,
    clock: Arc<dyn Clock>,
    ports: &Ports,
    api_keys: ApiKeys,
    access: Access,
) -> Result<App> {
    let scheme = if config.guarding.rest_tls.is_some() {
        "https"
    } else {
        "http"
    };
    let settings = config.gateway.settings(ports.mllp);
    let dialer = config
        .gateway
        .dialer(&settings, config.guarding.mllp_tls.as_ref())?;
    let gateway = Gateway::new(settings, clock.now());
    Ok(App {
        broker: Arc::clone(broker),
        clock,
        rest_url: format!("{scheme}://{}", ports.rest),
        mllp_address: ports.mllp.to_string(),
        api_keys,
        access,
        hosts: AllowedHosts::new(config.allowed_hosts.iter().cloned()),
        limits: Limits {
            message_bytes_max: config.mllp_server.limits.frame_bytes_max,
            ..Limits::default()
        },
        metrics: None,
        gateway: match dialer {
            Some(dialer) => gateway.over_tls(dialer),
            None => gateway,
        },
        connections: Connections::default(),
        lanes: Lanes::default(),
        faults: None,
        stop: watch::channel(false).1,
        version: env!("CARGO_PKG_VERSION").into(),
    })
}

/// The web pages, beside the gateway.
fn pages(app: &App, told: watch::Receiver<bool>, modalities: Modalities, login: Login) -> WebApp {
    WebApp {
        broker: Arc::clone(&app.broker),
        clock: Arc::clone(&app.clock),
        modalities: Some(modalities),
        connections: app.connections.clone(),
        lanes: app.lanes.clone(),
        faults: app.faults.clone(),
        login: Some(login),
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

impl Reason {
    /// How the program ends for this reason.
    fn into_result(self) -> Result<()> {
        match self {
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

/// The listeners for modalities.
async fn bind_dicom(config: &Config) -> Result<dicom::Listeners> {
    let worklist = match config.dicom.worklist {
        Some(address) => Some(bind(address, "DICOM", "--dicom or dicom.listen").await?),
        None => None,
    };
    let recorder = match config.dicom.recorder {
        Some(address) => Some(bind(address, "DICOM recorder", "dicom.recorder.listen").await?),
        None => None,
    };
    Ok(dicom::Listeners::new(worklist, recorder))
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

/// Where the data is, as a person finds it.
fn data_dir(config: &Config) -> PathBuf {
    if let Some(database) = &config.database {
        return PathBuf::from(database.at());
    }
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
