-- name: append
-- With a state or without, one statement: several of them go in one round trip.
WITH kept AS (
    INSERT INTO config.states (version, sealed)
    SELECT $2::bigint, $10::bytea WHERE $10::bytea IS NOT NULL
)
INSERT INTO config.history (seq, version, kind, at, author, reason, body, previous, hash)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)

-- name: entries
SELECT seq, version, kind, at, author, reason, body, previous, hash
FROM config.history WHERE seq > $1 ORDER BY seq LIMIT $2

-- name: last
SELECT seq, version, kind, at, author, reason, body, previous, hash
FROM config.history ORDER BY seq DESC LIMIT 1

-- name: state
SELECT sealed FROM config.states WHERE version = $1

-- name: hubs
-- The hub's pool names itself by its service.
SELECT DISTINCT coalesce(host(client_addr), 'this machine') AS place
FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'ecap-config'
