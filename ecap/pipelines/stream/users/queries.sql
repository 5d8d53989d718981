-- name: create_profiles
INSERT INTO users.profiles (user_id, email, display_name, registered_at)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::timestamptz[])
ON CONFLICT (user_id) DO NOTHING
