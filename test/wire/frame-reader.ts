/** Cuts what a server says into messages: its letter and its body. */
export class FrameReader {
  #held: Buffer = Buffer.alloc(0);

  push(chunk: Buffer): (readonly [type: string, body: Buffer])[] {
    this.#held = Buffer.concat([this.#held, chunk]);
    const frames: (readonly [string, Buffer])[] = [];
    while (this.#held.length >= 5 && this.#held.length > this.#held.readUInt32BE(1)) {
      const end = 1 + this.#held.readUInt32BE(1);
      frames.push([String.fromCharCode(this.#held[0] ?? 0), this.#held.subarray(5, end)]);
      this.#held = this.#held.subarray(end);
    }
    return frames;
  }
}
