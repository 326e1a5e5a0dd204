import { ClusterError } from '../../base/errors.ts';
import { coordinatorNodeId } from '../../catalog/coordinator-node.ts';
import type { NodeId } from '../../catalog/ids.ts';
import { processesPerNode } from '../../plan/computed/computed-functions.ts';
import { logicalText } from '../logical-names.ts';
import type { StatementScope } from '../statement-scope.ts';

/** What the cluster's servers are doing, in its databases: `pg_stat_activity` of the coordinator database and all nodes, without the processes that tell it. A JSON array. */
export function readActivity(scope: StatementScope): Promise<string> {
  return gathered(scope, allNodes(scope), (node) => `SELECT pg_catalog.json_agg(pg_catalog.to_jsonb(a) || pg_catalog.jsonb_build_object(
    'nodeid', ${node}, 'is_worker_query', ${node !== coordinatorNodeId}, 'global_pid', ${gpid(node, 'a.pid')}))
    FROM pg_catalog.pg_stat_activity AS a WHERE a.datname = pg_catalog.current_database() AND a.pid <> pg_catalog.pg_backend_pid()`);
}

/** Who waits for a lock, and for whom; a prepared transaction has no process, so its id is that of its node alone. A JSON array. */
export function readLockWaits(scope: StatementScope): Promise<string> {
  return gathered(scope, allNodes(scope), (node) => `SELECT pg_catalog.json_agg(pg_catalog.json_build_object(
    'waiting_gpid', ${gpid(node, 'w.pid')}, 'blocking_gpid', ${gpid(node, 'b.pid')}, 'blocked_statement', w.query, 'current_statement_in_blocking_process', h.query,
    'waiting_nodeid', ${node}, 'blocking_nodeid', ${node}))
    FROM pg_catalog.pg_stat_activity AS w CROSS JOIN LATERAL pg_catalog.unnest(pg_catalog.pg_blocking_pids(w.pid)) AS b(pid) LEFT JOIN pg_catalog.pg_stat_activity AS h ON h.pid = b.pid
    WHERE w.datname = pg_catalog.current_database() AND w.wait_event_type = 'Lock'`);
}

/** `pg_stat_statements` of all nodes, with the names of tables in the place of shards'. A JSON array. `unsupportedNode` where a node lacks the extension. */
export async function readStatements(scope: StatementScope): Promise<string> {
  const schemas = new Map<NodeId, string>();
  await Promise.all(scope.snapshot.nodes.map(async ({ id, host, port }) => {
    const text = `SELECT pg_catalog.quote_ident(n.nspname) FROM pg_catalog.pg_extension AS e JOIN pg_catalog.pg_namespace AS n ON n.oid = e.extnamespace WHERE e.extname = 'pg_stat_statements'`;
    const schema = (await scope.run(id, { text }, 'read')).rows[0]?.[0];
    if (typeof schema !== 'string') throw withoutExtension(`${host}:${port}`);
    schemas.set(id, schema);
  }));
  const statements = await gathered(scope, [...schemas.keys()], (node) => `SELECT pg_catalog.json_agg(pg_catalog.json_build_object('queryid', s.queryid, 'role', r.rolname, 'query', s.query, 'calls', s.calls))
    FROM ${schemas.get(node) ?? ''}.pg_stat_statements AS s JOIN pg_catalog.pg_database AS d ON d.oid = s.dbid LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = s.userid WHERE d.datname = pg_catalog.current_database()`);
  return logicalText(statements, scope.snapshot);
}

function withoutExtension(node: string): ClusterError {
  return new ClusterError('unsupportedNode', `node ${node} does not have the extension "pg_stat_statements"`, {
    hint: `Set shared_preload_libraries = 'pg_stat_statements' on every node's server and restart it, then run CREATE EXTENSION pg_stat_statements.`,
  });
}

function allNodes({ snapshot }: StatementScope): NodeId[] {
  return [coordinatorNodeId, ...snapshot.nodes.map(({ id }) => id)];
}

function gpid(node: NodeId, pid: string): string {
  return `${node}::int8 * ${processesPerNode} + ${pid}`;
}

/** Each node's JSON array, put together as text: numbers have all their digits. */
async function gathered(scope: StatementScope, nodes: readonly NodeId[], text: (node: NodeId) => string): Promise<string> {
  const answers = await Promise.all(nodes.map((node) => scope.run(node, { text: text(node) }, 'read')));
  const arrays = answers.map(({ rows }) => (rows[0]?.[0] ?? '[]').trim().slice(1, -1).trim());
  return `[${arrays.filter((elements) => elements !== '').join(',')}]`;
}
