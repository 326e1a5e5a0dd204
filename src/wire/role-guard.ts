import type { Node, UpdateStmt } from '@pgsql/types';
import { ClusterError } from '../base/errors.ts';
import { builtinName, walk } from '../sql/ast.ts';
import type { Statement } from '../sql/parse.ts';

interface Database {
  query(query: { readonly text: string; readonly values: readonly unknown[] }): Promise<{ readonly rows: readonly (readonly (string | null)[])[] }>;
}

/**
 * Keeps a session in the role that it acts as, or one of which that is a member, where connections to servers are made by the cluster's own user and could become it again. It sees what statements say, not what their code does:
 * no wall, see decision 29.
 */
export class RoleGuard {
  /** `role`: undefined where connections log in as the session's user, who may become whom a server lets it. */
  constructor(
    private readonly role: string | undefined,
    private readonly database: Database,
  ) {}

  /** Throws 42501, now or later. */
  check({ node, text }: Statement): Promise<void> | undefined {
    if (this.role === undefined || !/role|authorization|config|pg_settings/i.test(text)) return undefined;
    return this.#check(this.role, node);
  }

  async #check(role: string, node: Node): Promise<void> {
    if ('VariableSetStmt' in node) {
      const { name, kind, args = [] } = node.VariableSetStmt;
      if (name === 'session_authorization') throw denied('cannot set session authorization', role);
      if (name === 'role' && kind === 'VAR_SET_VALUE') await this.#mayBecome(role, constantOf(args[0]));
      return;
    }
    if (setsRole(node)) throw denied('cannot set the role in a query', role, 'Use SET ROLE.');
  }

  async #mayBecome(role: string, wanted: string | undefined): Promise<void> {
    if (wanted === undefined || wanted === 'none') throw denied('cannot leave the role', role, 'Use RESET ROLE.');
    const { rows } = await this.database.query({ text: `SELECT pg_catalog.pg_has_role($1, oid, 'MEMBER') FROM pg_catalog.pg_roles WHERE rolname = $2`, values: [role, wanted] });
    // A role that does not exist is for the server to say.
    if (rows[0]?.[0] === 'f') throw new ClusterError('invalidParameter', `permission denied to set role "${wanted}"`, { sqlState: '42501' });
  }
}

function denied(message: string, role: string, hint?: string): ClusterError {
  return new ClusterError('invalidParameter', message, { sqlState: '42501', detail: `The session acts as "${role}".`, hint });
}

function constantOf(node: Node | undefined): string | undefined {
  return node !== undefined && 'A_Const' in node ? node.A_Const.sval?.sval : undefined;
}

/** Whether it calls set_config for a role, or for what cannot be seen. */
function setsRole(node: Node): boolean {
  let found = false;
  walk(node, (kind, body) => {
    // A rule of this view calls set_config with whatever it is given.
    if (kind === 'UpdateStmt' && 'relation' in body && (body as UpdateStmt).relation?.relname === 'pg_settings') found = true;
    if (kind !== 'FuncCall' || !('funcname' in body)) return undefined;
    const call = body as { readonly funcname?: Node[]; readonly args?: Node[] };
    if (builtinName(call.funcname) !== 'set_config') return undefined;
    const name = constantOf(call.args?.[0]);
    found ||= name === undefined || /^(role|session_authorization)$/i.test(name.trim());
    return undefined;
  });
  return found;
}
