import { authors, tenants } from '../rows.ts';
import type { OracleCase } from '../oracle-case.ts';
import { withValues } from '../oracle-case.ts';

const byTenant = `SELECT tenant_id, id, amount FROM orders WHERE tenant_id = $1`;
const byAuthor = `SELECT author, id FROM notes WHERE author = $1`;
const byId = `SELECT id, t FROM wide WHERE id = $1`;
const someKey = `SELECT count(*) FROM events WHERE key = $1`;

/** Distribution values in every form that pg accepts for the same value, and forms that PostgreSQL refuses. */
export const distributionValueCases: OracleCase[] = [
  ...tenants.map((tenant) => withValues(byTenant, tenant)),
  ...tenants.map((tenant) => withValues(byTenant, BigInt(tenant))),
  ...tenants.filter((tenant) => Number.isSafeInteger(Number(tenant))).map((tenant) => withValues(byTenant, Number(tenant))),
  ...authors.map((author) => withValues(byAuthor, author)),
  ...[' 1', '1 ', '+1', '01', '\t1\n', '-0', '1e0', '1.0', '0x1', '', 'one', '1_0', '9223372036854775808'].map((text) => withValues(byTenant, text)),
  ...[null, undefined, true, 1.5, Number.NaN, Number.POSITIVE_INFINITY, -0, 1e21].map((value) => withValues(byTenant, value)),
  ...[3, '3', 3n, '  3', -5, null, 2147483648, '3.0'].map((value) => withValues(byId, value)),
  ...['00000000-0000-0000-0000-000000000000', '{00000000-0000-0000-0000-000000000000}', '00000000000000000000000000000000', 'not a uuid', null].map((value) => withValues(someKey, value)),
  withValues(`SELECT count(*) FROM events WHERE key = upper($1)::uuid`, '7b1c2d3e-0000-4000-8000-000000000001'),
  withValues(`SELECT author, id FROM notes WHERE author = $1`, 42),
  withValues(`SELECT author, id FROM notes WHERE author = $1`, new Date(0)),
  withValues(`SELECT author, id FROM notes WHERE author = $1`, Buffer.from('ada')),
  withValues(`SELECT author, id FROM notes WHERE author = $1::varchar(3)`, 'adamant'),
  withValues(`SELECT author, id FROM notes WHERE author = $1::text`, 'ada'),
  withValues(`SELECT id FROM orders WHERE tenant_id = $1::int`, 2),
  withValues(`SELECT id FROM orders WHERE tenant_id = $1::numeric`, '2.0'),
  withValues(`SELECT id FROM orders WHERE tenant_id = $1::text::bigint`, '2'),
  withValues(`SELECT id FROM orders WHERE tenant_id = $1 + 1`, 1),
  withValues(`SELECT id FROM orders WHERE $1 = tenant_id AND id = $2`, 2, 1),
  withValues(`SELECT id FROM orders WHERE id = $2 AND tenant_id = $1`, 2, 1),
  withValues(`SELECT id, $1 AS x FROM orders WHERE tenant_id = $1`, 2),
  withValues(`SELECT id FROM orders WHERE tenant_id IN ($1, $2)`, 2, 3),
  withValues(`SELECT id FROM orders WHERE tenant_id IN ($1, 3)`, null),
  withValues(`SELECT tenant_id, id FROM orders WHERE tenant_id = ANY ($1)`, [2, 3]),
  withValues(`SELECT tenant_id, id FROM orders WHERE tenant_id = ANY ($1)`, []),
  withValues(`SELECT tenant_id, id FROM orders WHERE tenant_id = ANY ($1)`, [null, 2]),
  withValues(`SELECT tenant_id, id FROM orders WHERE tenant_id = ANY ($1)`, null),
  withValues(`SELECT tenant_id, id FROM orders WHERE tenant_id = ANY ($1::bigint[])`, ['2', 3n, 3]),
  withValues(`SELECT tenant_id, id FROM orders WHERE tenant_id = ANY ($1)`, '{2, 4}'),
  withValues(`SELECT author, id FROM notes WHERE author = ANY ($1)`, ['ada', 'a"b', 'back\\slash', '']),
  withValues(`SELECT tenant_id, id FROM orders WHERE (tenant_id = $1 OR tenant_id = $2) AND amount > $3`, 2, 3, 0),
  withValues(`SELECT o.id FROM orders o JOIN accounts a USING (tenant_id) WHERE a.tenant_id = $1`, 2),
  withValues(`WITH mine AS (SELECT * FROM orders WHERE tenant_id = $1) SELECT count(*) FROM mine`, 2),
  withValues(`SELECT count(*) FROM orders WHERE tenant_id = (SELECT $1::bigint)`, 2),
  withValues(`SELECT id FROM orders WHERE tenant_id = $1 LIMIT $2`, 123456, 5),
];

/** Parameters of every JavaScript type pg accepts, beside the distribution value and in fan-outs. */
export const parameterCases: OracleCase[] = [
  ...[42, '42', 42n, null, '-0', 0].map((value) => withValues(`SELECT id FROM wide WHERE i4 = $1`, value)),
  ...[1, 1.5, '1.00', 1n, 'NaN', null, 1e-20].map((value) => withValues(`SELECT id, n FROM wide WHERE n = $1`, value)),
  ...[0, -0, Number.NaN, Number.POSITIVE_INFINITY, 2.5, 5e-324, '0.1', null].map((value) => withValues(`SELECT id, f8 FROM wide WHERE f8 = $1`, value)),
  ...['a', '', 'ä', 'e\u0301', '🐘', 'tab\tnewline\n', null, 5, true].map((value) => withValues(`SELECT id, t FROM wide WHERE t = $1`, value)),
  ...['abc', 'abc  ', 'ü', ''].map((value) => withValues(`SELECT id, ch FROM wide WHERE ch = $1`, value)),
  ...[true, false, 't', 'no', null, 'maybe'].map((value) => withValues(`SELECT id FROM wide WHERE bo = $1`, value)),
  ...[Buffer.from([0]), Buffer.alloc(0), new Uint8Array([0xde, 0xad, 0xbe, 0xef]), '\\xff', null].map((value) => withValues(`SELECT id, by FROM wide WHERE by = $1`, value)),
  ...[new Date('2024-02-29T12:00:00Z'), new Date('2024-10-27T00:30:00Z'), '2024-03-31 01:30:00+00', 'infinity', null].map((value) => withValues(`SELECT id, tstz FROM wide WHERE tstz <= $1`, value)),
  ...['2024-02-29', 'infinity', new Date('2024-02-29T12:00:00Z')].map((value) => withValues(`SELECT id, d FROM wide WHERE d = $1`, value)),
  ...['1 day', '24 hours', '30 days', 'P1M'].map((value) => withValues(`SELECT id, iv FROM wide WHERE iv = $1`, value)),
  ...[{ a: 2 }, [1, 2], null, '{"a": 2}', 5].map((value) => withValues(`SELECT id, jb FROM wide WHERE jb @> $1`, value)),
  ...[[1], [], [1, 2], [null], [[1, 2], [3, 4]], '{1}'].map((value) => withValues(`SELECT id, ai FROM wide WHERE ai = $1`, value)),
  ...[['a'], ['a,b', 'c"d', '\\'], [null, 'NULL', ''], ['ü', '🐘']].map((value) => withValues(`SELECT id, atx FROM wide WHERE atx = $1`, value)),
  ...['happy', 'sad', null, 'furious'].map((value) => withValues(`SELECT id FROM wide WHERE m = $1`, value)),
  ...['10.0.0.1', '::1'].map((value) => withValues(`SELECT id FROM wide WHERE ip = $1`, value)),
  ...['FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF'].map((value) => withValues(`SELECT id FROM wide WHERE u = $1`, value)),
  withValues(`SELECT id FROM wide WHERE t = ANY ($1) OR i4 = ANY ($2)`, ['a', 'b'], [42]),
  withValues(`SELECT $1::int AS i, $2::text AS t, $3::jsonb AS j, $4::timestamptz AS d, $5::bytea AS b, $6::text[] AS a`, 1, 'x', { k: [1, null] }, new Date(0), Buffer.from('hi'), ['p', null]),
  withValues(`SELECT id, $1::text || t AS t FROM wide WHERE id < $2`, 'prefix ', 5),
  withValues(`SELECT $1::int + count(*), max($2::text) FROM wide`, 1, 'x'),
  withValues(`SELECT $2 AS b, $1 AS a FROM wide WHERE id = 1`, 'first', 'second'),
  withValues(`SELECT id FROM wide WHERE id > $1 AND id < $1 + $2`, 1, 4),
  withValues(`SELECT count(*) FROM wide WHERE $1`, true),
  withValues(`SELECT count(*) FROM wide WHERE $1::text IS NULL`, null),
  withValues(`SELECT count(*) FROM wide WHERE $1::text IS NULL`, undefined),
  withValues(`SELECT id FROM wide WHERE t = '$1' OR id = $1`, 3),
  withValues(`SELECT count(*) FROM regions WHERE id = $1`, 2),
  withValues(`SELECT * FROM settings WHERE name = $1`, 'theme'),
  withValues(`SELECT $1`, 'text'),
  withValues(`SELECT $1::int[]`, [1, null, 3]),
  withValues(`SELECT count(*) FROM orders WHERE status = $1 AND amount BETWEEN $2 AND $3 AND paid = $4`, 'new', 0, '500.50', false),
  withValues(`SELECT count(*) FROM orders WHERE placed_at > $1::timestamptz - $2::interval`, new Date('2024-06-01T00:00:00Z'), '10 days'),
  withValues(`SELECT status, count(*) FROM orders WHERE quantity > $1 GROUP BY status HAVING sum(quantity) > $2 ORDER BY 1 LIMIT $3`, 1, 2, 3),
];
