import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { renderErrorDocs } from '../../scripts/render-error-docs.ts';

test('docs/errors.md is what `npm run docs` makes of the catalogue', () => {
  expect(readFileSync(new URL('../../docs/errors.md', import.meta.url), 'utf8')).toBe(renderErrorDocs());
});
