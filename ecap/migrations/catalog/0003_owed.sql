-- Units lost or sold beyond what was shown in stock; the next arrivals pay them. With
-- it the number shown is the same in whatever order arrivals and sales come to know
-- of each other.
ALTER TABLE catalog.products
    ADD COLUMN owed integer NOT NULL DEFAULT 0 CHECK (owed >= 0 AND (owed = 0 OR stock = 0)),
    SET (fillfactor = 70);
