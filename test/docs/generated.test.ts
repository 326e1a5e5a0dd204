import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { goldenFiles } from '../../scripts/golden-files.ts';
import { renderErrorDocs } from '../../scripts/render-error-docs.ts';
import { howItRuns, renderSqlSupport } from '../../scripts/render-sql-support.ts';

function doc(name: string): string {
  return readFileSync(new URL(`../../docs/${name}`, import.meta.url), 'utf8');
}

test('docs/errors.md is what `npm run docs` makes of the catalogue', () => {
  expect(doc('errors.md')).toBe(renderErrorDocs());
});

test('docs/sql-support.md is what `npm run docs` makes of the golden files', () => {
  expect(doc('sql-support.md')).toBe(renderSqlSupport(goldenFiles()));
});

test.each([
  ['Router\n  Node: node 1\n  Sql: SELECT 1', '**one node**'],
  ['Project\n  Columns: 1\n  ->  Gather\n        ->  Fused shard queries\n              Rules: x', '**shard groups** → gather → project'],
  ['Any node\n  Rules: a\n  ->  Intermediate result\n        For: one node\n        ->  Gather\n              ->  Shard queries', '**any one node**, after an intermediate result for one node'],
  ['ERROR SW001 0A000: no\nDETAIL It cannot.\nHINT Do not.', 'refused (SW001): It cannot.'],
  ['ERROR 42703: column "x" does not exist', 'refused (42703): column "x" does not exist'],
])('%s', (plan, words) => {
  expect(howItRuns(plan)).toBe(words);
});
