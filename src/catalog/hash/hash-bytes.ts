/**
 * PostgreSQL's `hash_any` and `hash_uint32`: the variant of Bob Jenkins' lookup3 that hash partitioning and hash indexes use,
 * as a little-endian server computes it. Results are int32. No state is kept between calls and nothing is allocated for
 * ASCII text, so that a router can call these per row.
 * Source: Jenkins, "lookup3.c" (public domain), with PostgreSQL's initial value.
 */

/** lookup3 starts from the golden ratio plus the key's length plus this. */
const seed = (0x9e3779b9 + 3923095) | 0;

/** Hash of one 32-bit word. */
export function hashUint32(word: number): number {
  const start = (seed + 4) | 0;
  return finish((start + word) | 0, start, start);
}

/** Hash of a byte string; `end` is exclusive. */
export function hashBytes(bytes: Uint8Array, start = 0, end = bytes.length): number {
  let a = (seed + (end - start)) | 0;
  let b = a;
  let c = a;
  let at = start;
  for (; end - at >= 12; at += 12) {
    a = (a + wordAt(bytes, at)) | 0;
    b = (b + wordAt(bytes, at + 4)) | 0;
    c = (c + wordAt(bytes, at + 8)) | 0;
    // The mixing step stands here and in hashAscii in full: returning three words from a function would allocate.
    a = (a - c) ^ rotate(c, 4);
    c = (c + b) | 0;
    b = (b - a) ^ rotate(a, 6);
    a = (a + c) | 0;
    c = (c - b) ^ rotate(b, 8);
    b = (b + a) | 0;
    a = (a - c) ^ rotate(c, 16);
    c = (c + b) | 0;
    b = (b - a) ^ rotate(a, 19);
    a = (a + c) | 0;
    c = (c - b) ^ rotate(b, 4);
    b = (b + a) | 0;
  }
  // The lowest byte of the last word is left to the length, so the tail of `c` is shifted by one more byte.
  for (let index = 0; at + index < end; index += 1) {
    const byte = bytes[at + index] ?? 0;
    if (index < 4) a = (a + (byte << (8 * index))) | 0;
    else if (index < 8) b = (b + (byte << (8 * (index - 4)))) | 0;
    else c = (c + (byte << (8 * (index - 7)))) | 0;
  }
  return finish(a, b, c);
}

/** Hash of the text's UTF-8 bytes; a lone surrogate counts as U+FFFD, which is what a driver would send for it. */
export function hashUtf8(text: string): number {
  return hashAscii(text) ?? hashBytes(Buffer.from(text, 'utf8'));
}

/** As `hashBytes`, reading the string itself; undefined when it holds anything but ASCII. */
function hashAscii(text: string): number | undefined {
  const { length } = text;
  let a = (seed + length) | 0;
  let b = a;
  let c = a;
  let at = 0;
  let seen = 0;
  for (; length - at >= 12; at += 12) {
    for (let index = at; index < at + 12; index += 1) seen |= text.charCodeAt(index);
    if (seen > 127) return undefined;
    a = (a + charactersAt(text, at)) | 0;
    b = (b + charactersAt(text, at + 4)) | 0;
    c = (c + charactersAt(text, at + 8)) | 0;
    a = (a - c) ^ rotate(c, 4);
    c = (c + b) | 0;
    b = (b - a) ^ rotate(a, 6);
    a = (a + c) | 0;
    c = (c - b) ^ rotate(b, 8);
    b = (b + a) | 0;
    a = (a - c) ^ rotate(c, 16);
    c = (c + b) | 0;
    b = (b - a) ^ rotate(a, 19);
    a = (a + c) | 0;
    c = (c - b) ^ rotate(b, 4);
    b = (b + a) | 0;
  }
  for (let index = 0; at + index < length; index += 1) {
    const code = text.charCodeAt(at + index);
    seen |= code;
    if (index < 4) a = (a + (code << (8 * index))) | 0;
    else if (index < 8) b = (b + (code << (8 * (index - 4)))) | 0;
    else c = (c + (code << (8 * (index - 7)))) | 0;
  }
  return seen > 127 ? undefined : finish(a, b, c);
}

function finish(x: number, y: number, z: number): number {
  let a = x;
  let b = y;
  let c = z;
  c = ((c ^ b) - rotate(b, 14)) | 0;
  a = ((a ^ c) - rotate(c, 11)) | 0;
  b = ((b ^ a) - rotate(a, 25)) | 0;
  c = ((c ^ b) - rotate(b, 16)) | 0;
  a = ((a ^ c) - rotate(c, 4)) | 0;
  b = ((b ^ a) - rotate(a, 14)) | 0;
  return ((c ^ b) - rotate(b, 24)) | 0;
}

function rotate(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits));
}

function wordAt(bytes: Uint8Array, at: number): number {
  return (
    (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16) | ((bytes[at + 3] ?? 0) << 24)
  );
}

function charactersAt(text: string, at: number): number {
  return (
    text.charCodeAt(at) |
    (text.charCodeAt(at + 1) << 8) |
    (text.charCodeAt(at + 2) << 16) |
    (text.charCodeAt(at + 3) << 24)
  );
}
