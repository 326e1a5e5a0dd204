import type { TableRows } from './rows.ts';

/** Values of each type, the awkward ones first; rows pair them up cyclically, so lengths need not agree. */
const valuesOf: Readonly<Record<string, readonly (string | null)[]>> = {
  i2: ['0', '-32768', '32767', '7', null],
  i4: ['0', '-2147483648', '2147483647', '42', '42', null],
  i8: ['0', '-9223372036854775808', '9223372036854775807', '9007199254740993', '42', null],
  n: ['0', '1', '1.0', '1.00', '-1.50', 'NaN', 'Infinity', '-Infinity', '123456789012345678901234567890.123456789', '1e-20', null],
  n2: ['0', '1.5', '-1.5', '9999999999999999.9999', '0.0001', null],
  f4: ['0', '-0', 'NaN', 'Infinity', '-Infinity', '1.5', '3.4e38', '1e-45', null],
  f8: ['0', '-0', 'NaN', 'Infinity', '-Infinity', '0.1', '1.7976931348623157e308', '5e-324', '2.5', null],
  t: ['', ' ', 'a', 'A', 'b', 'B', 'ä', 'Ä', 'z', '🐘', '\uFFFD', '日本', 'a\\b', 'NULL', 'tab\tnewline\n', 'e\u0301', 'é', null],
  vc: ['', 'short', 'Short', 'trailing  ', '\u{1F600}\u{1F600}', null],
  ch: ['', 'abc', 'ABC', 'abc     ', 'ü', null],
  by: ['\\x', '\\x00', '\\xff', '\\xdeadbeef', '\\x00ff00', '\\x5c78', null],
  bo: ['t', 'f', null],
  d: ['2024-02-29', '0001-01-01', '0044-03-15 BC', 'infinity', '-infinity', '9999-12-31', '5874897-12-31', null],
  tm: ['00:00:00', '24:00:00', '12:34:56.789012', '23:59:59.999999', null],
  tmtz: ['00:00:00+00', '12:00:00+02', '10:00:00+00', '12:34:56.789-09:30', null],
  ts: ['2024-02-29 12:00:00', '2024-02-29 12:00:00.000001', '0044-03-15 00:00:00 BC', 'infinity', '-infinity', '10000-01-01 00:00:00', null],
  tstz: ['2024-03-31 01:30:00+00', '2024-10-27 00:30:00+00', '2024-10-27 01:30:00+00', 'infinity', '-infinity', '1900-01-01 00:00:00.5+00', null],
  iv: ['0', '1 day', '24:00:00', '1 mon', '30 days', '-1 year -2 mons +3 days -04:05:06.7', '1 microsecond', null],
  u: ['00000000-0000-0000-0000-000000000000', 'FFFFFFFF-ffff-FFFF-ffff-ffffffffffff', '7b1c2d3e-0000-4000-8000-000000000001', null],
  js: ['{"b": 1,  "a": 2}', '[1, 2.50, "x"]', 'null', '"str"', '{"a": 1, "a": 2}', '12345678901234567890', null],
  jb: ['{"b": 1,  "a": 2}', '[1, 2.50, "x"]', 'null', '"str"', '{"a": 1, "a": 2}', '12345678901234567890.10', null],
  ai: ['{}', '{1}', '{1,2}', '{NULL}', '{{1,2},{3,4}}', '[0:1]={5,6}', null],
  atx: ['{}', '{a}', '{"a,b","c\\"d","\\\\"}', '{NULL,"NULL",""}', '{ü,🐘}', null],
  r4: ['empty', '[1,5)', '(,)', '[3,)', '[1,4]', null],
  rts: ['empty', '["2024-01-01 00:00:00+00","2024-02-01 00:00:00+00")', '(,infinity]', null],
  mr: ['{}', '{[1,3),[5,7)}', '{(,0)}', null],
  ip: ['10.0.0.1', '10.0.0.0/8', '::1', '2001:db8::/32', '192.168.1.5/24', null],
  cd: ['10.0.0.0/8', '::/0', null],
  mac: ['08:00:2b:01:02:03', 'FF:ff:ff:ff:ff:ff', null],
  bt: ['00000', '11111', '01010', null],
  vb: ['', '1', '101', null],
  m: ['happy', 'sad', 'ok', 'Äußerst', null],
  pt: ['(0,0)', '(-1.5,2)', null],
  oi: ['0', '4294967295', '26', null],
  cash: ['$0.00', '-$12.50', '$1,000.00', null],
  c1: ['a', 'Z', null],
  nm: ['', 'a name', 'Ü', null],
  pc: ['0', '100', '55', null],
  dim: ['(1,2.50)', '(,)', null],
  tsv: ["'cat':1 'dog':2", '', null],
};

const columns = Object.keys(valuesOf);

/** 36 rows with ids from -5; the last three are NULL but for the id. */
export const wideRows: TableRows = {
  table: 'wide',
  columns: ['id', ...columns],
  rows: Array.from({ length: 36 }, (_, row) => [String(row - 5), ...columns.map((column) => (row >= 33 ? null : cyclic(valuesOf[column] ?? [], row)))]),
};

function cyclic(values: readonly (string | null)[], index: number): string | null {
  return values[index % values.length] ?? null;
}
