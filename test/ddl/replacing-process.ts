import { replaceFirstNode } from './replace-first-node.ts';

/** Gives node 1 another address, and kills itself where it is told to. */
const [connectionString = '', host = '', port, where] = process.argv.slice(2);
await replaceFirstNode({
  connectionString, host, port: Number(port),
  reach: (here) => {
    if (String(here) === where) process.kill(process.pid, 'SIGKILL');
  },
});
