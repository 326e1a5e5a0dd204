import { sqlStateOf } from '../../base/errors.ts';
import type { RawRow } from '../../cluster/node-connection.ts';
import { coordinatorNodeId } from '../../catalog/coordinator-node.ts';
import type { Draw } from '../../plan/drawn-values.ts';
import { unsupported } from '../../plan/select/unsupported.ts';
import { quoteLiteral } from '../../sql/identifiers.ts';
import type { StatementScope } from '../statement-scope.ts';
import type { SequenceBlocks } from './sequence-blocks.ts';
import { runsOf, runsSql, type TakenRuns } from './sequence-runs.ts';

/**
 * Values of a sequence that a statement names in its own words, none of which anybody keeps. They are taken in a transaction that commits at once, so that a crash of the coordinator database cannot make it give them again while a node has kept
 * them; but of a sequence that only the session's transaction sees, or has locked, in that. Errors are PostgreSQL's own: 42P01, 42501, 2200H.
 */
export async function drawCalled(scope: StatementScope, blocks: Pick<SequenceBlocks, 'takeRuns'>, { draw, count }: { readonly draw: Pick<Draw, 'kind' | 'sequence'>; readonly count: number }): Promise<TakenRuns> {
  const naming = draw.kind === 'owned' ? draw.sequence : quoteLiteral(draw.sequence);
  const own = async (): Promise<TakenRuns> => runsOf(existing((await scope.run(coordinatorNodeId, { text: runsSql(naming, count) }, 'write')).rows));
  if (!scope.inTransaction) return own();
  const { rows } = await scope.run(coordinatorNodeId, { text: nameSql(naming) }, 'read');
  const [sequence, isForOthers] = rows[0] ?? [];
  if (isForOthers !== 't' || sequence === null || sequence === undefined) return own();
  try {
    return await blocks.takeRuns(sequence, count);
  } catch (error) {
    if (!unseen.has(sqlStateOf(error) ?? '')) throw error;
    return own();
  }
}

/** A column that owns no sequence has none to name: one PostgreSQL gives NULL then. */
function existing(rows: readonly RawRow[]): readonly RawRow[] {
  if (typeof rows[0]?.[0] === 'string') return rows;
  throw unsupported('nextval() is called where nodes run it, of the sequence of a column that has none.', 'Name a column that is serial or an identity.');
}

/** Undefined table, or schema. */
const unseen: ReadonlySet<string> = new Set(['42P01', '3F000']);

/**
 * Its qualified and quoted name, and whether it is to be taken elsewhere. Not where the role may not, since whoever does it there may; nor where it is temporary; nor where the transaction has locked it, for which anybody else would wait: it has made, renamed or
 * changed it, in whatever way.
 */
function nameSql(naming: string): string {
  return `SELECT pg_catalog.format('%I.%I', n.nspname, c.relname), c.relkind = 'S' AND c.relpersistence <> 't' AND pg_catalog.has_sequence_privilege(c.oid, 'USAGE, UPDATE')
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_locks AS l WHERE l.pid = pg_catalog.pg_backend_pid() AND l.locktype = 'relation' AND l.relation = c.oid AND l.mode NOT IN ('AccessShareLock', 'RowShareLock', 'RowExclusiveLock'))
    FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = ${naming}::pg_catalog.regclass`;
}
