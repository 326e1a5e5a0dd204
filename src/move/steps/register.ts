import { quoteIdentifier } from '../../sql/identifiers.ts';
import { type JobObject, registerObjects } from '../../store/jobs.ts';
import { registerGroup } from '../distribute/register-group.ts';
import { type MoveContext, namesOf } from '../move-context.ts';
import { nodesOf } from '../moved-tables.ts';

/** Writes down what will be made, so that nothing is ever there of which nobody knows. */
export async function register(context: MoveContext): Promise<void> {
  const { job, claim } = context;
  const { slot, publication, staging, retired } = namesOf(context);
  if (job.distributed !== undefined) await registerGroup(context, job.distributed);
  const objects = [
    ...nodesOf(job.sources).flatMap((node): JobObject[] => [
      { node, kind: 'slot', name: slot(node), detail: undefined },
      { node, kind: 'publication', name: quoteIdentifier(publication), detail: undefined },
      // Reference tables stay where they are, and of a local table its shell.
      ...(job.kind === 'add_node' || job.kind === 'distribute' ? [] : [{ node, kind: 'schema', name: quoteIdentifier(retired), detail: undefined } as const]),
    ]),
    ...nodesOf(job.targets).map((node): JobObject => ({ node, kind: 'schema', name: quoteIdentifier(staging), detail: undefined })),
  ];
  await registerObjects(claim, job.id, objects);
}
