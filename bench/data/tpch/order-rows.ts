import type { DataRow } from '../copy-text.ts';
import { columnRandom } from './column-random.ts';
import { dayText } from './calendar.ts';
import { numbered } from './contact.ts';
import { money } from './money.ts';
import { orderKey } from './order-key.ts';
import { orderLines, type OrderLine } from './order-lines.ts';
import { priorities } from './tpch-words.ts';
import type { TpchWorld } from './tpch-world.ts';

const streams = { customer: 91, priority: 92, clerk: 93, comment: 94 } as const;
const commentLength = { min: 19, max: 78 } as const;

/** In the order of their keys. */
export function* orderRows(world: TpchWorld): Generator<DataRow, void, undefined> {
  const { random, comments, size } = world;
  const source = orderLines(world);
  const customers = columnRandom(random, streams.customer);
  const priorityNames = columnRandom(random, streams.priority);
  const clerks = columnRandom(random, streams.clerk);
  const buyers = size.customers - Math.floor(size.customers / 3);
  for (let order = 1; order <= size.orders; order += 1) {
    const lines = source.linesOf(order);
    yield [
      orderKey(order), buyerKey(customers.between(order, 0, buyers - 1)), statusOf(lines), money(totalCents(lines)), dayText(source.dayOf(order)),
      priorityNames.pick(order, priorities), numbered('Clerk', clerks.between(order, 1, size.clerks)), 0,
      comments.commentAt(streams.comment, order, commentLength),
    ];
  }
}

/** The n-th customer, from 0, whose key is no multiple of three: every third one never orders. */
function buyerKey(index: number): number {
  return index + Math.floor(index / 2) + 1;
}

/** Fulfilled or open when all lines are; else `P`artly. */
function statusOf(lines: readonly OrderLine[]): 'F' | 'O' | 'P' {
  if (lines.every(({ status }) => status === 'F')) return 'F';
  return lines.every(({ status }) => status === 'O') ? 'O' : 'P';
}

/** Each line's price is cut to whole cents after the discount, then after the tax (consistency condition 3 of 3.3.2). */
function totalCents(lines: readonly OrderLine[]): number {
  let total = 0;
  for (const { priceCents, discount, tax } of lines) {
    total += Math.floor((Math.floor((priceCents * (100 - discount)) / 100) * (100 + tax)) / 100);
  }
  return total;
}
