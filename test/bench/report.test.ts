import { stripVTControlCharacters } from 'node:util';
import { describe, expect, it } from 'vitest';
import type { MetricResult } from '../../bench/harness/bench.ts';
import { reportJson, type Report } from '../../bench/harness/report.ts';
import { alignColumns, reportTable } from '../../bench/harness/report-table.ts';

const met: MetricResult = {
  name: 'point-read/32', unit: 'ops/s', plain: 20_512.25, cluster: 41_024.5, ratio: 2, target: '≥ 1.00 ×', met: true, refused: undefined, problem: undefined,
};
const failed: MetricResult = {
  name: 'stream/rows', unit: 'rows/s', plain: 1_000_000, cluster: null, ratio: null, target: undefined, met: undefined, refused: undefined, problem: 'cluster: not yet',
};
const refused: MetricResult = {
  name: 'tpch/q02', unit: 'ms', plain: 4.5, cluster: null, ratio: null, target: '≤ 4.00 ×', met: undefined, refused: 'SW001 no', problem: undefined,
};
const report: Report = {
  bench: 'point-read,stream',
  commit: 'abc1234',
  machine: { cpu: 'a cpu', cores: 2, memoryGiB: 24, platform: 'linux-x64', node: 'v20.20.2', postgres: '18' },
  results: [met, failed, refused],
};

describe('reportJson', () => {
  it('is one object with the agreed members, figures as numbers or null', () => {
    expect(JSON.parse(reportJson(report))).toEqual({
      bench: 'point-read,stream',
      commit: 'abc1234',
      machine: report.machine,
      results: [
        { name: 'point-read/32', unit: 'ops/s', plain: 20_512.3, cluster: 41_024.5, ratio: 2 },
        { name: 'stream/rows', unit: 'rows/s', plain: 1_000_000, cluster: null, ratio: null, error: 'cluster: not yet' },
        { name: 'tpch/q02', unit: 'ms', plain: 4.5, cluster: null, ratio: null, refused: 'SW001 no' },
      ],
    });
  });
});

describe('reportTable', () => {
  it('lines up figures and marks targets and failures', () => {
    const lines = stripVTControlCharacters(reportTable(report)).split('\n');
    expect(lines.slice(2)).toMatchInlineSnapshot(`
      [
        "               unit        plain  cluster  ratio  target",
        "point-read/32  ops/s      20 512   41 025   2.00  ≥ 1.00 ×  met",
        "stream/rows    rows/s  1 000 000        –      –            failed",
        "tpch/q02       ms          4.500        –      –  ≤ 4.00 ×  refused",
        "",
        "tpch/q02: SW001 no",
        "",
        "stream/rows: cluster: not yet",
      ]
    `);
  });
});

describe('alignColumns', () => {
  it('moves figures to the right', () => {
    expect(alignColumns([['a', 'ms', '1', '≥ 1', 'met'], ['bb', 's', '22', '', '']])).toEqual(['a   ms   1  ≥ 1  met', 'bb  s   22']);
  });
});
