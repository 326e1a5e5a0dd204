import { hashBytes } from './hash-bytes.ts';
import { callSql, needsServer, type TypeRules } from './type-rules.ts';
import { formatAddress, parseAddress } from '../../sql/values/ip-address.ts';

interface Network {
  /** 4 or 16 bytes. */
  readonly address: Uint8Array;
  readonly prefixBits: number;
}

export const inetRules: TypeRules<Network> = {
  name: 'inet',
  hashSql: callSql('hashinet'),
  parse: (text) => parseNetwork(text) ?? needsServer,
  print: (network) => formatAddress(network.address) + (isHost(network) ? '' : `/${network.prefixBits}`),
  hash: hashNetwork,
};

/** As inet; bits to the right of the prefix are refused by the server, and its abbreviations are left to it. */
export const cidrRules: TypeRules<Network> = {
  name: 'cidr',
  hashSql: callSql('hashinet'),
  parse: (text) => {
    const network = parseNetwork(text);
    return network === undefined || hasHostBits(network) ? needsServer : network;
  },
  print: (network) => `${formatAddress(network.address)}/${network.prefixBits}`,
  hash: hashNetwork,
};

function parseNetwork(text: string): Network | undefined {
  const [, host = '', prefix] = /^([0-9a-f.:]+)(?:\/(\d{1,3}))?$/i.exec(text) ?? [];
  const address = parseAddress(host);
  if (address === undefined) return undefined;
  const prefixBits = prefix === undefined ? address.length * 8 : Number(prefix);
  return prefixBits > address.length * 8 ? undefined : { address, prefixBits };
}

function isHost(network: Network): boolean {
  return network.prefixBits === network.address.length * 8;
}

function hasHostBits({ address, prefixBits }: Network): boolean {
  return address.some((byte, index) => (byte & (0xff >> Math.min(8, Math.max(0, prefixBits - index * 8)))) !== 0);
}

/** The server's struct: address family (2 or 3), prefix length, address. */
function hashNetwork({ address, prefixBits }: Network): number {
  return hashBytes(Buffer.from([address.length === 4 ? 2 : 3, prefixBits, ...address]));
}
