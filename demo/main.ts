import { parseDemoOptions, usage, type DemoOptions } from './options.ts';
import { runDemo } from './run-demo.ts';
import { startServers } from './servers.ts';
import { duration } from './terminal/heading.ts';

const nodes = 4;
const interruptedCode = 130;

/** Returns the exit code: 0, 1 when an answer differs, 130 when it was interrupted. */
async function main(options: DemoOptions): Promise<number> {
  const startedMs = performance.now();
  process.stdout.write(`Starting PostgreSQL ${options.major}: a coordinator database, ${nodes} nodes, and a plain server … `);
  const interruption = interruptible();
  const servers = await startServers(nodes, options.major);
  process.stdout.write(`${duration(performance.now() - startedMs)}\n`);
  try {
    return (await runDemo(servers, options, interruption.signal)) === 0 ? 0 : 1;
  } catch (error) {
    if (!interruption.signal.aborted) throw error;
    process.stdout.write('\nInterrupted.\n');
    return interruptedCode;
  } finally {
    await servers.stop();
    interruption[Symbol.dispose]();
    process.stdout.write(`Servers stopped; ${duration(performance.now() - startedMs)} in all.\n`);
  }
}

/** A signal that Ctrl-C aborts. The servers are then stopped in order; a second Ctrl-C ends the process, and they end with it. */
function interruptible(): { readonly signal: AbortSignal } & Disposable {
  const controller = new AbortController();
  const interrupt = (): void => controller.abort(new Error('interrupted'));
  process.once('SIGINT', interrupt);
  process.once('SIGTERM', interrupt);
  return {
    signal: controller.signal,
    [Symbol.dispose]: () => {
      process.off('SIGINT', interrupt);
      process.off('SIGTERM', interrupt);
    },
  };
}

function readOptions(): DemoOptions | undefined {
  try {
    return parseDemoOptions(process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${usage}`);
    return undefined;
  }
}

const options = readOptions();
if (options === undefined) process.exitCode = 2;
else if (options.help) process.stdout.write(usage);
else process.exitCode = await main(options);
