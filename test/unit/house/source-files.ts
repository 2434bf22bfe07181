import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Root of the repository. */
export const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

/** One import or re-export of a file. */
export interface ImportOf {
  /** Path from the root of the repository, or the name of a package. */
  readonly target: string;
  /** Gone at run time. */
  readonly isType: boolean;
  readonly isPackage: boolean;
}

/** One TypeScript file. */
export interface SourceFile {
  /** Path from the root of the repository. */
  readonly path: string;
  readonly text: string;
  readonly lines: readonly string[];
  readonly imports: readonly ImportOf[];
}

/** All TypeScript files below these folders of the repository, sorted by path. */
export function sourceFiles(...folders: readonly string[]): SourceFile[] {
  return pathsBelow(folders)
    .filter((path) => path.endsWith('.ts'))
    .map((path) => {
      const text = readFileSync(join(ROOT, path), 'utf8');
      return { path, text, lines: text.trimEnd().split('\n'), imports: importsOf(path, text) };
    });
}

/** Paths of all files below these folders, from the root of the repository. */
export function pathsBelow(folders: readonly string[]): string[] {
  return folders
    .flatMap((folder) =>
      readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name).slice(ROOT.length)),
    )
    .toSorted((a, b) => (a < b ? -1 : 1));
}

const IMPORT = /^(?:import|export)(\s+type)?\s[^'";]*?from '([^']+)'|^import '([^']+)'|\bimport\(\s*'([^']+)'\s*\)/gm;

function importsOf(path: string, text: string): ImportOf[] {
  return [...withoutComments(text).matchAll(IMPORT)].map(([, type, from, bare, dynamic]) => {
    const name = (from ?? bare ?? dynamic)!;
    const isPackage = !name.startsWith('.');
    const target = isPackage ? packageName(name) : normalize(join(dirname(path), name));
    return { target, isType: type !== undefined, isPackage };
  });
}

function packageName(name: string): string {
  if (name.startsWith('node:')) return name;
  return name
    .split('/')
    .slice(0, name.startsWith('@') ? 2 : 1)
    .join('/');
}

/** The text with comments made blank, line by line; good enough for code that the formatter has seen. */
export function withoutComments(text: string): string {
  return text
    .replace(/^[ \t]*\/\*[\s\S]*?\*\//gm, (comment) => comment.replace(/[^\n]/g, ' '))
    .replace(/(^|[ \t])\/\/.*$/gm, (comment) => comment.replace(/[^\n]/g, ' '));
}
