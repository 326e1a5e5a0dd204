#!/usr/bin/env node
import { Command, CommanderError } from 'commander';
import { adoptCommand } from './adopt-command.ts';
import { devCommand } from './dev-command.ts';
import { patroniCallbackCommand } from './patroni-callback-command.ts';
import { serveCommand } from './serve-command.ts';
import { switchoverCommand } from './switchover-command.ts';
import { tell } from './tell.ts';

const program = new Command('shardwright')
  .description('Many stock PostgreSQL servers as one database.')
  .addCommand(serveCommand())
  .addCommand(devCommand())
  .addCommand(adoptCommand())
  .addCommand(switchoverCommand())
  .addCommand(patroniCallbackCommand())
  .showHelpAfterError('(add --help for what there is)');

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) throw error;
  tell(error);
  process.exitCode = 1;
}
