-- Keys of this server: a digest of each, never the key. A revoked one stays: its id is never given again.
CREATE TABLE keys (
    digest BLOB NOT NULL PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    revoked_at INTEGER
) WITHOUT ROWID;
