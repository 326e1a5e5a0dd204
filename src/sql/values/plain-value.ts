/**
 * Whether a text is surely a value of a type, so that no server has to be asked: the plain forms in which drivers write common types. False for all else, which may be one as well. In arrays with quotes and in long
 * documents nothing is looked for: what is wrong there shows when the statement runs.
 */
export function isPlainValue(typeOid: number, text: string): boolean {
  return plain.get(typeOid)?.(text) ?? false;
}

type Check = (text: string) => boolean;

const matches = (pattern: RegExp): Check => (text) => pattern.test(text);
const anything: Check = () => true;
const int2 = matches(/^-?\d{1,4}$/);
const int4 = matches(/^-?\d{1,9}$/);
const int8 = matches(/^-?\d{1,18}$/);
const numeric = matches(/^-?\d{1,200}(?:\.\d{1,200})?$/);
const float = matches(/^-?\d{1,15}(?:\.\d{1,18})?$/);
const bool = matches(/^(?:t|f|true|false|[01])$/);
const uuid = matches(/^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/i);
const bytea: Check = (text) => text.startsWith('\\x') && text.length % 2 === 0 && !/[^\da-f]/i.test(text.slice(2));
const time = /^(?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d{1,6})?)?$/;
const moment = /^(\d{4})-(\d\d)-(\d\d)(?:[ T]((?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d{1,6})?)?))?(?: ?(?:Z|[+-](?:0\d|1[0-4])(?::?[0-5]\d)?))?$/;
const documentLengthMax = 100_000;

function isDate(text: string): boolean {
  const [, year = '', month = '', day = ''] = moment.exec(text) ?? [];
  return Number(year) > 0 && Number(month) >= 1 && Number(month) <= 12 && Number(day) >= 1 && Number(day) <= new Date(Date.UTC(Number(year), Number(month), 0)).getUTCDate();
}

function isDocument(text: string): boolean {
  if (text.length > documentLengthMax) return true;
  if (text.includes('\\u')) return false;
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function arrayOf(element: Check): Check {
  return (text) => {
    if (!text.startsWith('{') || !text.endsWith('}')) return false;
    const inner = text.slice(1, -1);
    return inner === '' || /["{\\]/.test(inner) || inner.split(',').every((one) => /^null$/i.test(one) || (one.trim() !== '' && element(one)));
  };
}

/** By OID. */
const plain: ReadonlyMap<number, Check> = new Map([
  [16, bool], [17, bytea], [19, anything], [20, int8], [21, int2], [23, int4], [25, anything], [26, matches(/^\d{1,9}$/)], [114, isDocument], [700, float], [701, float], [705, anything], [1042, anything], [1043, anything],
  [1082, isDate], [1083, matches(time)], [1114, isDate], [1184, isDate], [1700, numeric], [2950, uuid], [3802, isDocument],
  [1000, arrayOf(bool)], [1005, arrayOf(int2)], [1007, arrayOf(int4)], [1009, arrayOf(anything)], [1015, arrayOf(anything)], [1016, arrayOf(int8)], [1021, arrayOf(float)], [1022, arrayOf(float)], [1231, arrayOf(numeric)], [2951, arrayOf(uuid)],
]);
