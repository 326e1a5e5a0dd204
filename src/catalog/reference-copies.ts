import { quoteIdentifier, quoteQualified } from '../sql/identifiers.ts';
import type { CatalogSnapshot, ReferenceTable } from './catalog-snapshot.ts';
import { coordinatorNodeId } from './coordinator-node.ts';
import type { NodeId } from './ids.ts';
import { shardName } from './shard-name.ts';

/** The servers that have a copy of a reference table: the nodes in order of id, and last the coordinator database where its shell is one. */
export function copyHolders({ nodes }: Pick<CatalogSnapshot, 'nodes'>, { shellIsCopy }: Pick<ReferenceTable, 'shellIsCopy'>): NodeId[] {
  return [...nodes.map(({ id }) => id), ...(shellIsCopy ? [coordinatorNodeId] : [])];
}

type Named = Pick<ReferenceTable, 'schema' | 'name' | 'shardId'>;

/** The copy's bare name; it is the same on all nodes, so that none need be given. */
export function copyName({ name, shardId }: Named, holder?: NodeId): string {
  return holder === coordinatorNodeId ? name : shardName(name, shardId);
}

export function copySql(table: Named, holder?: NodeId): string {
  return quoteQualified(table.schema, copyName(table, holder));
}

/** What a constraint or index of the table is called on the copy. */
export function copyPartSql({ shardId }: Pick<ReferenceTable, 'shardId'>, part: string, holder?: NodeId): string {
  return quoteIdentifier(holder === coordinatorNodeId ? part : shardName(part, shardId));
}

/** See `refuse_shell_write()` in store/migrations.ts. */
const mark = '/* shardwright: one copy */';

/** How a copy of a table with triggers is written: the first runs them, the others take over what was stored. */
export type LedTurn = 'first' | 'following';

/** What the triggers of copies look for at the end of the text of a statement. See `runsTriggerSql` in store/node-schema.ts. */
export const turnMarks: Readonly<Record<LedTurn, string>> = { first: '/* shardwright: first copy */', following: '/* shardwright: following copy */' };

/** For a table with triggers, besides `copyWrite`. The coordinator database's copy is always the first, and has the triggers as they are. */
export function inTurn(text: string, holder: NodeId, turn: LedTurn): string {
  return holder === coordinatorNodeId ? text : `${text}\n${turnMarks[turn]}`;
}

/** A statement that writes to a copy: at the end of one for a shell stands what its fence lets through. Places in the text stay. */
export function copyWrite(text: string, holder: NodeId): string {
  return holder === coordinatorNodeId ? `${text}\n${mark}` : text;
}
