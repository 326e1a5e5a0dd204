import { describe, expect, it } from 'vitest';
import { decompressZstd } from '../../demo/data/zstd/decompress.ts';

const words = 'the quick brown fox jumps over the lazy dog and runs away from it'.split(' ');

/** So many words in a fixed random order. */
function prose(count: number): string {
  return randomIntegers(count).map((integer) => words[integer % words.length]).join(' ');
}

/** So many bytes from 0 to 3, the small ones more often. */
function fewBytes(count: number): string {
  return String.fromCodePoint(...randomIntegers(count).map((integer) => [0, 0, 0, 0, 1, 1, 2, 3][integer % 8] ?? 0));
}

function randomIntegers(count: number): number[] {
  let state = 7n;
  return Array.from({ length: count }, () => {
    state = (state * 1_103_515_245n + 12_345n) & 0x7fff_ffffn;
    return Number(state >> 16n);
  });
}

/** Made by the zstd command, version 1.5, from the text that the case names. */
const cases: readonly { readonly name: string; readonly base64: string; readonly text: string }[] = [
  { name: 'stored, without compression', text: 'abc', base64: 'KLUv/QRYGQAAYWJjmQl3rQ==' },
  { name: 'nothing', text: '', base64: 'KLUv/SQAAQAAmenYUQ==' },
  { name: 'one byte repeated', text: 'a'.repeat(200_000), base64: 'KLUv/QRYVAAAEGFhAQD7/znAAgNqCGGDVryY' },
  { name: 'overlapping matches', text: 'ab'.repeat(500), base64: 'KLUv/QRYTQAAEGFiAQDjqxwWle1wnQ==' },
  { name: 'literals in one stream', text: prose(60), base64: 'KLUv/QRoBQQAMkQOEbA9sK0UsohuMrTKnSSpyVQEw/y3WPxNWfKi0LApd2Q6+V5aOb0F3S7pDqwb0Vcs3uJiH1Pw7DAfI6gRB1OVVutnEBiBgtgNEGjSou0GkAkOKV2ONx3TtFDFOhxMGIIBrXyLR1IY3fyX1ZXVkpz2aMkgpPNB7Io0NagyFw31qfmG' },
  { name: 'literals in four streams, several tables', text: prose(600), base64: 'KLUv/QBoFRMAEgQOEbA9sK0UsohuMrTKnSSpyVQEYn1/f1OWvCg0bModmU6+l1ZOb0G3S7oD60b0FYu3uNjHFDw7zAeBR6ixB0ll2c8hCEJxpNRS3hHACCYgmKyFyQOYg1TTy1Gx3eVmLbYkhvHCILVLehN/9J9JzgqtpvXQLUlmcXYotA12yDv9oxprrTQ0/dkwE1L2sphyafBERhT5kz1WYtFf+oJxCvmZJw3lccX9/yEo8WAk5i6zqpQP/Po5exikeiR+y2Cj5RPAWUhbHZjN+xtR8VC4D2tnf1DnowlVuVSxhkzCwxMFTl5qhmJ9jeIRu98s7MbIEifwa5sOz1JVol9CrL33e4rN7nTulJQghpUhI3lMArkaAfBRxrQ38LGZgjaAeLdhZChujtlHfb/1pCba1+GOmyoO7Fg7GCjnJPivDjY9mkWAZ1Sa6pP+lhvEJXCOa11uJBrats/LJlh9UQn75uiy/syG5avrFBv08C2dHHTASIBXfRra0TESsfXBAVtHaDoDjdEiEBqGs7cgD2CTVBAkU8sEwoOcpQkdpUqqJO0/lytRnFsx89A4Pq8gosp+6R2uAAGgBMD6Mrhjo22qR5ckfIAIzFlqfZ9JaQf0E+FEuwCyg74foBkuvVy+MWoUla0AXTDEkUhcOnGNYVq7/U70yVCe2hQ/Pg73UaB4cMJ5qJWdaV8MIJBh/9hvZPLN/uG9WB3cAkP5HA7pdeu28Lsdfqw1DEMxcwAM/fkNTIoQQHlqXusXc1PBvY/BCYeIYYXDqi/gB4KxmZP/tbWkKoWg9NK4QQ2JhPSOYw+FPH8zrAKsVA==' },
  { name: 'a code described without compression', text: fewBytes(400), base64: 'KLUv/QBI9QMA1tETgjIQEQASABEA9RtC4/IACukb4WwWcLGxQwFJh1hhlswJClKqo7I2Tgfbeg2FDiSLok5oXom0R1nHeCG2IZkbD2ZTFglT1bMhCCZMK+kzARAAESPi2uYwYtnG1/LOG5GwZaBiA1LLC2DygaocwIIsZAGzyQDn8CVr1IIo' },
];

describe('decompressZstd', () => {
  it.each(cases)('reads $name', ({ base64, text }) => {
    const output = decompressZstd(Buffer.from(base64, 'base64'), text.length);
    expect(Buffer.from(output).toString()).toBe(text);
  });

  it('refuses what is no frame, a cut frame, and another length', () => {
    const whole = Buffer.from(cases.find(({ text }) => text === prose(600))?.base64 ?? '', 'base64');
    const { length } = prose(600);
    expect(() => decompressZstd(Buffer.from('not compressed'), 14)).toThrow(/not a frame/);
    expect(() => decompressZstd(whole.subarray(0, whole.length / 2), length)).toThrow(RangeError);
    expect(() => decompressZstd(whole, length + 1)).toThrow(/instead of/);
    expect(() => decompressZstd(whole, length - 1)).toThrow(RangeError);
  });
});
