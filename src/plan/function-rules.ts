import type { Node } from '@pgsql/types';
import type { FunctionRules } from '../analyze/function-calls.ts';
import { builtinRules, collectCalls } from '../analyze/function-calls.ts';
import { nameParts } from '../sql/ast.ts';
import type { Describe } from './describe.ts';

/** Functions of users and extensions are asked for; PostgreSQL's own are known by name. */
export async function functionRules(tree: unknown, describe: Describe): Promise<FunctionRules> {
  const names = new Set<string>();
  collectCalls(tree, (call) => {
    const name = nameParts(call.funcname).at(-1);
    if (name !== undefined) names.add(name);
    return true;
  }, true);
  const facts = await describe.functions([...names]);
  const factOf = (funcname: Node[] | undefined): ReturnType<typeof facts.get> => facts.get(nameParts(funcname).at(-1) ?? '');
  return {
    isAggregate: (call) => builtinRules.isAggregate(call) || factOf(call.funcname)?.aggregate === true,
    isBuiltin: ({ funcname }) => nameParts(funcname)[0] === 'pg_catalog' || factOf(funcname) === undefined,
    isVolatile: (call) => builtinRules.isVolatile(call) || factOf(call.funcname)?.volatility === 'volatile',
  };
}
