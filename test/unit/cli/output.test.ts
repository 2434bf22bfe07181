import { PassThrough } from 'node:stream';

import { describe, expect, it } from 'vitest';

import { counted, formatBytes, Output, table, type TextStream } from '../../../src/cli/output.ts';
import { IntegrityError } from '../../../src/errors.ts';

function captured(options: { readonly json?: boolean; readonly columns?: number } = {}) {
  const out = new PassThrough();
  const err: TextStream = Object.assign(
    new PassThrough(),
    options.columns === undefined ? {} : { isTTY: true, columns: options.columns },
  );
  const texts = { out: '', err: '' };
  out.on('data', (bytes: Buffer) => (texts.out += bytes.toString()));
  err.on('data', (bytes: Buffer) => (texts.err += bytes.toString()));
  return { output: new Output(out, err, options.json ?? false, 'npx headgate'), texts };
}

describe('the output of a command', () => {
  it('is lines for people, or one value for programs, never both', () => {
    const people = captured();
    people.output.result({ records: 2 }, ['2 records']);
    expect(people.texts.out).toBe('2 records\n');
    const program = captured({ json: true });
    program.output.say('one moment');
    program.output.result({ records: 2 }, ['2 records']);
    expect(program.texts.out).toBe('{"records":2}\n');
  });

  it('escapes what a terminal would act on, wherever it comes from', () => {
    const { output, texts } = captured();
    output.result({}, ['topic \u{1b}[31mred\u{1b}[0m']);
    output.note('file \u{1b}]0;title\u{7}');
    for (const character of ['\u{1b}', '\u{7}']) expect(texts.out + texts.err).not.toContain(character);
    expect(texts.out).toContain('red');
  });

  it('tells commands as the user can call them, but never in what others wrote or what programs read', () => {
    const { output, texts } = captured();
    const error = new IntegrityError('SLOT_INVALID', 'a', 'Cannot go on (headgate verify tells more)');
    output.note('halted (way out: headgate resume)');
    output.error(error);
    expect(texts.err).toBe(
      'halted (way out: npx headgate resume)\nheadgate: Cannot go on (npx headgate verify tells more)\n',
    );
    output.result({}, [output.called('next: headgate gate'), 'signed reason: ran headgate gate']);
    expect(texts.out).toBe('next: npx headgate gate\nsigned reason: ran headgate gate\n');
    const program = captured({ json: true });
    program.output.error(error);
    expect(program.texts.out).toContain('(headgate verify tells more)');
  });

  it('names the object and the code of an error to programs', () => {
    const { output, texts } = captured({ json: true });
    output.error(new IntegrityError('DIGEST_MISMATCH', 'a/b', 'Cannot accept "a/b": its SHA-256 is 1, wanted 2'));
    expect(JSON.parse(texts.out)).toEqual({
      ok: false,
      error: { code: 'DIGEST_MISMATCH', object: 'a/b', message: 'Cannot accept "a/b": its SHA-256 is 1, wanted 2' },
    });
  });

  it('says once what fails again and again, and each different thing', () => {
    const { output, texts } = captured();
    for (let i = 0; i < 100; i++) {
      output.remind('the queue is away');
      output.remind(`store: object ${i} waits`, 'store');
    }
    expect(texts.err).toBe('the queue is away\nstore: object 0 waits\n');
  });

  it('names no cell, where columns do not fit, that says by itself what it is', () => {
    const narrow = new Output(Object.assign(new PassThrough(), { isTTY: true, columns: 20 }), new PassThrough(), false);
    expect(narrow.table(['log', ''], [['  orders/0', 'next offset 30,000']])).toEqual([
      'log: orders/0',
      'next offset 30,000',
    ]);
  });

  it('draws progress on a terminal only, in one line of its width, and clears it before anything else', () => {
    const nobody = captured();
    nobody.output.progress('10 records');
    expect(nobody.texts.err).toBe('');
    const { output, texts } = captured({ columns: 8 });
    output.progress('1,000,000 records');
    expect(texts.err).toBe('\r\u{1b}[2K1,000,0');
    output.note('done');
    expect(texts.err.endsWith('\r\u{1b}[2Kdone\n')).toBe(true);
  });
});

describe('texts', () => {
  it.each([
    [0, 'batch', '0 batches'],
    [1, 'batch', '1 batch'],
    [2_000, 'record', '2,000 records'],
    [2, 'control entry', '2 control entries'],
    [3, 'key', '3 keys'],
  ])('counts %d %s as %s', (count, noun, text) => {
    expect(counted(count, noun)).toBe(text);
  });

  it.each([
    [0, '0 B'],
    [999, '999 B'],
    [1_500, '1.5 kB'],
    [2_000_000, '2.0 MB'],
  ])('writes %d bytes as %s', (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text);
  });

  it('aligns the cells of a table, without blanks at the end', () => {
    expect(
      table([
        ['a', 'b'],
        ['long', ''],
      ]),
    ).toEqual(['a     b', 'long']);
  });
});

describe('the reason of an integrity error', () => {
  it('is its message without the object’s name', () => {
    expect(new IntegrityError('CHAIN_BROKEN', 'a/b', 'Cannot accept "a/b": slot is 2').reason).toBe('slot is 2');
    expect(new IntegrityError('CHAIN_BROKEN', 'a/b', 'Something else').reason).toBe('Something else');
  });
});

describe('a table', () => {
  const names = ['batch', 'standing', 'why'];
  const rows = [
    ['9fc1ada3d0c1', 'suspect', 'amount moved by 30 %'],
    ['00aa11bb22cc', 'small', ''],
  ];
  const outputOf = (columns?: number): Output =>
    new Output(
      Object.assign(new PassThrough(), columns === undefined ? {} : { isTTY: true, columns }),
      new PassThrough(),
      false,
    );
  const inColumns = [
    'batch         standing  why',
    '9fc1ada3d0c1  suspect   amount moved by 30 %',
    '00aa11bb22cc  small',
  ];

  it('keeps its columns where they fit, and for whoever reads a pipe', () => {
    expect(outputOf(44).table(names, rows, true)).toEqual(inColumns);
    expect(outputOf().table(names, rows, true)).toEqual(inColumns);
    expect(outputOf().table(names, rows)[1]).toBe('00aa11bb22cc  small');
  });

  it('becomes a block of lines a row on a terminal that is too narrow, without what is empty', () => {
    expect(outputOf(43).table(names, rows, true)).toEqual([
      'batch: 9fc1ada3d0c1',
      'standing: suspect',
      'why: amount moved by 30 %',
      '',
      'batch: 00aa11bb22cc',
      'standing: small',
    ]);
  });
});
