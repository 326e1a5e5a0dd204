import type { SelectStmt } from '@pgsql/types';
import type { QueryResult } from 'pg';
import { orAborted } from '../base/abort.ts';
import { ResultTooLong } from '../base/result-too-long.ts';
import type { FieldDescriptor, RawRow } from '../cluster/node-connection.ts';
import { textTypes } from '../cluster/query-result.ts';
import type { Session, SessionQuery } from '../session/session.ts';
import { leavesState } from '../session/statement-kinds.ts';
import type { Statement } from '../sql/parse.ts';
import type { BriefStatements } from './brief-statements.ts';
import type { ClientIo } from './client-io.ts';
import { commandTag } from './command-tag.ts';
import { type ValueConverter, formatOf } from './convert-values.ts';
import type { Format } from './frontend-message.ts';
import { runClientCopy } from './run-copy.ts';

/** A statement to be run for a client. */
export interface AnswerCall extends RelayedAnswer {
  /** Rows are announced: the simple protocol has no Describe. */
  readonly describes: boolean;
  readonly signal: AbortSignal;
}

/** The same of one whose rows go to the client as they come. */
export interface RelayedAnswer {
  readonly statement: Statement;
  readonly values: readonly (string | null)[];
  readonly resultFormats: readonly Format[];
}

export interface AnswerContext {
  readonly session: Session;
  readonly io: ClientIo;
  readonly converter: ValueConverter;
  readonly brief: BriefStatements;
}

/** What is read whole before it is sent, at most. More is read again, in parts, as the client takes it. */
export const wholeBytesMax = 1024 * 1024;

/** Runs a statement and writes its rows and its tag. Memory: a megabyte or two, however many the rows and however slow the client. */
export async function answerStatement(call: AnswerCall, context: AnswerContext): Promise<void> {
  const { statement, signal } = call;
  const copied = runClientCopy(statement, { ...context, signal });
  if (copied !== undefined) {
    context.io.out.complete(`COPY ${await copied}`);
    return;
  }
  if (!('SelectStmt' in statement.node) || isForSession(statement, statement.node.SelectStmt)) {
    await answerWhole(call, context, undefined);
    return;
  }
  if (await context.session.mayRunTwice(statement)) {
    try {
      await answerWhole(call, context, wholeBytesMax);
      return;
    } catch (error) {
      if (!(error instanceof ResultTooLong)) throw error;
    }
  }
  await answerInParts(call, context);
}

/** It may leave something in its session, or is a call with one row. */
function isForSession({ node, text }: Statement, { fromClause, intoClause, op }: SelectStmt): boolean {
  return intoClause !== undefined || (fromClause === undefined && (op === undefined || op === 'SETOP_NONE')) || leavesState(node, text) || /setval/i.test(text);
}

/** Answers a query that was to be relayed, of which nothing was sent. `error`: what became of that. */
export async function answerRelayed(call: AnswerCall, error: unknown, context: AnswerContext): Promise<void> {
  if (error instanceof ResultTooLong) await answerInParts(call, context);
  else await writeResult(call, await context.session.afterBrief(error, call.statement, wholeQuery(call, wholeBytesMax)), context);
}

function wholeQuery({ statement, values }: AnswerCall, bytesMax: number | undefined): SessionQuery {
  return { text: statement.text, values, rowMode: 'array', types: textTypes, wholeBytesMax: bytesMax };
}

async function answerWhole(call: AnswerCall, context: AnswerContext, bytesMax: number | undefined): Promise<void> {
  const { statement, signal } = call;
  const { session, brief } = context;
  const started = performance.now();
  const query = wholeQuery(call, bytesMax);
  const running = bytesMax !== undefined && brief.isBrief(statement) ? session.runBrief(statement, query) : undefined;
  const result = await (running === undefined ? session.run(statement, { ...query, signal }) : orAborted(running, signal));
  if (bytesMax !== undefined) brief.note(statement, performance.now() - started);
  await writeResult(call, result, context);
}

async function writeResult({ statement, resultFormats, describes }: AnswerCall, result: QueryResult, { io, converter }: AnswerContext): Promise<void> {
  const rows = result.rows as unknown as readonly RawRow[];
  const sink = new RowSink(io, converter, { formats: resultFormats, describes });
  if (result.fields.length > 0 || rows.length > 0 || isQuery(statement)) {
    sink.describe(result.fields);
    await sink.write(rows);
  }
  io.out.complete(commandTag(statement.node, result));
}

/** It has rows, if without columns. */
export function isQuery({ node }: Statement): boolean {
  return 'SelectStmt' in node && node.SelectStmt.intoClause === undefined;
}

async function answerInParts({ statement, values, resultFormats, describes, signal }: AnswerCall, { session, io, converter }: AnswerContext): Promise<void> {
  const sink = new RowSink(io, converter, { formats: resultFormats, describes });
  const batches = session.streamStatement(statement, { text: statement.text, values, signal, rowMode: 'array', types: textTypes, onFields: (fields) => sink.describe(fields) });
  for await (const batch of batches) await sink.write(batch as readonly RawRow[]);
  io.out.complete(`SELECT ${sink.rows}`);
}

/** Writes rows in the formats asked for, as fast as the client reads. */
export class RowSink {
  rows = 0;
  #fields: readonly FieldDescriptor[] = [];
  #formats: readonly Format[] = [];

  constructor(
    private readonly io: ClientIo,
    private readonly converter: ValueConverter,
    private readonly how: { readonly formats: readonly Format[]; readonly describes: boolean },
  ) {}

  describe(fields: readonly FieldDescriptor[]): void {
    this.#fields = fields;
    this.#formats = this.how.formats.includes('binary') ? fields.map((_, i) => formatOf(this.how.formats, i)) : [];
    if (this.how.describes) this.io.out.rowDescription(fields, this.#formats);
  }

  async write(rows: readonly RawRow[]): Promise<void> {
    const { out } = this.io;
    this.rows += rows.length;
    const converted = this.converter.rows(rows, this.#fields, this.#formats);
    for (const row of converted === undefined ? rows : await converted) {
      out.dataRow(row);
      const room = this.io.room();
      if (room !== undefined) await room;
    }
  }
}
