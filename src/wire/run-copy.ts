import { DatabaseError } from 'pg';
import { ClusterError } from '../base/errors.ts';
import { copyStatement } from '../execute/copy/copy-statement.ts';
import { copiedQuery } from '../session/copy-query.ts';
import type { Session } from '../session/session.ts';
import { textTypes } from '../cluster/query-result.ts';
import { quoteIdentifier, quoteLiteral } from '../sql/identifiers.ts';
import { parseOne, type Statement } from '../sql/parse.ts';
import type { ClientIo } from './client-io.ts';
import { copyRowCutter } from './copy-rows.ts';
import { frontend } from './frontend-reader.ts';
import { readMessage } from './frontend-message.ts';
import { LostSynchronization } from './fatal.ts';

interface CopyCall {
  readonly session: Session;
  readonly io: ClientIo;
  readonly signal: AbortSignal;
}

/** COPY between client and cluster; resolves to the number of rows. Undefined for any other statement, also for files and programs of a server. */
export function runClientCopy(statement: Statement, call: CopyCall): Promise<number> | undefined {
  const { node } = statement;
  if (!('CopyStmt' in node) || node.CopyStmt.filename !== undefined || node.CopyStmt.is_program === true) return undefined;
  const copy = copyStatement(statement, node.CopyStmt);
  const copied = queryOf(statement, copy.subject);
  return copy.direction === 'from' ? copyIn(statement, copy.options.format, { ...call, copied }) : copyOut(statement, copy.options, { ...call, copied });
}

type Copy = ReturnType<typeof copyStatement>;
type DescribedCall = CopyCall & { readonly copied: Statement };

async function copyIn(statement: Statement, format: Copy['options']['format'], { session, io, signal, copied }: DescribedCall): Promise<number> {
  const count = await columnCount(statement, session, copied);
  return session.copyIn(statement, sentData(io, () => io.out.copyResponse('in', format === 'binary' ? 'binary' : 'text', count)), signal);
}

/** What the client sends as COPY data. PostgreSQL has looked at the statement before it asks for any, so does this. */
async function* sentData(io: ClientIo, ask: () => void): AsyncGenerator<Uint8Array> {
  ask();
  io.flush();
  for (;;) {
    const frame = io.in.take();
    if (frame === undefined) {
      if (io.isClosed) throw new ClusterError('connectionLost', 'unexpected EOF on client connection with an open transaction');
      await io.moreInput();
      continue;
    }
    if (frame.type === frontend.flush || frame.type === frontend.sync) continue;
    const message = readMessage(frame);
    if (message.kind === 'copy_done') return;
    if (message.kind === 'copy_fail') throw new ClusterError('canceled', `COPY from stdin failed: ${message.reason}`);
    if (message.kind !== 'copy_data') throw new LostSynchronization(`unexpected message type 0x${frame.type.toString(16).toUpperCase().padStart(2, '0')} during COPY from stdin`);
    if (message.bytes.length > 0) yield message.bytes;
  }
}

async function copyOut(statement: Statement, options: Copy['options'], { session, io, signal, copied }: DescribedCall): Promise<number> {
  const { format, quote, escape, header } = options;
  const cutter = copyRowCutter({ format, quote, escape, header: header !== 'none' });
  const count = await columnCount(statement, session, copied);
  let isAnswered = false;
  const answer = (): void => {
    if (!isAnswered) io.out.copyResponse('out', format === 'binary' ? 'binary' : 'text', count);
    isAnswered = true;
  };
  const take = (chunk: Uint8Array): Promise<void> | undefined => {
    answer();
    for (const row of cutter.push(chunk)) io.out.copyData(row);
    return io.room();
  };
  await session.copyOut(statement, take, signal);
  answer();
  for (const row of cutter.rest()) io.out.copyData(row);
  io.out.copyDone();
  return cutter.rows;
}

/** How many columns are named. Of a column that there is not, COPY says whose it would be, and not where it stands. */
async function namedColumns(copied: Statement, { session, statement }: { readonly session: Session; readonly statement: Statement }): Promise<number> {
  try {
    return (await session.shapes.of(copied, [])).fields.length;
  } catch (error) {
    const table = 'CopyStmt' in statement.node ? statement.node.CopyStmt.relation?.relname : undefined;
    if (error instanceof DatabaseError && error.code === '42703' && table !== undefined) {
      error.message = error.message.replace(/^column "(.*)" does not exist$/s, (_, name: string) => `column "${name}" of relation "${table}" does not exist`);
      error.position = undefined;
    }
    throw error;
  }
}

/** Of a table without a list of columns, generated ones are not copied. */
async function columnCount(statement: Statement, session: Session, copied: Statement): Promise<number> {
  const named = await namedColumns(copied, { session, statement });
  const { relation, attlist } = 'CopyStmt' in statement.node ? statement.node.CopyStmt : {};
  if (relation === undefined || attlist !== undefined) return named;
  const name = [relation.schemaname, relation.relname].filter((part) => part !== undefined).map(quoteIdentifier).join('.');
  const asked = parseOne(`SELECT pg_catalog.count(*) FROM pg_catalog.pg_attribute WHERE attrelid = pg_catalog.to_regclass(${quoteLiteral(name)}) AND attgenerated <> '' AND NOT attisdropped`);
  const { rows } = await session.run(asked, { text: asked.text, rowMode: 'array', types: textTypes });
  return named - Number((rows as unknown as readonly (readonly string[])[])[0]?.[0] ?? 0);
}

/** A query with the columns that are copied. */
function queryOf(statement: Statement, subject: Copy['subject']): Statement {
  if (subject.kind === 'query') return copiedQuery(statement);
  const columns = subject.columns === undefined ? '*' : subject.columns.map(quoteIdentifier).join(', ');
  return parseOne(`SELECT ${columns} FROM ${subject.schema === undefined ? '' : `${quoteIdentifier(subject.schema)}.`}${quoteIdentifier(subject.name)}`);
}
