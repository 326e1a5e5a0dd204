import { quoteLiteral } from '../../sql/identifiers.ts';
import { parseOne } from '../../sql/parse.ts';
import { keyword, renderObject } from '../objects/render-object.ts';
import { objectKey, type UserObject } from '../objects/user-object.ts';
import type { PartDifference } from './part.ts';

/** How an object of a node, undefined where it has none, is not as the coordinator database's; undefined where it is. Repairs: what makes it, gives it values that an enum lacks, or drops it first, which PostgreSQL refuses while something needs it. */
export function objectDifference(wished: UserObject, there: UserObject | undefined): PartDifference | undefined {
  // Privileges that are those by default have no statement that gives them back: they are not compared.
  const object = wished.grants === undefined ? { ...wished, grants: there?.grants } : wished;
  const what = objectKey(object);
  const complete = object.complete === undefined ? [] : [object.complete];
  if (there === undefined) return { what, expected: shown(object), found: undefined, repair: [...renderObject(object, undefined), ...complete].filter((text) => text !== '') };
  if (there.create !== object.create || there.complete !== object.complete) {
    return { what, expected: shown(object), found: shown(there), repair: remade(object, there) };
  }
  const repair = renderObject(object, there);
  if (repair.length === 0) return undefined;
  return { what: `${differingParts(object, there)} of ${what}`, expected: repair.join('; '), found: held(there), repair };
}

function shown({ create, complete }: UserObject): string {
  return [create, complete ?? ''].filter((text) => text !== '').join('; ');
}

function remade(object: UserObject, there: UserObject): string[] {
  const like = renderObject(object, there);
  if (object.create.startsWith('CREATE OR REPLACE ')) return [object.create, ...like];
  const values = addedValues(object, there);
  if (values !== undefined) return [...values, ...like];
  const drop = there.drop ?? `DROP ${keyword(object)} ${object.identity}`;
  return [drop, ...renderObject(object, undefined), object.complete ?? ''].filter((text) => text !== '');
}

/** The statements that give an enum the values that it lacks, each before the next one that is there; undefined where that does not make them alike. */
function addedValues(object: UserObject, there: UserObject): string[] | undefined {
  const [expected, found] = [enumValues(object.create), enumValues(there.create)];
  if (expected === undefined || found === undefined || expected.filter((value) => found.includes(value)).join('\0') !== found.join('\0')) return undefined;
  return expected.flatMap((value, i) => {
    if (found.includes(value)) return [];
    const next = expected.slice(i + 1).find((later) => found.includes(later));
    return [`ALTER TYPE ${object.identity} ADD VALUE ${quoteLiteral(value)}${next === undefined ? '' : ` BEFORE ${quoteLiteral(next)}`}`];
  });
}

function enumValues(create: string): string[] | undefined {
  if (!create.startsWith('CREATE TYPE ')) return undefined;
  const { node } = parseOne(create);
  return 'CreateEnumStmt' in node ? (node.CreateEnumStmt.vals ?? []).flatMap((value) => ('String' in value ? [value.String.sval ?? ''] : [])) : undefined;
}

function differingParts(object: UserObject, there: UserObject): string {
  const grants = JSON.stringify(object.grants) !== JSON.stringify(there.grants);
  return [...(object.owner === there.owner ? [] : ['owner']), ...(grants ? ['privileges'] : []), ...(object.comment === there.comment ? [] : ['comment'])].join(', ');
}

function held({ owner, grants, comment }: UserObject): string {
  const held = grants?.map(({ grantee, privilege }) => `${privilege} of ${grantee ?? 'PUBLIC'}`).join(', ');
  return [owner === undefined ? 'no owner' : `owner ${owner}`, held ?? 'privileges by default', ...(comment === undefined ? [] : [`comment ${quoteLiteral(comment)}`])].join('; ');
}
