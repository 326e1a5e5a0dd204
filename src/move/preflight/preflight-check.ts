import { sizeText } from '../../base/size-text.ts';

/** What is looked at before a move begins. */
export type PreflightCheckId =
  | 'placement' | 'table_kind' | 'foreign_code' | 'name_free' | 'replica_identity' | 'wal_level' | 'replication_slots' | 'wal_senders' | 'replication_role' | 'create_right' | 'standby'
  | 'prepared_transactions' | 'long_transactions' | 'retained_wal' | 'server_version' | 'extensions' | 'types' | 'collations' | 'disk';

/** One thing that was looked at. */
export interface PreflightCheck {
  readonly check: PreflightCheckId;
  /** False when it is in the way of the move (`error`), or should be known before (`warning`). */
  readonly ok: boolean;
  readonly level: 'error' | 'warning';
  /** `host:port/database` of the server that was asked; null where none was. */
  readonly node: string | null;
  /** A sentence without its full stop: what was found. */
  readonly message: string;
  /** What to do about it, or null. */
  readonly hint: string | null;
}

/** What `cluster.movePreflight()` and the like found. */
export interface PreflightReport {
  /** Whether nothing is in the way. */
  readonly ok: boolean;
  readonly checks: readonly PreflightCheck[];
  /** Of the shards on the source, indexes included; what the target will need, about. */
  readonly bytes: number;
  /** How long the move would take on servers that have little else to do: a rough guess by its size. */
  readonly estimatedMs: number;
  /** All of it for people to read. */
  readonly text: string;
}

/** What `cluster.drainPreflight()` found: of each move that a node's shard groups would make. */
export interface DrainPreflight {
  /** Whether nothing is in the way of any. */
  readonly ok: boolean;
  readonly moves: readonly PreflightedMove[];
  /** Of all shards together. */
  readonly bytes: number;
  /** Of all moves, one after the other. */
  readonly estimatedMs: number;
  /** All of it for people to read. */
  readonly text: string;
}

/** Ids of the shard group, and of the nodes. */
export interface PreflightedMove {
  readonly shardGroupId: number;
  readonly from: number;
  readonly to: number;
  readonly report: PreflightReport;
}

export function drainPreflight(moves: readonly PreflightedMove[]): DrainPreflight {
  const refused = moves.filter(({ report }) => !report.ok).length;
  const [bytes, estimatedMs] = [moves.reduce((sum, { report }) => sum + report.bytes, 0), moves.reduce((sum, { report }) => sum + report.estimatedMs, 0)];
  const head = `${moves.length} shard ${moves.length === 1 ? 'group' : 'groups'} to move, ${refused} of them cannot be: ${sizeText(bytes)}, about ${Math.ceil(estimatedMs / 1000)} s`;
  const each = moves.map(({ shardGroupId, from, to, report }) => `shard group ${shardGroupId}, from node ${from} to node ${to}: ${report.text}`);
  return { ok: refused === 0, moves, bytes, estimatedMs, text: [head, ...each].join('\n') };
}

/** Copying and building indexes go at about this rate on the machines that were measured. */
const bytesPerMs = 100_000;
const fixedMs = 300;

/** `done`: what is to be done to the shard group, as a participle. */
export function preflightReport(checks: readonly PreflightCheck[], bytes: number, done = 'moved'): PreflightReport {
  const ok = checks.every((check) => check.ok || check.level === 'warning');
  const estimatedMs = Math.round(fixedMs + bytes / bytesPerMs);
  const head = `the shard group ${ok ? 'can' : 'cannot'} be ${done}: ${sizeText(bytes)}, about ${Math.ceil(estimatedMs / 1000)} s`;
  return { ok, checks, bytes, estimatedMs, text: [head, ...checks.map(line)].join('\n') };
}

function line({ check, ok, level, node, message, hint }: PreflightCheck): string {
  const mark = ok ? 'ok' : level;
  return `  ${mark.padEnd(8)}${check}${node === null ? '' : ` (${node})`}: ${message}${hint === null ? '' : `. ${hint}`}`;
}
