import { quoteIdentifier } from '../../sql/identifiers.ts';
import { registerObjects } from '../../store/jobs.ts';
import { type MoveContext, namesOf } from '../move-context.ts';

/** Writes down what will be made, so that nothing is ever there of which nobody knows. */
export async function register(context: MoveContext): Promise<void> {
  const { job, claim } = context;
  const { slot, publication, staging, retired } = namesOf(context);
  await registerObjects(claim, job.id, [
    { node: job.source, kind: 'slot', name: slot, detail: undefined },
    { node: job.source, kind: 'publication', name: quoteIdentifier(publication), detail: undefined },
    { node: job.source, kind: 'schema', name: quoteIdentifier(retired), detail: undefined },
    { node: job.target, kind: 'schema', name: quoteIdentifier(staging), detail: undefined },
  ]);
}
