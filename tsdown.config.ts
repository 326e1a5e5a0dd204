import { defineConfig } from 'tsdown';

/** Two entry points, `shardwright` and `shardwright/embedded`; what they share becomes a chunk, so that both have the same `Cluster`. */
export default defineConfig({
  entry: { index: 'src/index.ts', embedded: 'src/embedded.ts' },
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  dts: true,
  sourcemap: true,
  fixedExtension: false,
  deps: { onlyBundle: ['@pgsql/types'] },
  outDir: 'dist',
  clean: true,
});
