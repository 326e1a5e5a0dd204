import type { RandomSource } from '../random.ts';
import type { DataRow } from '../copy-text.ts';
import { columnRandom } from './column-random.ts';
import { addressAt, numbered, phoneAt } from './contact.ts';
import { money } from './money.ts';
import { nations } from './tpch-words.ts';
import type { TpchWorld } from './tpch-world.ts';

const streams = { address: 21, nation: 22, phone: 23, balance: 24, comment: 25, remarkKey: 26, remarkGap: 27, remarkStart: 28 } as const;
const commentLength = { min: 25, max: 100 } as const;

/** Per unit of scale, so many suppliers have complaints in their comment, and as many recommendations. */
const remarksPerScale = 5;

export function* supplierRows(world: TpchWorld): Generator<DataRow, void, undefined> {
  const { random, comments, size } = world;
  const nationKeys = columnRandom(random, streams.nation);
  const balances = columnRandom(random, streams.balance);
  const remarks = remarksByKey(world);
  for (let key = 1; key <= size.suppliers; key += 1) {
    const nation = nationKeys.between(key, 0, nations.length - 1);
    const comment = comments.commentAt(streams.comment, key, commentLength);
    const remark = remarks.get(key);
    yield [
      key, numbered('Supplier', key), addressAt(random, streams.address, key), nation, phoneAt(random, streams.phone, { row: key, nation }),
      money(balances.between(key, -99_999, 999_999)), remark === undefined ? comment : withRemark(comment, remark, { random, key }),
    ];
  }
}

/** At least one supplier of each kind, at any scale. */
function remarksByKey({ random, size }: TpchWorld): ReadonlyMap<number, 'Complaints' | 'Recommends'> {
  const each = Math.ceil(remarksPerScale * size.scale);
  const keys = columnRandom(random, streams.remarkKey);
  const remarks = new Map<number, 'Complaints' | 'Recommends'>();
  for (let position = 0; remarks.size < 2 * each; position += 1) {
    const key = keys.between(position, 1, size.suppliers);
    if (!remarks.has(key)) remarks.set(key, remarks.size < each ? 'Complaints' : 'Recommends');
  }
  return remarks;
}

/** `Customer`, some of the comment, then the remark: written over the comment, whose length stays. */
function withRemark(comment: string, remark: string, { random, key }: { readonly random: RandomSource; readonly key: number }): string {
  const customer = 'Customer';
  const spare = comment.length - customer.length - remark.length;
  const gap = random.belowAt(streams.remarkGap, key, spare + 1);
  const start = random.belowAt(streams.remarkStart, key, spare - gap + 1);
  const gapStart = start + customer.length;
  return comment.slice(0, start) + customer + comment.slice(gapStart, gapStart + gap) + remark + comment.slice(gapStart + gap + remark.length);
}
