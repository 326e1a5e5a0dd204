import { decodeMessage } from '../../src/replication/pgoutput/decode-message.ts';
import type { RelationMessage, StreamedRow } from '../../src/replication/pgoutput/message.ts';
import { present } from '../../src/base/assert.ts';

/** A change as one server has published it, of the table whose shard it is of. */
export interface PublishedChange {
  readonly table: string;
  readonly kind: 'insert' | 'update' | 'delete';
  /** The columns that the change tells, by name. */
  readonly row: Readonly<Record<string, string | null | undefined>>;
}

/** All that plugin pgoutput gives of a slot, in order; `pages` as hexadecimal digits. Truncations are left out. */
export function publishedChanges(pages: readonly string[]): PublishedChange[] {
  const relations = new Map<number, RelationMessage>();
  return pages.flatMap((page): PublishedChange[] => {
    const message = decodeMessage(Buffer.from(page, 'hex'));
    if (message.kind === 'relation') relations.set(message.relation, message);
    if (message.kind !== 'insert' && message.kind !== 'update' && message.kind !== 'delete') return [];
    const relation = present(relations.get(message.relation), 'relation');
    return [{ table: relation.name.replace(/_\d+$/, ''), kind: message.kind, row: rowOf(relation, message.kind === 'delete' ? message.old.row : message.row) }];
  });
}

function rowOf({ columns }: RelationMessage, row: StreamedRow): PublishedChange['row'] {
  return Object.fromEntries(columns.map(({ name }, i) => [name, row[i]]));
}
