import { hashUint32 } from './hash-bytes.ts';
import { callSql, needsServer, type TypeRules } from './type-rules.ts';

/** The one-byte type `"char"`; in memory its byte. Bytes above 127 have texts that depend on the version. */
export const charRules: TypeRules<number> = {
  name: '"char"',
  hashSql: callSql('hashchar'),
  parse(text) {
    if (text === '') return 0;
    const code = text.charCodeAt(0);
    // Version 16 and newer read \ooo as an octal byte.
    return code === 0 || code > 127 || (code === 0x5c && text.length === 4) ? needsServer : code;
  },
  print: (code) => (code === 0 ? '' : String.fromCharCode(code)),
  hash: hashUint32,
};
