-- name: append
INSERT INTO config.history (seq, version, kind, at, author, reason, body, previous, hash)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)

-- name: keep_state
INSERT INTO config.states (version, sealed) VALUES ($1, $2)

-- name: entries
SELECT seq, version, kind, at, author, reason, body, previous, hash
FROM config.history WHERE seq > $1 ORDER BY seq LIMIT $2

-- name: last
SELECT seq, version, kind, at, author, reason, body, previous, hash
FROM config.history ORDER BY seq DESC LIMIT 1

-- name: state
SELECT sealed FROM config.states WHERE version = $1
