/** Gives intermediate results names that are unique in the caller's whole statement, parts of parts included. */
export class ResultNames {
  #last = 0;

  next(): string {
    this.#last += 1;
    return `shardwright_result_${this.#last}`;
  }
}
