import type { Node, VariableSetStmt } from '@pgsql/types';
import type { QueryResult } from 'pg';
import { present } from '../base/assert.ts';
import { ClusterError } from '../base/errors.ts';
import { coordinatorNodeId } from '../catalog/coordinator-node.ts';
import { withLogicalNames } from '../execute/logical-names.ts';
import type { Statement } from '../sql/parse.ts';
import { hasNoEffect } from './citus-settings.ts';
import { checkConsistentSnapshots } from './consistent-snapshots.ts';
import { isReadSetting, readSettings, readSettingSet } from './read-options.ts';
import { rowOf, tagged } from './session-answers.ts';
import type { BlockSession, SessionBlock } from './session-block.ts';
import type { PreparedStatements } from './prepared-statements.ts';
import { configCalls, settingsMade, type SetConfig } from './set-config.ts';
import { setsModes } from './statement-kinds.ts';
import { settingsSince, watchSettings } from './watched-settings.ts';

/** SET, RESET, SET CONSTRAINTS, DISCARD, and what set_config does: checked by the coordinator database, remembered, and given to each connection of the session before it is used. */
export class SettingStatements {
  constructor(
    private readonly session: BlockSession,
    private readonly block: SessionBlock,
    private readonly prepared: PreparedStatements,
  ) {}

  async set(statement: Statement, set: VariableSetStmt, signal: AbortSignal | undefined): Promise<QueryResult> {
    const { settings } = this.session;
    checkConsistentSnapshots(set);
    const name = set.name?.toLowerCase() ?? '';
    const readValue = isReadSetting(name) ? this.#checkedToken(name, readSettingSet(set)) : undefined;
    const tag = tagged(set.kind === 'VAR_RESET' || set.kind === 'VAR_RESET_ALL' ? 'RESET' : 'SET');
    if (set.name === 'TRANSACTION SNAPSHOT') {
      throw new ClusterError('unsupportedQuery', 'SET TRANSACTION SNAPSHOT is not supported', { detail: 'A snapshot is that of one server, and the transaction may read several.' });
    }
    const local = set.is_local === true || (set.kind === 'VAR_SET_MULTI' && set.name !== 'SESSION CHARACTERISTICS');
    const resets = set.kind === 'VAR_RESET' || set.kind === 'VAR_RESET_ALL' || set.kind === 'VAR_SET_DEFAULT';
    const text = resets ? settings.resetting(statement.text, { name: set.kind === 'VAR_RESET_ALL' ? undefined : name, local }) : statement.text;
    if (!this.block.isOpen) {
      await this.session.pinned.use((connection) => connection.query({ text, simple: true }, { onNotice: this.session.onNotice }));
      if (local) return tag;
    } else await this.#setInBlock(set, text, signal);
    if (set.kind === 'VAR_RESET_ALL') settings.clear();
    else if (local) settings.setLocal(name);
    else settings.set({ name, text, value: readValue });
    this.session.outdate();
    if (hasNoEffect(set)) this.session.notice('NOTICE', '00000', `setting "${set.name ?? ''}" has no effect in shardwright`);
    return tag;
  }

  /** In a block: on every server that joins it. Shards' constraints have other names, so all or those of local tables alone. */
  async setConstraints({ text }: Statement, named: readonly Node[]): Promise<QueryResult> {
    const transaction = present(this.block.transaction);
    const snapshot = await this.session.services.store.load();
    const names = named.flatMap((node) => ('RangeVar' in node ? [node.RangeVar.relname ?? ''] : []));
    const isOurs = (name: string): boolean => [...snapshot.tables.values()].some(({ constraints }) => constraints.includes(name));
    if (names.some(isOurs)) {
      throw new ClusterError('unsupportedQuery', 'SET CONSTRAINTS cannot name constraints of distributed or reference tables', { hint: 'Use SET CONSTRAINTS ALL.' });
    }
    const coordinator = await transaction.join(coordinatorNodeId, 'read');
    try {
      // What was written is looked at when the lookups have followed, not before.
      if (names.length === 0) await transaction.broadcast(snapshot.lookups.length === 0 ? text : `${text};\nSET CONSTRAINTS shardwright.lookups_are_kept DEFERRED`);
      else await coordinator.query({ text, simple: true });
    } catch (error) {
      throw withLogicalNames(error, snapshot);
    }
    return tagged('SET');
  }

  /** Runs a statement that may call set_config. What it has set on the coordinator's connection reaches the others. Throws `unsupportedQuery` where nobody could tell what that is. */
  async watching(statement: Statement, values: readonly unknown[], run: () => Promise<QueryResult>): Promise<QueryResult> {
    const calls = configCalls(statement, values);
    if (calls === undefined) return run();
    const watched = calls.kind === 'plain' ? undefined : await this.block.onCoordinator((connection) => watchSettings(connection, calls, { statement, values }));
    const result = await run();
    await this.#adopt(watched === undefined ? settingsMade(statement.node, values, rowOf(result)) : await this.block.onCoordinator((connection) => settingsSince(connection, watched)));
    return result;
  }

  /** What set_config has set on the coordinator's connection reaches the others. */
  async #adopt(made: readonly SetConfig[]): Promise<void> {
    const { settings } = this.session;
    const { transaction } = this.block;
    for (const setting of made) {
      if (transaction !== undefined) {
        await transaction.broadcast(setting.text);
        transaction.changedSettings = true;
        if (/^transaction_/i.test(setting.name)) await this.block.readModes();
      } else if (setting.local) continue;
      if (isReadSetting(setting.name)) this.#checkedToken(setting.name, setting.value);
      if (setting.local) settings.setLocal(setting.name);
      else settings.set(setting);
      this.session.outdate();
    }
  }

  async discard({ text }: Statement, target: string | undefined): Promise<QueryResult> {
    if (target !== 'DISCARD_ALL' && target !== undefined) {
      await this.block.onCoordinator((connection) => connection.query({ text, simple: true }));
      if (target === 'DISCARD_SEQUENCES') this.session.sequences.discard();
      return tagged('DISCARD');
    }
    if (this.block.isOpen) throw new ClusterError('invalidParameter', 'DISCARD ALL cannot run inside a transaction block', { sqlState: '25001' });
    this.session.settings.clear();
    this.session.outdate();
    this.session.pinned.release();
    this.session.sequences.discard();
    this.prepared.forget();
    await this.session.cursors.closeAll();
    return tagged('DISCARD');
  }

  async #setInBlock(set: VariableSetStmt, text: string, signal: AbortSignal | undefined): Promise<void> {
    const transaction = present(this.block.transaction);
    const isFirst = set.name === 'TRANSACTION' && transaction.beginWith(text);
    await transaction.join(coordinatorNodeId, 'read');
    if (!isFirst) await transaction.broadcast(text);
    transaction.changedSettings = true;
    if (setsModes(set)) await this.block.readModes();
    if (set.name === 'TRANSACTION') await this.block.snapshotAfter(text, signal);
  }

  #checkedToken(name: string, value: string | undefined): string | undefined {
    const { token } = readSettings((one) => (one === name ? value : undefined));
    if (token !== undefined) this.session.services.writes.tokens.parse(token);
    return value;
  }
}
