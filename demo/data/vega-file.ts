import { fileURLToPath } from 'node:url';

/** The path of a file of the `vega-datasets` package. */
export function vegaFile(name: string): string {
  return fileURLToPath(new URL(`../data/${name}`, import.meta.resolve('vega-datasets')));
}
