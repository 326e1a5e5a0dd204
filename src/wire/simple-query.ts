import { inText, movedError } from '../session/positioned-error.ts';
import { type LiftedText, placedInOwnText } from '../session/lifted-texts.ts';
import type { Statement } from '../sql/parse.ts';
import { type AnswerContext, answerStatement } from './answer-statement.ts';

/** The statements of a text, which are one transaction but for what their own BEGIN and COMMIT say. Results are sent as they come. */
export async function runSimpleQuery(statements: readonly Statement[], text: string, { signal, ...context }: AnswerContext & { readonly signal: AbortSignal }): Promise<void> {
  const { session, io } = context;
  if (statements.length === 0) io.out.emptyQuery();
  for (const { statement, before } of inText(statements, text)) {
    if (statements.length > 1) await session.joinUnit(statement);
    await answerStatement({ statement, values: [], resultFormats: [], describes: true, signal }, context).catch((error: unknown) => Promise.reject(movedError(error, before)));
  }
  await session.commitImplicit();
}

/** One statement whose constants are parameters, with its errors as those of the text. */
export async function runLiftedQuery(lifted: LiftedText, { signal, ...context }: AnswerContext & { readonly signal: AbortSignal }): Promise<void> {
  const { statement, values } = lifted;
  await answerStatement({ statement, values, resultFormats: [], describes: true, signal }, context).catch((error: unknown) => Promise.reject(placedInOwnText(error, lifted)));
  await context.session.commitImplicit();
}
