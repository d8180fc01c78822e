//! Reading from the store, whose methods block.

use std::sync::Arc;

use medsynapse_store::{Store, StoreError};

/// What `ask` finds in the store; `None` where it failed, which is logged.
pub(crate) async fn read<T: Send + 'static>(
    store: &Arc<dyn Store>,
    ask: impl FnOnce(&dyn Store) -> Result<T, StoreError> + Send + 'static,
) -> Option<T> {
    let store = Arc::clone(store);
    match tokio::task::spawn_blocking(move || ask(store.as_ref())).await {
        Ok(Ok(found)) => Some(found),
        Ok(Err(error)) => {
            tracing::error!(%error, "the store does not answer");
            None
        }
        Err(_) => None,
    }
}
