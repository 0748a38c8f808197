CREATE TABLE callers (
    spiffe_id TEXT NOT NULL,
    roles TEXT NOT NULL,
    merchants TEXT,
    PRIMARY KEY (spiffe_id)
)
 WITHOUT ROWID;

CREATE TABLE merchants (
    id INTEGER NOT NULL,
    name TEXT NOT NULL,
    state TEXT NOT NULL,
    policy_version INTEGER NOT NULL,
    log_generation INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (name)
);

CREATE TABLE cards (
    id INTEGER NOT NULL,
    merchant_id INTEGER NOT NULL,
    token TEXT NOT NULL,
    customer_reference TEXT NOT NULL,
    state TEXT NOT NULL,
    brand TEXT NOT NULL,
    last_four TEXT NOT NULL,
    expiry_month INTEGER,
    expiry_year INTEGER,
    purposes TEXT NOT NULL,
    agreement_reference TEXT NOT NULL,
    mandate_expires_at INTEGER,
    policy_version INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    last_used_at INTEGER,
    erased_at INTEGER,
    sealed BLOB,
    number_fingerprint BLOB,
    expiry_fingerprint BLOB,
    PRIMARY KEY (id),
    FOREIGN KEY(merchant_id) REFERENCES merchants (id)
);

CREATE UNIQUE INDEX cards_by_token ON cards (merchant_id, token);

CREATE TABLE charge_once (
    merchant_id INTEGER NOT NULL,
    "key" TEXT NOT NULL,
    payment TEXT NOT NULL,
    PRIMARY KEY (merchant_id, "key"),
    FOREIGN KEY(merchant_id) REFERENCES merchants (id)
)
 WITHOUT ROWID;

CREATE TABLE log_entries (
    merchant_id INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    position INTEGER NOT NULL,
    leaf BLOB NOT NULL,
    card_id INTEGER,
    card_salt BLOB,
    object_salt BLOB,
    PRIMARY KEY (merchant_id, generation, position),
    FOREIGN KEY(merchant_id) REFERENCES merchants (id)
)
 WITHOUT ROWID;

CREATE INDEX log_entries_of_card ON log_entries (card_id) WHERE card_id IS NOT NULL;

CREATE TABLE log_heads (
    merchant_id INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    size INTEGER NOT NULL,
    frontier BLOB NOT NULL,
    PRIMARY KEY (merchant_id, generation),
    FOREIGN KEY(merchant_id) REFERENCES merchants (id)
)
 WITHOUT ROWID;

CREATE TABLE log_nodes (
    merchant_id INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    level INTEGER NOT NULL,
    position INTEGER NOT NULL,
    hash BLOB NOT NULL,
    PRIMARY KEY (merchant_id, generation, level, position),
    FOREIGN KEY(merchant_id) REFERENCES merchants (id)
)
 WITHOUT ROWID;

CREATE TABLE moves (
    id INTEGER NOT NULL,
    merchant_id INTEGER NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    payment TEXT NOT NULL,
    request_id TEXT NOT NULL,
    status TEXT NOT NULL,
    amount INTEGER NOT NULL,
    currency TEXT NOT NULL,
    caller TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    lease_instance TEXT,
    lease_until INTEGER,
    processor_object TEXT NOT NULL,
    failure_reason TEXT NOT NULL,
    reason TEXT NOT NULL,
    next_check_at INTEGER,
    PRIMARY KEY (id),
    FOREIGN KEY(merchant_id) REFERENCES merchants (id)
);

CREATE UNIQUE INDEX moves_by_name ON moves (merchant_id, name);

CREATE INDEX moves_of_payment ON moves (merchant_id, payment);

CREATE INDEX moves_unsettled ON moves (next_check_at) WHERE status IN ('submitted', 'unknown');

CREATE TABLE payments (
    id INTEGER NOT NULL,
    merchant_id INTEGER NOT NULL,
    name TEXT NOT NULL,
    request_id TEXT NOT NULL,
    state TEXT NOT NULL,
    step TEXT NOT NULL,
    amount INTEGER NOT NULL,
    currency TEXT NOT NULL,
    card TEXT NOT NULL,
    purpose TEXT NOT NULL,
    capture_automatically INTEGER NOT NULL,
    account TEXT NOT NULL,
    caller TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    lease_instance TEXT,
    lease_until INTEGER,
    authorized INTEGER NOT NULL,
    capturable INTEGER NOT NULL,
    captured INTEGER NOT NULL,
    refunded INTEGER NOT NULL,
    refund_pending INTEGER NOT NULL,
    charge_once_key TEXT NOT NULL,
    processor_object TEXT NOT NULL,
    customer TEXT NOT NULL,
    capture_before INTEGER,
    decline TEXT,
    failure_reason TEXT NOT NULL,
    redirect_url TEXT NOT NULL,
    merchant_reference TEXT NOT NULL,
    description TEXT NOT NULL,
    statement_descriptor_suffix TEXT NOT NULL,
    return_url TEXT NOT NULL,
    metadata TEXT NOT NULL,
    network_transaction_id TEXT NOT NULL,
    absent_inquiries INTEGER NOT NULL,
    next_check_at INTEGER,
    PRIMARY KEY (id),
    FOREIGN KEY(merchant_id) REFERENCES merchants (id)
);

CREATE INDEX payments_by_charge_once_key ON payments (merchant_id, charge_once_key) WHERE charge_once_key <> '';

CREATE UNIQUE INDEX payments_by_name ON payments (merchant_id, name);

CREATE INDEX payments_by_processor_object ON payments (merchant_id, processor_object) WHERE processor_object <> '';

CREATE INDEX payments_unsettled ON payments (next_check_at) WHERE state IN ('submitted', 'unknown');

CREATE TABLE processor_accounts (
    merchant_id INTEGER NOT NULL,
    account TEXT NOT NULL,
    processor TEXT NOT NULL,
    environment TEXT NOT NULL,
    external_account TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (merchant_id, account),
    FOREIGN KEY(merchant_id) REFERENCES merchants (id)
)
 WITHOUT ROWID;

CREATE TABLE processor_customers (
    merchant_id INTEGER NOT NULL,
    account TEXT NOT NULL,
    customer_reference TEXT NOT NULL,
    customer TEXT NOT NULL,
    PRIMARY KEY (merchant_id, account, customer_reference),
    FOREIGN KEY(merchant_id) REFERENCES merchants (id)
)
 WITHOUT ROWID;

CREATE TABLE request_records (
    merchant_id INTEGER NOT NULL,
    rpc TEXT NOT NULL,
    request_id BLOB NOT NULL,
    digest BLOB NOT NULL,
    resource TEXT NOT NULL,
    entry_index INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    mismatches INTEGER NOT NULL,
    PRIMARY KEY (merchant_id, rpc, request_id),
    FOREIGN KEY(merchant_id) REFERENCES merchants (id)
)
 WITHOUT ROWID;

CREATE TABLE wrapping_keys (
    merchant_id INTEGER NOT NULL,
    key_id TEXT NOT NULL,
    purpose TEXT NOT NULL,
    epoch TEXT NOT NULL,
    wrapped BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (merchant_id, key_id),
    FOREIGN KEY(merchant_id) REFERENCES merchants (id)
)
 WITHOUT ROWID;

CREATE UNIQUE INDEX wrapping_keys_one ON wrapping_keys (merchant_id, purpose, epoch);

CREATE TABLE card_keys (
    card_id INTEGER NOT NULL,
    kind TEXT NOT NULL,
    purpose TEXT NOT NULL,
    wrapping_key_id TEXT NOT NULL,
    wrapped BLOB NOT NULL,
    PRIMARY KEY (card_id, kind, purpose),
    FOREIGN KEY(card_id) REFERENCES cards (id)
)
 WITHOUT ROWID;

CREATE TABLE card_references (
    card_id INTEGER NOT NULL,
    account TEXT NOT NULL,
    generation INTEGER NOT NULL,
    sealed BLOB NOT NULL,
    PRIMARY KEY (card_id, account),
    FOREIGN KEY(card_id) REFERENCES cards (id)
)
 WITHOUT ROWID;

-- The scope of rows and entries that belong to the gateway itself.
INSERT INTO merchants (name, state, policy_version, log_generation, created_at)
VALUES ('gateway', 'active', 0, 1, 0);
