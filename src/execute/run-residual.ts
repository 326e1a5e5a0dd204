import { coordinatorNodeId } from '../catalog/coordinator-node.ts';
import { ClusterError } from '../base/errors.ts';
import type { NodeConnection, RawRow } from '../cluster/node-connection.ts';
import type { Residual } from '../plan/merge-plan.ts';
import { copyTextRows } from './copy-text-rows.ts';
import type { StatementScope } from './statement-scope.ts';

/** Rows up to here travel as array parameters of one statement; more are copied into a temporary table first. */
const arrayRowsMax = 5_000;

export interface ResidualLimits {
  /** Bytes of text that one intermediate result may hold. */
  readonly maxIntermediateBytes: number;
}

/** Finishes rows in the coordinator database. `values`: the caller's. */
export async function* runResidual(
  scope: StatementScope,
  residual: Residual,
  { rows, values, limits }: { readonly rows: AsyncIterable<readonly RawRow[]>; readonly values: readonly unknown[]; readonly limits: ResidualLimits },
): AsyncGenerator<readonly RawRow[]> {
  const gathered = await gather(counted(rows, limits));
  const own = residual.parameters.map((number) => values[number - 1]);
  if (gathered.rest === undefined) {
    const arrays = residual.columns.map((_, i) => gathered.rows.map((row) => row[i] ?? null));
    const text = `${residual.before}${arraysSql(residual, own.length, gathered.rows.length)}${residual.after}`;
    const result = await scope.run(coordinatorNodeId, { text, values: [...own, ...arrays] }, 'read');
    yield result.rows;
    return;
  }
  yield* throughTable(scope, residual, { own, rows: chain(gathered.rows, gathered.rest) });
}

interface Gathered {
  readonly rows: readonly RawRow[];
  /** What is left when there are too many for arrays. */
  readonly rest: AsyncIterator<readonly RawRow[]> | undefined;
}

async function gather(rows: AsyncIterable<readonly RawRow[]>): Promise<Gathered> {
  const iterator = rows[Symbol.asyncIterator]();
  const gathered: RawRow[] = [];
  for (;;) {
    const next = await iterator.next();
    if (next.done === true) return { rows: gathered, rest: undefined };
    for (const row of next.value) gathered.push(row);
    if (gathered.length > arrayRowsMax) return { rows: gathered, rest: iterator };
  }
}

/** The same rows; fails once they are more than one intermediate result may have. */
async function* counted(rows: AsyncIterable<readonly RawRow[]>, { maxIntermediateBytes }: ResidualLimits): AsyncGenerator<readonly RawRow[]> {
  let bytes = 0;
  for await (const batch of rows) {
    for (const row of batch) for (const value of row) bytes += value === null ? 1 : Buffer.byteLength(value) + 1;
    if (bytes > maxIntermediateBytes) {
      throw new ClusterError('resultTooLarge', 'the rows gathered for the last step of the query are too large', {
        detail: `They exceed maxIntermediateBytes, which is ${maxIntermediateBytes}.`,
        hint: 'Filter the query by the distribution column, or raise maxIntermediateBytes.',
      });
    }
    yield batch;
  }
}

async function* chain(first: readonly RawRow[], rest: AsyncIterator<readonly RawRow[]>): AsyncGenerator<readonly RawRow[]> {
  try {
    yield first;
    for (let next = await rest.next(); next.done !== true; next = await rest.next()) yield next.value;
  } finally {
    await rest.return?.();
  }
}

/** All columns travel as text and get their types and collations back here. */
function arraysSql({ columns }: Residual, parameters: number, rows: number): string {
  if (columns.length === 0) return `(SELECT FROM pg_catalog.generate_series(1, ${rows}))`;
  const names = columns.map(({ name }) => name).join(', ');
  const arrays = columns.map((_, i) => `$${parameters + i + 1}::text[]`).join(', ');
  return `(SELECT ${typedColumns(columns)} FROM unnest(${arrays}) AS u(${names}))`;
}

function typedColumns(columns: Residual['columns']): string {
  return columns
    .map(({ name, typeSql, collation }) => `CAST(u.${name} AS ${typeSql})${collation === undefined || collation === '"default"' ? '' : ` COLLATE ${collation}`} AS ${name}`)
    .join(', ');
}

/** A temporary table of one read-only transaction: gone afterwards whatever happens. */
async function* throughTable(
  scope: StatementScope,
  residual: Residual,
  { own, rows }: { readonly own: readonly unknown[]; readonly rows: AsyncIterable<readonly RawRow[]> },
): AsyncGenerator<readonly RawRow[]> {
  if (scope.inTransaction) {
    throw new ClusterError('resultTooLarge', `more than ${arrayRowsMax} rows are gathered for the last step of a query inside a transaction`, {
      detail: 'They would need a temporary table, after which the transaction could not be prepared for a commit on several nodes.',
      hint: 'Run the query outside the transaction, or filter it by the distribution column.',
    });
  }
  const result = await scope.withConnection(coordinatorNodeId, 'read', async (connection) => {
    await connection.query({ text: `BEGIN; CREATE TEMPORARY TABLE shardwright_rows (${tableColumns(residual)}) ON COMMIT DROP`, simple: true });
    try {
      await copyRows(connection, rows, scope.signal);
      const text = `${residual.before}pg_temp.shardwright_rows${residual.after}`;
      return await connection.query({ text, values: own }, { signal: scope.signal });
    } finally {
      await connection.query({ text: 'ROLLBACK', simple: true }).catch(() => undefined);
    }
  });
  yield result.rows;
}

function tableColumns({ columns }: Residual): string {
  return columns
    .map(({ name, typeSql, collation }) => `${name} ${typeSql}${collation === undefined || collation === '"default"' ? '' : ` COLLATE ${collation}`}`)
    .join(', ');
}

async function copyRows(connection: NodeConnection, rows: AsyncIterable<readonly RawRow[]>, signal: AbortSignal | undefined): Promise<void> {
  const sink = await connection.copyIn('COPY pg_temp.shardwright_rows FROM STDIN', { signal });
  try {
    for await (const batch of rows) await sink.write(copyTextRows(batch));
  } catch (error) {
    await sink.fail('the rows could not be gathered');
    throw error;
  }
  await sink.end();
}
