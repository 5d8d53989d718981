-- name: create_profiles
INSERT INTO users.profiles (user_id, sealed, registered_at)
SELECT * FROM unnest($1::uuid[], $2::bytea[], $3::timestamptz[])
ON CONFLICT (user_id) DO NOTHING
