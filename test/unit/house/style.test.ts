import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';

import { describe, expect, it } from 'vitest';

import { pathsBelow, ROOT, sourceFiles, withoutComments } from './source-files.ts';

const SOURCES = sourceFiles('src', 'workers');
const EVERYTHING = sourceFiles('src', 'workers', 'scripts', 'test', 'bench');
const LINES_MAX = 300;
/** With a comment at the top that says why. */
const LINES_MAX_WITH_REASON = 400;
const WINGS = ['record', 'ingest', 'detect', 'ledger', 'publish', 'respond', 'fsck'];

/** `path:line` of every line that matches. */
function linesWith(files: typeof SOURCES, pattern: RegExp): string[] {
  return files.flatMap(({ path, text }) =>
    withoutComments(text)
      .split('\n')
      .flatMap((line, i) => (pattern.test(line) ? [`${path}:${i + 1}`] : [])),
  );
}

describe('files', () => {
  it('are named in kebab case, after what they hold', () => {
    const names = EVERYTHING.map(({ path }) => path);
    expect(names.filter((path) => !/^[a-z0-9]+(-[a-z0-9]+)*(\.test)?\.ts$/.test(basename(path)))).toEqual([]);
  });

  it('and folders are never called utils, helpers or common', () => {
    const names = pathsBelow(['src', 'workers', 'scripts', 'test', 'bench', 'config', 'docs', 'examples']);
    expect(names.filter((path) => /(^|[/-])(utils?|helpers?|common|misc|shared|lib)([./-]|$)/i.test(path))).toEqual([]);
  });

  it('have at most 300 lines, or 400 and a reason', () => {
    const long = SOURCES.filter(({ lines }) => lines.length > LINES_MAX);
    const hasReason = (lines: readonly string[]): boolean =>
      lines.slice(0, 3).some((line) => /^\s*(\/\/|\/?\*).*\b(long|length|lines)\b/i.test(line));
    const tooLong = long.filter(({ lines }) => lines.length > LINES_MAX_WITH_REASON || !hasReason(lines));
    expect(tooLong.map(({ path, lines }) => `${path}: ${lines.length}`)).toEqual([]);
  });

  it('have functions of at most 70 lines, no default export, and no export that passes on another file’s', () => {
    const lint = join(ROOT, 'node_modules', '.bin', 'oxlint');
    const folders = ['src', 'workers'].map((folder) => join(ROOT, folder));
    let report: string;
    try {
      report = execFileSync(lint, ['-c', join(ROOT, 'test/unit/house/oxlint.json'), '--format', 'json', ...folders], {
        encoding: 'utf8',
        maxBuffer: 2 ** 26,
      });
    } catch (error) {
      report = (error as { stdout: string }).stdout;
    }
    const { diagnostics, number_of_files: files } = JSON.parse(report) as {
      diagnostics: readonly { filename: string; message: string; labels: readonly { span: { line: number } }[] }[];
      number_of_files: number;
    };
    expect(files).toBe(SOURCES.length);
    expect(diagnostics.map((each) => `${each.filename}:${each.labels[0]?.span.line} ${each.message}`)).toEqual([]);
  });

  it('pass on nothing of other files, but src/index.ts', () => {
    const barrels = SOURCES.filter(({ path }) => path !== 'src/index.ts');
    expect(linesWith(barrels, /^export (type )?(\*|\{[^}]*\} from)/)).toEqual([]);
  });
});

describe('the wings', () => {
  const wings = SOURCES.filter(({ path }) => WINGS.some((wing) => path.startsWith(`src/${wing}/`)));

  it('are given time and chance, so that a simulation can run them', () => {
    expect(wings.length).toBeGreaterThan(100);
    const clocks = /\b(Date\.now|new Date\(\)|performance\.now|process\.hrtime|setTimeout|setInterval|setImmediate)\b/;
    expect(linesWith(wings, clocks)).toEqual([]);
    expect(linesWith(wings, /\b(Math\.random|randomBytes|randomUUID|randomInt|getRandomValues)\b/)).toEqual([]);
  });

  it('know nothing of their environment', () => {
    expect(linesWith(wings, /\bprocess\.(env|argv|cwd|stdin|stdout|stderr|exit|on)\b/)).toEqual([]);
  });
});

describe('the environment', () => {
  it('is looked at in few places', () => {
    /** File → why. */
    const allowed: Readonly<Record<string, string>> = {
      'src/cli/main.ts': 'hands the environment to the command that runs',
    };
    const found = new Set(linesWith(SOURCES, /\bprocess\.env\b/).map((place) => place.split(':')[0]!));
    expect([...found]).toEqual(Object.keys(allowed));
  });
});

describe('every export of src', () => {
  const EXPORT = /^export (?:declare )?(?:abstract )?(?:async )?(?:function\*?|const|class|interface|type) (\w+)/;

  it('says in a comment what it is; one may speak for a few lines right below it', () => {
    const silent = SOURCES.flatMap(({ path, lines }) =>
      lines.flatMap((line, i) => {
        const name = EXPORT.exec(line)?.[1];
        if (name === undefined) return [];
        let above = i - 1;
        while (EXPORT.test(lines[above] ?? '')) above--;
        return lines[above]?.trimEnd().endsWith('*/') === true ? [] : [`${path}:${i + 1} ${name}`];
      }),
    );
    expect(silent).toEqual([]);
  });
});

describe('nothing that is published', () => {
  it('names a machine or a person’s folder', () => {
    // In parts, so that this file is not the first to break the rule.
    const folders = ['work', 'root', 'home', 'Users'].map((name) => `/${name}/`);
    const found = pathsBelow(['src', 'workers', 'scripts', 'test', 'bench', 'config', 'docs', 'examples'])
      .filter((path) => /\.(ts|md|ya?ml|json|py|sh|txt)$/.test(path))
      .flatMap((path) => {
        const text = readFileSync(join(ROOT, path), 'utf8');
        return folders.filter((folder) => text.includes(folder)).map((folder) => `${path}: ${folder}`);
      });
    expect(found).toEqual([]);
  });
});
