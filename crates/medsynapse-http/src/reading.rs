//! Reading from the store, whose methods block.

use std::sync::Arc;

use medsynapse_store::{Store, StoreError};

use crate::problem::Problem;

/// What `ask` finds in the store. Why it failed is for the log, not for the caller.
pub(crate) async fn read<T: Send + 'static>(
    store: &Arc<dyn Store>,
    ask: impl FnOnce(&dyn Store) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, Problem> {
    let store = Arc::clone(store);
    match tokio::task::spawn_blocking(move || ask(store.as_ref())).await {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(error)) => {
            tracing::error!(%error, "the store does not answer");
            Err(Problem::unavailable())
        }
        Err(_) => Err(Problem::unavailable()),
    }
}
