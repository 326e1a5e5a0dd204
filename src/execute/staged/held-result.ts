import type { ResultTable } from '../../analyze/result-table.ts';
import type { NodeId } from '../../catalog/ids.ts';
import type { RawRow } from '../../cluster/node-connection.ts';

/** An intermediate result while its statement runs. */
export type HeldResult =
  /** Few rows, here: they travel as array parameters with each statement that reads them. */
  | { readonly kind: 'rows'; readonly rows: readonly RawRow[] }
  /** Many rows: a table of this name on some servers, all rows on each; on some they may be still on their way. */
  | { readonly kind: 'table'; readonly name: string; readonly holders: Map<NodeId, Promise<void>> }
  /** Placed by hash: each row only for the node of its shard group. */
  | { readonly kind: 'rows_by_node'; readonly rows: ReadonlyMap<NodeId, readonly RawRow[]> }
  | { readonly kind: 'table_by_node'; readonly name: string };

export type HeldResults = Map<ResultTable, HeldResult>;
