import type { DataRow } from '../copy-text.ts';
import type { RandomSource } from '../random.ts';
import { columnRandom, type ColumnRandom } from './column-random.ts';
import { money } from './money.ts';
import { retailPriceCents } from './retail-price.ts';
import { colors, containerSyllables, typeSyllables } from './tpch-words.ts';
import type { TpchWorld } from './tpch-world.ts';

const streams = { name: 31, maker: 32, brand: 33, typeSize: 34, typeFinish: 35, typeMetal: 36, size: 37, containerSize: 38, containerKind: 39, comment: 40 } as const;
const commentLength = { min: 5, max: 22 } as const;
const wordsPerName = 5;
const drawsPerName = 64;

export function* partRows({ random, comments, size }: TpchWorld): Generator<DataRow, void, undefined> {
  const column = (stream: number): ColumnRandom => columnRandom(random, stream);
  const names = column(streams.name);
  const makers = column(streams.maker);
  const brands = column(streams.brand);
  const sizes = column(streams.size);
  const typeAt = phrase(random, [streams.typeSize, streams.typeFinish, streams.typeMetal], typeSyllables);
  const containerAt = phrase(random, [streams.containerSize, streams.containerKind], containerSyllables);
  for (let key = 1; key <= size.parts; key += 1) {
    const maker = makers.between(key, 1, 5);
    yield [
      key, nameAt(names, key), `Manufacturer#${maker}`, `Brand#${maker}${brands.between(key, 1, 5)}`, typeAt(key), sizes.between(key, 1, 50),
      containerAt(key), money(retailPriceCents(key)), comments.commentAt(streams.comment, key, commentLength),
    ];
  }
}

/** Five different colours. */
function nameAt(names: ColumnRandom, key: number): string {
  const words = new Set<string>();
  for (let draw = 0; words.size < wordsPerName; draw += 1) words.add(names.pick(key * drawsPerName + draw, colors));
  return [...words].join(' ');
}

/** One word of each list, each from a stream of its own. */
function phrase(random: RandomSource, streamsOfLists: readonly number[], lists: readonly (readonly [string, ...string[]])[]): (key: number) => string {
  const words = lists.map((list, index) => {
    const column = columnRandom(random, streamsOfLists[index] ?? 0);
    return (key: number): string => column.pick(key, list);
  });
  return (key) => words.map((word) => word(key)).join(' ');
}
