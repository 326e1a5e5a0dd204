import { expect, test } from 'vitest';
import { openTestNode, until } from './connections.ts';

const endless = "COPY (SELECT generate_series(1, 1000000000), repeat('x', 200)) TO STDOUT";

test('rows in and out again', async () => {
  await using node = await openTestNode();
  const connection = await node.acquire();
  await connection.query({ text: 'CREATE TABLE t (a int, b text)' });
  const lines = Array.from({ length: 50_000 }, (_, index) => `${index}\tvalue ${index} \u{1F600}\n`).join('');
  const data = Buffer.from(lines);
  const sink = await connection.copyIn('COPY t FROM STDIN');
  // Cut anywhere, even inside a character.
  for (let offset = 0; offset < data.length; offset += 9_973) await sink.write(data.subarray(offset, offset + 9_973));
  expect(await sink.end()).toBe(50_000);
  const chunks: Uint8Array[] = [];
  for await (const chunk of connection.copyOut('COPY t TO STDOUT')) {
    expect(chunk.at(-1)).toBe(10);
    chunks.push(chunk);
  }
  expect(Buffer.concat(chunks).toString()).toBe(lines);
  expect((await connection.query({ text: 'SELECT count(*) FROM t' })).rows).toEqual([['50000']]);
});

test('a bad line fails the COPY, keeps nothing, and leaves the connection clean', async () => {
  await using node = await openTestNode();
  const connection = await node.acquire();
  await connection.query({ text: 'CREATE TABLE t (a int)' });
  const sink = await connection.copyIn('COPY t FROM STDIN');
  await sink.write(Buffer.from('1\n2\nthree\n'));
  await expect(sink.end()).rejects.toMatchObject({ code: '22P02', where: expect.stringMatching(/^COPY t, line 3, column a: "three"\nnode /) });
  await expect(sink.write(Buffer.from('4\n'))).rejects.toMatchObject({ code: '22P02' });
  expect((await connection.query({ text: 'SELECT count(*) FROM t' })).rows).toEqual([['0']]);
});

test('an error in the middle reaches the writer, who sees no end otherwise', async () => {
  await using node = await openTestNode();
  const connection = await node.acquire();
  await connection.query({ text: 'CREATE TABLE t (a int)' });
  const sink = await connection.copyIn('COPY t FROM STDIN');
  const writing = (async () => {
    for (;;) await sink.write(Buffer.from('x\n'.repeat(10_000)));
  })();
  await expect(writing).rejects.toMatchObject({ code: '22P02' });
  expect((await connection.query({ text: 'SELECT 1' })).rows).toEqual([['1']]);
});

test('failing on purpose', async () => {
  await using node = await openTestNode();
  const connection = await node.acquire();
  await connection.query({ text: 'CREATE TABLE t (a int)' });
  const sink = await connection.copyIn('COPY t FROM STDIN');
  await sink.write(Buffer.from('1\n'));
  await sink.fail('changed my mind');
  await expect(sink.end()).rejects.toMatchObject({ code: '57014', message: expect.stringContaining('changed my mind') });
  expect((await connection.query({ text: 'SELECT count(*) FROM t' })).rows).toEqual([['0']]);
});

test('a server that cannot take more makes the writer wait', async () => {
  await using node = await openTestNode();
  const [connection, blocker] = [await node.acquire(), await node.acquire()];
  await blocker.query({
    text: `CREATE TABLE t (a int);
      CREATE FUNCTION waits() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_xact_lock_shared(1); RETURN NEW; END $$;
      CREATE TRIGGER waits BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION waits();
      SELECT pg_advisory_lock(1)`,
  });
  const sink = await connection.copyIn('COPY t FROM STDIN');
  let written = 0;
  const chunk = Buffer.from('1\n'.repeat(100_000));
  const writing = (async () => {
    for (; written < 200; written += 1) await sink.write(chunk);
  })();
  await until(() => node.sees("EXISTS (SELECT FROM pg_stat_activity WHERE wait_event = 'advisory' AND datname = current_database())"));
  expect(written).toBeLessThan(200);
  // What waits for the socket is told when the statement is cancelled.
  const ended = expect(writing).rejects.toMatchObject({ code: '57014' });
  await node.sees(`pg_cancel_backend(${connection.processId})`);
  await ended;
  expect((await connection.query({ text: 'SELECT 1' })).rows).toEqual([['1']]);
});

test('aborting ends a COPY the server waits in', async () => {
  await using node = await openTestNode();
  const connection = await node.acquire();
  await connection.query({ text: 'CREATE TABLE t (a int)' });
  const controller = new AbortController();
  const sink = await connection.copyIn('COPY t FROM STDIN', { signal: controller.signal });
  await sink.write(Buffer.from('1\n'));
  controller.abort();
  expect((await connection.query({ text: 'SELECT count(*) FROM t' })).rows).toEqual([['0']]);
  await expect(sink.end()).rejects.toMatchObject({ id: 'canceled' });
});

test('what is no COPY is refused, and the server\'s refusals pass through', async () => {
  await using node = await openTestNode();
  const connection = await node.acquire();
  await expect(connection.copyIn('SELECT 1')).rejects.toMatchObject({ id: 'invalidParameter' });
  await expect(connection.copyIn('COPY nothing FROM STDIN')).rejects.toMatchObject({ code: '42P01' });
  await expect(connection.copyOut("COPY nothing TO STDOUT")[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: '42P01' });
  expect((await connection.query({ text: 'SELECT 1' })).rows).toEqual([['1']]);
});

test('leaving a COPY TO early', async () => {
  await using node = await openTestNode();
  const connection = await node.acquire();
  for await (const chunk of connection.copyOut(endless)) if (chunk.length > 0) break;
  expect((await connection.query({ text: 'SELECT 1' })).rows).toEqual([['1']]);
});

test('nobody takes what COPY TO sends: the server has to wait', async () => {
  await using node = await openTestNode();
  const connection = await node.acquire();
  const iterator = connection.copyOut(endless)[Symbol.asyncIterator]();
  await iterator.next();
  await until(() => node.sees(`EXISTS (SELECT FROM pg_stat_activity WHERE pid = ${connection.processId} AND wait_event = 'ClientWrite')`));
  await iterator.return?.();
});
