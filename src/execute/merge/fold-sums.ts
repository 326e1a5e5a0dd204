import { present } from '../../base/assert.ts';
import { addFloat4, addFloat8 } from '../../sql/values/float-sum.ts';
import { formatFloat4, parseFloat4 } from '../../sql/values/float4-text.ts';
import { formatFloat8, parseFloat8 } from '../../sql/values/float8-text.ts';
import { addInterval } from '../../sql/values/interval-sum.ts';
import { formatInterval, parseInterval } from '../../sql/values/interval-text.ts';

/** Rounded to a float4 at each step, as the server does. Texts of floats are exact, so nothing is lost between steps. */
export function sumFloat4(a: string, b: string): string {
  return formatFloat4(addFloat4(parseFloat4(a), parseFloat4(b)));
}

/** The last digits depend on the order of rows, as on the server. */
export function sumFloat8(a: string, b: string): string {
  return formatFloat8(addFloat8(parseFloat8(a), parseFloat8(b)));
}

export function sumInterval(a: string, b: string): string {
  return formatInterval(addInterval(present(parseInterval(a), 'interval'), present(parseInterval(b), 'interval')));
}
