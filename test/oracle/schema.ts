/** How a table of the oracle's schema is kept in the cluster. */
export type Placement =
  | { readonly kind: 'distributed'; readonly column: string; readonly colocateWith?: string; readonly hash?: 'murmur3' }
  | { readonly kind: 'reference' }
  | { readonly kind: 'local' };

export interface OracleTable {
  /** As it stands in SQL, quoted and qualified where needed. */
  readonly name: string;
  readonly definition: string;
  readonly placement: Placement;
}

/** Objects that every server must have before tables are made: types and schemas. Run on each node too. */
export const prerequisites = `
  CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy', 'Äußerst');
  CREATE DOMAIN percentage AS int CHECK (VALUE BETWEEN 0 AND 100);
  CREATE TYPE dimensions AS (width int, height numeric);
  CREATE SCHEMA other;
  CREATE SCHEMA "Ünï";
`;

const byTenant = { kind: 'distributed', column: 'tenant_id', colocateWith: 'accounts' } as const;

/** In an order in which they can be made: foreign keys point up. The first of a colocation group leads it. */
export const tables: readonly OracleTable[] = [
  {
    name: 'regions',
    definition: `CREATE TABLE regions (id int PRIMARY KEY, name text NOT NULL, parent int, population bigint)`,
    placement: { kind: 'reference' },
  },
  {
    name: 'currencies',
    definition: `CREATE TABLE currencies (code char(3) PRIMARY KEY, name varchar(20), rate numeric(12,6))`,
    placement: { kind: 'reference' },
  },
  {
    name: 'accounts',
    definition: `CREATE TABLE accounts (
      tenant_id bigint NOT NULL, id bigint NOT NULL, name text, region_id int REFERENCES regions (id), credit numeric(12,2),
      score double precision, active boolean, joined date, feeling mood, PRIMARY KEY (tenant_id, id))`,
    placement: { kind: 'distributed', column: 'tenant_id' },
  },
  {
    name: 'orders',
    definition: `CREATE TABLE orders (
      tenant_id bigint NOT NULL, id bigint NOT NULL, account_id bigint, currency char(3), amount numeric(12,2), quantity int,
      discount real, weight double precision, status varchar(12), paid boolean, placed_at timestamptz, shipped date, tags text[],
      details jsonb, PRIMARY KEY (tenant_id, id), FOREIGN KEY (tenant_id, account_id) REFERENCES accounts (tenant_id, id));
      CREATE INDEX orders_status ON orders (status);
      CREATE INDEX orders_unpaid ON orders (lower(status)) INCLUDE (amount) WHERE NOT paid`,
    placement: byTenant,
  },
  {
    name: 'lines',
    definition: `CREATE TABLE lines (
      tenant_id bigint, order_id bigint, line int, sku text, price numeric, qty smallint, total numeric GENERATED ALWAYS AS (price * qty) STORED,
      PRIMARY KEY (tenant_id, order_id, line))`,
    placement: byTenant,
  },
  {
    name: 'ghosts',
    definition: `CREATE TABLE ghosts (tenant_id bigint NOT NULL, id int, amount numeric, label text, seen timestamptz)`,
    placement: byTenant,
  },
  {
    name: 'blanks',
    definition: `CREATE TABLE blanks (tenant_id bigint NOT NULL, id int, i int, b bigint, n numeric, f double precision, t text, o boolean, d date)`,
    placement: byTenant,
  },
  {
    name: 'events',
    definition: `CREATE TABLE events (
      key uuid NOT NULL, seq int NOT NULL, kind text, payload jsonb, at timestamp, took interval, flags bit(4), PRIMARY KEY (key, seq))`,
    placement: { kind: 'distributed', column: 'key' },
  },
  {
    name: 'visits',
    definition: `CREATE TABLE visits (event_key uuid NOT NULL, page text, ms int)`,
    placement: { kind: 'distributed', column: 'event_key', colocateWith: 'events' },
  },
  {
    name: 'notes',
    definition: `CREATE TABLE notes (author text NOT NULL, id int NOT NULL, body text, stars smallint, written date, PRIMARY KEY (author, id))`,
    placement: { kind: 'distributed', column: 'author' },
  },
  {
    name: 'marks',
    definition: `CREATE TABLE marks (tenant_id bigint NOT NULL, id int NOT NULL, label text)`,
    placement: { kind: 'distributed', column: 'tenant_id', hash: 'murmur3' },
  },
  {
    name: 'wide',
    definition: `CREATE TABLE wide (
      id int PRIMARY KEY, i2 smallint, i4 int, i8 bigint, n numeric, n2 numeric(20,4), f4 real, f8 double precision, t text, vc varchar(20),
      ch char(8), by bytea, bo boolean, d date, tm time, tmtz timetz, ts timestamp, tstz timestamptz, iv interval, u uuid, js json,
      jb jsonb, ai int[], atx text[], r4 int4range, rts tstzrange, mr int4multirange, ip inet, cd cidr, mac macaddr, bt bit(5),
      vb varbit, m mood, pt point, oi oid, cash money, c1 "char", nm name, pc percentage, dim dimensions, tsv tsvector)`,
    placement: { kind: 'distributed', column: 'id' },
  },
  {
    name: 'public.items',
    definition: `CREATE TABLE public.items (tenant_id bigint NOT NULL, id int, label text)`,
    placement: byTenant,
  },
  {
    name: 'other.items',
    definition: `CREATE TABLE other.items (tenant_id bigint NOT NULL, id int, label text)`,
    placement: byTenant,
  },
  {
    name: '"Ünï"."Odd ""Name"',
    definition: `CREATE TABLE "Ünï"."Odd ""Name" (
      "select" bigint NOT NULL, "Column With Space" text, "from" int, "quo""te" int, "Grün" text, PRIMARY KEY ("select", "from"))`,
    placement: { kind: 'distributed', column: 'select', colocateWith: 'accounts' },
  },
  {
    name: 'settings',
    definition: `CREATE TABLE settings (name text PRIMARY KEY, value text, tenant_id bigint)`,
    placement: { kind: 'local' },
  },
];

/** Small tables that write cases fill afresh: never read by the others. */
export const writeTables: readonly OracleTable[] = [
  {
    name: 'w_places',
    definition: `CREATE TABLE w_places (code text PRIMARY KEY, label text, rank int UNIQUE, seen timestamptz DEFAULT now())`,
    placement: { kind: 'reference' },
  },
  {
    name: 'w_stock',
    definition: `CREATE TABLE w_stock (
      tenant_id bigint NOT NULL, id int NOT NULL, name text DEFAULT 'none', balance numeric(12,2) DEFAULT 0 CHECK (balance >= 0),
      qty int, mark mood DEFAULT 'ok', tags text[], changed timestamptz DEFAULT now(), place text REFERENCES w_places (code),
      twice int GENERATED ALWAYS AS (qty * 2) STORED, CONSTRAINT w_stock_pkey PRIMARY KEY (tenant_id, id),
      CONSTRAINT w_stock_name UNIQUE (tenant_id, name), CONSTRAINT w_stock_limit CHECK (qty < 1000))`,
    placement: byTenant,
  },
  {
    name: 'w_log',
    definition: `CREATE TABLE w_log (
      tenant_id bigint NOT NULL, id bigserial, stock_id int, ref bigint GENERATED BY DEFAULT AS IDENTITY, token uuid DEFAULT gen_random_uuid(),
      note varchar(10), FOREIGN KEY (tenant_id, stock_id) REFERENCES w_stock (tenant_id, id) ON DELETE CASCADE)`,
    placement: byTenant,
  },
  {
    name: 'w_words',
    definition: `CREATE TABLE w_words (word text PRIMARY KEY, count int DEFAULT 1, first_seen timestamptz DEFAULT now())`,
    placement: { kind: 'distributed', column: 'word' },
  },
];
