-- Counts what ends all access: tokens say under which they were issued, those below are refused.
-- No time stands here, as the clocks of replicas differ.
ALTER TABLE auth.users ADD COLUMN epoch bigint NOT NULL DEFAULT 1;

ALTER TABLE auth.sessions
    ADD COLUMN refreshed_at timestamptz,            -- when its newest token was given out
    ADD COLUMN access_until timestamptz;            -- its last access token has expired by then
UPDATE auth.sessions SET refreshed_at = created_at, access_until = created_at + interval '1 day';
ALTER TABLE auth.sessions
    ALTER COLUMN refreshed_at SET NOT NULL,
    ALTER COLUMN access_until SET NOT NULL;
-- Pages newest first: cursor (created_at, id).
CREATE INDEX sessions_page ON auth.sessions (user_id, created_at, id);

-- For a short grace the token that replaced a used one, sealed under a key that only the used one
-- gives: a second tab, or an answer that was lost, gets it again. Then it is erased.
ALTER TABLE auth.refresh_tokens
    ADD COLUMN successor bytea,
    ADD COLUMN successor_until timestamptz;
CREATE INDEX refresh_tokens_successor ON auth.refresh_tokens (successor_until)
    WHERE successor IS NOT NULL;
