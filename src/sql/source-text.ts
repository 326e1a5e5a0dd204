/** A statement's text with the way from the parser's UTF-8 byte offsets to string indices. */
export class SourceText {
  #indices: Uint32Array | undefined;
  readonly #ascii: boolean;

  constructor(readonly text: string) {
    this.#ascii = Buffer.byteLength(text) === text.length;
  }

  /** The index in `text` of the character that starts at byte `offset`. */
  index(offset: number): number {
    if (this.#ascii) return offset;
    this.#indices ??= byteIndices(this.text);
    return this.#indices[Math.min(offset, this.#indices.length - 1)] ?? this.text.length;
  }
}

function byteIndices(text: string): Uint32Array {
  const indices = new Uint32Array(Buffer.byteLength(text) + 1);
  let byte = 0;
  let index = 0;
  for (const character of text) {
    const bytes = Buffer.byteLength(character);
    indices.fill(index, byte, byte + bytes);
    byte += bytes;
    index += character.length;
  }
  indices[byte] = index;
  return indices;
}
