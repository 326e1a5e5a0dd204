import { ClusterError } from '../base/errors.ts';

/** An error as psql would show it. */
export function tell(error: unknown): void {
  const fields = error instanceof ClusterError || (error instanceof Error && 'detail' in error) ? (error as { readonly detail?: unknown; readonly hint?: unknown }) : {};
  const lines = [`error: ${error instanceof Error ? error.message : String(error)}`];
  if (typeof fields.detail === 'string') lines.push(`  ${fields.detail}`);
  if (typeof fields.hint === 'string') lines.push(`  ${fields.hint}`);
  console.error(lines.join('\n'));
}
