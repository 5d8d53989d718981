ALTER TABLE notifications.contacts ADD COLUMN sealed bytea;  -- e-mail and display name
