import { at } from '../base/assert.ts';
import { ClusterError } from '../base/errors.ts';
import type { RawRow } from '../cluster/node-connection.ts';
import { textTypes } from '../cluster/query-result.ts';
import type { Session } from '../session/session.ts';
import { type Statement } from '../sql/parse.ts';
import type { AnswerContext } from './answer-statement.ts';
import type { FunctionCallMessage } from './frontend-message.ts';
import { protocolViolation } from './protocol-error.ts';

/** Calls a function of the coordinator database by its OID, as a statement of its own in the session, and writes its result. Errors as PostgreSQL's: 42883, 08P01, those of the function. */
export async function answerFunctionCall({ oid, formats, values, resultFormat }: FunctionCallMessage, { session, io, converter, signal }: Pick<AnswerContext, 'session' | 'io' | 'converter'> & { readonly signal: AbortSignal }): Promise<void> {
  const ask = (text: string, given: readonly (string | null)[]): Promise<readonly RawRow[]> => rowsOf(session, { text, values: given, signal });
  const [found] = await ask(describeSql, [String(oid)]);
  if (found === undefined) throw new ClusterError('invalidParameter', `function with OID ${oid} does not exist`, { sqlState: '42883' });
  const [name, types = '', result] = found;
  const oids = (types ?? '').split(' ').filter((type) => type !== '').map(Number);
  if (oids.length !== values.length) throw protocolViolation(`function call message contains ${values.length} arguments but function requires ${oids.length}`);
  const texts = await converter.parameters({ values, formats }, oids);
  const names = await session.shapes.typeNames(oids);
  const rows = await ask(`SELECT ${name ?? ''}(${names.map((type, i) => `$${i + 1}::${type ?? 'text'}`).join(', ')})`, texts);
  const field = { name: '', tableID: 0, columnID: 0, dataTypeID: Number(result), dataTypeSize: -1, dataTypeModifier: -1, format: 'text' };
  const converted = await converter.rows(rows, [field], [resultFormat]);
  io.out.functionResult(at(at(converted ?? rows, 0), 0) ?? null);
}

const describeSql = 'SELECT p.oid::pg_catalog.regproc, p.proargtypes, p.prorettype FROM pg_catalog.pg_proc p WHERE p.oid = $1 AND NOT p.proretset';

async function rowsOf(session: Session, query: { readonly text: string; readonly values: readonly (string | null)[]; readonly signal: AbortSignal }): Promise<readonly RawRow[]> {
  const statement: Statement = at(await session.parseOrAsk({ text: query.text }), 0);
  const result = await session.run(statement, { ...query, rowMode: 'array', types: textTypes });
  return result.rows;
}
