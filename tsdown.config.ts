import { defineConfig } from 'tsdown';

/** `shardwright`, `shardwright/embedded` and `shardwright/wire`; and the command `shardwright`; what they share becomes a chunk, so that all have the same `Cluster`. */
export default defineConfig({
  entry: { index: 'src/index.ts', embedded: 'src/embedded.ts', wire: 'src/wire.ts', cli: 'src/cli/main.ts' },
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
