import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { completeLockfile, findMissingPackages, type Lockfile } from './lockfile.ts';
import { findRoot } from './services/context.ts';
import { writeWhole } from './services/files.ts';

// Run this after `npm install` changed package-lock.json behind a registry that does not serve every platform.
const file = join(findRoot(), 'package-lock.json');
const lockfile = JSON.parse(await readFile(file, 'utf8')) as Lockfile;
const missing = findMissingPackages(lockfile);
if (missing.length > 0) await writeWhole(file, `${JSON.stringify(completeLockfile(lockfile), null, 2)}\n`);
process.stdout.write(`Added ${missing.length} packages of other platforms to package-lock.json\n`);
