-- name: add
-- Nothing when the e-mail is taken.
INSERT INTO auth.users (id, sealed, email_hash, password_hash, roles, created_at)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (email_hash) DO NOTHING
RETURNING id, sealed, roles, version, created_at, disabled_at, epoch, password_hash;

-- name: account
SELECT id, sealed, roles, version, created_at, disabled_at, epoch, password_hash
FROM auth.users
WHERE id = $1;

-- name: account_by_email
SELECT id, sealed, roles, version, created_at, disabled_at, epoch, password_hash
FROM auth.users
WHERE email_hash = $1;

-- name: page
-- Oldest first; $2/$3 are the last row of the page before.
SELECT id, sealed, roles, version, created_at, disabled_at, epoch, password_hash
FROM auth.users
WHERE ($1::bytea IS NULL OR email_hash = $1)
  AND ($2::timestamptz IS NULL OR (created_at, id) > ($2, $3::uuid))
ORDER BY created_at, id
LIMIT $4;

-- name: change
-- NULL leaves a column as it is; $5 is the version the caller saw. What was issued before has
-- other roles in it.
UPDATE auth.users
SET roles = coalesce($2, roles),
    disabled_at = CASE
        WHEN $3::boolean IS NULL THEN disabled_at
        WHEN $3 THEN coalesce(disabled_at, $4)
    END,
    version = version + 1,
    epoch = epoch + 1
WHERE id = $1 AND version = $5
RETURNING id, sealed, roles, version, created_at, disabled_at, epoch, password_hash;

-- name: one_admin_change
-- Two administrators must not remove each other at the same moment.
SELECT pg_advisory_xact_lock($1);

-- name: has_admin
SELECT EXISTS (SELECT FROM auth.users WHERE 'admin' = ANY (roles) AND disabled_at IS NULL);

-- name: set_password
-- $3 is the hash that was checked: of two changes at once, one wins.
UPDATE auth.users SET password_hash = $2 WHERE id = $1 AND password_hash = $3 RETURNING id;

-- name: end_epoch
UPDATE auth.users SET epoch = epoch + 1 WHERE id = $1 RETURNING epoch;

-- name: standing
-- Of an account and one of its sessions, if access through it goes on.
SELECT u.roles
FROM auth.users u
JOIN auth.sessions s ON s.user_id = u.id
WHERE u.id = $1 AND s.id = $2 AND u.epoch = $3
  AND u.disabled_at IS NULL AND s.revoked_at IS NULL;

-- name: open_session
-- Nothing when access was ended since $3 was read; locked, so that it is not ended meanwhile.
INSERT INTO auth.sessions (id, user_id, created_at, refreshed_at, expires_at, access_until)
SELECT $1, u.id, $4, $4, $5, $6
FROM auth.users u
WHERE u.id = $2 AND u.epoch = $3 AND u.disabled_at IS NULL
FOR SHARE
RETURNING id;

-- name: sessions
-- Newest first; $4/$5 are the last row of the page before.
SELECT id, created_at, refreshed_at, expires_at
FROM auth.sessions
WHERE user_id = $1 AND revoked_at IS NULL AND expires_at > $2 AND created_at > $3
  AND ($4::timestamptz IS NULL OR (created_at, id) < ($4, $5::uuid))
ORDER BY created_at DESC, id DESC
LIMIT $6;

-- name: forget_expired_sessions
DELETE FROM auth.sessions WHERE user_id = $1 AND expires_at <= $2;

-- name: add_token
INSERT INTO auth.refresh_tokens (hash, session_id, expires_at) VALUES ($1, $2, $3);

-- name: token
-- Locked, so that of two uses at once one is the second.
SELECT t.session_id, t.expires_at, t.used_at, t.successor, t.successor_until,
       s.revoked_at, s.created_at AS began_at,
       u.id, u.sealed, u.roles, u.version, u.created_at, u.disabled_at, u.epoch
FROM auth.refresh_tokens t
JOIN auth.sessions s ON s.id = t.session_id
JOIN auth.users u ON u.id = s.user_id
WHERE t.hash = $1
FOR UPDATE OF s, t;

-- name: use_token
UPDATE auth.refresh_tokens SET used_at = $2, successor = $3, successor_until = $4 WHERE hash = $1;

-- name: erase_successors
UPDATE auth.refresh_tokens
SET successor = NULL
WHERE successor IS NOT NULL AND successor_until <= $1;

-- name: forget_expired_tokens
DELETE FROM auth.refresh_tokens WHERE session_id = $1 AND expires_at <= $2;

-- name: extend_session
UPDATE auth.sessions SET expires_at = $2 WHERE id = $1;

-- name: refresh_session
-- An access token that was given out before may live longer.
UPDATE auth.sessions
SET refreshed_at = $2, access_until = greatest(access_until, $3)
WHERE id = $1;

-- name: revoke_session
-- Of the account $3; NULL: of anybody.
UPDATE auth.sessions
SET revoked_at = $1
WHERE id = $2 AND ($3::uuid IS NULL OR user_id = $3) AND revoked_at IS NULL
RETURNING id, user_id, access_until;

-- name: revoke_session_of_token
UPDATE auth.sessions
SET revoked_at = $1
WHERE id = (SELECT session_id FROM auth.refresh_tokens WHERE hash = $2) AND revoked_at IS NULL
RETURNING id, user_id, access_until;

-- name: revoke_sessions
UPDATE auth.sessions SET revoked_at = $2 WHERE user_id = $1 AND revoked_at IS NULL;

-- name: one_key_change
-- Replicas that start at once agree on one key.
SELECT pg_advisory_xact_lock($1);

-- name: signing_keys
SELECT kid, wrapped, signs_from, retires_at
FROM auth.signing_keys
WHERE retires_at > $1
ORDER BY signs_from DESC;

-- name: add_signing_key
INSERT INTO auth.signing_keys (kid, wrapped, public, created_at, signs_from, retires_at)
VALUES ($1, $2, $3, $4, $5, $6);

-- name: published_keys
SELECT public FROM auth.signing_keys WHERE retires_at > $1 ORDER BY signs_from DESC;

-- name: lookup_key
SELECT sealed FROM auth.lookup_keys WHERE name = $1;

-- name: make_lookup_key
-- Of replicas that start at once, the first one's.
INSERT INTO auth.lookup_keys AS k (name, sealed) VALUES ($1, $2)
ON CONFLICT (name) DO UPDATE SET sealed = k.sealed
RETURNING sealed;

-- name: begin_guesses
INSERT INTO auth.guesses (key, failures, at, next_at, forget_at)
SELECT key, 0, clock_timestamp(), clock_timestamp(), clock_timestamp()
FROM unnest($1::bytea[]) AS key
ORDER BY key
ON CONFLICT (key) DO NOTHING;

-- name: guesses
-- Locked, in the same order by everybody: tries at the same time are counted one by one.
SELECT key, failures, at, next_at, right_at, told_at
FROM auth.guesses
WHERE key = ANY ($1::bytea[])
ORDER BY key
FOR UPDATE;

-- name: now
-- Not that of the transaction, which began before it had the locks.
SELECT clock_timestamp();

-- name: count_guesses
UPDATE auth.guesses g
SET failures = n.failures, at = n.at, next_at = n.next_at, right_at = n.right_at,
    told_at = n.told_at, forget_at = n.forget_at
FROM unnest($1::bytea[], $2::float8[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[],
            $6::timestamptz[], $7::timestamptz[])
    AS n (key, failures, at, next_at, right_at, told_at, forget_at)
WHERE g.key = n.key;

-- name: forget_guesses
-- More at a time than a try adds, and what somebody else looks at is left to the next.
DELETE FROM auth.guesses WHERE key IN (
    SELECT key FROM auth.guesses WHERE forget_at <= now() LIMIT 10 FOR UPDATE SKIP LOCKED
);
-- name: count_failure
-- Of two replicas at the turn of the hour, the clock that is behind counts for the new one.
INSERT INTO auth.failures AS f (slot, hour, count) VALUES ($1, $2, 1)
ON CONFLICT (slot) DO UPDATE
SET count = CASE WHEN f.hour < excluded.hour THEN 1 ELSE f.count + 1 END,
    hour = greatest(f.hour, excluded.hour)
RETURNING count;

-- name: sealed_accounts
SELECT id, sealed FROM auth.users WHERE id = ANY ($1);
