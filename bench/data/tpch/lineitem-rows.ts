import type { DataRow } from '../copy-text.ts';
import { columnRandom } from './column-random.ts';
import { currentDay, dayText } from './calendar.ts';
import { money } from './money.ts';
import { orderKey } from './order-key.ts';
import { orderLines } from './order-lines.ts';
import { instructions, shipModes } from './tpch-words.ts';
import type { TpchWorld } from './tpch-world.ts';

const streams = { returned: 101, instruction: 102, mode: 103, comment: 104 } as const;
const commentLength = { min: 10, max: 43 } as const;

/** In the order of their orders. */
export function* lineitemRows(world: TpchWorld): Generator<DataRow, void, undefined> {
  const { random, comments, size } = world;
  const source = orderLines(world);
  const returns = columnRandom(random, streams.returned);
  const instructionNames = columnRandom(random, streams.instruction);
  const modeNames = columnRandom(random, streams.mode);
  for (let order = 1; order <= size.orders; order += 1) {
    const key = orderKey(order);
    for (const line of source.linesOf(order)) {
      const { position, receiptDay } = line;
      yield [
        key, line.part, line.supplier, line.number, money(line.quantity * 100), money(line.priceCents), money(line.discount), money(line.tax),
        receiptDay <= currentDay ? returns.pick(position, ['R', 'A']) : 'N', line.status,
        dayText(line.shipDay), dayText(line.commitDay), dayText(receiptDay),
        instructionNames.pick(position, instructions), modeNames.pick(position, shipModes), comments.commentAt(streams.comment, position, commentLength),
      ];
    }
  }
}
