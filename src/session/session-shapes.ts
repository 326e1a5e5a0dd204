import { assert } from '../base/assert.ts';
import { ClusterError, sqlStateOf } from '../base/errors.ts';
import type { CatalogSnapshot } from '../catalog/catalog-snapshot.ts';
import { coordinatorNodeId } from '../catalog/coordinator-node.ts';
import type { StatementShape } from '../cluster/node-connection.ts';
import { parameterNumbers } from '../plan/shard-template.ts';
import type { StatementPlan } from '../plan/statement-plan.ts';
import type { Statement } from '../sql/parse.ts';
import { citusSettingShown } from './citus-settings.ts';
import type { PreparedPlan } from './planner.ts';
import { utilityField } from './run-statement.ts';
import { transactionAborted } from './session-answers.ts';
import type { PortalSession } from './session-portals.ts';

const textOid = 25;

interface ShapeSession extends Pick<PortalSession, 'services' | 'block' | 'planner' | 'cursors' | 'plannedComputed'> {
  /** Nothing of its own stands between it and connections that many share. */
  isPlain(): boolean;
}

/** PostgreSQL has these functions itself. */
function asksForCurrentValuesAlone(plan: StatementPlan): boolean {
  return plan.kind === 'computed' && plan.inputs.every(({ kind }) => kind === 'current_value');
}

/** What a session's statements take and give, before they run: types of parameters and columns, as the coordinator database says for its shells, with its errors. */
export class SessionShapes {
  constructor(private readonly session: ShapeSession) {}

  /** `types`: OIDs of leading parameters, 0 for one to infer. */
  async of(statement: Statement, types: readonly number[]): Promise<StatementShape> {
    const { block, cursors, planner } = this.session;
    const { node } = statement;
    if ('TransactionStmt' in node) return { parameterTypes: [], fields: [] };
    if (block.isFailed) throw transactionAborted();
    const shown = citusSettingShown(node);
    if (shown !== undefined) return this.of(shown, []);
    const cursor = 'FetchStmt' in node ? cursors.fieldsOf(node.FetchStmt.portalname ?? '') : undefined;
    if (cursor !== undefined) return { parameterTypes: [], fields: cursor };
    return block.failing(async () => {
      const snapshot = await this.#snapshot();
      const computed = await this.session.plannedComputed(statement, undefined).catch((error: unknown) => {
        if (error instanceof ClusterError && error.id === 'invalidParameter') throw error;
        return undefined;
      });
      if (computed !== undefined && !asksForCurrentValuesAlone(computed.plan)) return this.#ofComputed(computed, types, snapshot);
      return planner.shapeOf(statement, types, snapshot).catch((error: unknown) => this.#ofUtility(statement, snapshot, error));
    });
  }

  /** Has the coordinator database read values in the session's state, as Bind does: rejects with its words for the first that is none of its type. `types`: OIDs. */
  async readValues(types: readonly number[], values: readonly (string | null)[]): Promise<void> {
    const isPlain = this.session.isPlain();
    await this.session.block.failing(async () => {
      const names = await this.typeNames(types);
      const query = { text: `SELECT ${names.map((name, i) => `$${i + 1}::${name ?? 'pg_catalog.text'}`).join(', ')} WHERE false`, values };
      await (isPlain ? this.session.services.pools.get(coordinatorNodeId).query(query) : this.session.block.onCoordinator((connection) => connection.query(query)));
    });
  }

  /** Names of types, as they are written in casts; undefined for 0. */
  async typeNames(oids: readonly number[]): Promise<(string | undefined)[]> {
    const names = await this.session.planner.describer(await this.#snapshot()).typeNames(oids.filter((oid) => oid !== 0));
    return oids.map((oid) => (oid === 0 ? undefined : names.shift()));
  }

  async #snapshot(): Promise<CatalogSnapshot> {
    return this.session.block.ownSnapshot ?? (await this.session.services.store.load());
  }

  /** As the statement that is left without what the cluster computes, of whose parameters the caller knows some. */
  async #ofComputed({ plan, statement }: PreparedPlan, types: readonly number[], snapshot: CatalogSnapshot): Promise<StatementShape> {
    assert(plan.kind === 'computed', 'another plan');
    const { parameterTypes, fields } = await this.session.planner.shape(plan.statement.text, plan.numbers.map((number) => types[number - 1] ?? 0), snapshot);
    const typeOf = (number: number): number => (plan.numbers.includes(number) ? (parameterTypes[plan.numbers.indexOf(number)] ?? textOid) : textOid);
    return { parameterTypes: parameterNumbers(statement.node).map(typeOf), fields };
  }

  /** The coordinator database knows none of the cluster's own functions, but what is in their places. */
  async #ofUtility(statement: Statement, snapshot: CatalogSnapshot, error: unknown): Promise<StatementShape> {
    if (sqlStateOf(error) !== '42883' && sqlStateOf(error) !== '42P01') throw error;
    const { planner } = this.session;
    const { plan } = await planner.plan(statement, snapshot).catch(() => Promise.reject(error));
    if ((plan.kind === 'coordinator' || plan.kind === 'definition') && plan.text !== statement.text) return planner.shape(plan.text, [], snapshot);
    if (plan.kind !== 'utility') throw error;
    return { parameterTypes: parameterNumbers(statement.node).map(() => textOid), fields: [utilityField(plan)] };
  }
}
