/** A result has more bytes than whoever asked wants to hold. Nobody sees this but the caller who set a limit: it reads the rows in parts then. */
export class ResultTooLong extends Error {
  override readonly name = 'ResultTooLong';

  constructor(readonly bytesMax: number) {
    super(`the result has more than ${bytesMax} bytes`);
  }
}
