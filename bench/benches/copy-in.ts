import { createWriteStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { copyText } from '../data/copy-text.ts';
import { saasTables } from '../data/saas-schema.ts';
import { copyStatement, type TableDefinition } from '../data/table-definition.ts';
import type { Bench, Variant } from '../harness/bench.ts';
import { createTable } from '../harness/create-table.ts';
import { runChild } from '../harness/run-child.ts';
import { ratioAtLeast } from '../harness/targets.ts';
import type { TestBed } from '../harness/test-bed.ts';

const copies: TableDefinition = {
  ...saasTables.clicks,
  name: 'click_copies',
  statements: [saasTables.clicks.statements[0].replace('TABLE clicks', 'TABLE click_copies')],
};

/** COPY FROM STDIN of all clicks from a file of text, in a process of its own, into an empty table with its primary key. */
export const copyIn: Bench = {
  name: 'copy-in',
  about: 'COPY FROM STDIN of all clicks, and the memory it takes',
  variants: (bed) => [copyInVariant(bed)],
};

function copyInVariant(bed: TestBed): Variant {
  const file = path.join(bed.directory, 'clicks.copy');
  return {
    metrics: [
      { name: 'copy-in/rows', unit: 'rows/s', target: ratioAtLeast(1.1) },
      { name: 'copy-in/rss-growth', unit: 'MB' },
    ],
    prepare: async () => {
      await createTable(bed.plain.pool(1), copies);
      await createTable(bed.shardwright, copies, bed.shardwright);
      await writeClicks(bed, file);
    },
    warm: true,
    costly: true,
    measure: async (side) => {
      await side.pool(1).query(`TRUNCATE ${copies.name}`);
      const { kind, connectionString } = side;
      const outcome = await runChild(bed, { kind: 'copy_in', side: kind, connectionString, sql: copyStatement(copies), file });
      if (outcome.rows !== bed.rows.size.clicks) throw new Error(`COPY took ${outcome.rows} rows of ${bed.rows.size.clicks}`);
      return [(outcome.rows / outcome.totalMs) * 1000, outcome.peakMB - outcome.baseMB];
    },
    cleanUp: async () => {
      for (const side of [bed.plain, bed.cluster]) await side.pool(1).query(`TRUNCATE ${copies.name}`);
    },
  };
}

async function writeClicks(bed: TestBed, file: string): Promise<void> {
  await pipeline(Readable.from(copyText(bed.rows.clicks()), { objectMode: false }), createWriteStream(file));
  if ((await stat(file)).size === 0) throw new Error('no COPY text was written');
}
