import { sizeText } from '../../base/size-text.ts';

/** What is looked at before a move begins. */
export type PreflightCheckId =
  | 'placement' | 'table_kind' | 'name_free' | 'replica_identity' | 'wal_level' | 'replication_slots' | 'wal_senders' | 'replication_role' | 'create_right' | 'standby'
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

/** What `cluster.movePreflight()` found. */
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

/** Copying and building indexes go at about this rate on the machines that were measured. */
const bytesPerMs = 100_000;
const fixedMs = 300;

export function preflightReport(checks: readonly PreflightCheck[], bytes: number): PreflightReport {
  const ok = checks.every((check) => check.ok || check.level === 'warning');
  const estimatedMs = Math.round(fixedMs + bytes / bytesPerMs);
  const head = `${ok ? 'the shard group can be moved' : 'the shard group cannot be moved'}: ${sizeText(bytes)}, about ${Math.ceil(estimatedMs / 1000)} s`;
  return { ok, checks, bytes, estimatedMs, text: [head, ...checks.map(line)].join('\n') };
}

function line({ check, ok, level, node, message, hint }: PreflightCheck): string {
  const mark = ok ? 'ok' : level;
  return `  ${mark.padEnd(8)}${check}${node === null ? '' : ` (${node})`}: ${message}${hint === null ? '' : `. ${hint}`}`;
}
