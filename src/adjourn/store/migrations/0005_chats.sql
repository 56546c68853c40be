-- How a chat stands in its person's own list. `beginning`, `title` and `words` are words of theirs: gone after an
-- erasure. `title`, `titled_by`, `pinned`, `away` and `deleted_at` are a person's acts; all else can be made again.
CREATE TABLE chats (
    number INTEGER PRIMARY KEY,
    conversation TEXT NOT NULL UNIQUE,
    scope TEXT NOT NULL,
    last_at INTEGER NOT NULL,
    beginning TEXT,
    flagged INTEGER NOT NULL,
    temporary INTEGER NOT NULL,
    erased INTEGER NOT NULL,
    title TEXT,
    titled_by TEXT,
    pinned INTEGER NOT NULL,
    away INTEGER NOT NULL,
    deleted_at INTEGER
);

CREATE INDEX chats_listed ON chats (scope, pinned DESC, last_at DESC, conversation);

CREATE INDEX chats_deleted ON chats (deleted_at) WHERE deleted_at IS NOT NULL AND erased = 0;

CREATE INDEX chats_temporary ON chats (last_at) WHERE temporary = 1 AND erased = 0;

-- The words of a chat, for its person's search: those of its messages, and (of_title) of its title.
CREATE TABLE words (
    chat INTEGER NOT NULL,
    word TEXT NOT NULL,
    of_title INTEGER NOT NULL,
    PRIMARY KEY (chat, word, of_title)
) WITHOUT ROWID;
