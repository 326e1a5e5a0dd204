import type { Random } from '../../oracle/random.ts';

/** Texts that a type's input function accepts on every version: boundaries put in by hand, and a generator. */
export interface ValueSamples {
  readonly boundaries: readonly string[];
  random(random: Random): string;
}

export const valueSamples: Readonly<Record<string, ValueSamples>> = {
  smallint: {
    boundaries: ['0', '-0', '+1', '-1', '32767', '-32768', ' 007 ', '\t12\n'],
    random: (random) => spelledInteger(random, random.int(-32_768, 32_767)),
  },
  integer: {
    boundaries: ['0', '-0', '2147483647', '-2147483648', '+0042', ' 42 '],
    random: (random) => spelledInteger(random, random.int(-(2 ** 31), 2 ** 31 - 1)),
  },
  bigint: {
    boundaries: [
      '0', '-0', '-1', '9223372036854775807', '-9223372036854775808', '+0042', ' 42 ',
      '4294967295', '4294967296', '-4294967296', '-4294967297', '9007199254740991', '9007199254740992', '-9007199254740993',
      '0000000000000000000000000000042', '-000000000009007199254740995',
    ],
    random: (random) => spelledInteger(random, BigInt.asIntN(random.int(1, 64), bits64(random))),
  },
  oid: {
    boundaries: ['0', '1', '4294967295', '2147483648', ' 7 '],
    random: (random) => String(random.int(0, 2 ** 32 - 1)),
  },
  text: { boundaries: ['', ' ', 'a', '\u{1f600}', '\ufeffbom', 'ä', 'eleven byte', 'twelve bytes', 'thirteen byte'], random: anyText },
  'character varying': { boundaries: ['', 'x '], random: anyText },
  character: {
    boundaries: ['', ' ', '   ', 'a', 'a  ', ' a ', '\u3000', 'a\t ', 'ü   '],
    random: (random) => anyText(random) + ' '.repeat(random.int(0, 3)),
  },
  name: { boundaries: ['', 'x'.repeat(70), `${'x'.repeat(62)}ä`, `${'x'.repeat(61)}ä`, '€'.repeat(30)], random: anyText },
  '"char"': { boundaries: ['', 'a', 'abc', '\\', '~', ' '], random: (random) => String.fromCharCode(random.int(1, 91)) },
  uuid: {
    boundaries: [
      '00000000-0000-0000-0000-000000000000', 'FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF', '{a0eebc999c0b4ef8bb6d6bb9bd380a11}',
      'a0eebc99-9c0b4ef8-bb6d6bb9-bd380a11',
      '{A0EE-BC99-9c0b-4ef8-bb6d-6bb9-bd38-0a11}',
    ],
    random: (random) => {
      const plain = hex(random, 16).replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
      return random.pick([plain, plain.toUpperCase(), `{${plain}}`, plain.replaceAll('-', '')]);
    },
  },
  boolean: {
    boundaries: ['t', 'f', '1', '0', 'TRUE', ' yes ', 'y', 'ye', 'n', 'no', 'on', 'of', 'OFF', 'tr', 'fals'],
    random: (random) => random.pick(['true', 'false', 'yes', 'no', 'on', 'off', '1', '0']),
  },
  bytea: {
    boundaries: ['', '\\x', '\\x00', '\\xDEADbeef', '\\x de ad\nbe ef ', 'plain', '\\\\', 'a\\000b\\377', 'ä'],
    random: (random) => {
      const bytes = hex(random, random.int(0, 40));
      return random.chance(0.8) ? `\\x${bytes}` : bytes.replace(/../g, (pair) => `\\${Number.parseInt(pair, 16).toString(8).padStart(3, '0')}`);
    },
  },
  date: {
    boundaries: [
      '2000-01-01', '1999-12-31', '2000-02-29', '1900-02-28', '0001-01-01', '0001-01-01 BC', '0001-12-31 BC', '0005-02-29 BC',
      '4714-11-24 BC', '5874897-12-31', '294277-01-01', '10000-01-01', 'infinity', '-infinity', ' Infinity ',
      '2024-03-31T23:59:59.999+02:00', '2024-01-01 10:00:00-11', '0044-03-15T12:00:00.000+00:53 BC',
    ],
    random: (random) => day(random),
  },
  'time without time zone': {
    boundaries: ['00:00:00', '24:00:00', '23:59:59.999999', '12:34', '12:34:56.7', '00:00:00.000001', ' 01:02:03 '],
    random: clock,
  },
  'time with time zone': {
    boundaries: ['00:00:00+00', '24:00:00Z', '23:59:59.999999-15:59:59', '12:34 +05:30', '01:02:03-0930', '10:00:00+00:00:01'],
    random: (random) => clock(random) + offset(random),
  },
  'timestamp without time zone': {
    boundaries: [
      '2000-01-01 00:00:00', '1999-12-31 23:59:59.999999', '4714-11-24 00:00:00 BC', '294276-12-31 23:59:59.999999', '2024-02-29',
      'infinity', '-infinity', '2024-03-31T02:30:00.123+02:00', '2024-03-31 02:30Z', '0001-01-01 00:00:00 BC',
    ],
    random: (random) => day(random, 294_276).replace(/( BC)?$/, ` ${clock(random)}$1`).replace('24:00:00', '00:00:00'),
  },
  'timestamp with time zone': {
    boundaries: [
      '2000-01-01 00:00:00+00', '1999-12-31 23:59:59.999999Z', '4714-11-24 00:00:00+00 BC', '294276-12-31 23:59:59.999999+00',
      'infinity', '-infinity', '2024-03-31T02:30:00.123+02:00', '2024-03-31 02:30:00-15:59', '0001-01-01 00:00:00-12 BC',
      '1880-06-01 12:00:00+00:53:28',
    ],
    random: (random) =>
      day(random, 294_000).replace(/( BC)?$/, ` ${clock(random)}${offset(random)}$1`).replace('24:00:00', '00:00:00'),
  },
  interval: {
    boundaries: [
      '00:00:00', '1 day', '24:00:00', '1 mon', '30 days', '-1 days', '1 year 2 mons -3 days +04:05:06.7', '-00:00:00.000001',
      '-178000000 years', '178000000 years', '2147483647 days', '-2147483648 days', '2562047787:59:59', '-2 mons +60 days', '1 month 2 days',
    ],
    random: (random) => {
      const parts = [
        [random.int(-200, 200), 'years'],
        [random.int(-30, 30), 'mons'],
        [random.int(-1000, 1000), 'days'],
      ] as const;
      const shown = parts.filter(() => random.chance(0.6)).map(([amount, unit]) => `${amount < 0 ? '' : '+'}${amount} ${unit}`);
      return [...shown, `${random.pick(['+', '-'])}${clock(random)}`].join(' ').replace(/ (\d\d:\d\d)$/, ' $1:00');
    },
  },
  numeric: {
    boundaries: [
      '0', '-0', '0.00', '1', '1.0', '1.00', '1e0', '10e-1', '+1', '-1', '.5', '5.', '-.5e1', '1e21', '1e-21', '1E+3', ' 1.50 ',
      '9999', '10000', '9999.9999', '0.0001', '0.00001', '100000000', '12345678.90123456', 'NaN', 'nan', 'Infinity', '-inf', '+INF',
      '0000123.4500', '1e500', '1e-500', '00.0001e4', `${'9'.repeat(300)}.${'1'.repeat(300)}`,
    ],
    random: (random) => {
      const whole = digits(random, random.int(0, 12));
      const fraction = digits(random, random.int(whole === '' ? 1 : 0, 12));
      const exponent = random.chance(0.2) ? `e${random.int(-30, 30)}` : '';
      return `${random.pick(['', '', '-', '+'])}${whole}${fraction === '' ? '' : `.${fraction}`}${exponent}`;
    },
  },
  real: {
    boundaries: [
      '0', '-0', '1', '0.1', '1e38', '3.4028235e38', '1e-45', '1.4e-45', '1.17549435e-38', 'NaN', 'Infinity', '-inf', '16777217',
      // Between float4s, so near to the midpoint that rounding to a double first goes wrong.
      '1.00000005960464477539062500001', '1.000000059604644775390625', '1.00000005960464477539062499999', '1.00000017881393432617187499999',
    ],
    random: (random) => String(float4(random)),
  },
  'double precision': {
    boundaries: [
      '0', '-0', '1', '0.1', '1e23', '1e22', '5e-324', '1.7976931348623157e308', '2.2250738585072014e-308', 'NaN', 'Infinity', '-inf',
      '123456789012345', '1234567890123456', '0.0001', '0.00001', '9007199254740993', '1e15', '1e14', ' 1.5 ',
    ],
    random: (random) => String(float8(random)),
  },
  inet: {
    boundaries: [
      '0.0.0.0', '255.255.255.255', '10.1.2.3/8', '10.1.2.3/32', '::', '::1', '::/0', '::1.2.3.4', '::ffff:1.2.3.4/96', 'fe80::1/64',
      '2001:DB8:0:0:1:0:0:1', '1:0:0:2::', '::1:0', '::2', '1::', '0:0:1::',
    ],
    random: (random) => (random.chance(0.5) ? ipv4(random) + prefix(random, 32) : ipv6(random) + prefix(random, 128)),
  },
  cidr: {
    boundaries: ['0.0.0.0/0', '10.0.0.0/8', '1.2.3.4', '::/0', '2001:db8::/32', '::1', '255.255.255.254/31'],
    random: (random) => (random.chance(0.5) ? ipv4(random) : ipv6(random)),
  },
  macaddr: {
    boundaries: ['00:00:00:00:00:00', 'FF:ff:FF:ff:FF:ff', '08-00-2b-01-02-03'],
    random: (random) => hex(random, 6).replace(/..(?!$)/g, '$&:'),
  },
  macaddr8: {
    boundaries: ['00:00:00:00:00:00:00:00', 'FF:ff:FF:ff:FF:ff:00:01', '08-00-2b-ff-fe-01-02-03'],
    random: (random) => hex(random, 8).replace(/..(?!$)/g, '$&-'),
  },
  pg_lsn: {
    boundaries: ['0/0', 'FFFFFFFF/FFFFFFFF', 'ffffffff/0', '16/B374D848', '0000001/00000002'],
    random: (random) => `${random.int(0, 2 ** 32 - 1).toString(16)}/${random.int(0, 2 ** 32 - 1).toString(16)}`,
  },
};

/** Any bit pattern that is a finite double. */
export function float8(random: Random): number {
  const view = new DataView(new ArrayBuffer(8));
  view.setUint32(0, random.int(0, 2 ** 32 - 1));
  view.setUint32(4, random.chance(0.2) ? 0 : random.int(0, 2 ** 32 - 1));
  const value = view.getFloat64(0);
  return Number.isFinite(value) && random.chance(0.7) ? value : random.int(-(10 ** 9), 10 ** 9) / 10 ** random.int(0, 9);
}

/** Any bit pattern that is a finite float4. */
export function float4(random: Random): number {
  const view = new DataView(new ArrayBuffer(4));
  view.setUint32(0, random.int(0, 2 ** 32 - 1));
  const value = view.getFloat32(0);
  return Number.isFinite(value) ? value : 0;
}

function bits64(random: Random): bigint {
  return (BigInt(random.int(0, 2 ** 32 - 1)) << 32n) | BigInt(random.int(0, 2 ** 32 - 1));
}

function spelledInteger(random: Random, value: number | bigint): string {
  const text = String(value);
  if (random.chance(0.8)) return text;
  const padded = text.startsWith('-') ? text.replace('-', '-00') : random.pick([`+${text}`, `00${text}`]);
  return random.pick([padded, ` ${padded}`, `${padded}\n`]);
}

function anyText(random: Random): string {
  const alphabet = random.pick(['abcdefghij0123456789 -_', 'aäß€\u{1f600}字 ', "\u0001~'\\\"%\n"]);
  const characters = Array.from(alphabet);
  return Array.from({ length: random.int(0, 30) }, () => random.pick(characters)).join('');
}

function digits(random: Random, length: number): string {
  return Array.from({ length }, () => (random.chance(0.3) ? 0 : random.int(0, 9))).join('');
}

function hex(random: Random, bytes: number): string {
  return Array.from({ length: bytes }, () => random.int(0, 255).toString(16).padStart(2, '0')).join('');
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}

function day(random: Random, yearMax = 5_874_897): string {
  const [year, era] = random.weighted([
    [6, [random.int(1, 9999), ''] as const],
    [1, [random.int(10_000, yearMax), ''] as const],
    [1, [random.int(1, 4713), ' BC'] as const],
  ]);
  return `${String(year).padStart(4, '0')}-${two(random.int(1, 12))}-${two(random.int(1, 28))}${era}`;
}

function clock(random: Random): string {
  const hours = two(random.int(0, 23));
  const minutes = two(random.int(0, 59));
  const seconds = two(random.int(0, 59));
  const decimals = random.chance(0.5) ? `.${digits(random, random.int(1, 6))}` : '';
  return `${hours}:${minutes}:${seconds}${decimals}`;
}

function offset(random: Random): string {
  const hours = `${random.pick(['+', '-'])}${two(random.int(0, 14))}`;
  return random.pick(['Z', hours, `${hours}:30`, `${hours}45`, `${hours}:15:20`]);
}

function ipv4(random: Random): string {
  return Array.from({ length: 4 }, () => random.int(0, 255)).join('.');
}

function ipv6(random: Random): string {
  return Array.from({ length: 8 }, () => (random.chance(0.6) ? 0 : random.int(0, 65_535)).toString(16)).join(':');
}

function prefix(random: Random, bitsMax: number): string {
  return random.chance(0.5) ? '' : `/${random.int(0, bitsMax)}`;
}
