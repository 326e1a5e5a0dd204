import { at } from '../../src/base/assert.ts';
import type { Keeper } from './keeper.ts';
import { Member, type MemberOptions } from './member.ts';
import { pollUntil } from './poll-until.ts';

/** Two Patronis with a primary and a synchronous replica: a node, or the coordinator database. */
export class PatroniGroup {
  private constructor(
    readonly name: string,
    readonly members: readonly [Member, Member],
  ) {}

  /** They come up on their own: see `healthy`. */
  static async start(keeper: Keeper, name: string, options: Pick<MemberOptions, 'etcdPort' | 'onRoleChange'>): Promise<PatroniGroup> {
    const start = (letter: string): Promise<Member> => Member.start(keeper, { ...options, scope: name, name: `${name}-${letter}` });
    return new PatroniGroup(name, [await start('a'), await start('b')]);
  }

  get urls(): readonly string[] {
    return this.members.map(({ url }) => url);
  }

  /** Resolves when there is a primary, and a replica that is synchronous. */
  async healthy(): Promise<void> {
    await pollUntil(`${this.name} has a primary and a synchronous replica`, async () => {
      const [primary, replica] = await this.#statuses();
      return primary.filter((status) => status === 200).length === 1 && replica.filter((status) => status === 200).length === 1;
    });
  }

  /** The member that is the primary at this moment. */
  async primary(): Promise<Member> {
    let index = -1;
    await pollUntil(`${this.name} has a primary`, async () => (index = (await this.#statuses())[0].indexOf(200)) >= 0);
    return at(this.members, index);
  }

  other(member: Member): Member {
    return at(this.members, member === this.members[0] ? 1 : 0);
  }

  async #statuses(): Promise<[primary: (number | undefined)[], replica: (number | undefined)[]]> {
    const ask = (path: string): Promise<(number | undefined)[]> => Promise.all(this.members.map((member) => member.status(path)));
    return [await ask('/primary'), await ask('/synchronous')];
  }
}
