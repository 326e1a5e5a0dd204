import murmurhash from 'murmurhash';
import { assert } from '../../base/assert.ts';
import type { HashFamily } from '../catalog-snapshot.ts';
import { boolRules } from './bool-type.ts';
import { byteaRules } from './bytea-type.ts';
import { charRules } from './char-type.ts';
import { dateRules, timestampRules, timestamptzRules } from './date-time-types.ts';
import { float4Rules, float8Rules } from './float-types.ts';
import { cidrRules, inetRules } from './inet-types.ts';
import { bigintRules, integerRules32, oidRules, smallintRules } from './integer-types.ts';
import { intervalRules } from './interval-type.ts';
import { macaddr8Rules, macaddrRules } from './macaddr-types.ts';
import { numericRules } from './numeric-type.ts';
import { parameterText } from './parameter-text.ts';
import { pgLsnRules } from './pg-lsn-type.ts';
import { bpcharRules, nameRules, textRules, varcharRules } from './text-types.ts';
import { timeRules, timetzRules } from './time-types.ts';
import { isUnreadable, needsServer, type TypeRules, type Unreadable, type ValueContext } from './type-rules.ts';
import { uuidRules } from './uuid-type.ts';

/**
 * `canonical`: the text is the same for all ways to write an equal value. `needs_server`: ask one (see `DistributionType`).
 * `invalid`: no version of PostgreSQL accepts it; send the statement anywhere and let the server raise its own error.
 */
export type CanonicalValue = { readonly kind: 'canonical'; readonly text: string } | Unreadable;

/**
 * How values of a type are placed. Values are what pg takes as parameters (number, bigint, string, boolean, Date, Buffer, objects with
 * toPostgres) or the text of a literal; NULL is the caller's. Collations are deterministic, databases UTF-8 encoded.
 *
 * When a value needs the server, the caller runs `SELECT $1::<type of the column, with its modifier when assigning>` with ISO DateStyle and IntervalStyle
 * postgres in the session's TimeZone and gives the answer's text to `hashOf` again, without modifier; or, for the family `postgres`, runs
 * `SELECT hashSql('$1::<type>')`, which works for every value.
 */
export interface DistributionType {
  /** As format_type prints it, without modifier. */
  readonly name: string;
  /** As it is cast to, without modifier: `name`, but `bpchar` for `character`, which would mean `character(1)`. */
  readonly castName: string;
  /** SQL (int4 or int8, immutable, server-side) for the `postgres` family's hash of an expression of this type: fit for a CHECK. */
  hashSql(valueSql: string): string;
  canonical(value: unknown, context?: ValueContext): CanonicalValue;
  /** Hash of a canonical text, int32. */
  hash(canonical: string, family: HashFamily): number;
  /** `canonical` and `hash` in one, the router's way: undefined when the value needs the server or is invalid. */
  hashOf(value: unknown, family: HashFamily, context?: ValueContext): number | undefined;
}

/** Undefined for types that cannot be distribution columns: enums, domains, arrays, jsonb, money, bit and all that is user-defined. */
export function distributionType(typeSql: string): DistributionType | undefined {
  return typesByName.get(typeSql);
}

function distributionTypeOf<V>(rules: TypeRules<V>): DistributionType {
  const reader = valueReader(rules);
  return {
    name: rules.name,
    castName: rules.castName ?? rules.name,
    hashSql: (valueSql) => rules.hashSql(valueSql),
    canonical(value, context = anyContext) {
      const read = reader(value, context);
      return isUnreadable(read) ? read : { kind: 'canonical', text: rules.print(read) };
    },
    hash(canonical, family) {
      if (family === 'murmur3') return murmurhash.v3(canonical, 0) | 0;
      const value = rules.parse(canonical, anyContext);
      assert(!isUnreadable(value), `"${canonical}" is no canonical text of type ${rules.name}`);
      return rules.hash(value);
    },
    hashOf(value, family, context = anyContext) {
      if (family === 'postgres' && rules.hashDirect !== undefined && !isAssigned(context)) {
        const hash = rules.hashDirect(value);
        if (hash !== undefined) return hash;
      }
      const read = reader(value, context);
      if (isUnreadable(read)) return undefined;
      return family === 'postgres' ? rules.hash(read) : murmurhash.v3(rules.print(read), 0) | 0;
    },
  };
}

const anyContext: ValueContext = {};

function isAssigned(context: ValueContext): boolean {
  return context.modifier !== undefined && context.modifier >= 0;
}

function valueReader<V>(rules: TypeRules<V>): (value: unknown, context: ValueContext) => V | Unreadable {
  const read = (value: unknown, context: ValueContext): V | Unreadable => {
    const sent = parameterText(value);
    if (typeof sent === 'string') return rules.parse(sent, context);
    return sent === undefined || rules.parseBinary === undefined ? needsServer : rules.parseBinary(sent);
  };
  return (value, context) => {
    const result = read(value, context);
    if (isUnreadable(result) || rules.assign === undefined || context.modifier === undefined || context.modifier < 0) return result;
    return rules.assign(result, context.modifier);
  };
}

const typesByName: ReadonlyMap<string, DistributionType> = new Map([
  ['smallint', distributionTypeOf(smallintRules)],
  ['integer', distributionTypeOf(integerRules32)],
  ['bigint', distributionTypeOf(bigintRules)],
  ['oid', distributionTypeOf(oidRules)],
  ['text', distributionTypeOf(textRules)],
  ['character varying', distributionTypeOf(varcharRules)],
  ['character', distributionTypeOf(bpcharRules)],
  ['bpchar', distributionTypeOf(bpcharRules)],
  ['name', distributionTypeOf(nameRules)],
  ['"char"', distributionTypeOf(charRules)],
  ['uuid', distributionTypeOf(uuidRules)],
  ['boolean', distributionTypeOf(boolRules)],
  ['bytea', distributionTypeOf(byteaRules)],
  ['date', distributionTypeOf(dateRules)],
  ['time without time zone', distributionTypeOf(timeRules)],
  ['time with time zone', distributionTypeOf(timetzRules)],
  ['timestamp without time zone', distributionTypeOf(timestampRules)],
  ['timestamp with time zone', distributionTypeOf(timestamptzRules)],
  ['interval', distributionTypeOf(intervalRules)],
  ['numeric', distributionTypeOf(numericRules)],
  ['real', distributionTypeOf(float4Rules)],
  ['double precision', distributionTypeOf(float8Rules)],
  ['inet', distributionTypeOf(inetRules)],
  ['cidr', distributionTypeOf(cidrRules)],
  ['macaddr', distributionTypeOf(macaddrRules)],
  ['macaddr8', distributionTypeOf(macaddr8Rules)],
  ['pg_lsn', distributionTypeOf(pgLsnRules)],
]);
