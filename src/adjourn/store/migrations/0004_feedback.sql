-- What people said of a conversation, a message or an end; its words are gone after an erasure.
CREATE TABLE feedback (
    number INTEGER PRIMARY KEY,
    conversation TEXT NOT NULL,
    about TEXT,
    rating TEXT NOT NULL,
    reasons TEXT,
    text TEXT,
    at INTEGER NOT NULL
);

CREATE INDEX feedback_conversation ON feedback (conversation);

-- Where a receipt's number leads: it can be made again from the events.
CREATE TABLE receipts (
    number TEXT NOT NULL,
    conversation TEXT NOT NULL,
    PRIMARY KEY (number, conversation)
) WITHOUT ROWID;

INSERT OR IGNORE INTO receipts
    SELECT json_extract(CAST(body AS TEXT), '$.receipt'), conversation FROM events WHERE name = 'ended';

-- A conversation keeps its scope and the client's id, so that these cost nothing after its first message.
CREATE INDEX conversations_scope ON conversations (scope);

CREATE INDEX conversations_named ON conversations (external) WHERE external IS NOT NULL;
