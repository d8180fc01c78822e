-- Encryption. `sealed` holds the columns of a row that an encrypted database hides; where it does
-- not, it is NULL. Nothing is encrypted by this step.

ALTER TABLE messages ADD COLUMN sealed BLOB;
ALTER TABLE patients ADD COLUMN sealed BLOB;
ALTER TABLE orders ADD COLUMN sealed BLOB;
ALTER TABLE cancelled_orders ADD COLUMN sealed BLOB;
ALTER TABLE reports ADD COLUMN sealed BLOB;
ALTER TABLE changes ADD COLUMN sealed BLOB;
ALTER TABLE actions ADD COLUMN sealed BLOB;
ALTER TABLE outbox ADD COLUMN sealed BLOB;
ALTER TABLE deliveries ADD COLUMN sealed BLOB;
ALTER TABLE procedure_steps ADD COLUMN sealed BLOB;

-- One row if the database is encrypted, or is on its way.
CREATE TABLE vault (
    one    INTEGER PRIMARY KEY CHECK (one = 1),
    state  TEXT    NOT NULL CHECK (state IN ('encrypting', 'encrypted', 'decrypting')),
    -- the secret of the look-ups, sealed
    lookup BLOB    NOT NULL
) STRICT;

-- The keys that something is sealed with.
CREATE TABLE vault_keys (
    fingerprint BLOB PRIMARY KEY,
    name        TEXT NOT NULL
) STRICT, WITHOUT ROWID;
