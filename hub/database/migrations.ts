/** Each entry takes hub.db one version up; an entry that has shipped is never changed. */
export const migrations: readonly string[] = [
  `
  CREATE TABLE devices (
    num INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL CHECK (state IN ('pending', 'accepted', 'rejected', 'preauthorized', 'decommissioned')),
    public_key TEXT NOT NULL,
    key_digest TEXT NOT NULL,
    certificate TEXT NOT NULL,
    certificate_serial TEXT NOT NULL,
    certificate_expires_ms INTEGER NOT NULL,
    claim_token INTEGER REFERENCES claim_tokens (id) ON DELETE SET NULL,
    facts TEXT NOT NULL,
    reported TEXT,
    desired_revision INTEGER NOT NULL DEFAULT 0,
    connected INTEGER NOT NULL DEFAULT 0,
    last_seen_ms INTEGER,
    created_ms INTEGER NOT NULL
  ) STRICT;

  CREATE TABLE claim_tokens (
    id INTEGER PRIMARY KEY,
    secret_hash BLOB NOT NULL UNIQUE,
    label TEXT NOT NULL,
    uses_left INTEGER NOT NULL CHECK (uses_left >= 0),
    expires_ms INTEGER NOT NULL,
    created_ms INTEGER NOT NULL
  ) STRICT;

  CREATE TABLE functions (
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    digest TEXT NOT NULL,
    manifest TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    withdrawn INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (name, version)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE assignments (
    device INTEGER NOT NULL REFERENCES devices (num) ON DELETE CASCADE,
    function TEXT NOT NULL,
    version INTEGER NOT NULL,
    disabled INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (device, function),
    FOREIGN KEY (function, version) REFERENCES functions (name, version)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE releases (
    id INTEGER PRIMARY KEY,
    created_ms INTEGER NOT NULL,
    request TEXT NOT NULL,
    devices TEXT NOT NULL
  ) STRICT;

  CREATE TABLE streams (
    id INTEGER PRIMARY KEY,
    device INTEGER NOT NULL REFERENCES devices (num),
    name TEXT NOT NULL,
    epoch TEXT NOT NULL,
    stored INTEGER NOT NULL DEFAULT 0,
    bytes INTEGER NOT NULL DEFAULT 0,
    max_seq INTEGER NOT NULL DEFAULT 0,
    UNIQUE (device, name, epoch)
  ) STRICT;

  CREATE TABLE stream_ranges (
    stream INTEGER NOT NULL REFERENCES streams (id),
    first INTEGER NOT NULL,
    last INTEGER NOT NULL CHECK (last >= first),
    PRIMARY KEY (stream, first)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE events (
    id INTEGER PRIMARY KEY,
    stream INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    event_id BLOB NOT NULL,
    time_us INTEGER NOT NULL,
    received_ms INTEGER NOT NULL,
    replayed INTEGER NOT NULL,
    content_type TEXT,
    head BLOB,
    body BLOB NOT NULL,
    UNIQUE (stream, seq)
  ) STRICT;

  CREATE TABLE logs (
    id INTEGER PRIMARY KEY,
    device INTEGER NOT NULL REFERENCES devices (num),
    time_ms INTEGER NOT NULL,
    received_ms INTEGER NOT NULL,
    level TEXT NOT NULL,
    function TEXT,
    message TEXT NOT NULL,
    fields TEXT
  ) STRICT;
  CREATE INDEX logs_by_device ON logs (device, id);

  CREATE TABLE audit (
    id INTEGER PRIMARY KEY,
    time_ms INTEGER NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    detail TEXT
  ) STRICT;
  `,
  `
  CREATE TABLE default_assignments (
    function TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    disabled INTEGER NOT NULL DEFAULT 0,
    FOREIGN KEY (function, version) REFERENCES functions (name, version)
  ) STRICT, WITHOUT ROWID;
  `,
  `
  ALTER TABLE assignments ADD COLUMN aliases TEXT NOT NULL DEFAULT '[]';
  ALTER TABLE assignments ADD COLUMN routes TEXT;
  ALTER TABLE default_assignments ADD COLUMN aliases TEXT NOT NULL DEFAULT '[]';
  ALTER TABLE default_assignments ADD COLUMN routes TEXT;
  `,
]
