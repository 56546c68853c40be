-- What happened: append only, with numbers from 1 and a hash chain.
CREATE TABLE events (
    conversation TEXT NOT NULL,
    number INTEGER NOT NULL,
    name TEXT NOT NULL,
    body BLOB NOT NULL,
    head BLOB NOT NULL,
    PRIMARY KEY (conversation, number)
) WITHOUT ROWID;

-- What people and models wrote; gone after an erasure.
CREATE TABLE texts (
    conversation TEXT NOT NULL,
    node TEXT NOT NULL,
    salt BLOB NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (conversation, node)
) WITHOUT ROWID;

-- The rules that were in force, whole.
CREATE TABLE policies (
    digest TEXT NOT NULL PRIMARY KEY,
    body BLOB NOT NULL
) WITHOUT ROWID;

-- What the fold makes of the events, written with them: it can be made again from them.
CREATE TABLE nodes (
    conversation TEXT NOT NULL,
    node TEXT NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (conversation, node)
) WITHOUT ROWID;

CREATE TABLE conversations (
    id TEXT NOT NULL PRIMARY KEY,
    number INTEGER NOT NULL,
    head BLOB NOT NULL,
    facts BLOB NOT NULL,
    scope TEXT NOT NULL,
    external TEXT,
    opened_at INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
    messages INTEGER NOT NULL,
    held INTEGER NOT NULL,
    ended INTEGER NOT NULL
) WITHOUT ROWID;

CREATE INDEX conversations_external ON conversations (scope, external) WHERE external IS NOT NULL;

-- Keyed digests by which a client's messages are recognised; gone after an erasure.
CREATE TABLE lookups (
    digest BLOB NOT NULL,
    conversation TEXT NOT NULL,
    node TEXT NOT NULL,
    own INTEGER NOT NULL,
    PRIMARY KEY (digest, conversation, node)
) WITHOUT ROWID;

CREATE TABLE secrets (
    name TEXT NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) WITHOUT ROWID;
