/**
 * What a field says: text, SQL NULL, or `default_asked` when it is the statement's DEFAULT marker.
 */
export type FieldValue = string | null | typeof defaultAsked;

export const defaultAsked: unique symbol = Symbol('default_asked');

/** Reads the field that stands in a row as bytes from `start` to before `end`. */
export interface FieldDecoder {
  decode(bytes: Buffer, start: number, end: number): FieldValue;
}
