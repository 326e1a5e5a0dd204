import type { NodeConnection, NodeQuery } from '../../src/cluster/node-connection.ts';
import type { DistributedTransaction } from '../../src/txn/distributed-transaction.ts';

/** A transaction that tells of each request to a server before it is sent, with its text; commit and rollback are not among them. What `onRequest` throws, the request fails with. */
export function watched(transaction: DistributedTransaction, onRequest: (text: string) => void): DistributedTransaction {
  const seen = new WeakMap<NodeConnection, NodeConnection>();
  const join: DistributedTransaction['join'] = async (...call) => {
    const connection = await transaction.join(...call);
    const known = seen.get(connection) ?? watchedConnection(connection, onRequest);
    seen.set(connection, known);
    return known;
  };
  return bound(transaction, { join });
}

function watchedConnection(connection: NodeConnection, onRequest: (text: string) => void): NodeConnection {
  const query: NodeConnection['query'] = async (asked, options) => {
    onRequest(textOf(asked));
    return connection.query(asked, options);
  };
  const queryEach: NodeConnection['queryEach'] = async (text, options) => {
    onRequest(text);
    return connection.queryEach(text, options);
  };
  const copyIn: NodeConnection['copyIn'] = async (text, options) => {
    onRequest(text);
    return connection.copyIn(text, options);
  };
  return bound(connection, { query, queryEach, copyIn });
}

function textOf({ text }: NodeQuery): string {
  return text;
}

/** `object` with some methods in the place of its own. */
function bound<T extends object>(object: T, own: Partial<T>): T {
  return new Proxy(object, {
    get: (target, name): unknown => {
      if (name in own) return Reflect.get(own, name);
      const value: unknown = Reflect.get(target, name);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}
