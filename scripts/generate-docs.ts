import { writeFileSync } from 'node:fs';
import { goldenFiles } from './golden-files.ts';
import { renderErrorDocs } from './render-error-docs.ts';
import { renderSqlSupport } from './render-sql-support.ts';

writeFileSync(new URL('../docs/errors.md', import.meta.url), renderErrorDocs());
writeFileSync(new URL('../docs/sql-support.md', import.meta.url), renderSqlSupport(goldenFiles()));
