import type { DataRow } from '../copy-text.ts';
import { columnRandom } from './column-random.ts';
import { addressAt, numbered, phoneAt } from './contact.ts';
import { money } from './money.ts';
import { nations, segments } from './tpch-words.ts';
import type { TpchWorld } from './tpch-world.ts';

const streams = { address: 61, nation: 62, phone: 63, balance: 64, segment: 65, comment: 66 } as const;
const commentLength = { min: 29, max: 116 } as const;

export function* customerRows({ random, comments, size }: TpchWorld): Generator<DataRow, void, undefined> {
  const nationKeys = columnRandom(random, streams.nation);
  const balances = columnRandom(random, streams.balance);
  const segmentNames = columnRandom(random, streams.segment);
  for (let key = 1; key <= size.customers; key += 1) {
    const nation = nationKeys.between(key, 0, nations.length - 1);
    yield [
      key, numbered('Customer', key), addressAt(random, streams.address, key), nation, phoneAt(random, streams.phone, { row: key, nation }),
      money(balances.between(key, -99_999, 999_999)), segmentNames.pick(key, segments), comments.commentAt(streams.comment, key, commentLength),
    ];
  }
}
