import { isUtilityCall } from '../session/statement-kinds.ts';
import type { Statement } from '../sql/parse.ts';
import { type AnswerContext, answerStatement } from './answer-statement.ts';

/** A text of any number of statements, which are one transaction but for what their own BEGIN and COMMIT say. Results are sent as they come. */
export async function runSimpleQuery(text: string, context: AnswerContext, signal: AbortSignal): Promise<void> {
  const { session, io } = context;
  const statements = session.parse({ text });
  if (statements.length === 0) io.out.emptyQuery();
  let end = 0;
  for (const statement of statements) {
    const start = Math.max(text.indexOf(statement.text, end), 0);
    end = start + statement.text.length;
    if (statements.length > 1) await joinOrLeave(statement, context);
    await answerStatement({ statement, values: [], resultFormats: [], describes: true, signal }, context).catch((error: unknown) => Promise.reject(moved(error, text.slice(0, start))));
  }
  await session.commitImplicit();
}

async function joinOrLeave(statement: Statement, { session }: AnswerContext): Promise<void> {
  if (isUtilityCall(statement.node)) await session.commitImplicit();
  else if (session.status === 'idle' && !('TransactionStmt' in statement.node)) await session.startImplicit();
}

/** An error in a statement of a text, with its position in the whole. */
function moved(error: unknown, before: string): unknown {
  if (typeof error !== 'object' || error === null || !('position' in error) || typeof error.position !== 'string') return error;
  Reflect.set(error, 'position', String(Number(error.position) + Array.from(before).length));
  return error;
}
