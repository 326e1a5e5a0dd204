import { quoteIdentifier, quoteLiteral } from '../sql/identifiers.ts';

/** An option as the system catalogs keep it (`fillfactor=70`) as it stands between the parentheses of WITH and SET. */
export function optionSql(option: string): string {
  const equals = option.indexOf('=');
  return `${quoteIdentifier(option.slice(0, equals))} = ${quoteLiteral(option.slice(equals + 1))}`;
}
