import { Client } from 'pg';
import { present } from '../../src/base/assert.ts';
import type { CatalogSnapshot } from '../../src/catalog/catalog-snapshot.ts';
import type { Describe } from '../../src/plan/describe.ts';
import { bindTarget, valuesFor } from '../../src/plan/bind.ts';
import type { Statistics } from '../../src/plan/staged/statistics.ts';
import { Planner, type PreparedPlan } from '../../src/session/planner.ts';
import { loadGrammar } from '../../src/sql/parse.ts';
import { catalogDocumentQuery } from '../../src/store/catalog-document.ts';
import { snapshotFromJson } from '../../src/store/load-snapshot.ts';
import type { Bench } from '../harness/bench.ts';
import { median } from '../harness/statistics.ts';
import { valueAtMost } from '../harness/targets.ts';
import type { TestBed } from '../harness/test-bed.ts';
import { randomClick } from './random-click.ts';

const text = 'SELECT * FROM clicks WHERE company_id = $1 AND id = $2';
const coldTexts = 500;
const cachedRunsPerSample = 1000;
const samples = 100;

/** From the text of a point query to the statement for one node: parse, analyze, plan, prune by the values, render. No I/O. */
export const plan: Bench = {
  name: 'plan',
  about: 'a point query from text to bound plan, cold and from the cache',
  variants: (bed) => [
    {
      metrics: [
        { name: 'plan/cold', unit: 'µs', target: valueAtMost(150, 'µs') },
        { name: 'plan/cached', unit: 'µs', target: valueAtMost(5, 'µs') },
      ],
      clusterOnly: true,
      costly: true,
      measure: async () => {
        await loadGrammar();
        const snapshot = await readSnapshot(bed.cluster.connectionString);
        return [await measureCold(bed, snapshot), await measureCached(bed, snapshot)];
      },
    },
  ],
};

/** Each text is another one, so that nothing of it is known. */
async function measureCold(bed: TestBed, snapshot: CatalogSnapshot): Promise<number> {
  const planner = new Planner();
  const timesUs: number[] = [];
  for (let index = 0; index < coldTexts; index += 1) {
    const { company, id } = randomClick(bed.rows, index);
    const startedMs = performance.now();
    bind(await prepare(planner, snapshot, `${text} -- ${index}`), [company, id]);
    timesUs.push((performance.now() - startedMs) * 1000);
  }
  return median(timesUs);
}

async function measureCached(bed: TestBed, snapshot: CatalogSnapshot): Promise<number> {
  const planner = new Planner();
  await prepare(planner, snapshot, text);
  const keys = Array.from({ length: cachedRunsPerSample }, (_, index) => randomClick(bed.rows, index));
  const timesUs: number[] = [];
  for (let sample = 0; sample < samples; sample += 1) {
    const startedMs = performance.now();
    for (const { company, id } of keys) bind(present(planner.cached(text, snapshot), 'cached plan'), [company, id]);
    timesUs.push(((performance.now() - startedMs) * 1000) / cachedRunsPerSample);
  }
  return median(timesUs);
}

const noStatistics: Statistics = { table: () => Promise.resolve(undefined), seen: () => undefined, local: () => Promise.resolve(undefined) };

async function prepare(planner: Planner, snapshot: CatalogSnapshot, sql: string): Promise<PreparedPlan> {
  const [statement] = planner.statements(sql);
  const { searchPath } = snapshot.server;
  return planner.plan(present(statement, 'statement'), { snapshot, searchPath, describe: noDescription, statistics: noStatistics, cache: true });
}

/** What a run does before it speaks to a node. */
function bind({ plan: planned, texts }: PreparedPlan, values: readonly unknown[]): void {
  if (planned.kind !== 'select') throw new Error(`a point query was planned as ${planned.kind}`);
  const target = bindTarget(planned.uses, values);
  if (target.kind !== 'one') throw new Error('a point query was not pruned to one node');
  present(texts, 'texts').forUses(target.ordinals);
  valuesFor(planned.whole, values);
}

/** A router query is planned without asking a server. */
const noDescription: Describe = {
  statement: (sql) => Promise.reject(new Error(`asked for a description of ${sql}`)),
  attempt: (sql) => Promise.reject(new Error(`asked for a description of ${sql}`)),
  functions: () => Promise.resolve(new Map()),
  relations: () => Promise.resolve(new Set<string>()),
};

async function readSnapshot(connectionString: string): Promise<CatalogSnapshot> {
  const client = new Client({ connectionString, types: { getTypeParser: () => String } });
  await client.connect();
  try {
    const { rows } = await client.query<[string, string]>({ text: catalogDocumentQuery(), rowMode: 'array' });
    const [document, searchPath] = present(rows[0], 'catalog document');
    return snapshotFromJson(document, searchPath);
  } finally {
    await client.end();
  }
}
