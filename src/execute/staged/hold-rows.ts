import type { SentColumn } from '../../analyze/result-table.ts';
import { ClusterError } from '../../base/errors.ts';
import type { NodeId } from '../../catalog/ids.ts';
import type { NodeConnection, RawRow } from '../../cluster/node-connection.ts';
import { columnDefinitions } from '../../sql/column-definitions.ts';
import { quoteIdentifier } from '../../sql/identifiers.ts';
import { copyTextRows } from '../copy-text-rows.ts';
import type { SteadyScope } from '../statement-scope.ts';
import type { HeldResult } from './held-result.ts';

export interface ResultLimits {
  /** Bytes of text that one intermediate result may hold. */
  readonly maxIntermediateBytes: number;
  /** Rows up to here travel as array parameters of the statements that read them; more are copied into temporary tables. */
  readonly arrayRowsMax?: number | undefined;
}

/** What is held, and where. */
export interface HoldRequest {
  /** What errors and EXPLAIN call it. */
  readonly label: string;
  readonly columns: readonly SentColumn[];
  /** Columns worth an index. */
  readonly lookups: readonly string[];
  /** It must be a table. */
  readonly sampled?: boolean;
  /** The servers that will read it. */
  readonly targets: readonly NodeId[];
  /** The one of them that a row is for; all of them by default. */
  readonly nodeOf?: ((row: RawRow) => NodeId) | undefined;
  readonly limits: ResultLimits;
  /** Told the bytes of the whole result. */
  readonly onSize?: ((bytes: number) => void) | undefined;
}

const arrayRowsMaxDefault = 20;
/** In a transaction of the caller's, which a temporary table would keep from being prepared, rows stay in memory: up to here. */
export const memoryBytesMax = 256 * 1024 * 1024;

/** Takes in all rows of an intermediate result. Throws `resultTooLarge` as soon as they exceed their limit, and what the rows throw. */
export async function holdRows(scope: SteadyScope, request: HoldRequest, rows: AsyncIterable<readonly RawRow[]>): Promise<HeldResult> {
  const { memoryOf } = scope;
  if (request.sampled === true && memoryOf !== undefined) throw sampledInMemory(request.label, memoryOf);
  const max = request.sampled === true ? 0 : (request.limits.arrayRowsMax ?? arrayRowsMaxDefault);
  const limit = memoryOf === undefined ? request.limits.maxIntermediateBytes : Math.min(request.limits.maxIntermediateBytes, memoryBytesMax);
  const size = new ResultSize(request.label, { limit, memoryOf });
  const first: RawRow[] = [];
  let table: HeldTable | undefined;
  for await (const batch of rows) {
    size.add(batch);
    if (table !== undefined) await table.append(batch);
    else {
      for (const row of batch) first.push(row);
      if (first.length <= max || memoryOf !== undefined) continue;
      table = await HeldTable.create(scope, request);
      await table.append(first.splice(0));
    }
  }
  request.onSize?.(size.bytes);
  if (table === undefined && request.sampled === true) table = await HeldTable.create(scope, request);
  if (table === undefined) return request.nodeOf === undefined ? { kind: 'rows', rows: first } : { kind: 'rows_by_node', rows: split(first, request.nodeOf) };
  await table.finish();
  if (request.nodeOf !== undefined) return { kind: 'table_by_node', name: table.name };
  return { kind: 'table', name: table.name, holders: new Map(request.targets.map((node) => [node, Promise.resolve()])) };
}

function sampledInMemory(label: string, of: 'block' | 'replica'): ClusterError {
  return new ClusterError('unsupportedQuery', `"${label}" cannot be sampled ${of === 'block' ? 'in a transaction block' : 'on replicas'}`, {
    detail: `The arguments of TABLESAMPLE depend on rows, and what they choose from would be a temporary table, which ${of === 'block' ? 'keeps the transaction from being prepared' : 'a replica cannot make'}.`,
    hint: of === 'block' ? 'Run the query outside the transaction block.' : readElsewhere,
  });
}

function split(rows: readonly RawRow[], nodeOf: (row: RawRow) => NodeId): Map<NodeId, RawRow[]> {
  const byNode = new Map<NodeId, RawRow[]>();
  for (const row of rows) {
    const node = nodeOf(row);
    const own = byNode.get(node);
    if (own === undefined) byNode.set(node, [row]);
    else own.push(row);
  }
  return byNode;
}

const readElsewhere = `Read with 'prefer-replica' or 'primary'.`;

/** Counts what an intermediate result holds against its limit. */
export class ResultSize {
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  constructor(
    private readonly label: string,
    private readonly options: { readonly limit: number; readonly memoryOf?: SteadyScope['memoryOf'] },
  ) {}

  add(batch: readonly RawRow[]): void {
    for (const row of batch) for (const value of row) this.#bytes += value === null ? 1 : Buffer.byteLength(value) + 1;
    const { limit, memoryOf } = this.options;
    if (this.#bytes <= limit) return;
    const bounded = limit === memoryBytesMax ? memoryOf : undefined;
    throw new ClusterError('resultTooLarge', `intermediate result "${this.label}" is too large`, tooLarge(limit, bounded));
  }
}

function tooLarge(limit: number, memoryOf: SteadyScope['memoryOf']): { readonly detail: string; readonly hint: string } {
  switch (memoryOf) {
    case 'block':
      return { detail: `It exceeds ${limit} bytes, the most that a transaction block holds.`, hint: 'Run the query outside the transaction, or filter it by the distribution column.' };
    case 'replica':
      return { detail: `It exceeds ${limit} bytes, the most that is held for replicas, which make no temporary tables.`, hint: readElsewhere };
    case undefined:
      return { detail: `It exceeds ${limit} bytes, which is maxIntermediateBytes.`, hint: 'Filter the query by the distribution column, or raise maxIntermediateBytes.' };
  }
}

/** Rows of small batches are sent together: a COPY takes as long as some hundred rows of it do. */
const rowsPerCopyMin = 256;

type TableRequest = Pick<HoldRequest, 'columns' | 'lookups' | 'targets' | 'nodeOf'>;

/** A temporary table on several servers: with the same rows on each, or with each row where it belongs. */
export class HeldTable {
  #waiting: RawRow[] = [];

  private constructor(
    readonly name: string,
    private readonly request: TableRequest,
    private readonly connections: readonly NodeConnection[],
    private readonly signal: AbortSignal | undefined,
  ) {}

  static async create(scope: SteadyScope, request: TableRequest, name = scope.uniqueName()): Promise<HeldTable> {
    const connections = await Promise.all(request.targets.map((node) => scope.join(node)));
    const text = `CREATE TEMPORARY TABLE ${name} (${columnDefinitions(request.columns)}) ON COMMIT DROP`;
    await settled(connections.map((connection) => connection.query({ text, simple: true }, { signal: scope.signal })));
    return new HeldTable(name, request, connections, scope.signal);
  }

  /** Takes in rows, of which the last may wait for others. Between two of its COPYs the connections are free to read on. */
  async append(batch: readonly RawRow[]): Promise<void> {
    for (const row of batch) this.#waiting.push(row);
    if (this.#waiting.length >= rowsPerCopyMin) await this.sendWaiting();
  }

  /** Afterwards all rows that were appended are in the table. */
  async sendWaiting(): Promise<void> {
    const rows = this.#waiting;
    if (rows.length === 0) return;
    this.#waiting = [];
    await this.#send(rows);
  }

  async #send(batch: readonly RawRow[]): Promise<void> {
    const { nodeOf } = this.request;
    if (nodeOf === undefined) {
      const data = copyTextRows(batch);
      await settled(this.connections.map((connection) => this.#copy(connection, data)));
      return;
    }
    const byNode = split(batch, nodeOf);
    await settled(this.connections.map(async (connection) => {
      const own = byNode.get(connection.node);
      if (own !== undefined) await this.#copy(connection, copyTextRows(own));
    }));
  }

  async #copy(connection: NodeConnection, data: Buffer): Promise<void> {
    const sink = await connection.copyIn(`COPY pg_temp.${this.name} FROM STDIN`, { signal: this.signal });
    await sink.write(data);
    await sink.end();
  }

  /** All rows were appended. Without statistics a planner would take them for few and choose nested loops. */
  async finish(): Promise<void> {
    await this.sendWaiting();
    const indexes = this.request.lookups.map((column) => `CREATE INDEX ON pg_temp.${this.name} (${quoteIdentifier(column)})`);
    const text = [...indexes, `ANALYZE pg_temp.${this.name}`].join('; ');
    await settled(this.connections.map((connection) => connection.query({ text, simple: true }, { signal: this.signal })));
  }
}

/** Waits for all, then throws the first error: nothing is left running. One that made a transaction fail comes before those that only say so. */
export async function settled<T>(promises: readonly Promise<T>[]): Promise<T[]> {
  const outcomes = await Promise.allSettled(promises);
  const cause = outcomes.find((outcome) => outcome.status === 'rejected' && !isAftermath(outcome.reason));
  if (cause?.status === 'rejected') throw cause.reason;
  return outcomes.map((outcome) => {
    if (outcome.status === 'rejected') throw outcome.reason;
    return outcome.value;
  });
}

/** `in_failed_sql_transaction`. */
function isAftermath(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === '25P02';
}
