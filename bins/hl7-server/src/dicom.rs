//! The DICOM side: its settings, and the listeners that they make.

mod settings;

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result};
use medsynapse_broker::Broker;
use medsynapse_web::Modalities;
use medsynapse_worklist::live::{Live, LiveDepartment};
use medsynapse_worklist::scp::{ScpConfig, Services, serve};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::banner::Ports;

pub(crate) use settings::{DicomSection, DicomSettings, ae_title};

/// The sockets that are open before anything else is touched.
#[derive(Debug)]
pub(crate) struct Listeners {
    worklist: Option<TcpListener>,
    recorder: Option<TcpListener>,
}

impl Listeners {
    pub(crate) const fn new(worklist: Option<TcpListener>, recorder: Option<TcpListener>) -> Self {
        Self { worklist, recorder }
    }

    /// Where modalities ask.
    pub(crate) fn worklist(&self) -> Option<SocketAddr> {
        self.worklist.as_ref()?.local_addr().ok()
    }

    /// Where they store.
    pub(crate) fn recorder(&self) -> Option<SocketAddr> {
        self.recorder.as_ref()?.local_addr().ok()
    }
}

/// What runs, to be waited for.
#[derive(Debug)]
pub(crate) struct Running {
    tasks: Vec<JoinHandle<()>>,
}

/// The worklist over the broker's orders, read into memory aside.
pub(crate) fn live(broker: &Arc<Broker>, settings: &DicomSettings) -> Arc<Live> {
    let live = Live::new(
        Arc::clone(broker),
        settings.mapping.clone(),
        settings.workflow,
    );
    let warming = Arc::clone(&live);
    tokio::task::spawn_blocking(move || match warming.warm() {
        Ok(steps) => tracing::debug!(steps, "worklist ready"),
        Err(error) => tracing::error!(%error, "the worklist cannot be read"),
    });
    live
}

/// What the pages show of it.
pub(crate) fn shown(live: &Arc<Live>, settings: &DicomSettings, ports: &Ports) -> Modalities {
    Modalities {
        live: Arc::clone(live),
        service: Arc::new(settings.scp.clone()),
        address: ports.dicom.map(|address| address.to_string()),
    }
}

/// Serves modalities until `stop`.
pub(crate) fn start(
    listeners: Listeners,
    live: &Arc<Live>,
    settings: &DicomSettings,
    stop: &CancellationToken,
) -> Result<Running> {
    let tls = settings
        .tls
        .as_ref()
        .map(|files| files.load("dicom", None))
        .transpose()?;
    let department = Arc::new(LiveDepartment(Arc::clone(live)));
    let mut tasks = Vec::new();
    let mut listen = |listener: Option<TcpListener>, config: ScpConfig, name: &'static str| {
        let Some(listener) = listener else { return };
        let (department, stop) = (Arc::clone(&department), stop.clone());
        tasks.push(tokio::spawn(async move {
            match serve(listener, department, config, stop).await {
                Ok(summary) => {
                    let (served, refused) = (summary.served, summary.refused);
                    tracing::info!(served, refused, "{name} closed");
                }
                Err(error) => tracing::error!(%error, "{name}"),
            }
        }));
    };
    let worklist = ScpConfig {
        tls: tls.clone(),
        ..settings.scp.clone()
    };
    let recorder = ScpConfig {
        access: medsynapse_worklist::scp::Access {
            ae_title: settings.recorder_ae_title.clone(),
            ..settings.scp.access.clone()
        },
        services: Services::Recorder,
        tls,
        ..settings.scp.clone()
    };
    listen(listeners.worklist, worklist, "DICOM worklist");
    listen(listeners.recorder, recorder, "DICOM recorder");
    tasks.push(tokio::spawn(Arc::clone(live).watch_studies(stop.clone())));
    Ok(Running { tasks })
}

impl Running {
    /// Waits until everything in hand is done.
    pub(crate) async fn end(self) -> Result<()> {
        for task in self.tasks {
            task.await.context("the DICOM service")?;
        }
        Ok(())
    }
}
