import { readFileSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = new URL('../../', import.meta.url);

/** One fenced block of a Markdown file. */
interface Block {
  readonly language: string;
  readonly text: string;
}

export interface ReadmeProgram {
  /** All TypeScript blocks, one after the other: a module. */
  readonly source: string;
  /** What it says that it prints, in order. */
  readonly printed: readonly string[];
}

/**
 * The README's TypeScript blocks as one program. A line `console.log(…); // text` says that it prints `text`; a block of text behind a
 * block of TypeScript is what that one printed last.
 */
export function readmeProgram(): ReadmeProgram {
  const blocks = fencedBlocks(readFileSync(new URL('README.md', root), 'utf8'));
  const printed: string[] = [];
  for (const { language, text } of blocks) {
    if (language === 'ts') printed.push(...[...text.matchAll(/^ *console\.log\(.*\);(?: \/\/ (.*))?$/gm)].map((match) => match[1] ?? ''));
    if (language === 'text') printed[printed.length - 1] = text.trimEnd();
  }
  return { source: blocks.filter(({ language }) => language === 'ts').map(({ text }) => text).join('\n'), printed };
}

function fencedBlocks(markdown: string): Block[] {
  return [...markdown.matchAll(/^```(\w*)\n([^]*?)^```$/gm)].map(([, language = '', text = '']) => ({ language, text }));
}

/** Lets the program import from the sources what readers import from the package. */
export function importingSources(source: string): string {
  const moduleOf = (path: string): string => pathToFileURL(fileURLToPath(new URL(path, root))).href;
  return source.replaceAll("'shardwright/embedded'", `'${moduleOf('src/embedded.ts')}'`).replaceAll("'shardwright'", `'${moduleOf('src/index.ts')}'`);
}
