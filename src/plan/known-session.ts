import type { ConstantSet, ConstantSource, SettingSource } from '../analyze/constant-set.ts';
import type { UsePolicy, UseSecurity } from './policy-restrictions.ts';
import type { PrunableUse, StatementPlan } from './statement-plan.ts';

/** What is known of a session beyond its statements: what prunes their plans. */
export interface KnownSession {
  /** What it has set, by names in lower case. NULL: there is no such setting. */
  readonly settings: ReadonlyMap<string, string | null>;
  /** Undefined where no table has row security. */
  readonly role: KnownRole | undefined;
}

/** The role that the session acts as. */
export interface KnownRole {
  /** A superuser, or BYPASSRLS. */
  readonly bypasses: boolean;
  /** Names of the roles whose privileges it has, its own among them. */
  readonly acts: ReadonlySet<string>;
}

/** Whether a plan has uses that may be pruned further once the session is known. */
export function dependsOnSession(plan: StatementPlan): boolean {
  if (plan.kind === 'explain' || plan.kind === 'computed') return dependsOnSession(plan.plan);
  if (plan.kind !== 'select' && plan.kind !== 'modify') return false;
  return plan.uses.some(({ restrictions, security }) => security !== undefined || restrictions.some(namesSetting));
}

/** The plan where settings of the session stand as the constants that they are, and policies that its role is subject to count as conditions. */
export function withSession<T extends StatementPlan>(plan: T, session: KnownSession): T {
  if (plan.kind === 'explain' || plan.kind === 'computed') return { ...plan, plan: withSession(plan.plan, session) };
  if (plan.kind !== 'select' && plan.kind !== 'modify') return plan;
  return { ...plan, uses: plan.uses.map((use) => knownUse(use, session)) };
}

function knownUse(use: PrunableUse, { settings, role }: KnownSession): PrunableUse {
  const because = new Set<string>();
  const known = (set: ConstantSet): ConstantSet => knownSet(set, settings, because);
  const restrictions = use.restrictions.map(known);
  const added = use.security === undefined || role === undefined ? [] : securedSets(use.security, role).flatMap(({ sets, policies }) => {
    const made = sets.map(known);
    if (!made.some(({ values }) => values.every(({ kind }) => kind !== 'setting'))) return [];
    for (const name of policies) because.add(`policy ${name} of ${use.security?.table ?? ''}`);
    return made;
  });
  return { ...use, restrictions: [...restrictions, ...added], prunedBy: [...because].sort() };
}

function knownSet(set: ConstantSet, settings: KnownSession['settings'], because: Set<string>): ConstantSet {
  if (!namesSetting(set)) return set;
  return { ...set, values: set.values.map((source) => knownSource(source, settings, because)) };
}

function knownSource(source: ConstantSource | SettingSource, settings: KnownSession['settings'], because: Set<string>): ConstantSource | SettingSource {
  const value = source.kind === 'setting' ? settings.get(source.name) : undefined;
  if (source.kind !== 'setting' || value === undefined) return source;
  because.add(`setting ${source.name}`);
  return { kind: 'literal', text: value === source.nullIf ? null : value };
}

function namesSetting({ values }: ConstantSet): boolean {
  return values.some(({ kind }) => kind === 'setting');
}

interface SecuredSets {
  readonly sets: readonly ConstantSet[];
  readonly policies: readonly string[];
}

/**
 * Conditions that row security adds for a role. A row must be let through by some permissive policy, so that it is in the union of theirs, of which one that says nothing
 * leaves nothing; and by every restrictive one.
 */
function securedSets({ owner, forced, policies }: UseSecurity, role: KnownRole): SecuredSets[] {
  if (role.bypasses || (role.acts.has(owner) && !forced)) return [];
  const applying = policies.filter(({ roles }) => roles.length === 0 || roles.some((name) => role.acts.has(name)));
  const permissive = applying.filter((policy) => policy.permissive);
  const restrictive = applying.filter((policy) => !policy.permissive);
  return [...unionOf(permissive), ...restrictive.map(({ name, restrictions }) => ({ sets: restrictions, policies: [name] }))];
}

/** By the first set of each: all of them hold. */
function unionOf(policies: readonly UsePolicy[]): SecuredSets[] {
  const sets = policies.flatMap(({ restrictions }) => restrictions[0] ?? []);
  if (policies.length === 0 || sets.length < policies.length) return [];
  const union: ConstantSet = { values: sets.flatMap(({ values }) => values), arrays: [] };
  return sets.some(({ arrays }) => arrays.length > 0) ? [] : [{ sets: [union], policies: policies.map(({ name }) => name) }];
}
