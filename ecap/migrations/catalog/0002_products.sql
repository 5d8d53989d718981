CREATE EXTENSION IF NOT EXISTS pg_trgm WITH SCHEMA public;

CREATE TABLE catalog.categories (
    slug text PRIMARY KEY,
    name text NOT NULL
);

CREATE TABLE catalog.products (
    id uuid PRIMARY KEY,
    sku text NOT NULL UNIQUE,
    name text NOT NULL,
    description text NOT NULL,
    category text NOT NULL REFERENCES catalog.categories (slug),
    price numeric(12, 2) NOT NULL CHECK (price >= 0),
    currency text NOT NULL,
    -- What shoppers see. Orders own the stock that is sold from; the stream brings it here.
    stock integer NOT NULL CHECK (stock >= 0),
    -- Units lost or sold beyond what was shown in stock; the next arrivals pay them. With
    -- it the number shown is the same in whatever order arrivals and sales come to know
    -- of each other.
    owed integer NOT NULL DEFAULT 0 CHECK (owed >= 0 AND (owed = 0 OR stock = 0)),
    active boolean NOT NULL DEFAULT true,
    version bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    search tsvector GENERATED ALWAYS AS (
        setweight(to_tsvector('english', name), 'A')
        || setweight(to_tsvector('english', replace(category, '-', ' ')), 'B')
        || setweight(to_tsvector('english', description), 'C')
    ) STORED
) WITH (fillfactor = 70);

CREATE INDEX products_search ON catalog.products USING gin (search);
CREATE INDEX products_page ON catalog.products (name, id) WHERE active;
CREATE INDEX products_category_page ON catalog.products (category, name, id) WHERE active;
