import type { Node } from '@pgsql/types';
import type { Column } from '../../catalog/catalog-snapshot.ts';
import { walk } from '../../sql/ast.ts';
import { plainTypes } from '../plain-types.ts';
import { assignableType } from './assignable-type.ts';

/** Words that types of dates and times take for the moment at which they read them. */
const moment = /\b(now|today|tomorrow|yesterday)\b/i;

export function mayNameMoment(value: unknown): value is string {
  return typeof value === 'string' && moment.test(value);
}

/** Whether a value for the column has a constant that each server may take for another moment. */
export function namesMoment(node: Node, column: Column): boolean {
  if ('A_Const' in node && plainTypes.test(column.type.sql)) return false;
  let found = false;
  walk([node], (kind, body) => {
    if (kind === 'A_Const' && 'sval' in body) found ||= mayNameMoment((body.sval as { readonly sval?: string }).sval);
    return undefined;
  });
  return found;
}

/** A parameter that is the value of a column, of a type whose texts may name a moment. */
export interface MomentParameter {
  readonly number: number;
  readonly type: string;
}

/** With a cast around it or without. */
export function momentParameter(node: Node, column: Column): MomentParameter | undefined {
  const bare = 'TypeCast' in node && node.TypeCast.arg !== undefined ? node.TypeCast.arg : node;
  if (!('ParamRef' in bare) || plainTypes.test(column.type.sql)) return undefined;
  return { number: bare.ParamRef.number ?? 0, type: assignableType(column) };
}
