import { sqlStateOf } from '../../base/errors.ts';
import type { NodeConnections } from '../../cluster/node-connection.ts';
import { quoteLiteral } from '../../sql/identifiers.ts';
import { dropNodeSchemaSql } from '../../store/node-schema.ts';

/** What a server was given to be a node. */
export interface MadeNode {
  /** Schema `shardwright` was not there before. */
  readonly schema: boolean;
  /** Statements that drop the objects and roles that were not there before. */
  readonly drops: readonly string[];
}

/** As it is kept with the job. */
export function madeNodeText(made: MadeNode): string {
  return JSON.stringify(made);
}

/**
 * Takes from a server what it was given to be a node, in any order that works: what needs another thing goes before it. Without effect where nothing is there. What somebody has come to use in the meantime stays, since dropping it would
 * take along what is not ours.
 */
export async function unmakeNode(server: NodeConnections, { clusterId, made }: { readonly clusterId: string; readonly made: string | undefined }, signal: AbortSignal): Promise<void> {
  const { schema, drops } = JSON.parse(made ?? '{"schema":false,"drops":[]}') as MadeNode;
  const disown = `DO ${quoteLiteral(`BEGIN IF to_regclass('shardwright.node_identity') IS NOT NULL THEN DELETE FROM shardwright.node_identity WHERE cluster_id = ${quoteLiteral(clusterId)}; END IF; END`)}`;
  await server.query({ text: disown }, { signal });
  const own = schema ? [`DROP TABLE IF EXISTS shardwright.node_identity; ${dropNodeSchemaSql}`] : [];
  for (let left = [...drops, ...own], before = Infinity; left.length > 0 && left.length < before;) {
    before = left.length;
    left = await dropEach(server, left, signal);
  }
}

/** Returns those that something else still needs. */
async function dropEach(server: NodeConnections, statements: readonly string[], signal: AbortSignal): Promise<string[]> {
  const left: string[] = [];
  for (const text of statements) {
    try {
      await server.query({ text, simple: true }, { signal });
    } catch (error) {
      if (sqlStateOf(error) !== '2BP01') throw error;
      left.push(text);
    }
  }
  return left;
}
