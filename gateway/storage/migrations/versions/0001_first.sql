CREATE TABLE callers (
    spiffe_id TEXT NOT NULL,
    roles TEXT NOT NULL,
    merchants TEXT,
    enabled INTEGER NOT NULL,
    PRIMARY KEY (spiffe_id)
)
 WITHOUT ROWID;

CREATE TABLE holds (
    scope INTEGER NOT NULL,
    payments_since INTEGER,
    cards_since INTEGER,
    PRIMARY KEY (scope),
    FOREIGN KEY(scope) REFERENCES scopes (scope)
);

CREATE TABLE restores (
    restore INTEGER NOT NULL,
    anchor BLOB NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (restore),
    UNIQUE (anchor)
);

CREATE TABLE epochs (
    epoch_number INTEGER NOT NULL,
    epoch TEXT NOT NULL,
    state INTEGER NOT NULL,
    made_at INTEGER NOT NULL,
    due_at INTEGER,
    destroyed_at INTEGER,
    moved INTEGER NOT NULL,
    instance TEXT NOT NULL,
    lease_until INTEGER,
    PRIMARY KEY (epoch_number),
    UNIQUE (epoch)
);

CREATE TABLE policies (
    number INTEGER NOT NULL,
    document BLOB NOT NULL,
    sha256 BLOB NOT NULL,
    published_at INTEGER NOT NULL,
    PRIMARY KEY (number)
);

CREATE TABLE policy_clock (
    only INTEGER NOT NULL,
    mark INTEGER NOT NULL,
    PRIMARY KEY (only)
);

CREATE TABLE retention_sweeps (
    sweep INTEGER NOT NULL,
    at INTEGER NOT NULL,
    cards INTEGER NOT NULL,
    PRIMARY KEY (sweep)
);

CREATE TABLE scopes (
    scope INTEGER NOT NULL,
    merchant TEXT NOT NULL,
    log_generation INTEGER NOT NULL,
    PRIMARY KEY (scope),
    UNIQUE (merchant)
);

CREATE TABLE cards (
    card INTEGER NOT NULL,
    scope INTEGER NOT NULL,
    token TEXT NOT NULL,
    customer_reference TEXT NOT NULL,
    state INTEGER NOT NULL,
    brand TEXT NOT NULL,
    last_four TEXT,
    expiry INTEGER,
    purposes INTEGER NOT NULL,
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
    PRIMARY KEY (card),
    UNIQUE (scope, token),
    FOREIGN KEY(scope) REFERENCES scopes (scope)
);

CREATE INDEX cards_by_age ON cards (scope, card);

CREATE INDEX cards_by_customer ON cards (scope, customer_reference, card) WHERE customer_reference != '';

CREATE INDEX cards_by_last_four ON cards (scope, last_four, substr(number_fingerprint, 1, 8)) WHERE last_four IS NOT NULL;

CREATE INDEX cards_erased ON cards (scope, card) WHERE state = 2;

CREATE TABLE charge_once (
    scope INTEGER NOT NULL,
    "key" TEXT NOT NULL,
    payment TEXT NOT NULL,
    PRIMARY KEY (scope, "key"),
    FOREIGN KEY(scope) REFERENCES scopes (scope)
)
 WITHOUT ROWID;

CREATE TABLE denials (
    scope INTEGER NOT NULL,
    minute INTEGER NOT NULL,
    caller TEXT NOT NULL,
    rule TEXT NOT NULL,
    denials INTEGER NOT NULL,
    PRIMARY KEY (scope, minute, caller, rule),
    FOREIGN KEY(scope) REFERENCES scopes (scope)
)
 WITHOUT ROWID;

CREATE TABLE log_heads (
    scope INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    size INTEGER NOT NULL,
    frontier BLOB NOT NULL,
    PRIMARY KEY (scope, generation),
    FOREIGN KEY(scope) REFERENCES scopes (scope)
)
 WITHOUT ROWID;

CREATE TABLE merchants (
    scope INTEGER NOT NULL,
    state INTEGER NOT NULL,
    policy_version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    display_name TEXT NOT NULL,
    environment INTEGER NOT NULL,
    show_bin INTEGER NOT NULL,
    show_fingerprint INTEGER NOT NULL,
    deactivated_at INTEGER,
    PRIMARY KEY (scope),
    CONSTRAINT merchant_shows_one CHECK (show_bin = 0 OR show_fingerprint = 0),
    FOREIGN KEY(scope) REFERENCES scopes (scope)
);

CREATE TABLE policy_notices (
    scope INTEGER NOT NULL,
    number INTEGER NOT NULL,
    widens INTEGER NOT NULL,
    dispatched_at INTEGER NOT NULL,
    posted_at INTEGER,
    effective_at INTEGER NOT NULL,
    accepted_at INTEGER,
    PRIMARY KEY (scope, number),
    CONSTRAINT a_widening_waits_30_days CHECK (widens = 0 OR effective_at >= dispatched_at + 2592000000000 OR (posted_at IS NOT NULL AND effective_at >= posted_at + 2592000000000)),
    FOREIGN KEY(scope) REFERENCES scopes (scope)
)
 WITHOUT ROWID;

CREATE TABLE processor_accounts (
    account INTEGER NOT NULL,
    scope INTEGER NOT NULL,
    name TEXT NOT NULL,
    processor TEXT NOT NULL,
    environment INTEGER NOT NULL,
    external_account TEXT NOT NULL,
    host TEXT NOT NULL,
    state INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    accepted_at INTEGER,
    checked_at INTEGER,
    check_result INTEGER,
    check_failure_reason TEXT NOT NULL,
    PRIMARY KEY (account),
    UNIQUE (scope, name),
    FOREIGN KEY(scope) REFERENCES scopes (scope)
);

CREATE TABLE request_records (
    scope INTEGER NOT NULL,
    request_id BLOB NOT NULL,
    rpc TEXT NOT NULL,
    item INTEGER NOT NULL,
    digest BLOB NOT NULL,
    resource TEXT NOT NULL,
    entry_index INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    mismatches INTEGER NOT NULL,
    PRIMARY KEY (scope, request_id, rpc, item),
    FOREIGN KEY(scope) REFERENCES scopes (scope)
)
 WITHOUT ROWID;

CREATE TABLE wrapping_keys (
    wrapping_key INTEGER NOT NULL,
    scope INTEGER NOT NULL,
    key_id TEXT NOT NULL,
    purpose INTEGER NOT NULL,
    epoch TEXT NOT NULL,
    wrapped BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    retired_at INTEGER,
    PRIMARY KEY (wrapping_key),
    UNIQUE (scope, key_id),
    FOREIGN KEY(scope) REFERENCES scopes (scope)
);

CREATE TABLE credential_references (
    card INTEGER NOT NULL,
    account INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    sealed BLOB NOT NULL,
    PRIMARY KEY (card, account),
    FOREIGN KEY(card) REFERENCES cards (card),
    FOREIGN KEY(account) REFERENCES processor_accounts (account)
)
 WITHOUT ROWID;

CREATE TABLE customers (
    scope INTEGER NOT NULL,
    account INTEGER NOT NULL,
    customer_reference TEXT NOT NULL,
    customer TEXT NOT NULL,
    PRIMARY KEY (scope, account, customer_reference),
    FOREIGN KEY(scope) REFERENCES scopes (scope),
    FOREIGN KEY(account) REFERENCES processor_accounts (account)
)
 WITHOUT ROWID;

CREATE TABLE processor_credentials (
    credential INTEGER NOT NULL,
    account INTEGER NOT NULL,
    name TEXT NOT NULL,
    state INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    retired_at INTEGER,
    wrapping_key INTEGER,
    wrapped BLOB,
    sealed BLOB,
    PRIMARY KEY (credential),
    UNIQUE (account, name),
    CONSTRAINT credential_is_whole CHECK ((retired_at IS NULL) = (sealed IS NOT NULL) AND (wrapping_key IS NULL) = (sealed IS NULL) AND (wrapped IS NULL) = (sealed IS NULL)),
    FOREIGN KEY(account) REFERENCES processor_accounts (account),
    FOREIGN KEY(wrapping_key) REFERENCES wrapping_keys (wrapping_key)
);

CREATE TABLE data_keys (
    card INTEGER NOT NULL,
    purpose INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    wrapping_key INTEGER NOT NULL,
    wrapped BLOB NOT NULL,
    PRIMARY KEY (card, purpose, kind),
    FOREIGN KEY(card) REFERENCES cards (card),
    FOREIGN KEY(wrapping_key) REFERENCES wrapping_keys (wrapping_key)
)
 WITHOUT ROWID;

CREATE TABLE log_entries (
    entry INTEGER NOT NULL,
    scope INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    position INTEGER NOT NULL,
    leaf BLOB NOT NULL,
    nodes BLOB NOT NULL,
    card INTEGER,
    card_salt BLOB,
    object_salt BLOB,
    PRIMARY KEY (entry),
    UNIQUE (scope, generation, position),
    FOREIGN KEY(scope) REFERENCES scopes (scope),
    FOREIGN KEY(card) REFERENCES cards (card)
);

CREATE INDEX log_entries_by_card ON log_entries (card) WHERE card IS NOT NULL;

CREATE TABLE payments (
    payment INTEGER NOT NULL,
    scope INTEGER NOT NULL,
    name TEXT NOT NULL,
    request_id BLOB NOT NULL,
    state INTEGER NOT NULL,
    step INTEGER NOT NULL,
    minor_units INTEGER NOT NULL,
    currency TEXT NOT NULL,
    card INTEGER NOT NULL,
    purpose INTEGER NOT NULL,
    capture_automatically INTEGER NOT NULL,
    account INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    caller TEXT NOT NULL,
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
    PRIMARY KEY (payment),
    UNIQUE (scope, name),
    FOREIGN KEY(scope) REFERENCES scopes (scope),
    FOREIGN KEY(card) REFERENCES cards (card),
    FOREIGN KEY(account) REFERENCES processor_accounts (account)
);

CREATE INDEX payments_by_amount ON payments (scope, minor_units, currency, created_at);

CREATE INDEX payments_by_card ON payments (card, created_at);

CREATE INDEX payments_by_charge_once_key ON payments (scope, charge_once_key) WHERE charge_once_key != '';

CREATE INDEX payments_by_merchant_reference ON payments (scope, merchant_reference, created_at) WHERE merchant_reference != '';

CREATE INDEX payments_by_processor_object ON payments (scope, processor_object) WHERE processor_object != '';

CREATE INDEX payments_by_state ON payments (scope, state, created_at);

CREATE INDEX payments_by_time ON payments (scope, created_at);

CREATE INDEX payments_needing_attention ON payments (created_at) WHERE state = 12;

CREATE INDEX payments_unsettled ON payments (created_at) WHERE state IN (1, 2, 3, 11);

CREATE TABLE moves (
    move INTEGER NOT NULL,
    scope INTEGER NOT NULL,
    name TEXT NOT NULL,
    kind INTEGER NOT NULL,
    payment INTEGER NOT NULL,
    request_id BLOB NOT NULL,
    status INTEGER NOT NULL,
    minor_units INTEGER NOT NULL,
    currency TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    caller TEXT NOT NULL,
    lease_instance TEXT,
    lease_until INTEGER,
    processor_object TEXT NOT NULL,
    failure_reason TEXT NOT NULL,
    reason TEXT NOT NULL,
    next_check_at INTEGER,
    origin INTEGER NOT NULL,
    PRIMARY KEY (move),
    UNIQUE (scope, name),
    FOREIGN KEY(scope) REFERENCES scopes (scope),
    FOREIGN KEY(payment) REFERENCES payments (payment)
);

CREATE INDEX moves_by_payment ON moves (payment);

CREATE INDEX moves_by_status ON moves (scope, kind, status, created_at);

CREATE INDEX moves_by_time ON moves (scope, kind, created_at);

CREATE INDEX moves_unsettled ON moves (created_at) WHERE status IN (1, 5);

CREATE TABLE payment_events (
    scope INTEGER NOT NULL,
    position INTEGER NOT NULL,
    payment INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    at INTEGER NOT NULL,
    previous_state INTEGER,
    state INTEGER NOT NULL,
    authorized INTEGER NOT NULL,
    capturable INTEGER NOT NULL,
    captured INTEGER NOT NULL,
    refunded INTEGER NOT NULL,
    refund_pending INTEGER NOT NULL,
    move INTEGER,
    move_status INTEGER,
    PRIMARY KEY (scope, position),
    FOREIGN KEY(scope) REFERENCES scopes (scope),
    FOREIGN KEY(payment) REFERENCES payments (payment),
    FOREIGN KEY(move) REFERENCES moves (move)
)
 WITHOUT ROWID;

CREATE INDEX payment_events_by_payment ON payment_events (payment, position);

INSERT INTO scopes (merchant, log_generation) VALUES ('gateway', 1);
