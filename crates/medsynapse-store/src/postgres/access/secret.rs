//! The secret of the trail, on which all servers agree.

use deadpool_postgres::GenericClient;

use crate::access::TrailKey;
use crate::error::StoreError;
use crate::postgres::messages::rows;
use crate::postgres::rows::get;

fn refused(text: &str) -> StoreError {
    StoreError::Settings(text.into())
}

/// Who comes first decides; the others are held to it.
pub(super) async fn agree(
    client: &impl GenericClient,
    given: Option<&TrailKey>,
    fresh: Option<&[u8; 32]>,
) -> Result<Option<TrailKey>, StoreError> {
    let fresh = fresh.map(|secret| TrailKey::new(*secret));
    if let Some(first) = given.or(fresh.as_ref()) {
        let kept = given.is_none().then(|| first.secret().as_slice());
        let sql = "INSERT INTO trail_secret (secret, proof) VALUES ($1, $2) \
            ON CONFLICT DO NOTHING RETURNING one_row";
        rows(client, sql, &[&kept, &first.proof().as_slice()]).await?;
    }
    // A statement of its own: it sees what somebody else has put there meanwhile.
    let found = rows(client, "SELECT secret, proof FROM trail_secret", &[]).await?;
    let Some(found) = found.first() else {
        return Ok(None);
    };
    let (kept, proof): (Option<Vec<u8>>, Vec<u8>) = (get(found, 0)?, get(found, 1)?);
    let kept = kept.map(<[u8; 32]>::try_from).transpose();
    let kept = kept.map_err(|_| refused("the secret of the audit trail has another length"))?;
    match (given.cloned(), kept.map(TrailKey::new)) {
        (None, None) => Err(refused(
            "the audit trail has a secret that is not in the database: each server is given it by \
             its configuration, and this one is not",
        )),
        (Some(key), _) if key.proof().as_slice() != proof => Err(refused(
            "the audit trail in the database was begun with another secret",
        )),
        (None, Some(key)) if key.proof().as_slice() != proof => Err(refused(
            "the secret of the audit trail in the database was changed",
        )),
        (Some(key), _) | (None, Some(key)) => Ok(Some(key)),
    }
}
