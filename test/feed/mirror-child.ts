import { Client } from 'pg';
import { Cluster } from '../../src/index.ts';

/**
 * A process that keeps a copy of `orders` in another database in step, until it is killed: what has changed and the cursor behind it in one transaction there, so exactly once. A row that is inserted twice, or updated or deleted and not there,
 * ends it with an error.
 */
const [source = '', target = ''] = process.argv.slice(2);
const cluster = new Cluster({ connectionString: source });
const copy = await new Client(target).connect();
await copy.query('CREATE TABLE IF NOT EXISTS orders (tenant bigint, id bigint, total int, note text, plan text, PRIMARY KEY (tenant, id)); CREATE TABLE IF NOT EXISTS place (cursor text)');
const { rows } = await copy.query<{ cursor: string }>('SELECT cursor FROM place');
const changes = cluster.changes('orders', { name: 'copy', from: rows[0]?.cursor, snapshot: true });
await copy.query('BEGIN');
let open = 0;
for await (const change of changes) {
  if (change.kind === 'snapshot_begin') await copy.query('TRUNCATE orders, place');
  else if (change.kind === 'insert') await copy.query('INSERT INTO orders SELECT * FROM json_populate_record(NULL::orders, $1)', [change.row]);
  else if (change.kind === 'update') {
    const sets = Object.keys(change.row).map((name) => `${name} = n.${name}`).join(', ');
    await once(`UPDATE orders o SET ${sets} FROM json_populate_record(NULL::orders, $1) n WHERE o.tenant = $2 AND o.id = $3`, [change.row, change.key['tenant'], change.key['id']]);
  } else if (change.kind === 'delete') await once('DELETE FROM orders WHERE tenant = $1 AND id = $2', [change.key['tenant'], change.key['id']]);
  open += 1;
  if (change.cursor === undefined || (open < 20 && change.kind !== 'snapshot_end' && 'endsTransaction' in change && !change.endsTransaction)) continue;
  await copy.query(`DELETE FROM place`);
  await copy.query('INSERT INTO place VALUES ($1)', [change.cursor]);
  await copy.query('COMMIT; BEGIN');
  changes.confirm(change.cursor);
  open = 0;
}

async function once(text: string, values: unknown[]): Promise<void> {
  const { rowCount } = await copy.query(text, values);
  if (rowCount !== 1) throw new Error(`${text}: ${rowCount} rows, of ${JSON.stringify(values.slice(1))}`);
}
