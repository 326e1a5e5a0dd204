import { readFileSync } from 'node:fs';
import type { GoldenFile } from './render-sql-support.ts';

const titles: Readonly<Record<string, string>> = {
  router: 'One tenant', pushdown: 'Answered by shard groups', aggregates: 'Aggregates', 'order-limit': 'ORDER BY, LIMIT, DISTINCT', constructs: 'SELECT, construct by construct', staged: 'In stages', 'single-shard': 'Tables with one shard',
  writes: 'Writes', unsupported: 'Refused',
};

/** The golden files of plans, in the order in which the documentation shows them. */
export function goldenFiles(): GoldenFile[] {
  return Object.entries(titles).map(([name, title]) => ({ title, text: readFileSync(new URL(`../test/plan/${name}.plan`, import.meta.url), 'utf8') }));
}
