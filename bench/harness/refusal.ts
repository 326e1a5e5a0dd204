import { ClusterError } from '../../src/index.ts';

/** What the cluster says when it refuses a statement at plan time, such as `SW001 …`; nothing for any other error. */
export function refusalOf(error: unknown): string | undefined {
  if (!(error instanceof ClusterError) || error.code !== '0A000') return undefined;
  return `${error.number} ${error.message}${error.detail === undefined ? '' : `. ${error.detail}`}`;
}
