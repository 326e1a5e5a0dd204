import { ClusterError } from '../../base/errors.ts';
import type { ReferenceTable } from '../../catalog/catalog-snapshot.ts';
import { coordinatorNodeId } from '../../catalog/coordinator-node.ts';
import type { NodeId } from '../../catalog/ids.ts';
import { copySql } from '../../catalog/reference-copies.ts';
import type { CallOptions, NodeConnection } from '../../cluster/node-connection.ts';
import { sumOfRows } from '../../execute/write/sum-of-rows.ts';
import type { Outcome } from './node-work.ts';
import { matchColumns } from './table-change.ts';

/** Copies of reference tables of which a statement computes a column anew by an expression: each has computed it by itself. */
export class ConvertedCopies {
  readonly #tables: readonly Converted[];

  constructor({ changed }: Outcome) {
    this.#tables = changed.flatMap(({ table, change }) => {
      const column = matchColumns(change).kept.find(({ to }) => change.conversions.get(to.name)?.using !== undefined)?.to.name;
      if (table.kind !== 'reference' || column === undefined) return [];
      const { schema, name } = change.after;
      return [{ schema, name, column, shardId: table.shardId, shellIsCopy: table.shellIsCopy, sums: new Set() }];
    });
  }

  /** To be called on each server once it has converted its copies, and before they get other names: under `definitionSettings`. */
  async look(node: NodeId, connection: NodeConnection, options: CallOptions): Promise<void> {
    for (const table of this.#tables) {
      if (node === coordinatorNodeId && !table.shellIsCopy) continue;
      const { rows } = await connection.query({ text: sumOfRows(copySql(table, node)) }, options);
      table.sums.add(JSON.stringify(rows));
    }
  }

  /** `unsupportedDdl` where copies have come to differ. */
  check(): void {
    const differing = this.#tables.find(({ sums }) => sums.size > 1);
    if (differing === undefined) return;
    const { schema, name: table, column } = differing;
    throw new ClusterError('unsupportedDdl', `cannot compute column "${column}" of reference table "${table}" anew by this expression`, {
      detail: 'Each node computes it for its own copy, and the copies would differ.', hint: 'Add another column, fill it by UPDATE from values that are the same for all, and drop this one.', schema, table, column,
    });
  }
}

interface Converted extends Pick<ReferenceTable, 'schema' | 'name' | 'shardId' | 'shellIsCopy'> {
  readonly column: string;
  readonly sums: Set<string>;
}
