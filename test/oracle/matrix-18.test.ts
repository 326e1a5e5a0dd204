import { Cluster } from '../../src/index.ts';
import { describeCell } from './describe-cell.ts';
import { cells } from './matrix-cells.ts';

for (const cell of cells.filter(({ major }) => major === 18)) describeCell(cell, (options) => new Cluster(options));
