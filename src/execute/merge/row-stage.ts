import type { RawRow } from '../../cluster/node-connection.ts';

/** An operator with one input, as rows pass through it. Its state is that of one execution. */
export interface RowStage {
  /** Takes rows of the input; returns those that are thereby finished. */
  push(rows: readonly RawRow[]): readonly RawRow[];
  /** To be called once, when the input has ended: the rest. */
  finish(): readonly RawRow[];
  /** Whether nothing more will come out, whatever comes in: the input can be left. */
  readonly satisfied: boolean;
}

/** All that comes out of a stage when all rows are there. */
export function passThrough(stage: RowStage, rows: readonly RawRow[]): readonly RawRow[] {
  const passed = stage.push(rows);
  const rest = stage.finish();
  if (rest.length === 0) return passed;
  return passed.length === 0 ? rest : [...passed, ...rest];
}
