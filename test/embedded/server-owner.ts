import { startPostgres } from '../../src/embedded/postgres-server.ts';
import { volatileSettings } from '../../src/embedded/default-settings.ts';

// A process that owns servers, for tests to end in every way: prints one line of JSON, then does as its argument says.
const [ending = 'live'] = process.argv.slice(2);
if (ending === 'handle') {
  process.once('SIGINT', () => {
    console.log('handled');
    process.exit(7);
  });
}
const servers = await Promise.all([startPostgres({ settings: volatileSettings }), startPostgres({ settings: volatileSettings })]);
console.log(JSON.stringify(servers.map(({ pid, dataDirectory, connectionString }) => ({ pid, dataDirectory, connectionString }))));

switch (ending) {
  case 'stop':
    await Promise.all(servers.map((server) => server.stop()));
    break;
  case 'exit':
    process.exit(3);
    break;
  case 'throw':
    throw new Error('on purpose');
  case 'finish':
    break;
  default:
    setInterval(() => undefined, 1_000);
}
