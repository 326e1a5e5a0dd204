import { expect, test } from 'vitest';
import { tellOrigin } from '../../../src/execute/copy/copy-error.ts';

const contexts = [
  ['COPY t_102008, line 3, column id: "x"', 'COPY t, line 13, column id: "x"', 'COPY t, line 13, column id: "x"'],
  ['COPY t_102008, line 3: "7\t2024-01-01\tx"', 'COPY t, line 13: "7\t2024-01-01\tx"', 'COPY t, line 13'],
  ['COPY t_102008, line 3\nSQL function "f"', 'COPY t, line 13\nSQL function "f"', 'COPY t, line 13\nSQL function "f"'],
];

test.each(contexts)('context %j', (where, told, withAdded) => {
  const origin = { shard: 't_102008', relation: 't', lineOf: (line: number) => line + 10 };
  const failing = (): Error => Object.assign(new Error('failed'), { where });
  expect(tellOrigin(failing(), { ...origin, hasAdded: false })).toMatchObject({ where: told });
  // A line with values that the caller never wrote would mislead.
  expect(tellOrigin(failing(), { ...origin, hasAdded: true })).toMatchObject({ where: withAdded });
});
