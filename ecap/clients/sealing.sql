-- name: plain_auth_outbox
SELECT seq AS key, body FROM auth.outbox WHERE topic = 'accounts'

-- name: seal_auth_outbox
UPDATE auth.outbox SET body = $2 WHERE seq = $1

-- name: plain_dead_letters
SELECT id AS key, body FROM stream.dead_letters WHERE topic = 'accounts'

-- name: seal_dead_letters
UPDATE stream.dead_letters SET body = $2 WHERE id = $1

-- name: plain_dead_outbox
SELECT seq AS key, body FROM stream.outbox WHERE topic = 'accounts.dlq'

-- name: seal_dead_outbox
UPDATE stream.outbox SET body = $2 WHERE seq = $1
