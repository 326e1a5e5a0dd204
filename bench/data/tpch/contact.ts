import type { RandomSource } from '../random.ts';

const addressCharacters = '0123456789abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ,';
const addressMin = 10;
const addressMax = 40;
const draws = 64;

/** Ten to forty characters of 64 different ones (4.2.2.7). */
export function addressAt(random: RandomSource, stream: number, position: number): string {
  const length = addressMin + random.belowAt(stream, position * draws, addressMax - addressMin + 1);
  let address = '';
  for (let index = 1; index <= length; index += 1) {
    address += addressCharacters.charAt(random.belowAt(stream, position * draws + index, addressCharacters.length));
  }
  return address;
}

/** `25-989-741-2988`: the nation's key and ten, then three groups of digits (4.2.2.9). */
export function phoneAt(random: RandomSource, stream: number, position: { readonly row: number; readonly nation: number }): string {
  const group = (index: number, low: number, high: number): number => low + random.belowAt(stream, position.row * 3 + index, high - low + 1);
  return `${position.nation + 10}-${group(0, 100, 999)}-${group(1, 100, 999)}-${group(2, 1000, 9999)}`;
}

/** `Supplier#000000042` */
export function numbered(kind: string, key: number): string {
  return `${kind}#${String(key).padStart(9, '0')}`;
}
