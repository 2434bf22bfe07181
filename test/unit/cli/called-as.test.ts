import { describe, expect, it } from 'vitest';

import { calledAs, COMMANDS, shellWord, withProgram } from '../../../src/cli/called-as.ts';
import { buildProgram } from '../../../src/cli/program.ts';

describe('the way to call this program again', () => {
  it.each([
    ['by its name', undefined, '/usr/bin/headgate', 'headgate', 'headgate demo'],
    ['by npx', 'npx', '/x/node_modules/.bin/headgate', 'npx headgate', 'npx headgate demo'],
    ['by npm run demo', 'demo', '/gate/dist/src/cli/main.js', 'npx headgate', 'npm run demo --'],
    ['by Node', undefined, '/gate/dist/cli/main.js', 'node dist/cli/main.js', 'node dist/cli/main.js demo'],
    ['by Node from elsewhere', undefined, '/app/main.js', 'node /app/main.js', 'node /app/main.js demo'],
    ['with a blank in its path', undefined, '/my app/main.js', "node '/my app/main.js'", "node '/my app/main.js' demo"],
    ['in an unknown way', undefined, undefined, 'headgate', 'headgate demo'],
  ])('is what works where it was started %s', (_, npmEvent, script, program, demo) => {
    expect(calledAs({ npmEvent, script, folder: '/gate' })).toEqual({ program, demo });
  });

  it('stands in every sentence of ours that names a command, and in nothing that it quotes', () => {
    for (const [sentence, expected] of [
      ['headgate status', 'npx headgate status'],
      ['(way out: headgate resume --reason TEXT)', '(way out: npx headgate resume --reason TEXT)'],
      ['wrong (headgate log), then headgate show', 'wrong (npx headgate log), then npx headgate show'],
      ['line one\nheadgate init', 'line one\nnpx headgate init'],
      ['Cannot find "headgate status", /x/headgate log, my-headgate log', null],
      ['Headgate failed; headgate: fault; headgate', null],
      [
        'ref "my headgate run" and file "/x/a headgate log/b" (headgate status)',
        'ref "my headgate run" and file "/x/a headgate log/b" (npx headgate status)',
      ],
      ['Cannot find "headgate x, headgate status', 'Cannot find "headgate x, npx headgate status'],
      ['the ref headgate x, the file /a/b headgate log.ndjson, the log headgate status/0', null],
      ['a "quote" headgate log "b"', 'a "quote" npx headgate log "b"'],
      [
        'next: headgate gate, headgate baseline learn --held.',
        'next: npx headgate gate, npx headgate baseline learn --held.',
      ],
    ] as const)
      expect(withProgram(sentence, 'npx headgate')).toBe(expected ?? sentence);
    expect(withProgram('headgate log', "node '$&/main.js'")).toBe("node '$&/main.js' log");
  });

  it('names the configuration that was named, but not to commands that read none', () => {
    for (const [sentence, expected] of [
      ['next: headgate publish --once', "next: node x.js --config 'my gate/a.yaml' publish --once"],
      ['"headgate run" or headgate init', '"headgate run" or node x.js init'],
    ] as const)
      expect(withProgram(sentence, 'node x.js', 'my gate/a.yaml')).toBe(expected);
  });

  it('knows every command that there is', () => {
    const names = buildProgram(() => () => Promise.resolve()).commands.map((command) => command.name());
    expect([...COMMANDS].toSorted()).toEqual(names.toSorted());
  });

  it('is quoted as a shell wants it', () => {
    expect(['a/b.yaml', 'a b', "it's", '', '$x', '*'].map(shellWord)).toEqual([
      'a/b.yaml',
      "'a b'",
      String.raw`'it'\''s'`,
      "''",
      "'$x'",
      "'*'",
    ]);
  });
});
