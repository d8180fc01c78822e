//! `GET /api/v1/metrics`: the figures of the running broker, for Prometheus.

use std::fmt;
use std::sync::Arc;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

use crate::app::App;
use crate::problem::Problem;
use crate::problem_code::ProblemCode;

/// The text format of Prometheus.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Writes the figures of this moment.
///
/// ```
/// use medsynapse_http::MetricsPage;
///
/// let page = MetricsPage::new(|| "hl7_storing 1\n".into());
/// assert_eq!(page.render(), "hl7_storing 1\n");
/// ```
#[derive(Clone)]
pub struct MetricsPage(Arc<dyn Fn() -> String + Send + Sync>);

impl MetricsPage {
    /// A page that `render` writes anew each time it is asked for. It may block.
    pub fn new(render: impl Fn() -> String + Send + Sync + 'static) -> Self {
        Self(Arc::new(render))
    }

    /// The page.
    pub fn render(&self) -> String {
        (self.0)()
    }
}

impl fmt::Debug for MetricsPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MetricsPage")
    }
}

/// The figures of the running broker, for Prometheus.
#[utoipa::path(get, path = "/api/v1/metrics", tag = "health", security(("apiKey" = ["metrics"])),
    responses((status = 200, body = String, content_type = "text/plain")))]
pub(crate) async fn metrics(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    match app.metrics.clone() {
        // Some figures are read from the store: not on a thread that answers others.
        Some(page) => match tokio::task::spawn_blocking(move || page.render()).await {
            Ok(text) => Ok(([(CONTENT_TYPE, TEXT)], text).into_response()),
            Err(_) => Err(Problem::unavailable()),
        },
        None => Err(Problem::new(
            ProblemCode::NoMetrics,
            "This gateway counts nothing",
        )),
    }
}
