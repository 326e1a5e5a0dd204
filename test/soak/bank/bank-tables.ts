import { Cluster } from '../../../src/index.ts';

export const accounts = 24;
const balance = 1_000;
/** What every snapshot has to find. */
export const bankTotal = accounts * balance;

/** An account for each tenant, and the transfers that it took part in. */
export async function createBank(connectionString: string): Promise<void> {
  const cluster = new Cluster({ connectionString });
  await cluster.query(`CREATE TABLE accounts (tenant_id int PRIMARY KEY, balance bigint NOT NULL);
    CREATE TABLE transfers (tenant_id int, transfer text, amount bigint NOT NULL, PRIMARY KEY (tenant_id, transfer))`);
  await cluster.createDistributedTable('accounts', 'tenant_id', { shardCount: 6 });
  await cluster.createDistributedTable('transfers', 'tenant_id', { colocateWith: 'accounts' });
  await cluster.query(`INSERT INTO accounts VALUES ${Array.from({ length: accounts }, (_, i) => `(${i + 1}, ${balance})`).join(', ')}`);
  await cluster.end();
}
