import Type from 'typebox';

import { block, choice, list, maybe, mustChoose, text } from './nodes.ts';

const ColumnConfig = block('One column.', {
  path: Type.Union(
    [
      Type.String({ minLength: 1, maxLength: 512 }),
      Type.Array(Type.String({ minLength: 1, maxLength: 512 }), { minItems: 1, maxItems: 64 }),
    ],
    {
      description: 'Name of the field, or the list of keys that lead down to it.',
      examples: ['distance', ['carrier', 'name']],
    },
  ),
  type: mustChoose('How values are stored; json keeps the text of any value.', [
    'boolean',
    'int64',
    'float64',
    'decimal',
    'string',
    'timestamp',
    'json',
  ]),
  precision: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 38, description: 'decimal only: digits in all.', examples: [10] }),
  ),
  scale: Type.Optional(
    Type.Integer({ minimum: 0, maximum: 38, description: 'decimal only: digits behind the point.', examples: [2] }),
  ),
  unit: Type.Optional(
    Type.Enum(['ms', 'us', 'ns'], { description: 'timestamp only: its resolution.', examples: ['ms'] }),
  ),
});

const Rule = block('One rule.', {
  name: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 200,
      description: 'Name in findings and alerts; made from the rest if it is left out.',
      examples: ['sane distance'],
    }),
  ),
  rule: mustChoose(
    'What must hold: no nulls, a range of numbers or times, a set of values, a pattern of the whole text, no value twice in a ' +
      'batch, a number of records, an age of the newest record.',
    ['not_null', 'range', 'set', 'pattern', 'unique', 'row_count', 'freshness'],
  ),
  column: Type.Optional(text('Column it is about; row_count and freshness have none.', { examples: ['distance'] })),
  min: Type.Optional(Type.Number({ description: 'range and row_count: lowest allowed.', examples: [0] })),
  max: Type.Optional(Type.Number({ description: 'range and row_count: highest allowed.', examples: [10_000] })),
  values: Type.Optional(
    Type.Array(Type.Union([Type.String(), Type.Number(), Type.Boolean()]), {
      minItems: 1,
      maxItems: 10_000,
      description: 'set: what is allowed.',
      examples: [['AA', 'UA']],
    }),
  ),
  pattern: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 512,
      description: 'pattern: a regular expression without look-around and back-references.',
      examples: ['[A-Z]{3}'],
    }),
  ),
  maxAgeMs: Type.Optional(
    Type.Integer({
      minimum: 1,
      description: 'freshness: highest age, in ms. Of files, it needs time.',
      examples: [3_600_000],
    }),
  ),
  maxShare: Type.Optional(
    Type.Number({ minimum: 0, maximum: 1, description: 'Share of rows that may break it, 0 to 1.', examples: [0.01] }),
  ),
  action: choice(
    'What happens when it is broken: it is counted, the batch is held back, or the partition stops as well, in observe mode too.',
    ['observe', 'quarantine', 'halt'],
    'quarantine',
  ),
});

/** What is known of a topic. */
export const Topic = Type.Object(
  {
    schema: maybe(
      Type.Array(ColumnConfig, {
        minItems: 1,
        maxItems: 2_048,
        examples: [[{ path: 'distance', type: 'int64' }]],
      }),
      'Columns; null = learn them from the first records. Either way they are pinned then: headgate schema pin replaces them.',
    ),
    label: maybe(
      text('', { examples: ['late'] }),
      'Column that a model learns to predict. Turns on the checks for flipped labels.',
    ),
    source: maybe(
      text('', { examples: ['carrier'] }),
      'Column that says who sent a record. It is recorded in every profile; no check uses it yet.',
    ),
    time: maybe(text('', { examples: ['time_hour'] }), 'Column that says when a record happened, of type timestamp.'),
    rules: list(
      Rule,
      'What every batch must keep, whatever the baseline says. Under topics, they come on top of those of topicDefaults; one of the same name replaces that.',
      1_000,
      [{ name: 'sane distance', rule: 'range', column: 'distance', min: 0, max: 10_000, action: 'quarantine' }],
    ),
    ignoredColumns: list(
      text(''),
      'Columns that are not compared with what was learned: the id or the day of an import, notes. Rules for them hold all the same. ' +
        'Taken over by the next headgate baseline learn.',
      2_048,
      ['import_id'],
    ),
    alertColumns: list(text(''), 'Columns whose values may appear in alerts.', 2_048, ['carrier']),
  },
  {
    additionalProperties: false,
    default: {},
    description: 'What is known of every topic that has no entry of its own under topics.',
  },
);
