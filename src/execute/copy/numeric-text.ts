const negative = 0x4000;

const special: ReadonlyMap<number, string> = new Map([
  [0xc000, 'NaN'],
  [0xd000, 'Infinity'],
  [0xf000, '-Infinity'],
]);

/**
 * A binary numeric as text, exact; the empty text when the bytes are none. Form: digit count, weight, sign and scale as int16, then
 * digits of base 10000, the first worth 10000^weight. Source: PostgreSQL's numeric_send.
 */
export function numericText(field: Buffer): string {
  if (field.length < 8) return '';
  const count = field.readUInt16BE(0);
  const weight = field.readInt16BE(2);
  const sign = field.readUInt16BE(4);
  const scale = field.readUInt16BE(6);
  if (field.length !== 8 + 2 * count) return '';
  const name = special.get(sign);
  if (name !== undefined) return name;
  const digit = (index: number): string => String(index >= 0 && index < count ? field.readInt16BE(8 + 2 * index) : 0).padStart(4, '0');
  let whole = '';
  for (let index = 0; index <= weight; index += 1) whole += digit(index);
  let fraction = '';
  for (let index = weight + 1; fraction.length < scale; index += 1) fraction += digit(index);
  const integer = whole.replace(/^0+(?=\d)/, '') || '0';
  return `${sign === negative ? '-' : ''}${integer}${scale === 0 ? '' : `.${fraction.slice(0, scale)}`}`;
}
