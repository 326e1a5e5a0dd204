export { serve, type WireServer } from './wire/serve.ts';
export type { SessionActivity } from './wire/activity.ts';
export type { ServerLimits } from './wire/server-limits.ts';
export type { WireOptions } from './wire/wire-options.ts';
