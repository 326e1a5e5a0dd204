/**
 * What the driver sends for a JavaScript value: text, or bytes in binary format for buffers. Undefined when that is not known
 * without the driver (arrays, invalid dates, objects that refer to themselves) and for null.
 * Kept equal to `prepareValue` of pg with its default settings: a Date is sent as local time with its offset.
 */
export function parameterText(value: unknown): string | Uint8Array | undefined {
  if (typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean') return String(value);
  return typeof value === 'object' && value !== null ? objectText(value, maxIndirections) : undefined;
}

/** `toPostgres` may answer with another object that has it; this many times. */
const maxIndirections = 8;

function objectText(value: object, indirections: number): string | Uint8Array | undefined {
  if (value instanceof Uint8Array) return value;
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  if (value instanceof Date) return dateText(value);
  if (Array.isArray(value)) return undefined;
  if (!('toPostgres' in value) || typeof value.toPostgres !== 'function') return json(value);
  const next: unknown = value.toPostgres(parameterText);
  if (typeof next !== 'object' || next === null) return parameterText(next);
  return indirections === 0 ? undefined : objectText(next, indirections - 1);
}

function json(value: object): string | undefined {
  try {
    return JSON.stringify(value);
  } catch {
    return undefined; // The driver throws the same error when the value is sent.
  }
}

function dateText(date: Date): string | undefined {
  if (Number.isNaN(date.getTime())) return undefined;
  const year = date.getFullYear();
  const [shownYear, era] = year < 1 ? [1 - year, ' BC'] : [year, ''];
  const day = `${pad(shownYear, 4)}-${pad(date.getMonth() + 1, 2)}-${pad(date.getDate(), 2)}`;
  const time = `${pad(date.getHours(), 2)}:${pad(date.getMinutes(), 2)}:${pad(date.getSeconds(), 2)}`;
  const east = -date.getTimezoneOffset();
  const offset = `${east < 0 ? '-' : '+'}${pad(Math.floor(Math.abs(east) / 60), 2)}:${pad(Math.abs(east) % 60, 2)}`;
  return `${day}T${time}.${pad(date.getMilliseconds(), 3)}${offset}${era}`;
}

function pad(value: number, width: number): string {
  return String(value).padStart(width, '0');
}
