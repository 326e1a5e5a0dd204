import { createHash } from 'node:crypto';
import { LruMap } from '../../base/lru.ts';

const capacity = 5_000;
/** A text run more often than this is prepared on the connections it runs on. */
const runsMin = 3;

interface Text {
  runs: number;
  name: string | undefined;
}

/** Names for texts of ours that are run again and again, so that servers parse and plan them once per connection. */
export class HotTexts {
  readonly #texts = new LruMap<string, Text>(capacity);

  /** Undefined while the text is not run often. The same text has the same name in every process. */
  nameOf(sql: string): string | undefined {
    let text = this.#texts.get(sql);
    if (text === undefined) {
      text = { runs: 0, name: undefined };
      this.#texts.set(sql, text);
    }
    text.runs += 1;
    if (text.runs > runsMin) text.name ??= `shardwright_${createHash('sha1').update(sql).digest('base64url')}`;
    return text.name;
  }
}
