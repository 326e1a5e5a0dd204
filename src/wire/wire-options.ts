import type { TlsOptions } from 'node:tls';
import type { ServerLimits } from './server-limits.ts';

/** Options of `serve`. */
export interface WireOptions extends Partial<ServerLimits> {
  /** `127.0.0.1` by default. */
  readonly host?: string | undefined;
  /** 5432 by default; 0 for any that is free. */
  readonly port?: number | undefined;
  /** Clients then may, and by `requireTls` must, speak TLS. `requestCert` and `ca` ask for client certificates, and refuse clients without one. */
  readonly tls?: (TlsOptions & { readonly cert: string | Buffer; readonly key: string | Buffer }) | undefined;
  readonly requireTls?: boolean | undefined;
  /**
   * `scram` (the default): by the passwords of the coordinator database's roles, which the cluster's own role must be able to read (a superuser), or by `passwords`. `certificate`: the common name of the client's
   * certificate is the role. `trust`: everybody is who they say, on a loopback address only.
   */
  readonly authentication?: 'scram' | 'certificate' | 'trust' | undefined;
  /**
   * How connections to the cluster's servers act as the role of a client. `login` (the default, but with `trust`): they log in as the role itself, so a server grants what it grants that role and nothing else. By SCRAM the client's own
   * proof is passed on, for which each server must have stored the same of the password, as `CREATE ROLE` and `ALTER ROLE` through the cluster do; or the text that `passwords` gives; else without a password, as the servers'
   * `pg_hba.conf` lets them. `set_role`: the cluster's own user logs in and takes the role. That needs no login, and keeps nobody in the role who wants to leave it: for roles that you would trust with the cluster's own.
   */
  readonly actAs?: 'login' | 'set_role' | undefined;
  /** The password of a role, or its SCRAM verifier as in `pg_authid`; undefined for a role that has none. In place of what the coordinator database has stored. */
  readonly passwords?: ((role: string) => Promise<string | undefined> | string | undefined) | undefined;
}
