-- Who may ask, who asked, and what was answered before. Times are milliseconds since
-- 1970-01-01T00:00:00Z here: the links of the trail are made over them.

CREATE TABLE api_keys (
    id         TEXT COLLATE "C" PRIMARY KEY,
    name       TEXT COLLATE "C" NOT NULL,
    -- SHA-256 of the key
    digest     BYTEA  NOT NULL UNIQUE,
    scopes     TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT
);

-- Servers look at this number every second. It is a row and not a sequence: it must not be seen
-- before the change that it tells of.
CREATE TABLE api_keys_version (
    one_row BOOLEAN PRIMARY KEY DEFAULT TRUE CHECK (one_row),
    version BIGINT  NOT NULL
);
INSERT INTO api_keys_version (version) VALUES (1);

CREATE FUNCTION api_keys_were_changed() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    UPDATE api_keys_version SET version = version + 1;
    RETURN NULL;
END
$$;
-- Whoever changes them, with whatever program.
CREATE TRIGGER api_keys_were_changed
    AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON api_keys
    FOR EACH STATEMENT EXECUTE FUNCTION api_keys_were_changed();

CREATE TABLE trail (
    n       BIGINT  PRIMARY KEY,
    at      BIGINT  NOT NULL,
    who     TEXT COLLATE "C" NOT NULL,
    peer    TEXT COLLATE "C" NOT NULL,
    action  TEXT COLLATE "C" NOT NULL,
    target  TEXT COLLATE "C" NOT NULL,
    -- a keyed hash
    patient TEXT COLLATE "C",
    outcome INTEGER NOT NULL,
    -- a keyed hash over the entry and the link before it
    link    BYTEA   NOT NULL
);

-- Where the trail ends. Whoever appends holds this row: it is one chain, whichever server writes.
CREATE TABLE trail_head (
    one_row BOOLEAN PRIMARY KEY DEFAULT TRUE CHECK (one_row),
    n       BIGINT  NOT NULL,
    link    BYTEA   NOT NULL,
    -- a keyed hash over both
    seal    BYTEA   NOT NULL
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
INSERT INTO trail_head (n, link, seal) VALUES (0, '', '');

CREATE FUNCTION trail_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the trail is append-only';
END
$$;
CREATE TRIGGER trail_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON trail
    FOR EACH STATEMENT EXECUTE FUNCTION trail_is_append_only();

-- The secret of those keyed hashes; NULL where each server is given it by its configuration.
CREATE TABLE trail_secret (
    one_row BOOLEAN PRIMARY KEY DEFAULT TRUE CHECK (one_row),
    secret  BYTEA,
    -- shows which secret it is to who has it
    proof   BYTEA   NOT NULL
);

-- Answers to requests with an Idempotency-Key, for a day.
CREATE TABLE idempotency (
    caller  TEXT COLLATE "C" NOT NULL,
    key     TEXT COLLATE "C" NOT NULL,
    at      BIGINT  NOT NULL,
    -- SHA-256 of all that is asked for
    request BYTEA   NOT NULL,
    -- random: by it a server knows its own row when a connection broke off as it was written
    ticket  BYTEA   NOT NULL,
    -- NULL: it is being carried out, or a server went down over it
    status  INTEGER,
    head    TEXT COLLATE "C",
    body    BYTEA,
    PRIMARY KEY (caller, key)
);
CREATE INDEX idempotency_at ON idempotency (at);
