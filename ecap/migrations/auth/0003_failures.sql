-- How often log-ins failed in an hour, so that the security log tells of many without holding
-- as many rows. A slot is counted again in its next hour: the table has a row for each account
-- that ever failed, and some thousands for the addresses of everybody else.
CREATE TABLE auth.failures (
    slot text PRIMARY KEY,                          -- account:ID, address:NUMBER, unknown
    hour timestamptz NOT NULL,                      -- start of the hour that is counted
    count bigint NOT NULL
) WITH (fillfactor = 70);
