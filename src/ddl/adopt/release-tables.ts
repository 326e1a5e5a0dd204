import { type NodeId, shardId } from '../../catalog/ids.ts';
import { quoteQualified } from '../../sql/identifiers.ts';
import { deleteTable } from '../../store/catalog-changes.ts';
import { hasJobs } from '../../store/jobs.ts';
import { changeCatalog, type CatalogChange } from '../change-catalog.ts';
import type { DdlContext } from '../ddl-context.ts';
import { runOnNodes } from '../on-nodes.ts';
import { readPlacements } from '../placements.ts';
import { readDefinition } from '../read-definition.ts';
import { hashConstraint, ShardNames } from '../shard-names.ts';
import { unfenceShell } from '../shell.ts';
import { type AdoptionInput, lockTables } from './adopt-tables.ts';
import { type Adoption, refused } from './plan-adoption.ts';

/**
 * The way back of `adoptTables`: forgets the tables and takes away what was added to their shards, which stay where they are, with their rows. In one distributed transaction. `adoptionRefused` where a shard is not where Citus
 * says any more.
 */
export function releaseTables(context: DdlContext, { adoption, nodes, signal }: AdoptionInput): Promise<void> {
  return changeCatalog(context, {
    signal,
    lockFirst: (coordinator) => lockTables(coordinator, adoption, signal),
    body: async (change, oids) => {
      const problems: string[] = [];
      for (const node of nodes.values()) if (await hasJobs(change.coordinator, node, { signal })) problems.push(`Node ${node} takes part in a move.`);
      const tables = placesOf(adoption, nodes).map((place) => ({ ...place, oid: oids.get(quoteQualified(place.schema, place.name)) ?? 0 }));
      for (const table of tables) if (!(await isThere(change, table))) problems.push(`Shards of table "${table.schema}.${table.name}" are not what Citus says.`);
      if (problems.length > 0) throw refused(problems);
      for (const { oid, shards } of tables) {
        const table = await readDefinition(change.coordinator, oid, { signal });
        const statements = new Map<NodeId, string[]>();
        for (const [id, node] of shards) {
          const names = new ShardNames(table, shardId(id));
          statements.set(node, [...(statements.get(node) ?? []), `ALTER TABLE ${names.sql} DROP CONSTRAINT IF EXISTS ${names.part(hashConstraint)}`]);
        }
        await runOnNodes(change, statements);
        await unfenceShell(change, table);
        await deleteTable(change, oid);
      }
    },
  });
}

interface PlacedTable {
  readonly schema: string;
  readonly name: string;
  readonly shards: readonly (readonly [id: number, node: NodeId])[];
}

function placesOf({ colocations, references }: Adoption, nodes: AdoptionInput['nodes']): PlacedTable[] {
  const distributed = colocations.flatMap(({ tables, slices }) => tables.map(({ schema, name, shardIds }) => ({
    schema, name, shards: shardIds.flatMap((id, i) => [...nodes].filter(([group]) => group === slices[i]?.group).map(([, node]) => [id, node] as const)),
  })));
  return [...distributed, ...references.map(({ schema, name, shardId: id }) => ({ schema, name, shards: [...nodes.values()].map((node) => [id, node] as const) }))];
}

async function isThere(change: CatalogChange, { oid, shards }: PlacedTable & { readonly oid: number }): Promise<boolean> {
  const placements = await readPlacements(change, { oid });
  const texts = (list: readonly string[]): string => [...list].sort().join();
  return texts(placements.map(({ shard, node }) => `${shard} ${node}`)) === texts(shards.map(([id, node]) => `${id} ${node}`));
}
