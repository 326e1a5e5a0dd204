import { InvalidArgumentError } from 'commander';

/** `host:port`, `[::1]:port`, `:port` or `port`. */
export function parseListen(text: string): { readonly host: string; readonly port: number } {
  const parts = /^(?:(?:\[([^\]]+)\]|([^:]*)):)?(\d+)$/.exec(text);
  const port = Number(parts?.[3]);
  if (parts === null || port > 65_535) throw new InvalidArgumentError('It is HOST:PORT, such as 127.0.0.1:6432.');
  const host = parts[1] ?? parts[2] ?? '';
  return { host: host === '' ? '127.0.0.1' : host, port };
}

/** A whole number between two. */
export function integerBetween(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < min || value > max) throw new InvalidArgumentError(`It is a whole number from ${min} to ${max}.`);
    return value;
  };
}

/** A node as `health()` and messages name it: its id, `host:port/database`, or `coordinator`. */
export function parseNode(text: string): string | number {
  if (/^\d+$/.test(text)) return Number(text);
  return text === 'coordinator' || /^postgres(ql)?:\/\//.test(text) ? text : `postgres://${text}`;
}

export function positiveNumber(text: string): number {
  const value = Number(text);
  if (!Number.isFinite(value) || value <= 0) throw new InvalidArgumentError('It is a number above 0.');
  return value;
}
