-- `analyst` stays for the accounts that have it: what a marketer and a fraud_analyst may.
ALTER TABLE auth.users DROP CONSTRAINT users_roles_check;
ALTER TABLE auth.users ADD CONSTRAINT users_roles_check CHECK (
    roles <@ '{customer,support,marketer,fraud_analyst,operator,admin,analyst}'::text[]);

-- Wrong passwords, counted for an account, for an address, and for an address at an account.
-- A try counts as wrong until it was right, so that tries at the same time count, too.
CREATE TABLE auth.guesses (
    -- HMAC under the key of auth.lookup_keys: whoever reads this learns neither.
    key bytea PRIMARY KEY,
    failures double precision NOT NULL,             -- forgotten with time
    at timestamptz NOT NULL,                        -- as of when
    next_at timestamptz NOT NULL,                   -- a try before is refused
    right_at timestamptz,                           -- of an address at an account: last log in
    told_at timestamptz,                            -- of an account: when its owner was told
    forget_at timestamptz NOT NULL                  -- says nothing any more
);
CREATE INDEX guesses_forget ON auth.guesses (forget_at);
