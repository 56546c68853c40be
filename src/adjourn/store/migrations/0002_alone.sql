-- A message is recognised by its path, and by itself alone where the client has cut off what came before.
CREATE TABLE recognised (
    conversation TEXT NOT NULL,
    digest BLOB NOT NULL,
    alone BLOB NOT NULL,
    node TEXT NOT NULL,
    own INTEGER NOT NULL,
    PRIMARY KEY (conversation, digest, node)
) WITHOUT ROWID;

INSERT INTO recognised SELECT conversation, digest, x'', node, own FROM lookups;

DROP TABLE lookups;

ALTER TABLE recognised RENAME TO lookups;

CREATE INDEX lookups_digest ON lookups (digest);

-- own: 0 for what a client told, 1 for what was received, 2 for what this host said.
CREATE INDEX lookups_alone ON lookups (alone) WHERE own = 2;
