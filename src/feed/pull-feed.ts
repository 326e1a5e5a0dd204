import { type ChangeStream, PulledChanges } from './change-stream.ts';
import { type ConsumerOptions, FeedConsumer } from './feed-consumer.ts';
import type { FeedServices } from './feed-context.ts';
import { openFeed, type OpenWish } from './open-feed.ts';

interface PullOptions extends Omit<ConsumerOptions, 'tables'> {
  readonly signal: AbortSignal;
  readonly autoConfirm: boolean;
}

/** A stream that is opened by its first pull; `prepare` is called then. */
export function pullFeed(prepare: () => Promise<{ readonly services: FeedServices; readonly wish: OpenWish }>, { signal, autoConfirm, ...options }: PullOptions): ChangeStream {
  return new PulledChanges({
    signal, autoConfirm,
    open: async (ending) => {
      const { services, wish } = await prepare();
      const opened = await openFeed(services, wish, AbortSignal.any([signal, ending]));
      return FeedConsumer.start(services, opened, { ...options, tables: wish.tables });
    },
  });
}
