import { describe, expect, it } from 'vitest';

import { calledAs, shellWord, withProgram } from '../../../src/cli/called-as.ts';

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
    ] as const)
      expect(withProgram(sentence, 'npx headgate')).toBe(expected ?? sentence);
    expect(withProgram('headgate log', "node '$&/main.js'")).toBe("node '$&/main.js' log");
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
