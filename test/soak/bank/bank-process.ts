import { setTimeout as wait } from 'node:timers/promises';
import { sqlStateOf } from '../../../src/base/errors.ts';
import { Cluster } from '../../../src/index.ts';
import { Random } from '../../oracle/random.ts';
import type { BankEvent } from './bank-event.ts';
import { accounts } from './bank-tables.ts';

// An application process of the bank: tells each thing that came about in a line of JSON, and ends in peace when its standard input does.
const [connectionString = '', seed = '1', name = 'p'] = process.argv.slice(2);
const cluster = new Cluster({ connectionString, statementTimeoutMs: 5_000, recoveryIntervalMs: 300, connectTimeoutMs: 2_000 });
const over = new AbortController();
process.stdin.on('end', () => over.abort()).resume();

function tell(event: BankEvent): void {
  process.stdout.write(`${JSON.stringify(event)}\n`);
}

async function transfer(id: string, random: Random): Promise<void> {
  const [from, to, amount] = [random.int(1, accounts), random.int(1, accounts), random.int(1, 50)];
  if (from === to) return;
  try {
    await cluster.transaction(async (tx) => {
      for (const [tenant, change] of [[from, -amount], [to, amount]]) {
        await tx.query('UPDATE accounts SET balance = balance + $2 WHERE tenant_id = $1', [tenant, change]);
        await tx.query('INSERT INTO transfers VALUES ($1, $2, $3)', [tenant, id, change]);
      }
    });
    tell({ kind: 'acknowledged', id });
  } catch (error) {
    const code = sqlStateOf(error) ?? 'none';
    tell({ kind: code === '08007' ? 'unknown' : 'refused', id, code });
    // Servers that are down are not asked at full speed.
    await wait(20);
  }
}

async function read(): Promise<void> {
  try {
    const row = await cluster.snapshot(async (client) => {
      const { rows } = await client.query<{ total: string; moved: string }>('SELECT (SELECT sum(balance) FROM accounts)::text AS total, (SELECT coalesce(sum(amount), 0) FROM transfers)::text AS moved');
      return rows[0];
    });
    tell({ kind: 'read', total: Number(row?.total), moved: Number(row?.moved) });
  } catch (error) {
    tell({ kind: 'unread', code: sqlStateOf(error) ?? String(error) });
    await wait(20);
  }
}

async function transferAlways(lane: number): Promise<void> {
  const random = new Random(Number(seed) * 10 + lane);
  for (let i = 0; !over.signal.aborted; i += 1) await transfer(`${name}-${lane}-${i}`, random);
}

async function readAlways(): Promise<void> {
  while (!over.signal.aborted) {
    await read();
    await wait(10);
  }
}

await Promise.all([readAlways(), ...[0, 1, 2, 3].map(transferAlways)]);
await cluster.end();
