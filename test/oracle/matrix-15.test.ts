import { Cluster } from '../../src/index.ts';
import { describeCell } from './describe-cell.ts';
import { cells } from './matrix-cells.ts';

for (const cell of cells.filter(({ major }) => major === 15)) describeCell(cell, (options) => new Cluster(options));
