import { sqlStateOf } from '../base/errors.ts';
import { turnMarks } from '../catalog/reference-copies.ts';

/** The SQLSTATE of `shardwright.nextval` where the statement needs more values than it brought. */
export const blockUsedUp = 'SW0BU';

/** See `nodeSchemaSql`. */
const nextvalSql = `CREATE OR REPLACE FUNCTION shardwright.nextval(block bigint[]) RETURNS bigint LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE COST 1 AS $$
DECLARE
  place text := 'shardwright.block_' OPERATOR(pg_catalog.||) block[1]::pg_catalog.text;
  id text := block[2]::pg_catalog.text;
  reached text := pg_catalog.current_setting(place, true);
  taken bigint := 0;
  ahead bigint;
BEGIN
  IF pg_catalog.split_part(reached, ' ', 1) OPERATOR(pg_catalog.=) id THEN
    taken := pg_catalog.split_part(reached, ' ', 2)::pg_catalog.int8;
  END IF;
  ahead := taken;
  FOR i IN 4 .. pg_catalog.array_upper(block, 1) BY 2 LOOP
    IF ahead OPERATOR(pg_catalog.<) block[i OPERATOR(pg_catalog.+) 1] THEN
      reached := pg_catalog.set_config(place, pg_catalog.concat(id, ' ', taken OPERATOR(pg_catalog.+) 1), true);
      RETURN block[i] OPERATOR(pg_catalog.+) (ahead OPERATOR(pg_catalog.*) block[3]);
    END IF;
    ahead := ahead OPERATOR(pg_catalog.-) block[i OPERATOR(pg_catalog.+) 1];
  END LOOP;
  RAISE EXCEPTION 'a block of values is used up' USING ERRCODE = '${blockUsedUp}';
END
$$;
GRANT EXECUTE ON FUNCTION shardwright.nextval(bigint[]) TO PUBLIC;
`;

/** See `nodeSchemaSql`. */
const runsTriggerSql = `CREATE OR REPLACE FUNCTION shardwright.runs_trigger(condition boolean) RETURNS boolean LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE COST 1 AS $$
BEGIN
  IF condition IS NOT TRUE THEN
    RETURN false;
  END IF;
  IF pg_catalog.pg_trigger_depth() OPERATOR(pg_catalog.>) 0 THEN
    RAISE EXCEPTION 'an action of a foreign key would run triggers of a reference table' USING ERRCODE = 'feature_not_supported',
      DETAIL = 'Each copy of the table would run them by itself, and the copies could become different.', HINT = 'Write to the table by a statement of its own before.';
  END IF;
  IF pg_catalog.current_query() OPERATOR(pg_catalog.~~) '%${turnMarks.first}' THEN
    RETURN true;
  END IF;
  IF pg_catalog.current_query() OPERATOR(pg_catalog.~~) '%${turnMarks.following}' THEN
    RETURN false;
  END IF;
  RAISE EXCEPTION 'a reference table has triggers that were not to be run' USING
    ERRCODE = 'undefined_table', DETAIL = 'The process that wrote to the table has not heard of them.', HINT = 'Try it again.';
END
$$;
GRANT EXECUTE ON FUNCTION shardwright.runs_trigger(boolean) TO PUBLIC;
`;

/** For a node that an older version of this library has made: it has no such function yet. */
export const ensureRunsTriggerSql = `DO $do$ BEGIN IF pg_catalog.to_regprocedure('shardwright.runs_trigger(boolean)') IS NULL THEN EXECUTE $renew$${runsTriggerSql}$renew$; END IF; END $do$`;

/**
 * What every node and the coordinator database hold for distributed transactions. May be run again and again.
 *
 * `decision` has the outcome of two-phase commits whose last agent is this database. A row is written once and never changed:
 * its unique key is what makes "commit" and "abort" exclude each other. `decided_at` is this server's clock, used only to tell
 * when a row may be forgotten. Everybody may insert, since a session commits in whatever role it has set.
 *
 * `lookup_change` has, within a transaction, the keys of unique lookups that rows of this node's shards have left and taken: triggers of the shards write it, in whatever way rows are written, and the process that runs
 * the transaction takes it out again and follows. A deferred trigger refuses a commit while there is something left, so that a process which does not know of a lookup cannot pass it by. See docs/decisions/0030-unique-lookups.md.
 *
 * `nextval` gives the next value of a block that the statement brings, once in a statement: `{slot, id, step, first, count, first, count …}`, of which the slot tells the blocks of one statement apart, and the id those of a transaction's statements. Where it stands
 * is in a setting of the transaction, which a savepoint takes back as it does the rows, and which writes nothing: neither does it keep a transaction from being prepared. See docs/decisions/0044-nodes-take-values-from-blocks.md.
 *
 * `runs_trigger` is asked by the triggers of copies of reference tables, with their own condition. See docs/decisions/0052-the-first-copy-runs-triggers.md.
 */
export const nodeSchemaSql = `
CREATE SCHEMA IF NOT EXISTS shardwright;
CREATE TABLE IF NOT EXISTS shardwright.decision (
  transaction_id text PRIMARY KEY,
  outcome text NOT NULL CHECK (outcome IN ('commit', 'abort')),
  decided_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
GRANT USAGE ON SCHEMA shardwright TO PUBLIC;
GRANT INSERT ON shardwright.decision TO PUBLIC;

CREATE TABLE IF NOT EXISTS shardwright.lookup_change (
  transaction_id xid8 NOT NULL DEFAULT pg_catalog.pg_current_xact_id(),
  change_id bigint GENERATED ALWAYS AS IDENTITY,
  shard text NOT NULL,
  lookup_id integer NOT NULL,
  gone text[],
  came text[],
  PRIMARY KEY (transaction_id, change_id)
);

CREATE OR REPLACE FUNCTION shardwright.lookup_key(written jsonb, columns text[]) RETURNS text[] LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog AS $$
DECLARE
  key text[] := '{}';
  name text;
BEGIN
  FOREACH name IN ARRAY columns LOOP
    IF NOT written ? name THEN
      RAISE EXCEPTION 'column "%" of a unique lookup does not exist', name USING ERRCODE = 'undefined_column';
    END IF;
    IF written ->> name IS NULL THEN
      RETURN NULL;
    END IF;
    key := key || (written ->> name);
  END LOOP;
  RETURN key;
END
$$;

CREATE OR REPLACE FUNCTION shardwright.note_lookup_change() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog SET extra_float_digits = 1 AS $$
DECLARE
  columns text[] := TG_ARGV[1:];
  gone text[];
  came text[];
BEGIN
  IF TG_OP <> 'INSERT' THEN
    gone := shardwright.lookup_key(to_jsonb(OLD), columns);
  END IF;
  IF TG_OP <> 'DELETE' THEN
    came := shardwright.lookup_key(to_jsonb(NEW), columns);
  END IF;
  IF gone IS NOT NULL OR came IS NOT NULL THEN
    INSERT INTO shardwright.lookup_change (shard, lookup_id, gone, came) VALUES (TG_TABLE_NAME, TG_ARGV[0]::integer, gone, came);
  END IF;
  RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION shardwright.take_lookup_changes() RETURNS TABLE (lookup_id integer, gone json, came json) LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS $$
  WITH taken AS (DELETE FROM shardwright.lookup_change WHERE transaction_id = pg_current_xact_id_if_assigned() RETURNING *)
  SELECT t.lookup_id, array_to_json(t.gone), array_to_json(t.came) FROM taken t ORDER BY t.change_id
$$;

CREATE OR REPLACE FUNCTION shardwright.refuse_unkept_lookup() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  IF EXISTS (SELECT FROM shardwright.lookup_change c WHERE c.transaction_id = NEW.transaction_id AND c.change_id = NEW.change_id) THEN
    RAISE EXCEPTION 'relation "%" has a unique lookup that was not written', NEW.shard USING
      ERRCODE = 'undefined_table', DETAIL = 'The process that wrote to the table has not heard of the lookup.', HINT = 'Try it again.';
  END IF;
  RETURN NULL;
END
$$;
DO $do$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_trigger WHERE tgrelid = 'shardwright.lookup_change'::pg_catalog.regclass AND tgname = 'lookups_are_kept') THEN
    CREATE CONSTRAINT TRIGGER lookups_are_kept AFTER INSERT ON shardwright.lookup_change DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION shardwright.refuse_unkept_lookup();
  END IF;
END
$do$;

${nextvalSql}${runsTriggerSql}`;

/** Takes it away again, where nobody has come to need it for something else. */
export const dropNodeSchemaSql = `
DROP TABLE IF EXISTS shardwright.lookup_change, shardwright.decision;
DROP FUNCTION IF EXISTS shardwright.lookup_key(jsonb, text[]), shardwright.note_lookup_change(), shardwright.take_lookup_changes(), shardwright.refuse_unkept_lookup(), shardwright.nextval(bigint[]), shardwright.runs_trigger(boolean);
DROP SCHEMA IF EXISTS shardwright`;

/** Any fixed number will do: two processes must not replace the function at once. */
const renewLock = '8243122740771205468';

/** Gives a node what `nextval` needs, where an older version of this library has made it a node. */
export const renewNodeSql = `SELECT pg_catalog.pg_advisory_xact_lock(${renewLock}); ${nextvalSql}`;

/** Whether a node is too old for a statement that takes values of sequences. */
export function lacksNextval(error: unknown): boolean {
  return sqlStateOf(error) === '42883' && error instanceof Error && error.message.includes('shardwright.nextval(');
}
