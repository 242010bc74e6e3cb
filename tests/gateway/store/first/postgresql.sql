CREATE TABLE alembic_version (
  version_num VARCHAR(32) NOT NULL,
  CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);

CREATE SEQUENCE tocsin_id START 1000 INCREMENT 1000;

CREATE TABLE attempt (
  segment_id BIGINT NOT NULL,
  n INTEGER NOT NULL,
  at BIGINT NOT NULL,
  answered BIGINT,
  route VARCHAR NOT NULL,
  result VARCHAR NOT NULL,
  code VARCHAR NOT NULL,
  detail TEXT NOT NULL,
  CONSTRAINT pk_attempt PRIMARY KEY (segment_id, n)
);

CREATE TABLE chunk (
  message_id BIGINT NOT NULL,
  n INTEGER NOT NULL,
  account_id BIGINT NOT NULL,
  rank BIGINT NOT NULL,
  units BIGINT NOT NULL,
  allotment BIGINT NOT NULL,
  period BIGINT,
  recipients TEXT NOT NULL,
  CONSTRAINT pk_chunk PRIMARY KEY (message_id, n)
);

CREATE INDEX ix_chunk_rank_message_id ON chunk (rank, message_id);

CREATE TABLE component (
  kind VARCHAR NOT NULL,
  name VARCHAR NOT NULL,
  node BIGINT NOT NULL,
  state VARCHAR NOT NULL,
  since BIGINT NOT NULL,
  why TEXT NOT NULL,
  rate TEXT NOT NULL,
  beat BIGINT NOT NULL,
  CONSTRAINT pk_component PRIMARY KEY (kind, name, node)
);

CREATE TABLE counter (
  name VARCHAR NOT NULL,
  next BIGINT NOT NULL,
  CONSTRAINT pk_counter PRIMARY KEY (name)
);

CREATE TABLE delivery (
  id BIGINT NOT NULL,
  message_id BIGINT NOT NULL,
  channel VARCHAR NOT NULL,
  address VARCHAR NOT NULL,
  name VARCHAR NOT NULL,
  CONSTRAINT pk_delivery PRIMARY KEY (id),
  CONSTRAINT uq_delivery_message_id_channel_address UNIQUE (message_id, channel, address)
);

CREATE TABLE event (
  id BIGSERIAL NOT NULL,
  message_id BIGINT NOT NULL,
  segment_id BIGINT,
  at BIGINT NOT NULL,
  what VARCHAR NOT NULL,
  detail TEXT NOT NULL,
  CONSTRAINT pk_event PRIMARY KEY (id)
);

CREATE INDEX ix_event_message_id ON event (message_id);

CREATE TABLE hold (
  kind VARCHAR NOT NULL,
  name VARCHAR NOT NULL,
  since BIGINT NOT NULL,
  CONSTRAINT pk_hold PRIMARY KEY (kind, name)
);

CREATE TABLE incoming (
  id BIGSERIAL NOT NULL,
  at BIGINT NOT NULL,
  route VARCHAR NOT NULL,
  sender VARCHAR NOT NULL,
  address VARCHAR NOT NULL,
  text TEXT NOT NULL,
  payload BYTEA NOT NULL,
  data_coding INTEGER NOT NULL,
  esm_class INTEGER NOT NULL,
  CONSTRAINT pk_incoming PRIMARY KEY (id)
);

CREATE TABLE ledger (
  id BIGSERIAL NOT NULL,
  account_id BIGINT NOT NULL,
  at BIGINT NOT NULL,
  kind VARCHAR NOT NULL,
  pot VARCHAR NOT NULL,
  units BIGINT NOT NULL,
  message_id BIGINT,
  reason VARCHAR NOT NULL,
  CONSTRAINT pk_ledger PRIMARY KEY (id)
);

CREATE INDEX ix_ledger_account_id_id ON ledger (account_id, id);

CREATE INDEX ix_ledger_message_id ON ledger (message_id);

CREATE TABLE message (
  id BIGINT NOT NULL,
  account_id BIGINT NOT NULL,
  origin VARCHAR NOT NULL,
  created BIGINT NOT NULL,
  subject TEXT NOT NULL,
  text TEXT NOT NULL,
  at BIGINT,
  expires BIGINT NOT NULL,
  urgent BOOLEAN NOT NULL,
  automatic BOOLEAN NOT NULL,
  report_to VARCHAR,
  dsn TEXT,
  recipients INTEGER NOT NULL,
  CONSTRAINT pk_message PRIMARY KEY (id)
);

CREATE INDEX ix_message_account_id_id ON message (account_id, id);

CREATE TABLE node (
  id BIGINT NOT NULL,
  host VARCHAR NOT NULL,
  pid INTEGER NOT NULL,
  started BIGINT NOT NULL,
  beat BIGINT NOT NULL,
  CONSTRAINT pk_node PRIMARY KEY (id)
);

CREATE INDEX ix_node_beat ON node (beat);

CREATE TABLE owed (
  message_id BIGINT NOT NULL,
  since BIGINT NOT NULL,
  CONSTRAINT pk_owed PRIMARY KEY (message_id)
);

CREATE TABLE period (
  account_id BIGINT NOT NULL,
  starts BIGINT NOT NULL,
  ends BIGINT NOT NULL,
  granted BIGINT NOT NULL,
  used BIGINT NOT NULL,
  reserved BIGINT NOT NULL,
  lapsed BIGINT NOT NULL,
  CONSTRAINT pk_period PRIMARY KEY (account_id, starts),
  CONSTRAINT ck_period_never_below_zero CHECK (used >= 0 AND reserved >= 0 AND lapsed >= 0 AND used + reserved + lapsed <= granted)
);

CREATE TABLE plan (
  id BIGSERIAL NOT NULL,
  name VARCHAR NOT NULL,
  monthly INTEGER NOT NULL,
  CONSTRAINT pk_plan PRIMARY KEY (id),
  CONSTRAINT ck_plan_not_negative CHECK (monthly >= 0),
  CONSTRAINT uq_plan_name UNIQUE (name)
);

CREATE TABLE provision (
  account_id BIGINT NOT NULL,
  bought BIGINT NOT NULL,
  used BIGINT NOT NULL,
  reserved BIGINT NOT NULL,
  current BIGINT,
  CONSTRAINT pk_provision PRIMARY KEY (account_id),
  CONSTRAINT ck_provision_never_below_zero CHECK (used >= 0 AND reserved >= 0 AND used + reserved <= bought)
);

CREATE TABLE receipt (
  id BIGSERIAL NOT NULL,
  at BIGINT NOT NULL,
  route VARCHAR NOT NULL,
  peer_id VARCHAR NOT NULL,
  peer_key VARCHAR NOT NULL,
  address VARCHAR NOT NULL,
  sender VARCHAR NOT NULL,
  state VARCHAR NOT NULL,
  error VARCHAR NOT NULL,
  submitted VARCHAR NOT NULL,
  done VARCHAR NOT NULL,
  segment_id BIGINT,
  CONSTRAINT pk_receipt PRIMARY KEY (id)
);

CREATE INDEX ix_receipt_at ON receipt (at);

CREATE INDEX ix_receipt_orphan ON receipt (peer_key) WHERE segment_id IS NULL;

CREATE INDEX ix_receipt_segment_id ON receipt (segment_id) WHERE segment_id IS NOT NULL;

CREATE TABLE seen (
  account_id BIGINT NOT NULL,
  key BYTEA NOT NULL,
  message_id BIGINT NOT NULL,
  content BYTEA,
  created BIGINT NOT NULL,
  CONSTRAINT pk_seen PRIMARY KEY (account_id, key)
);

CREATE INDEX ix_seen_created ON seen (created);

CREATE TABLE segment (
  id BIGINT NOT NULL,
  delivery_id BIGINT NOT NULL,
  message_id BIGINT NOT NULL,
  account_id BIGINT NOT NULL,
  n INTEGER NOT NULL,
  parts INTEGER NOT NULL,
  channel VARCHAR NOT NULL,
  address VARCHAR NOT NULL,
  route VARCHAR NOT NULL,
  state VARCHAR NOT NULL,
  rank BIGINT,
  due BIGINT,
  expires BIGINT NOT NULL,
  attempts INTEGER NOT NULL,
  payload BYTEA,
  data_coding INTEGER NOT NULL,
  udhi BOOLEAN NOT NULL,
  concat VARCHAR NOT NULL,
  reference INTEGER,
  units INTEGER NOT NULL,
  allotment INTEGER NOT NULL,
  period BIGINT,
  urgent BOOLEAN NOT NULL,
  resent BOOLEAN NOT NULL,
  node BIGINT,
  submitted BIGINT,
  peer_id VARCHAR,
  peer_key VARCHAR,
  finished BIGINT,
  CONSTRAINT pk_segment PRIMARY KEY (id)
);

CREATE INDEX ix_segment_expiring ON segment (expires) WHERE state IN ('queued', 'held');

CREATE INDEX ix_segment_long ON segment (address) WHERE reference IS NOT NULL AND n = 1 AND state IN ('queued', 'held', 'submitting', 'unknown', 'accepted');

CREATE INDEX ix_segment_message_id ON segment (message_id, delivery_id, n);

CREATE INDEX ix_segment_peer_key ON segment (route, peer_key) WHERE peer_key IS NOT NULL;

CREATE INDEX ix_segment_ready ON segment (route, rank, id) WHERE state = 'queued' AND rank IS NOT NULL;

CREATE INDEX ix_segment_submitting ON segment (node) WHERE state = 'submitting';

CREATE INDEX ix_segment_unknown ON segment (due) WHERE state = 'unknown';

CREATE INDEX ix_segment_unknown_address ON segment (address) WHERE state = 'unknown';

CREATE INDEX ix_segment_waiting ON segment (due) WHERE state = 'queued' AND rank IS NULL;

CREATE TABLE share (
  route VARCHAR NOT NULL,
  account_id BIGINT NOT NULL,
  urgent BOOLEAN NOT NULL,
  rank BIGINT NOT NULL,
  CONSTRAINT pk_share PRIMARY KEY (route, account_id, urgent)
);

CREATE TABLE turn (
  route VARCHAR NOT NULL,
  rank BIGINT NOT NULL,
  CONSTRAINT pk_turn PRIMARY KEY (route)
);

CREATE TABLE account (
  id BIGSERIAL NOT NULL,
  name VARCHAR NOT NULL,
  plan_id BIGINT,
  mobile VARCHAR,
  zone VARCHAR NOT NULL,
  region VARCHAR,
  language VARCHAR NOT NULL,
  max_parts INTEGER NOT NULL,
  signature TEXT NOT NULL,
  text VARCHAR NOT NULL,
  transliterate BOOLEAN NOT NULL,
  cap_hour INTEGER NOT NULL,
  cap_day INTEGER NOT NULL,
  password VARCHAR,
  created BIGINT NOT NULL,
  CONSTRAINT pk_account PRIMARY KEY (id),
  CONSTRAINT fk_account_plan_id_plan FOREIGN KEY(plan_id) REFERENCES plan (id),
  CONSTRAINT uq_account_name UNIQUE (name)
);

CREATE TABLE address (
  address VARCHAR NOT NULL,
  account_id BIGINT NOT NULL,
  place INTEGER NOT NULL,
  CONSTRAINT pk_address PRIMARY KEY (address),
  CONSTRAINT fk_address_account_id_account FOREIGN KEY(account_id) REFERENCES account (id) ON DELETE CASCADE
);

CREATE INDEX ix_address_account_id ON address (account_id);

CREATE TABLE token (
  id BIGSERIAL NOT NULL,
  account_id BIGINT NOT NULL,
  name VARCHAR NOT NULL,
  digest BYTEA NOT NULL,
  created BIGINT NOT NULL,
  revoked BIGINT,
  CONSTRAINT pk_token PRIMARY KEY (id),
  CONSTRAINT fk_token_account_id_account FOREIGN KEY(account_id) REFERENCES account (id) ON DELETE CASCADE,
  CONSTRAINT uq_token_digest UNIQUE (digest)
);

CREATE INDEX ix_token_account_id ON token (account_id);

INSERT INTO counter (name, next) VALUES ('id', 1000);

INSERT INTO alembic_version (version_num) VALUES ('0001');
