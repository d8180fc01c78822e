//! Puts the broker together, runs it, and takes it down in order.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use medsynapse_broker::{Broker, BrokerConfig, Clock, MllpHandler, SystemClock};
use medsynapse_http::{AllowedHosts, ApiKeys, App, Limits};
use medsynapse_store::{MessageQuery, SqliteStore, StoreError};
use medsynapse_web::{WebApp, WebLimits};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::banner::{Ports, banner};
use crate::cli::Options;
use crate::config::Config;
use crate::{demo, log, observe};

/// How long HTTP requests in hand may take after the signal to stop.
const HTTP_DRAIN: Duration = Duration::from_secs(2);
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
        demo::fill(&broker, count, clock.as_ref()).await?;
    }

    let stop = CancellationToken::new();
    let app = App {
        broker: Arc::clone(&broker),
        clock,
        rest_url: format!("http://{}", ports.rest),
        mllp_address: ports.mllp.to_string(),
        api_keys: ApiKeys::new(&config.api_keys),
        hosts: AllowedHosts::new(config.allowed_hosts.iter().cloned()),
        limits: Limits {
            message_bytes_max: config.mllp_server.limits.frame_bytes_max,
            ..Limits::default()
        },
        version: env!("CARGO_PKG_VERSION").into(),
    };
    let (going_down, told) = watch::channel(false);
    let pages = WebApp {
        broker: Arc::clone(&broker),
        clock: Arc::clone(&app.clock),
        hosts: app.hosts.clone(),
        mllp_address: app.mllp_address.clone(),
        rest_url: app.rest_url.clone(),
        version: app.version.clone(),
        limits: WebLimits::default(),
        stop: told,
    };
    let rest = http(rest, medsynapse_http::router(app), stop.clone());
    let web = http(web, medsynapse_web::router(pages), stop.clone());
    let mllp = tokio::spawn(hl7_mllp::serve(
        mllp,
        Arc::new(MllpHandler::new(Arc::clone(&broker))),
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

    let reason = wait(&broker).await?;
    going_down.send_replace(true);
    stop.cancel();
    let down = async {
        let summary = mllp
            .await
            .context("the MLLP server")?
            .context("the MLLP server")?;
        tracing::info!(%summary, "MLLP closed");
        rest.await.context("the REST server")?;
        web.await.context("the web server")?;
        let broker = Arc::clone(&broker);
        tokio::task::spawn_blocking(move || broker.close())
            .await
            .context("the writer")
    };
    tokio::select! {
        result = down => result?,
        signal = signalled() => {
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

/// Why the broker stops.
enum Reason {
    Signal(&'static str),
    StoreFailed(String),
}

async fn wait(broker: &Broker) -> Result<Reason> {
    let mut failure = broker.store_failure();
    tokio::select! {
        signal = signalled() => Ok(Reason::Signal(signal)),
        failed = failure.wait_for(Option::is_some) => {
            let reason = failed.context("the writer ended unasked")?.clone();
            Ok(Reason::StoreFailed(reason.unwrap_or_default()))
        }
    }
}

/// The name of the signal to stop that comes next.
async fn signalled() -> &'static str {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            return tokio::select! {
                _ = tokio::signal::ctrl_c() => "Ctrl-C",
                _ = terminate.recv() => "SIGTERM",
            };
        }
    }
    // Without a handler the system's own way of stopping a program is left.
    match tokio::signal::ctrl_c().await {
        Ok(()) => "Ctrl-C",
        Err(_) => std::future::pending().await,
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

/// Serves HTTP until `stop`; what is in hand then has a little time.
fn http(listener: TcpListener, router: axum::Router, stop: CancellationToken) -> JoinHandle<()> {
    tokio::spawn(async move {
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        let stopped = stop.clone().cancelled_owned();
        let server = axum::serve(listener, service).with_graceful_shutdown(stopped);
        let deadline = async {
            stop.cancelled().await;
            tokio::time::sleep(HTTP_DRAIN).await;
        };
        tokio::select! {
            result = server.into_future() => {
                if let Err(error) = result {
                    tracing::error!(%error, "HTTP server");
                }
            }
            () = deadline => tracing::warn!("HTTP connections were cut off"),
        }
    })
}
