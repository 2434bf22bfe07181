/** The records of newline-delimited JSON, found without the code under test. */
export function splitNdjson(text: string): string[] {
  const lines = text.split('\n');
  const last = lines.pop()!;
  const records = lines.map((line) => (line.endsWith('\r') ? line.slice(0, -1) : line));
  return last === '' ? records : [...records, last];
}

/** RFC 4180 by one regular expression: fields that are quoted, and whatever stands behind their last quote, or plain. */
export function splitCsv(text: string): string[] {
  const record = /(?:(?:"(?:[^"]|"")*(?:"(?!")[^,\n]*|$)|[^",\n][^,\n]*|)(?:,|(?=\n)|$))+?(?=\n|$)/y;
  const records: string[] = [];
  let at = 0;
  while (at < text.length) {
    record.lastIndex = at;
    const found = record.exec(text)?.[0] ?? '';
    const next = at + found.length;
    const ends = text[next] === '\n';
    records.push(ends && found.endsWith('\r') ? found.slice(0, -1) : found);
    at = next + 1;
    if (!ends) break;
  }
  return records;
}
