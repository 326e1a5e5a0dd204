import { binaryHeader, binaryTrailer } from './binary-scanner.ts';

/** A part of a binary COPY stream made of several: only the first keeps its header, only the last its trailer. */
export async function* binaryPart(
  chunks: AsyncIterable<Uint8Array>,
  { first, last }: { readonly first: boolean; readonly last: boolean },
): AsyncGenerator<Uint8Array, void, undefined> {
  // The server writes no header extension.
  let toSkip = first ? 0 : binaryHeader.length;
  let held: Uint8Array = new Uint8Array(0);
  for await (const chunk of chunks) {
    const skipped = Math.min(toSkip, chunk.length);
    toSkip -= skipped;
    const bytes = held.length === 0 ? chunk.subarray(skipped) : Buffer.concat([held, chunk.subarray(skipped)]);
    const end = last ? bytes.length : Math.max(bytes.length - binaryTrailer.length, 0);
    held = bytes.subarray(end);
    if (end > 0) yield bytes.subarray(0, end);
  }
}
