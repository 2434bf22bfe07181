const LISTED: Readonly<Record<string, string>> = {
  states: 'state',
  data: 'data',
  quarantine: 'quarantine data',
  'dead-letters': 'dead letters',
  evidence: 'evidence',
  schemas: 'schema',
  baselines: 'baseline',
  snapshots: 'snapshot',
  pages: 'page',
  receipts: 'receipt',
};

/** What a key is called that is of no kind known here: a table that lists it has a hole. */
export const UNLISTED = 'unlisted key';

/** The kind of object that lies under a key, entries of logs by their own kind; no two kinds have one name. */
export function objectKind(key: string, bytes: Uint8Array): string {
  const [, kind = '', second = '', third = ''] = key.split('/');
  if (kind === 'log') return `${entryKind(bytes)} slot`;
  if (kind === 'control') return `${entryKind(bytes)} entry`;
  if (kind === 'evidence' && second === 'judgements') return 'judgement';
  if (kind === 'probe') return second === 'passed' && third === '' ? 'probe record' : 'probe';
  if (kind === 'hint' && ['heads', 'halts', 'control', 'told'].includes(second))
    return `${second.replace(/s$/, '')} hint`;
  return LISTED[kind] ?? `${UNLISTED} ${key}`;
}

function entryKind(bytes: Uint8Array): string {
  const bundle = JSON.parse(Buffer.from(bytes).toString('utf8')) as { dsseEnvelope: { payload: string } };
  const statement = JSON.parse(Buffer.from(bundle.dsseEnvelope.payload, 'base64').toString('utf8')) as {
    predicate: { kind: string };
  };
  return statement.predicate.kind;
}
