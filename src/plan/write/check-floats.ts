import type { PlanInput } from '../plan-select.ts';
import { unsupported } from '../select/unsupported.ts';

/** Rows that pass through the application are text, in which a session with few extra_float_digits has its numbers rounded. */
export function checkFloats({ finishing }: PlanInput): void {
  if (finishing === 'server_rounded_floats') throw unsupported('Floating-point values would reach the table rounded by extra_float_digits.', 'RESET extra_float_digits.');
}
