import { seededRandom } from '../data/random.ts';
import type { SaasRows } from '../data/saas-rows.ts';

const random = seededRandom(7);
const stream = 1;

/** The key of a click that exists, at random but the same for the same sequence number. */
export function randomClick(rows: SaasRows, sequence: number): { readonly company: number; readonly id: number } {
  const id = random.belowAt(stream, sequence, rows.size.clicks) + 1;
  return { company: rows.companyOfClick(id), id };
}
