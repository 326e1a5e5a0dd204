import type { BankEvent } from './bank-event.ts';
import { bankTotal } from './bank-tables.ts';

/** What is in the tables when all is over. */
export interface BankState {
  readonly total: number;
  /** Accounts whose balance is not what their transfers make of it. */
  readonly wrongAccounts: readonly number[];
  /** By transfer: how many rows it has, and their sum. */
  readonly transfers: ReadonlyMap<string, { readonly rows: number; readonly sum: number }>;
}

/** Everything that must not be, one line each. */
export function checkBank(events: readonly BankEvent[], { total, wrongAccounts, transfers }: BankState): string[] {
  return [
    ...(total === bankTotal ? [] : [`the total is ${total} at the end`]),
    ...wrongAccounts.map((tenant) => `account ${tenant} is not what its transfers make it`),
    ...[...transfers].flatMap(([id, { rows, sum }]) => (rows === 2 && sum === 0 ? [] : [`transfer ${id} has ${rows} rows, of sum ${sum}`])),
    ...events.flatMap((event) => objectionTo(event, transfers) ?? []),
  ];
}

function objectionTo(event: BankEvent, transfers: BankState['transfers']): string | undefined {
  switch (event.kind) {
    case 'acknowledged':
      return transfers.has(event.id) ? undefined : `transfer ${event.id} was acknowledged and is lost`;
    case 'refused':
      return transfers.has(event.id) ? `transfer ${event.id} was refused (${event.code}) and is there` : undefined;
    case 'read':
      return event.total === bankTotal && event.moved === 0 ? undefined : `a snapshot has a total of ${event.total}, and transfers of sum ${event.moved}`;
    case 'unknown':
    case 'unread':
      return undefined;
  }
}
