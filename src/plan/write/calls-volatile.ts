import type { FunctionRules } from '../../analyze/function-calls.ts';
import { collectCalls } from '../../analyze/function-calls.ts';

export function callsVolatile(tree: unknown, rules: FunctionRules): boolean {
  let found = false;
  collectCalls(tree, (call) => {
    found ||= rules.isVolatile(call);
    return true;
  }, true);
  return found;
}
